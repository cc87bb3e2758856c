"""What the rule that chooses an optimizer is worth: the solvers against AdamW on held-out samples, five splits each.

Tables that come with scikit-learn, and two kinds of drawn ones with noise: Friedman's first function, and prices over
a map with two towns. Each run is what `hyperplane train` makes of the recipe, with the defaults but for net, optimizer
and 200 iterations at most; the seed decides splits, weights and order. Regression: the share of the test samples'
variance that is left unexplained, by nets with few and with many samples for each weight. Classification: test accuracy
and log loss of a perceptron by the optimizer that the rule chooses, by Newton without a penalty, and by AdamW. Some of
the tables alone: `python -m benchmarks.choice prices digits`.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine, make_friedman1

from benchmarks.record import RESULTS, spread, write
from hyperplane import api
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe
from hyperplane.runs.records import Result

SEEDS, ITERATIONS = 5, 200
LINE = NetRecipe("perceptron")
NETS: dict[str, NetRecipe] = {
    "perceptron": LINE,
    "2 tanh": NetRecipe("mlp", {"hidden": [2], "activation": "tanh"}),
    "4 tanh": NetRecipe("mlp", {"hidden": [4], "activation": "tanh"}),
    "4 ReLU": NetRecipe("mlp", {"hidden": [4]}),
    "8 tanh": NetRecipe("mlp", {"hidden": [8], "activation": "tanh"}),
}


def prices(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return eight columns and a price: what people earn, on a map with two towns, with noise."""
    drawn = np.random.default_rng(0)
    income_N, age_N = drawn.gamma(3, 1.3, samples), drawn.uniform(1, 52, samples)
    rooms_N, share_N = drawn.normal(5.4, 1.2, samples).clip(1), drawn.gamma(9, 0.33, samples)
    north_N, east_N = drawn.uniform(32.5, 42, samples), drawn.uniform(-124, -114, samples)
    town_N = 0.17 * np.exp(-((north_N - 34) ** 2 + (east_N + 118) ** 2) / 4) * income_N
    town_N += 0.6 * np.exp(-((north_N - 37.7) ** 2 + (east_N + 122.3) ** 2) / 3)
    noise_N = drawn.normal(0, 0.5, samples) * (0.5 + 0.15 * income_N)
    price_N = 0.42 * income_N + town_N - 0.15 * np.log(share_N) + 0.005 * age_N + noise_N
    others = (rooms_N * drawn.normal(0.2, 0.02, samples), drawn.gamma(1.6, 900, samples))
    return np.stack([income_N, age_N, rooms_N, share_N, north_N, east_N, *others], axis=1), price_N


def table(path: Path, x_ND: np.ndarray, target_N: list[Any]) -> str:
    """Write a table and return its path."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*(f"x{column}" for column in range(x_ND.shape[1])), "target"])
        rows.writerows([*row, target] for row, target in zip(x_ND.tolist(), target_N, strict=True))
    return str(path)


def results(source: str, net: NetRecipe, optimizer: OptimizerRecipe) -> list[Result]:
    """Return how good the nets of all seeds are."""
    found = []
    for seed in range(SEEDS):
        epochs = None if optimizer.name == "adamw" else ITERATIONS
        recipe = Recipe(
            data=DataRecipe(source=source, seed=seed),
            net=net,
            optimizer=optimizer,
            training=TrainingRecipe(epochs=epochs),
            seed=seed,
        )
        with tempfile.TemporaryDirectory() as folder:
            result = api.load(api.run_recipe(recipe, runs=folder)).trained.folder.read_result()
        assert result is not None
        found.append(result)
    return found


def regression(source: str, train: int, net: NetRecipe) -> dict[str, Any]:
    """Return what is left unexplained of `train` training samples' kind."""
    told: dict[str, Any] = {}
    for name in ("levenberg-marquardt", "adamw"):
        made = results(source, net, OptimizerRecipe(name))  # pyright: ignore[reportArgumentType]
        told[name] = spread([1 - result.metrics["r2"].value for result in made])
        told["samples for each weight"] = round(train / made[0].parameters, 1)
    return told


def classification(source: str) -> dict[str, Any]:
    """Return accuracy and log loss of a perceptron."""
    told = {}
    for name, optimizer in (
        ("chosen", OptimizerRecipe()),
        ("newton, no penalty", OptimizerRecipe("newton")),
        ("adamw", OptimizerRecipe("adamw")),
    ):
        made = results(source, LINE, optimizer)
        told[name] = {
            "accuracy, %": spread([100 * result.metrics["accuracy"].value for result in made]),
            "log loss, nats": spread([result.metrics["log_loss"].value for result in made]),
        }
    return told


def main(wanted: list[str]) -> None:
    """Measure the tables whose names begin with one of the words, and write them to those measured before."""
    torch.set_num_threads(1)
    path = RESULTS / "choice.json"
    found = json.loads(path.read_text())["results"] if path.exists() else {"unexplained": {}, "perceptron": {}}
    diabetes: Any = load_diabetes()
    numbers = {"diabetes": (diabetes.data, diabetes.target)}
    for samples in (300, 1500):
        numbers[f"friedman {samples}"] = make_friedman1(samples, noise=2.0, random_state=0)
        numbers[f"prices {samples}"] = prices(samples)
    classes = {"cancer": load_breast_cancer, "wine": load_wine, "iris": load_iris, "digits": None}
    with tempfile.TemporaryDirectory() as folder:
        for name, (x_ND, value_N) in numbers.items():
            source = table(Path(folder) / f"{name}.csv", x_ND, (value_N + 1e-4).tolist())  # never a whole number
            for kind, net in NETS.items() if name.startswith(tuple(wanted)) else ():
                told = regression(source, round(0.7 * len(x_ND)), net)
                found["unexplained"][f"{name}, {kind}"] = told
                means = [f"{told[n]['mean']:.3f} ± {told[n]['std']:.3f}" for n in ("levenberg-marquardt", "adamw")]
                print(f"{name}, {kind}, {told['samples for each weight']}:", *means, flush=True)
        for name, load in classes.items():
            if not name.startswith(tuple(wanted)):
                continue
            source = name
            if load is not None:
                held: Any = load()
                source = table(Path(folder) / f"{name}.csv", held.data, held.target_names[held.target].tolist())
            found["perceptron"][name] = classification(source)
            for way, told in found["perceptron"][name].items():
                print(name, way, *(f"{kind} {n['mean']:.3f} ± {n['std']:.3f}" for kind, n in told.items()), flush=True)
    write("choice", found)


if __name__ == "__main__":
    main(sys.argv[1:] or [""])
