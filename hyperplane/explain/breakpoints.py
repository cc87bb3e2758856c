"""A ReLU net along a straight line through its inputs: the pieces on which it is affine, exactly.

Shape suffixes: D inputs, S pieces, H units, K outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyperplane.errors import UserError
from hyperplane.explain.layers import Layers, fit

TOLERANCE = 1e-13
"""Breakpoints nearer than this share of the line are one; a unit is off where it is at most this share of its terms."""


@dataclass(frozen=True)
class Pieces:
    """A net along x(t) = start + t (end − start), t in [0, 1]."""

    edge_S: np.ndarray
    """Where pieces begin, and where the last one ends, (S + 1,), from 0 to 1."""
    active_SH: np.ndarray
    """Which units are on, of all layers one after the other."""
    slope_SK: np.ndarray
    offset_SK: np.ndarray
    """On a piece, output k is slope_SK[s, k] t + offset_SK[s, k]."""

    def __len__(self) -> int:
        return len(self.slope_SK)

    @property
    def breakpoint_S(self) -> np.ndarray:
        """Return where one piece ends and the next begins, (S − 1,)."""
        return self.edge_S[1:-1]

    def __call__(self, t_B: np.ndarray) -> np.ndarray:
        """Return the outputs at some t in [0, 1], (B, K)."""
        piece_B = np.clip(np.searchsorted(self.edge_S, t_B, side="right") - 1, 0, len(self) - 1)
        return self.slope_SK[piece_B] * np.asarray(t_B)[:, None] + self.offset_SK[piece_B]


def pieces(net: Layers, start_D: np.ndarray, end_D: np.ndarray) -> Pieces:
    """Return the pieces of a ReLU net between two inputs; raises UserError for a net of another activation."""
    if net.activation != "relu" and net.hidden:
        raise UserError(
            f"net: found the activation {net.activation}, but breakpoints are those of ReLU nets; "
            "train with --net.activation relu"
        )
    start_D, end_D = np.asarray(start_D, np.float64), np.asarray(end_D, np.float64)
    net = net.through((end_D - start_D)[None], start_D)
    edge_S, map_SH2, active_SH = np.array([0.0, 1.0]), np.array([[[1.0, 0.0]]]), np.zeros((1, 0), bool)
    for depth, layer in enumerate(net.hidden):
        before_SH2 = layer.weight_HD @ map_SH2
        before_SH2[..., 1] += layer.bias_H
        reach_SD = np.abs(map_SH2).sum(axis=2)
        tolerance_SH = TOLERANCE * (reach_SD @ np.abs(layer.weight_HD.T) + np.abs(layer.bias_H))
        first_SH, last_SH = (
            before_SH2[..., 0] * t_S[:, None] + before_SH2[..., 1] for t_S in (edge_S[:-1], edge_S[1:])
        )
        crossing = (np.maximum(first_SH, last_SH) > tolerance_SH) & (np.minimum(first_SH, last_SH) < -tolerance_SH)
        piece_N, unit_N = np.nonzero(crossing)
        new_N = -before_SH2[piece_N, unit_N, 1] / before_SH2[piece_N, unit_N, 0]
        inside_N = np.clip(new_N, edge_S[piece_N], edge_S[piece_N + 1])
        old_S, edge_S = edge_S, _distinct(np.concatenate([edge_S, inside_N]))
        middle_S = (edge_S[:-1] + edge_S[1:]) / 2
        parent_S = np.searchsorted(old_S, middle_S, side="right") - 1
        on_SH = before_SH2[parent_S, :, 0] * middle_S[:, None] + before_SH2[parent_S, :, 1] > tolerance_SH[parent_S]
        after_SH2 = before_SH2[parent_S] * on_SH[..., None]
        if net.bypass and depth:
            after_SH2 += fit(map_SH2, len(layer.bias_H))[parent_S]
        map_SH2, active_SH = after_SH2, np.concatenate([active_SH[parent_S], on_SH], axis=1)
    output_SK2 = net.output.weight_HD @ map_SH2
    return Pieces(edge_S, active_SH, output_SK2[..., 0], output_SK2[..., 1] + net.output.bias_H)


def _distinct(t_S: np.ndarray) -> np.ndarray:
    """Return numbers from 0 to 1 in order, of those nearer to each other than the tolerance only the first, and 1."""
    t_S = np.sort(t_S)
    kept_S = t_S[np.diff(t_S, prepend=-np.inf) > TOLERANCE]
    return np.concatenate([kept_S[kept_S < 1 - TOLERANCE], [1.0]])
