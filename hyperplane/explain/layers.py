"""A trained MLP or perceptron as plain float64 arrays: what the exact geometry is computed from.

Shape suffixes: B samples, D inputs, E coordinates of a slice, H units of one layer, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from torch import Tensor, nn

from hyperplane.contracts import Description
from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import ACTIVATIONS
from hyperplane.nets.mlp import MLP
from hyperplane.nets.perceptron import Perceptron

Activation = Literal["relu", "sigmoid", "tanh"]


@dataclass(frozen=True)
class Layer:
    """An affine map: weight_HD x + bias_H."""

    weight_HD: np.ndarray
    bias_H: np.ndarray

    def __call__(self, x_BD: np.ndarray) -> np.ndarray:
        """Return weight_HD x + bias_H for each sample, (B, H)."""
        return x_BD @ self.weight_HD.T + self.bias_H


@dataclass(frozen=True)
class Layers:
    """Hidden layers h ← σ(W h + b), with or without bypass, and a linear output; no hidden layer is a perceptron."""

    hidden: tuple[Layer, ...]
    output: Layer
    activation: Activation = "relu"
    bypass: bool = False
    """From the second hidden layer on: h ← h + σ(W h + b), h padded with zeros or cut to the layer's width."""

    @property
    def inputs(self) -> int:
        """Return how many numbers one input holds."""
        return (self.hidden[0] if self.hidden else self.output).weight_HD.shape[1]

    @property
    def widths(self) -> tuple[int, ...]:
        """Return how many units each hidden layer has."""
        return tuple(len(layer.bias_H) for layer in self.hidden)

    def __call__(self, x_BD: np.ndarray) -> np.ndarray:
        """Return the net's outputs, (B, K)."""
        return self.output(self._forward(x_BD)[1])

    def before(self, x_BD: np.ndarray) -> list[np.ndarray]:
        """Return what each hidden layer's units hold before their activation, each (B, H)."""
        return self._forward(x_BD)[0]

    def _forward(self, x_BD: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        h_BD = np.asarray(x_BD, np.float64)
        before: list[np.ndarray] = []
        for depth, layer in enumerate(self.hidden):
            before.append(layer(h_BD))
            a_BH = _SIGMA[self.activation](before[-1])
            h_BD = a_BH + fit(h_BD, a_BH.shape[1]) if self.bypass and depth else a_BH
        return before, h_BD

    def through(self, direction_ED: np.ndarray, origin_D: np.ndarray) -> Layers:
        """Return the net of p_E that this net is of x_D = origin_D + p_E direction_ED, a slice of its input."""
        first = self.hidden[0] if self.hidden else self.output
        moved = Layer(first.weight_HD @ direction_ED.T, first(origin_D[None])[0])
        if self.hidden:
            return replace(self, hidden=(moved, *self.hidden[1:]))
        return replace(self, output=moved)


@dataclass(frozen=True)
class Units:
    """What one standardised input means to a person: x = mean + std · input."""

    mean_D: np.ndarray
    std_D: np.ndarray
    names: tuple[str, ...]
    """Of each input; empty for pictures."""


def layers(net: nn.Module) -> Layers:
    """Return an MLP or a perceptron as float64 arrays, in its own standardised inputs; dropout is off, as in use.

    Raises UserError for any other net.
    """
    if isinstance(net, Perceptron):
        return Layers((), _layer(net.output))
    if isinstance(net, MLP):
        name = next(n for n, function in ACTIVATIONS.items() if function is net.activation)
        hidden = tuple(_layer(layer) for layer in net.hidden)
        return Layers(hidden, _layer(net.output), name, net.bypass)  # pyright: ignore[reportArgumentType]
    raise UserError(
        f"net: found {type(net).__name__.lower()}, but hyperplanes and regions are those of an mlp or a perceptron; "
        "train one with --net mlp"
    )


def units(description: Description) -> Units:
    """Return how the inputs were standardised; categories, and whether a number is missing, were left as they are."""
    encoding = description.encoding
    if description.kind == "image":
        channels, *size = description.shapes[description.input]
        mean_C, std_C = (np.asarray(encoding[name], np.float64) for name in ("mean", "std"))
        pixels = int(np.prod(size))
        return Units(np.repeat(mean_C[:channels], pixels), np.repeat(std_C[:channels], pixels), ())
    mean: list[float] = []
    std: list[float] = []
    for column in encoding["columns"]:
        if column["kind"] == "number":
            alone = 1 + bool(column["missing"])
            mean += [column["mean"], 0.0][:alone]
            std += [column["std"], 1.0][:alone]
        else:
            mean += [0.0] * (len(column["categories"]) + 1)
            std += [1.0] * (len(column["categories"]) + 1)
    return Units(np.array(mean), np.array(std), tuple(encoding["features"]))


def in_units(net: Layers, units: Units) -> Layers:
    """Return the net of x that `net` is of (x − mean) / std."""
    return net.through(np.diag(1 / units.std_D), -units.mean_D / units.std_D)


def fit(h_BD: np.ndarray, width: int) -> np.ndarray:
    """Return the bypass: the second axis padded with zeros, or cut, to `width`."""
    missing = width - h_BD.shape[1]
    if missing <= 0:
        return h_BD[:, :width]
    return np.pad(h_BD, [(0, 0), (0, missing)] + [(0, 0)] * (h_BD.ndim - 2))


def _layer(linear: Tensor | nn.Module) -> Layer:
    assert isinstance(linear, nn.Linear)
    return Layer(*(t.detach().cpu().double().numpy() for t in (linear.weight, linear.bias)))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * z)


_SIGMA = {"relu": lambda z: np.maximum(z, 0.0), "sigmoid": _sigmoid, "tanh": np.tanh}
