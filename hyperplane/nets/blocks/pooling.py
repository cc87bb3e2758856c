"""Pooling: how a net makes its maps smaller, each way by half.

The greatest or the mean of a window; a convolution that moves by two pixels, either the one that is there or a further
one (Springenberg et al. 2015, "Striving for simplicity: the all convolutional net", arXiv:1412.6806); or a fixed
Gaussian, which takes away what half the pixels cannot hold (Zhang 2019, "Making convolutional networks shift-invariant
again", arXiv:1904.11486).

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.nets.blocks.activations import ACTIVATIONS, Activation, initialise
from hyperplane.nets.blocks.filters import gaussian

Pooling = Literal["max", "average", "strided", "convolution", "gaussian"]
"""What follows a convolution; with `strided` nothing does, and it moves by two pixels itself."""


def stride_before(pooling: Pooling) -> int:
    """Return the step of the convolution that is pooled."""
    return 2 if pooling == "strided" else 1


def layer(pooling: Pooling, channels: int, window: tuple[int, int], activation: Activation) -> nn.Module:
    """Return the layer that halves maps of so many channels.

    `window` is that of max and average, in rows and columns; it moves by 2, whatever its size. `activation` follows the
    further convolution.
    """
    match pooling:
        case "max":
            return nn.MaxPool2d(window, 2, ceil_mode=True)
        case "average":
            return nn.AvgPool2d(window, 2, ceil_mode=True)
        case "strided":
            return nn.Identity()
        case "convolution":
            return ConvolutionPool(channels, activation)
        case "gaussian":
            return GaussianPool(channels)


class ConvolutionPool(nn.Module):
    """A further 3×3 convolution at every second pixel, with its activation."""

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, 2, padding=1)
        self.activation = ACTIVATIONS[activation]
        initialise(self.conv, activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / 2, W / 2), rounded up."""
        return self.activation(self.conv(x))


class GaussianPool(nn.Module):
    """A Gaussian of deviation 1, which is not learned, at every second pixel."""

    mask: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        mask_hw = gaussian(1.0, size=5).float()
        self.register_buffer("mask", mask_hw.expand(channels, 1, -1, -1).contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H / 2, W / 2), rounded up; beyond its edge the map goes on as at the edge."""
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), self.mask, stride=2, groups=len(self.mask))
