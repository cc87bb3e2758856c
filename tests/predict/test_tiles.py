"""Tiles against the whole image: the same away from cuts, every pixel spoken of, and no seam."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.engine.precision import Precision
from hyperplane.errors import UserError
from hyperplane.predict.tiles import Tiling, bands

CPU = Precision(torch.device("cpu"), torch.float32, channels_last=False, why="a test")


def joined(net: nn.Module, image_CHW: torch.Tensor, stride: int, tiling: Tiling) -> torch.Tensor:
    """Return what tiles say of an image, (K, H, W), their bands in order and without a gap."""

    def read(top: int, left: int, rows: int, columns: int) -> torch.Tensor:
        return image_CHW[:, top : top + rows, left : left + columns]

    found, reached = [], 0
    for band in bands(net, read, (image_CHW.shape[1], image_CHW.shape[2]), stride, CPU, tiling):
        assert band.top == reached
        reached += band.logit_KhW.shape[1]
        found.append(band.logit_KhW)
    return torch.cat(found, 1)


@given(st.integers(1, 150), st.integers(1, 150), st.sampled_from([1, 4, 16]), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_every_pixel_is_spoken_of(height, width, stride, more):
    image_CHW = torch.arange(height * width, dtype=torch.float32).view(1, height, width)
    tiling = Tiling(tile=48 + more, margin=8, rise=4)
    said_KHW = joined(nn.Identity(), image_CHW, stride, tiling)
    torch.testing.assert_close(said_KHW, image_CHW, rtol=1e-5, atol=1e-3)


def test_tiles_say_what_the_whole_image_does():
    with seeded(0, "weights"):
        net = nets.build("unet", (3, 64, 64), 2, {"depths": [1, 1], "width": 8}).eval()
    image_CHW = torch.randn(3, 150, 205, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole_KHW = net(image_CHW[None])[0]
    stride: int = net.stride  # pyright: ignore[reportAssignmentType]
    said_KHW = joined(net, image_CHW, stride, Tiling(tile=96, margin=32, rise=16))
    torch.testing.assert_close(said_KHW, whole_KHW, rtol=1e-5, atol=1e-5)


def test_a_net_that_sees_far_has_no_seam():
    class Mean(nn.Module):
        """Says the mean of what it sees, everywhere: tiles disagree, and the blend goes from one to the other."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((1, 2, 3), keepdim=True).expand(-1, 1, *x.shape[2:])

    ramp_1HW = torch.linspace(0, 1, 200).expand(1, 50, 200)
    said_HW = joined(Mean(), ramp_1HW, 4, Tiling(tile=64, margin=8, rise=24))[0]
    assert (said_HW[:, -1] - said_HW[:, 0] > 0.4).all()
    assert said_HW.diff(dim=1).abs().max() < 0.02


def test_a_tile_without_a_middle_is_refused():
    with pytest.raises(UserError, match="type: --tile 384"):
        Tiling(tile=100)
