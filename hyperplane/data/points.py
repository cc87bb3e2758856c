"""Labelled points in the plane: a file of two coordinates and a class, or generated ones.

Shape suffixes: N points.

Generated, from the recipe's seed, half of each class up to chance:

- `points-separable`: uniform in the square [-1, 1]^2, on either side of the line 2 x1 - x2 + 0.2 = 0, none nearer to it
  than 0.1;
- `points-outliers`: the same, with the labels of 3% of the points (at least three) flipped;
- `points-region`: positive where 100 (x2 - x1^2)^2 + (1 - x1)^2 < 0.5. That region fills under 3% of the window
  [0, 2] x [-0.5, 3.5], so half of the points are drawn uniformly from the region, and half uniformly from the window
  outside it.

Options: `samples` (1,000), `noise` (0: standard deviation of a normal displacement added after labelling) and `labels`
(`0,1` or `-1,1`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hyperplane.contracts import Description, Problem, Sniff
from hyperplane.data.blocks import files, rows, tables
from hyperplane.data.blocks.columns import number
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.problems import Refusal, options, quote
from hyperplane.data.blocks.tables import Cell, Table
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {
    "points-separable": Known("points on either side of a line, with a margin"),
    "points-outliers": Known("points on either side of a line, a few of them mislabelled"),
    "points-region": Known("points inside and outside 100 (x2 - x1^2)^2 + (1 - x1)^2 < 0.5"),
}
OPTIONS: dict[str, tuple[Any, Any]] = {
    "samples": (int, 1000),
    "noise": (float, 0.0),
    "labels": (Literal["0,1", "-1,1"], "0,1"),
}
POINT_OPTIONS = {**rows.NO_OPTIONS, "kind": "class", "why": "points have a class"}
COORDINATES = (("x", "y"), ("x1", "x2"))
NORMAL, OFFSET, MARGIN = np.array([2.0, -1.0]), 0.2, 0.1
LEVEL = 0.5
WINDOW_LOW, WINDOW_HIGH = np.array([0.0, -0.5]), np.array([2.0, 3.5])


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is a file of labelled points, and why."""
    seen = tables.peek(path) if path.is_file() else None
    if seen is None or len(seen.names) != 3 or _coordinates(seen) is None:
        return Sniff(0.0, "is no text with the columns x, y (or x1, x2) and a class")
    cells = [cell for column in _coordinates(seen) or () for cell in seen[column]]
    if not len(seen) or any(cell is not None and number(cell) is None for cell in cells):
        return Sniff(0.0, "has coordinates that are not numbers")
    label = _label(seen)
    different = {cell for cell in seen[label] if cell is not None}
    if len(different) > 20 or any("." in cell and number(cell) not in (-1.0, 0.0, 1.0, None) for cell in different):
        return Sniff(0.0, f"has coordinates, but {quote(label)} is no class")
    return Sniff(0.95, f"two coordinates and a class {quote(label)}")


def open(path: Path | None, recipe: DataRecipe) -> rows.RowSource:
    """Return points as a source: feature_BD with D = 2, and label_B. `path` is None for a generated set.

    Raises UserError for what is wrong with the file, and for options that make no sense.
    """
    if path is not None:
        table = rows.read(path)
        labels = rows.Labels(path.name, "points", "points", {path.name: files.sha256(path)})
        return rows.source(table, _aimed(table, recipe), labels, _chosen(recipe))
    table = generate(recipe)
    labels = rows.Labels(recipe.source, "points", "points", {}, (f"{len(table)} points were generated.",))
    return rows.source(table, _unaimed(recipe), labels, POINT_OPTIONS)


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with a file of points; generated ones are right."""
    if path is None:
        open(path, recipe)
        return []
    problems: list[Problem] = []
    table = tables.read(path, problems)
    try:
        return problems if table is None else rows.check(path, _aimed(table, recipe), _chosen(recipe))
    except Refusal as refusal:
        return [*problems, refusal.problem]


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new points as inputs of a net trained on points: CSV, TSV or Parquet files, or a CSV text."""
    return rows.encode(inputs, description)


def generate(recipe: DataRecipe) -> Table:
    """Return a generated set as a table with the columns x1, x2 and label."""
    chosen = options(recipe.options, OPTIONS)
    samples, noise = chosen["samples"], chosen["noise"]
    if not 10 <= samples <= 10_000_000:
        raise UserError(f"data.options.samples: found {samples}, expected 10 to 10,000,000; the default is 1,000")
    if not 0 <= noise <= 1e6:
        raise UserError(f"data.options.noise: found {noise:g}, expected 0 or more; the default is 0")
    draw = np.random.Generator(np.random.PCG64(recipe.seed % 2**64))
    if recipe.source == "points-region":
        point_N2, positive_N = _region(samples, draw)
    else:
        point_N2, positive_N = _separable(samples, draw)
        if recipe.source == "points-outliers":
            flipped = np.argsort(draw.random(samples))[: max(3, round(0.03 * samples))]
            positive_N[flipped] = ~positive_N[flipped]
    point_N2 = point_N2 + noise * _normal(samples, draw)
    negative, positive = chosen["labels"].split(",")
    columns: tuple[list[Cell], ...] = (
        [repr(float(x)) for x in point_N2[:, 0]],
        [repr(float(x)) for x in point_N2[:, 1]],
        [positive if yes else negative for yes in positive_N],
    )
    return Table(recipe.source, ("x1", "x2", "label"), columns, list(range(1, samples + 1)), "point")


def in_region(point_N2: np.ndarray) -> np.ndarray:
    """Say which points satisfy 100 (x2 - x1^2)^2 + (1 - x1)^2 < 0.5; bool (N,)."""
    x1, x2 = point_N2[:, 0], point_N2[:, 1]
    return 100 * (x2 - x1**2) ** 2 + (1 - x1) ** 2 < LEVEL


def _separable(samples: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    def distance(point_N2: np.ndarray) -> np.ndarray:
        return (point_N2 @ NORMAL + OFFSET) / np.linalg.norm(NORMAL)

    point_N2 = _rejecting(samples, -np.ones(2), np.ones(2), lambda p: np.abs(distance(p)) < MARGIN, draw)
    return point_N2, distance(point_N2) > 0


def _region(samples: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    # (u, v) = (10 (x2 - x1^2), 1 - x1) maps the region to a disc and keeps densities uniform.
    inside = samples // 2
    radius_N, angle_N = np.sqrt(LEVEL * draw.random(inside)), 2 * math.pi * draw.random(inside)
    x1_N = 1 - radius_N * np.sin(angle_N)
    positive_N2 = np.stack([x1_N, x1_N**2 + radius_N * np.cos(angle_N) / 10], axis=1)
    negative_N2 = _rejecting(samples - inside, WINDOW_LOW, WINDOW_HIGH, in_region, draw)
    point_N2 = np.concatenate([positive_N2, negative_N2])[np.argsort(draw.random(samples))]
    return point_N2, in_region(point_N2)


def _rejecting(samples: int, low: np.ndarray, high: np.ndarray, rejects: Any, draw: np.random.Generator) -> np.ndarray:
    """Return points drawn uniformly between two corners, without those that `rejects` says yes to."""
    kept: list[np.ndarray] = []
    while sum(len(part_N2) for part_N2 in kept) < samples:
        drawn_N2 = low + (high - low) * draw.random((samples, 2))
        kept.append(drawn_N2[~rejects(drawn_N2)])
    return np.concatenate(kept)[:samples]


def _normal(samples: int, draw: np.random.Generator) -> np.ndarray:
    """Return standard normal pairs, (N, 2), by Box and Muller's transform of uniform ones."""
    radius_N, angle_N = np.sqrt(-2 * np.log1p(-draw.random(samples))), 2 * math.pi * draw.random(samples)
    return np.stack([radius_N * np.cos(angle_N), radius_N * np.sin(angle_N)], axis=1)


def _coordinates(table: Table) -> tuple[str, str] | None:
    by_name = {column.lower(): column for column in table.names}
    for first, second in COORDINATES:
        if first in by_name and second in by_name:
            return by_name[first], by_name[second]
    return None


def _label(table: Table) -> str:
    return next(column for column in table.names if column not in (_coordinates(table) or ()))


def _aimed(table: Table, recipe: DataRecipe) -> DataRecipe:
    """Return the recipe with the class as its target; raises UserError where the table is not one of points."""
    if _coordinates(table) is None or len(table.names) != 3:
        what = f"has the columns {', '.join(map(quote, table.names[:12]))}, expected x, y (or x1, x2) and a class"
        raise Refusal(table.where, what, "type --data.format table")
    label = _label(table)
    if recipe.target not in (None, label):
        what = f"found {quote(recipe.target)}, but in labelled points the class {quote(label)} is predicted"
        raise Refusal("data.target", what, "type --data.format table to predict another column")
    return replace(recipe, target=label)


def _unaimed(recipe: DataRecipe) -> DataRecipe:
    if recipe.target not in (None, "label"):
        raise UserError(
            f"data.target: found {quote(recipe.target)}, but {recipe.source} has the target 'label'; leave it out"
        )
    return replace(recipe, target="label")


def _chosen(recipe: DataRecipe) -> dict[str, Any]:
    options(recipe.options, {})
    return POINT_OPTIONS
