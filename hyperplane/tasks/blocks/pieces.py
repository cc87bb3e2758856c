"""The connected pieces of a mask. Shape suffixes: H and W pixels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HELD = 2**24
"""Pixels of a mask that are looked at together."""
CORNERS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected: those of lines. Those of the background are not."""


def label(mask_HW: np.ndarray, corners: bool = True) -> tuple[np.ndarray, int]:
    """Return which piece each pixel belongs to, counted from 1, 0 for none, and how many pieces there are."""
    numbers, count = cast("tuple[Any, Any]", ndimage.label(mask_HW, CORNERS if corners else None))
    return np.asarray(numbers), int(count)


@dataclass(frozen=True)
class Pieces:
    """The pieces of a mask, found in bands of rows, so that no more than a band's are held."""

    count: int
    tops: tuple[int, ...]
    """Where bands begin."""
    size_bands: tuple[np.ndarray, ...]
    """Of each band, by the number that `label` gives there, the pixels of the whole piece; 0 for the background."""


def pieces(mask_HW: np.ndarray, held: int = HELD) -> Pieces:
    """Return the pieces of what is not 0, (H, W), looked at in bands of about `held` pixels."""
    height, wide = mask_HW.shape
    rows = max(1, held // max(wide, 1))
    tops, firsts, sizes, joins, above = range(0, height, rows), [0], [], [], None
    for top in tops:
        piece_hW, count = label(mask_HW[top : top + rows] > 0)
        sizes.append(np.bincount(piece_hW.ravel(), minlength=count + 1)[1:])
        number_hW = np.where(piece_hW[[0, -1]] > 0, piece_hW[[0, -1]] + (firsts[-1] - 1), -1)
        if above is not None:
            for shift in (-1, 0, 1):  # of the row above, to the left, over it, to the right
                one = above[max(shift, 0) : wide + min(shift, 0)]
                other = number_hW[0, max(-shift, 0) : wide - max(shift, 0)]
                touch = (one >= 0) & (other >= 0)
                joins.append(np.unique(np.stack([one[touch], other[touch]]), axis=1))
        above = number_hW[1]
        firsts.append(firsts[-1] + count)
    join_2J = np.concatenate([np.zeros((2, 0), np.int64), *joins], axis=1)
    graph = coo_array((np.ones(join_2J.shape[1], bool), tuple(join_2J)), (firsts[-1], firsts[-1]))
    count, whole = connected_components(graph, directed=False) if firsts[-1] else (0, np.zeros(0, np.int64))
    total = np.bincount(whole, weights=np.concatenate([np.zeros(0), *sizes]), minlength=count)[whole].astype(np.int64)
    bands = (np.append(0, total[first:last]) for first, last in pairwise(firsts))
    return Pieces(count, tuple(tops), tuple(bands))


def clear_small(class_HW: np.ndarray, smallest: int, held: int = HELD) -> None:
    """Make what is not 0 into 0 where it lies in a piece of fewer pixels than `smallest`."""
    if smallest <= 1:
        return
    found = pieces(class_HW, held)
    for top, bottom, size in zip(found.tops, (*found.tops[1:], len(class_HW)), found.size_bands, strict=True):
        piece_hW, _ = label(class_HW[top:bottom] > 0)
        class_HW[top:bottom][size[piece_hW] < smallest] = 0


def beside(mask_HW: np.ndarray) -> np.ndarray:
    """Return which pixels are in a mask or touch it, at a corner too."""
    return cast(np.ndarray, ndimage.binary_dilation(mask_HW, CORNERS))


def places(piece_HW: np.ndarray, count: int) -> list[tuple[slice, slice]]:
    """Return the rows and columns that each piece lies in, in the pieces' order."""
    return [(found[0], found[1]) for found in ndimage.find_objects(piece_HW, count) if found is not None]
