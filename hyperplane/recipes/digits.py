"""Handwritten digits: the lecture's main example, small and whole."""

from __future__ import annotations

from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TaskRecipe, TrainingRecipe

SMOOTH = TaskRecipe("classification", {"label_smoothing": 0.1})


def digits() -> Recipe:
    """LeNet-5 on the 1,797 embedded digits of 8×8 pixels."""
    return Recipe(
        data=DataRecipe(source="digits"),
        task=SMOOTH,
        net=NetRecipe("lenet"),
        training=TrainingRecipe(epochs=60, batch=64),
    )


def mnist_lenet() -> Recipe:
    """LeNet-5 on MNIST."""
    return Recipe(
        data=DataRecipe(source="mnist"),
        task=SMOOTH,
        net=NetRecipe("lenet"),
        optimizer=OptimizerRecipe("sgd", learning_rate=0.05, weight_decay=5e-4),
        training=TrainingRecipe(epochs=10, batch=128),
    )
