"""Levenberg-Marquardt's restarts: halving, the product of the Jacobian with itself, and the bend of a valley."""

from __future__ import annotations

import torch

from benchmarks.fits import problem
from hyperplane.engine.second_order import BLOCK, DROPPED, REASONS, LevenbergMarquardt, _gram
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe


def surface(restarts: int, nodes: int = 4) -> Recipe:
    return Recipe(
        DataRecipe("surface", validation=0.0, test=0.0),
        net=NetRecipe("mlp", {"hidden": [nodes], "activation": "tanh"}),
        optimizer=OptimizerRecipe("levenberg-marquardt", restarts=restarts),
    )


def test_the_worse_half_is_dropped_and_the_best_is_the_same() -> None:
    parts = problem(surface(10, nodes=2))
    all_of_them, halved = LevenbergMarquardt(*parts), LevenbergMarquardt(*parts, halving=4)
    left = []
    for _ in range(20):
        all_of_them.step()
        halved.step()
        left.append(int((halved.reason_R != DROPPED).sum()))
    assert left[:3] == [10, 10, 10] and left[3] == 5 and left[7] == 2 and left[15] == 1
    keeps = halved.best
    assert REASONS[halved.reason_R[keeps]] != "half of the others were lower"
    torch.testing.assert_close(halved.loss_R[keeps], all_of_them.loss_R[keeps], rtol=1e-9, atol=0.0)


def test_dropped_restarts_stay_dropped_when_resumed() -> None:
    parts = problem(surface(8, nodes=2))
    whole, first = LevenbergMarquardt(*parts, halving=2), LevenbergMarquardt(*parts, halving=2)
    for _ in range(9):
        whole.step()
    for _ in range(3):
        first.step()
    second = LevenbergMarquardt(*parts, halving=2)
    second.load({name: tensor.clone() for name, tensor in first.tensors().items()}, first.iterations)
    for _ in range(6):
        second.step()
    assert all(torch.equal(a, b) for a, b in zip(whole.tensors().values(), second.tensors().values(), strict=True))


def test_the_product_of_the_jacobian_with_itself_is_exact_in_blocks() -> None:
    chance = torch.Generator().manual_seed(0)
    for weights in (3, BLOCK, BLOCK + 1, 3 * BLOCK - 5):
        j_RNP = torch.randn(2, 50, weights, dtype=torch.float64, generator=chance)
        gram_RPP = _gram(j_RNP)
        torch.testing.assert_close(gram_RPP, j_RNP.mT @ j_RNP, rtol=1e-12, atol=1e-12)


def test_follows_a_bent_valley() -> None:
    """Without the acceleration, the same 200 iterations end at 1e-4: twenty times what is asked for here."""
    solver = LevenbergMarquardt(*problem(surface(16)), halving=50)
    while solver.going and solver.iterations < 200:
        solver.step()
    assert solver.loss_R.min() <= 5e-6
