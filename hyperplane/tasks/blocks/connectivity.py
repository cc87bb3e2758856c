"""A loss that is as large as the worst break: in windows of a mask, the weakest pixel of the best path counts.

Two ends are connected as well as the best path between them is, and a path as well as its weakest pixel: that is the
maximin affinity, whose pixel is the link that joins both ends in a maximum spanning tree (Turaga et al. 2009, "Maximin
affinity learning of image segmentation"). Two kinds of pairs count in each window:

- pixels of the truth's centre line in one piece of it, which a path along the true structure should join;
- pixels of the background in two regions, which the structure parts, and which a path through it should not join (Oner
  et al. 2022, "Promoting connectivity of network-like structures by enforcing region separation", arXiv:2009.07011).

Either way the pixel that decides should belong to the structure, and its squared shortfall is what a pair costs. What
is drawn beside the truth is not seen here: this loss is one term beside others that see it.

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
"""Pixels of a background region in a window; what is smaller is a jag of the mask's edge."""


def connectivity(probability_BHW: Tensor, truth_BHW: Tensor, width: int, window: int) -> Tensor:
    """Return the mean cost of a pair, (B,): (1 − p)² of the pixel that decides it, over both kinds.

    Arguments: probabilities; the truth, 0 or 1; its widest structure and the side of a window, in pixels.
    """
    line_BHW = centre_line(truth_BHW, width).cpu().numpy()
    said_BHW, true_BHW = probability_BHW.detach().float().cpu().numpy(), truth_BHW.bool().cpu().numpy()
    losses = []
    for said_HW, true_HW, line_HW, probability_HW in zip(said_BHW, true_BHW, line_BHW, probability_BHW, strict=True):
        place_M, pairs_M = deciding(said_HW, true_HW, line_HW, window)
        if not len(place_M):
            losses.append(0 * probability_HW.sum())
            continue
        weight_M = torch.from_numpy(pairs_M).to(probability_HW)
        short_M = 1 - probability_HW.flatten()[torch.from_numpy(place_M).to(probability_HW.device)]
        losses.append((weight_M * short_M.square()).sum() / weight_M.sum())
    return torch.stack(losses)


def deciding(
    said_HW: np.ndarray, true_HW: np.ndarray, line_HW: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that decide a pair, as positions in the flat image, and the share of pairs that each decides.

    In each window the pairs of each kind weigh 1 together. Arguments: probabilities; the truth and its centre line,
    true or false; the side of a window.
    """
    height, wide = said_HW.shape
    place_HW = np.arange(height * wide).reshape(height, wide)
    places, pairs = [], []
    for top in range(0, height, window):
        for left in range(0, wide, window):
            cut = np.s_[top : top + window, left : left + window]
            true_hw = true_HW[cut]
            if not true_hw.any():
                continue
            for found in (_along(said_HW[cut], true_hw, line_HW[cut]), _across(said_HW[cut], true_hw)):
                if found is not None and found[1].sum() > 0:
                    places.append(place_HW[cut].ravel()[found[0]])
                    pairs.append(found[1] / found[1].sum())
    if not places:
        return np.zeros(0, np.int64), np.zeros(0)
    return np.concatenate(places), np.concatenate(pairs)


def _along(said_hw: np.ndarray, true_hw: np.ndarray, line_hw: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which pixels join the centre line's, along the structure, and how many pairs of them each."""
    pixel_N = np.flatnonzero(true_hw)
    node_hw = np.full(true_hw.shape, -1)
    node_hw[true_hw] = np.arange(len(pixel_N))
    link_E2 = _links(node_hw)
    if not len(link_E2):
        return None
    node_M, pairs_M = maximin(said_hw[true_hw], link_E2, line_hw[true_hw].astype(float))
    return pixel_N[node_M], pairs_M


def _across(said_hw: np.ndarray, true_hw: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which pixels of the structure join two regions of the background, and how many pairs of pixels each."""
    region_hw, regions = label(~true_hw, corners=False)
    size_R = np.bincount(region_hw.ravel(), minlength=regions + 1)[1:]
    if np.count_nonzero(size_R >= SMALLEST) < 2:
        return None
    pixel_N = np.flatnonzero(true_hw)
    node_hw = np.where(true_hw, 0, region_hw - 1)
    node_hw[true_hw] = regions + np.arange(len(pixel_N))
    value_N = np.concatenate([np.full(regions, CERTAIN), 1 - said_hw[true_hw]])
    ends_N = np.concatenate([np.where(size_R >= SMALLEST, size_R, 0), np.zeros(len(pixel_N))]).astype(float)
    node_M, pairs_M = maximin(value_N, _links(node_hw), ends_N)
    return pixel_N[node_M - regions], pairs_M


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


def _links(node_hw: np.ndarray) -> np.ndarray:
    """Return which nodes have pixels beside or above each other, (E, 2), each pair once; negative ones are none."""
    level = np.stack([node_hw[:, :-1].ravel(), node_hw[:, 1:].ravel()], axis=1)
    upright = np.stack([node_hw[:-1].ravel(), node_hw[1:].ravel()], axis=1)
    link_E2 = np.sort(np.concatenate([level, upright]), axis=1)
    link_E2 = link_E2[(link_E2[:, 0] >= 0) & (link_E2[:, 0] != link_E2[:, 1])]
    return np.unique(link_E2, axis=0)
