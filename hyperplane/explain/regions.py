"""The linear regions of a ReLU net on a window of the plane, exactly, and the hyperplane of every unit, bent.

Layer by layer, unit by unit, each region is a convex polygon on which the net so far is one affine map; the next unit's
hyperplane is a line there, and cuts it in two. For inputs of more dimensions, a slice of them is a net of the plane
(`Layers.through`). What is known of how many there can be: Montúfar et al. 2014 (arXiv:1402.1869); cutting polygons
layer by layer: Humayun et al. 2023 (arXiv:2302.12828).

All is float64, in coordinates in which the window is [−1, 1]². Tolerance: a corner lies on a unit's hyperplane where
the unit's value there is at most 1e-13 of what its terms add up to without their signs, far above rounding and far
below what can be seen. A unit that is nowhere above that is off; regions narrower than that are not told apart.

Shape suffixes: P regions, Q regions of the layers before, V corners, H units, K outputs, S segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from hyperplane.errors import UserError
from hyperplane.explain import polygons
from hyperplane.explain.layers import Layer, Layers, fit
from hyperplane.explain.planes import Window

LIMIT = 200_000
"""Regions that are computed at most, unless asked otherwise."""
TOLERANCE = 1e-13
_NUMBERS = 4_000_000
"""Of one array of unit values at corners: regions are taken in groups so that it stays this small."""


@dataclass(frozen=True)
class Bends:
    """The hyperplane of every unit as segments: straight inside each region of the layers before, bent between them.

    It is the border of where the unit is on. Layers and units count from 0.
    """

    layer_S: np.ndarray
    unit_S: np.ndarray
    ends_S22: np.ndarray

    def of(self, layer: int, unit: int | None = None) -> np.ndarray:
        """Return the segments of one unit, or of a whole layer, (S, 2, 2)."""
        chosen_S = self.layer_S == layer
        if unit is not None:
            chosen_S &= self.unit_S == unit
        return self.ends_S22[chosen_S]


@dataclass(frozen=True)
class Regions:
    """The linear regions of a net on a window; they tile it."""

    window: Window
    widths: tuple[int, ...]
    """Units in each layer."""
    vertex_PV2: np.ndarray
    """Corners, counter-clockwise; places beyond `count_P` repeat the first."""
    count_P: np.ndarray
    """How many corners each region has."""
    active_PH: np.ndarray
    """Which units are on, of all layers one after the other."""
    slope_PK2: np.ndarray
    offset_PK: np.ndarray
    """On a region, output k is slope_PK2[p, k] · x + offset_PK[p, k]."""
    bends: Bends

    def __len__(self) -> int:
        return len(self.count_P)

    @cached_property
    def polygons(self) -> list[np.ndarray]:
        """Return each region's corners, (V, 2)."""
        return [corner_V2[:count] for corner_V2, count in zip(self.vertex_PV2, self.count_P, strict=True)]

    @cached_property
    def area_P(self) -> np.ndarray:
        """Return each region's area, in the window's unit squared."""
        return polygons.area(self.vertex_PV2)

    @cached_property
    def centre_P2(self) -> np.ndarray:
        """Return a point inside each region."""
        return polygons.centre(self.vertex_PV2, self.count_P)

    @cached_property
    def value_PVK(self) -> np.ndarray:
        """Return the outputs at each corner, by the region's own map."""
        return np.einsum("pvd,pkd->pvk", self.vertex_PV2, self.slope_PK2) + self.offset_PK[:, None]

    def level(self, output: int = 0, value: float = 0.0) -> np.ndarray:
        """Return where an output has a value, exactly, as segments (S, 2, 2)."""
        return self.zero_lines(self.value_PVK[..., [output]] - value).ends_S22

    def zero_lines(self, value_PVH: np.ndarray) -> polygons.Lines:
        """Return where functions that are affine on each region, given at its corners, are 0."""
        tolerance_PH = TOLERANCE * np.broadcast_to(np.abs(value_PVH).max(axis=(0, 1)), value_PVH.shape[::2])
        return polygons.zero_lines(self.vertex_PV2, self.count_P, value_PVH, tolerance_PH)


def regions(net: Layers, window: Window, limit: int = LIMIT) -> Regions:
    """Return the linear regions of a ReLU net of two inputs on a window.

    Arguments: the net; the least and greatest of both inputs; how many regions are computed at most.
    Raises UserError for a net of other inputs or activation, weights that are not finite, an empty window, and where
    more regions than `limit` are expected.
    """
    _expect(net, window)
    low_2, high_2 = np.array(window, np.float64).T
    centre_2, half_2 = (low_2 + high_2) / 2, (high_2 - low_2) / 2
    net = net.through(np.diag(half_2), centre_2)
    parts = [_State.whole()]
    bends: list[tuple[int, np.ndarray, np.ndarray]] = []
    for depth in range(len(net.hidden)):
        parts = _through_layer(net, depth, parts, limit, bends)
    map_PK3 = np.concatenate([_followed(net.output, group.map_PH3) for part in parts for group in part.groups(1)])
    corners = max(part.vertex_PV2.shape[1] for part in parts)
    vertex_PV2 = np.concatenate([polygons.with_corners(part.vertex_PV2, corners) for part in parts])
    seen_P = polygons.area(vertex_PV2) > 0  # one may be too narrow for its corners to differ
    vertex_PV2, map_PK3 = vertex_PV2[seen_P], map_PK3[seen_P]
    slope_PK2 = map_PK3[..., :2] / half_2
    return Regions(
        window=window,
        widths=net.widths,
        vertex_PV2=np.clip(centre_2 + half_2 * vertex_PV2, low_2, high_2),
        count_P=np.concatenate([part.count_P for part in parts])[seen_P],
        active_PH=np.concatenate([part.active_PH for part in parts])[seen_P],
        slope_PK2=slope_PK2,
        offset_PK=map_PK3[..., 2] - slope_PK2 @ centre_2,
        bends=Bends(
            np.concatenate([np.full(len(unit_S), depth) for depth, unit_S, _ in bends] or [np.zeros(0, int)]),
            np.concatenate([unit_S for _, unit_S, _ in bends] or [np.zeros(0, int)]),
            centre_2 + half_2 * np.concatenate([ends_S22 for _, _, ends_S22 in bends] or [np.zeros((0, 2, 2))]),
        ),
    )


@dataclass(frozen=True)
class _State:
    """Regions of the layers so far. Their maps are kept as those of the regions that they are parts of."""

    vertex_PV2: np.ndarray
    count_P: np.ndarray
    active_PH: np.ndarray
    parent_P: np.ndarray
    before_QH3: np.ndarray
    """On the regions that these are parts of: what the last layer's units hold before their activation."""
    bypass_QH3: np.ndarray
    """And what goes around them; of no regions where nothing does."""

    @classmethod
    def whole(cls) -> _State:
        square_PV2 = np.array([[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]])
        return cls(
            square_PV2, np.array([4]), np.zeros((1, 0), bool), np.array([0]), np.zeros((1, 2, 3)), np.eye(2, 3)[None]
        )

    def __len__(self) -> int:
        return len(self.count_P)

    @property
    def map_PH3(self) -> np.ndarray:
        """Return what the last layer's units hold on each region: an affine map of (p₁, p₂, 1)."""
        units = self.before_QH3.shape[1]
        if not self.active_PH.shape[1]:
            return self.bypass_QH3
        map_PH3 = self.before_QH3[self.parent_P] * self.active_PH[:, -units:, None]
        return map_PH3 + self.bypass_QH3[self.parent_P] if len(self.bypass_QH3) else map_PH3

    def groups(self, units: int) -> Iterator[_State]:
        """Yield a few regions at a time, so that neither their maps nor `units` values at their corners are many."""
        most = max(self.before_QH3.shape[1] * 3, units * self.vertex_PV2.shape[1])
        for start in range(0, len(self), max(1, _NUMBERS // most)):
            which = slice(start, start + max(1, _NUMBERS // most))
            yield replace(
                self,
                vertex_PV2=self.vertex_PV2[which],
                count_P=self.count_P[which],
                active_PH=self.active_PH[which],
                parent_P=self.parent_P[which],
            )


def _through_layer(
    net: Layers, depth: int, parts: list[_State], limit: int, bends: list[tuple[int, np.ndarray, np.ndarray]]
) -> list[_State]:
    """Return the regions that one more layer makes, and add where its units bend to `bends`."""
    layer = net.hidden[depth]
    done: list[_State] = []
    made, left = 0, sum(map(len, parts))
    for before in (group for part in parts for group in part.groups(len(layer.bias_H))):
        map_QD3 = before.map_PH3
        units = _Units.of(layer, before.vertex_PV2, map_QD3)
        lines = polygons.zero_lines(before.vertex_PV2, before.count_P, units.value_QVH, units.tolerance_QH)
        bends.append((depth, lines.function_S, lines.ends_S22))
        left -= len(before)
        _refuse_too_many(made, units, before, left, limit, net, depth)
        bypass_QH3 = fit(map_QD3, len(layer.bias_H)) if net.bypass and depth else np.zeros((0, 0, 3))
        done.append(replace(_cut_by_units(units, before), before_QH3=units.map_QH3, bypass_QH3=bypass_QH3))
        made += len(done[-1])
    return done


@dataclass(frozen=True)
class _Units:
    """One layer's units before their activation, on the regions of the layers before."""

    map_QH3: np.ndarray
    value_QVH: np.ndarray
    """At the corners."""
    tolerance_QH: np.ndarray
    crossing_QH: np.ndarray
    """Whether the unit changes sign inside of the region."""
    on_QH: np.ndarray
    """Whether it is above 0 somewhere in it."""

    @classmethod
    def of(cls, layer: Layer, vertex_QV2: np.ndarray, map_QD3: np.ndarray) -> _Units:
        map_QH3 = _followed(layer, map_QD3)
        value_QVH = vertex_QV2 @ map_QH3[..., :2].transpose(0, 2, 1) + map_QH3[:, None, :, 2]
        reach_QD = np.abs(map_QD3).sum(axis=2)
        tolerance_QH = TOLERANCE * (reach_QD @ np.abs(layer.weight_HD.T) + np.abs(layer.bias_H))
        on_QH = value_QVH.max(axis=1) > tolerance_QH
        crossing_QH = on_QH & (value_QVH.min(axis=1) < -tolerance_QH)
        return cls(map_QH3, value_QVH, tolerance_QH, crossing_QH, on_QH)


def _cut_by_units(units: _Units, before: _State) -> _State:
    """Return the parts of regions between the units' lines; their maps are still those of the layer before."""
    vertex_PV2, count_P, parent_P, on_PH = before.vertex_PV2, before.count_P, np.arange(len(before)), units.on_QH
    used = len(before)
    for unit in np.flatnonzero(units.crossing_QH.any(axis=0)):
        candidate = np.flatnonzero(units.crossing_QH[parent_P[:used], unit])
        map_P3 = units.map_QH3[parent_P[candidate], unit]
        corner_PV2 = vertex_PV2[candidate]
        value_PV = corner_PV2[..., 0] * map_P3[:, :1] + corner_PV2[..., 1] * map_P3[:, 1:2] + map_P3[:, 2:]
        tolerance_P = units.tolerance_QH[parent_P[candidate], unit]
        above_P = value_PV.max(axis=1) > tolerance_P
        crossed = above_P & (value_PV.min(axis=1) < -tolerance_P)
        which = candidate[crossed]
        found = polygons.cut(corner_PV2[crossed], count_P[which], value_PV[crossed], tolerance_P[crossed])
        upper_PV2, upper_count_P, lower_PV2, lower_count_P = polygons.parts(found)
        corners = max(vertex_PV2.shape[1], int(np.max([upper_count_P, lower_count_P], initial=0)))
        new = slice(used, used + len(which))
        used = new.stop
        vertex_PV2 = polygons.with_corners(_with_room(vertex_PV2, used), corners)
        count_P, parent_P, on_PH = (_with_room(array, used) for array in (count_P, parent_P, on_PH))
        on_PH[candidate, unit] = above_P
        on_PH[new], parent_P[new] = on_PH[which], parent_P[which]
        on_PH[new, unit] = False
        vertex_PV2[which], vertex_PV2[new] = (polygons.with_corners(part, corners) for part in (upper_PV2, lower_PV2))
        count_P[which], count_P[new] = upper_count_P, lower_count_P
    parent_P = parent_P[:used]
    active_PH = np.concatenate([before.active_PH[parent_P], on_PH[:used]], axis=1)
    return replace(before, vertex_PV2=vertex_PV2[:used], count_P=count_P[:used], active_PH=active_PH, parent_P=parent_P)


def _with_room(array_P: np.ndarray, rows: int) -> np.ndarray:
    """Return an array of at least so many rows, and of half as many again where it has to grow."""
    if len(array_P) >= rows:
        return array_P
    more = np.zeros((rows + rows // 2 - len(array_P), *array_P.shape[1:]), array_P.dtype)
    return np.concatenate([array_P, more])


def _followed(layer: Layer, map_PH3: np.ndarray) -> np.ndarray:
    """Return the affine map followed by a layer."""
    map_PK3 = layer.weight_HD @ map_PH3
    map_PK3[..., 2] += layer.bias_H
    return map_PK3


def _expect(net: Layers, window: Window) -> None:
    if net.activation != "relu" and net.hidden:
        raise UserError(
            f"net: found the activation {net.activation}, but linear regions are those of ReLU nets; "
            "train with --net.activation relu"
        )
    if net.inputs != 2:
        raise UserError(
            f"net: found {net.inputs} inputs, expected 2; take a slice first: net.through(direction_ED, origin_D)"
        )
    if not all(np.isfinite(part).all() for layer in (*net.hidden, net.output) for part in vars(layer).values()):
        raise UserError("net: found weights that are not finite, expected numbers; train it again with a lower rate")
    if not all(np.isfinite(span).all() and span[0] < span[1] for span in window):
        raise UserError(f"window: found {window}, expected least and greatest of both inputs; type: ((-1, 1), (-1, 1))")


class TooMany(UserError):
    """A window has more regions than may be made."""

    def __init__(self, text: str, least: int) -> None:
        super().__init__(text)
        self.least = least
        """How many there are, or fewer than that."""


def _refuse_too_many(made: int, units: _Units, before: _State, left: int, limit: int, net: Layers, depth: int) -> None:
    """Raise TooMany where a layer makes more regions than `limit`, before it makes them.

    n lines in general position make 1 + n + n (n − 1) / 2 parts of the plane (Zaslavsky 1975), and of a polygon 1 + n +
    the crossings inside of it. The latter, which is exact, is counted only where the former is too many.
    """
    lines_Q = units.crossing_QH.sum(axis=1)
    bound = len(lines_Q) + int(np.sum(lines_Q * (lines_Q + 1) // 2))
    if made + bound + left <= limit:
        return
    expected = made + len(lines_Q) + int(lines_Q.sum()) + _crossings(units, before)
    if expected + left <= limit:
        return
    widths = "-".join(map(str, net.widths))
    raise TooMany(
        f"regions: hidden layer {depth + 1} of {widths} units makes at least {expected + left:,} in this window, "
        f"expected at most {limit:,}; take a smaller window, a narrower or shallower net, or a higher limit",
        expected + left,
    )


def _crossings(units: _Units, before: _State) -> int:
    """Return how many pairs of lines cross inside of the regions: their ends alternate along the border."""
    region_S, unit_S = np.nonzero(units.crossing_QH)
    value_SV, tolerance_S = units.value_QVH[region_S, :, unit_S], units.tolerance_QH[region_S, unit_S]
    found = polygons.cut(before.vertex_PV2[region_S], before.count_P[region_S], value_SV, tolerance_S)
    place_S2 = np.sort(found.place_P2, axis=1)
    lines_Q = units.crossing_QH.sum(axis=1)
    start_Q = np.cumsum(lines_Q) - lines_Q
    total = 0
    for lines in np.unique(lines_Q[lines_Q > 1]):
        alike = start_Q[lines_Q == lines]
        group = max(1, _NUMBERS // int(lines) ** 2)
        for first in range(0, len(alike), group):
            place_GL2 = place_S2[alike[first : first + group, None] + np.arange(lines)]
            low_GL, high_GL = place_GL2[..., 0], place_GL2[..., 1]
            between = (low_GL[:, :, None] < low_GL[:, None]) & (low_GL[:, None] < high_GL[:, :, None])
            total += int(np.sum(between & (high_GL[:, :, None] < high_GL[:, None])))
    return total
