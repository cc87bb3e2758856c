"""From a mask to a network: its skeleton traced, then spurs, junctions, gaps and detail seen to.

All lengths are in pixels. Only bridging changes which parts are connected, and only if it is asked for: with `gap` 0
the network has the mask's components and holes.

Shape suffixes: H and W pixels, N nodes, E edges, P points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyperplane.data.blocks.graphs import Graph, joined
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.bridging import bridged, heading
from hyperplane.tasks.blocks.crossings import crossings
from hyperplane.tasks.blocks.skeleton import thin
from hyperplane.tasks.blocks.tracing import trace

STEP = 0.25
"""Between the places that are looked at beyond a line's end, in pixels."""


@dataclass(frozen=True)
class Network:
    """What was made of a mask."""

    graph: Graph
    width: float
    """Mean width of the mask's lines, in pixels: its area over its skeleton's length."""
    notes: tuple[str, ...]
    """What was done, one sentence each, for people."""


def network_of(
    mask_HW: np.ndarray,
    *,
    spur: float | None = None,
    junction: float | None = None,
    gap: float = 0.0,
    tolerance: float = 1.0,
    probability_HW: np.ndarray | None = None,
) -> Network:
    """Return the network that a mask, bool (H, W), shows.

    Arguments: the length below which a branch that ends is a spur of the outline, and the distance within which
    junctions are one, both the mean width where they are None; the most that a bridge over a gap may cost
    (`hyperplane.tasks.blocks.bridging`), 0 for none; how far a line may lie from the pixels' middles; the probability
    of the foreground, which makes bridges cheap where it is high, in [0, 1], or uint8 with 255 for 1.
    Raises UserError for a length below 0.
    """
    for name, value in (("spur", spur), ("junction", junction), ("gap", gap), ("tolerance", tolerance)):
        if value is not None and not 0 <= value < np.inf:
            raise UserError(f"graph.{name}: found {value:g}, expected 0 or more pixels; correct it")
    traced = trace(thin(mask_HW))
    width = float(mask_HW.sum()) / max(float(traced.length_E.sum()), 1.0)
    width = min(width, float(np.hypot(*mask_HW.shape)))  # of a disc there is nearly no skeleton
    spur, junction = (width if length is None else length for length in (spur, junction))
    pruned = prune(traced, spur)
    lines = joined(pruned)
    merged = merge(lines, junction)
    notes = [
        f"{traced.edges - pruned.edges} spurs shorter than {spur:.1f} pixels were left out.",
        f"{lines.edges - merged.edges} junctions nearer than {junction:.1f} pixels to another became one with it.",
    ]
    graph = lengthened(joined(merged), mask_HW, width)
    if gap:
        graph = bridged(graph, gap, probability_HW)
        cost_E = graph.cost_E[graph.cost_E > 0]
        notes.append(f"{len(cost_E)} gaps were bridged, at a cost of {cost_E.sum():.1f} pixels in all.")
    return Network(simplify(graph, tolerance), width, tuple(notes))


def classes_of(graph: Graph, class_HW: np.ndarray) -> list[int]:
    """Return for each edge the class, but the background, that most places along its line have; 0 where none has."""
    height, width = class_HW.shape
    found = []
    for line in graph.lines():
        travelled = np.concatenate([[0.0], np.hypot(*np.diff(line, axis=0).T).cumsum()])
        along = np.linspace(0, travelled[-1], max(2, int(travelled[-1] / STEP)))
        column, row = (np.interp(along, travelled, line[:, axis]).astype(int) for axis in (0, 1))
        held = np.bincount(class_HW[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)], minlength=2)
        found.append(1 + int(held[1:].argmax()) if held[1:].any() else 0)
    return found


def lengthened(graph: Graph, mask_HW: np.ndarray, most: float) -> Graph:
    """Return the graph with lines that end drawn on as they were heading, to the mask's edge, by at most `most`.

    Thinning takes half of a road's width from its end, where it leaves the picture too.
    """
    node_N2 = graph.node_N2.copy()
    added: dict[int, np.ndarray] = {}
    height, width = mask_HW.shape
    degree_N = graph.degree_N
    for edge, pair in enumerate(graph.end_E2.tolist()):
        for side, node in enumerate(pair):
            if degree_N[node] != 1:
                continue
            steps = np.arange(STEP, max(most, STEP), STEP)[:, None]
            path = node_N2[node] + steps * heading(graph, node, edge)
            column, row = np.floor(path).astype(int).T
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            inside[inside] = mask_HW[row[inside], column[inside]]
            reached = len(inside) if inside.all() else int(inside.argmin())
            if reached:
                added[2 * edge + side] = path[reached - 1]
    if not added:
        return graph
    lines = []
    for edge, (line, pair) in enumerate(zip(graph.lines(), graph.end_E2.tolist(), strict=True)):
        before, after = added.get(2 * edge), added.get(2 * edge + 1)
        parts = [place[None] if place is not None else line[:0] for place in (before, after)]
        lines.append(np.concatenate([parts[0], line, parts[1]]))
        for node, place in zip(pair, (before, after), strict=True):
            if place is not None:
                node_N2[node] = place
    return Graph.of_lines(node_N2, graph.end_E2.tolist(), lines)


def prune(graph: Graph, least: float) -> Graph:
    """Return the graph without branches shorter than `least` that end, but as many ends at each junction as a line has.

    The longest stay, so that no component vanishes and no line loses its end.
    """
    degree_N, length_E = graph.degree_N, graph.length_E
    ends_E2 = degree_N[graph.end_E2] == 1
    spur_E = (ends_E2.sum(1) == 1) & (degree_N[graph.end_E2].max(1, initial=0) >= 3) & (length_E < least)
    which = np.flatnonzero(spur_E)
    at = np.where(ends_E2[which, 0], graph.end_E2[which, 1], graph.end_E2[which, 0])
    order = np.lexsort((-length_E[which], at))
    which, at = which[order], at[order]
    rank = np.arange(len(at)) - np.searchsorted(at, at)
    others = degree_N[at] - np.bincount(at, minlength=len(degree_N))[at]
    gone_E = np.zeros(graph.edges, bool)
    gone_E[which[rank >= 2 - others]] = True
    kept = graph.keep(~gone_E)
    return kept.without_nodes((kept.degree_N == 0) & (degree_N > 0))


def merge(graph: Graph, most: float) -> Graph:
    """Return the graph with junctions that an edge of at most this length joins made one, in their middle.

    A cluster stays within a box whose diagonal is twice that. Edges that close a loop within a cluster stay, so that
    every hole does.
    """
    length_E, degree_N = graph.length_E, graph.degree_N
    both_E = (degree_N[graph.end_E2] >= 3).all(1) & (graph.end_E2[:, 0] != graph.end_E2[:, 1])
    candidates = np.flatnonzero(both_E & (length_E <= most))
    parent = list(range(len(graph.node_N2)))
    low, high, sums, size = graph.node_N2.copy(), graph.node_N2.copy(), graph.node_N2.copy(), np.ones(len(parent))
    gone_E = np.zeros(graph.edges, bool)
    for edge in candidates[np.argsort(length_E[candidates], kind="stable")].tolist():
        one, other = (_root(parent, node) for node in graph.end_E2[edge].tolist())
        least, greatest = np.minimum(low[one], low[other]), np.maximum(high[one], high[other])
        if one == other or np.hypot(*(greatest - least)) > 2 * most:
            continue
        parent[other], gone_E[edge] = one, True
        low[one], high[one] = least, greatest
        sums[one] += sums[other]
        size[one] += size[other]
    if not gone_E.any():
        return graph
    root_N = np.array([_root(parent, node) for node in range(len(parent))])
    node_N2 = (sums / size[:, None])[root_N]
    kept = graph.keep(~gone_E)
    lines = []
    for (start, end), line in zip(kept.end_E2.tolist(), kept.lines(), strict=True):
        before = [node_N2[start]] if root_N[start] != start or size[start] > 1 else []
        after = [node_N2[end]] if root_N[end] != end or size[end] > 1 else []
        lines.append(np.concatenate([np.reshape(before, (-1, 2)), line, np.reshape(after, (-1, 2))]))
    whole = Graph.of_lines(node_N2, root_N[kept.end_E2].tolist(), lines)
    return whole.without_nodes(root_N != np.arange(len(root_N)))


def simplify(graph: Graph, tolerance: float) -> Graph:
    """Return the graph with fewer points: none that is left out lies farther than `tolerance` from its line.

    Douglas and Peucker 1973, all lines at once. A loop keeps two points within, an edge beside another one: so that
    neither becomes a line there and back, nor two the same. Where two lines would meet that did not, both keep more.
    """
    if not graph.edges:
        return graph
    kept_P = np.zeros(len(graph.point_P2), bool)
    low_S, high_S = graph.first_E[:-1], graph.first_E[1:] - 1
    kept_P[low_S], kept_P[high_S] = True, True
    pair_E = np.sort(graph.end_E2, 1) @ (len(graph.node_N2), 1)
    _, inverse, times = np.unique(pair_E, return_inverse=True, return_counts=True)
    forced_S = np.where(graph.end_E2[:, 0] == graph.end_E2[:, 1], 2, (times[inverse] > 1).astype(int))
    while True:
        open_S = high_S - low_S > 1
        low_S, high_S, forced_S = low_S[open_S], high_S[open_S], forced_S[open_S]
        if not len(low_S):
            break
        farthest_S, distance_S = _farthest(graph.point_P2, low_S, high_S)
        split_S = (distance_S > tolerance) | (forced_S > 0)
        low_S, high_S, farthest_S, forced_S = low_S[split_S], high_S[split_S], farthest_S[split_S], forced_S[split_S]
        kept_P[farthest_S] = True
        left_S, in_low_S = np.maximum(forced_S - 1, 0), farthest_S - low_S >= high_S - farthest_S
        forced_S = np.concatenate([left_S * in_low_S, left_S * ~in_low_S])
        low_S, high_S = np.concatenate([low_S, farthest_S]), np.concatenate([farthest_S, high_S])
    _uncrossed(graph, kept_P)
    held = np.add.reduceat(kept_P, graph.first_E[:-1], dtype=np.int64)
    first_E = np.concatenate([[0], held.cumsum()]).astype(np.int64)
    return Graph(graph.node_N2, graph.end_E2, graph.point_P2[kept_P], first_E, graph.cost_E)


def _uncrossed(graph: Graph, kept_P: np.ndarray) -> None:
    """Keep more points, farthest first, until no straight piece that leaves some out meets another."""
    last_P = np.zeros(len(kept_P), bool)
    last_P[graph.first_E[1:] - 1] = True
    while True:
        kept = np.flatnonzero(kept_P)
        low_S, high_S = kept[:-1], kept[1:]
        within_S = ~last_P[low_S]
        low_S, high_S = low_S[within_S], high_S[within_S]
        met_S = np.zeros(len(low_S), bool)
        met_S[crossings(graph.point_P2[low_S], graph.point_P2[high_S]).ravel()] = True
        met_S &= high_S - low_S > 1
        if not met_S.any():
            return
        kept_P[_farthest(graph.point_P2, low_S[met_S], high_S[met_S])[0]] = True


def _farthest(point_P2: np.ndarray, low_S: np.ndarray, high_S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the point between each two that lies farthest from the straight line there, and how far."""
    count_S = high_S - low_S - 1
    begin_S = np.concatenate([[0], count_S.cumsum()[:-1]])
    segment = np.repeat(np.arange(len(low_S)), count_S)
    point = np.arange(len(segment)) - begin_S[segment] + low_S[segment] + 1
    start, along = point_P2[low_S], point_P2[high_S] - point_P2[low_S]
    squared = np.maximum((along**2).sum(1), 1e-12)
    offset = point_P2[point] - start[segment]
    share = np.clip((offset * along[segment]).sum(1) / squared[segment], 0, 1)
    away = offset - share[:, None] * along[segment]
    distance = np.hypot(away[:, 0], away[:, 1])
    most_S = np.maximum.reduceat(distance, begin_S)
    hit = np.flatnonzero(distance == most_S[segment])
    _, first = np.unique(segment[hit], return_index=True)
    return point[hit[first]], most_S


def _root(parent: list[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node
