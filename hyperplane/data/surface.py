"""The lecture's surface, z = 100 (x2 - x1^2)^2 + (1 - x1)^2, on a grid: a number to predict from two coordinates.

The grid has `side` x `side` points (31 by default) on the square of half-width `extent` (1) around the origin. The
lecture does not say its domain; it is a choice of ours. Shape suffixes: N points.
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
OPTIONS: dict[str, tuple[Any, Any]] = {"side": (int, 31), "extent": (float, 1.0)}
ROW_OPTIONS = {**rows.NO_OPTIONS, "kind": "number", "why": "the surface's height"}


def sniff(path: Path) -> Sniff:
    """Say that no path is this format's own: it is generated."""
    return Sniff(0.0, "is generated, under the name surface")


def open(path: Path | None, recipe: DataRecipe) -> rows.RowSource:
    """Return the grid as a source: feature_BD with D = 2 and value_BK; raises UserError for options out of range."""
    chosen = options(recipe.options, OPTIONS)
    side, extent = chosen["side"], chosen["extent"]
    if not 3 <= side <= 1000:
        raise UserError(f"data.options.side: found {side}, expected 3 to 1,000; type: --data.side 31")
    if not 0 < extent <= 1000:
        raise UserError(f"data.options.extent: found {extent:g}, expected a number in (0, 1000]; type: --data.extent 1")
    if recipe.target not in (None, "z"):
        raise UserError(f"data.target: found {quote(recipe.target)}, but the surface has the target 'z'; leave it out")
    axis_N = np.linspace(-extent, extent, side)
    x1_N, x2_N = (grid.ravel() for grid in np.meshgrid(axis_N, axis_N, indexing="ij"))
    columns: tuple[list[Cell], ...] = tuple([repr(float(v)) for v in c] for c in (x1_N, x2_N, height(x1_N, x2_N)))
    table = Table(recipe.source, ("x1", "x2", "z"), columns, list(range(1, side * side + 1)), "point")
    labels = rows.Labels(recipe.source, "surface", "points", {}, (f"A grid of {side} x {side} points.",))
    return rows.source(table, replace(recipe, target="z"), labels, ROW_OPTIONS)


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return nothing: the grid is right; raises UserError for options out of range."""
    open(path, recipe)
    return []


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new points as inputs of a net trained on the surface: CSV, TSV or Parquet files, or a CSV text."""
    return rows.encode(inputs, description)


def height(x1_N: np.ndarray, x2_N: np.ndarray) -> np.ndarray:
    """Return 100 (x2 - x1^2)^2 + (1 - x1)^2 (Rosenbrock 1960)."""
    return 100 * (x2_N - x1_N**2) ** 2 + (1 - x1_N) ** 2
