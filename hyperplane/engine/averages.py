"""The exponential moving average of the weights, and of the statistics that batch normalisation keeps of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Weights averaged over the steps: a ← d a + (1 − d) w (Polyak and Juditsky 1992, with forgetting).

    Early on, d is min(decay, (1 + n) / (10 + n)) after n updates, so that the start is soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        held = module.state_dict(keep_vars=True).items()
        self.names = [name for name, tensor in held if tensor.is_floating_point()]
        self.weights = [tensor for _, tensor in held if tensor.is_floating_point()]
        self.averages = [p.detach().clone() for p in self.weights]
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for average, weight in zip(self.averages, self.weights, strict=True):
            average.lerp_(weight, 1 - decay)
        self.updates += 1

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Let the module hold the averages while the body runs."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self.weights, self.averages, strict=True):
            held = weight.detach().clone()
            weight.copy_(average)
            average.copy_(held)

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by their weights' names."""
        return dict(zip(self.names, self.averages, strict=True))

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor], updates: int) -> None:
        """Put back what `tensors` gave, after so many updates."""
        for name, average in zip(self.names, self.averages, strict=True):
            average.copy_(tensors[name])
        self.updates = updates
