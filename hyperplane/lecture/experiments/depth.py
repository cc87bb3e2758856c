"""What depth can give: linear pieces in one dimension, counted exactly.

Shape suffixes: N points, S pieces.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np

from hyperplane import api
from hyperplane.explain.breakpoints import pieces as count_pieces
from hyperplane.explain.layers import Layer, Layers, layers
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments.perceptrons import random_net
from hyperplane.lecture.findings import Finding, Outcome, Picture, Spread, Table
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

WIDTHS: tuple[tuple[int, ...], ...] = (
    (4,),
    (4, 4),
    (4, 4, 4),
    (4, 4, 4, 4),
    (2, 2),
    (2, 2, 2),
    (8,),
    (8, 8),
    (8, 8, 8),
    (8, 8, 8, 8),
    (3, 5, 4),
    (16,),
    (16, 16),
)
TRAINED: tuple[tuple[int, ...], ...] = ((8,), (8, 8), (8, 8, 8), (8, 8, 8, 8))
DEPTHS = (1, 2, 3, 4, 5, 6, 7, 8)


def zigzag(widths: tuple[int, ...]) -> Layers:
    """Return a ReLU net of one input whose every layer folds [0, 1] as often as it has nodes.

    The layers' folds multiply (Montúfar et al. 2014, arXiv:1402.1869, section 3; Telgarsky 2016, arXiv:1602.04485).
    """
    hidden: list[Layer] = []
    fold = np.ones((1, 1))
    for width in widths:
        hidden.append(Layer(np.repeat(fold, width, axis=0), -np.arange(width) / width))
        signs = 2 * (-1.0) ** np.arange(width)
        signs[0] = 1
        fold = width * signs[None]
    return Layers(tuple(hidden), Layer(fold, np.zeros(1)))


def pieces(budget: Budget) -> Outcome:
    """Count the linear pieces on a line: of weights made to fold it, of random ones, and of trained ones."""
    seeds = budget.choose(full=50, quick=10, least=2)
    made = {widths: _count(zigzag(widths), 0, 1) for widths in WIDTHS}
    drawn = {w: [_count(layers(random_net(w, "relu", s, inputs=1)), -3, 3) for s in range(seeds)] for w in WIDTHS}
    trained, recipe, kept = _trained(budget)
    exact = all(count == math.prod(widths) for widths, count in made.items())
    table = Table(
        "Linear pieces on a line",
        ("layers", "product of widths", "sum", "folding", "random, mean", "trained, mean"),
        tuple(
            (
                "-".join(map(str, w)), f"{math.prod(w)}", f"{sum(w)}", f"{made[w]}", f"{np.mean(drawn[w]):.1f}",
                f"{np.mean(trained[w]):.1f}" if w in trained else "–",
            )
            for w in dict.fromkeys((*WIDTHS, *TRAINED)) if w in made
        ),
    )  # fmt: skip
    deepest = TRAINED[-1]
    near = float(np.median([np.mean(drawn[w]) / sum(w) for w in WIDTHS]))
    told = (
        f"Weights made to fold the line in every layer give exactly the product of the widths in "
        f"{sum(count == math.prod(widths) for widths, count in made.items())} of {len(WIDTHS)} nets. "
    )
    groups = {
        name: (np.array([math.prod(w) for w in held]), np.array([np.mean(held[w]) for w in held]))
        for name, held in {"made to fold": made, "random": drawn, "trained": trained}.items()
    }
    picture = budget.draw(
        "pieces",
        figures.points(groups, ("product of the widths", "linear pieces"), "Pieces on a line", ("log", "log")),
        "Linear pieces, counted exactly, against the product of the widths",
    )
    fours = [(4,) * depth for depth in (1, 2, 3, 4)]
    deeper = all(made[less] < made[more] for less, more in pairwise(fours))
    folded, by_chance = [f"{made[w]}" for w in fours], [f"{np.mean(drawn[w]):.0f}" for w in fours]
    findings = (
        Finding(
            "mlp-power-layers",
            deeper,
            f"With one to four layers of 4 nodes, weights made to fold the line give {', '.join(folded)} pieces; "
            f"random ones give {', '.join(by_chance)} in the mean.",
            Spread.of([made[fours[-1]]]),
            "pieces of four layers of 4",
        ),
        Finding(
            "mlp-power-product",
            exact,
            f"{told}Trained nets of {'-'.join(map(str, deepest))}, whose product is {math.prod(deepest):,}, have "
            f"{np.mean(trained[deepest]):.0f} pieces; random nets have {near:.1f} times the sum of the widths in the "
            "median.",
            Spread.of([count / math.prod(widths) for widths, count in made.items()], "nets"),
            "pieces of folding weights, over the product of the widths",
            typed(recipe),
        ),
        Finding(
            "cnn-power-layers",
            deeper and exact,
            "Measured for mlp-power-layers and mlp-power-product: the table has weights made for it, random ones and "
            "trained ones.",
            Spread.of([made[fours[-1]]]),
            "pieces of four layers of 4",
        ),
    )
    return Outcome(findings, pictures=(picture, kept), tables=(table,))


def exponential(budget: Budget) -> Outcome:
    """Build zigzags of 2, 4, 8, ... pieces with deep nets and with one layer, and compare their weights."""
    deepest = budget.choose(full=10, quick=10, least=4)
    rows: list[tuple[int, int, int]] = []
    worst = 0.0
    for depth in range(1, deepest + 1):
        deep, flat = zigzag((2,) * depth), zigzag((2**depth,))
        x_N1 = np.linspace(0, 1, 2001)[:, None]
        worst = max(worst, float(np.abs(deep(x_N1) - flat(x_N1)).max()))
        assert _count(deep, 0, 1) == _count(flat, 0, 1) == 2**depth
        rows.append((depth, _weights(deep), _weights(flat)))
    depth, few, many = rows[-1]
    picture = budget.draw(
        "weights",
        figures.series(
            {
                "two nodes in every layer": ([2**d for d, _, _ in rows], np.array([few for _, few, _ in rows])),
                "one layer": ([2**d for d, _, _ in rows], np.array([many for _, _, many in rows])),
            },
            ("pieces of the function", "weights"),
            "The same function, deep and in one layer",
            ("log", "log"),
        ),
        "Weights needed for a zigzag",
    )
    return Outcome(
        (
            Finding(
                "mlp-exponential",
                worst <= 1e-7 and many > 2**depth,
                f"A zigzag of {2**depth:,} pieces takes {few} weights in {depth} layers of two nodes. One layer bends "
                f"once for each node, so it needs a node for each piece: {many:,} weights. The lecture says may: for "
                "most functions it is not so.",
                Spread.of([many / few]),
                "times as many weights in one layer",
            ),
        ),
        pictures=(picture,),
    )


def _trained(budget: Budget) -> tuple[dict[tuple[int, ...], list[int]], Recipe, Picture]:
    """Return how many pieces trained nets have, by widths, the recipe of the deepest, and its picture."""
    seeds = budget.choose(full=3, quick=1, least=1)
    restarts, iterations = budget.choose(full=(16, 300), quick=(4, 60), least=(1, 1))
    x_N = np.linspace(-1, 1, 401)
    rows = [[repr(float(v)) for v in row] for row in zip(x_N, np.sin(4 * np.pi * x_N), strict=True)]
    data = budget.table("wave", ("x", "y"), rows)
    recipes = {w: [_wave(data, w, seed, restarts, iterations) for seed in range(seeds)] for w in TRAINED}
    runs = {
        w: [budget.train(f"wave-{'-'.join(map(str, w))}-{seed}", r) for seed, r in enumerate(held)]
        for w, held in recipes.items()
    }
    found = {w: [_count(layers(run.net), *_ends(run)) for run in held] for w, held in runs.items()}
    deepest = TRAINED[-1]
    picture = budget.explained("wave", runs[deepest][0], "line", f"sin 4πx by {'-'.join(map(str, deepest))} nodes")
    return found, recipes[deepest][0], picture


def _wave(data: Path, widths: tuple[int, ...], seed: int, restarts: int, iterations: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source=str(data), target="y", validation=0.0, test=0.0, options={"kind": "number"}),
        net=NetRecipe("mlp", {"hidden": list(widths), "activation": "relu"}),
        optimizer=OptimizerRecipe("levenberg-marquardt", restarts=restarts),
        training=TrainingRecipe(epochs=iterations),
        seed=seed,
    )


def _ends(run: api.Run) -> tuple[float, float]:
    """Return the standardised inputs of −1 and 1."""
    column = run.trained.description.encoding["columns"][0]
    return (-1 - column["mean"]) / column["std"], (1 - column["mean"]) / column["std"]


def _count(net: Layers, low: float, high: float) -> int:
    """Return how many affine pieces a net of one input has; neighbours of the same slope are one."""
    found = count_pieces(net, np.array([low]), np.array([high]))
    slope_S = found.slope_SK[:, 0]
    scale = max(1e-12, float(np.abs(slope_S).max()))
    return 1 + int(np.sum(np.abs(np.diff(slope_S)) > 1e-9 * scale))


def _weights(net: Layers) -> int:
    return sum(layer.weight_HD.size + layer.bias_H.size for layer in (*net.hidden, net.output))
