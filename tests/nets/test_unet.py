"""U-Net and ViT with a dense head: sizes, weights of ResNets, positions, and views that are brought back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.engine.model import SeveralViews, Views
from hyperplane.errors import UserError


def built(name: str, shape: tuple[int, ...] = (3, 64, 64), **options: object) -> nn.Module:
    with seeded(0, "weights"):
        return nets.build(name, shape, 2, options).eval()


@pytest.mark.parametrize("name", ["unet", "unet-quick", "unet-hybrid", "unet-hybrid-quick", "vit-dense"])
def test_small_forms_have_less_than_five_million_weights(name):
    with torch.device("meta"):
        net = nets.build(name, (3, 400, 400), 1)
    assert sum(p.numel() for p in net.parameters()) < 5_000_000


@pytest.mark.parametrize("name", ["unet", "vit-dense"])
def test_images_of_other_sizes_than_built_for_are_read(name):
    options = {"unet": {"depths": [1, 1], "width": 8, "layers": 1}, "vit-dense": {"width": 12, "depth": 1}}[name]
    net = built(name, **options)
    for height, width in ((1, 1), (5, 70), (33, 31)):
        assert net(torch.randn(1, 3, height, width)).shape == (1, 2, height, width)
    with pytest.raises(UserError, match="found a batch of shape"):
        net(torch.randn(1, 1, 8, 8))


def test_a_pixel_is_spoken_of_where_it_is():
    net = built("unet", depths=[1, 1], width=8, stem="small")
    black = torch.zeros(1, 3, 40, 48)
    dotted = black.clone()
    dotted[0, :, 20, 30] = 5.0
    with torch.no_grad():
        change_HW = (net(dotted) - net(black)).abs().sum((0, 1))
    rows, columns = torch.nonzero(change_HW > 1e-6, as_tuple=True)
    assert 8 <= rows.min() and rows.max() <= 32 and 18 <= columns.min() and columns.max() <= 42
    assert change_HW[18:23, 28:33].max() == change_HW.max()


@pytest.mark.parametrize(("name", "step"), [("unet-quick", 4), ("unet", 2), ("vit-dense-linear", 8)])
def test_a_net_says_the_same_of_all_pixels_of_a_place_before_it_learns(name, step):
    with torch.no_grad():
        said_BKHW = built(name)(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    place_BKhw = said_BKHW[:, :, ::step, ::step]
    assert place_BKhw.std() > 0.01 and not torch.equal(place_BKhw[:, 0], place_BKhw[:, 1])
    torch.testing.assert_close(place_BKhw.repeat_interleave(step, 2).repeat_interleave(step, 3), said_BKHW)


def test_the_way_down_takes_a_resnets_weights():
    with seeded(1, "weights"):
        resnet = nets.build("resnet", (3, 64, 64), 7, {"depths": [1, 2], "width": 8})
    net = built("unet", depths=[1, 2], width=8, stem="imagenet")
    net.load_published(resnet.state_dict())  # pyright: ignore[reportCallIssue]
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen: dict[str, torch.Tensor] = {}
    mine: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        resnet.eval()(x, seen)
        net(x, mine)
    assert torch.equal(seen["layer2"], mine["layer2"])
    with pytest.raises(UserError, match="the state dict lacks"):
        net.load_published({})  # pyright: ignore[reportCallIssue]


def test_all_but_the_head_takes_a_vits_weights():
    options = {"width": 12, "depth": 2, "heads": 2, "patch": 4, "stem": "patch"}
    with seeded(1, "weights"):
        vit = nets.build("vit", (3, 16, 16), 7, {**options, "pool": "mean"})
        classed = nets.build("vit", (3, 16, 16), 7, options)
    net = built("vit-dense", (3, 16, 16), **options)
    net.load_published(vit.state_dict())  # pyright: ignore[reportCallIssue]
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    theirs: dict[str, torch.Tensor] = {}
    mine: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        vit.eval()(x, theirs)
        net(x, mine)
    torch.testing.assert_close(mine["layer2"], theirs["layer2"])
    larger = built("vit-dense", (3, 24, 32), **options)
    larger.load_published(classed.state_dict())  # pyright: ignore[reportCallIssue]
    with pytest.raises(UserError, match="the state dict has"):
        built("vit-dense", **{**options, "width": 16}).load_published(vit.state_dict())  # pyright: ignore


def test_wrong_options_are_told():
    for name, options, told in (
        ("unet", {"depths": []}, "found depths"),
        ("unet", {"layers": -1}, "layers -1"),
        ("vit-dense", {"patch": 6}, "a power of 2"),
        ("vit-dense", {"width": 10, "heads": 3}, "the heads divide"),
    ):
        with pytest.raises(UserError, match=told):
            nets.build(name, (3, 64, 64), 1, options)


@pytest.mark.parametrize("views", ["mirrored", "turned", "moved", "mirrored-moved"])
def test_views_of_pixels_are_brought_back(views: Views):
    class Pixels(nn.Module):
        SAYS_OF = "pixel"

        def forward(self, x: torch.Tensor, taps: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
            return 2 * x

    image_BCHW = torch.randn(2, 1, 7, 10, generator=torch.Generator().manual_seed(0))
    said_BCHW = SeveralViews(Pixels().eval(), views)(image_BCHW)
    torch.testing.assert_close(said_BCHW[:, :, 1:-1, 1:-1], 2 * image_BCHW[:, :, 1:-1, 1:-1])
