"""Residual blocks: y = ReLU(F(x) + x), where F is two or three convolutions with batch normalisation.

He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition" (arXiv:1512.03385). Where F changes the
shape, the shortcut does too: by a 1×1 convolution (the paper's option B, `projection`) or without weights, by leaving
out every second pixel and adding channels of zeros (option A, `padding`). A block without its shortcut (`none`) is the
paper's plain counterpart. Submodules have torchvision's names.

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.nets.blocks.activations import initialise

Shortcut = Literal["projection", "padding", "none"]


def convolution(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the image's size up to its stride; the normalisation after it has the bias."""
    layer = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
    initialise(layer, "relu")
    return layer


class BasicBlock(nn.Module):
    """Two 3×3 convolutions (figure 5, left)."""

    expansion: ClassVar[int] = 1

    def __init__(self, channels: int, width: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = convolution(channels, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.bypassed = shortcut != "none"
        self.downsample = _downsample(channels, width, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return ReLU(F(x) + x)."""
        y_BCHW = self.bn1(self.conv1(x)).relu_()
        y_BCHW = self.bn2(self.conv2(y_BCHW))
        if self.bypassed:
            y_BCHW += x if self.downsample is None else self.downsample(x)
        return y_BCHW.relu_()


class Bottleneck(nn.Module):
    """A 1×1 convolution that narrows, a 3×3, and a 1×1 that widens by four (figure 5, right)."""

    expansion: ClassVar[int] = 4

    def __init__(self, channels: int, width: int, stride: int, shortcut: Shortcut) -> None:
        """Build one; the stride is in the 3×3, as in torchvision (the paper: in the first 1×1)."""
        super().__init__()
        self.conv1 = convolution(channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, self.expansion * width, 1)
        self.bn3 = nn.BatchNorm2d(self.expansion * width)
        self.bypassed = shortcut != "none"
        self.downsample = _downsample(channels, self.expansion * width, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return ReLU(F(x) + x)."""
        y_BCHW = self.bn1(self.conv1(x)).relu_()
        y_BCHW = self.bn2(self.conv2(y_BCHW)).relu_()
        y_BCHW = self.bn3(self.conv3(y_BCHW))
        if self.bypassed:
            y_BCHW += x if self.downsample is None else self.downsample(x)
        return y_BCHW.relu_()


class PaddedShortcut(nn.Module):
    """Option A: every stride-th pixel, and channels of zeros behind those that are there."""

    def __init__(self, stride: int, more: int) -> None:
        super().__init__()
        self.stride, self.more = stride, more

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C + more, H / stride, W / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))


def _downsample(channels: int, width: int, stride: int, shortcut: Shortcut) -> nn.Module | None:
    """Return what gives a block's input the shape of its output; None where it has it, or where nothing is added."""
    if shortcut == "none" or (stride == 1 and channels == width):
        return None
    if shortcut == "padding":
        return PaddedShortcut(stride, width - channels)
    return nn.Sequential(convolution(channels, width, 1, stride), nn.BatchNorm2d(width))
