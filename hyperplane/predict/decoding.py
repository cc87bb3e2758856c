"""Tokens from a language model with a small draft that guesses ahead.

Shape suffixes: T tokens, K tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile

import torch
from torch import Tensor

from hyperplane.nets.gpt import GPT
from hyperplane.predict.sampling import Sampling, shares
from hyperplane.tasks.blocks.writing import visible

GUESSED = 4
"""Tokens that a draft guesses before the net reads them at once."""


@torch.inference_mode()
def speculate(
    net: GPT, draft: GPT, prompt: Sequence[int], how: Sampling, chance: torch.Generator
) -> Iterator[tuple[int, bool]]:
    """Yield the next tokens of a text without end, each with whether it is the draft's guess.

    The draft, a smaller net of the same vocabulary, guesses a few tokens, and the net reads them all at once. A guess x
    is kept with probability min(1, p(x) / q(x)), for the probabilities p of the net and q of the draft; the first that
    is not makes way for one drawn from max(0, p - q): so the text has the probabilities of the net alone, and greedily
    is the very same (Leviathan et al. 2023, "Fast inference from transformers via speculative decoding",
    arXiv:2211.17192). Where the net's context is full, it goes on alone.
    """
    text = list(prompt)
    reader, guesser = _Reader(net, slides=True), _Reader(draft, slides=False)
    while True:
        ahead = max(0, min(GUESSED, net.context - len(text)))
        guesses: list[int] = []
        guessed: list[Tensor] = []
        for _ in range(ahead):
            guessed.append(shares(guesser.read([*text, *guesses], 1)[0], how))
            guesses.append(_draw(guessed[-1], how, chance))
        said_TK = shares(reader.read([*text, *guesses], ahead + 1), how)
        for guess, draft_K, net_K in zip(guesses, guessed, said_TK, strict=False):
            if torch.rand((), generator=chance, dtype=torch.float64) * draft_K[guess] >= net_K[guess]:
                rest_K = (net_K - draft_K).clamp(min=0)
                text.append(_draw(rest_K / rest_K.sum(), how, chance))
                yield text[-1], False
                break
            text.append(guess)
            yield guess, True
        else:
            text.append(_draw(said_TK[-1], how, chance))
            yield text[-1], False


def _draw(share_K: Tensor, how: Sampling, chance: torch.Generator) -> int:
    return int(share_K.argmax() if how.temperature == 0 else torch.multinomial(share_K, 1, generator=chance))


class _Reader:
    """One net along a text that grows and may lose its end again: it computes only what it has not seen."""

    def __init__(self, net: GPT, *, slides: bool) -> None:
        """Begin; beyond its context it reads the last tokens that fit, or unless it `slides` half as many at first."""
        self.net, self.caches = net, net.caches(1)
        self.again = net.context if slides else max(1, net.context // 2)
        self.start, self.seen = 0, list[int]()

    def read(self, text: Sequence[int], last: int) -> Tensor:
        """Return the logits (T, K), on the CPU, after each of the `last` tokens of a text."""
        net = self.net
        if not self.start < len(text) <= self.start + net.context:
            self.start, self.seen = max(0, len(text) - self.again), []
        window = list(text[self.start :])
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self.seen, window, strict=False)))
        known = min(same, len(window) - last)
        for cache in self.caches:
            cache.length = known
        device = net.wte.weight.device
        column_T = torch.arange(known, len(window), device=device)
        before = window[max(0, known - net.lookback) : known]
        x_BTD = net.features(
            torch.tensor([window[known:]], device=device),
            caches=self.caches,
            before_BT=torch.tensor([[0] * (net.lookback - len(before)) + before], device=device).long(),
            position_BT=column_T[None],
            mask=visible(column_T.new_zeros(1, 1), column_T) if known and len(column_T) > 1 else None,
        )
        self.seen = window
        return net.logits(x_BTD[:, -last:])[0].cpu()
