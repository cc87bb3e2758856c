"""How much of a mask was found, counted: pixels, patches, and lines within a tolerance.

Every count is a sum over pixels or patches, so that those of several images may be added before a share is taken of
them. A pixel that nobody judged counts nowhere. Shape suffixes: H and W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hyperplane.tasks.blocks.skeleton import thin

PATCH, PATCH_SHARE = 16, 0.25
"""Pixels a side of a patch, and the share of foreground beyond which it is foreground (EPFL's road challenge)."""


@dataclass(frozen=True)
class Counts:
    """What was found rightly, what wrongly, and what was missed."""

    hit: float
    false: float
    missed: float

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hit + other.hit, self.false + other.false, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall, in [0, 1] (Dice); 1 where there is nothing to find."""
        whole = 2 * self.hit + self.false + self.missed
        return 2 * self.hit / whole if whole else 1.0

    @property
    def iou(self) -> float:
        """Return the intersection over the union, in [0, 1] (Jaccard); 1 where there is nothing to find."""
        whole = self.hit + self.false + self.missed
        return self.hit / whole if whole else 1.0


@dataclass(frozen=True)
class Matched:
    """How much of what was said is near the truth, and how much of the truth near what was said."""

    said_near: float
    said: float
    true_near: float
    true: float

    def __add__(self, other: Matched) -> Matched:
        return Matched(
            self.said_near + other.said_near,
            self.said + other.said,
            self.true_near + other.true_near,
            self.true + other.true,
        )

    @property
    def correctness(self) -> float:
        """Return the share of what was said that is near the truth (precision); 1 where nothing was said."""
        return self.said_near / self.said if self.said else 1.0

    @property
    def completeness(self) -> float:
        """Return the share of the truth that is near what was said (recall); 1 where there is nothing to find."""
        return self.true_near / self.true if self.true else 1.0

    @property
    def quality(self) -> float:
        """Return what was said rightly over all that was said and what was missed (Wiedemann et al. 1998)."""
        whole = self.said + self.true - self.true_near
        return self.said_near / whole if whole else 1.0

    @property
    def f1(self) -> float:
        """Return the harmonic mean of correctness and completeness."""
        both = self.correctness + self.completeness
        return 2 * self.correctness * self.completeness / both if both else 0.0


def pixels(said_HW: np.ndarray, true_HW: np.ndarray, judged_HW: np.ndarray | None = None) -> Counts:
    """Return the counts over pixels, of masks, bool (H, W)."""
    judged_HW = np.ones_like(true_HW) if judged_HW is None else judged_HW
    return Counts(
        int((said_HW & true_HW & judged_HW).sum()),
        int((said_HW & ~true_HW & judged_HW).sum()),
        int((~said_HW & true_HW & judged_HW).sum()),
    )


def patches(mask_HW: np.ndarray, judged_HW: np.ndarray | None = None) -> np.ndarray:
    """Return which patches of 16 x 16 pixels are foreground, more than a quarter of what is judged of them, bool.

    Those at the lower and the right edge may be smaller.
    """
    judged_HW = np.ones_like(mask_HW) if judged_HW is None else judged_HW
    rows, columns = (np.arange(0, length, PATCH) for length in mask_HW.shape)
    held, of = (
        np.add.reduceat(np.add.reduceat(x_HW.astype(np.int64), rows, 0), columns, 1)
        for x_HW in (mask_HW & judged_HW, judged_HW)
    )
    return held > PATCH_SHARE * of


def patch_counts(said_HW: np.ndarray, true_HW: np.ndarray, judged_HW: np.ndarray | None = None) -> Counts:
    """Return the counts over patches of 16 x 16 pixels, of masks, bool (H, W)."""
    return pixels(patches(said_HW, judged_HW), patches(true_HW, judged_HW))


def near(said_HW: np.ndarray, true_HW: np.ndarray, tolerance: float, judged_HW: np.ndarray | None = None) -> Matched:
    """Return how many pixels of each mask, bool (H, W), lie within `tolerance` pixels of the other.

    Of masks: the F1 with a tolerance that crack detection is judged by (Shi et al. 2016). Of their skeletons: the
    buffered completeness, correctness and quality of road extraction (Heipke et al. 1997).
    """
    judged_HW = np.ones_like(true_HW) if judged_HW is None else judged_HW
    said_HW, true_HW = said_HW & judged_HW, true_HW & judged_HW
    near_said_HW, near_true_HW = (widened(mask_HW, tolerance) for mask_HW in (said_HW, true_HW))
    return Matched(
        int((said_HW & near_true_HW).sum()), int(said_HW.sum()), int((true_HW & near_said_HW).sum()), int(true_HW.sum())
    )


def buffered(said_HW: np.ndarray, true_HW: np.ndarray, tolerance: float) -> Matched:
    """Return how much of each mask's centre line, in pixels of its skeleton, lies within a buffer of the other's."""
    return near(thin(said_HW), thin(true_HW), tolerance)


def centre_lines(said_HW: np.ndarray, true_HW: np.ndarray) -> Matched:
    """Return how much of each mask's centre line lies in the other mask: its `f1` is the centre-line Dice.

    Shit et al. 2021, "clDice: a novel topology-preserving loss function for tubular structure segmentation".
    """
    said_line_HW, true_line_HW = thin(said_HW), thin(true_HW)
    return Matched(
        int((said_line_HW & true_HW).sum()),
        int(said_line_HW.sum()),
        int((true_line_HW & said_HW).sum()),
        int(true_line_HW.sum()),
    )


def widened(mask_HW: np.ndarray, by: float) -> np.ndarray:
    """Return which pixels have their middle within `by` pixels of one of the mask's."""
    if not mask_HW.any():
        return mask_HW
    reach = int(by)
    row, column = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    return ndimage.binary_dilation(mask_HW, np.hypot(row, column) <= by)
