"""Where masks are wrong: which misses break a line, what is too small, and the small pictures that are kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperplane.tasks.blocks import mask_errors, mask_figures, network_counts, pieces
from hyperplane.tasks.blocks.mask_errors import BROKEN, FALSE, HIT, MISSED, OUTSIDE, QUIET
from tests.tasks.masks import random_mask


def test_a_miss_that_parts_what_was_found_is_a_break():
    mask_1HW = torch.zeros(1, 9, 20, dtype=torch.int64)
    mask_1HW[:, 4] = 1
    mask_1HW[:, 8, 19] = 255
    class_1HW = (mask_1HW == 1).to(torch.uint8)
    class_1HW[:, 4, 8:10] = 0
    class_1HW[:, 4, 18:] = 0
    class_1HW[:, 0, 0] = 1
    class_1HW[:, 6, 16:] = 1  # a false piece near the miss at the end parts nothing
    class_1HW[:, 5, 18] = 1
    code_HW = mask_errors.errors(class_1HW, mask_1HW)[0]
    assert (code_HW[4, :8] == HIT).all() and (code_HW[4, 8:10] == BROKEN).all() and (code_HW[4, 18:] == MISSED).all()
    assert code_HW[0, 0] == FALSE and code_HW[8, 19] == OUTSIDE and code_HW[2, 2] == QUIET


def test_of_several_classes_a_wrong_one_is_false():
    mask_1HW = torch.tensor([[[0, 1, 2, 2]]])
    class_1HW = torch.tensor([[[0, 1, 1, 0]]], dtype=torch.uint8)
    assert mask_errors.errors(class_1HW, mask_1HW).tolist() == [[[QUIET, HIT, FALSE, MISSED]]]
    counted = network_counts.count(class_1HW, mask_1HW)
    assert counted["pixel_B3"].tolist() == [[1, 1, 2]]
    mask_1HW[0, 0, 0] = 255
    confused_1KK = network_counts.confusion(class_1HW, mask_1HW, 3)
    assert confused_1KK.tolist() == [[[0, 0, 0], [0, 1, 0], [1, 1, 0]]]


@pytest.mark.parametrize("held", [6, 12, 1000])
def test_small_pieces_go_and_corners_connect(held):
    class_HW = np.zeros((6, 6), np.uint8)
    class_HW[0, 0], class_HW[1, 1], class_HW[2, 2], class_HW[5, 0] = 1, 2, 1, 3
    assert pieces.pieces(class_HW, held).count == 2
    kept_HW = class_HW.copy()
    pieces.clear_small(kept_HW, 3, held)
    assert (kept_HW[:3] == class_HW[:3]).all() and not kept_HW[5].any()
    pieces.clear_small(class_HW, 0, held)
    assert class_HW[5, 0] == 3


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_pieces_found_in_bands_are_those_of_the_whole(seed, held):
    mask_HW = random_mask(seed)
    piece_HW, count = pieces.label(mask_HW)
    assert pieces.pieces(mask_HW, held).count == count
    large = np.bincount(piece_HW.ravel()) >= 5
    large[0] = False
    kept_HW = mask_HW.astype(np.uint8)
    pieces.clear_small(kept_HW, 5, held)
    np.testing.assert_array_equal(kept_HW > 0, large[piece_HW])


def test_thumbnails_have_one_size_and_lose_no_break():
    code_1HW = torch.zeros(1, 700, 900, dtype=torch.uint8)
    code_1HW[0, 333, 444] = BROKEN
    small_SS = mask_errors.thumbnail(code_1HW, codes=True)[0]
    assert small_SS.shape == (mask_errors.SIDE,) * 2 and (small_SS == BROKEN).sum() == 1
    assert (small_SS == OUTSIDE).any() and (small_SS[:199, :256] != OUTSIDE).all()
    grey_1HW = torch.full((1, 10, 20), 7, dtype=torch.uint8)
    assert (mask_errors.thumbnail(grey_1HW)[0, :10, :20] == 7).all()


def test_a_histogram_counts_every_judged_pixel_once():
    mask_1HW = torch.tensor([[[0, 1, 1, 255]]])
    counted_2T = mask_errors.histogram(torch.tensor([[[0.0, 1.0, 0.31, 0.5]]]), mask_1HW, 10)[0]
    assert counted_2T.sum() == 3 and counted_2T[0, 0] == counted_2T[1, 9] == counted_2T[1, 3] == 1


def test_a_ring_is_drawn_around_a_break():
    picture_HW3 = np.full((40, 40, 3), 0.5)
    code_HW = np.zeros((40, 40), np.uint8)
    plain_HW3 = mask_figures.painted(picture_HW3, code_HW)
    code_HW[20, 20] = BROKEN
    ringed_HW3 = mask_figures.painted(picture_HW3, code_HW)
    assert (ringed_HW3 != plain_HW3).any(2).sum() > 20


def test_metrics_of_the_truth_are_perfect():
    mask_BHW = torch.zeros(2, 40, 40, dtype=torch.int64)
    mask_BHW[:, 10:14], mask_BHW[1, :, 20:23] = 1, 1
    measured = network_counts.measure(network_counts.count(mask_BHW.to(torch.uint8), mask_BHW))
    assert all(value == (0 if "betti" in name else 1) for name, value in measured.items())
    assert list(measured) == [metric.name for metric in network_counts.METRICS]
