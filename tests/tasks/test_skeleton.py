"""Skeletons: as many components and holes as the mask, lines one pixel wide, in the middle."""

from __future__ import annotations

import numpy as np
import pytest

from hyperplane.tasks.blocks.skeleton import thin
from tests.tasks.masks import components, holes, random_mask


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_topology_is_kept_on_1000_random_masks(first: int) -> None:
    for seed in range(first, first + 250):
        mask_HW = random_mask(seed)
        skeleton_HW = thin(mask_HW)
        assert not (skeleton_HW & ~mask_HW).any(), seed
        assert components(skeleton_HW) == components(mask_HW), seed
        assert holes(skeleton_HW) == holes(mask_HW), seed
        assert np.array_equal(thin(skeleton_HW), skeleton_HW), seed


def test_a_bar_becomes_its_middle_and_a_ring_a_ring() -> None:
    bar_HW = np.zeros((30, 80), bool)
    bar_HW[10:19, 5:75] = True
    skeleton_HW = thin(bar_HW)
    assert (skeleton_HW[:, 15:65].sum(0) == 1).all() and set(np.nonzero(skeleton_HW[:, 15:65])[0]) <= {13, 14, 15}
    row_HW, column_HW = np.indices((61, 61)) - 30
    distance_HW = np.hypot(row_HW, column_HW)
    ring_HW = thin((distance_HW > 14) & (distance_HW < 26))
    assert holes(ring_HW) == 1 and (np.abs(distance_HW[ring_HW] - 20) < 2).all()


def test_nothing_a_pixel_and_a_block_stay_what_they_are() -> None:
    assert not thin(np.zeros((4, 5), bool)).any()
    assert thin(np.ones((1, 1), bool)).all()
    assert 1 <= thin(np.ones((2, 2), bool)).sum() <= 2
    assert components(thin(np.ones((9, 9), bool))) == 1
    assert thin(np.ones((1, 7), bool)).sum() == 7
