"""What images without labels are worth: a masked autoencoder first, and then few labels, against these labels alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from hyperplane import predict
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.recipe import (
    AugmentRecipe,
    DataRecipe,
    NetRecipe,
    OptimizerRecipe,
    Recipe,
    ScheduleRecipe,
    TaskRecipe,
    TrainingRecipe,
)

WAYS = {"labels alone": False, "images without labels first": True}
STEPS, BATCH = 400, 20
"""Of training with labels, however few there are."""


def fewer_labels(budget: Budget) -> Outcome:
    """Learn digits from few labels, from scratch and after a masked autoencoder that saw the others without labels."""
    counts = budget.choose(full=(2, 5, 10, 20), quick=(5,), least=(2,))
    seeds = range(budget.choose(full=2, quick=1, least=1))
    learned = [budget.train(f"images-{seed}", recipe(budget, "selfsup-mae", seed=seed)) for seed in seeds]
    accuracy = {
        (way, count): [
            100
            * budget.train(
                f"{'after' if first else 'alone'}-{count}-{seed}",
                recipe(budget, "classification", count, seed, str(learned[seed].path) if first else None),
            ).metrics["accuracy"].value
            for seed in seeds
        ]
        for count in counts
        for way, first in WAYS.items()
    }  # fmt: skip
    alone, after = WAYS
    gained = [np.array(accuracy[after, count]) - np.array(accuracy[alone, count]) for count in counts]
    lines = {way: (counts, np.array([accuracy[way, count] for count in counts])) for way in WAYS}
    drawn = budget.draw(
        "labels",
        figures.series(lines, ("labels of each digit", "test digits read rightly (%)"), "The same net, with few labels",
                       ticks=counts),
        "By the number of labels: median and range over the seeds",
    )  # fmt: skip
    seen = predict.evaluate(learned[0].trained).statistics
    built = budget.draw(
        "rebuilt",
        learned[0].trained.model.judge.draw(seen)["reconstructions"],
        "Test digits that the net rebuilt from a quarter of their patches",
    )
    finding = Finding(
        "outlook-self-supervised",
        budget.judged(min(float(gain.mean()) for gain in gained) > 0),
        f"With {_list(counts)} labels of each digit, a vision transformer reads {_accuracies(accuracy, alone, counts)} "
        f"of the test digits, and {_accuracies(accuracy, after, counts)} after a masked autoencoder of the same net, "
        "which saw all training images and none of their labels; both learn from the labels for as many steps.",
        Spread.of(gained[0].tolist()),
        f"percentage points more test digits read with {counts[0]} labels of each",
        typed(recipe(budget, "selfsup-mae")),
    )
    table = Table(
        f"Test digits read rightly, % (mean of {len(seeds)})",
        ("labels of each digit", *WAYS),
        tuple((f"{count}", *(f"{np.mean(accuracy[way, count]):.1f}" for way in WAYS)) for count in counts),
    )
    about = (
        "The 8 × 8 digits; three quarters of the patches of 2 × 2 pixels are hidden. Both ways learn from the labels "
        "at the same rate."
    )
    return Outcome((finding,), about, (drawn, built), (table,))


def recipe(
    budget: Budget,
    task: Literal["selfsup-mae", "classification"],
    count: int | None = None,
    seed: int = 0,
    start: str | None = None,
) -> Recipe:
    """Return how the net learns: without labels, or from so many of each digit, having begun with a run or not."""
    options = {"width": budget.choose(full=64, quick=48, least=16), "depth": budget.choose(full=4, quick=3, least=1)}
    made = Recipe(
        data=DataRecipe(source="digits", labels_per_class=count),
        task=TaskRecipe(task),
        net=NetRecipe("vit", {**options, "heads": 4, "patch": 2, "pool": "mean"}, start),
        optimizer=OptimizerRecipe("muon", learning_rate=0.02, other_rate=2e-3, momentum=0.95),
        schedule=ScheduleRecipe(warmup=0.1),
        augment=AugmentRecipe(shift=1),
        training=TrainingRecipe(epochs=budget.choose(full=100, quick=20, least=1), batch=64, evaluate_every=1000),
        seed=seed,
    )
    if task == "selfsup-mae":
        return made
    steps = budget.choose(full=STEPS, quick=100, least=5)
    return replace(made, training=TrainingRecipe(epochs=1000, steps=steps, batch=BATCH, evaluate_every=1000))


def _accuracies(accuracy: dict[tuple[str, int], list[float]], way: str, counts: tuple[int, ...]) -> str:
    return _list([f"{np.mean(accuracy[way, count]):.1f}%" for count in counts])


def _list(items: tuple[int, ...] | list[str]) -> str:
    """Return a list as people write it: 2, 5 and 10."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
