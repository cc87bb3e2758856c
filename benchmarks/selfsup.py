"""What learning without labels is worth with 600 labels: `python -m benchmarks.selfsup [--runs FOLDER] [--only WAY]`.

A masked autoencoder (the recipe `fashion_mnist_mae`) and DINO, for about as long, learn from Fashion-MNIST's 50,000
training images, whose labels they do not see. Then the same net learns to classify from 600 of these labels, 60 of each
class (`fashion_mnist_few`): from scratch, and with `--from`. All have the same labels, augmentation and steps, and each
way the learning rate that was best for it, of the recipe's and a tenth, on the validation images with seed 0. Tested on
10,000 images; three seeds decide new weights and order. Runs that are in FOLDER already are not made again, and what is
named alone is measured beside what was before.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, recipes
from hyperplane.recipe import AugmentRecipe, Recipe, TaskRecipe, TrainingRecipe

SEEDS = 3
SHARES = (1.0, 0.1)
"""Of the recipe's learning rates, that are tried."""


def dino() -> Recipe:
    """Return how DINO learns: with views of 20 pixels, for two epochs, each of which takes long."""
    start = recipes.named("fashion_mnist_mae")
    return replace(
        start,
        task=TaskRecipe("selfsup-dino", {"large": 20, "small": 2}),
        augment=AugmentRecipe(),
        training=TrainingRecipe(epochs=2, batch=256, ema=0.99, evaluate_every=2),
    )


WAYS: dict[str, Callable[[], Recipe] | None] = {
    "from scratch": None,
    "masked autoencoder": partial(recipes.named, "fashion_mnist_mae"),
    "DINO": dino,
}


def main(arguments: list[str]) -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--runs", type=Path)
    asked.add_argument("--only", choices=WAYS)
    given = asked.parse_args(arguments)
    path = RESULTS / "selfsup.json"
    before = json.loads(path.read_text())["results"] if given.only and path.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        write("selfsup", before | measure(given.runs or Path(folder), [given.only] if given.only else list(WAYS)))


def measure(runs: Path, ways: list[str]) -> dict[str, Any]:
    """Return what was measured by the way to begin."""
    found: dict[str, Any] = {}
    for way in ways:
        before = WAYS[way]
        start, told = None, {}
        if before is not None:
            start = made(runs, way.replace(" ", "-"), before())
            told = {
                "pre-training, s": result(start).seconds,
                "held-out images given their class by neighbours, %": 100 * start.metrics["neighbour_accuracy"].value,
            }
        share = max(SHARES, key=lambda share: validated(tuned(runs, start, share, 0)))
        tested = [result(tuned(runs, start, share, seed)) for seed in range(SEEDS)]
        accuracies = [100 * one.metrics["accuracy"].value for one in tested]
        found[way] = {
            **told,
            "share of the recipe's learning rate": share,
            "training with labels, s": spread([one.seconds for one in tested]),
            "steps": tested[0].steps,
            "test accuracy, %": spread(accuracies),
        }
        print(f"{way}: {spread(accuracies)['mean']:.2f}%", flush=True)
    return found


def tuned(runs: Path, start: api.Run | None, share: float, seed: int) -> api.Run:
    """Return the run that classifies, having begun with another one or from scratch."""
    asked = recipes.named("fashion_mnist_few")
    optimizer = asked.optimizer
    rates = (share * (optimizer.learning_rate or 0.0), share * (optimizer.other_rate or 0.0))
    asked = recipes.start(None, given=asked, weights=None if start is None else str(start.path))
    asked = replace(asked, optimizer=replace(optimizer, learning_rate=rates[0], other_rate=rates[1]), seed=seed)
    name = "scratch" if start is None else start.path.name
    return made(runs, f"few-{name}-{share:g}-{seed}", asked)


def made(runs: Path, name: str, asked: Recipe) -> api.Run:
    """Return the run of that name, trained where it is not there."""
    path = runs / name
    if (path / "recipe.json").is_file():
        api.resume(path)
    else:
        api.run_recipe(asked, runs=runs, name=name)
    run = api.load(path)
    print(f"{name}: {next(iter(run.metrics.values())).value:.4f}", flush=True)
    return run


def result(run: api.Run) -> Any:
    """Return the last record of a run's metrics."""
    return run.trained.folder.read_result()


def validated(run: api.Run) -> float:
    """Return the last accuracy on the validation images."""
    records = run.trained.folder.read_metrics()
    return [r["accuracy"] for r in records if r["kind"] == "validation"][-1]


if __name__ == "__main__":
    main(sys.argv[1:])
