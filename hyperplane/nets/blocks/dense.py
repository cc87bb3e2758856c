"""What nets that speak of every pixel share: padding to a whole number of steps, and the way back up to the pixels.

A decoder step brings a coarse map to the size of a finer one, lays both side by side and convolves them (Ronneberger,
Fischer and Brox 2015, arXiv:1505.04597). The last step to the pixels is a convolution that gives each place of a map
the values of all its pixels (Shi et al. 2016, arXiv:1609.05158); they begin alike, so that no pattern of the step is
drawn over the image (Aitken et al. 2017, arXiv:1707.02937).

Shape suffixes: B batch, C channels, H and W pixels, K outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.residual import BasicBlock, convolution


def padded(image_BCHW: Tensor, multiple: int) -> Tensor:
    """Return images whose sides are multiples of a number of pixels: right and below, the edge goes on."""
    height, width = image_BCHW.shape[-2:]
    down, right = -height % multiple, -width % multiple
    return F.pad(image_BCHW, (0, right, 0, down), mode="replicate") if down or right else image_BCHW


class Up(nn.Module):
    """A step up: a coarse map, made as fine as another, beside which two convolutions read it."""

    def __init__(self, coarse: int, fine: int, width: int) -> None:
        """Build it for maps of so many channels; it returns one of `width`."""
        super().__init__()
        self.narrow = convolution(coarse, width, 1)
        self.bn = nn.BatchNorm2d(width)
        self.block = BasicBlock(width + fine, width, 1, "none")

    def forward(self, coarse_BChw: Tensor, fine_BCHW: Tensor) -> Tensor:
        """Return (B, width, H, W)."""
        a_BChw = self.bn(self.narrow(coarse_BChw)).relu_()
        up_BCHW = F.interpolate(a_BChw, fine_BCHW.shape[-2:], mode="nearest")
        return self.block(torch.cat([up_BCHW, fine_BCHW], dim=1))


class ToPixels(nn.Module):
    """A 3×3 convolution that gives each place of a map the outputs of its `step` × `step` pixels."""

    def __init__(self, channels: int, outputs: int, step: int) -> None:
        super().__init__()
        self.step = step
        self.conv = nn.Conv2d(channels, outputs * step * step, 3, padding=1)
        initialise(self.conv, None)
        with torch.no_grad():
            self.conv.weight.copy_(self.conv.weight[:: step * step].repeat_interleave(step * step, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K, step · H, step · W)."""
        return F.pixel_shuffle(self.conv(x), self.step)
