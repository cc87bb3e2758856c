"""Optimizers as recipes name them, torch's own, and their state as plain tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hyperplane.engine.muon import Muon, is_map
from hyperplane.recipe import OptimizerRecipe

LEARNING_RATES = {"adamw": 2e-3, "sgd": 0.05, "muon": 0.02}
"""Peak learning rates where the recipe leaves it open."""
DECAY = 1e-2
"""Weight decay of all of them where the recipe leaves it open."""


def build(recipe: OptimizerRecipe, module: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer of a module's weights; their decay is `decay`'s.

    Loshchilov and Hutter 2019 (arXiv:1711.05101) for AdamW; SGD has Nesterov's momentum (Sutskever et al. 2013) if any.
    Each of its groups has a `share`, the group's learning rate as a multiple of the recipe's.
    """
    assert recipe.learning_rate is not None, "the recipe was completed before"
    weights = [p for p in module.parameters() if p.requires_grad]
    rate, momentum = recipe.learning_rate, recipe.momentum
    if recipe.name == "muon":
        assert recipe.other_rate is not None, "the recipe was completed before"
        return Muon(module, rate, recipe.other_rate, momentum)
    if recipe.name == "sgd":
        made = torch.optim.SGD(weights, rate, momentum=momentum, nesterov=momentum > 0, fused=True)
    else:
        made = torch.optim.AdamW(weights, rate, betas=(momentum, 0.999), weight_decay=0.0, fused=True)
    made.param_groups[0]["share"] = 1.0
    return made


def decay(recipe: OptimizerRecipe, module: nn.Module) -> Callable[[float], None] | None:
    """Return what to call with the learning rate before each step, so that linear maps and convolutions decay.

    AdamW and Muon shrink the weights themselves, SGD adds the penalty's gradient. None where nothing decays. A second
    group of the optimizer would do the same, at twice the cost for small nets.
    """
    share = recipe.weight_decay or 0.0
    matrices = [p for p in module.parameters() if p.requires_grad and is_map(p)]
    if not share or not matrices:
        return None
    held = [p.detach() for p in matrices]  # the same memory, outside of the tape

    def shrink(rate: float) -> None:
        for weight in held:
            weight.mul_(1 - rate * share)

    def penalise(rate: float) -> None:
        for p, weight in zip(matrices, held, strict=True):
            if p.grad is not None:
                p.grad.add_(weight, alpha=share)

    return penalise if recipe.name == "sgd" else shrink


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
