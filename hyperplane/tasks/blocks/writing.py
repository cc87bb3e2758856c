"""A language model writes: token by token after prompts, and whole answers to them.

What was computed of the tokens so far is kept (keys and values of every layer), so that a further token costs one
token's work. Beyond the net's context that is not possible, since places are counted from the window's first token:
the last tokens, as many as the context has, are then read anew for each one, as without a cache. Prompts of different
length are computed together, the shorter ones filled up on the left with tokens that nothing looks at.

Shape suffixes: B texts, T tokens (of keys: S), K tokens of the vocabulary, N prompts, G answers to each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hyperplane.data.prompts import ELSEWHERE
from hyperplane.nets.gpt import GPT

Pick = Callable[[Tensor], Tensor]
"""Chooses the next token (B,) of each text by its logits (B, K)."""


@torch.inference_mode()
def follow(net: GPT, prompts: Sequence[Sequence[int]], pick: Pick, copies: int = 1) -> Iterator[Tensor]:
    """Yield the next token (B,) of each text without end, `copies` texts for each prompt, side by side.

    The prompts are tokens, one or more each; what they have in common with their copies is computed once.
    """
    rows = [list(prompt) for prompt in prompts]
    device, context, caches = net.wte.weight.device, net.context, None
    pad_B1 = torch.zeros(len(rows), 1, dtype=torch.int64, device=device)
    while True:
        if caches is None or caches[0].length == context:
            windows = [row[-context:] for row in rows]
            longest = max(map(len, windows))
            padded = [[0] * (longest - len(window)) + window for window in windows]
            token_BT = torch.tensor(padded, device=device)
            pad_B1 = torch.tensor([[longest - len(window)] for window in windows], device=device)
            first, before_BT, caches = 0, None, net.caches(len(rows))
        else:
            first, token_BT = caches[0].length, torch.tensor([row[-1:] for row in rows], device=device)
            last = [row[-1 - net.lookback : -1] for row in rows]
            before_BT = torch.tensor([[0] * (net.lookback - len(row)) + row for row in last], device=device).long()
        column_T = torch.arange(first, first + token_BT.shape[1], device=device)
        position_BT = (column_T - pad_B1).clamp(min=0)
        mask = visible(pad_B1, column_T) if pad_B1.any() else None
        x_BTD = net.features(token_BT, caches=caches, before_BT=before_BT, position_BT=position_BT, mask=mask)
        logit_BK = net.logits(x_BTD[:, -1:])[:, 0]
        if copies > 1:
            rows = [list(row) for row in rows for _ in range(copies)]
            logit_BK, pad_B1 = (t.repeat_interleave(copies, dim=0) for t in (logit_BK, pad_B1))
            caches, copies = [cache.repeated(copies) for cache in caches], 1
        token_B = pick(logit_BK)
        for row, token in zip(rows, token_B.tolist(), strict=True):
            row.append(token)
        yield token_B


def visible(pad_B1: Tensor, column_T: Tensor) -> Tensor:
    """Return which columns each may look at, (B, 1, T, S): those up to it that are no filling, and itself."""
    key_S = torch.arange(int(column_T[-1]) + 1, device=column_T.device)
    before_TS = key_S <= column_T[:, None]
    held_B11S = (key_S >= pad_B1)[:, None, None]
    return (before_TS & held_B11S) | (key_S == column_T[:, None])


@dataclass(frozen=True)
class Answered:
    """Answers to prompts, as samples to learn from: prompt and answer, and at each place the answer's next token."""

    token_NGT: Tensor
    answer_NGT: Tensor
    """-100 where no token of the answer comes next; an answer ends with its end, or with the net's context."""


def likeliest(logit_BK: Tensor) -> Tensor:
    """Choose the likeliest token."""
    return logit_BK.argmax(1)


def sampled(chance: torch.Generator) -> Pick:
    """Return what draws each token by its probability, from a generator on the CPU."""

    def pick(logit_BK: Tensor) -> Tensor:
        share_BK = torch.softmax(logit_BK.double(), dim=1).cpu()
        return torch.multinomial(share_BK, 1, generator=chance)[:, 0].to(logit_BK.device)

    return pick


def answer(net: GPT, token_NT: Tensor, prompt_N: Tensor, end: int, pick: Pick, copies: int = 1) -> Answered:
    """Return what a net answers to prompts, the first prompt_N of token_NT, each so many times.

    Prompts of one length are computed together, without filling, so that an answer does not depend on the others.
    """
    count, context = token_NT.shape[0], net.context
    token_NGT = token_NT.new_zeros(count, copies, context)
    answer_NGT = token_NT.new_full((count, copies, context), ELSEWHERE)
    for length in prompt_N.unique().tolist():
        which = (prompt_N == length).nonzero()[:, 0]
        asked_NT = token_NT[which, :length]
        said_BT = _until(end, follow(net, asked_NT.tolist(), pick, copies), context + 1 - length)
        said_NGT = said_BT.view(len(which), copies, -1)
        written = said_NGT.shape[2]
        token_NGT[which, :, :length] = asked_NT[:, None]
        token_NGT[which, :, length : length + written - 1] = said_NGT[..., :-1].clamp(min=0)
        answer_NGT[which, :, length - 1 : length - 1 + written] = said_NGT
    return Answered(token_NGT, answer_NGT)


def _until(end: int, following: Iterator[Tensor], most: int) -> Tensor:
    """Return the tokens (B, T) of texts up to their end, -100 behind it, at most so many."""
    said: list[Tensor] = []
    for token_B, _ in zip(following, range(most), strict=False):
        over_B = (said[-1] == end) | (said[-1] == ELSEWHERE) if said else torch.zeros_like(token_B, dtype=torch.bool)
        said.append(token_B.masked_fill(over_B, ELSEWHERE))
        if ((said[-1] == end) | (said[-1] == ELSEWHERE)).all():
            break
    return torch.stack(said, dim=1)
