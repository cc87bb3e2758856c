"""Topology of masks: components and holes, and by how many of them two masks differ.

The foreground is connected over corners, the background is not, so that a line of pixels parts what is on its two
sides. What lies beyond a window's edge counts as background: a region between a road and the edge is no hole.

Shape suffixes: H and W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from scipy import ndimage

WINDOW = 512
"""Pixels a side of the largest window in which Betti numbers are compared."""


@dataclass(frozen=True)
class Betti:
    """A mask's Betti numbers, or by how much two masks' differ."""

    components: float
    """Betti-0."""
    holes: float
    """Betti-1."""


def betti(mask_HW: np.ndarray) -> Betti:
    """Return how many components and holes a mask, bool (H, W), has."""
    _, components = cast(tuple[np.ndarray, int], ndimage.label(mask_HW, np.ones((3, 3))))
    _, outside = cast(tuple[np.ndarray, int], ndimage.label(np.pad(~mask_HW, 1, constant_values=True)))
    return Betti(components, outside - 1)


def betti_error(said_HW: np.ndarray, true_HW: np.ndarray, window: int = WINDOW) -> Betti:
    """Return by how much the Betti numbers of two masks, bool (H, W), differ, on average over windows.

    The masks are cut into windows as equal as may be, of at most `window` pixels a side, and the absolute differences
    averaged, as Hu et al. 2019 do ("Topology-preserving deep image segmentation"), there over patches. Images of at
    most 512 pixels a side are one window: of smaller ones most roads cross without ending, and most errors go unseen.
    """
    differences = [
        (abs(a.components - b.components), abs(a.holes - b.holes))
        for place in windows(true_HW.shape, window)
        for a, b in [(betti(said_HW[place]), betti(true_HW[place]))]
    ]
    return Betti(*np.mean(differences, 0).tolist())


def windows(shape: tuple[int, ...], most: int) -> Iterator[tuple[slice, slice]]:
    """Yield windows that tile a picture of this shape, as equal as may be, of at most `most` pixels a side."""
    rows, columns = (
        [length * k // parts for k in range(parts + 1)] for length in shape for parts in [max(1, -(-length // most))]
    )
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield slice(top, bottom), slice(left, right)
