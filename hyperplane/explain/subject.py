"""What is explained: a run folder's net as a function on a plane through its inputs.

Shape suffixes: B points, D inputs, E coordinates of the plane (2) or of a line (1), N samples, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from hyperplane import data
from hyperplane.contracts import Description, Source
from hyperplane.engine import trained
from hyperplane.engine.model import Model
from hyperplane.errors import UserError
from hyperplane.explain.figures import Plane
from hyperplane.explain.layers import Layer, Layers, Units, layers, units
from hyperplane.nets.mlp import MLP
from hyperplane.nets.perceptron import Perceptron
from hyperplane.recipe import Recipe
from hyperplane.runs.folder import RunFolder

MARGIN = 0.08
"""Of a window beyond its samples, as a share of their span."""
MOST_SAMPLES = 5000
_LOOKED_AT = 500


@dataclass(frozen=True)
class Subject:
    """A trained net, and the samples that it was trained on where they are still there."""

    folder: RunFolder
    recipe: Recipe
    description: Description
    model: Model
    source: Source | None


@dataclass(frozen=True)
class View:
    """A net on a plane or a line through its inputs."""

    plane: Plane
    """For a line, only the first span and name of it count."""
    function: Callable[[np.ndarray], np.ndarray]
    """From points (B, E) to outputs (B, K): logits, or numbers in the target's own unit."""
    layers: Layers | None
    """The same as affine layers, for an MLP and a perceptron."""
    dimensions: int
    """2 for a plane, 1 for a line."""


def load(path: str | Path) -> Subject:
    """Return the net of a finished run folder.

    Raises UserError for a folder that is none, unfinished, damaged, newer than this version, or holding a pickle.
    """
    held = trained.load(path)
    return Subject(held.folder, held.recipe, held.description, held.model, _source(held.recipe, held.description))


def view(subject: Subject) -> View:
    """Return the net on the plane of its two inputs, on the line of its one, or on a slice through three samples.

    The first two are in the user's own units, the slice in standardised ones. Raises UserError where a slice needs the
    samples, and they are gone.
    """
    description = subject.description
    known = units(description)
    inputs = len(known.mean_D)
    if inputs > 2:
        origin_D, direction_2D, plane = _slice(subject)
        return _view(subject, direction_2D, origin_D, plane)
    point_ND, label_N = _raw_samples(subject, known)
    window = _window(point_ND if point_ND is not None else known.mean_D + np.outer([-2, 2], known.std_D))
    names = (known.names[0], known.names[-1])
    plane = Plane(window, names, point_ND if inputs == 2 else None, label_N, description.classes)
    return _view(subject, np.diag(1 / known.std_D), -known.mean_D / known.std_D, plane)


def _source(recipe: Recipe, description: Description) -> Source | None:
    """Return the data trained on, or None where they are gone or not as they were."""
    try:
        source = data.open(recipe.data)
    except UserError:
        return None
    same = source.description.hashes == description.hashes and source.description.shapes == description.shapes
    return source if same else None


def _view(subject: Subject, direction_ED: np.ndarray, origin_D: np.ndarray, plane: Plane) -> View:
    net, described = subject.model.net, subject.description
    scale_K = np.array(described.target_std) if described.target_std else np.ones(1)
    shift_K = np.array(described.target_mean) if described.target_mean else np.zeros(1)
    if isinstance(net, MLP | Perceptron):
        exact = layers(net).through(direction_ED, origin_D)
        output = Layer(exact.output.weight_HD * scale_K[:, None], exact.output.bias_H * scale_K + shift_K)
        exact = replace(exact, output=output)
        return View(plane, exact, exact, len(direction_ED))
    shape = described.shapes[described.input]

    def function(point_BE: np.ndarray) -> np.ndarray:
        x_BD = origin_D + point_BE @ direction_ED
        return _evaluate(net, x_BD, shape) * scale_K + shift_K

    return View(plane, function, None, len(direction_ED))


@torch.no_grad()
def _evaluate(net: nn.Module, x_BD: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    like = next(net.parameters())
    parts = torch.from_numpy(x_BD).to(like).split(256)
    return np.concatenate([net(part.reshape(-1, *shape)).double().cpu().numpy() for part in parts])


def _samples(subject: Subject, most: int) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return training samples as inputs (N, D) and their labels, in order; None where they are gone."""
    source, described = subject.source, subject.description
    if source is None:
        return None
    count = min(most, described.splits["train"])
    batch = source.batch("train", range(count))
    x_ND = batch[described.input].flatten(1).double().numpy()
    return x_ND, batch[described.target].numpy() if described.classes else None


def _raw_samples(subject: Subject, known: Units) -> tuple[np.ndarray | None, np.ndarray | None]:
    found = _samples(subject, MOST_SAMPLES)
    return (None, None) if found is None else (found[0] * known.std_D + known.mean_D, found[1])


def _window(point_ND: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for x_N in (point_ND[:, 0], point_ND[:, -1]):
        low, high = float(x_N.min()), float(x_N.max())
        beyond = MARGIN * (high - low) or 1.0
        spans.append((low - beyond, high + beyond))
    return spans[0], spans[1]


def _slice(subject: Subject) -> tuple[np.ndarray, np.ndarray, Plane]:
    """Return a plane through three training samples, of different classes where there are, in standardised inputs."""
    found = _samples(subject, _LOOKED_AT)
    if found is None:
        if not isinstance(subject.model.net, MLP | Perceptron):
            raise UserError(
                f"{subject.recipe.data.source}: is gone or has changed since the training, and a slice goes through "
                "three of its samples; put it back as it was"
            )
        first = layers(subject.model.net)
        weight_HD = first.hidden[0].weight_HD if first.hidden else first.output.weight_HD
        direction_2D = np.linalg.svd(weight_HD)[2][:2]
        names = ("along the strongest weights", "along the second strongest")
        return np.zeros(first.inputs), direction_2D, Plane(((-3.0, 3.0), (-3.0, 3.0)), names)
    x_ND, label_N = found
    order = np.arange(len(x_ND))
    if label_N is not None:
        seen_N = np.array([np.sum(label_N[:n] == label_N[n]) for n in order])
        order = np.argsort(seen_N, kind="stable")  # one of each class first
    first, *others = x_ND[order]
    basis: list[np.ndarray] = []
    taken = [order[0]]
    for index, x_D in zip(order[1:], others, strict=True):
        rest_D = x_D - first
        for axis_D in basis:
            rest_D = rest_D - (rest_D @ axis_D) * axis_D
        length = np.linalg.norm(rest_D)
        if length > 1e-6 * max(1.0, float(np.linalg.norm(x_D - first))):
            basis.append(rest_D / length)
            taken.append(index)
        if len(basis) == 2:
            break
    while len(basis) < 2:  # all samples lie on one line
        basis.append(np.linalg.svd(np.array(basis or [np.zeros_like(first)]))[2][-1])
    direction_2D = np.array(basis)
    point_N2 = (x_ND[taken] - first) @ direction_2D.T
    (low1, high1), (low2, high2) = _window(point_N2)
    half = 0.72 * max(high1 - low1, high2 - low2)
    middle1, middle2 = (low1 + high1) / 2, (low2 + high2) / 2
    window = ((middle1 - half, middle1 + half), (middle2 - half, middle2 + half))
    names = ("from sample 1 to 2", "towards sample 3")
    plane = Plane(window, names, point_N2, None if label_N is None else label_N[taken], subject.description.classes)
    return first, direction_2D, plane
