"""Which optimizer suits a net and its data: a rule, so that the same recipe chooses the same everywhere."""

from __future__ import annotations

import math
import os

import torch

from hyperplane import discovery, nets, tasks
from hyperplane.contracts import Description
from hyperplane.engine.chance import seeded
from hyperplane.nets.blocks.chance import ChanceLayer
from hyperplane.recipe import AugmentRecipe, OptimizerRecipe, Recipe, ScheduleRecipe

MOST_WEIGHTS = 2000
"""Of a net that Levenberg-Marquardt is chosen for; it takes more if asked to."""
LEAST_RESIDUALS = 10
"""Numbers to learn for each weight. With ten or more, nets fitted to their limit leave less unexplained of held-out
samples than AdamW's in 12 of 15 cases, and at most 3% more in the others; with fewer, more in 4 of 10, as they learn
the noise (benchmarks/choice.py). That it takes twice as many without a validation split was not measured."""
MOST_WORK = {"levenberg-marquardt": 1e9, "newton": 2e10}
"""Multiplications for the Hessians of one iteration: a second or less on one core."""
RESTARTS = {"levenberg-marquardt": 64, "newton": 1, "l-bfgs": 1}
"""Where the recipe leaves them open."""
ITERATIONS = {"levenberg-marquardt": 1000, "newton": 100, "l-bfgs": 1000}
"""The most, where the recipe leaves the epochs open."""


def optimizer(recipe: Recipe, description: Description) -> str:
    """Return the optimizer for a recipe that names its net and task and leaves the optimizer open.

    - Newton for a perceptron that classifies and weighs all samples the same: there is one minimum, and it finds it to
      rounding.
    - Levenberg-Marquardt for a squared loss and a net of at most 2,000 weights, with ten numbers to learn for each, or
      twenty where no validation split tells which restart learned the noise.
    - AdamW otherwise: where an iteration of those would take long, where the training split does not fit into memory,
      for nets that draw at random, under torchrun, and where the recipe sets what only steps on batches have (learning
      rate, momentum, clipping, schedule, augmentation, batch, moving average, hard examples, patience) or other
      hardware than a CPU in float64.
    """
    if _asks_for_batches(recipe) or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return "adamw"
    samples = description.splits["train"]
    if 8 * samples * sum(math.prod(shape) for shape in description.shapes.values()) > recipe.data.memory_gb * 2**30:
        return "adamw"
    name = _by_kind(recipe)
    if name is None:
        return "adamw"
    weights, outputs = _size(recipe, description)
    if name == "newton":
        return name if weights <= MOST_WEIGHTS and samples * weights**2 <= MOST_WORK[name] else "adamw"
    restarts = recipe.optimizer.restarts or RESTARTS[name]
    needed = LEAST_RESIDUALS * (1 if description.splits.get("validation") else 2)
    enough = weights <= MOST_WEIGHTS and samples * outputs >= needed * weights
    return name if enough and restarts * samples * outputs * weights**2 <= MOST_WORK[name] else "adamw"


def penalty(name: str, samples: int) -> float | None:
    """Return the weight decay of an optimizer that the rule chose, for so many training samples; None leaves its own.

    Newton's is scikit-learn's 1 / N, and at most 1e-3: enough for an answer where classes are separable.
    """
    return min(1e-3, 1 / samples) if name == "newton" else None


def _by_kind(recipe: Recipe) -> str | None:
    """Return the solver for the recipe's kind of net and task, of whatever size."""
    if recipe.task.name == "classification":
        return "newton" if recipe.net.name == "perceptron" and not recipe.task.options.get("balance") else None
    task = discovery.load("tasks", recipe.task.name or "").TASK
    return "levenberg-marquardt" if hasattr(task, "residuals") else None


def _asks_for_batches(recipe: Recipe) -> bool:
    """Return whether the recipe sets what a solver on the whole split has no use for, or cannot do."""
    optimizer, training, hardware = recipe.optimizer, recipe.training, recipe.hardware
    given = (optimizer.learning_rate, optimizer.clip, training.batch, training.ema, training.patience)
    return (
        any(value is not None for value in given)
        or optimizer.momentum != OptimizerRecipe().momentum
        or recipe.schedule != ScheduleRecipe()
        or recipe.augment != AugmentRecipe()
        or training.hardest < 1
        or hardware.device == "cuda"
        or hardware.precision not in ("auto", "float64")
    )


def _size(recipe: Recipe, description: Description) -> tuple[int, int]:
    """Return how many weights the net has, without end where it is none for a solver, and its outputs."""
    task = tasks.build(recipe.task.name or "", description, recipe.task.options)
    shape = description.shapes[description.input]
    try:
        with seeded(recipe.seed, "size"), torch.device("meta"):  # shapes alone, no memory
            net = nets.build(recipe.net.name or "", shape, task.outputs, recipe.net.options)
    except (NotImplementedError, RuntimeError):  # it needs its numbers, or has more than can be counted
        return 2**62, task.outputs
    if any(isinstance(layer, ChanceLayer) for layer in net.modules()):
        return 2**62, task.outputs
    return sum(p.numel() for p in net.parameters() if p.requires_grad), task.outputs
