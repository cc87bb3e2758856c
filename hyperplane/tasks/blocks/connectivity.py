"""A loss that is as large as the worst break and the worst bridge: the weakest pixel of the best path counts.

Two ends are connected as well as the best path between them is, and a path as well as its weakest pixel: that is the
maximin affinity, whose pixel is the link that joins both ends in a maximum spanning tree (Turaga et al. 2009, "Maximin
affinity learning of image segmentation"). Some pairs should be joined and others not, of the structure as there and of
the background's regions as in Oner et al. 2022, "Promoting connectivity of network-like structures by enforcing region
separation" (arXiv:2009.07011). In each window these count:

- pixels of the truth's centre line in one piece of it, which a path along the true structure should join, and pixels of
  two regions, which the structure parts, and which a path through it should not join: breaks;
- pixels of two pieces, which a path through the background should not join, and pixels of one region, which a path
  along it should: bridges that are false, and make one piece of two, or a hole.

As in Funke et al. 2019 (arXiv:1709.02974), a path for a break keeps to the structure and one for a bridge to the
background, so that the pixel that decides is one that is wrong; a pair costs its squared error. What is false and
bridges nothing is not seen here: this loss is one term beside others that see it.

Shape suffixes: B batch, H and W pixels, N nodes, E links between two nodes, M pairs' deciding nodes.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor

from hyperplane.tasks.blocks.centre_lines import centre_line
from hyperplane.tasks.blocks.pieces import label

CERTAIN = 2.0
"""Value of a node that never decides: above that of every pixel."""
SMALLEST = 4
"""Pixels of a region or a piece in a window; what is smaller is a jag of the mask's edge, and no end."""
QUIET = 0.1
"""Probability from which on background may be a bridge; below, it costs next to nothing, and is an end to be joined."""


def connectivity(probability_BHW: Tensor, truth_BHW: Tensor, width: int, window: int) -> Tensor:
    """Return the mean cost of a pair of which a break decides, and of one of which a bridge does, added up, (B,).

    Arguments: probabilities; the truth, 0 or 1; its widest structure and the side of a window, in pixels.
    """
    line_BHW = centre_line(truth_BHW, width).cpu().numpy()
    said_BHW, true_BHW = probability_BHW.detach().float().cpu().numpy(), truth_BHW.bool().cpu().numpy()
    wrong_BHW = (truth_BHW - probability_BHW).square()
    losses = []
    for said_HW, true_HW, line_HW, wrong_HW in zip(said_BHW, true_BHW, line_BHW, wrong_BHW, strict=True):
        place_M, share_M = deciding(said_HW, true_HW, line_HW, window)
        cost_M = wrong_HW.flatten()[torch.from_numpy(place_M).to(wrong_HW.device)]
        losses.append((torch.from_numpy(share_M).to(wrong_HW) * cost_M).sum())
    return torch.stack(losses)


def deciding(
    said_HW: np.ndarray, true_HW: np.ndarray, line_HW: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that decide a pair, as positions in the flat image, and the share of pairs that each decides.

    The pairs of each kind weigh the same in every window that has any, those of breaks 1 in all, and those of bridges;
    a window without truth counts where something parts its ground.
    Arguments: probabilities; the truth and its centre line, true or false; the side of a window.
    """
    height, wide = said_HW.shape
    place_HW = np.arange(height * wide).reshape(height, wide)
    breaks: list[tuple[np.ndarray, np.ndarray]] = []
    bridges: list[tuple[np.ndarray, np.ndarray]] = []
    for top in range(0, height, window):
        for left in range(0, wide, window):
            cut = np.s_[top : top + window, left : left + window]
            said_hw, true_hw, place_N = said_HW[cut], true_HW[cut], place_HW[cut].ravel()
            if not true_hw.any():  # what is false may part the ground here too
                found = _within(said_hw, true_hw) if (said_hw >= QUIET).any() else None
                if found is not None and len(found[0]):
                    bridges.append((place_N[found[0]], found[1] / found[2]))
                continue
            for kind, found in (
                (breaks, _along(said_hw, true_hw, line_HW[cut])),
                (breaks, _across(said_hw, true_hw)),
                (bridges, _apart(said_hw, true_hw)),
                (bridges, _within(said_hw, true_hw)),
            ):
                if found is not None and found[2] > 0:
                    kind.append((place_N[found[0]], found[1] / found[2]))
    places = [place_M for kind in (breaks, bridges) for place_M, _ in kind]
    shares = [share_M / len(kind) for kind in (breaks, bridges) for _, share_M in kind]
    if not places:
        return np.zeros(0, np.int64), np.zeros(0)
    return np.concatenate(places), np.concatenate(shares)


Decided = tuple[np.ndarray, np.ndarray, float]
"""Pixels of a window, as positions in it, how many pairs each decides, and how many pairs there are."""


def _along(said_hw: np.ndarray, true_hw: np.ndarray, line_hw: np.ndarray) -> Decided | None:
    """Return which pixels join the centre line's, along the structure."""
    pixel_N = np.flatnonzero(true_hw)
    node_hw = np.full(true_hw.shape, -1)
    node_hw[true_hw] = np.arange(len(pixel_N))
    link_E2 = _links(node_hw)
    if not len(link_E2):
        return None
    node_M, pairs_M = maximin(said_hw[true_hw], link_E2, line_hw[true_hw].astype(float))
    return pixel_N[node_M], pairs_M, pairs_M.sum()


def _across(said_hw: np.ndarray, true_hw: np.ndarray) -> Decided | None:
    """Return which pixels of the structure join two regions of the background."""
    region_hw, regions = label(~true_hw, corners=False)
    size_R = np.bincount(region_hw.ravel(), minlength=regions + 1)[1:]
    if np.count_nonzero(size_R >= SMALLEST) < 2:
        return None
    node_M, pairs_M = _between(region_hw, size_R, true_hw, 1 - said_hw, corners=False)
    return node_M, pairs_M, pairs_M.sum()


def _apart(said_hw: np.ndarray, true_hw: np.ndarray) -> Decided | None:
    """Return which pixels of the background join two pieces of the structure."""
    piece_hw, pieces = label(true_hw)
    if pieces < 2:
        return None
    size_R = np.bincount(piece_hw.ravel(), minlength=pieces + 1)[1:]
    loud_hw = ~true_hw & (said_hw >= QUIET)
    size_R = np.where(size_R >= SMALLEST, size_R, 0)
    return *_between(piece_hw, size_R, loud_hw, said_hw, corners=True), (size_R.sum() ** 2 - (size_R**2).sum()) / 2


def _within(said_hw: np.ndarray, true_hw: np.ndarray) -> Decided | None:
    """Return which pixels of the background part a region of it."""
    loud_hw = ~true_hw & (said_hw >= QUIET)
    part_hw, parts = label(~true_hw & ~loud_hw, corners=False)
    if not parts:
        return None
    size_R = np.bincount(part_hw.ravel(), minlength=parts + 1)[1:]
    region_hw, _ = label(~true_hw, corners=False)
    whole_R = np.bincount(region_hw[part_hw > 0]).astype(float)
    return *_between(part_hw, size_R, loud_hw, 1 - said_hw, corners=False), (whole_R**2).sum() / 2


def _between(
    part_hw: np.ndarray, size_R: np.ndarray, way_hw: np.ndarray, value_hw: np.ndarray, corners: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that decide how well parts are joined, and how many pairs of their pixels each decides.

    Arguments: the part of each pixel, from 1, and their sizes; the pixels that a path between parts may take, and what
    they are worth; whether it may pass over corners.
    """
    pixel_N = np.flatnonzero(way_hw)
    node_hw = part_hw - 1
    node_hw[way_hw] = len(size_R) + np.arange(len(pixel_N))
    value_N = np.concatenate([np.full(len(size_R), CERTAIN), value_hw[way_hw]])
    ends_N = np.concatenate([np.where(size_R >= SMALLEST, size_R, 0), np.zeros(len(pixel_N))]).astype(float)
    node_M, pairs_M = maximin(value_N, _links(node_hw, corners), ends_N)
    return pixel_N[node_M - len(size_R)], pairs_M


def maximin(value_N: np.ndarray, link_E2: np.ndarray, ends_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes that decide a pair of ends, and how many pairs each.

    A path is worth its least node, and a pair its best path. Arguments: the nodes' values; which of them are linked;
    how many ends each holds; two ends of one node are no pair.
    """
    less_E = value_N[link_E2].argmin(axis=1)
    weakest_E = link_E2[np.arange(len(link_E2)), less_E]
    cost_E = 1 + CERTAIN - value_N[weakest_E]  # above 0, since no weight is no link
    graph = csr_matrix((cost_E, (link_E2[:, 0], link_E2[:, 1])), (len(value_N), len(value_N)))
    tree = minimum_spanning_tree(graph).tocoo()
    order = np.argsort(tree.data, kind="stable")
    one_T, other_T = tree.row[order], tree.col[order]
    weakest_T = np.where(value_N[one_T] <= value_N[other_T], one_T, other_T)
    parent, held = list(range(len(value_N))), ends_N.tolist()
    nodes, pairs = [], []
    for one, other, weakest in zip(one_T.tolist(), other_T.tolist(), weakest_T.tolist(), strict=True):
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        while parent[other] != other:
            parent[other] = other = parent[parent[other]]
        if held[one] and held[other]:
            nodes.append(weakest)
            pairs.append(held[one] * held[other])
        parent[one] = other
        held[other] += held[one]
    return np.array(nodes, np.int64), np.array(pairs, float)


def _links(node_hw: np.ndarray, corners: bool = False) -> np.ndarray:
    """Return which nodes have pixels side by side, or at a corner, (E, 2), each pair once; negative ones are none."""
    sides = [(node_hw[:, :-1], node_hw[:, 1:]), (node_hw[:-1], node_hw[1:])]
    if corners:
        sides += [(node_hw[:-1, :-1], node_hw[1:, 1:]), (node_hw[:-1, 1:], node_hw[1:, :-1])]
    one_E, other_E = (np.concatenate([pair[k].ravel() for pair in sides]) for k in (0, 1))
    linked_E = (one_E >= 0) & (other_E >= 0) & (one_E != other_E)
    low_E, high_E = np.minimum(one_E, other_E)[linked_E], np.maximum(one_E, other_E)[linked_E]
    low_E, high_E = np.divmod(np.unique(low_E.astype(np.int64) * node_hw.size + high_E), node_hw.size)
    return np.stack([low_E, high_E], axis=1)
