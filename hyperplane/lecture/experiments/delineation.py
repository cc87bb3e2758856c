"""Delineation: how a U-Net is trained, where the cross-entropy ends, and what a transformer at its bottom is worth.

Shape suffixes: B batch, C channels, K logits, H and W pixels, h and w of a coarser map.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor, nn

from hyperplane import api, predict, recipes
from hyperplane.explain import mask_runs
from hyperplane.explain.subject import load
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.nets.blocks.dense import Up
from hyperplane.recipe import AugmentRecipe, NetRecipe, Recipe, TaskRecipe
from hyperplane.tasks.blocks import mask_losses

WITH_LINES = "bce+0.5*cldice"
LOSSES = {"cross-entropy": "bce", "with centre lines": WITH_LINES}
U_NET = NetRecipe("unet-quick", {"width": 32})
NETS = {
    "U-Net": U_NET,
    "hybrid": NetRecipe("unet-hybrid-quick", {"width": 32}),
    "vision transformer": NetRecipe("vit-dense", {"width": 128, "depth": 4, "heads": 4, "patch": 16}),
}
"""Each of fewer than five million weights."""
RATE = 1e-3
"""Peak learning rate of these. At the 3e-3 that U-Nets have otherwise, F1 with one seed is 71, 54 and 43%, with 1e-3
74, 71 and 66%; with 3e-4 the hybrid's is 61%."""
TOLD = {
    "f1": ("F1 of pixels, %", 100.0),
    "centre_line_dice": ("centre-line Dice, %", 100.0),
    "betti0_error": ("pieces too many or too few", 1.0),
}
"""Metrics that are told: as what, and times what."""
GOOD, WRONG = 0.7, 1.0
"""F1 of the pixels that makes a good start; pieces too many or too few in an image, on average, that are no end."""
Measured = dict[str, list[float]]
"""Of each metric, what each seed's net reached."""


def entropy(budget: Budget) -> Outcome:
    """Hold the loss that a U-Net is trained with against the lecture's formula, on random masks."""
    chance = torch.Generator().manual_seed(0)
    gaps = []
    for height, width in ((64, 64), (50, 37), (7, 5)):
        mask_BHW = torch.randint(0, 2, (3, height, width), generator=chance, dtype=torch.uint8)
        logit_BKHW = 4 * torch.randn(3, 1, height, width, generator=chance, dtype=torch.float64)
        ours_B = mask_losses.losses(mask_losses.parse("bce"), logit_BKHW, mask_BHW, 20, 64)["bce"]
        y_BHW, said_BHW = mask_BHW.double(), logit_BKHW[:, 0].sigmoid()
        summed_B = (y_BHW * said_BHW.log() + (1 - y_BHW) * (1 - said_BHW).log()).sum((1, 2))
        gaps.append(float((ours_B + summed_B / (height * width)).abs().max()))
    finding = Finding(
        "cnn-unet-entropy",
        max(gaps) < 1e-12,
        "Our loss of an image is the lecture's, divided by the number of its pixels P where that divides by i: on "
        f"random masks of three sizes the two differ by at most {max(gaps):.0e}.",
    )
    return Outcome((finding,))


def losses(budget: Budget) -> Outcome:
    """Train a U-Net on roads by cross-entropy, and with a loss that looks at centre lines; then silence its skips."""
    recipe = {name: sized(budget, U_NET, loss) for name, loss in LOSSES.items()}
    runs = {name: trained(budget, name, recipe[name]) for name in LOSSES}
    found = {name: measured(held) for name, held in runs.items()}
    plain, other = (found[name] for name in LOSSES)
    fewer, gained = differences(other, plain, "betti0_error"), differences(other, plain, "f1")
    first = next(iter(runs.values()))[0]
    silent = {number: silenced(first, number) for number in range(len(ups(first.net)))}
    at_first = plain["f1"][0]
    picture = budget.draw(
        "tiles",
        mask_runs.beside([load(held[0].path) for held in runs.values()]).figure,
        "Seed 0 of both losses, on the tiles that they get most wrong",
    )
    findings = (
        Finding(
            "cnn-skip",
            budget.judged(max(silent.values()) < at_first),
            "What U-Net says is as large as the image, which is due to its way up; the skip connections bring it what "
            f"the coarse maps have lost. With what they bring replaced by its mean, F1 of a trained net falls from "
            f"{at_first:.1%} to {' and '.join(f'{value:.1%}' for value in silent.values())}, from the coarsest to the "
            "finest of them.",
            Spread.of([100 * silent[max(silent)]]),
            "% F1 of the pixels without the finest",
        ),
        Finding(
            "cnn-unet-start",
            budget.judged(statistics.fmean(plain["f1"]) >= GOOD and statistics.fmean(plain["betti0_error"]) >= WRONG),
            f"Cross-entropy alone finds {statistics.fmean(plain['f1']):.1%} of the roads' pixels (F1), but images have "
            f"{statistics.fmean(plain['betti0_error']):.1f} pieces too many or too few. After as little training, half "
            f"of the centre-line Dice beside it leaves {statistics.fmean(other['betti0_error']):.1f} "
            f"(difference {_interval(fewer)}) and F1 at {statistics.fmean(other['f1']):.1%} "
            f"(difference {_interval([100 * g for g in gained])} points); on thin lines it does more "
            "(`benchmarks/delineation.py`).",
            Spread.of(plain["betti0_error"]),
            "pieces too many or too few, by cross-entropy",
            typed(recipe["cross-entropy"]),
        ),
    )
    return Outcome(findings, _about(budget), (picture,), (_table(found),))


def hybrid(budget: Budget) -> Outcome:
    """Train a U-Net, one with a transformer at its bottom, and a vision transformer on the same roads."""
    recipe = {name: at_rate(sized(budget, net, WITH_LINES)) for name, net in NETS.items()}
    runs = {name: trained(budget, name, recipe[name]) for name in NETS}
    found = {name: measured(held) for name, held in runs.items()}
    others = [name for name in NETS if name != "hybrid"]
    gained = {name: [100 * g for g in differences(found["hybrid"], found[name], "f1")] for name in others}
    told = " and ".join(f"{_interval(gained[name])}, against the {name}" for name in others)
    finding = Finding(
        "transformers-hybrid",
        budget.judged(all(interval(gaps)[1] > 0 for gaps in gained.values())),
        f"Each with fewer than five million weights and trained alike from scratch on {_images(runs)} images, the "
        f"hybrid has more F1 by so many points: {told}. It is the best of both where both intervals are above nothing.",
        Spread.of([100 * value for value in found["hybrid"]["f1"]]),
        "% F1 of the pixels, by the hybrid",
        typed(recipe["hybrid"]),
    )
    return Outcome((finding,), _about(budget), tables=(_table(found),))


def little(named: str, net: NetRecipe, loss: str, crop: int, steps: int) -> Recipe:
    """Return how a net is trained for a minute on one of the sets: small crops, two at a time, mirrored and turned."""
    start = recipes.named(named)
    return replace(
        start,
        data=replace(start.data, options={**start.data.options, "crop": crop}),
        task=TaskRecipe("delineation", {**start.task.options, "loss": loss, "smallest": 0}),
        net=net,
        augment=AugmentRecipe(flip=True, quarter=True),
        training=replace(start.training, steps=steps, batch=2, ema=0.98),
    )


def at_rate(recipe: Recipe) -> Recipe:
    """Return a recipe with the peak learning rate at which nets are compared."""
    return replace(recipe, optimizer=replace(recipe.optimizer, learning_rate=RATE))


def sized(budget: Budget, net: NetRecipe, loss: str) -> Recipe:
    """Return how a net is trained on roads, for as long as the budget lets it."""
    crop = budget.choose(full=208, quick=128, least=32)
    return little("roads_aerial", net, loss, crop, budget.choose(full=700, quick=30, least=2))


def trained(budget: Budget, name: str, recipe: Recipe) -> list[api.Run]:
    """Return the runs of a recipe, one for each seed."""
    seeds = range(budget.choose(full=3, quick=1, least=1))
    return [budget.train(f"{name.replace(' ', '-')}-{seed}", replace(recipe, seed=seed)) for seed in seeds]


def measured(runs: Sequence[api.Run]) -> Measured:
    """Return the metrics of runs."""
    return {metric: [run.metrics[metric].value for run in runs] for metric in TOLD}


def differences(ours: Measured, theirs: Measured, metric: str) -> list[float]:
    """Return how much more of a metric one has than the other, seed by seed."""
    return [a - b for a, b in zip(ours[metric], theirs[metric], strict=True)]


def interval(values: Sequence[float]) -> list[float]:
    """Return the mean, and the low and the high end of its 95% interval (Student's t); of one value these are NaN."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return [mean, math.nan, math.nan]
    half = float(student.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))
    return [mean, mean - half, mean + half]


def ups(net: nn.Module) -> list[Up]:
    """Return the steps up of a U-Net, from the coarsest."""
    return [module for module in net.modules() if isinstance(module, Up)]


def silenced(run: api.Run, number: int) -> float:
    """Return F1 of the held-out pixels where the skip connection of one step up brings its mean and nothing else."""

    def to_mean(_up: nn.Module, given: tuple[Tensor, Tensor]) -> tuple[Any, ...]:
        coarse_BChw, fine_BCHW = given
        return coarse_BChw, fine_BCHW.mean((2, 3), keepdim=True).expand_as(fine_BCHW)

    handle = ups(run.net)[number].register_forward_pre_hook(to_mean)
    try:
        return predict.evaluate(run.trained, "test").metrics["f1"].value
    finally:
        handle.remove()


def _interval(values: Sequence[float]) -> str:
    mean, low, high = interval(values)
    return f"{mean:+.2f}" if math.isnan(low) else f"{mean:+.2f}, 95% interval {low:+.2f} to {high:+.2f}"


def _images(runs: dict[str, list[api.Run]]) -> int:
    return next(iter(runs.values()))[0].trained.description.splits["train"]


def _table(found: dict[str, Measured]) -> Table:
    seeds = len(next(iter(next(iter(found.values())).values())))
    return Table(
        f"On the held-out images, mean of {seeds} seed{'s' * (seeds > 1)} and standard deviation",
        ("", *(name for name, _ in TOLD.values())),
        tuple(
            (name, *(_told([times * v for v in held[metric]]) for metric, (_, times) in TOLD.items()))
            for name, held in found.items()
        ),
    )


def _told(values: list[float]) -> str:
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def _about(budget: Budget) -> str:
    steps = sized(budget, U_NET, WITH_LINES).training.steps
    return (
        f"Aerial images with road masks, every fourth held out; {steps} steps of two crops, mirrored and turned, which "
        "takes about a minute. How good a U-Net becomes in half an hour is told by the recipe `roads_aerial`."
    )
