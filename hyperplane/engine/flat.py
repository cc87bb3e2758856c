"""A module's trained weights as one vector, which is how solvers know them. Shape suffixes: P weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Flat:
    """The trained weights of a module in a row: which stands where, and which are penalised by weight decay."""

    def __init__(self, module: nn.Module) -> None:
        self.weights = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.sizes = [p.numel() for p in self.weights.values()]
        self.penalised_P = torch.cat([torch.full((p.numel(),), p.ndim >= 2) for p in self.weights.values()])
        """Whether a weight is one of a matrix: biases and norms never decay."""

    def __len__(self) -> int:
        return sum(self.sizes)

    def vector(self) -> Tensor:
        """Return the module's weights as they are, (P,)."""
        return torch.cat([p.detach().flatten() for p in self.weights.values()])

    def named(self, weights_P: Tensor) -> dict[str, Tensor]:
        """Return weights by name, each in its shape."""
        parts = zip(self.weights.items(), weights_P.split(self.sizes), strict=True)
        return {name: part.view_as(p) for (name, p), part in parts}

    @torch.no_grad()
    def put(self, weights_P: Tensor) -> None:
        """Let the module hold these weights."""
        for p, part in zip(self.weights.values(), self.named(weights_P).values(), strict=True):
            p.copy_(part)
