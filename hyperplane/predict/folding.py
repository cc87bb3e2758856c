"""Batch normalisation folded into the convolution before it: the same function with fewer operations.

A trained normalisation is z -> g (z - m) / sqrt(v + e) + h for each channel, so that with s = g / sqrt(v + e) a
convolution of weights W and bias b, and the normalisation after it, are the convolution of s W and s (b - m) + h (Ioffe
and Szegedy 2015, arXiv:1502.03167, section 3.1). Which one follows which is seen by watching the net at work.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Folded:
    """A net without the normalisations that a convolution takes in."""

    net: nn.Module
    """A copy, in evaluation mode; the net itself where there is nothing to fold."""
    count: int
    """Normalisations that are gone."""


@torch.no_grad()
def fold(net: nn.Module, x: Tensor) -> Folded:
    """Return the net with every batch normalisation folded that is a convolution's only reader.

    `x` is any input, batch first, for the net to be watched at. A normalisation stays where it has no running
    statistics, or where it or its convolution is used more than once.
    """
    net.eval()
    pairs = _pairs(net, x)
    if not pairs:
        return Folded(net, 0)
    net = twin(net)
    for convolution, normalisation in pairs:
        _take_in(net.get_submodule(convolution), net.get_submodule(normalisation))  # pyright: ignore[reportArgumentType]
        net.set_submodule(normalisation, nn.Identity())
    return Folded(net.eval(), len(pairs))


def twin(net: nn.Module) -> nn.Module:
    """Return a copy of a net's modules, for some to be replaced; the tensors are the net's own."""
    return copy.deepcopy(net, {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())})


class _Uses(TorchFunctionMode):
    """Counts the operations that make a tensor of each tensor; keeps all of them, so that no two have the same `id`."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()
        self.kept: list[Any] = []

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(made)):  # asking for a shape is no use
            read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            self.of.update({id(leaf) for leaf in read})
            self.kept += [read, made]
        return made


def _pairs(net: nn.Module, x: Tensor) -> list[tuple[str, str]]:
    """Return the names of each convolution and the normalisation that alone reads it."""
    made: dict[int, str] = {}
    read: list[tuple[int, str]] = []
    calls: Counter[str] = Counter()
    hooks = []
    for name, module in net.named_modules():
        if type(module) is nn.Conv2d:

            def after(_m: nn.Module, _x: Any, y: Tensor, name: str = name) -> None:
                made[id(y)] = name
                calls[name] += 1

            hooks.append(module.register_forward_hook(after))
        elif type(module) is nn.BatchNorm2d and module.running_mean is not None:

            def before(_m: nn.Module, given: tuple[Tensor], name: str = name) -> None:
                read.append((id(given[0]), name))
                calls[name] += 1

            hooks.append(module.register_forward_pre_hook(before))
    try:
        with _Uses() as uses:
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    owners = Counter(id(p) for module in net.modules() for p in module.parameters(recurse=False))
    return [
        (made[key], name)
        for key, name in read
        if key in made
        and uses.of[key] == 1
        and calls[made[key]] == calls[name] == 1
        and all(owners[id(p)] == 1 for p in net.get_submodule(made[key]).parameters())
    ]


def _take_in(convolution: nn.Conv2d, normalisation: nn.BatchNorm2d) -> None:
    """Change a convolution into itself and the normalisation after it; computed in float64."""
    mean_K, variance_K = normalisation.running_mean, normalisation.running_var
    assert mean_K is not None and variance_K is not None
    scale_K = (variance_K.double() + normalisation.eps).rsqrt()
    shift_K = torch.zeros_like(scale_K)
    if normalisation.affine:
        scale_K, shift_K = scale_K * normalisation.weight.double(), normalisation.bias.double()
    weight = convolution.weight
    bias_K = 0.0 if convolution.bias is None else convolution.bias.double()
    folded = weight.double() * scale_K.view(-1, 1, 1, 1)
    convolution.bias = nn.Parameter(((bias_K - mean_K.double()) * scale_K + shift_K).to(weight.dtype), False)
    convolution.weight = nn.Parameter(folded.to(weight.dtype).contiguous(memory_format=_order(weight)), False)


def _order(weight: Tensor) -> torch.memory_format:
    last = weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last and not weight.is_contiguous() else torch.contiguous_format
