"""Average path length similarity of two road networks: are the ways between places as long on one as on the other?

Van Etten, Lindenbaum and Bacastow 2018, "SpaceNet: a remote sensing dataset and challenge series" (arXiv:1807.01232),
section 6. Control points (a network's nodes, and points along its long edges) are snapped onto the other network; for
each pair of them that a way joins, the difference of the two ways' lengths over the first's is taken, at most 1, and 1
where the other network has no way or no such point. One less their mean is a score; that of the truth's points on the
proposal and that of the proposal's on the truth have the harmonic mean that is the metric.

What is done as the published programme does it, so that the numbers agree: a point that snaps onto a node takes its
place, so that of two the last one counts; and an edge has a length of its own beside its line, until a point splits
it.

Shape suffixes: P points of a line, S straight pieces.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from hyperplane.data.blocks.graphs import Graph

SAME_PLACE = 0.05
"""Distance in each coordinate up to which a point at a line's end is the node there."""
MIDPOINT_SNAP = 5.0
"""Distance within which a point along an edge must find its edge again."""


@dataclass(frozen=True)
class Apls:
    """How alike two networks are, each number in [0, 1]."""

    truth_on_said: float
    """The score of the truth's control points, snapped onto the proposal."""
    said_on_truth: float
    """The score of the proposal's, snapped onto the truth."""

    @property
    def total(self) -> float:
        """Return the harmonic mean of both; 0 where one is."""
        one, other = self.truth_on_said, self.said_on_truth
        return 2 * one * other / (one + other) if one > 0 and other > 0 else 0.0


@dataclass
class _Roads:
    """A network that points can be put into."""

    place: dict[Hashable, np.ndarray]
    edges: list[tuple[Hashable, Hashable, float, np.ndarray]] = field(default_factory=list)
    """The two nodes, the length, and the line, (P, 2)."""

    def copy(self) -> _Roads:
        return _Roads(dict(self.place), list(self.edges))

    def put(self, name: Hashable, point_2: np.ndarray, most: float) -> None:
        """Put a node where the nearest edge is nearest to a point, if that is within `most`."""
        edge, along, on_2, away = self._nearest(point_2)
        if away > most or name in self.place:
            return
        start, end, _, line = self.edges[edge]
        travelled = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
        if 0 < along < travelled[-1]:
            self.place[name] = on_2
            cut = int(np.searchsorted(travelled, along, side="left"))
            at_vertex = bool(travelled[cut] == along)
            middle = line[cut : cut + 1] if at_vertex else on_2[None]
            one = np.concatenate([line[:cut], middle])
            other = np.concatenate([middle, line[cut + at_vertex :]])
            del self.edges[edge]
            if np.hypot(*(self.place[end] - line[0])) < np.hypot(*(self.place[start] - line[0])):
                start, end = end, start
            self.edges += [(start, name, _length(one), one), (name, end, _length(other), other)]
            return
        for node in (start, end):
            if (np.abs(on_2 - self.place[node]) <= SAME_PLACE).all():
                self.place = {name if known == node else known: where for known, where in self.place.items()}
                self.edges = [
                    (name if a == node else a, name if b == node else b, length, line)
                    for a, b, length, line in self.edges
                ]
                return
        self.place[name] = on_2  # a node that nothing leads to

    def _nearest(self, point_2: np.ndarray) -> tuple[int, float, np.ndarray, float]:
        """Return the nearest edge, how far along its line the nearest point is, that point, and how far away."""
        if not self.edges:
            return -1, 0.0, point_2, np.inf
        sizes = np.array([len(line) for *_, line in self.edges])
        points = np.concatenate([line for *_, line in self.edges])
        last = np.cumsum(sizes) - 1
        piece = np.setdiff1d(np.arange(len(points)), last, assume_unique=True)
        start, across = points[piece], points[piece + 1] - points[piece]
        squared = np.maximum((across**2).sum(1), 1e-300)
        share_S = np.clip(((point_2 - start) * across).sum(1) / squared, 0, 1)
        on_S2 = start + share_S[:, None] * across
        away_S = np.hypot(*(point_2 - on_S2).T)
        best = int(away_S.argmin())
        edge = int(np.searchsorted(last, piece[best], side="left"))
        first = 0 if edge == 0 else int(last[edge - 1]) + 1
        line = points[first : last[edge] + 1]
        before = float(np.hypot(*np.diff(line[: piece[best] - first + 1], axis=0).T).sum())
        whole = float(np.hypot(*across[best]))
        along = before + float(share_S[best]) * whole
        if share_S[best] == 1 and piece[best] + 1 == last[edge]:
            along = np.inf
        return edge, along, on_S2[best], float(away_S[best])

    def ways(self) -> tuple[dict[Hashable, int], np.ndarray]:
        """Return each node's position, and the lengths of the shortest ways between all, (nodes, nodes)."""
        position = {node: k for k, node in enumerate(self.place)}
        shortest: dict[tuple[int, int], float] = {}
        for start, end, length, _ in self.edges:
            a, b = sorted((position[start], position[end]))
            if a != b:
                shortest[a, b] = min(length, shortest.get((a, b), np.inf))
        places = np.array(list(shortest), np.int64).reshape(-1, 2)
        lengths = np.maximum(np.array(list(shortest.values())), 1e-12)  # of 0 there would be no edge
        count = len(position)
        return position, dijkstra(coo_array((lengths, tuple(places.T)), (count, count)).tocsr(), directed=False)


def apls(
    truth: Graph,
    said: Graph,
    *,
    spacing: float = 50.0,
    snap: float = 4.0,
    curved: float = -1.0,
    least: float = 0.001,
    truth_length_E: np.ndarray | None = None,
    said_length_E: np.ndarray | None = None,
) -> Apls:
    """Return how alike a proposed network is to the true one.

    Arguments: both networks, in metres; the distance between control points along an edge; how far a control point may
    be from the other network; the share by which a line's length must differ from its box's diagonal for points along
    it, below 0 for all lines; the length of the shortest way that counts; the lengths of the edges, where they are not
    those of their lines.
    """
    roads = _roads(truth, truth_length_E), _roads(said, said_length_E)
    own = tuple(_with_midpoints(one, spacing, curved) for one in roads)
    scores = []
    for points, other in ((own[0], roads[1]), (own[1], roads[0])):
        snapped = other.copy()
        names = {node: ("control", node) for node in points.place}
        for node, place_2 in points.place.items():
            snapped.put(names[node], place_2, snap)
        scores.append(_score(points, snapped, names, least))
    return Apls(*scores)


def _roads(graph: Graph, length_E: np.ndarray | None) -> _Roads:
    lengths = graph.length_E if length_E is None else length_E
    place: dict[Hashable, np.ndarray] = dict(enumerate(graph.node_N2))
    edges: list[tuple[Hashable, Hashable, float, np.ndarray]] = [
        (start, end, float(length), line)
        for (start, end), length, line in zip(graph.end_E2.tolist(), lengths, graph.lines(), strict=True)
    ]
    return _Roads(place, edges)


def _with_midpoints(roads: _Roads, spacing: float, curved: float) -> _Roads:
    """Return the network with nodes along edges of three quarters of `spacing` or more."""
    whole, number = roads.copy(), 0
    for _, _, length, line in roads.edges:
        diagonal = float(np.hypot(*(line.max(0) - line.min(0))))
        if length <= 0 or abs(diagonal - length) / length < curved or length < 0.75 * spacing:
            continue
        if length <= spacing:
            stops = [0.5 * _length(line)]
        else:
            stops = np.linspace(0, length, len(np.arange(0, length, spacing)) + 1)[1:-1].tolist()
        travelled = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
        for stop in stops:
            point_2 = np.array([np.interp(stop, travelled, line[:, k]) for k in (0, 1)])
            whole.put(("midpoint", number), point_2, MIDPOINT_SNAP)
            number += 1
    return whole


def _score(own: _Roads, other: _Roads, names: Mapping[Hashable, Hashable], least: float) -> float:
    """Return one less the mean difference of the ways between control points."""
    if not own.place or not other.place:
        return 0.0
    _, own_KK = own.ways()
    position, other_KK = other.ways()
    found = np.array([position.get(names[node], -1) for node in own.place])
    there_KK = np.where((found >= 0)[:, None] & (found >= 0), other_KK[np.ix_(found, found)], np.inf)
    counted_KK = np.isfinite(own_KK) & ((own_KK >= least) | (found < 0)[:, None]) & ~np.eye(len(found), dtype=bool)
    if not counted_KK.any():
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        difference_KK = np.minimum(np.abs(own_KK - there_KK) / own_KK, 1.0)
    difference_KK[np.isinf(there_KK)] = 1.0
    return 1.0 - float(difference_KK[counted_KK].mean())


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())
