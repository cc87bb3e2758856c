"""Transformers: vision transformers trained from scratch on small images."""

from __future__ import annotations

from dataclasses import replace

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


def cifar10_vit() -> Recipe:
    """A vision transformer on CIFAR-10 from scratch, in less than an hour: small images first.

    Command: hyperplane train cifar-10 --net vit-small-32
    """
    return Recipe(
        data=DataRecipe(source="cifar-10"),
        task=TaskRecipe("classification", {"label_smoothing": 0.1}),
        net=NetRecipe("vit-small-32"),
        optimizer=OptimizerRecipe("muon", learning_rate=0.02, other_rate=0.002, momentum=0.95, weight_decay=0.1),
        schedule=ScheduleRecipe(warmup=0.1),
        augment=AugmentRecipe(flip=True, shift=2, sizes=(16, 24), views="mirrored"),
        training=TrainingRecipe(epochs=16, batch=256),
    )


def cifar10_vit_longer() -> Recipe:
    """The same on a GPU, for long: layers left out by chance, a part of each image blanked, larger batches.

    Command: hyperplane train cifar-10 --recipe cifar10_vit_longer
    """
    start = cifar10_vit()
    return replace(
        start,
        net=NetRecipe("vit-small-32", {"stochastic_depth": 0.1}),
        augment=AugmentRecipe(flip=True, shift=4, cutout=8, sizes=(24,), views="mirrored-moved"),
        training=TrainingRecipe(epochs=70, batch=500),
    )


def fashion_mnist_vit() -> Recipe:
    """A vision transformer on Fashion-MNIST from scratch.

    Command: hyperplane train fashion-mnist --net vit-small-28
    """
    start = cifar10_vit()
    return replace(
        start,
        data=DataRecipe(source="fashion-mnist"),
        net=NetRecipe("vit-small-28"),
        augment=AugmentRecipe(flip=True, shift=1, sizes=(16,), views="mirrored"),
        training=TrainingRecipe(epochs=15, batch=256),
    )
