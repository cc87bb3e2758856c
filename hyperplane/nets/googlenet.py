"""GoogLeNet, the net of inception modules: convolutions of several sizes side by side, and two more heads to train.

Szegedy et al. 2015, "Going deeper with convolutions" (arXiv:1409.4842), table 1. State-dict keys and outputs are
torchvision's, whose checkpoint loads. What differs from the paper there: batch normalisation after every convolution
(Ioffe and Szegedy 2015, arXiv:1502.03167), no local response normalisation, 3×3 convolutions where the paper has 5×5
(a slip that the checkpoint was trained with), and auxiliary heads that begin with a mean to 4×4 pixels, so that images
of other sizes can be read. The published checkpoint expects inputs in [-1, 1].

The auxiliary heads read the maps of `inception4a` and `inception4d`. In training, where `taps` are given, their outputs
are among them, and the task adds their losses by the weights of `auxiliary` (section 5: 0.3); prediction leaves them
out.

Shape suffixes: B batch, C channels, H and W pixels, D features.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.chance import Dropout
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.published import Published, Weights

VARIANTS: dict[str, dict] = {"googlenet-one-head": {"heads": False}}
EXAMPLE = {"shape": (3, 224, 224), "outputs": 1000, "options": {"width": 8}}

PUBLISHED = {"1378be20": Weights("googlenet", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))}

# Columns of table 1: 1×1; 3×3 reduce, 3×3; 5×5 reduce, 5×5; pool projection.
MODULES: dict[str, tuple[int, int, int, int, int, int]] = {
    "inception3a": (64, 96, 128, 16, 32, 32),
    "inception3b": (128, 128, 192, 32, 96, 64),
    "inception4a": (192, 96, 208, 16, 48, 64),
    "inception4b": (160, 112, 224, 24, 64, 64),
    "inception4c": (128, 128, 256, 24, 64, 64),
    "inception4d": (112, 144, 288, 32, 64, 64),
    "inception4e": (256, 160, 320, 32, 128, 128),
    "inception5a": (256, 160, 320, 32, 128, 128),
    "inception5b": (384, 192, 384, 48, 128, 128),
}
POOLED = {"inception3b": (3, 2), "inception4e": (2, 2)}
"""Modules that are followed by max pooling, with its window and stride."""
HEADS = {"inception4a": "aux1", "inception4d": "aux2"}
"""Modules that an auxiliary head reads."""
LEAST = 32
"""The net's stride: the shortest side of an image, in pixels."""


class GoogLeNet(Published):
    """Three convolutions, nine inception modules, a mean, and a linear layer."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, heads: bool = True, width: int = 64, dropout: float = 0.2
    ) -> None:
        """Build it for images (C, H, W), with or without the auxiliary heads.

        `width` is the first convolution's channels, to which all others keep their ratio, a multiple of 4; `dropout` in
        [0, 1) acts before the last layer.
        """
        super().__init__()
        if width < 4 or width % 4:
            raise UserError(f"net googlenet.width: found {width}, expected a multiple of 4; type: --net.width 64")
        self.channels = expect_shape("googlenet", shape, LEAST)
        self.conv1 = Convolution(self.channels, width, 7, 2)
        self.conv2 = Convolution(width, width, 1)
        self.conv3 = Convolution(width, 3 * width, 3)
        channels = 3 * width
        for name, column in MODULES.items():
            module = Inception(channels, *(count * width // 64 for count in column))
            self.add_module(name, module)
            channels = module.outputs
        for name, head in HEADS.items() if heads else ():
            read = cast(Inception, self.get_submodule(name)).outputs
            self.add_module(head, AuxiliaryHead(read, 2 * width, outputs))
        self.dropout = Dropout(dropout)
        self.fc = nn.Linear(channels, outputs)
        initialise(self.fc, None)
        self.auxiliary = {"aux1": 0.3, "aux2": 0.3} if heads else {}

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `conv1` ... `conv3`, `inception3a` ... are maps, `features` the last one's mean.

        In training the taps `aux1` and `aux2` are the auxiliary heads' outputs.
        """
        expect_batch("googlenet", x, self.channels, LEAST)
        if self.training:
            expect_several("googlenet", x, LEAST)
        seen = {"conv1": self.conv1(x)}
        seen["conv2"] = self.conv2(_pool(seen["conv1"], 3, 2))
        seen["conv3"] = self.conv3(seen["conv2"])
        a_BCHW = _pool(seen["conv3"], 3, 2)
        for name in MODULES:
            a_BCHW = seen[name] = self.get_submodule(name)(a_BCHW)
            if name in POOLED:
                a_BCHW = _pool(a_BCHW, *POOLED[name])
            if taps is not None and self.training and self.auxiliary and name in HEADS:
                seen[HEADS[name]] = self.get_submodule(HEADS[name])(a_BCHW)
        feature_BD = seen["features"] = a_BCHW.mean((2, 3))
        if taps is not None:
            taps |= seen
        return self.fc(self.dropout(feature_BD))


class Convolution(nn.Module):
    """A convolution, batch normalisation and a ReLU."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)
        initialise(self.conv, "relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H / stride, W / stride)."""
        return self.bn(self.conv(x)).relu_()


class Inception(nn.Module):
    """Four branches side by side: 1×1; 1×1 then 3×3; 1×1 then 3×3 (the paper: 5×5); pooling then 1×1 (figure 2b)."""

    def __init__(
        self, channels: int, one: int, reduce_three: int, three: int, reduce_five: int, five: int, pooled: int
    ) -> None:
        super().__init__()
        self.branch1 = Convolution(channels, one, 1)
        self.branch2 = nn.Sequential(Convolution(channels, reduce_three, 1), Convolution(reduce_three, three, 3))
        self.branch3 = nn.Sequential(Convolution(channels, reduce_five, 1), Convolution(reduce_five, five, 3))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), Convolution(channels, pooled, 1))
        self.outputs = one + three + five + pooled

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' maps behind one another."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class AuxiliaryHead(nn.Module):
    """A mean to 4×4 pixels, a 1×1 convolution, and two dense layers with much dropout (section 5)."""

    def __init__(self, channels: int, width: int, outputs: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = Convolution(channels, width, 1)
        self.fc1 = nn.Linear(16 * width, 8 * width)
        self.dropout = Dropout(0.7)
        self.fc2 = nn.Linear(8 * width, outputs)
        initialise(self.fc1, "relu")
        initialise(self.fc2, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs)."""
        hidden_BD = self.fc1(self.conv(self.pool(x)).flatten(1)).relu_()
        return self.fc2(self.dropout(hidden_BD))


def _pool(x: Tensor, window: int, stride: int) -> Tensor:
    return nn.functional.max_pool2d(x, window, stride, ceil_mode=True)


NET = GoogLeNet
