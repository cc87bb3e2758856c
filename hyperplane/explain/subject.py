"""What is explained: a run folder's net as a function on a plane through its inputs.

Shape suffixes: B points, D inputs, E coordinates of the plane (2) or of a line (1), N samples, K outputs, H and W
pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hyperplane.contracts import Description, Source
from hyperplane.engine import fine_tuning, trained
from hyperplane.engine.model import Model
from hyperplane.errors import UserError
from hyperplane.explain.drawing import Plane
from hyperplane.explain.layers import Layer, Layers, Units, layers, units
from hyperplane.explain.levels import GRID
from hyperplane.nets.mlp import MLP
from hyperplane.nets.perceptron import Perceptron
from hyperplane.recipe import Recipe
from hyperplane.runs.folder import RunFolder

MARGIN = 0.08
"""Of a window beyond its samples, as a share of their span."""
MOST_SAMPLES = 5000
"""That are drawn, evenly among all."""
_LOOKED_AT = 500
_THUMBNAIL = (64, 64)
_MOST_OPERATIONS = 3e11
"""On one grid: about ten seconds of one core."""
_NUMBERS = 4_000_000
"""Of one array of inputs."""


@dataclass(frozen=True)
class Subject:
    """A trained net, and the samples that it was trained on where they are still there."""

    folder: RunFolder
    recipe: Recipe
    description: Description
    model: Model
    source: Source | None

    @property
    def labels(self) -> bool:
        """Return whether the net learned from labels, so that its outputs mean what they say."""
        return getattr(self.model.task, "LABELS", True)


@dataclass(frozen=True)
class View:
    """A net on a plane or a line through its inputs."""

    plane: Plane
    """For a line, only the first span and name of it count."""
    function: Callable[[np.ndarray], np.ndarray]
    """From points (B, E) to outputs (B, K): logits, or numbers in the target's own unit."""
    layers: Layers | None
    """The same as affine layers, for an MLP and a perceptron."""
    direction_ED: np.ndarray
    origin_D: np.ndarray
    """A point (B, E) is the standardised input origin_D + point · direction_ED."""
    where: str = ""
    """For a slice, what it goes through."""
    grid: int = GRID
    """Points along each side of a grid over the window: fewer for nets that take long."""

    @property
    def dimensions(self) -> int:
        """Return 2 for a plane, 1 for a line."""
        return len(self.direction_ED)


def load(path: str | Path) -> Subject:
    """Return the net of a finished run folder.

    Raises UserError for a folder that is none, unfinished, damaged, newer than this version, or holding a pickle.
    """
    held = trained.load(path)
    source = _source(held.folder, held.recipe, held.description)
    return Subject(held.folder, held.recipe, held.description, held.model, source)


def view(subject: Subject) -> View:
    """Return the net on the plane of its two inputs, on the line of its one, or on a slice through three samples.

    The first two are in the user's own units, the slice in standardised ones. Raises UserError where a slice needs the
    samples, and they are gone.
    """
    description = subject.description
    known = units(description)
    inputs = len(known.mean_D)
    if inputs > 2:
        return _slice(subject)
    many = description.splits["train"]
    step = 1 if description.format == "picture" else -(-many // MOST_SAMPLES)  # a picture is shown with all its pixels
    found = _samples(subject, range(0, many, step))
    point_ND = known.mean_D + np.outer([-2, 2], known.std_D) if found is None else _raw(found.x_ND, known)
    window = _window(point_ND, 0.0 if description.format == "picture" else MARGIN)
    plane = Plane(window, (known.names[0], known.names[-1]), classes=description.classes)
    if found is not None:
        plane = replace(plane, point_NE=point_ND, label_N=found.label_N, value_NK=found.value_NK)
    return _view(subject, np.diag(1 / known.std_D), -known.mean_D / known.std_D, plane)


def renewed(subject: Subject, seen: View) -> View:
    """Return the same view of the weights that the net has now."""
    return _view(subject, seen.direction_ED, seen.origin_D, seen.plane, seen.where)


def _source(folder: RunFolder, recipe: Recipe, description: Description) -> Source | None:
    """Return the data trained on, or None where they are gone or not as they were."""
    try:
        source = fine_tuning.reopened(folder, recipe, description)
    except UserError:
        return None
    same = source.description.hashes == description.hashes and source.description.shapes == description.shapes
    return source if same else None


def _view(subject: Subject, direction_ED: np.ndarray, origin_D: np.ndarray, plane: Plane, where: str = "") -> View:
    net, described = subject.model.net, subject.description
    scale_K = np.array(described.target_std) if described.target_std else np.ones(1)
    shift_K = np.array(described.target_mean) if described.target_mean else np.zeros(1)
    if type(net) in (MLP, Perceptron):  # one that is derived from these may compute anything
        exact = layers(net).through(direction_ED, origin_D)
        output = Layer(exact.output.weight_HD * scale_K[:, None], exact.output.bias_H * scale_K + shift_K)
        exact = replace(exact, output=output)
        weights = sum(part.size for layer in (*exact.hidden, exact.output) for part in vars(layer).values())
        return View(plane, exact, exact, direction_ED, origin_D, where, _grid(2 * weights))
    shape = described.shapes[described.input]

    def function(point_BE: np.ndarray) -> np.ndarray:
        parts = np.array_split(point_BE, max(1, len(point_BE) * len(origin_D) // _NUMBERS))
        said = [_evaluate(net, origin_D + part_BE @ direction_ED, shape) for part_BE in parts]
        return np.concatenate(said) * scale_K + shift_K

    return View(plane, function, None, direction_ED, origin_D, where, _grid(operations(net, shape)))


@torch.no_grad()
def _evaluate(net: nn.Module, x_BD: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    like = next(net.parameters())
    parts = torch.from_numpy(x_BD).to(like).split(256)
    return np.concatenate([net(part.reshape(-1, *shape)).double().cpu().numpy() for part in parts])


@torch.no_grad()
def operations(net: nn.Module, shape: tuple[int, ...]) -> int:
    """Return how many operations one sample of a shape takes."""
    counter = FlopCounterMode(display=False)
    with counter:
        net(torch.zeros(1, *shape).to(next(net.parameters())))
    return counter.get_total_flops()


def _grid(count: int) -> int:
    """Return how fine a grid may be of a function that takes so many operations a point."""
    return next((points for points in (GRID, 161, 81, 41) if points**2 * count <= _MOST_OPERATIONS), 21)


@dataclass(frozen=True)
class _Samples:
    x_ND: np.ndarray
    label_N: np.ndarray | None
    value_NK: np.ndarray | None


def _samples(subject: Subject, which: Sequence[int]) -> _Samples | None:
    """Return training samples as standardised inputs, with their targets; None where they are gone."""
    source, described = subject.source, subject.description
    if source is None:
        return None
    batch = source.batch("train", which)
    x_ND, target_N = batch[described.input].flatten(1).double().numpy(), batch[described.target].numpy()
    return _Samples(x_ND, target_N, None) if described.classes else _Samples(x_ND, None, target_N.astype(np.float64))


def _raw(x_ND: np.ndarray, known: Units) -> np.ndarray:
    return x_ND * known.std_D + known.mean_D


def _window(point_ND: np.ndarray, margin: float = MARGIN) -> tuple[tuple[float, float], tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for x_N in (point_ND[:, 0], point_ND[:, -1]):
        low, high = float(x_N.min()), float(x_N.max())
        beyond = margin * (high - low) if low < high else 1.0
        spans.append((low - beyond, high + beyond))
    return spans[0], spans[1]


def _slice(subject: Subject) -> View:
    """Return the net on a plane through three training samples, of different classes where there are."""
    found = _samples(subject, range(min(_LOOKED_AT, subject.description.splits.get("train", 0))))
    if found is None:
        return _slice_without_samples(subject)
    order = np.arange(len(found.x_ND))
    if found.label_N is not None:
        seen_N = np.array([np.sum(found.label_N[:n] == found.label_N[n]) for n in order])
        order = np.argsort(seen_N, kind="stable")  # one of each class first
    first_D = found.x_ND[order[0]]
    direction_2D, taken = _spanned(found.x_ND, order)
    point_N2 = (found.x_ND[taken] - first_D) @ direction_2D.T
    (low1, high1), (low2, high2) = _window(point_N2)
    half = 0.85 * max(high1 - low1, high2 - low2)
    middle1, middle2 = (low1 + high1) / 2, (low2 + high2) / 2
    plane = Plane(
        ((middle1 - half, middle1 + half), (middle2 - half, middle2 + half)),
        ("from sample 1 to 2", "towards sample 3"),
        point_NE=point_N2,
        label_N=None if found.label_N is None else found.label_N[taken],
        value_NK=None if found.value_NK is None else found.value_NK[taken],
        classes=subject.description.classes,
        pictures=_pictures(subject, taken),
        numbered=True,
    )
    source = subject.source
    assert source is not None, "its samples were found"
    where = f"the plane through {', '.join(source.sample_name('train', index) for index in taken)}"
    return _view(subject, direction_2D, first_D, plane, where)


def _slice_without_samples(subject: Subject) -> View:
    """Return the net on the plane of its strongest weights around the samples' mean; UserError where it has none."""
    if type(subject.model.net) not in (MLP, Perceptron):
        found = f"{subject.recipe.data.source}: is gone or has changed since the training"
        if not subject.recipe.data.source:
            found = f"{subject.folder.path}: was not trained here, and has no training samples"
        raise UserError(f"{found}, and a slice goes through three of its samples; explain a run whose data are there")
    net = layers(subject.model.net)
    direction_2D = np.linalg.svd((net.hidden[0] if net.hidden else net.output).weight_HD)[2][:2]
    names = ("along the strongest weights", "along the second strongest")
    plane = Plane(((-3.0, 3.0), (-3.0, 3.0)), names, classes=subject.description.classes)
    return _view(subject, direction_2D, np.zeros(net.inputs), plane, "the plane of the strongest weights")


def _spanned(x_ND: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return two directions of length 1 at right angles, (2, D), and the samples they go through, in that order."""
    first_D = x_ND[order[0]]
    basis: list[np.ndarray] = []
    taken = [int(order[0])]
    for index in order[1:]:
        rest_D = x_ND[index] - first_D
        for axis_D in basis:
            rest_D = rest_D - (rest_D @ axis_D) * axis_D
        length = np.linalg.norm(rest_D)
        if length > 1e-6 * max(1.0, float(np.linalg.norm(x_ND[index] - first_D))):
            basis.append(rest_D / length)
            taken.append(int(index))
        if len(basis) == 2:
            break
    while len(basis) < 2:  # all samples lie on one line
        basis.append(np.linalg.svd(np.array(basis or [np.zeros_like(first_D)]))[2][-1])
    return np.array(basis), taken


def _pictures(subject: Subject, which: list[int]) -> tuple[np.ndarray, ...]:
    """Return samples as small pictures, (H, W, 3) in [0, 255]; none where they are none."""
    assert subject.source is not None, "its samples were found"
    shown = [subject.source.show("train", index) for index in which]
    found: list[np.ndarray] = []
    for picture in shown:
        if not isinstance(picture, Image.Image):
            return ()
        small = picture.convert("RGB")
        small.thumbnail(_THUMBNAIL)
        found.append(np.asarray(small))
    return tuple(found)
