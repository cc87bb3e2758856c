"""What depth gives and what it costs: plain nets and residual ones of 8, 20 and 44 layers, on the same data.

He, Zhang, Ren and Sun 2016 (arXiv:1512.03385), section 4.2, where CIFAR-10's training error shows that deeper plain
nets are worse and deeper residual ones are not. Here the nets are as deep, but narrower, and their images smaller.
"""

from __future__ import annotations

import numpy as np

from hyperplane import api
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, ScheduleRecipe, TrainingRecipe

DEPTHS = (8, 20, 44)
KINDS = {"plain": "plain", "resnet": "residual"}
DATA, SIDE = "fashion-mnist", 14
"""What is learned from, and pixels along an edge of its images, of 28 before."""
WIDTH = 8
"""Channels of the first stage; 16 in the paper."""
Errors = dict[tuple[str, int], list[float]]
"""By kind and depth, the share of images that each seed's net gets wrong, in %."""


def depth(budget: Budget) -> Outcome:
    """Train both kinds at each depth, and compare what they get wrong of the training images and of the test images."""
    seeds = range(budget.choose(full=2, quick=1, least=1))
    depths = budget.choose(full=DEPTHS, quick=(8, 20), least=(8, 20))
    runs = {
        (kind, layers): [budget.train(f"{kind}{layers}-{s}", _recipe(budget, f"{kind}{layers}", s)) for s in seeds]
        for layers in depths for kind in KINDS
    }  # fmt: skip
    train: Errors = {key: [_wrong(run, "train") for run in held] for key, held in runs.items()}
    test: Errors = {key: [_wrong(run, "test") for run in held] for key, held in runs.items()}
    shallow, deep = depths[0], depths[-1]
    middle = depths[len(depths) // 2 - (len(depths) == 2)]
    worse = np.array(train["plain", deep]) - np.array(train["plain", middle])
    gained = np.array(train["resnet", middle]) - np.array(train["resnet", deep])
    helped = np.array(test["resnet", shallow]) - np.array(test["resnet", deep])
    findings = (
        Finding(
            "cnn-depth-beneficial",
            budget.judged(helped.mean() > 0),
            f"Residual nets of {_list(depths)} layers get {_errors(test, 'resnet', depths)} of the test images wrong, "
            f"plain ones, without shortcuts, {_errors(test, 'plain', depths)}.",
            Spread.of(helped.tolist()),
            f"percentage points fewer test images wrong with {deep} residual layers than with {shallow}",
            typed(_recipe(budget, f"resnet{deep}", 0)),
        ),
        Finding(
            "cnn-deeper",
            budget.judged(worse.mean() > 0 and gained.mean() >= 0),
            f"Plain nets of {_list(depths)} layers get {_errors(train, 'plain', depths)} of the training images wrong, "
            f"residual ones {_errors(train, 'resnet', depths)}, with exactly as many weights. These are the images "
            "that they were trained on, so it is no overfitting.",
            Spread.of(worse.tolist()),
            f"percentage points more training images wrong with {deep} plain layers than with {middle}",
            typed(_recipe(budget, f"plain{deep}", 0)),
        ),
    )
    shown = Table(
        f"Images wrong, % (mean of {len(seeds)} seed{'s' * (len(seeds) > 1)})",
        ("layers", "weights", "plain: train", "test", "residual: train", "test", "time, plain", "residual"),
        tuple(
            (
                f"{layers}", f"{sum(p.numel() for p in runs['plain', layers][0].net.parameters()):,}",
                *(f"{np.mean(held[kind, layers]):.2f}" for kind in KINDS for held in (train, test)),
                *(f"{np.mean([run.history[-1]['seconds'] for run in runs[kind, layers]]):.0f} s" for kind in KINDS),
            )
            for layers in depths
        ),
    )  # fmt: skip
    pictures = tuple(
        budget.draw(
            part,
            figures.series(
                {said: (depths, np.array([held[kind, layers] for layers in depths])) for kind, said in KINDS.items()},
                ("layers", f"{images} wrong, %"),
                f"Depth, by what is wrong of the {images}",
                ticks=depths,
            ),
            f"Wrong of the {images}: median and range over the seeds",
        )
        for part, images, held in (("train", "training images", train), ("test", "test images", test))
    )
    about = (
        f"Fashion-MNIST, its images made {SIDE} × {SIDE}, by the nets of He et al. with {WIDTH} channels in the first "
        f"stage instead of 16, {_recipe(budget, 'plain8', 0).training.epochs} passes over the data, without "
        "augmentation."
    )
    return Outcome(findings, about, pictures, (shown,))


def _recipe(budget: Budget, net: str, seed: int) -> Recipe:
    """Return the recipe of a net: SGD with momentum and weight decay as in the paper, one cycle of the rate."""
    return Recipe(
        data=DataRecipe(source=budget.choose(full=DATA, quick=DATA, least="digits"), size=SIDE),
        net=NetRecipe(net, {"width": WIDTH}),
        optimizer=OptimizerRecipe("sgd", learning_rate=0.1, weight_decay=1e-4),
        schedule=ScheduleRecipe("one-cycle", warmup=0.1),
        training=TrainingRecipe(epochs=budget.choose(full=6, quick=1, least=1), batch=128),
        seed=seed,
    )


def _wrong(run: api.Run, part: str) -> float:
    """Return the share of a split's images that are given another class, in %."""
    held = run.metrics if part == "test" else run.evaluate(split="train")
    return 100 * (1 - held["accuracy"].value)


def _errors(errors: Errors, kind: str, depths: tuple[int, ...]) -> str:
    return _list([f"{np.mean(errors[kind, layers]):.1f}%" for layers in depths])


def _list(items: tuple[int, ...] | list[str]) -> str:
    """Return a list as people write it: 8, 20 and 44."""
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}"
