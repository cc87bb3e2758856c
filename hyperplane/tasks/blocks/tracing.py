"""From the pixels of a skeleton to a graph, without losing one.

Two pixels are joined where they touch, at a corner only where no third one joins them by its sides; and the four of a
full square are one point. The graph of these joints has the components and the holes of the pixels, since what is left
out are the diagonals of filled triangles and the sides of filled squares. Then a node is every point with other than
two joints, and one point of each ring; chains of the others are the edges' lines. All of it is array work: the chains
are read off one depth-first walk.

Shape suffixes: H and W pixels, N pixels of the skeleton, J joints.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, depth_first_order

from hyperplane.data.blocks.graphs import EMPTY, Graph


def trace(skeleton_HW: np.ndarray) -> Graph:
    """Return the graph of a skeleton, bool (H, W): each pixel's middle is on a line or within 1.2 pixels of a node.

    Its components are the 8-connected components of the pixels, its loops the holes between them.
    """
    row_N, column_N = np.nonzero(skeleton_HW)
    if not len(row_N):
        return EMPTY
    joint_J2, square_S4 = _joints(skeleton_HW, row_N, column_N)
    point_N, place_2 = _points(row_N, column_N, square_S4)
    joint_J2 = point_N[joint_J2]
    joint_J2 = joint_J2[joint_J2[:, 0] != joint_J2[:, 1]]
    return _chained(place_2, joint_J2)


def _joints(skeleton_HW: np.ndarray, row_N: np.ndarray, column_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of pixels that are joined, (J, 2), and the full squares, (S, 4), as positions in the list."""
    height, width = skeleton_HW.shape
    place_HW = np.full((height + 1, width + 2), -1, np.int32)
    place_HW[:-1, 1:-1][skeleton_HW] = np.arange(len(row_N), dtype=np.int32)
    place = place_HW.ravel()
    here_N = row_N * (width + 2) + column_N + 1
    east_N, south_N = place[here_N + 1], place[here_N + width + 2]
    southeast_N, southwest_N = place[here_N + width + 3], place[here_N + width + 1]
    west_N = place[here_N - 1]
    own_N = np.arange(len(row_N), dtype=np.int32)
    joints = [
        np.stack([own_N[there], to[there]], 1)
        for there, to in (
            (east_N >= 0, east_N),
            (south_N >= 0, south_N),
            ((southeast_N >= 0) & (east_N < 0) & (south_N < 0), southeast_N),
            ((southwest_N >= 0) & (west_N < 0) & (south_N < 0), southwest_N),
        )
    ]
    full_N = (east_N >= 0) & (south_N >= 0) & (southeast_N >= 0)
    square_S4 = np.stack([own_N, east_N, south_N, southeast_N], 1)[full_N]
    return np.concatenate(joints), square_S4


def _points(row_N: np.ndarray, column_N: np.ndarray, square_S4: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the point that each pixel belongs to, and where the points are, (x, y)."""
    count = len(row_N)
    middle_N2 = np.stack([column_N, row_N], 1) + 0.5
    if not len(square_S4):
        return np.arange(count), middle_N2
    side_J2 = np.concatenate([square_S4[:, [0, k]] for k in (1, 2, 3)])
    points, point_N = connected_components(
        coo_array((np.ones(len(side_J2), bool), tuple(side_J2.T)), (count, count)), directed=False
    )
    held = np.bincount(point_N, minlength=points)
    sums = [np.bincount(point_N, weights=middle_N2[:, k], minlength=points) for k in (0, 1)]
    return point_N, np.stack(sums, 1) / held[:, None]


def _chained(place_2: np.ndarray, joint_J2: np.ndarray) -> Graph:
    """Return the graph of points and joints between them, its lines as long as they can be."""
    count = len(place_2)
    degree = np.bincount(joint_J2.ravel(), minlength=count)
    is_node = degree != 2
    inner_J2 = joint_J2[~is_node[joint_J2].any(1)]
    chain = _components(inner_J2, count)
    inner_degree = np.bincount(inner_J2.ravel(), minlength=count)
    is_ring = np.bincount(chain, weights=is_node | (inner_degree < 2)) == 0
    if is_ring.any():  # its first point becomes a node
        first = np.full(len(is_ring), count)
        np.minimum.at(first, chain, np.arange(count))
        is_node[first[is_ring]] = True
        inner_J2 = joint_J2[~is_node[joint_J2].any(1)]
        inner_degree = np.bincount(inner_J2.ravel(), minlength=count)
    node = np.cumsum(is_node) - 1
    direct_J2 = joint_J2[is_node[joint_J2].all(1)]
    order, start = _walk(inner_J2, np.flatnonzero(~is_node), inner_degree, _components(inner_J2, count), count)
    first_end, last_end = _attached(joint_J2, is_node, order, start, count)
    lengths = np.diff(np.append(start, len(order)))
    # each line: its first node, its chain, its last node
    begin = start + 2 * np.arange(len(start))
    points = np.empty(len(order) + 2 * len(start), np.int64)
    inside = np.ones(len(points), bool)
    inside[begin], inside[begin + lengths + 1] = False, False
    points[inside], points[begin], points[begin + lengths + 1] = order, first_end, last_end
    point_P2 = np.concatenate([place_2[points], place_2[direct_J2.ravel()]])
    sizes = np.concatenate([lengths + 2, np.full(len(direct_J2), 2)])
    end_E2 = np.concatenate([np.stack([first_end, last_end], 1), direct_J2])
    return Graph(place_2[is_node], node[end_E2], point_P2, np.concatenate([[0], sizes.cumsum()]).astype(np.int64))


def _components(joint_J2: np.ndarray, count: int) -> np.ndarray:
    joined = coo_array((np.ones(len(joint_J2), bool), tuple(joint_J2.T)), (count, count))
    return connected_components(joined, directed=False)[1]


def _walk(
    inner_J2: np.ndarray, inner: np.ndarray, inner_degree: np.ndarray, chain: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of all chains, each from one end to the other, and where each chain starts."""
    if not len(inner):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ends = inner[inner_degree[inner] < 2]
    _, which = np.unique(chain[ends], return_index=True)  # one end of each chain
    root = np.stack([np.full(len(which), count), ends[which]], 1)
    both = np.concatenate([inner_J2, inner_J2[:, ::-1], root])
    graph = csr_array(coo_array((np.ones(len(both), bool), tuple(both.T)), (count + 1, count + 1)))
    order = depth_first_order(graph, count, return_predecessors=False)[1:]
    start = np.flatnonzero(np.diff(chain[order], prepend=-1))
    return order.astype(np.int64), start


def _attached(
    joint_J2: np.ndarray, is_node: np.ndarray, order: np.ndarray, start: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the node before each chain's first point, and the one after its last."""
    to_node_J2 = joint_J2[is_node[joint_J2].sum(1) == 1]
    swap = is_node[to_node_J2[:, 0]]
    to_node_J2[swap] = to_node_J2[swap, ::-1]
    low, high = np.full(count, -1), np.full(count, -1)
    high[to_node_J2[:, 0]] = to_node_J2[:, 1]
    low[to_node_J2[::-1, 0]] = to_node_J2[::-1, 1]
    first, last = order[start], order[np.append(start[1:], len(order))[: len(start)] - 1]
    return low[first], np.where(first == last, high[last], low[last])
