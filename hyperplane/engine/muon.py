"""Muon: momentum whose matrices are made orthogonal before they become a step; AdamW for all else.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". The gradient of a hidden matrix is often
nearly of low rank; the nearest (semi-)orthogonal matrix U Vᵀ of its momentum U S Vᵀ moves every direction alike. It is
found by an iteration of Newton and Schulz, of matrix products alone. A convolution is a matrix of one row for each of
its filters. The iteration runs in bfloat16 on CUDA, as there, and for wide linear maps on CPUs that multiply in it;
else in float32; matrices of one shape go through it together.

Shape suffixes: M matrices, R rows, C columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

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
                {"params": others, "orthogonal": False, "lr": other_rate, "share": other_rate / rate, "fused": True},
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
        alike: dict[tuple[torch.Size, torch.dtype], list[Tensor]] = {}
        for weight in weights:
            alike.setdefault((weight.shape, _numbers(weight)), []).append(weight)
        for (shape, numbers), held in alike.items():
            steps = [self._step(weight, momentum) for weight in held]
            rows, columns = steps[0].shape
            scale = math.sqrt(max(1.0, rows / columns))
            step_MRC = orthogonal(torch.stack(steps), numbers)
            for weight, step_RC in zip(held, step_MRC, strict=True):
                weight.add_(step_RC.view(shape), alpha=-rate * scale)

    def _step(self, weight: Tensor, momentum: float) -> Tensor:
        """Return what a weight's momentum, in Nesterov's form, makes of its gradient, as a matrix (R, C)."""
        state, gradient = self.state[weight], weight.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].mul_(momentum).add_(gradient)
        return gradient.add(state["momentum"], alpha=momentum).flatten(1)

    def _step_others(self, weights: Sequence[Tensor], rate: float) -> None:
        for weight in weights:
            if not self.state[weight]:
                mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
                step = torch.zeros((), device=weight.device)
                self.state[weight] |= {"mean": mean, "square": square, "step": step}
        held = [self.state[weight] for weight in weights]
        adamw(
            list(weights),
            [weight.grad for weight in weights if weight.grad is not None],
            [state["mean"] for state in held],
            [state["square"] for state in held],
            [],
            [state["step"] for state in held],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )


def split(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return a module's trained weights: hidden maps, and others (vectors, embeddings, the last linear layer).

    A net whose last layer is an embedding again (`tied`) has no linear layer that is last.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    last = [] if any(getattr(part, "tied", False) for part in module.modules()) else layers[-1:]
    outer = [*last, *(layer for layer in module.modules() if isinstance(layer, nn.Embedding))]
    kept = {p for layer in outer for p in layer.parameters()}
    trained = [p for p in module.parameters() if p.requires_grad]
    hidden = [p for p in trained if is_map(p) and p not in kept]
    return hidden, [p for p in trained if not is_map(p) or p in kept]


def is_map(weight: Tensor) -> bool:
    """Say whether a weight is that of a linear map or a convolution, (R, C) or (R, C, h, w).

    Norms and biases are vectors, and so are the tokens and positions that a transformer learns, of shape (1, T, D).
    """
    return weight.ndim in (2, 4)


def orthogonal(matrix_MRC: Tensor, numbers: torch.dtype = torch.float32) -> Tensor:
    """Return about the nearest matrices whose singular values are 1: they come out in about 0.7 to 1.2."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix_MRC.shape[1] > matrix_MRC.shape[2]
    x_MRC = (matrix_MRC.mT if tall else matrix_MRC).to(numbers).contiguous()
    x_MRC = x_MRC / (x_MRC.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        gram_MRR = x_MRC @ x_MRC.mT
        odd_MRR = torch.baddbmm(gram_MRR, gram_MRR, gram_MRR, beta=b, alpha=c)
        x_MRC = torch.baddbmm(x_MRC, odd_MRR, x_MRC, beta=a)
    return (x_MRC.mT if tall else x_MRC).to(matrix_MRC.dtype)


@cache
def _multiplies_bfloat16() -> bool:
    """Return whether the CPU has instructions for it."""
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def _numbers(weight: Tensor) -> torch.dtype:
    """Return what a weight's step is computed in."""
    wide = weight.ndim == 2 and min(weight.shape) >= WIDE
    return torch.bfloat16 if weight.is_cuda or (wide and _multiplies_bfloat16()) else torch.float32
