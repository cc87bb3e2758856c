"""Multi-layer perceptron of any depth: h ← σ(W h + b), then a linear output.

Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors". The bypass is the
parameter-free one of He et al. 2016 (arXiv:1512.03385, option A): h ← h + σ(W h + b), the shorter of the two padded
with zeros or the longer cut, so that it adds no weight whatever the widths.

The weights of n layers behind a bypass are drawn smaller, so that h does not grow with the depth: by 1/√n for tanh
(Hayou et al. 2021, "Stable ResNet", arXiv:2010.12859), whose layers have mean 0, so that variances add up; and by 1/n
for ReLU, whose layers are positive, so that means add up. A sigmoid adds about a half whatever its weights, so that
these are drawn as in a plain net. benchmarks/bypass.py compares these ways, and others.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import ACTIVATIONS, Activation, initialise
from hyperplane.nets.blocks.chance import Dropout

VARIANTS: dict[str, dict] = {}
EXAMPLE = {"shape": (2,), "outputs": 1, "options": {"hidden": (8, 5)}}


class MLP(nn.Module):
    """Layers of units, each connected to all of the layer before."""

    ACCEPTS = ("feature_BD", "image_BCHW")

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        hidden: tuple[int, ...] = (64, 64),
        activation: Activation = "relu",
        bypass: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Build a net with layers of `hidden` units; `bypass` from the second hidden layer on; `dropout` in [0, 1)."""
        super().__init__()
        if not all(width > 0 for width in hidden):
            raise UserError(
                f"net mlp.hidden: found {list(hidden)}, expected widths of 1 or more; type: --net.hidden 64 64"
            )
        widths = (math.prod(shape), *hidden)
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.output = nn.Linear(widths[-1], outputs)
        self.activation = ACTIVATIONS[activation]
        self.bypass = bypass
        self.dropout = Dropout(dropout) if dropout else None
        for layer in self.hidden:
            initialise(layer, activation)  # pyright: ignore[reportArgumentType]
        initialise(self.output, None)
        behind = list(self.hidden)[1:] if bypass else []
        with torch.no_grad():
            for layer in behind:
                layer.weight *= behind_bypass(activation, len(behind))  # pyright: ignore[reportOperatorIssue]

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `hidden1`, `hidden2`, ... are the layers' activations."""
        h_BD = x.flatten(1)
        for depth, layer in enumerate(self.hidden, 1):
            a_BD = self.activation(layer(h_BD))
            h_BD = a_BD + _fit(h_BD, a_BD.shape[1]) if self.bypass and depth > 1 else a_BD
            if self.dropout is not None:
                h_BD = self.dropout(h_BD)
            if taps is not None:
                taps[f"hidden{depth}"] = h_BD
        return self.output(h_BD)


def behind_bypass(activation: Activation, count: int) -> float:
    """Return what the drawn weights of each of `count` layers behind a bypass are multiplied by."""
    return {"relu": 1 / count, "tanh": count**-0.5, "sigmoid": 1.0}[activation]


def _fit(h_BD: Tensor, width: int) -> Tensor:
    return F.pad(h_BD, (0, width - h_BD.shape[1]))  # a negative pad cuts


NET = MLP
