"""Optimizers as recipes name them, torch's own, and their state as plain tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hyperplane.recipe import OptimizerRecipe

LEARNING_RATES = {"adamw": 2e-3, "sgd": 0.05}
"""Peak learning rates where the recipe leaves it open."""


def build(recipe: OptimizerRecipe, module: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a module's weights; only tensors of two dimensions or more decay.

    Loshchilov and Hutter 2019 (arXiv:1711.05101) for AdamW; SGD has Nesterov's momentum (Sutskever et al. 2013) if any.
    """
    assert recipe.learning_rate is not None, "the recipe was completed before"
    weights = [p for p in module.parameters() if p.requires_grad]
    groups = [{"params": weights, "weight_decay": 0.0}]
    if recipe.weight_decay:
        matrices, others = [p for p in weights if p.ndim >= 2], [p for p in weights if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        groups = [group for group in groups if group["params"]]
    if recipe.name == "sgd":
        return torch.optim.SGD(
            groups, recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True
        )
    return torch.optim.AdamW(groups, recipe.learning_rate, betas=(recipe.momentum, 0.999), fused=True)


def state_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's memory as named tensors, the name being WEIGHT.WHAT with the weight's number."""
    state = optimizer.state_dict()["state"]
    return {
        f"{weight}.{what}": value
        for weight, held in state.items()
        for what, value in held.items()
        if isinstance(value, Tensor)
    }


def load_state_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `state_tensors` gave, in the memory order of the weights: fused steps need the same."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        weight, what = name.split(".")
        like = weights[int(weight)]
        held = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        state.setdefault(int(weight), {})[what] = held
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
