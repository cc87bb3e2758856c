"""How the weights behind a bypass should be drawn: `python -m benchmarks.bypass [relu|tanh|sigmoid ...]`.

MLPs of 16 layers of 16 units, without bypass and with one, whose weights are drawn as a plain net's and multiplied by
1, 1/√n, 1/n, or 0 (n = 15 layers behind the bypass): what the mean square of the activations grows by from the first
layer to the last, and what AdamW makes of them, at the better of two rates, mean of two seeds. On a photograph and the
lecture's surface the share of the training samples' variance that is left unexplained, on digits the errors on
held-out ones. Activations that are named are measured again, and the rest kept. One thread.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.record import RESULTS, write
from hyperplane import api
from hyperplane.nets import mlp
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

DEPTH, WIDTH, SEEDS, RATES = 16, 16, 2, (0.01, 0.003)
WAYS: dict[str, Callable[[int], float] | None] = {
    "no bypass": None,
    "times 1": lambda count: 1.0,
    "times 1/√n": lambda count: count**-0.5,
    "times 1/n": lambda count: 1 / count,
    "times 0": lambda count: 0.0,
}
DATA = {
    "photograph, unexplained": Recipe(DataRecipe("photo-china"), training=TrainingRecipe(epochs=60)),
    "surface, unexplained": Recipe(DataRecipe("surface", validation=0.0, test=0.0), training=TrainingRecipe(epochs=60)),
    "digits, errors": Recipe(DataRecipe("digits"), training=TrainingRecipe(epochs=15)),
}
"""By what is measured: 1 minus R², or minus the accuracy."""


def main(activations: list[str]) -> None:
    """Measure and write, after each activation."""
    torch.set_num_threads(1)
    path, chosen = RESULTS / "bypass.json", mlp.behind_bypass
    for activation in activations or ("relu", "tanh", "sigmoid"):
        told: dict[str, dict[str, float]] = {}
        for way, factor in WAYS.items():
            if factor is not None:
                mlp.behind_bypass = lambda activation, count, factor=factor: factor(count)
            told[way] = {"growth": _growth(activation, factor is not None)}
            for name, recipe in DATA.items():
                told[way][name] = min(_lost(recipe, activation, factor is not None, rate) for rate in RATES)
            print(activation, way, *(f"{name} {value:.3g}" for name, value in told[way].items()), flush=True)
        mlp.behind_bypass = chosen
        held = json.loads(path.read_text())["results"] if path.exists() else {}
        write("bypass", held | {activation: told})


def _growth(activation: str, bypass: bool) -> float:
    x_B2, found = torch.randn(512, 2, generator=torch.Generator().manual_seed(0)), []
    for seed in range(9):
        torch.manual_seed(seed)
        taps: dict[str, Tensor] = {}
        net = mlp.MLP((2,), 1, hidden=(WIDTH,) * DEPTH, activation=activation, bypass=bypass)  # pyright: ignore
        net(x_B2, taps)
        found.append((taps[f"hidden{DEPTH}"].square().mean() / taps["hidden1"].square().mean()).item())
    return statistics.median(found)


def _lost(recipe: Recipe, activation: str, bypass: bool, rate: float) -> float:
    options = {"hidden": [WIDTH] * DEPTH, "activation": activation, "bypass": bypass}
    lost = []
    for seed in range(SEEDS):
        optimizer = OptimizerRecipe("adamw", learning_rate=rate, weight_decay=0.0)
        with tempfile.TemporaryDirectory() as folder:
            whole = replace(recipe, net=NetRecipe("mlp", options), optimizer=optimizer, seed=seed)
            metrics = api.load(api.run_recipe(whole, runs=folder, explained=False)).metrics
        name = next(name for name in ("unexplained", "r2", "accuracy") if name in metrics)
        lost.append(metrics[name].value if name == "unexplained" else 1 - metrics[name].value)
    return statistics.mean(lost)


if __name__ == "__main__":
    main(sys.argv[1:])
