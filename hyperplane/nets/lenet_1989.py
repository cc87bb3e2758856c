"""LeNet of 1989, the first convolutional net that learned to read digits: 9,760 weights.

LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition". Convolutions move by two pixels, every
unit has a bias of its own, and each map of the second layer reads eight of the first's twelve. What differs from the
paper: which eight (it does not say), zeros rather than the background's -1 beyond the edge, a plain tanh, and the
task's loss rather than the squared error.

Shape suffixes: B batch, C channels, H and W pixels, D units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.nets.blocks.activations import ACTIVATIONS, Activation, initialise
from hyperplane.nets.blocks.images import expect_batch, expect_shape

VARIANTS: dict[str, dict] = {}
EXAMPLE = {"shape": (1, 16, 16), "outputs": 10, "options": {}}

SIDE = 16
"""The paper's input, in pixels."""
READ = (*range(0, 8), *range(4, 12), *range(0, 4), *range(8, 12))
"""Maps of the first layer that the first, second and last four maps of the second read, eight each."""


class LeNet1989(nn.Module):
    """Two convolutions 5×5 of stride 2 with twelve maps each, 30 hidden units, and a linear layer."""

    ACCEPTS = ("image_BCHW",)

    def __init__(self, shape: tuple[int, ...], outputs: int, *, activation: Activation = "tanh") -> None:
        """Build it for images of shape (C, H, W)."""
        super().__init__()
        self.channels = expect_shape("lenet-1989", shape, 1)
        self.conv1 = nn.Conv2d(self.channels, 12, 5, stride=2, padding=2, bias=False)
        self.bias1_CHW = nn.Parameter(torch.zeros(12, SIDE // 2, SIDE // 2))
        self.conv2 = nn.Conv2d(24, 12, 5, stride=2, padding=2, groups=3, bias=False)
        self.bias2_CHW = nn.Parameter(torch.zeros(12, SIDE // 4, SIDE // 4))
        self.dense = nn.Linear(12 * SIDE // 4 * SIDE // 4, 30)
        self.output = nn.Linear(30, outputs)
        self.activation = ACTIVATIONS[activation]
        for layer in (self.conv1, self.conv2, self.dense):
            initialise(layer, activation)
        initialise(self.output, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs) for images of any size, which are resized to 16×16."""
        expect_batch("lenet-1989", x, self.channels, 1)
        if x.shape[-2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        a_BCHW = self.activation(self.conv1(x) + self.bias1_CHW)
        b_BCHW = self.activation(self.conv2(a_BCHW[:, READ]) + self.bias2_CHW)
        c_BD = self.activation(self.dense(b_BCHW.flatten(1)))
        if taps is not None:
            taps |= {"conv1": a_BCHW, "conv2": b_BCHW, "dense": c_BD}
        return self.output(c_BD)


NET = LeNet1989
