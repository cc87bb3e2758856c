"""What a language model makes of a text: what each token costs, what else it might have been, and what it looks at.

Shape suffixes: B windows, T tokens, L layers, N heads, K tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.data.blocks.vocabulary import Vocabulary
from hyperplane.engine.chance import generator
from hyperplane.engine.training import judged
from hyperplane.errors import UserError
from hyperplane.explain import attention_figures, text_figures
from hyperplane.explain.attention import rollout
from hyperplane.explain.gallery import Drawn
from hyperplane.explain.subject import Subject
from hyperplane.nets.gpt import GPT
from hyperplane.tasks.blocks.answers import Answers
from hyperplane.tasks.language import Language

COSTED, ASKED, LOOKED = 600, 14, 24
"""Characters whose cost is drawn, tokens of which the alternatives are (half as many where they are long), and over
which attention is."""
AVERAGED, JUDGED, OPERATIONS = 64, 2048, 2e11
"""Windows over which distances are averaged, tokens whose loss is asked by context, and operations that each may take:
a few seconds."""
ALTERNATIVES, SHORT = 5, 3
"""Likeliest tokens that are told, and the characters of a token that has room in a narrow column."""
WRITTEN = 256
"""Tokens that the net writes itself where there is no text."""


@dataclass(frozen=True)
class Text:
    """A text that is looked at."""

    token_T: Tensor
    """int64."""
    known: Vocabulary
    where: str
    """What it is, for people."""

    def shown(self, token_T: Tensor) -> list[str]:
        """Return tokens as people can read them."""
        return [self.known.shown(int(token)) for token in token_T]


def draw(subject: Subject, given: Text | None = None) -> dict[str, Drawn]:
    """Return the figures of a language model, by name, in the order in which they are best looked at.

    Of a text that is given only what is in it; else of the text that judged the net, or where that is gone of one that
    it writes; of a net that answers prompts, of the first of those that judged it, with the answer that is known.
    Raises UserError where these are gone.
    """
    net, task = subject.model.net, subject.model.task
    assert isinstance(net, GPT) and isinstance(task, Language | Answers), "whoever calls has looked"
    seen = given or (_held if isinstance(task, Language) else _answered)(subject, net, task.vocabulary)
    drawn = {**_costs(net, seen), **_alternatives(net, seen), **_heads(net, seen), **_together(net, seen)}
    if given is None and isinstance(task, Language):
        drawn |= _distances(net, seen) | _by_context(net, seen)
    return drawn | (_positions(net) if given is None else {})


def losses(net: GPT, token_T: Tensor) -> np.ndarray:
    """Return the loss of each token but the first, (T - 1,), in nats, after half of the context or more before it."""
    step = max(1, net.context // 2)
    found: list[Tensor] = []
    done = 1
    while done < len(token_T):
        start = max(0, done - step)
        window_T = token_T[start : start + net.context + 1]
        said_TK = net(window_T[None, :-1])[0].double()
        loss_T = F.cross_entropy(said_TK, window_T[1:], reduction="none")
        found.append(loss_T[done - start - 1 :])
        done = start + len(window_T)
    return torch.cat(found).cpu().numpy()


def distances(attention_BNTT: Tensor) -> Tensor:
    """Return how far back each head looks, (B, N), in tokens: weighted by attention, the mean over the queries."""
    tokens = attention_BNTT.shape[-1]
    place_T = torch.arange(tokens, device=attention_BNTT.device, dtype=attention_BNTT.dtype)
    back_TT = (place_T[:, None] - place_T).clamp(min=0)
    return (attention_BNTT * back_TT).sum(3).mean(2)


def by_context(net: GPT, token_T: Tensor, lengths: Sequence[int], most: int) -> np.ndarray:
    """Return the mean loss, in nats, of the same tokens after so many tokens before them, for each of the lengths.

    They are evenly spread over the text, so many at most.
    """
    longest = max(lengths)
    last_B = torch.linspace(longest, len(token_T) - 1, min(most, len(token_T) - longest)).long()
    found = []
    for length in lengths:
        window_BT = token_T[last_B[:, None] + torch.arange(-length, 0)]
        logit_BK = torch.cat([net.logits(net.features(part)[:, -1:])[:, 0] for part in window_BT.split(128)])
        found.append(F.cross_entropy(logit_BK.double(), token_T[last_B]).item())
    return np.array(found)


def _held(subject: Subject, net: GPT, known: Vocabulary) -> Text:
    """Return the beginning of the text that judged a net, or one that it writes."""
    described, device = subject.description, net.wte.weight.device
    if subject.source is not None:
        split = judged(described)
        windows = min(described.splits[split], max(1, -(-max(COSTED, 20 * JUDGED) // net.context)))
        batch = subject.source.batch(split, range(windows))
        token_T = torch.cat([batch["token_BT"][0, :1], batch["target_BT"][batch["target_BT"] >= 0]])
        return Text(token_T.to(device), known, f"the {split} text")
    chance = generator(0, "text")
    start = known.piece_K.index(b"\n") if b"\n" in known.piece_K else 0
    token_T = torch.tensor([start], device=device)
    caches = net.caches(1)
    for place in range(min(WRITTEN, net.context) - 1):
        before_BT = F.pad(token_T, (net.lookback, 0))[None, -1 - net.lookback : -1]
        x_BTD = net.features(
            token_T[None, -1:], caches=caches, before_BT=before_BT, position_BT=torch.tensor([[place]], device=device)
        )
        share_K = torch.softmax(net.logits(x_BTD)[0, 0].double(), 0).cpu()
        token_T = torch.cat([token_T, torch.multinomial(share_K, 1, generator=chance).to(device)])
    return Text(token_T, known, "a text that it wrote itself")


def _answered(subject: Subject, net: GPT, known: Vocabulary) -> Text:
    """Return the first prompt that judged a net, with the answer that is known."""
    if subject.source is None:
        path = subject.folder.path
        raise UserError(f"{path}: its prompts are gone or have changed; name a text: hyperplane explain {path} FILE")
    split = judged(subject.description)
    batch = subject.source.batch(split, [0])
    answer_T = batch["answer_BT"][0]
    token_T = torch.cat([batch["token_BT"][0, : int(batch["prompt_B"][0])], answer_T[answer_T >= 0]])
    return Text(token_T.to(net.wte.weight.device), known, f"the first {split} prompt with its answer")


def _costs(net: GPT, seen: Text) -> dict[str, Drawn]:
    length_T = np.cumsum([len(name) for name in seen.shown(seen.token_T[:COSTED])])
    token_T = seen.token_T[: max(2, int((length_T <= COSTED).sum()))]
    loss_T = losses(net, token_T)
    told = (
        f"What each token of {seen.where} costs, in nats: the stronger the orange, the less likely it was after those "
    )
    told += f"before it. The mean is {loss_T.mean():.2f}."
    return {"text-loss": Drawn(text_figures.costs(seen.shown(token_T), [None, *loss_T.tolist()]), told)}


def _alternatives(net: GPT, seen: Text) -> dict[str, Drawn]:
    token_T = seen.token_T[: min(net.context + 1, 3 * ASKED)]
    asked = ASKED if max(map(len, seen.shown(token_T[-ASKED:]))) <= SHORT else ASKED // 2
    share_TK = torch.softmax(net(token_T[None, :-1])[0].double(), 1)
    share_TK, after_T = share_TK[-asked:], token_T[1:][-asked:]
    best = share_TK.topk(min(ALTERNATIVES, share_TK.shape[1]), dim=1)
    columns = [
        (
            seen.known.shown(int(token)),
            float(share_K[token]),
            [(seen.known.shown(int(k)), float(p)) for p, k in zip(value_A, index_A, strict=True)],
        )
        for token, share_K, value_A, index_A in zip(after_T, share_TK, best.values, best.indices, strict=True)
    ]
    told = f"A stretch of {seen.where}, token by token, and under each what the net held for the likeliest there, with "
    told += "its probability; framed is what it was."
    return {"text-alternatives": Drawn(text_figures.alternatives(columns), told)}


def _heads(net: GPT, seen: Text) -> dict[str, Drawn]:
    token_T = seen.token_T[: min(LOOKED, net.context)]
    shown = attention_figures.some(len(net.h), attention_figures.MOST_LAYERS)
    maps = {
        f"layer {number + 1}": layer[0].double().cpu().numpy()
        for number, layer in enumerate(net.attention(token_T[None]))
        if number in shown
    }
    told = f"What each head attends to in the first {len(token_T)} tokens of {seen.where}: a row for each token that "
    told += (
        "looks, first to last, a column for each that is looked at; the bluer, the more, up to the most that one of "
    )
    told += "the later half of the tokens gives."
    return {"attention-heads": Drawn(text_figures.heads(maps), told)}


def _together(net: GPT, seen: Text) -> dict[str, Drawn]:
    token_T = seen.token_T[: min(LOOKED, net.context)]
    mean = [layer.mean(1)[0].cpu() for layer in net.attention(token_T[None])]
    flow_TT = rollout(mean).numpy()
    told = (
        "Where what stands at each token comes from, through all layers and their bypasses (rollout; the mean of the "
    )
    told += "heads). Every row is scaled to its greatest."
    return {"attention-rollout": Drawn(text_figures.flow(flow_TT, seen.shown(token_T)), told)}


def _distances(net: GPT, seen: Text) -> dict[str, Drawn]:
    tokens = min(net.context, len(seen.token_T))
    if tokens < 2:
        return {}
    windows = max(1, min(_affordable(net) // tokens, AVERAGED, len(seen.token_T) // tokens))
    found = [
        torch.stack([distances(layer)[0] for layer in net.attention(window_T[None])]).double().cpu()
        for window_T in seen.token_T[: windows * tokens].view(windows, tokens)
    ]
    alike = (tokens - 1) / 4
    told = (
        f"How far back each head looks, in windows of {tokens} tokens: the mean distance of the tokens that it attends "
    )
    told += "to. On the dashed line a head looks at all before it alike."
    figure = attention_figures.distances(torch.stack(found).mean(0).numpy(), alike, "tokens", "all tokens")
    return {"attention-distance": Drawn(figure, told)}


def _by_context(net: GPT, seen: Text) -> dict[str, Drawn]:
    longest = min(net.context, len(seen.token_T) - 1)
    lengths = sorted({*(2**k for k in range(longest.bit_length())), longest} - {0})
    if len(lengths) < 2:
        return {}
    most = int(min(JUDGED, max(32, _affordable(net) // (2 * longest))))
    loss_C = by_context(net, seen.token_T, lengths, most)
    told = (
        f"How far back it looks: the loss of the same {min(most, len(seen.token_T) - longest):,} tokens where the net "
    )
    told += "sees only the last few before each. Where the curve is flat, what lies further back tells nothing more."
    return {"context": Drawn(text_figures.by_context(lengths, loss_C), told)}


def _positions(net: GPT) -> dict[str, Drawn]:
    if net.wpe is None or net.context < 2:
        return {}
    place_TD = net.wpe.weight.detach().double().cpu()
    unit_TD = place_TD / place_TD.norm(dim=1, keepdim=True).clamp_min(1e-12)
    told = "How alike the learned vectors of every two places in the text are: blue where they point the same way, "
    told += "orange where they point apart."
    return {"positions": Drawn(text_figures.positions((unit_TD @ unit_TD.T).numpy()), told)}


def _affordable(net: GPT) -> int:
    """Return how many tokens may be computed in a few seconds."""
    return int(OPERATIONS / (2 * sum(p.numel() for p in net.parameters())))
