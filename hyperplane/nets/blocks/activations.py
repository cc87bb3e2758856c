"""The lecture's three non-linearities, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["relu", "sigmoid", "tanh"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh}


def initialise(layer: nn.Linear | nn.Conv2d, activation: Activation | None) -> None:
    """Draw a layer's weights for the activation that follows it (None: none), and set its biases to 0.

    He et al. 2015 (arXiv:1502.01852, eq. 10) before a ReLU, Glorot and Bengio 2010 (eq. 16) otherwise.
    """
    if activation == "relu":
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.xavier_uniform_(layer.weight, gain=nn.init.calculate_gain(activation or "linear"))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
