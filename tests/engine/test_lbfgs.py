"""L-BFGS: known minima, torch's own as a rival, and what it must survive."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hyperplane.engine.lbfgs import EXACT, FLAT, LBFGS, SLOW, STUCK, Function, Memory
from hyperplane.engine.line_search import CURVATURE, DECREASE, Trial, search


def by_autograd(loss: Callable[[Tensor], Tensor]) -> Function:
    def function(weights_P: Tensor) -> tuple[float, Tensor]:
        w_P = weights_P.detach().requires_grad_()
        value = loss(w_P)
        return value.item(), torch.autograd.grad(value, w_P)[0]

    return function


def minimise(function: Function, start_P: Tensor, most: int = 1000) -> LBFGS:
    found = LBFGS(function, start_P)
    while found.going and found.iterations < most:
        found.step()
    return found


def numbers(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rosenbrock(w_P: Tensor) -> Tensor:
    return (100 * (w_P[1:] - w_P[:-1] ** 2) ** 2 + (1 - w_P[:-1]) ** 2).sum()


@pytest.mark.parametrize(("weights", "most"), [(2, 60), (10, 150)])
def test_rosenbrocks_valley(weights: int, most: int) -> None:
    start_P = torch.ones(weights, dtype=torch.float64)
    start_P[::2] = -1.2
    found = minimise(by_autograd(rosenbrock), start_P, most)
    assert found.reason in (EXACT, FLAT)
    torch.testing.assert_close(found.at.weights_P, torch.ones(weights, dtype=torch.float64), rtol=0, atol=1e-10)


def test_a_quadratic_in_as_many_steps_as_it_has_dimensions_or_few_more() -> None:
    a_PP, b_P = normal(8, 8), normal(8, seed=1)
    a_PP = a_PP @ a_PP.T + torch.eye(8)
    found = minimise(by_autograd(lambda w_P: 0.5 * w_P @ a_PP @ w_P - b_P @ w_P), torch.zeros(8, dtype=torch.float64))
    torch.testing.assert_close(found.at.weights_P, torch.linalg.solve(a_PP, b_P), rtol=1e-8, atol=1e-9)
    assert found.iterations <= 24 and found.reason == FLAT


def test_the_gradient_vanishes_though_the_loss_does_not() -> None:
    """Near its minimum a loss of 3.7 hides what 1e-9 of a weight changes; the slopes tell."""
    scale_P, target_P = torch.logspace(0, 2, 6, dtype=torch.float64), normal(6)
    found = minimise(by_autograd(lambda w_P: (scale_P * (w_P - target_P) ** 2).sum() + 3.7), torch.zeros_like(target_P))
    torch.testing.assert_close(found.at.weights_P, target_P, rtol=0, atol=1e-9)


def test_it_reaches_torchs_optimum() -> None:
    net = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    x_ND, named = normal(80, 3), dict(net.named_parameters())
    y_N1 = torch.sin(x_ND.sum(dim=1, keepdim=True)) + 0.1 * normal(80, 1, seed=1)
    start_P = 0.5 * normal(sum(p.numel() for p in named.values()), seed=2)

    def loss(w_P: Tensor) -> Tensor:
        parts = dict(zip(named, w_P.split([p.numel() for p in named.values()]), strict=True))
        held = {name: part.view_as(named[name]) for name, part in parts.items()}
        error_N1 = torch.func.functional_call(net, held, (x_ND,)) - y_N1
        return error_N1.square().mean() + 1e-3 * w_P.square().sum()

    found = minimise(by_autograd(loss), start_P)
    theirs_P = start_P.clone().requires_grad_()
    rival = torch.optim.LBFGS([theirs_P], max_iter=2000, tolerance_grad=1e-11, tolerance_change=0.0,
                              history_size=20, line_search_fn="strong_wolfe")  # fmt: skip

    def closure() -> float:
        theirs_P.grad = None
        value = loss(theirs_P)
        value.backward()
        return value.item()

    rival.step(closure)
    assert found.at.loss == pytest.approx(loss(theirs_P).item(), rel=1e-8)
    torch.testing.assert_close(found.at.weights_P, theirs_P.detach(), rtol=0, atol=1e-4)


def test_the_memory_is_the_inverse_of_the_quadratic_it_has_seen() -> None:
    a_PP = normal(5, 5)
    a_PP = a_PP @ a_PP.T + torch.eye(5)
    directions_PP, memory = torch.linalg.eigh(a_PP).eigenvectors.T, Memory(numbers(*[0] * 5), most=5)
    for step_P in directions_PP:
        memory.add(step_P, a_PP @ step_P)
    torch.testing.assert_close(
        memory.times(normal(5, seed=3), lambda g_P: g_P), torch.linalg.solve(a_PP, normal(5, seed=3))
    )
    memory.add(numbers(1, 0, 0, 0, 0), numbers(-1, 0, 0, 0, 0))
    assert len(memory) == 5, "a step along which the loss curves downwards was taken in"


@pytest.mark.parametrize("first", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(
    "loss",
    [
        lambda r: (r - 0.7) ** 2,
        lambda r: -r / (r * r + 2),
        lambda r: (r + 0.004) ** 5 - 2 * (r + 0.004) ** 4,
        lambda r: torch.where(r < 1.5, r.exp() - 3 * r, torch.inf),
        lambda r: -torch.exp(-100 * (r - 2) ** 2) - 0.1 * r + 0.01 * r * r,
    ],
    ids=["parabola", "Moré and Thuente 1", "Moré and Thuente 2", "a wall", "a pit"],
)
def test_a_search_ends_where_the_strong_wolfe_conditions_hold(loss: Callable, first: float) -> None:
    function = by_autograd(lambda w_P: loss(w_P[0]))
    value, gradient_P = function(numbers(0))
    start = Trial(numbers(0), 0.0, value, 0.0, gradient_P)
    direction_P = -gradient_P / gradient_P.abs()
    found = search(function, start, direction_P, first)
    assert found is not None
    slope = (gradient_P @ direction_P).item()
    assert found.loss <= value + DECREASE * found.rate * slope
    assert abs(found.slope) <= CURVATURE * abs(slope)


def test_no_step_is_found_where_none_is_lower() -> None:
    function = by_autograd(lambda w_P: w_P.abs().sum())
    at_P = numbers(0)
    assert search(function, Trial(at_P, 0.0, 0.0, 0.0, numbers(1)), numbers(-1), 1.0) is None
    assert search(function, Trial(at_P, 0.0, 0.0, 0.0, numbers(1)), numbers(1), 1.0) is None, "uphill"
    found = minimise(by_autograd(lambda w_P: w_P.abs().sum() + 1), numbers(0.3, -0.2))
    assert found.reason in (STUCK, SLOW) and found.at.loss < 1.01


def test_a_start_that_is_not_finite_is_stuck() -> None:
    found = LBFGS(by_autograd(lambda w_P: w_P.log().sum()), numbers(-1.0))
    assert not found.going and found.reason == STUCK


def test_single_precision_ends_as_well() -> None:
    found = minimise(by_autograd(rosenbrock), torch.tensor([-1.2, 1.0]), 200)
    assert not found.going and found.at.weights_P.dtype is torch.float32
    torch.testing.assert_close(found.at.weights_P, torch.ones(2), rtol=0, atol=1e-2)


@pytest.mark.parametrize("stopped", [0, 1, 7, 40])
def test_it_goes_on_from_its_tensors_to_the_same_bits(stopped: int) -> None:
    function, start_P = by_autograd(rosenbrock), normal(30)
    one, other = LBFGS(function, start_P), LBFGS(function, start_P)
    for _ in range(stopped):
        one.step()
    other.load({name: tensor.clone() for name, tensor in one.tensors().items()})
    for solver in (one, other):
        while solver.going:
            solver.step()
    assert torch.equal(one.at.weights_P, other.at.weights_P) and math.isfinite(one.at.loss)
    assert (one.iterations, one.reason) == (other.iterations, other.reason) and one.iterations > 40
