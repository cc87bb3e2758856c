"""How training converges with more layers, and with a bypass: the same AdamW, the same data, the same steps."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from hyperplane import api
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

PHOTOGRAPH = "photo-china"
EQUAL = {1: (125,), 2: (20, 20), 3: (14, 14, 14), 4: (12, 12, 12, 12)}
"""Hidden layers of 501, 501, 477 and 517 weights, by their number."""
DEPTHS: tuple[int, ...] = (2, 4, 8, 16, 32)
WIDTH, RATES = 16, (0.01, 0.003)
DEEP = 16
"""Hidden layers from which on a bypass is expected to help: with fewer, plain nets train as well."""


def more_layers(budget: Budget) -> Outcome:
    """Train nets of about 500 weights and one to four hidden layers for equally many steps."""
    seeds, epochs = budget.choose(full=(3, 200), quick=(1, 30), least=(1, 1))
    runs = {
        depth: [
            budget.train(f"layers-{depth}-{seed}", _recipe(budget, EQUAL[depth], epochs, seed)) for seed in range(seeds)
        ]
        for depth in EQUAL
    }
    last = {depth: [_unexplained(run) for run in held] for depth, held in runs.items()}
    middle = [float(np.median(last[depth])) for depth in EQUAL]
    picture = budget.draw(
        "curves",
        figures.series(
            {f"{d} layer{'s' * (d > 1)}": _curve(held) for d, held in runs.items()},
            ("passes over the image", "training loss"),
            "About 500 weights in one to four layers",
            ("linear", "log"),
        ),
        f"{PHOTOGRAPH} by AdamW",
    )
    return Outcome(
        (
            Finding(
                "mlp-layers-converge",
                budget.judged(all(a > b for a, b in pairwise(middle[:3]))),
                f"After {epochs} passes of the same AdamW, nets of one to four layers and about 500 weights leave "
                f"{', '.join(f'{m:.3g}' for m in middle)} of the variance unexplained, in the median over seeds.",
                Spread.of(last[3]),
                "of the variance, by three layers",
                typed(_recipe(budget, EQUAL[3], epochs, 0)),
            ),
        ),
        pictures=(picture,),
    )


def bypass(budget: Budget) -> Outcome:
    """Train plain nets and nets with a bypass, of 2 to 32 hidden layers, each at the best of some learning rates."""
    seeds, epochs = budget.choose(full=(3, 60), quick=(1, 20), least=(1, 1))
    depths: tuple[int, ...] = budget.choose(full=DEPTHS, quick=DEPTHS[1::2], least=DEPTHS[:1])
    last = {
        (activation, depth, kind): _best_rate(budget, activation, depth, kind, epochs, seeds)
        for activation in ("tanh", *budget.choose(full=("relu",), quick=(), least=()))
        for depth in depths
        for kind in (False, True)
    }
    middle = {key: float(np.median(values)) for key, values in last.items()}
    table = Table(
        "Share of the variance left unexplained, at the best learning rate",
        ("activation", "hidden layers", "plain", "with bypass"),
        tuple(
            (
                activation,
                f"{depth}",
                f"{middle[activation, depth, False]:.3g}",
                f"{middle[activation, depth, True]:.3g}",
            )
            for activation, depth, kind in last
            if not kind
        ),
    )
    picture = budget.draw(
        "depth",
        figures.series(
            {
                name: (depths, np.array([last["tanh", depth, kind] for depth in depths]))
                for name, kind in (("plain", False), ("with bypass", True))
            },
            (f"hidden layers of {WIDTH} tanh nodes", "share of the variance left unexplained"),
            "With a bypass and without",
            ("log", "log"),
            ticks=depths,
        ),
        f"{PHOTOGRAPH} by AdamW, {epochs} passes",
    )
    deep = [depth for depth in depths if depth >= 4]
    gain = [middle["tanh", depth, False] / middle["tanh", depth, True] for depth in deep]
    very = [g for g, depth in zip(gain, deep, strict=True) if depth >= DEEP]
    told = ", ".join(f"{g:.2g} at {depth} layers" for g, depth in zip(gain, deep, strict=True))
    relu = [
        f"{middle['relu', d, False] / middle['relu', d, True]:.2g} at {d}" for d in deep if ("relu", d, True) in middle
    ]
    also = f" With ReLU it is {', '.join(relu)}." if relu else ""
    also += "" if budget.size == "quick" else _on_digits(budget, seeds)
    return Outcome(
        (
            Finding(
                "mlp-bypass",
                budget.judged(any(very) and all(g > 1 for g in very)),
                f"After {epochs} passes of AdamW at the best of the rates {' and '.join(f'{r:g}' for r in RATES)}, the "
                f"loss of a plain tanh net over that with a bypass is {told}.{also} The weights behind a bypass begin "
                "smaller, so that the sum does not grow with the depth; beginning large is faster on a photograph.",
                Spread.of(gain or [1.0], "depths"),
                "times the loss with a bypass is that without",
                typed(_recipe(budget, (WIDTH,) * depths[-1], epochs, 0, activation="tanh", bypass=True)),
            ),
        ),
        pictures=(picture,),
        tables=(table,),
    )


def _on_digits(budget: Budget, seeds: int) -> str:
    """Return how well nets of 16 layers learn to read digits, plain and with a bypass, in a sentence."""
    epochs = budget.choose(full=15, quick=15, least=1)
    depth = budget.choose(full=DEEP, quick=DEEP, least=2)
    read: dict[tuple[str, bool], float] = {}
    for activation in ("tanh", "relu"):
        for kind in (False, True):
            held: list[float] = []
            for rate in RATES:
                recipe = _recipe(budget, (WIDTH,) * depth, epochs, 0, activation=activation, bypass=kind, rate=rate)
                name = f"digits-{activation}-{'bypass' if kind else 'plain'}-{rate:g}"
                runs = [
                    budget.train(f"{name}-{seed}", replace(recipe, data=DataRecipe("digits"), seed=seed))
                    for seed in range(seeds)
                ]
                held.append(float(np.median([run.metrics["accuracy"].value for run in runs])))
            read[activation, kind] = 100 * max(held)
    return (
        f" Of digits held out, plain nets of {depth} layers read {read['tanh', False]:.1f}% (tanh) and "
        f"{read['relu', False]:.1f}% (ReLU) after {epochs} passes, with a bypass {read['tanh', True]:.1f}% and "
        f"{read['relu', True]:.1f}%."
    )


def _best_rate(budget: Budget, activation: str, depth: int, kind: bool, epochs: int, seeds: int) -> list[float]:
    """Return what is left unexplained with each seed, at the learning rate with the least median."""
    held: list[list[float]] = []
    for rate in RATES:
        name = f"{activation}-{depth}-{'bypass' if kind else 'plain'}-{rate:g}"
        recipes = [
            _recipe(budget, (WIDTH,) * depth, epochs, seed, activation=activation, bypass=kind, rate=rate)
            for seed in range(seeds)
        ]
        held.append([_unexplained(budget.train(f"{name}-{seed}", recipe)) for seed, recipe in enumerate(recipes)])
    return min(held, key=lambda values: float(np.median(values)))


def _recipe(
    budget: Budget,
    hidden: tuple[int, ...],
    epochs: int,
    seed: int,
    *,
    activation: str = "relu",
    bypass: bool = False,
    rate: float = 0.01,
) -> Recipe:
    side: dict[str, Any] = budget.choose(full={}, quick={}, least={"side": 8})
    return Recipe(
        data=DataRecipe(source=PHOTOGRAPH, options=side),
        net=NetRecipe("mlp", {"hidden": list(hidden), "activation": activation, "bypass": bypass}),
        optimizer=OptimizerRecipe("adamw", learning_rate=rate, weight_decay=0.0),
        training=TrainingRecipe(epochs=epochs),
        seed=seed,
    )


def _unexplained(run: api.Run) -> float:
    return run.metrics["unexplained"].value


def _curve(runs: list[api.Run]) -> tuple[list[float], np.ndarray]:
    """Return the training losses of runs of equally many steps, (N,) passes and (N, S) losses."""
    steps = [[record for record in run.history if record["kind"] == "step"] for run in runs]
    return [r["epoch"] for r in steps[0]], np.array([[r["loss"] for r in held] for held in steps]).T
