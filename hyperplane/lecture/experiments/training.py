"""Training as the lecture writes it: binary cross entropy, classification as regression, and more than two classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hyperplane import api
from hyperplane.data import surface
from hyperplane.explain.subject import load, view
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

EXTENT, THRESHOLD = 1.0, 0.5


def region_net(seed: int, epochs: int) -> Recipe:
    """Return how a net of 16 hidden nodes learns the lecture's non-linear region, by AdamW."""
    return Recipe(
        data=DataRecipe(source="points-region", seed=seed, options={"samples": 2000}),
        net=NetRecipe("mlp", {"hidden": [16], "activation": "tanh"}),
        optimizer=OptimizerRecipe("adamw", learning_rate=0.03, weight_decay=0.0),
        training=TrainingRecipe(epochs=epochs),
        seed=seed,
    )


def binary(budget: Budget) -> Outcome:
    """Minimise the binary cross entropy of the non-linear region by gradients."""
    seeds = budget.choose(full=5, quick=2, least=1)
    epochs = budget.choose(full=200, quick=60, least=1)
    runs = [budget.train(f"region-{seed}", region_net(seed, epochs)) for seed in range(seeds)]
    loss = [_last_loss(run) for run in runs]
    accuracy = [100 * run.metrics["accuracy"].value for run in runs]
    curves = {f"seed {seed}": _curve(run) for seed, run in enumerate(runs)}
    findings = (
        Finding(
            "mlp-binary-entropy",
            budget.judged(max(loss) < 0.2),
            "AdamW, a gradient-based technique, takes the cross entropy from that of guessing, ln 2 = "
            f"{math.log(2):.2f}, to {np.mean(loss):.3f} in {epochs} passes over the data.",
            Spread.of(loss),
            "cross entropy at the end",
            typed(region_net(0, epochs)),
        ),
        Finding(
            "mlp-region",
            budget.judged(np.mean(accuracy) >= 95),
            f"{np.mean(accuracy):.1f}% of the points that were held back are on their side of 0.5, with 16 hidden "
            "nodes; half of the points are positive.",
            Spread.of(accuracy),
            "% of the test points",
            typed(region_net(0, epochs)),
        ),
    )
    pictures = (
        budget.draw(
            "loss",
            figures.series(
                curves, ("passes over the data", "cross entropy"), "Minimising the cross entropy", ("linear", "log")
            ),
            "The loss on the validation points",
        ),
        budget.explained("region", runs[0], "field", "The probability that the net learned"),
    )
    return Outcome(findings, pictures=pictures)


def switch(budget: Budget) -> Outcome:
    """Train one net on the surface's classes and on its numbers, and compare where both say that z < 0.5."""
    seeds = budget.choose(full=3, quick=1, least=1)
    side, restarts, iterations = budget.choose(full=(41, 16, 300), quick=(41, 4, 100), least=(21, 1, 2))
    epochs = budget.choose(full=400, quick=150, least=1)
    classes, numbers = _switch(side, 0, epochs, restarts, iterations)
    inside: dict[str, list[float]] = {"classes": [], "numbers": []}
    explained: list[float] = []
    kept: list[api.Run] = []
    for seed in range(seeds):
        by_class, by_number = _switch(side, seed, epochs, restarts, iterations)
        kept = [budget.train(f"classes-{seed}", by_class), budget.train(f"numbers-{seed}", by_number)]
        inside["classes"].append(_overlap(kept[0], lambda said: said > 0))
        inside["numbers"].append(_overlap(kept[1], lambda said: said < THRESHOLD))
        explained.append(kept[1].evaluate(split="train")["r2"].value)
    told = "of the union of both regions, the true one and the net's, lies in both"
    findings = (
        Finding(
            "mlp-approximates",
            budget.judged(np.mean(inside["numbers"]) >= 50),
            f"Taught the numbers alone, the net leaves {1 - np.mean(explained):.0e} of the variance of f unexplained, "
            f"and where it says f < 0.5 is the region: {np.mean(inside['numbers']):.0f}% {told}.",
            Spread.of(inside["numbers"]),
            "% of the union of both regions",
            typed(numbers),
        ),
        Finding(
            "mlp-switch",
            budget.judged(min(np.mean(v) for v in inside.values()) >= 50),
            "The same net of two layers of 8 tanh nodes learned the numbers by squared error, and with "
            f"--data.threshold 0.5 the classes by cross entropy: {np.mean(inside['classes']):.0f}% {told} by classes, "
            f"{np.mean(inside['numbers']):.0f}% by numbers. The region is 2% of the window.",
            Spread.of(inside["classes"]),
            "% of the union of both regions, by classes",
            typed(classes),
        ),
    )
    pictures = (
        budget.explained("classes", kept[0], "field", "With --data.threshold 0.5: the probability of z < 0.5"),
        budget.explained("numbers", kept[1], "field", "Without: z itself"),
    )
    return Outcome(findings, pictures=pictures)


def classes(budget: Budget) -> Outcome:
    """Train ten classes of digits by softmax and cross entropy."""
    seeds = budget.choose(full=5, quick=1, least=1)
    recipe = _digits(0, budget.choose(full=60, quick=20, least=1))
    runs = [budget.train(f"digits-{s}", _digits(s, budget.choose(full=60, quick=20, least=1))) for s in range(seeds)]
    accuracy = [100 * run.metrics["accuracy"].value for run in runs]
    net = runs[0].net
    shape = tuple(net.get_parameter("output.weight").shape)
    said = runs[0].predict([np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8)])
    total = [sum(one["probabilities"].values()) for one in said]
    return Outcome(
        (
            Finding(
                "mlp-multi-class",
                budget.judged(shape == (10, 32) and max(abs(t - 1) for t in total) < 1e-5 and np.mean(accuracy) > 95),
                f"For ten digits behind 32 hidden nodes, W₂ is {shape[0]} × {shape[1]}, probabilities add up to "
                f"{total[0]:.6f}, and the same AdamW makes {np.mean(accuracy):.1f}% of the test digits right.",
                Spread.of(accuracy),
                "% of the test digits",
                typed(recipe),
            ),
        )
    )


def _digits(seed: int, epochs: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source="digits"),
        net=NetRecipe("mlp", {"hidden": [32]}),
        optimizer=OptimizerRecipe("adamw", learning_rate=0.005),
        training=TrainingRecipe(epochs=epochs),
        seed=seed,
    )


def _switch(side: int, seed: int, epochs: int, restarts: int, iterations: int) -> tuple[Recipe, Recipe]:
    """Return the recipe for the surface's classes and the one for its numbers: the same points and the same net."""
    options: dict[str, Any] = {"side": side}
    net = NetRecipe("mlp", {"hidden": [8, 8], "activation": "tanh"})
    by_class = Recipe(
        data=DataRecipe(source="surface", validation=0.0, test=0.0, options={**options, "threshold": THRESHOLD}),
        net=net,
        optimizer=OptimizerRecipe("adamw", learning_rate=0.03, weight_decay=0.0),
        training=TrainingRecipe(epochs=epochs),
        seed=seed,
    )
    by_number = Recipe(
        data=DataRecipe(source="surface", validation=0.0, test=0.0, options=options),
        net=net,
        optimizer=OptimizerRecipe("levenberg-marquardt", restarts=restarts),
        training=TrainingRecipe(epochs=iterations),
        seed=seed,
    )
    return by_class, by_number


def _overlap(run: api.Run, inside: Callable[[np.ndarray], np.ndarray]) -> float:
    """Return how much of the union of the true region and the net's is in both, in %, on a fine grid."""
    axis_W = np.linspace(-EXTENT, EXTENT, 401)
    x1_N, x2_N = (grid.ravel() for grid in np.meshgrid(axis_W, axis_W))
    true_N = surface.height(x1_N, x2_N) < THRESHOLD
    said_N = inside(view(load(run.path)).function(np.column_stack([x1_N, x2_N]))[:, 0])
    return 100 * float(np.sum(true_N & said_N) / np.sum(true_N | said_N))


def _last_loss(run: api.Run) -> float:
    return next(record["loss"] for record in reversed(run.history) if record["kind"] == "validation")


def _curve(run: api.Run) -> tuple[list[float], np.ndarray]:
    looks = [record for record in run.history if record["kind"] == "validation"]
    return [r["epoch"] for r in looks], np.array([r["loss"] for r in looks])
