"""Regression as the lecture trains it: squared error, stochastic gradient descent on mini-batches, dropout.

Its examples are poses of people. Ours, in small, is the pose of a digit: by how many degrees it was turned. Squared
errors are those of the standardised angle, so that 1 is what guessing the mean gives.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hyperplane import api
from hyperplane.contracts import Source
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, ScheduleRecipe, TrainingRecipe

MOST = 45.0
"""Degrees that a digit is turned by at most, either way."""
LARGE, SIDE = 16, 12
"""Pixels along an edge when it is turned, and in the middle of it, which is what the net sees."""
NOISE = 32.0
"""Deviation of the noise in every pixel, in grey levels: without it those near the corners are nearly always black."""
BATCH = 32


def training(budget: Budget) -> Outcome:
    """Regress the angle by gradients of mini-batches, by those of all samples at once, and with dropout."""
    seeds = range(budget.choose(full=5, quick=2, least=1))
    place = _turned(budget)
    samples = budget.source(_recipe(budget, place, 0).data).description.splits["train"]
    recipes = {
        "mini-batches": [_recipe(budget, place, seed) for seed in seeds],
        "all at once": [_recipe(budget, place, seed, batch=samples) for seed in seeds],
        "dropout": [_recipe(budget, place, seed, dropout=0.2) for seed in seeds],
    }
    runs = {
        name: [budget.train(f"{name.replace(' ', '-')}-{s}", r) for s, r in enumerate(held)]
        for name, held in recipes.items()
    }
    error = {name: [_error(run) for run in held] for name, held in runs.items()}
    off, layers = _sums(runs["mini-batches"][0], budget.source(recipes["mini-batches"][0].data))
    degrees = {name: float(np.mean([run.metrics["rmse"].value for run in held])) for name, held in runs.items()}
    gain = 100 * (1 - np.array(error["dropout"]) / np.array(error["mini-batches"]))
    epochs = recipes["mini-batches"][0].training.epochs
    findings = (
        Finding(
            "applications-regression",
            budget.judged(off < 1e-5 and layers[0] == layers[1] and max(error["mini-batches"]) < 0.5),
            "What is minimised is the mean of the squared differences, computed by hand the same to "
            f"{off:.0e}, and its gradient reaches the weights and biases of every layer. It falls to "
            f"{np.mean(error['mini-batches']):.3f} on digits that were held out, {degrees['mini-batches']:.1f}°.",
            Spread.of(error["mini-batches"]),
            "of the variance, squared error on held-out digits",
            typed(recipes["mini-batches"][0]),
        ),
        Finding(
            "applications-sgd",
            budget.judged(np.mean(error["mini-batches"]) < np.mean(error["all at once"])),
            f"In {epochs} passes over {samples:,} digits, mini-batches of {BATCH} get to "
            f"{np.mean(error['mini-batches']):.3f} of the variance, the gradient of all of them at once, with the same "
            f"rate and as many passes, to {np.mean(error['all at once']):.3f}.",
            Spread.of([b / a for a, b in zip(error["mini-batches"], error["all at once"], strict=True)]),
            "times the error without mini-batches",
            typed(recipes["mini-batches"][0]),
        ),
        Finding(
            "applications-dropout",
            budget.judged(gain.mean() > 0),
            f"Dropout of 0.2 takes the squared error on held-out digits from {np.mean(error['mini-batches']):.3f} to "
            f"{np.mean(error['dropout']):.3f} of the variance, from {degrees['mini-batches']:.1f}° to "
            f"{degrees['dropout']:.1f}°.",
            Spread.of(gain.tolist()),
            "% less error with dropout",
            typed(recipes["dropout"][0]),
        ),
    )
    curves = {name: _curve(held) for name, held in runs.items()}
    drawn = figures.series(
        curves, ("passes over the data", "squared error"), "The pose of a digit, by regression", ("linear", "log")
    )
    about = (
        f"An MLP of two layers of 256 nodes regresses by how much a digit of {SIDE} × {SIDE} pixels was turned, up to "
        f"{MOST:.0f}° either way, from noisy pixels. The lecture gives no data for it, so this is ours."
    )
    return Outcome(findings, about, (budget.draw("loss", drawn, "On the validation digits: median and range"),))


def _turned(budget: Budget) -> Path:
    """Write a table of digits that were turned, a column for each pixel, and the angle in degrees; return its file."""
    source = budget.source(DataRecipe(source="digits", validation=0.0, test=0.0))
    count = budget.choose(full=source.description.splits["train"], quick=1000, least=60)
    chance = np.random.default_rng(0)
    angle_N = chance.uniform(-MOST, MOST, count).round(2)
    rows: list[list[str]] = []
    for i, angle in enumerate(angle_N.tolist()):
        image = source.show("train", i)
        assert isinstance(image, Image.Image)
        large = image.resize((LARGE, LARGE), Image.Resampling.BILINEAR).rotate(angle, Image.Resampling.BILINEAR)
        edge = (LARGE - SIDE) // 2
        level_HW = np.asarray(large)[edge : edge + SIDE, edge : edge + SIDE] + chance.normal(0, NOISE, (SIDE, SIDE))
        rows.append([f"{level:.0f}" for level in level_HW.ravel()] + [f"{angle:g}"])
    return budget.table("turned-digits", [*(f"p{i}" for i in range(SIDE * SIDE)), "angle"], rows)


def _recipe(budget: Budget, place: Path, seed: int, batch: int = BATCH, dropout: float = 0.0) -> Recipe:
    return Recipe(
        data=DataRecipe(source=str(place), target="angle", options={"kind": "number"}),
        net=NetRecipe("mlp", {"hidden": [256, 256], "dropout": dropout}),
        optimizer=OptimizerRecipe("sgd", learning_rate=0.005, weight_decay=0.0),
        schedule=ScheduleRecipe("cosine", warmup=0.05),
        training=TrainingRecipe(epochs=budget.choose(full=40, quick=15, least=1), batch=batch),
        seed=seed,
    )


def _error(run: api.Run) -> float:
    return 1 - run.metrics["r2"].value


@torch.enable_grad()
def _sums(run: api.Run, source: Source) -> tuple[float, tuple[int, int]]:
    """Return how far a run's loss is from Σ ‖F(x) − y‖², and of how many of its weights' tensors it has a gradient."""
    batch = source.batch("train", range(min(64, source.description.splits["train"])))
    model = run.trained.model
    output = model(batch)
    mean, std = (np.array(v) for v in (run.trained.description.target_mean, run.trained.description.target_std))
    true_BK = (batch["value_BK"].numpy() - mean) / std
    by_hand = math.fsum(((output.prediction.detach().numpy() - true_BK) ** 2).ravel())
    output.loss_B.sum().backward()
    weights = list(run.net.parameters())
    reached = sum(p.grad is not None and bool(p.grad.abs().max() > 0) for p in weights)
    run.net.zero_grad(set_to_none=True)
    return abs(by_hand - float(output.loss_B.detach().sum())) / by_hand, (reached, len(weights))


def _curve(runs: list[api.Run]) -> tuple[list[float], np.ndarray]:
    looks = [[record for record in run.history if record["kind"] == "validation"] for run in runs]
    return [r["epoch"] for r in looks[0]], np.array([[r["loss"] for r in held] for held in looks]).T
