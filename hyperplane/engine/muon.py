"""Muon: momentum whose matrices are made orthogonal before they become a step; AdamW for all else.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". The gradient of a hidden matrix is often
nearly of low rank; the nearest (semi-)orthogonal matrix U Vᵀ of its momentum U S Vᵀ moves every direction alike. It is
found by an iteration of Newton and Schulz, of matrix products alone. A convolution is a matrix of one row for each of
its filters. The iteration runs in bfloat16 on CUDA, as there, and for wide linear maps on CPUs that multiply in it;
else in float32.

Shape suffixes: R rows, C columns of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd polynomial of degree 5 that the singular values go through at each step: steep at 0."""
STEPS = 5
WIDE = 128
"""Rows and columns of a linear map from which on bfloat16 pays on a CPU that multiplies in it."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Of AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101)."""


class Muon(torch.optim.Optimizer):
    """Two groups of weights: hidden matrices, which Muon moves, and the others, which AdamW moves."""

    def __init__(self, module: nn.Module, rate: float, other_rate: float, momentum: float) -> None:
        """Take a module's trained weights; the rates are those of both groups, `momentum` is that of the matrices."""
        hidden, others = split(module)
        super().__init__(
            [
                {"params": hidden, "orthogonal": True, "lr": rate, "share": 1.0},
                {"params": others, "orthogonal": False, "lr": other_rate, "share": other_rate / rate},
            ],
            {"momentum": momentum},
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            if moved and group["orthogonal"]:
                self._step_hidden(moved, group["lr"], group["momentum"])
            elif moved:
                self._step_others(moved, group["lr"])

    def _step_hidden(self, weights: Sequence[Tensor], rate: float, momentum: float) -> None:
        for weight in weights:
            state = self.state[weight]
            if not state:
                state["momentum"] = torch.zeros_like(weight)
            gradient = weight.grad
            assert gradient is not None
            state["momentum"].mul_(momentum).add_(gradient)
            step = gradient.add(state["momentum"], alpha=momentum)  # Nesterov's form
            flat_RC = step.flatten(1)
            rows, columns = flat_RC.shape
            scale = math.sqrt(max(1.0, rows / columns))
            weight.add_(orthogonal(flat_RC, _numbers(weight)).view_as(weight), alpha=-rate * scale)

    def _step_others(self, weights: Sequence[Tensor], rate: float) -> None:
        for weight in weights:
            state = self.state[weight]
            if not state:
                state |= {"mean": torch.zeros_like(weight), "square": torch.zeros_like(weight), "step": torch.zeros(())}
            gradient = weight.grad
            assert gradient is not None
            state["step"] += 1  # torch leaves one of this name on the CPU
            steps = state["step"].item()
            state["mean"].lerp_(gradient, 1 - BETAS[0])
            state["square"].lerp_(gradient.square(), 1 - BETAS[1])
            spread = (state["square"] / (1 - BETAS[1] ** steps)).sqrt_().add_(EPSILON)
            weight.addcdiv_(state["mean"], spread, value=-rate / (1 - BETAS[0] ** steps))


def split(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return a module's trained weights: hidden maps, and others (vectors, embeddings, the last linear layer)."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    outer = [*layers[-1:], *(layer for layer in module.modules() if isinstance(layer, nn.Embedding))]
    kept = {p for layer in outer for p in layer.parameters()}
    trained = [p for p in module.parameters() if p.requires_grad]
    hidden = [p for p in trained if is_map(p) and p not in kept]
    return hidden, [p for p in trained if not is_map(p) or p in kept]


def is_map(weight: Tensor) -> bool:
    """Say whether a weight is that of a linear map or a convolution, (R, C) or (R, C, h, w).

    Norms and biases are vectors, and so are the tokens and positions that a transformer learns, of shape (1, T, D).
    """
    return weight.ndim in (2, 4)


def orthogonal(matrix_RC: Tensor, numbers: torch.dtype = torch.float32) -> Tensor:
    """Return about the nearest matrix whose singular values are 1: they come out in about 0.7 to 1.2."""
    a, b, c = NEWTON_SCHULZ
    tall = len(matrix_RC) > matrix_RC.shape[1]
    x_RC = matrix_RC.T if tall else matrix_RC
    x_RC = x_RC.to(numbers)
    x_RC = x_RC / (x_RC.norm() + 1e-7)
    for _ in range(STEPS):
        gram_RR = x_RC @ x_RC.T
        x_RC = a * x_RC + (b * gram_RR + c * gram_RR @ gram_RR) @ x_RC
    return (x_RC.T if tall else x_RC).to(matrix_RC.dtype)


@cache
def _multiplies_bfloat16() -> bool:
    """Return whether the CPU has instructions for it."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def _numbers(weight: Tensor) -> torch.dtype:
    """Return what a weight's step is computed in."""
    wide = weight.ndim == 2 and min(weight.shape) >= WIDE
    return torch.bfloat16 if weight.is_cuda or (wide and _multiplies_bfloat16()) else torch.float32
