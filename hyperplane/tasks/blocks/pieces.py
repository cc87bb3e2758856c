"""The connected pieces of a mask. Shape suffixes: H and W pixels."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from scipy import ndimage

CORNERS = np.ones((3, 3), bool)
"""Pixels that touch at a corner are connected: those of lines. Those of the background are not."""


def label(mask_HW: np.ndarray, corners: bool = True) -> tuple[np.ndarray, int]:
    """Return which piece each pixel belongs to, counted from 1, 0 for none, and how many pieces there are."""
    numbers, count = cast("tuple[Any, Any]", ndimage.label(mask_HW, CORNERS if corners else None))
    return np.asarray(numbers), int(count)


def beside(mask_HW: np.ndarray) -> np.ndarray:
    """Return which pixels are in a mask or touch it, at a corner too."""
    return cast(np.ndarray, ndimage.binary_dilation(mask_HW, CORNERS))


def places(piece_HW: np.ndarray, count: int) -> list[tuple[slice, slice]]:
    """Return the rows and columns that each piece lies in, in the pieces' order."""
    return [(found[0], found[1]) for found in ndimage.find_objects(piece_HW, count) if found is not None]
