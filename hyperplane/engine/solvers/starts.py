"""The weights that restarts begin with. Shape suffix: P weights."""

from __future__ import annotations

from torch import Tensor, nn

from hyperplane import nets
from hyperplane.engine.chance import generator, seeded
from hyperplane.engine.flat import Flat
from hyperplane.engine.model import Model
from hyperplane.recipe import Recipe

BIAS_STD = 0.5
"""Of the biases that a restart begins with: were they 0, every plane would go through the origin."""


def start(recipe: Recipe, model: Model, shape: tuple[int, ...], restart: int) -> Tensor:
    """Return the weights (P,) of a net for inputs of `shape`, drawn for one restart; biases of 0 are drawn as well."""
    like = next(model.net.parameters())
    with seeded(recipe.seed, f"restart {restart}"):
        net = nets.build(recipe.net.name or "", shape, model.judge.outputs, recipe.net.options)
    chance = generator(recipe.seed, "biases", restart)
    for p in net.parameters():
        if p.ndim == 1 and not p.any():
            nn.init.normal_(p, std=BIAS_STD, generator=chance)
    return Flat(net).vector().to(like)
