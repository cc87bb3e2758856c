"""From a run folder to figures: what is drawn for which net, and what is said where nothing can be."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import api
from hyperplane.engine.model import Model
from hyperplane.errors import UserError
from hyperplane.explain import explain, figures, surfaces, worked, write_worked
from hyperplane.explain.drawing import Plane
from hyperplane.explain.gallery import draw
from hyperplane.explain.layers import layers
from hyperplane.explain.regions import regions
from hyperplane.explain.subject import load, view
from hyperplane.nets.mlp import MLP
from hyperplane.runs.folder import RunFolder
from hyperplane.tasks.blocks import figures as house
from tests.explain.nets import random_mlp

SQUARE = ((-1.0, 1.0), (-1.0, 1.0))
Train = Callable[..., Path]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train a net for one epoch, on a known set or on a table, once, and return its run folder."""
    made: dict[str, Path] = {}

    def once(name: str, source: str | np.ndarray, net: str = "mlp", **changes: Any) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            options = {k.replace("__", "."): v for k, v in changes.items()}
            if not isinstance(source, str):
                source = _table(folder / f"{name}.csv", source)
            elif source.startswith("points"):
                options["data.options.samples"] = 80
            wanted = {"training.epochs": 1, **options}
            made[name] = api.train(source, net=net, runs=folder, name=name, explained=False, changes=wanted).path
        return made[name]

    return once


def _table(path: Path, cell_ND: np.ndarray) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"a{i}" for i in range(1, cell_ND.shape[1])), "target"])
        writer.writerows(cell_ND.tolist())
    return str(path)


def _numbers(inputs: int, rows: int = 80) -> np.ndarray:
    x_ND = np.random.default_rng(0).normal(size=(rows, inputs))
    return np.column_stack([x_ND, np.sin(x_ND.sum(axis=1))])


def _text(path: Path) -> str:
    return " ".join("".join(e.itertext()) for e in ElementTree.parse(path).iter() if e.tag.endswith("text"))


def test_points_in_the_plane(train: Train) -> None:
    path = train("relu", "points-region", net__options__hidden=[6, 5])
    before = dict(matplotlib.rcParams)
    written = explain(path, png=True)
    assert dict(matplotlib.rcParams) == before
    names = ["boundary", "field", "hyperplanes", "regions", "regions-units", "surface"]
    assert [file.name for file in written] == ["film.webp", *(f"{n}.{end}" for n in names for end in ("svg", "png"))]
    assert {file.name for file in (path / "explain").iterdir()} - {file.name for file in written} == {
        "figures.json",
        "film-end.webp",
    }
    listed = RunFolder(path).read_explained()
    assert [one.file for one in listed] == ["film.webp", *(f"{name}.svg" for name in names)]
    assert all(one.caption.endswith(".") and len(one.caption) < 200 for one in listed)
    for file in written:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert image.size[0] == 1120
    subject = load(path)
    seen = view(subject)
    assert seen.layers is not None
    count = len(regions(seen.layers, seen.plane.window))
    assert f"{count} linear regions of 11 units" in _text(path / "explain" / "regions.svg")
    assert "layer 2: 5 units" in _text(path / "explain" / "hyperplanes.svg")
    first = {file: file.read_bytes() for file in written if file.suffix != ".png"}
    assert {file: file.read_bytes() for file in explain(path)} == first, "the same folder gives the same bytes"
    api.load(path)  # is still a whole run


def test_what_is_seen_is_the_net_in_the_users_units(train: Train) -> None:
    path = train("relu", "points-region", net__options__hidden=[6, 5])
    seen = view(load(path))
    point_B2 = np.array([[0.5, 0.25], [1.0, 3.0], [1.9, -0.4]])
    odds_B = seen.function(point_B2)[:, 0]
    said = [api.load(path).predict({"x1": a, "x2": b})["probabilities"]["1"] for a, b in point_B2.tolist()]
    np.testing.assert_allclose(1 / (1 + np.exp(-odds_B)), said, atol=1e-5)
    table = train("numbers", _numbers(2), net__options__hidden=[6])
    told = [api.load(table).predict({"a1": a, "a2": b})["target"] for a, b in point_B2.tolist()]
    np.testing.assert_allclose(view(load(table)).function(point_B2)[:, 0], told, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "source", "net", "changes", "drawn"),
    [
        ("perceptron", "points-separable", "perceptron", {}, "boundary field surface"),
        ("siren", "points-outliers", "siren", {"net__options__hidden": [6]}, "boundary field surface"),
        ("fourier", _numbers(2), "fourier", {"net__options__features": 4}, "field surface"),
        ("dropout", "points-outliers", "mlp",
         {"net__options__hidden": [5, 4], "net__options__bypass": True, "net__options__dropout": 0.2},
         "boundary field hyperplanes regions regions-units surface"),
        ("sigmoid", "points-outliers", "mlp",
         {"net__options__activation": "sigmoid", "net__options__hidden": [4, 3, 3]},
         "boundary field hyperplanes surface"),
        ("photo", "photo-hopper", "mlp",
         {"net__options__hidden": [6], "net__options__activation": "relu", "data__options__side": 12},
         "picture hyperplanes regions regions-units"),
        ("colours", "photo-hopper", "siren",
         {"net__options__hidden": [6], "data__options__side": 12, "data__options__colour": "rgb"}, "picture"),
        ("tanh", "points-outliers", "mlp", {"net__options__activation": "tanh", "net__options__hidden": [4, 3]},
         "boundary field hyperplanes surface"),
        ("numbers", _numbers(2), "mlp", {"net__options__hidden": [6]},
         "field hyperplanes regions regions-units surface"),
        ("bypass", _numbers(5), "mlp", {"net__options__hidden": [6, 7], "net__options__bypass": True},
         "field hyperplanes regions regions-units surface"),
        ("one", _numbers(1), "mlp", {"net__options__hidden": [9]}, "line"),
        ("one-tanh", _numbers(1), "mlp", {"net__options__hidden": [9], "net__options__activation": "tanh"}, "line"),
        ("digits", "digits", "mlp", {"net__options__hidden": [12]}, "boundary field classes hyperplanes regions-units"),
        ("lenet", "digits", "lenet5", {}, "boundary field classes"),
    ],
)  # fmt: skip
def test_what_is_drawn_for_which_net(
    train: Train, tmp_path: Path, name: str, source: Any, net: str, changes: dict, drawn: str
) -> None:
    subject = load(train(name, source, net, **changes))
    found = draw(subject, view(subject))
    assert list(found) == drawn.split()
    house.save(found[drawn.split()[-1]].figure, tmp_path / "figure.svg")
    assert _text(tmp_path / "figure.svg")


def test_a_slice_goes_through_samples_of_different_classes(train: Train) -> None:
    subject = load(train("digits", "digits", net__options__hidden=[12]))
    seen = view(subject)
    assert seen.plane.point_NE is not None and seen.plane.label_N is not None
    assert len(set(seen.plane.label_N.tolist())) == 3
    np.testing.assert_allclose(seen.plane.point_NE[0], 0)
    np.testing.assert_allclose(seen.plane.point_NE[1, 1], 0, atol=1e-12)
    assert subject.source is not None
    batch = subject.source.batch("train", range(500))
    logit_NK = subject.model.net(batch["image_BCHW"]).detach().numpy()
    for value_K in seen.function(seen.plane.point_NE):
        assert np.abs(logit_NK - value_K).max(axis=1).min() < 1e-4, "is what the net says of a training sample"


def test_data_that_are_gone(train: Train, tmp_path: Path) -> None:
    subject = load(train("relu", "points-region", net__options__hidden=[6, 5]))
    without = view(replace(subject, source=None))
    assert without.plane.point_NE is None
    assert "boundary" in draw(replace(subject, source=None), without)
    five = load(train("bypass", _numbers(5), net__options__hidden=[6, 7], net__options__bypass=True))
    data = Path(five.recipe.data.source)
    content = data.read_text()
    data.write_text(content.replace("0.1", "0.2"))
    changed = load(five.folder.path)
    assert changed.source is None
    assert draw(changed, view(changed)).keys() == draw(five, view(five)).keys()
    data.write_text(content)
    conv = replace(load(train("lenet", "digits", "lenet5")), source=None)
    with pytest.raises(UserError, match=r"digits: is gone or has changed .* whose data are there"):
        view(conv)


def test_samples_on_one_line_still_span_a_plane(train: Train) -> None:
    line_ND = np.outer(np.linspace(0, 1, 80), [1.0, 2, 3, 4])
    seen = view(load(train("collinear", line_ND, net__options__hidden=[4])))
    assert seen.plane.point_NE is not None and np.isfinite(seen.function(seen.plane.point_NE)).all()
    assert np.all(np.diff(seen.plane.window) > 0)


def test_a_net_of_too_many_regions_is_drawn_close_up(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load(train("wide", "points-region", net__options__hidden=[30, 20]))
    monkeypatch.setattr("hyperplane.explain.gallery.MOST_REGIONS", 100)
    found = draw(subject, view(subject))
    title = found["regions"].figure.axes[0].get_title(loc="left")
    assert title.endswith("of 50 units (close-up)")
    said = re.search(r"at least ([\d,]+) regions.* 1/(\d+) as wide", found["regions"].caption)
    assert said and int(said[1].replace(",", "")) > 100 and int(said[2]) in [2**k for k in range(1, 31)]
    assert int(re.findall(r"\d+", title)[0]) <= 100


def test_each_of_several_outputs_by_its_name(train: Train, tmp_path: Path) -> None:
    changes = {"net__options__hidden": [6], "data__options__side": 12, "data__options__colour": "rgb"}
    subject = load(train("rgb", "photo-hopper", "mlp", **changes))
    subject = replace(subject, description=replace(subject.description, format="table"))
    seen = view(subject)
    assert seen.layers is not None
    found = draw(subject, seen)
    kinds = ["field", "surface"]
    assert [name for name in found if name[-1].isdigit()] == [f"{kind}-{k}" for kind in kinds for k in (1, 2, 3)]
    house.save(found["field-2"].figure, tmp_path / "field.svg")
    assert "green" in _text(tmp_path / "field.svg")
    many = layers(random_mlp(0, (6,), outputs=6))
    names = ("one", "two", "three", "four", "five", "six")
    six = replace(subject, description=replace(subject.description, target_names=names))
    found = draw(six, replace(seen, function=many, layers=many, plane=replace(seen.plane, value_NK=None)))
    assert "field-4" in found and "field-5" not in found
    assert found["field-4"].caption.endswith("Not drawn: five, six.")


def test_all_of_a_large_picture_is_seen_and_what_was_held_out_is_blue(train: Train) -> None:
    options = {"data__options__side": 90, "data__options__held_out": 0.25, "optimizer__name": "adamw"}
    subject = load(train("held-out", "photo-hopper", "mlp", net__options__hidden=[3], **options))
    seen = view(subject)
    assert seen.plane.window == ((-1.0, 1.0), (-1.0, 1.0))
    picture = draw(subject, seen)["picture"]
    assert picture.caption.endswith("The blue ones were held out.")
    shown_HW3 = np.asarray(picture.figure.axes[1].images[0].get_array())
    assert shown_HW3.shape == (90, 90, 3)
    assert (shown_HW3[..., 2] > shown_HW3[..., 0] + 0.2).sum() == 2025


def test_a_class_is_told_apart_along_one_input(train: Train, tmp_path: Path) -> None:
    x_N = np.linspace(0, 3, 90)
    kinds = ["low", "middle", "high"]
    path = tmp_path / "kinds.csv"
    path.write_text("x,target\n" + "".join(f"{x},{kinds[min(2, int(x))]}\n" for x in x_N))
    subject = load(train("kinds", str(path), net__options__hidden=[4]))
    house.save(draw(subject, view(subject))["line"].figure, tmp_path / "line.svg")
    text = _text(tmp_path / "line.svg")
    assert "Probability of each class" in text and "logit" in text and all(kind in text for kind in kinds)


def test_a_net_that_is_derived_from_an_mlp_has_no_exact_regions(train: Train) -> None:
    class Squared(MLP):
        def forward(self, x: Any, taps: Any = None) -> Any:
            return super().forward(x * x)

    subject = load(train("relu", "points-region", net__options__hidden=[6, 5]))
    other = Squared((2,), 1, hidden=(6, 5)).eval()
    other.load_state_dict(subject.model.net.state_dict())
    seen = view(replace(subject, model=Model(other, subject.model.judge)))
    assert seen.layers is None
    low = np.array([[0.25, 0.5]])
    x = (torch.from_numpy(low * seen.direction_ED.diagonal()) + torch.from_numpy(seen.origin_D)).float()
    np.testing.assert_allclose(seen.function(low), other(x).detach().numpy(), rtol=1e-5)


def test_a_grid_is_coarser_for_a_net_that_takes_long(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load(train("lenet", "digits", "lenet5"))
    assert view(subject).grid == 241
    monkeypatch.setattr("hyperplane.explain.subject._MOST_OPERATIONS", 1e9)
    assert view(subject).grid < 100


def test_of_too_many_smooth_units_no_level_sets_are_drawn(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"net__options__activation": "tanh", "net__options__hidden": [4, 3]}
    subject = load(train("tanh", "points-outliers", **changes))
    monkeypatch.setattr("hyperplane.explain.gallery.MOST_UNITS", 6)
    assert "hyperplanes" not in draw(subject, view(subject))


def test_no_run_no_figures(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such run folder"):
        explain(tmp_path / "nothing")


def test_weights_of_another_net(train: Train, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(train("relu", "points-region", net__options__hidden=[6, 5]), path)
    folder = RunFolder(path)
    folder.write_model({f"net.{name}": value for name, value in random_mlp(0, (3,)).state_dict().items()})
    folder.finish()
    with pytest.raises(UserError, match=r"model.safetensors: net.hidden.0.weight has shape"):
        explain(path)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_lectures_worked_figures(tmp_path: Path, count: int) -> None:
    made = worked.net(count)
    found = regions(made, worked.WINDOW)
    assert len(found) == 1 + count + count * (count - 1) // 2
    house.save(worked.draw(count), tmp_path / "worked.svg")
    text = _text(tmp_path / "worked.svg")
    assert {1: "y = h₁", 2: "y = h₁ + h₂", 3: "y = h₁ + h₂ − h₃"}[count] in text
    assert ("y = −h₃" in text) == (count == 3)
    assert ("y = 0" in text) == (count < 3)


def test_two_layers_of_two_hyperplanes(tmp_path: Path) -> None:
    made = worked.two_layers()
    found = regions(made, worked.WINDOW)
    assert made.widths == (2, 2)
    assert [len(found.bends.of(1, unit)) for unit in range(2)] == [3, 2], (
        "lines of the second layer bend at the first's"
    )
    files = write_worked(tmp_path / "worked", png=True)
    assert [f.stem for f in files if f.suffix == ".svg"] == [
        "one-hyperplane",
        "two-hyperplanes",
        "three-hyperplanes",
        "one-layer-two-hyperplanes",
        "two-layers-two-hyperplanes",
    ]
    assert all(f.is_file() for f in files) and len(files) == 10
    text = _text(tmp_path / "worked" / "two-layers-two-hyperplanes.svg")
    assert "y = h\N{PRIME}₁ + h\N{PRIME}₂" in text and "y = 0" in text


def test_constant_nets_and_names_that_no_font_holds(tmp_path: Path) -> None:
    net = layers(random_mlp(0, (3,)))
    flat = replace(net, output=replace(net.output, weight_HD=np.zeros((1, 3)), bias_H=np.zeros(1)))
    plane = Plane(SQUARE, ("<b>&", "$\\frac{"), np.zeros((0, 2)), np.zeros(0, int), classes=("a\x00", "猫"))
    found = regions(flat, SQUARE)
    value_HWK = np.zeros((20, 20, 1))
    for figure in (
        figures.boundary(plane, [], value_HWK),
        figures.field(plane, value_HWK[..., 0], [], "$", probability=False),
        figures.certainty(plane, np.zeros((20, 20, 2)), []),
        figures.regions(plane, found),
        figures.regions(plane, found, "units"),
        surfaces.surface(plane, found),
        surfaces.surface(plane, value_HWK[..., 0]),
    ):
        house.save(figure, tmp_path / "figure.svg")
        assert "$\\frac{" in _text(tmp_path / "figure.svg")
