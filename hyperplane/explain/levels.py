"""Level sets: where a net cannot decide, and where its units are half on.

Exact where the net is piecewise affine; elsewhere on a grid, by linear interpolation, whose error falls with the square
of the spacing. Shape suffixes: B points, H and W grid lines, K outputs, S segments, P regions, V corners.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np

from hyperplane.explain.layers import Layers
from hyperplane.explain.planes import Window, hyperplanes
from hyperplane.explain.regions import Regions

GRID = 241
"""Points of a grid along each side of the window."""
Function = Callable[[np.ndarray], np.ndarray]
"""From points (B, 2) to numbers (B, K)."""


def grid(window: Window, points: int = GRID) -> np.ndarray:
    """Return a grid over the window, (points, points, 2); its rows go up x₂."""
    x1_W, x2_H = (np.linspace(*span, points) for span in window)
    return np.stack(np.meshgrid(x1_W, x2_H), axis=-1)


def on_grid(function: Function, window: Window, points: int = GRID) -> np.ndarray:
    """Return a function's values on a grid over the window, (points, points, K)."""
    rows_HW2 = np.array_split(grid(window, points), 8)  # so that a wide net's units are not held for all points at once
    value_BK = np.concatenate([function(row_HW2.reshape(-1, 2)) for row_HW2 in rows_HW2])
    return value_BK.reshape(points, points, -1)


def contours(value_HW: np.ndarray, window: Window, level: float) -> list[np.ndarray]:
    """Return the lines on which values over a grid equal `level`, each (S, 2)."""
    import contourpy

    x1_W, x2_H = (np.linspace(*span, size) for span, size in zip(window, value_HW.shape[::-1], strict=True))
    found = contourpy.contour_generator(x1_W, x2_H, value_HW, line_type=contourpy.LineType.Separate).lines(level)
    return [np.asarray(line_S2) for line_S2 in found]


def unit_levels(net: Layers, window: Window, points: int = GRID) -> list[list[list[np.ndarray]]]:
    """Return where each unit is 0 before its activation (a sigmoid then is 0.5, a tanh 0): lines by layer and unit.

    Exact in the first layer, where they are straight.
    """
    first = [plane.segment(window) if np.any(plane.w_D) else None for plane in hyperplanes(net)] if net.hidden else []
    found = [[[] if segment is None else [segment] for segment in first]] if net.hidden else []
    before = net.before(grid(window, points).reshape(-1, 2))
    for before_BH in before[1:]:
        units = before_BH.reshape(points, points, -1).transpose(2, 0, 1)
        found.append([contours(value_HW, window, 0.0) for value_HW in units])
    return found


def margin(value_BK: np.ndarray) -> np.ndarray:
    """Return how far each class is ahead of the best other, (B, K); of one output, the output itself."""
    if value_BK.shape[-1] == 1:
        return value_BK
    ordered_BK = np.sort(value_BK, axis=-1)
    best, second = ordered_BK[..., -1:], ordered_BK[..., -2:-1]
    return value_BK - np.where(value_BK == best, second, best)


def boundary(value_HWK: np.ndarray, window: Window) -> list[np.ndarray]:
    """Return the decision boundary of logits on a grid: where the only output is 0, or where two classes tie ahead."""
    margin_HWK = margin(value_HWK)
    return [line for k in range(margin_HWK.shape[-1]) for line in contours(margin_HWK[..., k], window, 0.0)]


def exact_boundary(regions: Regions) -> np.ndarray:
    """Return the decision boundary of a ReLU net's logits as segments, (S, 2, 2)."""
    outputs = regions.offset_PK.shape[1]
    if outputs == 1:
        return regions.level()
    found = [_tie(regions, i, j) for i, j in combinations(range(outputs), 2)]
    return np.concatenate(found)


def _tie(regions: Regions, i: int, j: int) -> np.ndarray:
    """Return where outputs i and j are equal and no other is above them."""
    value_PVK = regions.value_PVK
    lines = regions.zero_lines(value_PVK[..., [i]] - value_PVK[..., [j]])
    slope_SK2, offset_SK = regions.slope_PK2[lines.polygon_S], regions.offset_PK[lines.polygon_S]
    value_SEK = np.einsum("sed,skd->sek", lines.ends_S22, slope_SK2) + offset_SK[:, None]
    ahead_SEK = np.delete(value_SEK[..., [i]] - value_SEK, [i, j], axis=2)
    first_SK, last_SK = ahead_SEK[:, 0], ahead_SEK[:, 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        share_SK = first_SK / (first_SK - last_SK)
    low_S = np.where((first_SK < 0) & (last_SK > 0), share_SK, 0.0).max(axis=1, initial=0.0)
    high_S = np.where((first_SK > 0) & (last_SK < 0), share_SK, 1.0).min(axis=1, initial=1.0)
    behind_S = ((first_SK < 0) & (last_SK <= 0) | (first_SK <= 0) & (last_SK < 0)).any(axis=1)
    kept_S = (low_S < high_S) & ~behind_S
    start_S2, way_S2 = lines.ends_S22[:, 0], lines.ends_S22[:, 1] - lines.ends_S22[:, 0]
    clipped_S22 = np.stack([start_S2 + low_S[:, None] * way_S2, start_S2 + high_S[:, None] * way_S2], axis=1)
    return clipped_S22[kept_S]
