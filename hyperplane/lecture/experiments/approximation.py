"""One hidden layer as an approximator: how the error falls with the width, and how often a fit finds the best net.

Shape suffixes: N points, S seeds, W widths.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments.surface import endings, unexplained
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe


def width(budget: Budget) -> Outcome:
    """Fit a function of one and one of two variables by one layer of ever more sigmoid nodes."""
    widths = budget.choose(full=(1, 2, 4, 8, 16, 32), quick=(1, 2, 4, 8, 16), least=(1, 2))
    seeds = budget.choose(full=3, quick=1, least=1)
    restarts, iterations = budget.choose(full=(16, 400), quick=(4, 120), least=(1, 2))
    targets = {"one variable": _curve(budget), "two variables": _hills(budget)}
    error: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}
    for name, data in targets.items():
        held = [
            [
                unexplained(budget.train(f"{data.stem}-{w}-{s}", _recipe(data, w, s, restarts, iterations)))
                for s in range(seeds)
            ]
            for w in widths
        ]
        error[name] = (widths, np.sqrt(np.array(held)))
    falls = all(bool((np.diff(np.median(value_WS, axis=1)) < 0).all()) for _, value_WS in error.values())
    last = {name: value_WS[-1].tolist() for name, (_, value_WS) in error.items()}
    picture = budget.draw(
        "width",
        figures.series(
            error,
            ("hidden nodes", "error, as a share of the target's deviation"),
            "More nodes, smaller error",
            ("log", "log"),
            ticks=widths,
        ),
        "Error of the best fit against the width",
    )
    return Outcome(
        (
            Finding(
                "mlp-universal",
                budget.judged(falls and max(np.median(v) for v in last.values()) < 0.05),
                f"{'With every doubling of' if falls else 'With more of'} the sigmoid nodes the error falls; with "
                f"{widths[-1]} it is "
                + " and ".join(f"{np.median(v):.1e} for {name}" for name, v in last.items())
                + ". That it can fall without end is the theorem; this is where fits get to.",
                Spread.of([v for held in last.values() for v in held], "targets and seeds"),
                f"root mean square error with {widths[-1]} nodes, as a share of the target's deviation",
                typed(_recipe(targets["one variable"], widths[-1], 0, restarts, iterations)),
            ),
        ),
        pictures=(picture,),
    )


def restarts(budget: Budget) -> Outcome:
    """Fit the surface from many random beginnings, and count how many of them end at the best."""
    widths = budget.choose(full=(2, 3, 4, 6, 8), quick=(2, 3, 4), least=(2, 3))
    beginnings, iterations = budget.choose(full=(64, 1000), quick=(16, 300), least=(4, 2))
    told = {nodes: endings(budget.train(f"tanh-{nodes}", _surface(nodes, beginnings, iterations))) for nodes in widths}
    reached = {n: 100 * float(np.mean(np.array(loss) <= 1.01 * loss[0])) for n, loss in told.items()}
    worse = {n: float(np.median(loss)) / loss[0] for n, loss in told.items()}
    table = Table(
        f"The surface by tanh nodes, from {beginnings} random beginnings each",
        ("nodes", "best loss", "median loss", "reach the best"),
        tuple((f"{n}", f"{v[0]:.2g}", f"{np.median(v):.2g}", f"{reached[n]:.0f} %") for n, v in told.items()),
    )
    picture = budget.draw(
        "beginnings",
        figures.series(
            {f"{n} nodes": (list(range(1, len(v) + 1)), np.array(v)) for n, v in told.items()},
            ("random beginnings, best first", "loss"),
            "Where each beginning ends",
            ("linear", "log"),
        ),
        "Losses of all beginnings, in order",
    )
    first, last = widths[0], widths[-1]
    return Outcome(
        (
            Finding(
                "mlp-not-best",
                budget.judged(max(worse.values()) > 1.1),
                f"With {max(worse, key=lambda n: worse[n])} nodes, half of the beginnings end at a loss "
                f"{max(worse.values()):,.0f} times the best or more, after up to {iterations:,} iterations each.",
                Spread.of([100 - v for v in reached.values()], "widths"),
                "% of the beginnings that miss the best",
                typed(_surface(last, beginnings, iterations)),
            ),
            Finding(
                "mlp-difficult",
                budget.judged(reached[last] < reached[first]),
                f"The share of beginnings that reach the best loss goes from {reached[first]:.0f}% with {first} nodes "
                f"to {reached[last]:.0f}% with {last}. The best net is harder to find; a good one is easier, since the "
                "median falls too.",
                Spread.of([reached[last]]),
                f"% of the beginnings that reach the best of {last} nodes",
                typed(_surface(last, beginnings, iterations)),
            ),
        ),
        pictures=(picture,),
        tables=(table,),
    )


def _curve(budget: Budget) -> Path:
    x_N = np.linspace(-1, 1, 201)
    y_N = np.sin(3 * np.pi * x_N) * np.exp(-x_N) + np.abs(x_N)
    return budget.table("curve", ("x", "y"), [[repr(float(v)) for v in row] for row in zip(x_N, y_N, strict=True)])


def _hills(budget: Budget) -> Path:
    axis_N = np.linspace(-1, 1, 31)
    x1_N, x2_N = (grid.ravel() for grid in np.meshgrid(axis_N, axis_N))
    y_N = np.sin(np.pi * x1_N) * np.cos(2 * np.pi * x2_N) + 2 * np.exp(-8 * ((x1_N - 0.3) ** 2 + x2_N**2))
    rows = [[repr(float(v)) for v in row] for row in zip(x1_N, x2_N, y_N, strict=True)]
    return budget.table("hills", ("x1", "x2", "y"), rows)


def _recipe(data: Path, nodes: int, seed: int, restarts: int, iterations: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source=str(data), target="y", validation=0.0, test=0.0, options={"kind": "number"}),
        net=NetRecipe("mlp", {"hidden": [nodes], "activation": "sigmoid"}),
        optimizer=OptimizerRecipe("levenberg-marquardt", restarts=restarts),
        training=TrainingRecipe(epochs=iterations),
        seed=seed,
    )


def _surface(nodes: int, restarts: int, iterations: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source="surface", validation=0.0, test=0.0),
        net=NetRecipe("mlp", {"hidden": [nodes], "activation": "tanh"}),
        optimizer=OptimizerRecipe("levenberg-marquardt", restarts=restarts),
        training=TrainingRecipe(epochs=iterations),
    )
