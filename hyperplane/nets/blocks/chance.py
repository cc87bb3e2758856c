"""Layers that draw random numbers in training, from a generator that they are given: never from the global one.

The engine sets the generator anew at every step from the seed and the step, so that a resumed run draws the same.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hyperplane.errors import UserError


class ChanceLayer(nn.Module):
    """A layer whose training pass is random."""

    generator: torch.Generator | None = None
    """Where its numbers come from; None takes torch's global generator."""


class Dropout(ChanceLayer):
    """Set each number to 0 with probability `rate` in training, and scale the rest to keep the mean.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise UserError(f"dropout: found {rate}, expected a rate in [0, 1); type: --net.dropout 0.1")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return x with some of its numbers set to 0 (training), or x itself."""
        if not self.training or self.rate == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * keep / (1 - self.rate)


class StochasticDepth(ChanceLayer):
    """Set a sample to 0 with probability `rate` in training, and scale the others to keep the mean.

    On a branch that is added to a bypass, this leaves the branch out (Huang et al. 2016, "Deep networks with stochastic
    depth", arXiv:1603.09382).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        assert 0 <= rate < 1, "whoever builds it checks the rate"
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Return x, (B, ...), with some of its samples set to 0 (training), or x itself."""
        if not self.training or self.rate == 0:
            return x
        keep = x.new_empty(len(x), *[1] * (x.ndim - 1)).bernoulli_(1 - self.rate, generator=self.generator)
        return x * keep / (1 - self.rate)
