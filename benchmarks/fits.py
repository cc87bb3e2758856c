"""A recipe as a least-squares problem, for benchmarks that solve it in more than one way."""

from __future__ import annotations

import torch
from torch import Tensor

from hyperplane import data, recipes
from hyperplane.engine import jacobians, model
from hyperplane.engine.flat import Flat
from hyperplane.engine.second_order import Jacobian, Residuals
from hyperplane.engine.solvers.starts import start
from hyperplane.recipe import Recipe


def problem(recipe: Recipe) -> tuple[Residuals, Jacobian, Tensor]:
    """Return the residuals of a recipe's net on its training split, their Jacobian, and the weights to begin at."""
    source = data.open(recipe.data)
    recipe = recipes.complete(recipe, source.description)
    made = model.build(recipe, source.description).double()
    batch = source.batch("train", range(source.description.splits["train"]))
    batch.fields = {name: field.double() for name, field in batch.fields.items()}
    residuals, jacobian = jacobians.of(made, Flat(made.net), batch)
    shape = batch[made.judge.input].shape[1:]
    assert recipe.optimizer.restarts is not None, "it was completed"
    return residuals, jacobian, torch.stack([start(recipe, made, shape, r) for r in range(recipe.optimizer.restarts)])
