"""Single-layer perceptron: one hyperplane per output, y = W x + b.

Rosenblatt 1958, "The perceptron: a probabilistic model for information storage and organization in the brain". The
threshold of the original is the task's: a sigmoid or a softmax, and none for regression.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from hyperplane.nets.blocks.activations import initialise

VARIANTS: dict[str, dict] = {}
EXAMPLE = {"shape": (2,), "outputs": 1, "options": {}}


class Perceptron(nn.Module):
    """A linear map of the flattened input."""

    ACCEPTS = ("feature_BD", "image_BCHW")

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.output = nn.Linear(math.prod(shape), outputs)
        initialise(self.output, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return W x + b, of shape (B, outputs)."""
        return self.output(x.flatten(1))


NET = Perceptron
