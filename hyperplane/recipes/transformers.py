"""Transformers: vision transformers for small images, trained from scratch and on images without labels."""

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
    """A vision transformer on CIFAR-10 from scratch: small images first.

    Command: hyperplane train cifar-10 --net vit-small-32
    Reached: 90.39% of 10,000 test pictures (seeds: one, so no ±), trained in 112 minutes of one thread that had three
    quarters of a core; after 59 of them, with 4 of 16 epochs to go, 87.6% of 5,000 that validate
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/trained.json
    """
    return Recipe(
        data=DataRecipe(source="cifar-10"),
        task=TaskRecipe("classification", {"label_smoothing": 0.1}),
        net=NetRecipe("vit-small-32"),
        optimizer=OptimizerRecipe("muon", learning_rate=0.02, other_rate=0.002, momentum=0.95, weight_decay=0.1),
        schedule=ScheduleRecipe(warmup=0.1),
        augment=AugmentRecipe(flip=True, shift=2, sizes=(16, 24), views="mirrored"),
        training=TrainingRecipe(epochs=16, batch=256, evaluate_every=4),
    )


def fashion_mnist_vit() -> Recipe:
    """The same on all training pictures of Fashion-MNIST, with a hole in each.

    Command: hyperplane train fashion-mnist --net vit-small-28
    Reached: 93.14% of 10,000 test pictures (seeds: one, so no ±), trained in 44 minutes of one thread beside much else
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/trained.json
    Without the holes 15 epochs reached 92.79% (one seed).
    """
    return replace(
        cifar10_vit(),
        data=DataRecipe(source="fashion-mnist", validation=0.0),
        net=NetRecipe("vit-small-28"),
        augment=AugmentRecipe(flip=True, shift=1, cutout=6, sizes=(16, 20), views="mirrored"),
        training=TrainingRecipe(epochs=20, batch=256, evaluate_every=5),
    )


def fashion_mnist_mae() -> Recipe:
    """A masked autoencoder on Fashion-MNIST, whose labels judge it alone.

    Command: hyperplane train fashion-mnist --task selfsup-mae
    Reached: 82.84% of 10,000 test pictures have the class that their nearest others vote for (seeds: one, so no ±),
    trained in 726 s on one thread of a busy machine
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/selfsup.json
    """
    return replace(
        cifar10_vit(),
        data=DataRecipe(source="fashion-mnist"),
        task=TaskRecipe("selfsup-mae"),
        net=NetRecipe("vit-small-28", {"stem": "patch"}),
        augment=AugmentRecipe(flip=True, shift=2),
        training=TrainingRecipe(epochs=8, batch=256, evaluate_every=4),
    )


def fashion_mnist_few() -> Recipe:
    """The same net on 600 labels of Fashion-MNIST, 60 of each class, having begun with the masked autoencoder.

    Command: hyperplane train fashion-mnist --recipe fashion_mnist_few --from runs/fashion-mnist-selfsup-mae
    Reached: 81.58 ± 0.33% of 10,000 test pictures, and without --from, which takes the rates ten times as high,
    74.31 ± 1.19% (mean and standard deviation of 3 seeds), both in 400 steps, trained in 110 s on one thread
    Hardware: 2 cores of an AMD EPYC; benchmarks/results/selfsup.json
    """
    start = fashion_mnist_mae()
    return replace(
        start,
        data=DataRecipe(source="fashion-mnist", labels_per_class=60),
        task=TaskRecipe("classification", {"label_smoothing": 0.1}),
        training=TrainingRecipe(epochs=40, batch=60, evaluate_every=40),
    )


def digits_dino() -> Recipe:
    """DINO on the digits, in small: slow to begin, since views of 8 × 8 pixels tell little.

    Command: hyperplane train digits --task selfsup-dino
    Reached: 65.2% of 359 test digits have the class that their nearest others vote for, 31% after 76 of the 456 steps
    (seeds: one, so no ±)
    Hardware: 2 cores of an AMD EPYC
    """
    return Recipe(
        data=DataRecipe(source="digits"),
        task=TaskRecipe("selfsup-dino"),
        net=NetRecipe("vit", {"width": 48, "depth": 3, "heads": 3, "patch": 2, "pool": "mean"}),
        optimizer=OptimizerRecipe("muon", learning_rate=0.02, other_rate=0.002),
        training=TrainingRecipe(epochs=24, batch=64, ema=0.98, evaluate_every=4),
    )
