"""Levenberg-Marquardt: what it must find, and what it must survive."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from hyperplane import api
from hyperplane.engine.events import Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.engine.second_order import EXACT, FLAT, GOING, SLOW, STUCK, LevenbergMarquardt
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, HardwareRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

SURFACE = Recipe(
    data=DataRecipe(source="surface", validation=0.0, test=0.0, options={"side": 15}),
    net=NetRecipe("mlp", {"hidden": [2], "activation": "tanh"}),
    optimizer=OptimizerRecipe("levenberg-marquardt", restarts=8),
    training=TrainingRecipe(epochs=60),
)


def solve(residuals, start_RP, most=300) -> LevenbergMarquardt:
    def jacobian(weights_RP):
        return torch.func.vmap(torch.func.jacrev(lambda w: residuals(w[None])[0]))(weights_RP)

    solver = LevenbergMarquardt(residuals, jacobian, start_RP)
    while solver.going and solver.iterations < most:
        solver.step()
    return solver


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_linear_problem_is_solved_as_lstsq_does():
    x_ND, y_N = normal(50, 4), normal(50, seed=1)
    solver = solve(lambda w_RP: w_RP @ x_ND.T - y_N, normal(3, 4, seed=2))
    expected = torch.linalg.lstsq(x_ND, y_N[:, None]).solution.squeeze()
    for w in solver.weights_RP:
        torch.testing.assert_close(w, expected, rtol=1e-8, atol=1e-10)
    assert solver.reached == 3 and set(solver.reason_R.tolist()) <= {FLAT, SLOW, STUCK}


def test_machine_precision_on_a_target_that_the_net_can_realise():
    x_N2 = 2 * torch.rand(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) - 1

    def net(w_RP):
        hidden = torch.tanh(torch.einsum("nd,rhd->rnh", x_N2, w_RP[:, :6].view(-1, 3, 2)) + w_RP[:, None, 6:9])
        return torch.einsum("rnh,rh->rn", hidden, w_RP[:, 9:12]) + w_RP[:, 12:]

    target_N = net(2 * normal(1, 13, seed=8))[0]
    solver = solve(lambda w_RP: net(w_RP) - target_N, normal(32, 13, seed=5), most=500)
    assert solver.loss_R.min() <= 1e-25
    assert solver.reason_R[solver.best] == EXACT


@pytest.mark.parametrize("design", ["constant column", "duplicate rows", "fewer samples than weights", "all zero"])
def test_a_degenerate_design_ends_with_a_reason_and_finite_weights(design):
    x_ND = normal(20, 5)
    if design == "constant column":
        x_ND[:, 1:3] = 1.0
    elif design == "duplicate rows":
        x_ND[1:] = x_ND[0]
    elif design == "fewer samples than weights":
        x_ND = x_ND[:2]
    else:
        x_ND[:] = 0
    y_N = normal(len(x_ND), seed=6)
    solver = solve(lambda w_RP: w_RP @ x_ND.T - y_N, normal(4, 5, seed=7))
    assert solver.weights_RP.isfinite().all() and GOING not in solver.reason_R.tolist()
    residual = x_ND @ torch.linalg.pinv(x_ND) @ y_N - y_N
    assert solver.loss_R.min() <= residual.square().mean() + 1e-9


def test_a_start_that_is_not_finite_is_stuck_and_harms_no_other():
    start_RP = normal(3, 1).abs()
    start_RP[1] = -1.0
    solver = solve(lambda w_RP: torch.log(w_RP) - 1.0, start_RP)
    assert solver.reason_R[1] == STUCK and solver.loss_R[1].isinf()
    assert solver.weights_RP[[0, 2], 0].tolist() == pytest.approx([torch.e, torch.e])


def test_trains_through_the_run_folder_and_says_how_sure_it_is(tmp_path):
    path = api.run_recipe(SURFACE, runs=tmp_path)
    run = api.load(path)
    told = json.loads((path / "outcome.json").read_text())
    assert len(told["loss"]) == 8 and 1 <= told["reached"] <= 8
    assert sum(told["ended"].values()) == 8
    unexplained = 1 - run.metrics["r2"].value
    assert unexplained == pytest.approx(told["loss"][0], rel=1e-6), "the loaded net is not the best restart in float64"
    assert unexplained < 0.1
    truth = run.trained.description.target_std[0]  # so that a miss of 3 sigma of what is unexplained fails
    expected, off = 100 * (-0.5 - 0.25) ** 2 + 0.25, 3 * truth * unexplained**0.5
    assert run.predict({"x1": 0.5, "x2": -0.5})["z"] == pytest.approx(expected, abs=off)


def test_stopped_and_resumed_gives_the_same_weights(tmp_path):
    def stop(event):
        if isinstance(event, Stepped) and event.step == 21:
            raise KeyboardInterrupt

    hurried = replace(SURFACE, training=replace(SURFACE.training, checkpoint_seconds=0.0))
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        api.run_recipe(hurried, runs=tmp_path, name="stopped", watch=stop)
    api.resume(tmp_path / "stopped")
    api.run_recipe(hurried, runs=tmp_path, name="whole")
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("stopped", "whole"))
    assert one == two


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(SURFACE, data=DataRecipe(source="points-region")), "needs a squared loss"),
        (replace(SURFACE, net=NetRecipe("mlp", {"hidden": [200, 200]})), "expected at most 5,000"),
        (replace(SURFACE, hardware=HardwareRecipe(precision="float32")), "computes in float64"),
        (replace(SURFACE, data=DataRecipe(source="surface", options={"side": 2})), "data.options.side: found 2"),
    ],
)
def test_what_it_cannot_do_is_said(tmp_path, changed, said):
    with pytest.raises(UserError, match=said):
        api.run_recipe(changed, runs=tmp_path)
    assert not list(tmp_path.iterdir())
