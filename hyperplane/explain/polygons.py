"""Convex polygons cut by lines, many at a time.

Shape suffixes: P polygons, V corners, S segments, H functions.

P polygons are one array vertex_PV2 and count_P, how many corners each has, counter-clockwise. The places beyond a
polygon's corners repeat its first one, so that least, greatest and shoelace need no mask.

Tolerance: a line is given by what its affine function is at the corners. A corner where that is at most `tolerance`
counts as lying on the line, and is taken itself as the end of the cut. Both parts of a cut share its ends, so parts
always tile the whole, whatever the tolerance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cut:
    """Where lines cross polygons, one line each."""

    vertex_PV2: np.ndarray
    """The corners, turned so that the one farthest above the line comes first."""
    first_P: np.ndarray
    """The first corner that is not above the line."""
    last_P: np.ndarray
    """The last corner that is not above it."""
    count_P: np.ndarray
    ends_P22: np.ndarray
    """Where the line leaves the upper part, just before `first_P`, and where it enters it again, after `last_P`."""
    on_corner_P2: np.ndarray
    """Whether that end is the corner `first_P`, or `last_P`, itself."""
    place_P2: np.ndarray
    """Where the ends are along the border of the polygon as it was given: the corner before, and the share after it."""


def cut(vertex_PV2: np.ndarray, count_P: np.ndarray, value_PV: np.ndarray, tolerance_P: np.ndarray) -> Cut:
    """Return where the line on which `value` is 0 crosses each polygon.

    Every polygon must have a corner where it is above the tolerance and one where it is below minus the tolerance.
    """
    polygons, corners = value_PV.shape
    row_P, column_V = np.arange(polygons), np.arange(corners)
    top_P = np.argmax(value_PV, axis=1)
    turned_PV = np.where(column_V < count_P[:, None], (top_P[:, None] + column_V) % count_P[:, None], top_P[:, None])
    vertex_PV2 = vertex_PV2[row_P[:, None], turned_PV]
    value_PV = np.take_along_axis(value_PV, turned_PV, axis=1)
    lower_PV = value_PV <= tolerance_P[:, None]
    first_P = np.argmax(lower_PV, axis=1)
    last_P = corners - 1 - np.argmax(lower_PV[:, ::-1], axis=1)
    upper_P2 = np.stack([first_P - 1, (last_P + 1) % count_P], axis=1)
    lower_P2 = np.stack([first_P, last_P], axis=1)
    above_P2, below_P2 = (np.take_along_axis(value_PV, which_P2, axis=1) for which_P2 in (upper_P2, lower_P2))
    on_corner_P2 = below_P2 >= -tolerance_P[:, None]
    share_P2 = np.where(on_corner_P2, 1.0, above_P2 / (above_P2 - below_P2))
    from_P22, to_P22 = (vertex_PV2[row_P[:, None], which_P2] for which_P2 in (upper_P2, lower_P2))
    ends_P22 = np.where(on_corner_P2[..., None], to_P22, from_P22 + share_P2[..., None] * (to_P22 - from_P22))
    step_P2 = np.stack([upper_P2[:, 0] + share_P2[:, 0], last_P + 1 - share_P2[:, 1]], axis=1)
    place_P2 = (top_P[:, None] + step_P2) % count_P[:, None]
    return Cut(vertex_PV2, first_P, last_P, count_P, ends_P22, on_corner_P2, place_P2)


def parts(cut: Cut) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return vertex and count of the parts above the line, and of those below it."""
    corners = cut.vertex_PV2.shape[1]
    pool_PV2 = np.concatenate([cut.vertex_PV2, cut.ends_P22], axis=1)
    leave, enter = corners, corners + 1
    first_P1, last_P1 = cut.first_P[:, None], cut.last_P[:, None]
    lower_P1 = last_P1 - first_P1 + 1
    column_V = np.arange(corners + 1)[None]

    upper_count_P = cut.count_P - lower_P1[:, 0] + 2
    upper_PV = np.where(column_V == first_P1, leave, column_V + lower_P1 - 2)
    upper_PV = np.where(column_V == first_P1 + 1, enter, upper_PV)
    upper_PV = np.where(column_V < first_P1, column_V, upper_PV)
    upper_PV = np.where(column_V < upper_count_P[:, None], upper_PV, upper_PV[:, :1])

    new_P2 = ~cut.on_corner_P2
    lower_count_P = lower_P1[:, 0] + new_P2.sum(axis=1)
    column_PV = column_V - new_P2[:, :1]
    lower_PV = np.where(column_PV < lower_P1, first_P1 + column_PV, enter)
    lower_PV = np.where(column_PV < 0, leave, lower_PV)
    lower_PV = np.where(column_V < lower_count_P[:, None], lower_PV, lower_PV[:, :1])

    row_P1 = np.arange(len(pool_PV2))[:, None]
    return pool_PV2[row_P1, upper_PV], upper_count_P, pool_PV2[row_P1, lower_PV], lower_count_P


def with_corners(vertex_PV2: np.ndarray, corners: int) -> np.ndarray:
    """Return the same polygons in an array with room for this many corners each."""
    missing = corners - vertex_PV2.shape[1]
    if missing <= 0:
        return vertex_PV2[:, :corners]
    return np.concatenate([vertex_PV2, np.repeat(vertex_PV2[:, :1], missing, axis=1)], axis=1)


def area(vertex_PV2: np.ndarray) -> np.ndarray:
    """Return the area of each polygon, (P,)."""
    from_first_PV2 = vertex_PV2 - vertex_PV2[:, :1]
    following_PV2 = np.roll(from_first_PV2, -1, axis=1)
    return 0.5 * np.sum(_cross(from_first_PV2, following_PV2), axis=1)


def centre(vertex_PV2: np.ndarray, count_P: np.ndarray) -> np.ndarray:
    """Return the mean of each polygon's corners, which lies inside of it, (P, 2)."""
    extra_P1 = (vertex_PV2.shape[1] - count_P)[:, None]
    return (vertex_PV2.sum(axis=1) - extra_P1 * vertex_PV2[:, 0]) / count_P[:, None]


@dataclass(frozen=True)
class Lines:
    """Segments on which functions are 0, each inside one polygon or along its border."""

    polygon_S: np.ndarray
    function_S: np.ndarray
    ends_S22: np.ndarray


def zero_lines(vertex_PV2: np.ndarray, count_P: np.ndarray, value_PVH: np.ndarray, tolerance_PH: np.ndarray) -> Lines:
    """Return where affine functions, given at the corners, are 0: the border of where each is above 0.

    A border that runs along an edge of polygons is told once for each polygon on its upper side.
    """
    high_PH, low_PH = value_PVH.max(axis=1), value_PVH.min(axis=1)
    polygon_S, function_S = np.nonzero((high_PH > tolerance_PH) & (low_PH < -tolerance_PH))
    found = cut(
        vertex_PV2[polygon_S],
        count_P[polygon_S],
        value_PVH[polygon_S, :, function_S],
        tolerance_PH[polygon_S, function_S],
    )
    polygon_E, function_E = np.nonzero((high_PH > tolerance_PH) & (low_PH >= -tolerance_PH) & (low_PH <= tolerance_PH))
    on_EV = value_PVH[polygon_E, :, function_E] <= tolerance_PH[polygon_E, function_E, None]
    edge_EV = on_EV & np.roll(on_EV, -1, axis=1) & (np.arange(on_EV.shape[1]) < count_P[polygon_E, None])
    last_E = count_P[polygon_E] - 1
    edge_EV[np.arange(len(last_E)), last_E] = on_EV[np.arange(len(last_E)), last_E] & on_EV[:, 0]
    which_E, corner_E = np.nonzero(edge_EV)
    polygon_E, function_E = polygon_E[which_E], function_E[which_E]
    following_E = (corner_E + 1) % count_P[polygon_E]
    edges_E22 = np.stack([vertex_PV2[polygon_E, corner_E], vertex_PV2[polygon_E, following_E]], axis=1)
    return Lines(
        np.concatenate([polygon_S, polygon_E]),
        np.concatenate([function_S, function_E]),
        np.concatenate([found.ends_P22, edges_E22]),
    )


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
