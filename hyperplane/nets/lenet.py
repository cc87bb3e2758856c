"""LeNet-5, the convolutional net that read cheques.

LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition", section II.B. What
differs from the paper: the second convolution reads all six maps (the paper connects a hand-chosen part), pooling has
no weights, and the output is linear (the paper: radial basis functions). ReLU and max pooling by default; the variant
`lenet5-1998` has the paper's tanh and average.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import ACTIVATIONS, Activation, initialise
from hyperplane.nets.blocks.chance import Dropout

# Columns: activation of every hidden layer, kind of pooling (the paper's section II.B, layers S2 and S4).
VARIANTS: dict[str, dict] = {
    "lenet5": {},
    "lenet5-1998": {"activation": "tanh", "pooling": "average"},
}
EXAMPLE = {"shape": (1, 28, 28), "outputs": 10, "options": {}}

SIDE = 32
"""The paper's input, in pixels: a 28×28 digit with a margin of 2."""


class LeNet5(nn.Module):
    """Two convolutions 5×5, each with pooling, and three fully connected layers: 61,706 weights for grey digits."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        activation: Activation = "relu",
        pooling: Literal["max", "average"] = "max",
        dropout: float = 0.0,
    ) -> None:
        """Build it for images of shape (C, H, W); `dropout` in [0, 1) acts on the two hidden dense layers."""
        super().__init__()
        if len(shape) != 3:
            raise UserError(
                f"net lenet: found inputs of shape {shape}, expected images (channels, height, width); type: --net mlp"
            )
        self.conv1 = nn.Conv2d(shape[0], 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.dense1 = nn.Linear(16 * 5 * 5, 120)
        self.dense2 = nn.Linear(120, 84)
        self.output = nn.Linear(84, outputs)
        self.activation = ACTIVATIONS[activation]
        self.pool = F.max_pool2d if pooling == "max" else F.avg_pool2d
        self.dropout = Dropout(dropout)
        for layer in (self.conv1, self.conv2, self.dense1, self.dense2):
            initialise(layer, activation)
        initialise(self.output, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs) for images of any size: 28×28 get the paper's margin, others are resized to 32×32."""
        a_BCHW = self.activation(self.conv1(_to_side(x)))
        b_BCHW = self.activation(self.conv2(self.pool(a_BCHW, 2)))
        c_BD = self.activation(self.dense1(self.pool(b_BCHW, 2).flatten(1)))
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
