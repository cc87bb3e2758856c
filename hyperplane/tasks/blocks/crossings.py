"""Which straight pieces of a network's lines meet where they should not.

Pieces that cross have places near each other along both, so only such pairs are looked at, and then exactly.

Shape suffixes: S pieces, M pairs of them.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

SPACING = 4.0
"""Between the places along a piece at which others are looked for, in pixels."""


def crossings(start_S2: np.ndarray, end_S2: np.ndarray) -> np.ndarray:
    """Return the pairs of pieces that have a point in common, (M, 2), the lesser first.

    One that is an end of both does not count, unless they go on from it in one direction.
    """
    along_S2 = end_S2 - start_S2
    steps_S = np.ceil(np.hypot(along_S2[:, 0], along_S2[:, 1]) / SPACING).astype(np.int64) + 1
    piece = np.repeat(np.arange(len(start_S2)), steps_S)
    step = np.arange(len(piece)) - np.repeat(steps_S.cumsum() - steps_S, steps_S)
    share = step / np.maximum(steps_S - 1, 1)[piece]
    near = KDTree(start_S2[piece] + share[:, None] * along_S2[piece]).query_pairs(SPACING, output_type="ndarray")
    pair_M2 = np.sort(piece[near], axis=1)
    pair_M2 = np.unique(pair_M2[pair_M2[:, 0] != pair_M2[:, 1]], axis=0)
    one, other = pair_M2.T
    return pair_M2[_meet(start_S2[one], end_S2[one], start_S2[other], end_S2[other])]


def _meet(a_M2: np.ndarray, b_M2: np.ndarray, c_M2: np.ndarray, d_M2: np.ndarray) -> np.ndarray:
    """Return whether a piece from a to b and one from c to d do, bool (M,)."""
    apart_M = (_side(a_M2, b_M2, c_M2) * _side(a_M2, b_M2, d_M2) > 0) | (
        _side(c_M2, d_M2, a_M2) * _side(c_M2, d_M2, b_M2) > 0
    )
    for axis in (0, 1):  # on one line, they may lie apart
        low, high = (np.minimum, np.maximum)
        apart_M |= high(a_M2, b_M2)[:, axis] < low(c_M2, d_M2)[:, axis]
        apart_M |= high(c_M2, d_M2)[:, axis] < low(a_M2, b_M2)[:, axis]
    met_M = ~apart_M
    for p, q, r, s in ((a_M2, b_M2, c_M2, d_M2), (a_M2, b_M2, d_M2, c_M2), (b_M2, a_M2, c_M2, d_M2),
                       (b_M2, a_M2, d_M2, c_M2)):  # fmt: skip
        shared_M = (p == r).all(1)
        onwards_M = (_side(p, q, s) == 0) & (((q - p) * (s - p)).sum(1) > 0)
        met_M[shared_M] = onwards_M[shared_M]
    return met_M


def _side(a_M2: np.ndarray, b_M2: np.ndarray, c_M2: np.ndarray) -> np.ndarray:
    """Return on which side of the line from a to b each c lies: above 0, below 0, or 0 on it."""
    along, away = b_M2 - a_M2, c_M2 - a_M2
    return along[:, 0] * away[:, 1] - along[:, 1] * away[:, 0]
