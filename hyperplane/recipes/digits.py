"""Handwritten digits: the lecture's main example, small and whole."""

from __future__ import annotations

from dataclasses import replace

from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe


def digits() -> Recipe:
    """LeNet-5 on the 1,797 embedded digits of 8×8 pixels."""
    return Recipe(
        data=DataRecipe(source="digits"),
        net=NetRecipe("lenet", {"dropout": 0.2}),
        optimizer=OptimizerRecipe("sgd", learning_rate=0.05, weight_decay=1e-3),
        training=TrainingRecipe(epochs=60, batch=64),
    )


def mnist_lenet() -> Recipe:
    """LeNet-5 on MNIST."""
    return replace(
        digits(),
        data=DataRecipe(source="mnist"),
        optimizer=OptimizerRecipe("sgd", learning_rate=0.05, weight_decay=5e-4),
        training=TrainingRecipe(epochs=10, batch=128),
    )
