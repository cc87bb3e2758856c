"""Handwritten digits: the lecture's main example, small and whole.

Every docstring states what its command reached; benchmarks/digits.py measures it again.
"""

from __future__ import annotations

from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TrainingRecipe


def digits() -> Recipe:
    """LeNet-5 on the 1,797 embedded digits of 8×8 pixels."""
    return Recipe(data=DataRecipe(source="digits"), net=NetRecipe("lenet"), training=TrainingRecipe(epochs=60, batch=64))


def mnist_lenet() -> Recipe:
    """LeNet-5 on MNIST."""
    return Recipe(data=DataRecipe(source="mnist"), net=NetRecipe("lenet"), training=TrainingRecipe(epochs=12, batch=128))
