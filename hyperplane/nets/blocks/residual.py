"""Residual blocks: y = ReLU(F(x) + x), where F is two or three convolutions with batch normalisation.

He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition" (arXiv:1512.03385). Where F changes the
shape, the shortcut does too: by a 1×1 convolution (the paper's option B, `projection`) or without weights, by leaving
out every second pixel and adding channels of zeros (option A, `padding`). A block without its shortcut (`none`) is the
paper's plain counterpart. A `Trunk` is all of the net before its last layer. Submodules have torchvision's names.

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.published import Published

Shortcut = Literal["projection", "padding", "none"]
Stem = Literal["imagenet", "small", "half", "quarter"]
"""A 7×7 convolution that moves by two pixels and pooling after it; a 3×3 that keeps every pixel; or a 7×7 that moves by
two pixels, or by four."""


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


class Trunk(Published):
    """A stem, and stages of residual blocks that halve the image and double the channels."""

    def __init__(
        self,
        channels: int,
        *,
        block: Literal["basic", "bottleneck"],
        depths: tuple[int, ...],
        width: int,
        stem: Stem,
        shortcut: Shortcut = "projection",
    ) -> None:
        """Build it for images of so many channels: `depths` blocks in each stage, the first of `width` channels."""
        super().__init__()
        kernel, stride = {"imagenet": (7, 2), "small": (3, 1), "half": (7, 2), "quarter": (7, 4)}[stem]
        self.conv1 = convolution(channels, width, kernel, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        kind = BasicBlock if block == "basic" else Bottleneck
        self.stages: list[str] = []
        self.widths: list[int] = []
        """Channels of each stage's map."""
        channels = width
        for stage, depth in enumerate(depths):
            blocks = []
            for number in range(depth):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(kind(channels, width * 2**stage, stride, shortcut))
                channels = kind.expansion * width * 2**stage
            self.stages.append(f"layer{stage + 1}")
            self.widths.append(channels)
            self.add_module(self.stages[-1], nn.Sequential(*blocks))

    def maps(self, image_BCHW: Tensor) -> dict[str, Tensor]:
        """Return the stem's map `conv1`, before any pooling, and each stage's, `layer1`, ..., finest first."""
        a_BCHW = self.bn1(self.conv1(image_BCHW)).relu_()
        seen = {"conv1": a_BCHW}
        a_BCHW = self.maxpool(a_BCHW)
        for stage in self.stages:
            a_BCHW = seen[stage] = self.get_submodule(stage)(a_BCHW)
        return seen


def expect_stages(net: str, depths: tuple[int, ...], width: int) -> None:
    """Raise UserError unless there is a stage, and each of them has a block and a channel."""
    if not depths or min(*depths, width) < 1:
        raise UserError(
            f"net {net}: found depths {list(depths)} and width {width}, expected each of them 1 or more; "
            f"type: --net.depths {' '.join(['2'] * max(1, len(depths)))} --net.width 64"
        )


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
