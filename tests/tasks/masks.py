"""Random masks, for what must hold of every one."""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy import ndimage


def random_mask(seed: int) -> np.ndarray:
    """Return a mask, bool, of 1 to 48 pixels a side: noise, blobs, or lines, by turns."""
    chance = np.random.default_rng(seed)
    height, width = chance.integers(1, 49, 2)
    noise_HW = chance.random((height, width))
    if seed % 3 == 0:
        return noise_HW < chance.uniform(0.05, 0.95)
    if seed % 3 == 1:
        smooth_HW = ndimage.gaussian_filter(noise_HW, chance.uniform(0.6, 3))
        return smooth_HW < np.quantile(smooth_HW, chance.uniform(0.1, 0.9))
    smooth_HW = ndimage.gaussian_filter(noise_HW, chance.uniform(1, 4))
    spread = np.abs(smooth_HW - np.median(smooth_HW))
    return spread < np.quantile(spread, chance.uniform(0.1, 0.5))


def holes(mask_HW: np.ndarray) -> int:
    """Return how many 4-connected parts of the background the mask encloses."""
    return cast(tuple[np.ndarray, int], ndimage.label(np.pad(~mask_HW, 1, constant_values=True)))[1] - 1


def components(mask_HW: np.ndarray) -> int:
    """Return how many 8-connected parts a mask has."""
    return cast(tuple[np.ndarray, int], ndimage.label(mask_HW, np.ones((3, 3))))[1]
