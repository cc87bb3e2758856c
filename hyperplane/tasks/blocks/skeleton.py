"""The centre line of a mask, by thinning that keeps its topology.

In turn from the north, the south, the west and the east, every border pixel that is simple and no end of a line is
taken away at once, until none is left (Rosenfeld 1975, "A characterization of parallel thinning algorithms"). A pixel
is simple where its removal joins no background and parts no foreground: its 8-connectivity number is one (Yokoi,
Toriwaki and Fukumura 1975). So the skeleton has as many 8-connected components as the mask, and as many holes. A pixel
is looked at again only when one beside it was taken, so that the work grows with the mask's area, not with the
picture's times its width.

Shape suffixes: H and W pixels, N pixels of a list.
"""

from __future__ import annotations

from functools import cache

import numpy as np

AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""Rows and columns to the eight neighbours, clockwise from the north; neighbour k is bit k of a code."""
NORTH, EAST, SOUTH, WEST = 0, 2, 4, 6


def thin(mask_HW: np.ndarray) -> np.ndarray:
    """Return the skeleton of a mask, bool (H, W): lines one pixel wide, as many components and holes."""
    height, width = mask_HW.shape
    stride = width + 2
    inside_HW = np.zeros((height + 2, stride), np.uint8)
    inside_HW[1:-1, 1:-1] = mask_HW
    inside_N = inside_HW.ravel()
    offset_8 = np.array([row * stride + column for row, column in AROUND])
    seen_N = np.zeros(inside_N.size, np.int32)
    candidate_N = _border(inside_HW)
    while candidate_N.size:
        taken = []
        for side in (NORTH, SOUTH, WEST, EAST):
            exposed_N = candidate_N[(inside_N[candidate_N] & (1 - inside_N[candidate_N + offset_8[side]])).view(bool)]
            gone_N = exposed_N[_removable()[_codes(inside_N, exposed_N, offset_8)]]
            inside_N[gone_N] = 0
            taken.append(gone_N)
        gone_N = np.concatenate(taken)
        beside_N = (gone_N[:, None] + offset_8).ravel()
        beside_N = beside_N[inside_N[beside_N].view(bool)]
        seen_N[beside_N] = np.arange(len(beside_N), dtype=np.int32)
        candidate_N = beside_N[seen_N[beside_N] == np.arange(len(beside_N), dtype=np.int32)]
    return inside_HW[1:-1, 1:-1].view(bool)


def _border(inside_HW: np.ndarray) -> np.ndarray:
    """Return where a pixel of the foreground has one of the background beside it, above or below."""
    middle = inside_HW[1:-1, 1:-1]
    around = inside_HW[:-2, 1:-1] & inside_HW[2:, 1:-1] & inside_HW[1:-1, :-2] & inside_HW[1:-1, 2:]
    row_N, column_N = np.nonzero(middle > around)
    return (row_N + 1) * inside_HW.shape[1] + column_N + 1


def _codes(inside_N: np.ndarray, place_N: np.ndarray, offset_8: np.ndarray) -> np.ndarray:
    """Return which neighbours of each pixel are foreground, a bit for each."""
    code_N = np.zeros(len(place_N), np.uint8)
    for k, offset in enumerate(offset_8):
        code_N |= inside_N[place_N + offset] << k
    return code_N


@cache
def _removable() -> np.ndarray:
    """Return for each code of neighbours whether the pixel is simple and no end of a line, bool (256,)."""
    removable = np.zeros(256, bool)
    for code in range(256):
        outside = [1 - (code >> k & 1) for k in range(8)]
        joined = sum(outside[k] - outside[k] * outside[k + 1] * outside[(k + 2) % 8] for k in (0, 2, 4, 6))
        removable[code] = joined == 1 and code.bit_count() >= 2
    return removable
