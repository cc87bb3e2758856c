"""Solvers: what fits a net to the whole training split at once. One file each, around the mathematics next door.

A solver sees the net as it predicts: nothing in it is left to chance.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from hyperplane.contracts import Batch
from hyperplane.engine.model import Model
from hyperplane.engine.solvers.least_squares import LeastSquares
from hyperplane.engine.solvers.logistic import Logistic
from hyperplane.engine.solvers.quasi_newton import QuasiNewton
from hyperplane.errors import UserError
from hyperplane.nets.blocks.chance import ChanceLayer
from hyperplane.recipe import AugmentRecipe, Recipe
from hyperplane.runs.records import Outcome


class Solver(Protocol):
    """A fit that is made a step at a time, and keeps the best weights it has seen."""

    @property
    def iterations(self) -> int:
        """Return how many steps were made."""
        ...

    @property
    def loss(self) -> float:
        """Return the loss of the best weights, with the penalty of weight decay."""
        ...

    @property
    def rate(self) -> float:
        """Return how far the last step went, as a share of the method's own."""
        ...

    @property
    def going(self) -> bool:
        """Return whether it has not stopped."""
        ...

    def step(self) -> None:
        """Go on by one step."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Return the best weights by their names in the model."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that decides how it goes on, by name."""
        ...

    def load(self, tensors: dict[str, Tensor], iterations: int) -> None:
        """Put back what `tensors` gave, after so many steps; raises KeyError or RuntimeError where it does not fit."""
        ...

    def outcome(self) -> Outcome:
        """Return what it came to, and why it stopped."""
        ...


KINDS = {"levenberg-marquardt": LeastSquares, "newton": Logistic, "l-bfgs": QuasiNewton}
"""By the optimizer's name in a recipe."""


def expect_suited(recipe: Recipe, model: Model, processes: int) -> None:
    """Raise UserError where the recipe's solver cannot serve."""
    name = recipe.optimizer.name or ""
    if processes > 1:
        raise UserError(f"optimizer.name: {name} runs in one process; start it without torchrun")
    for field in ("ema", "patience"):
        if (found := getattr(recipe.training, field)) is not None:
            raise UserError(
                f"training.{field}: found {found}, which {name} has no use for: it stops by a rule of its own; "
                "leave it out, or type: --optimizer.name adamw"
            )
    if recipe.augment != AugmentRecipe():
        raise UserError(
            f"augment: {name} needs a loss that chance does not change; leave it out, or type: --optimizer.name adamw"
        )
    if any(isinstance(layer, ChanceLayer) for layer in model.modules()):
        raise UserError(
            f"optimizer.name: {name} needs a loss that chance does not change, and net {recipe.net.name} has dropout; "
            "type: --net.dropout 0, or --optimizer.name adamw"
        )
    KINDS[name].expect_suited(recipe, model)


def build(recipe: Recipe, model: Model, batch: Batch, held: Batch | None) -> Solver:
    """Return the recipe's solver for a model.

    Arguments: the recipe; the model; the whole training split; the whole validation split, by which one of several
    restarts is chosen, where there are both.
    """
    model.eval()
    return KINDS[recipe.optimizer.name or ""](recipe, model, batch, held)


def most_steps(recipe: Recipe) -> int:
    """Return the most steps that the recipe's solver makes."""
    assert recipe.training.epochs is not None and recipe.optimizer.restarts is not None, "it was completed before"
    one_after_another = KINDS[recipe.optimizer.name or ""] is QuasiNewton
    return recipe.training.epochs * (recipe.optimizer.restarts if one_after_another else 1)
