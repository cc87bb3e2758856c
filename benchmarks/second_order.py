"""What the same seconds are worth: Levenberg-Marquardt next to Adam and torch's L-BFGS, on the lecture's fits.

Each fit begins at the same weights in float64 and has the same processor time on one thread, after a first step of
each that does not count. Levenberg-Marquardt and Adam move all restarts at once, torch's L-BFGS (strong Wolfe line
search, 20 pairs) one after another until the time is over; Adam has three learning rates, each with the whole time, and
its best counts. The loss is the share of the variance that is left unexplained, of the best restart. Fits whose names
begin as one of the words are measured again, and the rest kept: `python -m benchmarks.second_order photo-astronaut`.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from torch import Tensor

from benchmarks.fits import problem
from benchmarks.record import RESULTS, spread, write
from hyperplane.engine.second_order import Jacobian, LevenbergMarquardt, Residuals
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe

RATES = (1e-1, 1e-2, 1e-3)
PHOTOGRAPHS = ("photo-china", "photo-hopper", "photo-astronaut")
LAYERS = ((125,), (20, 20), (10, 20, 10))


def main(wanted: list[str]) -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    path = RESULTS / "second_order.json"
    found = json.loads(path.read_text())["results"]["fits"] if path.exists() else {}
    for name, recipe, seconds, halving in _fits():
        if not name.startswith(tuple(wanted)):
            continue
        residuals, jacobian, start_RP = problem(recipe)
        _levenberg_marquardt(residuals, jacobian, start_RP[:2], 1e-3, halving)
        _adam(residuals, start_RP[:2], 1e-3, 1e-3)
        _lbfgs(residuals, start_RP[:1], 1e-3)
        ours = _levenberg_marquardt(residuals, jacobian, start_RP, seconds, halving)
        adam = min(_adam(residuals, start_RP, seconds, rate) for rate in RATES)
        lbfgs = _lbfgs(residuals, start_RP, seconds)
        found[name] = {"seconds": seconds, "levenberg-marquardt": ours, "adam": adam, "l-bfgs": lbfgs}
        print(f"{name}: {ours:.3g}, Adam {adam / ours:.3g} times, L-BFGS {lbfgs / ours:.3g} times", flush=True)
    ratios = {
        f"{peer}'s loss over ours, {kind}": spread(
            [fit[peer] / fit["levenberg-marquardt"] for name, fit in found.items() if name.startswith(start)]
        )
        for peer in ("adam", "l-bfgs")
        for kind, start in (("all fits", ""), ("surfaces", "surface"), ("photographs", "photo"))
    }
    for what, ratio in ratios.items():
        print(what, f"{ratio['median']:.3g}")
    write("second_order", {**ratios, "fits": found})


def _fits() -> list[tuple[str, Recipe, float, int]]:
    """Return the fits by name: the recipe, its seconds, and the iterations after which restarts are halved."""
    fits = []
    for activation in ("tanh", "sigmoid", "relu"):
        for nodes in (2, 3, 4):
            net = NetRecipe("mlp", {"hidden": [nodes], "activation": activation})
            recipe = Recipe(DataRecipe("surface", validation=0.0, test=0.0), net=net, optimizer=_restarts(64))
            fits.append((f"surface, {activation}, {nodes} nodes", recipe, 5.0, 100))
    for photograph in PHOTOGRAPHS:
        for hidden in LAYERS:
            net = NetRecipe("mlp", {"hidden": list(hidden), "activation": "tanh"})
            recipe = Recipe(DataRecipe(photograph), net=net, optimizer=_restarts(8))
            fits.append((f"{photograph}, {'-'.join(map(str, hidden))}", recipe, 15.0, 50))
    return fits


def _restarts(count: int) -> OptimizerRecipe:
    return OptimizerRecipe("levenberg-marquardt", restarts=count)


def _levenberg_marquardt(
    residuals: Residuals, jacobian: Jacobian, start_RP: Tensor, seconds: float, halving: int
) -> float:
    solver, begun = LevenbergMarquardt(residuals, jacobian, start_RP, halving), time.process_time()
    while solver.going and time.process_time() - begun < seconds:
        solver.step()
    return solver.loss_R.min().item()


def _adam(residuals: Residuals, start_RP: Tensor, seconds: float, rate: float) -> float:
    weights_RP, begun, best = start_RP.clone().requires_grad_(), time.process_time(), torch.inf
    optimizer = torch.optim.Adam([weights_RP], rate)
    while time.process_time() - begun < seconds:
        loss_R = residuals(weights_RP).square().mean(dim=1)
        best = min(best, loss_R.min().item())
        optimizer.zero_grad()
        loss_R.sum().backward()
        optimizer.step()
    return best


def _lbfgs(residuals: Residuals, start_RP: Tensor, seconds: float) -> float:
    begun, best = time.process_time(), torch.inf
    for start_P in start_RP:
        weights_P = start_P.clone().requires_grad_()
        optimizer = torch.optim.LBFGS([weights_P], history_size=20, max_iter=20, line_search_fn="strong_wolfe")
        before = torch.inf
        while time.process_time() - begun < seconds:

            def closure(optimizer: torch.optim.LBFGS = optimizer, weights_P: Tensor = weights_P) -> Tensor:
                optimizer.zero_grad()
                loss = residuals(weights_P[None]).square().mean()
                loss.backward()
                return loss

            now = float(optimizer.step(closure))  # pyright: ignore[reportArgumentType]
            if not now < before * (1 - 1e-6):
                break
            before = now
        with torch.no_grad():
            best = min(best, residuals(weights_P[None]).square().mean().item())
    return best


if __name__ == "__main__":
    main(sys.argv[1:] or [""])
