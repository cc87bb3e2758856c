"""Metrics of masks, each against a case that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hyperplane.tasks.blocks import overlap
from hyperplane.tasks.blocks.topology import betti, betti_error, windows
from tests.tasks.masks import random_mask


def mask(*rows: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_pixels_counted_by_hand_and_ignored_ones_left_out() -> None:
    said_HW, true_HW = mask("##..", "#..."), mask("#.#.", "#...")
    counts = overlap.pixels(said_HW, true_HW)
    assert (counts.hit, counts.false, counts.missed) == (2, 1, 1)
    assert counts.f1 == pytest.approx(2 / 3) and counts.iou == pytest.approx(1 / 2)
    judged_HW = mask("#.##", "####")
    assert overlap.pixels(said_HW, true_HW, judged_HW) == overlap.Counts(2, 0, 1)
    assert overlap.Counts(0, 0, 0).f1 == overlap.Counts(0, 0, 0).iou == 1.0
    assert overlap.Counts(1, 2, 3) + overlap.Counts(1, 1, 1) == overlap.Counts(2, 3, 4)


def test_a_patch_is_foreground_beyond_a_quarter_of_it() -> None:
    mask_HW = np.zeros((32, 40), bool)
    mask_HW[:4, :16] = True  # exactly a quarter
    mask_HW[:4, 16:32], mask_HW[4, 16] = True, True  # a pixel more
    mask_HW[16:18, 32:] = True  # a quarter of half of a patch at the edge... of 16 x 8
    patch = overlap.patches(mask_HW)
    assert patch.shape == (2, 3) and patch.tolist() == [[False, True, False], [False, False, False]]
    mask_HW[18, 32] = True
    mask_HW[19:21, 32:] = True
    assert overlap.patches(mask_HW)[1, 2]
    judged_HW = np.ones_like(mask_HW)
    judged_HW[4:16, :16] = False
    assert overlap.patches(mask_HW, judged_HW)[0, 0], "all of what is judged"
    counts = overlap.patch_counts(mask_HW, np.zeros_like(mask_HW))
    assert (counts.hit, counts.false, counts.missed) == (0, 2, 0)


def test_lines_within_a_tolerance() -> None:
    true_HW, said_HW = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    true_HW[10], said_HW[12, :20], said_HW[2, 20:25] = True, True, True
    found = overlap.near(said_HW, true_HW, 2.0)
    assert (found.said_near, found.said, found.true_near, found.true) == (20, 25, 20, 30)
    assert found.correctness == 0.8 and found.completeness == pytest.approx(2 / 3)
    assert found.quality == pytest.approx(20 / 35)
    assert found.f1 == pytest.approx(2 * 0.8 * (2 / 3) / (0.8 + 2 / 3))
    assert overlap.near(said_HW, true_HW, 1.9).said_near == 0
    assert overlap.near(said_HW, true_HW, 2.3).true_near == 21, "one more at the line's end, over the corner"
    assert overlap.near(np.zeros_like(true_HW), true_HW, 2.0).f1 == 0.0
    nothing = overlap.near(np.zeros_like(true_HW), np.zeros_like(true_HW), 2.0)
    assert nothing.f1 == nothing.quality == 1.0


def test_centre_line_dice_does_not_see_width_but_breaks() -> None:
    true_HW, wide_HW, broken_HW = (np.zeros((40, 80), bool) for _ in range(3))
    true_HW[18:23, 5:75], wide_HW[15:26, 5:75], broken_HW[18:23, 5:40] = True, True, True
    assert overlap.centre_lines(wide_HW, true_HW).f1 > 0.97 > 0.7 > overlap.pixels(wide_HW, true_HW).f1
    broken = overlap.centre_lines(broken_HW, true_HW)
    assert broken.correctness == 1.0 and broken.completeness == pytest.approx(0.5, abs=0.05)
    assert overlap.buffered(broken_HW, true_HW, 3.0).completeness == pytest.approx(0.53, abs=0.06)
    for seed in range(20):
        mask_HW = random_mask(seed)
        assert overlap.centre_lines(mask_HW, mask_HW).f1 == overlap.buffered(mask_HW, mask_HW, 1.0).f1 == 1.0


def test_betti_numbers_of_small_masks() -> None:
    assert betti(mask("#..#", ".##.", "#..#")) == betti(mask("#"))
    assert betti(mask("###", "#.#", "###", "...", "#.#")).components == 3
    assert betti(mask("###", "#.#", "###")).holes == 1 == betti(mask(".#.", "#.#", ".#.")).holes
    assert betti(np.ones((3, 5), bool)).holes == 0 == betti(np.zeros((3, 5), bool)).components


def test_betti_error_is_the_mean_difference_over_windows() -> None:
    true_HW = np.zeros((64, 96), bool)
    true_HW[30:34] = True
    said_HW = true_HW.copy()
    said_HW[:, 10] = said_HW[:, 50] = False
    said_HW[2:6, 2:6], said_HW[3, 3] = True, False
    whole = betti_error(said_HW, true_HW)
    assert (whole.components, whole.holes) == (3.0, 1.0)
    halves = betti_error(said_HW, true_HW, window=48)
    assert (halves.components, halves.holes) == (5 / 4, 1 / 4), "the line crosses all four windows"
    assert betti_error(true_HW, true_HW) == betti_error(said_HW, said_HW, 16) == type(whole)(0.0, 0.0)


def test_windows_tile_a_picture() -> None:
    for shape, most in (((1, 1), 5), ((10, 33), 16), ((512, 400), 512)):
        seen_HW = np.zeros(shape, int)
        for place in windows(shape, most):
            assert max(seen_HW[place].shape) <= most
            seen_HW[place] += 1
        assert (seen_HW == 1).all()
