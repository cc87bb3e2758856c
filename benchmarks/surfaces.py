"""The lecture's surface by nets of two, three and four hidden nodes, fitted to their limit by Levenberg-Marquardt.

z = 100 (x2 - x1^2)^2 + (1 - x1)^2 on a 31 x 31 grid over [-1, 1]^2, standardised; 64 restarts, the worse half
dropped after 100 iterations, and again after 200, 400, ...; at most 2,000 iterations; five seeds. The share of the
variance that is left unexplained, how many restarts reached the least, and the time, on one thread.
"""

from __future__ import annotations

import json
import tempfile

import torch

from benchmarks.record import spread, write
from hyperplane import api
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

SEEDS = 5
LECTURE = {"relu": {2: 3.02e-1, 3: 2.08e-2, 4: 8.27e-3}, "tanh": {2: 2.61e-1, 3: 2.51e-4, 4: 3.07e-7}}
"""Losses that the lecture states, without domain or scaling; which activation is whose, its pictures alone tell."""


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    found = {}
    for activation in ("relu", "tanh", "sigmoid"):
        for nodes in (2, 3, 4):
            losses, reached, seconds = [], [], []
            for seed in range(SEEDS):
                recipe = Recipe(
                    data=DataRecipe(source="surface", validation=0.0, test=0.0),
                    net=NetRecipe("mlp", {"hidden": [nodes], "activation": activation}),
                    optimizer=OptimizerRecipe("levenberg-marquardt", restarts=64, halving=100),
                    training=TrainingRecipe(epochs=2000),
                    seed=seed,
                )
                with tempfile.TemporaryDirectory() as folder:
                    path = api.run_recipe(recipe, runs=folder, explained=False)
                    told = json.loads((path / "outcome.json").read_text())
                    result = api.load(path).trained.folder.read_result()
                assert result is not None
                losses.append(told["loss"][0])
                reached.append(told["reached"])
                seconds.append(result.seconds)
            found[f"{activation}, {nodes} nodes"] = {
                "unexplained": spread(losses),
                "restarts of 64 that reached the least": spread(reached),
                "seconds": spread(seconds),
                "the lecture's loss": LECTURE.get(activation, {}).get(nodes),
            }
            print(activation, nodes, f"{min(losses):.3g} {max(losses):.3g}", f"{max(seconds):.1f} s", flush=True)
    write("surfaces", found)


if __name__ == "__main__":
    main()
