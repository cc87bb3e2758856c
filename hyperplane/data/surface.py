"""The lecture's surface, z = 100 (x2 - x1^2)^2 + (1 - x1)^2, on a grid: z, or whether it is below a threshold.

The grid has `side` x `side` points (31 by default) over the spans `x1` and `x2`, from -1 to 1 each by default. The
lecture does not say its domain; it is a choice of ours. With a `threshold`, the same points have classes instead of
numbers: the positive one is where z is below it. Shape suffixes: N points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hyperplane.contracts import Description, Problem, Sniff
from hyperplane.data.blocks import rows
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.problems import options, quote
from hyperplane.data.blocks.tables import Cell, Table
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {"surface": Known("100 (x2 - x1^2)^2 + (1 - x1)^2 on a grid")}
OPTIONS: dict[str, tuple[Any, Any]] = {
    "side": (int, 31),
    "x1": (tuple[float, float], (-1.0, 1.0)),
    "x2": (tuple[float, float], (-1.0, 1.0)),
    "threshold": (float | None, None),
}
NUMBER = {**rows.NO_OPTIONS, "kind": "number", "why": "the surface's height"}
CLASS = {**rows.NO_OPTIONS, "kind": "class", "why": "a threshold was given"}


def sniff(path: Path) -> Sniff:
    """Say that no path is this format's own: it is generated."""
    return Sniff(0.0, "is generated, under the name surface")


def open(path: Path | None, recipe: DataRecipe) -> rows.RowSource:
    """Return the grid as a source: feature_BD with D = 2, and value_BK, or with a threshold label_B.

    Raises UserError for options out of range, and for a threshold with all of the surface on one side.
    """
    chosen = options(recipe.options, OPTIONS)
    side, threshold = chosen["side"], chosen["threshold"]
    if not 3 <= side <= 1000:
        raise UserError(f"data.options.side: found {side}, expected 3 to 1,000; type: --data.side 31")
    for name in ("x1", "x2"):
        low, high = chosen[name]
        if not -1000 <= low < high <= 1000:
            raise UserError(
                f"data.options.{name}: found {low:g} to {high:g}, expected two rising numbers in [-1000, 1000]; "
                f"type: --data.{name} -1 1"
            )
    if recipe.target not in (None, "z"):
        raise UserError(f"data.target: found {quote(recipe.target)}, but the surface has the target 'z'; leave it out")
    axes = [np.linspace(low, high, side) for low, high in (chosen["x1"], chosen["x2"])]
    x1_N, x2_N = (grid.ravel() for grid in np.meshgrid(*axes, indexing="ij"))
    z_N = height(x1_N, x2_N)
    numbers: tuple[list[Cell], ...] = tuple([repr(float(v)) for v in c] for c in (x1_N, x2_N, z_N))
    columns = numbers if threshold is None else (*numbers[:2], _classes(z_N, threshold))
    table = Table(recipe.source, ("x1", "x2", "z"), columns, list(range(1, side * side + 1)), "point")
    labels = rows.Labels(recipe.source, "surface", "points", {}, (f"A grid of {side} x {side} points.",))
    return rows.source(table, replace(recipe, target="z"), labels, NUMBER if threshold is None else CLASS)


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return nothing: the grid is right; raises UserError as `open` does."""
    open(path, recipe)
    return []


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new points as inputs of a net trained on the surface: CSV, TSV or Parquet files, or a CSV text."""
    return rows.encode(inputs, description)


def height(x1_N: np.ndarray, x2_N: np.ndarray) -> np.ndarray:
    """Return 100 (x2 - x1^2)^2 + (1 - x1)^2 (Rosenbrock 1960)."""
    return 100 * (x2_N - x1_N**2) ** 2 + (1 - x1_N) ** 2


def _classes(z_N: np.ndarray, threshold: float) -> list[Cell]:
    """Return the name of each point's class; in alphabetical order, the one below the threshold is the positive one."""
    low, high = float(z_N.min()), float(z_N.max())
    if not low < threshold <= high:
        raise UserError(
            f"data.options.threshold: found {threshold:g}, expected a number above {low:.4g} and up to {high:.4g}, the "
            "least and the greatest z on this grid; type: --data.threshold 0.5"
        )
    return [f"z {'below' if below else 'at least'} {threshold:g}" for below in z_N < threshold]
