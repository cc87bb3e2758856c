"""Losses of masks against what they are by definition, and what each of them sees that the others don't."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperplane.errors import UserError
from hyperplane.tasks.blocks import centre_lines, connectivity, mask_losses, pixel_losses
from hyperplane.tasks.blocks.mask_losses import Term

ALL = tuple(Term(1.0, name) for name in mask_losses.NAMES)
SURE = 12.0
"""A logit of probability 1 or 0 for most purposes."""


def road(height: int = 32, width: int = 40) -> torch.Tensor:
    """Return one mask with a road of five pixels across it."""
    mask_1HW = torch.zeros(1, height, width, dtype=torch.int64)
    mask_1HW[:, 14:19] = 1
    return mask_1HW


def said(mask_BHW: torch.Tensor) -> torch.Tensor:
    """Return logits (B, 1, H, W) that are sure of a mask."""
    return (SURE * (2.0 * mask_BHW - 1))[:, None].double()


def of(name: str, logit_BKHW: torch.Tensor, mask_BHW: torch.Tensor) -> torch.Tensor:
    return mask_losses.losses((Term(1.0, name),), logit_BKHW, mask_BHW, width=6, window=32)[name]


def test_bce_is_the_lectures_and_leaves_out_what_is_not_judged():
    chance = torch.Generator().manual_seed(0)
    logit_BKHW = torch.randn(2, 1, 4, 5, generator=chance, dtype=torch.float64)
    mask_BHW = torch.randint(2, (2, 4, 5), generator=chance)
    mask_BHW[1, 0] = 255
    y_BHW, t_BHW = logit_BKHW[:, 0].sigmoid(), mask_BHW == 1
    by_hand = -(t_BHW * y_BHW.log() + ~t_BHW * (1 - y_BHW).log())
    expected = torch.stack([by_hand[0].mean(), by_hand[1, 1:].mean()])
    torch.testing.assert_close(of("bce", logit_BKHW, mask_BHW), expected)
    alike = torch.cat([torch.zeros_like(logit_BKHW), logit_BKHW], 1)  # a softmax of two is a sigmoid
    torch.testing.assert_close(of("bce", alike, mask_BHW), expected)


def test_balanced_counts_the_classes_the_same():
    mask_1HW = torch.zeros(1, 10, 10, dtype=torch.int64)
    mask_1HW[:, 0, :5] = 1  # 5 of 100
    logit = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    logit.requires_grad_()
    (slope,) = torch.autograd.grad(pixel_losses.balanced(logit, mask_1HW).sum(), logit)
    there = slope[0, 0][mask_1HW[0] == 1].sum()
    torch.testing.assert_close(there, -slope[0, 0][mask_1HW[0] == 0].sum())
    even_1HW = (torch.arange(100).view(1, 10, 10) % 2).long()
    noise = torch.randn(1, 1, 10, 10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pixel_losses.balanced(noise, even_1HW), pixel_losses.cross_entropy(noise, even_1HW))


@pytest.mark.parametrize("name", mask_losses.NAMES)
def test_the_truth_costs_nothing_and_its_opposite_much(name):
    mask_1HW = road()
    assert of(name, said(mask_1HW), mask_1HW).item() < 0.02
    assert of(name, said(1 - mask_1HW), mask_1HW).item() > 0.5


@pytest.mark.parametrize("name", mask_losses.NAMES)
def test_slopes_are_those_of_the_loss(name):
    chance = torch.Generator().manual_seed(1)
    mask_1HW = road(8, 9)
    mask_1HW[:, 3:5], mask_1HW[:, 7:, :2] = 1, 255
    logit = torch.randn(1, 1, 8, 9, generator=chance, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: of(name, x, mask_1HW), (logit,), eps=1e-6, atol=1e-5)


def test_losses_of_lines_see_a_break_that_overlap_hardly_does():
    mask_1HW = road()
    broken_1HW, eaten_1HW = mask_1HW.clone(), mask_1HW.clone()
    broken_1HW[:, :, 18:20] = 0  # ten pixels that part the road
    eaten_1HW[:, 14, 5:15] = 0  # ten at its edge
    for name, times in (("bce", 1.01), ("dice", 1.01)):
        assert of(name, said(broken_1HW), mask_1HW) < times * of(name, said(eaten_1HW), mask_1HW)
    for name in ("cldice", "skeleton-recall", "connectivity"):
        assert of(name, said(broken_1HW), mask_1HW) > 3 * of(name, said(eaten_1HW), mask_1HW) + 0.01, name


def test_skeleton_recall_does_not_see_what_is_false():
    mask_1HW = road()
    more_1HW = mask_1HW.clone()
    more_1HW[:, 4:8] = 1
    assert of("skeleton-recall", said(more_1HW), mask_1HW).item() < 0.01 < of("cldice", said(more_1HW), mask_1HW).item()


def test_a_centre_line_is_in_the_middle_at_any_width():
    for wide in (1, 2, 5, 12, 24):
        mask_1HW = torch.zeros(1, 64, 80, dtype=torch.int64)
        mask_1HW[:, 20 : 20 + wide] = 1
        line_HW = centre_lines.centre_line(mask_1HW, 24)[0]
        assert line_HW[:, 30:50].any(0).all()
        rows = torch.nonzero(line_HW[:, 30:50])[:, 0].double()
        assert (rows - (20 + (wide - 1) / 2)).abs().max() <= max(1.0, wide / 3)


@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 25))
def test_maximin_is_what_trying_every_path_gives(seed, nodes, links):
    chance = np.random.default_rng(seed)
    value_N = chance.permutation(nodes) / nodes
    link_E2 = np.unique(np.sort(chance.integers(nodes, size=(links, 2)), axis=1), axis=0)
    link_E2 = link_E2[link_E2[:, 0] != link_E2[:, 1]]
    if not len(link_E2):
        return
    ends_N = chance.integers(0, 3, nodes).astype(float)
    best_NN = np.zeros((nodes, nodes))
    for one, other in link_E2:
        best_NN[one, other] = best_NN[other, one] = min(value_N[one], value_N[other])
    linked_NN = best_NN > -1
    linked_NN[:] = False
    linked_NN[link_E2[:, 0], link_E2[:, 1]] = linked_NN[link_E2[:, 1], link_E2[:, 0]] = True
    for middle in range(nodes):
        through_NN = np.minimum(best_NN[:, middle, None], best_NN[None, middle])
        can_NN = linked_NN[:, middle, None] & linked_NN[None, middle]
        best_NN = np.where(can_NN, np.maximum(best_NN, through_NN), best_NN)
        linked_NN |= can_NN
    expected = np.zeros(nodes)
    for one, other in itertools.combinations(range(nodes), 2):
        if linked_NN[one, other]:
            expected[np.argmin(np.abs(value_N - best_NN[one, other]))] += ends_N[one] * ends_N[other]
    node_M, pairs_M = connectivity.maximin(value_N, link_E2, ends_N)
    np.testing.assert_allclose(np.bincount(node_M, pairs_M, minlength=nodes), expected)


def test_connectivity_pulls_at_the_pixel_that_decides():
    mask_1HW = road()
    logit = said(mask_1HW)
    logit[:, :, 14:19, 18:20] = -1.0  # a break
    logit[:, :, 16, 18:20] = -0.5  # whose best way across this is
    logit[:, :, 14, 30] = -3.0  # a dent
    logit.requires_grad_()
    (slope,) = torch.autograd.grad(of("connectivity", logit, mask_1HW).sum(), logit)
    assert (slope[0, 0, 16, 18:20] < -1e-3).any() and slope[0, 0, 14, 30].abs() < 1e-3
    assert (slope[0, 0].abs() > 1e-3).sum() <= 4
    assert (slope[0, 0][mask_1HW[0] == 0] == 0).all()


def pulled(logit: torch.Tensor, mask_1HW: torch.Tensor) -> set[tuple[int, int]]:
    """Return the pixels that the connectivity loss pulls at; those that the mask has up, all others down."""
    logit.requires_grad_()
    (slope,) = torch.autograd.grad(of("connectivity", logit, mask_1HW).sum(), logit)
    at_N2 = torch.nonzero(slope[0, 0].abs() > 1e-3)
    for row, column in at_N2.tolist():
        assert (slope[0, 0, row, column] < 0) == (mask_1HW[0, row, column] == 1)
    return {(row, column) for row, column in at_N2.tolist()}


def test_connectivity_pulls_at_a_false_bridge_where_it_is_weakest_and_at_nothing_else_that_is_false():
    mask_1HW = road()
    mask_1HW[:, 2:5] = 1
    logit = said(mask_1HW)
    logit[:, :, 5:14, 20] = 2.0  # between two roads, which parts the ground between them too
    logit[:, :, 9, 20] = 1.0
    logit[:, :, 24:28, 4:9] = 2.0  # a blot
    logit[:, :, 19:24, 33] = 2.0  # a spur
    assert pulled(logit, mask_1HW) == {(9, 20)}
    island_1HW = road()
    island_1HW[:, 5:8, 18:22] = 1
    logit = said(island_1HW)
    logit[:, :, 8:14, 20] = 2.0  # to an island, which parts no ground
    logit[:, :, 11, 20] = 1.0
    assert pulled(logit, island_1HW) == {(11, 20)}
    logit = said(road())
    logit[:, :, 6, 10:31] = logit[:, :, 6:14, 10] = logit[:, :, 6:14, 30] = 2.0  # a ring over the road: a hole
    logit[:, :, 6, 25] = 1.0
    assert pulled(logit, road()) == {(6, 25)}
    logit = logit.detach()
    logit[:, :, 6, 26] = -SURE  # broken open, it is none
    assert pulled(logit, road()) == set()


def test_connectivity_sees_a_false_line_across_a_window_without_truth_and_nothing_else_there():
    mask_1HW = torch.zeros(1, 64, 64, dtype=torch.int64)
    mask_1HW[:, :32, 14:19] = 1  # in the first of four windows
    quiet = of("connectivity", said(mask_1HW), mask_1HW)
    logit = said(mask_1HW)
    logit[:, :, 40:44, 36:41] = 2.0  # a blot in the last one
    assert of("connectivity", logit, mask_1HW).item() == pytest.approx(quiet.item(), abs=1e-6)
    logit[:, :, 50, 32:] = 2.0  # a line across it
    logit[:, :, 50, 60] = 1.0
    assert pulled(logit, mask_1HW) == {(50, 60)}
    alone_1HW = torch.zeros_like(mask_1HW)
    assert pulled(logit.detach(), alone_1HW) >= {(50, 60)}
    alone_1HW[:, 40:] = 255  # nobody judged it
    assert (50, 60) not in pulled(logit.detach(), alone_1HW)


def test_connectivity_sees_breaks_and_bridges_at_once():
    mask_1HW = road()
    mask_1HW[:, 2:5] = 1
    logit = said(mask_1HW)
    logit[:, :, 5:14, 20] = 1.0
    logit[:, :, 2:5, 30] = -1.0
    rows = {row: column for row, column in pulled(logit, mask_1HW)}
    assert set(rows.values()) == {20, 30} and rows.keys() & {2, 3, 4} and rows.keys() & set(range(5, 14))


def test_an_empty_mask_is_judged():
    mask_BHW = torch.zeros(2, 9, 9, dtype=torch.int64)
    mask_BHW[1] = 255
    logit = torch.zeros(2, 1, 9, 9, requires_grad=True)
    found = mask_losses.losses(ALL, logit, mask_BHW, width=6, window=32)
    total_B = torch.stack(list(found.values())).sum(0)
    assert total_B.isfinite().all()
    total_B.sum().backward()
    assert logit.grad is not None and logit.grad.isfinite().all()


def test_sums_are_read_and_what_is_none_is_named():
    assert mask_losses.parse("bce + 0.5*cldice") == (Term(1.0, "bce"), Term(0.5, "cldice"))
    for text, told in (
        ("bce+cldise", "found 'cldise'"),
        ("-1*bce", "the weight '-1'"),
        ("x*bce", "the weight 'x'"),
        ("bce+bce", "a loss twice"),
        ("", "found ''"),
    ):
        with pytest.raises(UserError, match=told) as error:
            mask_losses.parse(text)
        assert "\n" not in str(error.value)
