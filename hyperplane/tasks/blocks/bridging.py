"""Bridges over gaps in a network, cheapest first.

A bridge is a straight line from where a line ends to where another one ends or passes. It costs

    length · (1 + turn + turn)

with a turn of (1 − cos angle) / 2 at each end that it joins, between where the line was heading and where the bridge
goes: 0 straight on, 1 straight back. Where probabilities are given, a pixel's length counts 2 (1 − p): one where
nothing is known, nothing where the foreground is certain. Bridges that cost at most `most`, and are at most twice as
long, are built in the order of their cost (as in Kruskal 1956), each end once; one to the middle of a line only where
it joins two components.

Shape suffixes: H and W pixels, N nodes, P points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from hyperplane.data.blocks.graphs import Graph

HEADING = 12.0
"""Length of a line's end that says where it was heading, in pixels."""
SPACING = 0.5
"""Between the places at which probabilities are read along a bridge, in pixels."""


@dataclass(frozen=True)
class _Bridge:
    cost: float
    start: int
    """The node that it begins at."""
    end: int
    """The node that it ends at, or -1 where it is a point within a line."""
    point: int
    """Position of that point among all lines' points, else -1."""


def bridged(graph: Graph, most: float, probability_HW: np.ndarray | None = None) -> Graph:
    """Return the graph with bridges that cost at most `most` pixels each; `cost_E` says what each edge costs.

    Arguments: the graph, in pixels; the most a bridge costs; the probability of the foreground, (H, W), in [0, 1] or
    uint8 with 255 for 1, if it is known.
    """
    degree_N, component_N = graph.degree_N, graph.component_N.copy()
    ends = np.flatnonzero(degree_N <= 1)
    built, taken = [], np.zeros(len(graph.node_N2), bool)
    for bridge in sorted(
        _candidates(graph, ends, most, probability_HW), key=lambda b: (b.cost, b.start, b.end, b.point)
    ):
        at = bridge.end if bridge.end >= 0 else int(graph.end_E2[_edge_of(graph, bridge.point), 0])
        apart = component_N[bridge.start] != component_N[at]
        if taken[bridge.start] or (bridge.end >= 0 and taken[bridge.end]) or (bridge.end < 0 and not apart):
            continue
        taken[bridge.start] = degree_N[bridge.start] == 1
        if bridge.end >= 0:
            taken[bridge.end] = degree_N[bridge.end] == 1
        component_N[component_N == component_N[at]] = component_N[bridge.start]
        built.append(bridge)
    return _with(graph, built)


def _candidates(graph: Graph, ends: np.ndarray, most: float, probability_HW: np.ndarray | None) -> list[_Bridge]:
    """Return every bridge that is cheap enough, from each end."""
    found: list[_Bridge] = []
    if not len(ends):
        return found
    reach = most if probability_HW is None else 2 * most
    edge_P = np.repeat(np.arange(graph.edges), np.diff(graph.first_E))
    inner_P = np.ones(len(edge_P), bool)
    inner_P[graph.first_E[:-1]], inner_P[graph.first_E[1:] - 1] = False, False
    edge_of = {int(node): edge for edge, pair in enumerate(graph.end_E2) for node in pair}
    out = {node: heading(graph, node, edge_of[node]) if node in edge_of else None for node in ends.tolist()}
    place_N2 = graph.node_N2[ends]
    near_ends = KDTree(place_N2).query_ball_point(place_N2, reach)
    near_points = KDTree(graph.point_P2).query_ball_point(place_N2, reach) if graph.edges else [[]] * len(ends)
    component_N = graph.component_N
    for k, node in enumerate(ends.tolist()):
        for other in (int(ends[j]) for j in near_ends[k] if ends[j] > node):
            if edge_of.get(node) is None or edge_of.get(node) != edge_of.get(other):
                cost = _cost(graph.node_N2[node], graph.node_N2[other], out[node], out[other], probability_HW)
                found.append(_Bridge(cost, node, other, -1))
        points = np.array(near_points[k], np.int64)
        points = points[inner_P[points]]
        points = points[component_N[graph.end_E2[edge_P[points], 0]] != component_N[node]]
        away = np.hypot(*(graph.point_P2[points] - graph.node_N2[node]).T)
        order = np.lexsort((away, edge_P[points]))
        _, first = np.unique(edge_P[points[order]], return_index=True)
        for point in points[order[first]].tolist():  # the nearest of each line
            cost = _cost(graph.node_N2[node], graph.point_P2[point], out[node], None, probability_HW)
            found.append(_Bridge(cost, node, -1, point))
    return [bridge for bridge in found if bridge.cost <= most]


def heading(graph: Graph, node: int, edge: int) -> np.ndarray:
    """Return where the line of an edge that ends at a node was heading there, a unit vector."""
    line = graph.line(edge) if graph.end_E2[edge, 0] == node else graph.line(edge)[::-1]
    travelled = np.hypot(*np.diff(line, axis=0).T).cumsum()
    far = line[1 + min(int(np.searchsorted(travelled, HEADING)), len(travelled) - 1)]
    along = line[0] - far
    return along / max(float(np.hypot(*along)), 1e-9)


def _cost(
    start: np.ndarray,
    end: np.ndarray,
    out: np.ndarray | None,
    back: np.ndarray | None,
    probability_HW: np.ndarray | None,
) -> float:
    across = end - start
    length = float(np.hypot(*across))
    way = across / max(length, 1e-9)
    turns = sum((1 - float(led @ way) * sign) / 2 for led, sign in ((out, 1), (back, -1)) if led is not None)
    if probability_HW is not None:
        share = np.linspace(0, 1, max(2, int(length / SPACING) + 1))
        column, row = (start + share[:, None] * across).T.astype(int)
        height, width = probability_HW.shape
        read = probability_HW[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        most = 255 if read.dtype == np.uint8 else 1
        length *= 2 * (1 - float(read.mean()) / most)
    return length * (1 + turns)


def _edge_of(graph: Graph, point: int) -> int:
    return int(np.searchsorted(graph.first_E, point, side="right")) - 1


def _with(graph: Graph, built: list[_Bridge]) -> Graph:
    """Return the graph with these bridges, and with a node wherever one lands within a line."""
    landed: dict[int, dict[int, int]] = {}
    nodes = list(graph.node_N2)
    for bridge in built:
        if bridge.end < 0 and bridge.point not in landed.setdefault(_edge_of(graph, bridge.point), {}):
            landed[_edge_of(graph, bridge.point)][bridge.point] = len(nodes)
            nodes.append(graph.point_P2[bridge.point])
    ends, lines, costs = [], [], []
    for edge, (start, end) in enumerate(graph.end_E2.tolist()):
        cuts = sorted(landed.get(edge, {}).items())
        places = [int(graph.first_E[edge]), *(point for point, _ in cuts), int(graph.first_E[edge + 1]) - 1]
        stops = [start, *(node for _, node in cuts), end]
        for k in range(len(stops) - 1):
            ends.append((stops[k], stops[k + 1]))
            lines.append(graph.point_P2[places[k] : places[k + 1] + 1])
            costs.append(0.0)
    for bridge in built:
        end = bridge.end if bridge.end >= 0 else landed[_edge_of(graph, bridge.point)][bridge.point]
        ends.append((bridge.start, end))
        lines.append(np.stack([nodes[bridge.start], nodes[end]]))
        costs.append(max(bridge.cost, 1e-6))
    whole = Graph.of_lines(np.array(nodes), ends, lines)
    return Graph(whole.node_N2, whole.end_E2, whole.point_P2, whole.first_E, np.array(costs))
