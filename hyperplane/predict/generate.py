"""Text from a trained language model, token by token.

What was computed of the tokens so far is kept (keys and values of every layer), so that a further token costs one
token's work. Beyond the net's context that is not possible, since places are counted from the window's first token:
the last tokens, as many as the context has, are then read anew for each one, as without a cache. Prompts of different
length are computed together, the shorter ones filled up on the left with tokens that nothing looks at.

Shape suffixes: B prompts, T tokens (of keys: S), K tokens of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hyperplane.data.blocks.vocabulary import Vocabulary
from hyperplane.engine.chance import generator
from hyperplane.engine.trained import Trained
from hyperplane.errors import UserError
from hyperplane.nets.gpt import GPT
from hyperplane.tasks.language import Language


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


@dataclass(frozen=True)
class Written:
    """One text that was generated."""

    prompt: str
    text: str
    """What follows the prompt."""
    tokens: int
    """How many were generated."""
    stopped: bool
    """Whether it ends before one of the texts to stop at."""


def generate(trained: Trained, prompts: Sequence[str], how: Sampling) -> list[Written]:
    """Return what follows each prompt, computed together: the same as one by one with seeds that count on."""
    writers = list(_write(trained, prompts, how))[-1] if prompts else []
    return [Written(prompt, w.text, w.tokens, w.stopped) for prompt, w in zip(prompts, writers, strict=True)]


def stream(trained: Trained, prompt: str, how: Sampling) -> Iterator[str]:
    """Yield what follows a prompt, piece by piece, each as soon as it is sure."""
    told = 0
    for (writer,) in _write(trained, [prompt], how):
        yield writer.text[told:]
        told = len(writer.text)


def notes(trained: Trained, prompts: Sequence[str]) -> list[str]:
    """Return what is done about prompts that are not as the net needs them, one sentence each, for people."""
    known, net = _language(trained)
    told = []
    longest = max((len(known.encode(prompt)) for prompt in prompts), default=0)
    if longest > net.context:
        told.append(
            f"A prompt has {longest:,} tokens; the net reads {net.context} at once: it goes on from the last of them."
        )
    if "" in prompts:
        told.append("An empty prompt goes on as after a line end." if b"\n" in known.piece_K else "There is no prompt.")
    return told


@torch.inference_mode()
def follow(net: GPT, prompts: Sequence[Sequence[int]], pick: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Yield the next token (B,) of each text without end; `pick` chooses them by the logits (B, K).

    The prompts are tokens, one or more each.
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
        mask = _mask(pad_B1, column_T) if pad_B1.any() else None
        x_BTD = net.features(token_BT, caches=caches, before_BT=before_BT, position_BT=position_BT, mask=mask)
        token_B = pick(net.logits(x_BTD[:, -1:])[:, 0])
        for row, token in zip(rows, token_B.tolist(), strict=True):
            row.append(token)
        yield token_B


def _mask(pad_B1: Tensor, column_T: Tensor) -> Tensor:
    """Return which columns each may look at, (B, 1, T, S): those up to it that are no filling, and itself."""
    key_S = torch.arange(int(column_T[-1]) + 1, device=column_T.device)
    before_TS = key_S <= column_T[:, None]
    held_B11S = (key_S >= pad_B1)[:, None, None]
    return (before_TS & held_B11S) | (key_S == column_T[:, None])


def picker(how: Sampling, count: int) -> Callable[[Tensor], Tensor]:
    """Return what chooses the next token (B,) of so many texts by their logits (B, K); each draws by its own seed."""
    if how.temperature == 0:
        return lambda logit_BK: logit_BK.argmax(1)
    chances = [generator(how.seed + row, "text") for row in range(count)]

    def pick(logit_BK: Tensor) -> Tensor:
        share_BK = torch.softmax(_likeliest(logit_BK.double() / how.temperature, how), dim=1).cpu()
        drawn = [torch.multinomial(share_K, 1, generator=c) for share_K, c in zip(share_BK, chances, strict=True)]
        return torch.cat(drawn).to(logit_BK.device)

    return pick


def _likeliest(logit_BK: Tensor, how: Sampling) -> Tensor:
    """Return the logits with those that are not drawn from at minus infinity."""
    if how.top_k is not None and how.top_k < logit_BK.shape[1]:
        least_B1 = logit_BK.topk(how.top_k, dim=1).values[:, -1:]
        logit_BK = logit_BK.masked_fill(logit_BK < least_B1, -math.inf)
    if how.top_p is not None and how.top_p < 1:
        ordered_BK, order_BK = logit_BK.sort(dim=1, descending=True, stable=True)
        share_BK = torch.softmax(ordered_BK, dim=1)
        out_BK = share_BK.cumsum(1) - share_BK >= how.top_p  # the ones before it already sum to top_p
        logit_BK = logit_BK.masked_fill(out_BK.gather(1, order_BK.argsort(1)), -math.inf)
    return logit_BK


@dataclass
class _Writer:
    """One text as it grows; what may be the beginning of a text to stop at is held back."""

    known: Vocabulary
    stops: tuple[str, ...]
    text: str = ""
    tokens: int = 0
    stopped: bool = False
    held: str = ""
    decode: Callable[[int], str] = field(init=False)

    def __post_init__(self) -> None:
        self.decode = self.known.decoder()

    def add(self, token: int) -> None:
        if self.stopped:
            return
        self.tokens += 1
        self.held += self.decode(token)
        found = [self.held.index(stop) for stop in self.stops if stop in self.held]
        if found:
            self.text, self.held, self.stopped = self.text + self.held[: min(found)], "", True
            return
        kept = max((n for stop in self.stops for n in range(1, len(stop)) if self.held.endswith(stop[:n])), default=0)
        self.release(kept)

    def release(self, kept: int = 0) -> None:
        sure = len(self.held) - kept
        self.text, self.held = self.text + self.held[:sure], self.held[sure:]


def _write(trained: Trained, prompts: Sequence[str], how: Sampling) -> Iterator[list[_Writer]]:
    """Yield the texts after every token, and at last as they end."""
    known, net = _language(trained)
    start = known.piece_K.index(b"\n") if b"\n" in known.piece_K else 0
    encoded = [known.encode(prompt).tolist() or [start] for prompt in prompts]
    writers = [_Writer(known, how.stop) for _ in prompts]
    following = follow(net, encoded, picker(how, len(prompts)))
    for token_B, _ in zip(following, range(how.tokens), strict=False):
        for writer, token in zip(writers, token_B.tolist(), strict=True):
            writer.add(token)
        yield writers
        if all(writer.stopped for writer in writers):
            return
    for writer in writers:
        writer.release()
    yield writers


def _language(trained: Trained) -> tuple[Vocabulary, GPT]:
    """Return a run's vocabulary and net; raises UserError where it is no language model."""
    task, net = trained.model.task, trained.model.net
    if not isinstance(task, Language) or not isinstance(net, GPT):
        raise UserError(
            f"{trained.folder.path}: holds {trained.recipe.net.name} for {trained.recipe.task.name}, expected a "
            "language model; train one: hyperplane train book.txt"
        )
    return task.vocabulary, net
