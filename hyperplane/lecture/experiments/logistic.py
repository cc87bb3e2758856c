"""Logistic regression: what it does with labels, outliers and curved boundaries.

Shape suffixes: N points, D dimensions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hyperplane import api
from hyperplane.data import points
from hyperplane.engine import newton
from hyperplane.explain.layers import layers
from hyperplane.explain.planes import Hyperplane, hyperplanes
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments.training import region_net
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe

TRUE = Hyperplane(points.NORMAL, points.OFFSET)
"""What separates the generated points."""


def labels(budget: Budget) -> Outcome:
    """Fit the same points with labels 0 and 1, and with labels −1 and 1."""
    made = [recipe("points-outliers", labels=pair) for pair in ("0,1", "-1,1")]
    first, second = (
        _boundary(budget.train(f"labels-{name}", one))
        for name, one in zip(("zero-one", "minus-one-one"), made, strict=True)
    )
    off = float(np.abs(first.tilde - second.tilde).max())
    return Outcome(
        (
            Finding(
                "linear-labels",
                off == 0,
                f"Both fits end at {'the very same' if off == 0 else 'different'} weights: labels are names of "
                "classes, and inside the loss they are 0 and 1 in either case.",
                Spread.of([off]),
                "greatest difference between the weights",
                typed(made[1]),
            ),
        )
    )


def outliers(budget: Budget) -> Outcome:
    """Fit points of which some have the wrong label, and compare with the line that the right labels follow."""
    seeds = budget.choose(full=10, quick=2, least=1)
    alone = [_right(budget.train(f"separable-{s}", recipe("points-separable", seed=s))) for s in range(seeds)]
    runs = [budget.train(f"outliers-{s}", recipe("points-outliers", seed=s)) for s in range(seeds)]
    most, agreed = [_right(run) for run in runs], [_agreement(_boundary(run)) for run in runs]
    held = {0.03: agreed} | {
        share: [_agreement(_fitted_with_outliers(share, seed)) for seed in range(seeds)]
        for share in (0.1, 0.2, 0.3, 0.4)
    }
    table = Table(
        "Of the square, on the side that the right labels say",
        ("wrong labels", "mean", "least"),
        tuple((f"{100 * share:.0f} %", f"{np.mean(v):.1f} %", f"{min(v):.1f} %") for share, v in held.items()),
    )
    findings = (
        Finding(
            "linear-separation",
            min(alone) == 100 and min(most) >= 95,
            f"Of the points without outliers {min(alone):.0f}% are on their side, of those with 3% wrong labels "
            f"{np.mean(most):.1f}%.",
            Spread.of(most),
            "% of the training points on their side, 3% of them mislabelled",
            typed(recipe("points-outliers")),
        ),
        Finding(
            "linear-outliers",
            budget.judged(min(agreed) >= 95),
            f"With 3% of the labels wrong, {np.mean(agreed):.1f}% of the square are on the side where the right labels "
            f"have it, and with 30% {np.mean(held[0.3]):.1f}%: wrong labels on both sides pull against each other.",
            Spread.of(agreed),
            "% of the square on the right side",
            typed(recipe("points-outliers")),
        ),
    )
    picture = budget.explained("outliers", runs[0], "boundary", "3% of the labels are wrong")
    return Outcome(findings, pictures=(picture,), tables=(table,))


def complex_boundary(budget: Budget) -> Outcome:
    """Fit the non-linear region with one hyperplane, try every line there is, and fit it with a small net."""
    seeds = budget.choose(full=5, quick=1, least=1)
    epochs = budget.choose(full=200, quick=60, least=1)
    line = [budget.train(f"line-{s}", recipe("points-region", seed=s, samples=2000)) for s in range(seeds)]
    nets = [budget.train(f"net-{s}", region_net(s, epochs)) for s in range(seeds)]
    by_line, by_net = ([100 * run.metrics["accuracy"].value for run in runs] for runs in (line, nets))
    best = [_best_line(seed) for seed in range(seeds)]
    findings = (
        Finding(
            "linear-complex",
            max(best) < 90 and max(by_line) < 90,
            f"Half of the points are inside, so guessing is right for 50%. Logistic regression is for "
            f"{np.mean(by_line):.1f}% of the test points, and the best of all lines, tried one by one, for "
            f"{np.mean(best):.1f}% of the points.",
            Spread.of(by_line),
            "% of the test points, by logistic regression",
            typed(recipe("points-region", samples=2000)),
        ),
        Finding(
            "linear-nonlinear",
            budget.judged(min(by_net) > max(best) and np.mean(by_net) >= 95),
            f"A net of 16 tanh nodes is right for {np.mean(by_net):.1f}% of the test points, where no line can be for "
            f"more than {max(best):.1f}%.",
            Spread.of(by_net),
            "% of the test points, by a net of 16 hidden nodes",
            typed(region_net(0, epochs)),
        ),
    )
    pictures = (
        budget.explained("line", line[0], "boundary", "Logistic regression"),
        budget.explained("net", nets[0], "boundary", "16 hidden nodes"),
    )
    return Outcome(findings, pictures=pictures)


def recipe(source: str, *, seed: int = 0, labels: str = "0,1", samples: int = 1000) -> Recipe:
    """Return logistic regression of generated points."""
    options: dict[str, Any] = {"labels": labels} if labels != "0,1" else {}
    options |= {"samples": samples} if samples != 1000 else {}
    return Recipe(
        data=DataRecipe(source=source, seed=seed, options=options),
        net=NetRecipe("perceptron"),
        optimizer=OptimizerRecipe("newton"),
        seed=seed,
    )


def _boundary(run: api.Run) -> Hyperplane:
    """Return the hyperplane of a perceptron of one output, in the points' own units."""
    return hyperplanes(layers(run.net), run.trained.description)[0]


def _right(run: api.Run) -> float:
    return 100 * run.evaluate(split="train")["accuracy"].value


def _agreement(found: Hyperplane) -> float:
    """Return how much of the square [−1, 1]² is on the side where the right labels have it, in %."""
    axis_N = np.linspace(-1, 1, 401)
    x_ND = np.stack(np.meshgrid(axis_N, axis_N), axis=-1).reshape(-1, 2)
    return 100 * float(np.mean((found.value(x_ND) > 0) == (TRUE.value(x_ND) > 0)))


def points_of(source: str, seed: int, samples: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Return generated points, (N, 2), and their labels, 0 or 1, (N,)."""
    table = points.generate(DataRecipe(source=source, seed=seed, options={"samples": samples}))
    x_ND = np.array([[float(cell or 0) for cell in table[name]] for name in ("x1", "x2")]).T
    return x_ND, np.array([int(cell or 0) for cell in table["label"]])


def _fitted_with_outliers(share: float, seed: int) -> Hyperplane:
    """Return the boundary fitted to separable points of which a share have the other label."""
    x_ND, label_N = points_of("points-separable", seed)
    flipped = np.random.default_rng(seed).permutation(len(label_N))[: round(share * len(label_N))]
    label_N[flipped] = 1 - label_N[flipped]
    fit = newton.fit(torch.from_numpy(x_ND), torch.from_numpy(label_N), 2)
    return Hyperplane(fit.weight_KD[0].numpy(), float(fit.bias_K[0]))


def _best_line(seed: int) -> float:
    """Return the accuracy of the best of all lines on the region's points, in %; of 720 directions, every offset."""
    x_ND, label_N = points_of("points-region", seed, 2000)
    best = 0.0
    for angle in np.linspace(0, 2 * np.pi, 720, endpoint=False):
        order = np.argsort(x_ND @ np.array([np.cos(angle), np.sin(angle)]))
        below_N = np.concatenate([[0], np.cumsum(label_N[order] == 0)])
        above_N = np.concatenate([[0], np.cumsum(label_N[order] == 1)])
        best = max(best, float((below_N + above_N[-1] - above_N).max()) / len(label_N))
    return 100 * best
