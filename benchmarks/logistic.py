"""Logistic regression against scikit-learn's: the same penalty, the same answer, one thread each, side by side.

100,000 samples of 50 columns in float64, alternating in one run: independent columns, on which L-BFGS needs ten
iterations, and columns that are correlated with their neighbours, on which it needs ninety. The penalty is
scikit-learn's usual one (C = 1, hence l2 = 1 / N), its tolerance is 1e-8, at which its answers agree with ours about as
well as with each other. The time includes what either does before its first step: checking and converting for
scikit-learn, converting for us.

Then its own small sets, columns standardised: how far the coefficients are apart. And once from a file through `train`
to coefficients in the user's units, against scikit-learn on the raw columns.
"""

from __future__ import annotations

import csv
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.record import spread, write
from hyperplane import api
from hyperplane.engine.newton import fit
from hyperplane.explain.layers import layers
from hyperplane.explain.planes import hyperplanes
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe

SAMPLES, COLUMNS, REPEATS, TOLERANCE = 100_000, 50, 11, 1e-8
THEIRS = ("lbfgs", "newton-cholesky")
Coefficients = tuple[np.ndarray, np.ndarray]
"""Of the columns, (K, D), and the intercepts, (K,)."""


def design(correlation: float) -> tuple[np.ndarray, np.ndarray]:
    """Return columns (N, D), each correlated with the one before, and labels (N,) drawn by a logistic model."""
    drawn = np.random.default_rng(0)
    x_ND = drawn.normal(size=(SAMPLES, COLUMNS))
    for column in range(1, COLUMNS):
        x_ND[:, column] = correlation * x_ND[:, column - 1] + math.sqrt(1 - correlation**2) * x_ND[:, column]
    logit_N = x_ND @ (0.3 * drawn.normal(size=COLUMNS)) + 0.5
    return x_ND, (drawn.random(SAMPLES) < 1 / (1 + np.exp(-logit_N))).astype(np.int64)


def ours(x_ND: np.ndarray, label_N: np.ndarray, l2: float) -> Coefficients:
    """Return our coefficients."""
    classes = int(label_N.max()) + 1
    found = fit(torch.from_numpy(np.ascontiguousarray(x_ND)), torch.from_numpy(label_N), classes, l2)
    return found.weight_KD.numpy(), found.bias_K.numpy()


def theirs(solver: str, x_ND: np.ndarray, label_N: np.ndarray, l2: float, tolerance: float = TOLERANCE) -> Coefficients:
    """Return scikit-learn's coefficients."""
    strength = 1 / (len(x_ND) * l2) if l2 else math.inf
    model: Any = LogisticRegression(C=strength, solver=solver, tol=tolerance, max_iter=100_000).fit(x_ND, label_N)  # pyright: ignore[reportArgumentType]
    bias_K = model.intercept_ - (model.intercept_.mean() if len(model.intercept_) > 1 else 0.0)  # a mean says nothing
    return model.coef_, bias_K


def apart(a: Coefficients, b: Coefficients) -> float:
    """Return the greatest difference of two coefficients."""
    return max(float(np.abs(p - q).max()) for p, q in zip(a, b, strict=True))


def race(correlation: float) -> dict[str, Any]:
    """Return times, their ratios and how far the answers are apart."""
    x_ND, label_N = design(correlation)
    contenders: dict[str, Callable[[], Coefficients]] = {
        "ours": lambda: ours(x_ND, label_N, 1 / SAMPLES),
        **{name: lambda name=name: theirs(name, x_ND, label_N, 1 / SAMPLES) for name in THEIRS},
    }
    found = {name: run() for name, run in contenders.items()}  # and so that all is loaded
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, run in contenders.items():
            begun = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - begun))
    return {
        "milliseconds": {name: spread(values) for name, values in times.items()},
        "ours over each, paired ratios": {
            name: spread([a / b for a, b in zip(times["ours"], times[name], strict=True)]) for name in THEIRS
        },
        "coefficients apart": {
            **{f"ours and {name}": apart(found["ours"], found[name]) for name in THEIRS},
            " and ".join(THEIRS): apart(*(found[name] for name in THEIRS)),
        },
    }


def small(load: Callable[[], Any], l2: float) -> dict[str, float]:
    """Return how far our coefficients and scikit-learn's are apart on one of its sets, columns standardised."""
    held = load()
    std_D = held.data.std(axis=0)
    x_ND, label_N = (held.data - held.data.mean(axis=0)) / np.where(std_D > 0, std_D, 1.0), held.target.astype(np.int64)
    found = ours(x_ND, label_N, l2)
    return {name: apart(found, theirs(name, x_ND, label_N, l2, 1e-12)) for name in THEIRS}


def through_train() -> dict[str, float]:
    """Return how far apart the coefficients of two species of iris are, in the user's units and without a penalty.

    Ours went through a file, standardised columns in float32, a run folder and back.
    """
    held: Any = load_iris()
    x_ND, label_N = held.data[held.target > 0], held.target[held.target > 0] - 1
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "iris.csv"
        with table.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow([*held.feature_names, "target"])
            species_N = np.array(["versicolor", "virginica"])[label_N].tolist()
            rows.writerows([*row, name] for row, name in zip(x_ND.tolist(), species_N, strict=True))
        recipe = Recipe(
            data=DataRecipe(source=str(table), validation=0.0, test=0.0),
            net=NetRecipe("perceptron"),
            optimizer=OptimizerRecipe("newton"),
        )
        run = api.load(api.run_recipe(recipe, runs=folder))
        (plane,) = hyperplanes(layers(run.net), run.trained.description)
    expected = theirs("newton-cholesky", x_ND, label_N, 0.0, 1e-12)
    difference = apart((plane.w_D[None], np.array([plane.b])), expected)
    return {"apart": difference, "greatest coefficient": float(np.abs(expected[0]).max())}


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        found: dict[str, Any] = {"independent columns": race(0.0), "correlated columns (0.9)": race(0.9)}
        for name, result in found.items():
            ratios = {n: f"{r['median']:.2f}" for n, r in result["ours over each, paired ratios"].items()}
            print(name, ratios, result["coefficients apart"], flush=True)
        sets = {"breast cancer": load_breast_cancer, "digits": load_digits, "iris": load_iris}
        found["scikit-learn's sets, coefficients apart"] = {
            f"{name}, l2 {l2:g}": small(load, l2) for name, load in sets.items() for l2 in (1e-2, 1e-3)
        }
        found["iris through train, in its own units"] = through_train()
    print(found["scikit-learn's sets, coefficients apart"], found["iris through train, in its own units"])
    write("logistic", found)


if __name__ == "__main__":
    main()
