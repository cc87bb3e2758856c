"""Nets for images: every explanation against an answer that is known, and what is drawn of which run."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from hyperplane import api
from hyperplane.contracts import Description
from hyperplane.engine.chance import generator
from hyperplane.errors import UserError
from hyperplane.explain import Drawing, LeftOut, alike, explain, filters, gabor, receptive, samples
from hyperplane.explain.attribution import grad_cam, integrated_gradients, occlusion, score_of
from hyperplane.explain.geometry import Watched
from hyperplane.explain.samples import Answers
from hyperplane.explain.vision import Vision, log_odds
from hyperplane.nets.blocks import filters as known
from hyperplane.runs.folder import RunFolder
from tests.data import makers


def vision(net: nn.Module, shape: tuple[int, int, int] = (1, 12, 12), classes: int = 3) -> Vision:
    """Return a net as explanations look at it, its pixels as they are."""
    return Vision(net.eval(), shape, tuple("abcdefghij"[:classes]), np.zeros(shape[0]), np.ones(shape[0]))


class Corner(nn.Module):
    """A net that counts bright pixels in the upper left quarter, by one convolution, for the last of its classes."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        nn.init.constant_(self.conv.weight, 1 / 9)
        self.outputs = outputs

    def forward(self, x: Tensor, taps: Any = None) -> Tensor:
        """Return (B, outputs)."""
        map_B1HW = self.conv(x).relu()
        if taps is not None:
            taps["conv"] = map_B1HW
        high, wide = x.shape[-2] // 2, x.shape[-1] // 2
        said_B1 = map_B1HW[:, :, :high, :wide].mean((2, 3))
        return torch.cat([torch.zeros_like(said_B1)] * (self.outputs - 1) + [said_B1], dim=1)


# Attribution


@pytest.mark.parametrize("outputs", [1, 3])
def test_occlusion_and_grad_cam_find_the_corner_that_the_net_looks_at(outputs: int) -> None:
    seen = vision(Corner(outputs), classes=max(2, outputs))
    label = outputs - 1 if outputs > 1 else 1
    image_CHW = torch.ones(1, 12, 12)
    fall_HW = occlusion(score_of(seen, label), image_CHW, window=3, places=8)
    assert fall_HW.shape == (12, 12) and fall_HW[:6, :6].min() > 0 and fall_HW[9:, 9:].abs().max() < 1e-6
    bright_HW = torch.zeros(12, 12)
    bright_HW[:6, :6] = 1
    cam_HW = grad_cam(seen, bright_HW[None], label, "conv")
    assert cam_HW[:5, :5].min() > 0 and cam_HW[8:, 8:].max() == 0


def test_integrated_gradients_of_a_linear_net_are_weights_times_difference() -> None:
    chance = torch.Generator().manual_seed(0)
    weight_CHW, image_CHW, baseline_CHW = torch.randn(3, 2, 5, 5, generator=chance, dtype=torch.float64)

    def score(image_BCHW: Tensor) -> Tensor:
        return (image_BCHW * weight_CHW).sum((1, 2, 3)) + 7

    found_CHW = integrated_gradients(score, image_CHW, baseline_CHW, steps=5)
    torch.testing.assert_close(found_CHW, weight_CHW * (image_CHW - baseline_CHW))


@pytest.mark.parametrize("net", ["lenet5-1998", "resnet8", "lenet"])
def test_integrated_gradients_add_up_to_what_the_score_rises_by(net: str) -> None:
    seen = vision(api.net(net, shape=(1, 28, 28)).double(), (1, 28, 28), 10)
    image_CHW = torch.rand(1, 28, 28, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    score = score_of(seen, 4)
    found_CHW = integrated_gradients(score, image_CHW, seen.black()[0], steps=150)
    with torch.no_grad():
        rise = (score(image_CHW[None]) - score(seen.black()))[0].item()
    assert found_CHW.sum().item() == pytest.approx(rise, abs=5e-3 * max(1.0, abs(rise)))


def test_log_odds_are_those_of_the_probabilities() -> None:
    logit_BK = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64)
    share_K = logit_BK.softmax(dim=1)[0]
    for k in range(3):
        expected = math.log(share_K[k] / (1 - share_K[k]))
        assert log_odds(logit_BK, torch.tensor([k])).item() == pytest.approx(expected)
    one_B1 = torch.tensor([[1.5]])
    assert [log_odds(one_B1, torch.tensor([k])).item() for k in (0, 1)] == [-1.5, 1.5]


# Receptive fields


def test_a_receptive_field_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3, stride=2, padding=1, dilation=2)
    )
    image_BCHW = torch.zeros(1, 1, 40, 40)
    with Watched(image_BCHW) as watched:
        map_BCHW = net(image_BCHW)
    field = watched.field(map_BCHW)
    assert field is not None
    # 5, then a window of 2: 5 + 1 = 6 with jump 2; then 3 taps 2 apart: 6 + 4 · 2 = 14 with jump 4, from −1 · 2 on
    assert (field.rows.size, field.rows.jump, field.rows.start) == (14, 4, -2)
    assert field.box(1, 2) == (2, 6, 16, 20)


class Branches(nn.Module):
    """Two ways of different reach that meet, then every second place of them, then twice as many."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 7, padding=3)
        self.last = nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps."""
        both = torch.cat([self.near(x), self.far(x)], dim=1) * x.mean((2, 3), keepdim=True)
        return self.last(nn.functional.pad(both[:, :, ::2, ::2], (2, 0, 1, 0)))


def test_the_geometry_is_where_gradients_reach() -> None:
    net = Branches()
    for parameter in net.parameters():
        nn.init.constant_(parameter, 1.0)
    image_BCHW = torch.ones(1, 1, 32, 32)
    with Watched(image_BCHW) as watched:
        field = watched.field(net(image_BCHW))
    assert field is not None
    x = image_BCHW.clone().requires_grad_()
    map_BCHW = net.last(nn.functional.pad(torch.cat([net.near(x), net.far(x)], dim=1)[:, :, ::2, ::2], (2, 0, 1, 0)))
    for row, column in ((4, 6), (7, 5)):
        (slope_BCHW,) = torch.autograd.grad(map_BCHW[0, :, row, column].sum(), x, retain_graph=True)
        rows, columns = (slope_BCHW[0, 0].abs().sum(dim=axis).nonzero().flatten() for axis in (1, 0))
        expected = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        assert field.box(row, column) == expected


@pytest.mark.parametrize(
    ("net", "shape", "sizes"),
    [
        ("vgg16", (3, 224, 224), {"conv1_1": 3, "conv3_3": 40, "conv5_3": 196}),
        ("resnet18", (3, 64, 64), {"conv1": 7, "layer1": 43, "layer4": 435}),
        ("lenet", (1, 28, 28), {"conv1": 5, "conv2": 14}),
        ("alexnet", (3, 224, 224), {"conv1": 11, "conv5": 163}),
    ],
)
def test_published_receptive_fields(net: str, shape: tuple[int, int, int], sizes: dict[str, int]) -> None:
    with torch.device("meta"):
        made = api.net(net, shape=shape).eval()
    image_BCHW = torch.zeros(1, *shape, device="meta")
    taps: dict[str, Tensor] = {}
    with torch.no_grad(), Watched(image_BCHW) as watched:
        made(image_BCHW, taps)
    for name, size in sizes.items():
        field = watched.field(taps[name])
        assert field is not None and field.rows.size == field.columns.size == size


def test_a_unit_of_one_convolution_uses_what_it_sees() -> None:
    convolution = nn.Conv2d(1, 2, 5, padding=2)
    nn.init.constant_(convolution.weight, 1.0)

    class Plain(nn.Module):
        """A net that has no taps."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(convolution, nn.Flatten(), nn.Linear(2 * 144, 3))

        def forward(self, x: Tensor, taps: Any = None) -> Tensor:
            """Return (B, 3)."""
            return self.layers(x)

    seen = vision(Plain())
    (stage,) = seen.stages
    assert (stage.name, stage.channels, stage.height) == ("layers.0", 2, 12)
    influence_HW = receptive.effective(seen, torch.rand(4, 1, 12, 12), [stage])["layers.0"]
    assert receptive.side(influence_HW) == 5
    assert (influence_HW[4:9, 4:9] > 0).all() and influence_HW.sum() == pytest.approx(influence_HW[4:9, 4:9].sum())
    assert seen.see(torch.rand(2, 1, 12, 12)).feature_BD.shape == (2, 288), "what the last dense layer reads"


# Gabor fits


def test_the_numbers_of_a_gabor_function_are_found_again() -> None:
    y_hw, x_hw = torch.meshgrid(*[torch.arange(11, dtype=torch.float64) - 5] * 2, indexing="ij")
    x0, y0, sigma, elongation, direction, wavelength, phase = 0.7, -0.4, 1.8, 1.4, 0.6, 5.5, 1.1
    u_hw = (x_hw - x0) * math.cos(direction) + (y_hw - y0) * math.sin(direction)
    v_hw = (y_hw - y0) * math.cos(direction) - (x_hw - x0) * math.sin(direction)
    bell_hw = torch.exp(-(u_hw**2 + (v_hw / elongation) ** 2) / (2 * sigma**2))
    mask_hw = 3 * bell_hw * torch.cos(2 * math.pi * u_hw / wavelength + phase)
    colour_C = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
    found = gabor.fit((colour_C[:, None, None] * mask_hw)[None])
    assert found.share_N.item() > 1 - 1e-6
    said = (found.x_N, found.y_N, found.sigma_N, found.elongation_N, found.direction_N, found.wavelength_N)
    assert [value.item() for value in said] == pytest.approx(
        [x0, y0, sigma, elongation, direction, wavelength], abs=1e-3
    )
    assert math.cos(found.phase_N.item() - phase) ** 2 == pytest.approx(1, abs=1e-3), "the sign is the colours' as well"
    torch.testing.assert_close(found.fitted_NChw[0], colour_C[:, None, None] * mask_hw, atol=1e-3, rtol=0)


@pytest.mark.parametrize("family", ["gabor", "order 0", "order 1", "order 2"])
def test_slopes_of_the_fit_are_those_of_differences(family: gabor.Family) -> None:
    chance = torch.Generator().manual_seed(3)
    p_MP = 0.4 * torch.randn(5, 6 if family == "gabor" else 5, generator=chance, dtype=torch.float64)
    target_MD = torch.randn(5, 49, generator=chance, dtype=torch.float64)

    def functions(p_MP: Tensor, target_MD: Tensor) -> Any:
        return gabor._functions(p_MP, target_MD, gabor._pixels(7, 7), 7, family)

    at = functions(p_MP, target_MD)
    for k in range(p_MP.shape[1]):
        step_MP = torch.zeros_like(p_MP)
        step_MP[:, k] = 1e-6
        # What a function that has moved leaves of where it was is what its amplitudes cannot make good.
        moved = functions(p_MP + step_MP, at.fitted_MD)
        torch.testing.assert_close((moved.fitted_MD - at.fitted_MD) / 1e-6, at.slope_MDP[:, :, k], atol=2e-3, rtol=2e-3)


def test_a_gaussian_derivative_is_told_from_those_of_other_orders() -> None:
    for order in (0, 1, 2):
        mask_1hw = known.gaussian(1.3, order, 0.7, size=9)[None]
        share = {family: gabor.fit(mask_1hw, family).share_N.item() for family in ("order 0", "order 1", "order 2")}
        assert share[f"order {order}"] > 0.999
        assert max(v for family, v in share.items() if family != f"order {order}") < 0.96


def test_noise_is_described_worse_and_a_filter_of_nothing_not_at_all() -> None:
    chance = generator(0, "test")
    white = gabor.noise((9, 9), 6, chance)
    found = gabor.fit(torch.cat([white, torch.zeros(1, 9, 9)]))
    assert found.share_N[:6].max() < 0.6 and found.share_N[6] == 0
    smooth = gabor.noise((9, 9), 200, chance, like=known.gaussian(2.0, size=9)[None])
    power = torch.fft.fft2(smooth).abs().square().mean(dim=0)
    wanted = torch.fft.fft2(known.gaussian(2.0, size=9)).abs().square()
    assert torch.corrcoef(torch.stack([power.flatten(), wanted.flatten()]))[0, 1] > 0.98


def test_filters_are_colours_or_signs() -> None:
    red = torch.zeros(3, 5, 5)
    red[0, 2, 2], red[2, 0, 0] = 2.0, -1.0
    shown_hw3 = filters.picture(red)
    assert shown_hw3[2, 2].tolist() == [1.0, 0.5, 0.5] and shown_hw3[0, 0].tolist() == [0.5, 0.5, 0.25]
    grey = torch.zeros(1, 5, 5)
    grey[0, 0, 0], grey[0, 4, 4] = 1.0, -1.0
    low_hw3 = filters.picture(grey)
    assert low_hw3[0, 0, 0] > low_hw3[0, 0, 2] and low_hw3[4, 4, 2] > low_hw3[4, 4, 0]


# Samples


def test_the_nearest_of_a_training_samples_features_is_itself() -> None:
    feature_ND = torch.randn(30, 8, generator=torch.Generator().manual_seed(2))
    which_BK, cosine_BK = samples.nearest(feature_ND[[4, 17]], feature_ND, 3)
    assert which_BK[:, 0].tolist() == [4, 17] and cosine_BK[:, 0].tolist() == pytest.approx([1, 1])


def test_answers_are_counted_and_ordered() -> None:
    label_N, said_N = np.array([0, 1, 2, 0, 1, 2, 0, 1]), np.array([0, 0, 2, 1, 1, 1, 0, 1])
    held = Answers("test", label_N, said_N, np.ones(8), np.array([0.1, 2.0, 0.1, 5.0, 0.1, 3.0, 0.1, 0.1]))
    assert held.most_wrong(2) == [3, 5]
    assert held.some_right(3) == [0, 4, 2]
    assert [(a, b, which.tolist()) for a, b, which in held.confused(4)] == [(0, 1, [1, 3]), (1, 2, [5])]


def test_a_patch_is_what_its_unit_sees() -> None:
    seen = vision(Corner())
    (stage,) = seen.stages
    picture_HW3 = np.repeat(np.arange(144.0).reshape(12, 12, 1), 3, axis=2)
    np.testing.assert_array_equal(alike.crop(picture_HW3, stage, 5, 7), picture_HW3[4:7, 6:9])
    edge = alike.crop(picture_HW3, stage, 0, 11)
    assert (edge[0] == alike.PAPER).all() and (edge[:, 2] == alike.PAPER).all()
    np.testing.assert_array_equal(edge[1:, :2], picture_HW3[:2, 10:])


# Runs


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Train a net on images for one epoch, once, and return its run folder."""
    made: dict[str, Path] = {}

    def once(name: str, source: str = "digits", net: str = "lenet", **options: Any) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            if source == "pets":
                makers.class_folders(folder / "data" / "pets", {"cat": 14, "dog": 14})
                source = str(folder / "data" / "pets")
            changes = {"training.epochs": 1, **{f"net.options.{key}": value for key, value in options.items()}}
            made[name] = api.train(source, net=net, runs=folder, name=name, explained=False, changes=changes).path
        return made[name]

    return once


ALL = [
    *("filters", "gabor", "feature-maps", "receptive-fields", "evidence-right", "evidence-wrong", "patches"),
    *("neighbours", "confused"),
]


def _explained(path: Path, *pictures: Path) -> tuple[list[str], list[str]]:
    """Return which figures were drawn, and what was left out."""
    events: list[Drawing | LeftOut] = []
    files = explain(path, pictures, watch=events.append)
    assert all(file.stat().st_size > 500 for file in files)
    listed = RunFolder(path).read_explained()
    assert all(one.caption[-1] == "." and len(one.caption) < 260 for one in listed)
    return [file.stem for file in files], [event.what for event in events if isinstance(event, LeftOut)]


@pytest.mark.parametrize(
    ("name", "source", "net", "options", "less"),
    [
        ("digits", "digits", "lenet", {}, ()),
        ("gabor", "digits", "lenet5-gabor", {}, ("gabor",)),
        ("resnet", "digits", "resnet8", {"width": 4}, ("gabor",)),
        ("pets", "pets", "lenet", {}, ()),
    ],
)
def test_what_is_drawn_of_a_net_for_images(
    train: Callable[..., Path], name: str, source: str, net: str, options: dict[str, Any], less: tuple[str, ...]
) -> None:
    path = train(name, source, net, **options)
    drawn, left = _explained(path)
    assert drawn[0] == "walk"
    sure = [figure for figure in drawn[1:] if figure in ALL]
    expected = [figure for figure in ALL if figure not in less]
    assert [figure for figure in expected if not figure.startswith(("evidence", "confused"))] == [
        figure for figure in sure if not figure.startswith(("evidence", "confused"))
    ]
    assert "evidence-wrong" in sure or "evidence-right" in sure
    assert ("Gabor fits" in left) == ("gabor" in less)
    with Image.open(path / "explain" / "walk.webp") as film:
        assert getattr(film, "n_frames", 1) >= 3
    page = (path / "report.html").read_text()
    assert "prefers-reduced-motion" in page and page.count("data:image/svg+xml") >= len(drawn) - 1


def test_the_same_picture_gives_the_same_figures(train: Callable[..., Path], tmp_path: Path) -> None:
    path = train("digits")
    picture = tmp_path / "eight.png"
    Image.fromarray(makers.noise((16, 16))).save(picture)
    first = {file: file.read_bytes() for file in explain(path, [picture])}
    assert {file: file.read_bytes() for file in explain(path, [picture])} == first and len(first) == 2


def test_without_convolutions_what_is_left_is_drawn(train: Callable[..., Path]) -> None:
    drawn, left = _explained(train("mlp", "digits", "mlp", hidden=[12]))
    assert "neighbours" in drawn and "evidence-wrong" in drawn and "hyperplanes" in drawn
    assert "filters" not in drawn and "walk" not in drawn
    assert left[0] == "filters and Gabor fits" and "feature maps" in left[1]


def test_given_pictures_are_added_to_what_is_listed(train: Callable[..., Path], tmp_path: Path) -> None:
    path = train("pets", "pets")
    before = len(explain(path))
    grey = tmp_path / "my cat.png"
    Image.fromarray(makers.noise((20, 30, 3))[..., 0]).save(grey)
    other = tmp_path / "other" / "my cat.png"
    other.parent.mkdir()
    Image.fromarray(makers.noise((40, 40, 4))).save(other)
    drawn, left = _explained(path, grey, other)
    assert drawn == ["given-my-cat", "given-my-cat-maps", "given-my-cat-n2", "given-my-cat-n2-maps"] and not left
    listed = [one.file for one in RunFolder(path).read_explained()]
    assert len(listed) == before + 4 and len(set(listed)) == len(listed)
    _explained(path, grey)
    assert [one.file for one in RunFolder(path).read_explained()].count("given-my-cat.svg") == 1


def test_pictures_that_are_none_or_not_for_this_run(train: Callable[..., Path], tmp_path: Path) -> None:
    path = train("digits")
    text = tmp_path / "one.png"
    text.write_text("no picture")
    with pytest.raises(UserError, match=r"one.png: is not a picture"):
        explain(path, [text])
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(25):
        Image.fromarray(makers.noise((8, 8))).save(folder / f"{number}.png")
    with pytest.raises(UserError, match=r"found 25 pictures, expected at most 24"):
        explain(path, [folder])
    points = api.train("points-separable", runs=tmp_path, name="points", explained=False, changes={
        "training.epochs": 1, "data.options.samples": 60}).path  # fmt: skip
    with pytest.raises(UserError, match=r"points: was trained on .* expected one of images"):
        explain(points, [folder / "0.png"])


def test_data_that_are_gone_leave_what_needs_none(train: Callable[..., Path]) -> None:
    path = train("gone", "pets")
    source = Path(RunFolder(path).read_recipe().data.source)
    source.rename(source.with_name("moved"))
    events: list[Drawing | LeftOut] = []
    files = [file.stem for file in explain(path, watch=events.append)]
    assert files == ["filters", "gabor", "receptive-fields"]
    (left,) = [event for event in events if isinstance(event, LeftOut)]
    assert "is gone or has changed" in left.why and "add pictures" in left.why
    drawn, _ = _explained(path, next(source.with_name("moved").glob("cat/*")))
    assert len(drawn) == 2


def test_imported_weights_have_no_data(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = api.net("resnet20", shape=(3, 32, 32), classes=5).state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, tmp_path / "net.safetensors")
    path = api.import_weights(tmp_path / "net.safetensors", net="resnet20", out=tmp_path / "imported", size=32).path
    events: list[Drawing | LeftOut] = []
    files = [file.stem for file in explain(path, watch=events.append)]
    assert files == ["filters", "receptive-fields"]
    assert [event.why.partition(";")[0] for event in events if isinstance(event, LeftOut)] == [
        "eight numbers describe any filter of 3 × 3",
        "the run holds imported weights and no data",
    ]
    Image.fromarray(makers.noise((50, 40, 3))).save(tmp_path / "photo.png")
    assert _explained(path, tmp_path / "photo.png")[0] == ["given-photo", "given-photo-maps"]


def test_a_run_of_numbers_is_no_run_of_images() -> None:
    class Held:
        description = Description("x", "table", "table", "feature_BD", "value_BK", {"feature_BD": (4,)}, {})

    assert Vision.of(Held()) is None  # pyright: ignore[reportArgumentType]
