"""LeNet-5, the convolutional net that read cheques.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section II.B. What
differs from the paper: the second convolution reads all six maps (the paper connects a hand-chosen part), pooling has
no weights, and the output is linear (the paper: radial basis functions). ReLU and max pooling by default; the variant
`lenet5-1998` has the paper's tanh and average. The variants named after their pooling are the rows of the lecture's
table "without max pooling", alike in all else, each with pooling that moves by 2; and the first layer may be a bank of
filters that are not learned.

Shape suffixes: B batch, C channels, H and W pixels, D units.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import ACTIVATIONS, Activation, initialise
from hyperplane.nets.blocks.chance import Dropout
from hyperplane.nets.blocks.filters import FixedConvolution, gabor_bank, gaussian, gaussian_bank
from hyperplane.nets.blocks.images import expect_batch, expect_shape
from hyperplane.nets.blocks.pooling import Pooling, stride_before
from hyperplane.nets.blocks.pooling import layer as pooling_layer

# Columns: activation of every hidden layer, kind of pooling (the paper's section II.B, layers S2 and S4), first layer.
VARIANTS: dict[str, dict] = {
    "lenet5": {},
    "lenet5-1998": {"activation": "tanh", "pooling": "average"},
    "lenet5-max2x3": {"pooling": "max", "window": (2, 3)},
    "lenet5-strided": {"pooling": "strided"},
    "lenet5-convolution": {"pooling": "convolution"},
    "lenet5-gaussian": {"pooling": "gaussian"},
    "lenet5-derivatives": {"first": "derivatives"},
    "lenet5-gabor": {"first": "gabor"},
}
EXAMPLE = {"shape": (1, 28, 28), "outputs": 10, "options": {}}

SIDE = 32
"""The paper's input, in pixels: a 28×28 digit with a margin of 2."""


FIXED = {
    "derivatives": lambda: [*gaussian_bank([1.0], directions=2, size=5), gaussian(1.0, 2, math.pi / 4, size=5)],
    "gabor": lambda: gabor_bank([1.25], directions=3, size=5),
}
"""Six filters each: a Gaussian with its two first derivatives and three second ones; Gabor functions, even and odd."""


class LeNet5(nn.Module):
    """Two convolutions 5×5, each with pooling, and three fully connected layers: 61,706 weights for grey digits."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        activation: Activation = "relu",
        pooling: Pooling = "max",
        window: tuple[int, int] = (2, 2),
        first: Literal["learned", "derivatives", "gabor"] = "learned",
        dropout: float = 0.0,
    ) -> None:
        """Build it for images of shape (C, H, W).

        `window` is that of max and average pooling, in rows and columns of 2 to 4; `first` says what the first layer's
        filters are; `dropout` in [0, 1) acts on the two hidden dense layers.
        """
        super().__init__()
        self.channels = channels = expect_shape("lenet", shape, 1)
        if not all(2 <= side <= 4 for side in window):
            raise UserError(f"net lenet.window: found {list(window)}, expected 2 to 4 each; type: --net.window 2 2")
        if first != "learned" and pooling == "strided":
            raise UserError(
                f"net lenet: found first {first} with strided pooling, whose step the fixed filters have not; "
                "type: --net.pooling gaussian"
            )
        step = stride_before(pooling)
        self.conv1 = (
            nn.Conv2d(channels, 6, 5, step) if first == "learned" else FixedConvolution(FIXED[first](), channels)
        )
        self.pool1 = pooling_layer(pooling, 6, window, activation)
        self.conv2 = nn.Conv2d(6, 16, 5, step)
        self.pool2 = pooling_layer(pooling, 16, window, activation)
        self.dense1 = nn.Linear(16 * 5 * 5, 120)
        self.dense2 = nn.Linear(120, 84)
        self.output = nn.Linear(84, outputs)
        self.activation = ACTIVATIONS[activation]
        self.dropout = Dropout(dropout)
        for layer in (self.conv1, self.conv2, self.dense1, self.dense2):
            if not isinstance(layer, FixedConvolution):
                initialise(layer, activation)
        initialise(self.output, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs) for images of any size: 28×28 get the paper's margin, others are resized to 32×32."""
        expect_batch("lenet", x, self.channels, 1)
        a_BCHW = self.activation(self.conv1(_to_side(x)))
        b_BCHW = self.activation(self.conv2(self.pool1(a_BCHW)))
        c_BD = self.activation(self.dense1(self.pool2(b_BCHW).flatten(1)))
        d_BD = self.activation(self.dense2(self.dropout(c_BD)))
        if taps is not None:
            taps |= {"conv1": a_BCHW, "conv2": b_BCHW, "dense1": c_BD, "dense2": d_BD}
        return self.output(self.dropout(d_BD))


def _to_side(image_BCHW: Tensor) -> Tensor:
    if image_BCHW.shape[-2:] == (SIDE, SIDE):
        return image_BCHW
    if image_BCHW.shape[-2:] == (SIDE - 4, SIDE - 4):
        return F.pad(image_BCHW, (2, 2, 2, 2))
    return F.interpolate(image_BCHW, (SIDE, SIDE), mode="bilinear", antialias=True)


NET = LeNet5
