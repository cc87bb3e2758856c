"""How the next token of a text is chosen, by what a language model says of each.

Shape suffixes: B texts, K tokens of the vocabulary; ... any axes before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.engine.chance import generator
from hyperplane.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How a text goes on."""

    tokens: int = 256
    """How many at most."""
    temperature: float = 1.0
    """What logits are divided by; 0 always takes the likeliest token."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens; None from all."""
    top_p: float | None = None
    """Draw from the fewest likeliest tokens whose probabilities sum to this (Holtzman et al., arXiv:1904.09751)."""
    seed: int = 0
    """Of what is drawn; the prompts of one call have this seed and those after it."""
    stop: tuple[str, ...] = ()
    """Texts before the first of which the text ends."""

    def __post_init__(self) -> None:
        """Raise UserError for a number outside of its range."""
        rules = {
            "tokens": (self.tokens >= 1, "1 or more", "256"),
            "temperature": (0 <= self.temperature < math.inf, "0 or more", "1"),
            "top-k": (self.top_k is None or self.top_k >= 1, "1 or more", "40"),
            "top-p": (self.top_p is None or 0 < self.top_p <= 1, "a share in (0, 1]", "0.9"),
            "stop": (all(self.stop), "a text that is not empty", "END"),
        }
        for name, (inside, expected, example) in rules.items():
            if not inside:
                found = getattr(self, name.replace("-", "_"))
                raise UserError(f"generate --{name}: found {found}, expected {expected}; type: --{name} {example}")


def picker(how: Sampling, count: int) -> Callable[[Tensor], Tensor]:
    """Return what chooses the next token (B,) of so many texts by their logits (B, K); each draws by its own seed."""
    if how.temperature == 0:
        return lambda logit_BK: logit_BK.argmax(1)
    chances = [generator(how.seed + row, "text") for row in range(count)]

    def pick(logit_BK: Tensor) -> Tensor:
        share_BK = shares(logit_BK, how).cpu()
        drawn = [torch.multinomial(share_K, 1, generator=c) for share_K, c in zip(share_BK, chances, strict=True)]
        return torch.cat(drawn).to(logit_BK.device)

    return pick


def shares(logit_K: Tensor, how: Sampling) -> Tensor:
    """Return the probabilities (..., K), float64, by which a token is drawn; all on the likeliest at temperature 0."""
    if how.temperature == 0:
        return F.one_hot(logit_K.argmax(-1), logit_K.shape[-1]).double()
    return torch.softmax(_likeliest(logit_K.double() / how.temperature, how), dim=-1)


def _likeliest(logit_K: Tensor, how: Sampling) -> Tensor:
    """Return the logits with those that are not drawn from at minus infinity."""
    if how.top_k is not None and how.top_k < logit_K.shape[-1]:
        least_1 = logit_K.topk(how.top_k, dim=-1).values[..., -1:]
        logit_K = logit_K.masked_fill(logit_K < least_1, -math.inf)
    if how.top_p is not None and how.top_p < 1:
        ordered_K, order_K = logit_K.sort(dim=-1, descending=True, stable=True)
        share_K = torch.softmax(ordered_K, dim=-1)
        out_K = share_K.cumsum(-1) - share_K >= how.top_p  # the ones before it already sum to top_p
        logit_K = logit_K.masked_fill(out_K.gather(-1, order_K.argsort(-1)), -math.inf)
    return logit_K
