"""A network in the plane: nodes, and edges between them that follow lines.

Coordinates are (x, y): x grows with the column, y with the row, and the picture's first pixel has its middle at
(0.5, 0.5); a network read from a file has that file's coordinates. Edges have no direction; several may join the same
two nodes, and one may end where it begins.

Shape suffixes: N nodes, E edges, P points of all lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Graph:
    """Nodes and the lines between them."""

    node_N2: np.ndarray
    """Where each node is, float64."""
    end_E2: np.ndarray
    """The two nodes of each edge, int64."""
    point_P2: np.ndarray
    """The points of all edges' lines, one edge after the other, float64; a line begins and ends at its nodes."""
    first_E: np.ndarray
    """Where each edge's points begin, and last how many points there are, int64 (E + 1)."""
    cost_E: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """What each edge costs: 0 where it was seen, more where it bridges a gap; empty where all were seen."""

    @classmethod
    def of_lines(cls, node_N2: np.ndarray, ends: Sequence[tuple[int, int]], lines: Sequence[np.ndarray]) -> Graph:
        """Return the graph of these nodes, and of edges with these ends and lines."""
        lengths = np.array([0, *(len(line) for line in lines)], np.int64)
        return cls(
            np.asarray(node_N2, np.float64).reshape(-1, 2),
            np.array(ends, np.int64).reshape(-1, 2),
            np.concatenate([np.zeros((0, 2)), *lines]),
            lengths.cumsum(),
        )

    @property
    def edges(self) -> int:
        """Return how many edges there are."""
        return len(self.end_E2)

    @property
    def length_E(self) -> np.ndarray:
        """Return the length of each edge's line."""
        step_P = np.hypot(*np.diff(self.point_P2, axis=0, prepend=self.point_P2[:1]).T)
        step_P[self.first_E[:-1]] = 0.0
        return np.add.reduceat(step_P, self.first_E[:-1]) if self.edges else np.zeros(0)

    @property
    def degree_N(self) -> np.ndarray:
        """Return how many ends of edges are at each node."""
        return np.bincount(self.end_E2.ravel(), minlength=len(self.node_N2))

    @property
    def component_N(self) -> np.ndarray:
        """Return which connected component each node is in, from 0."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(self.node_N2)
        joined = coo_array((np.ones(self.edges), tuple(self.end_E2.T)), (count, count))
        return connected_components(joined, directed=False)[1]

    @property
    def components(self) -> int:
        """Return how many connected components there are (Betti-0)."""
        return int(self.component_N.max(initial=-1)) + 1

    @property
    def loops(self) -> int:
        """Return how many independent loops there are (Betti-1)."""
        return self.edges - len(self.node_N2) + self.components

    def line(self, edge: int) -> np.ndarray:
        """Return the points of an edge's line, (points, 2)."""
        return self.point_P2[self.first_E[edge] : self.first_E[edge + 1]]

    def lines(self) -> Iterator[np.ndarray]:
        """Yield each edge's line."""
        return (self.line(edge) for edge in range(self.edges))

    def keep(self, kept_E: np.ndarray) -> Graph:
        """Return the graph with these edges alone, bool (E,), and all of its nodes."""
        kept_P = np.repeat(kept_E, np.diff(self.first_E))
        lengths = np.diff(self.first_E)[kept_E]
        return replace(
            self,
            end_E2=self.end_E2[kept_E],
            point_P2=self.point_P2[kept_P],
            first_E=np.concatenate([[0], lengths.cumsum()]).astype(np.int64),
            cost_E=self.cost_E[kept_E] if len(self.cost_E) else self.cost_E,
        )

    def without_nodes(self, gone_N: np.ndarray) -> Graph:
        """Return the graph without these nodes, bool (N,), at which no edge may end."""
        place_N = np.cumsum(~gone_N) - 1
        return replace(self, node_N2=self.node_N2[~gone_N], end_E2=place_N[self.end_E2])

    def moved(self, change: Callable[[np.ndarray], np.ndarray]) -> Graph:
        """Return the graph with its coordinates, (…, 2), changed."""
        return replace(self, node_N2=change(self.node_N2), point_P2=change(self.point_P2))


def joined(graph: Graph, stays_N: np.ndarray | None = None) -> Graph:
    """Return the graph without nodes where two ends of edges meet: these edges become one.

    Arguments: a graph without bridges; the nodes that stay nevertheless, bool (N,).
    """
    end_H = graph.end_E2.ravel()  # end 2 e is where edge e starts, 2 e + 1 where it ends
    order = np.argsort(end_H, kind="stable")
    through = np.flatnonzero((graph.degree_N == 2) & (True if stays_N is None else ~stays_N))
    first = np.searchsorted(end_H[order], through)
    link = np.full(len(end_H), -1)
    link[order[first]], link[order[first + 1]] = order[first + 1], order[first]
    links, used = link.tolist(), np.zeros(graph.edges, bool)
    kept_N = np.ones(len(graph.node_N2), bool)
    kept_N[through] = False
    ends, lines = [], []
    for start in [*np.flatnonzero(link < 0).tolist(), *np.flatnonzero(link >= 0).tolist()]:  # the latter are in rings
        if used[start // 2]:
            continue
        parts, here = [], start
        while True:
            edge = here // 2
            used[edge] = True
            line = graph.line(edge)[:: -1 if here % 2 else 1]
            parts.append(line[1:] if parts else line)
            last = here ^ 1
            here = links[last]
            if here < 0 or used[here // 2]:
                break
        ends.append((int(end_H[start]), int(end_H[last])))
        kept_N[end_H[start]] = True
        lines.append(np.concatenate(parts))
    return Graph.of_lines(graph.node_N2, ends, lines).without_nodes(~kept_N)


def of_polylines(lines: Sequence[np.ndarray], repeated: Literal["once", "never"] = "once") -> Graph:
    """Return the network of lines, (P, 2) each: they meet where they have a point in common, and nowhere else.

    A stretch that is drawn again counts once; with "never" it does not count, as APLS's published programme reads it.
    """
    place: dict[tuple[float, float], int] = {}
    drawn: dict[tuple[int, int], int] = {}
    for line in lines:
        stops = [place.setdefault((x, y), len(place)) for x, y in line.tolist()]
        for pair in pairwise(stops):
            if pair[0] != pair[1]:
                key = (min(pair), max(pair))
                drawn[key] = drawn.get(key, 0) + 1
    node_N2 = np.array(list(place), np.float64).reshape(-1, 2)
    stays_N = np.zeros(len(node_N2), bool)
    again = {pair for pair, times in drawn.items() if times > 1 and repeated == "never"}
    stays_N[[node for pair in again for node in pair]] = True
    ends = list(drawn)
    whole = joined(Graph.of_lines(node_N2, ends, [node_N2[list(pair)] for pair in ends]), stays_N)
    seen_E = [
        len(line) > 2 or tuple(sorted(place[x, y] for x, y in line[[0, -1]].tolist())) not in again
        for line in whole.lines()
    ]
    return whole.keep(np.array(seen_E, bool))


EMPTY = Graph.of_lines(np.zeros((0, 2)), (), ())
"""Nothing at all."""
