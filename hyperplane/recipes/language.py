"""Language: small models of text, trained in minutes."""

from __future__ import annotations

from dataclasses import replace

from hyperplane.recipe import (
    DataRecipe,
    NetRecipe,
    OptimizerRecipe,
    Recipe,
    ScheduleRecipe,
    TrainingRecipe,
)


def shakespeare() -> Recipe:
    """GPT in its modern form on tiny Shakespeare, in the time of the small recipe; any other text starts from it.

    Command: hyperplane train tiny-shakespeare
    Reached: validation loss 1.594 ± 0.002 nats a character (mean and standard deviation of 3 seeds), trained in 93 s
    of the processor
    Hardware: one core of an AMD EPYC; benchmarks/results/language.json
    """
    return Recipe(
        data=DataRecipe(source="tiny-shakespeare", options={"context": 64}),
        net=NetRecipe("gpt-modern", {"layers": 4, "width": 128, "heads": 4, "ngrams": 3}),
        optimizer=OptimizerRecipe("muon", learning_rate=0.02, other_rate=8e-3, momentum=0.95, weight_decay=0.0),
        schedule=ScheduleRecipe("trapezoid", warmup=0.02, hold=0.3),
        training=TrainingRecipe(steps=1000, batch=16),
    )


def shakespeare_quick() -> Recipe:
    """The same, only until the validation loss is 1.88.

    Command: hyperplane train tiny-shakespeare --recipe shakespeare_quick
    Reached: validation loss 1.827 ± 0.020 nats a character (mean and standard deviation of 3 seeds), trained in 20.3 s
    of the processor
    Hardware: one core of an AMD EPYC; benchmarks/results/language.json
    """
    return replace(shakespeare(), training=TrainingRecipe(steps=220, batch=12))


def shakespeare_small() -> Recipe:
    """GPT-2 in small on tiny Shakespeare: the well-known recipe for CPUs, 2,000 steps of 12 sequences of 64.

    Command: hyperplane train tiny-shakespeare --recipe shakespeare_small
    Reached: validation loss 1.896 nats a character (seeds: one, so no ±), trained in 90 s of the processor
    Hardware: one core of an AMD EPYC; benchmarks/results/language.json
    """
    return Recipe(
        data=DataRecipe(source="tiny-shakespeare", options={"context": 64}),
        net=NetRecipe("gpt", {"layers": 4, "width": 128, "heads": 4, "bias": False, "nonlinearity": "gelu"}),
        optimizer=OptimizerRecipe("adamw", learning_rate=1e-3, weight_decay=0.1, clip=1.0),
        schedule=ScheduleRecipe("cosine", warmup=0.05, final=0.1),
        training=TrainingRecipe(steps=2000, batch=12),
    )
