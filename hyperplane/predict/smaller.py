"""A language model with smaller weights: int8 or bfloat16 in memory, so that a token takes less time to compute.

One token is computed from every weight once, so the time is that of reading them. int8 keeps of each row of a linear
map whole numbers from -127 to 127 and what to multiply them by (Dettmers et al. 2022, arXiv:2208.07339, section 2, one
scale for each row); what is multiplied by them is bfloat16, and sums are float32. Embeddings, norms and attention stay
as they are.

Shape suffixes: B rows, D inputs, K outputs, T tokens.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.engine import fine_tuning
from hyperplane.engine.model import Model
from hyperplane.engine.trained import Trained
from hyperplane.engine.training import judged
from hyperplane.errors import UserError
from hyperplane.nets.gpt import GPT
from hyperplane.predict.generate import language

Weights = Literal["float32", "bfloat16", "int8"]
FEW, LANES = 16, 32
"""Rows up to which, and a number of inputs in multiples of which, the product with int8 is computed from these; else
from bfloat16 made of them for the while. torch's kernel reads so many inputs at once, whether they are there or not."""
COMPARED, OPERATIONS = (256, 16_384), 2e11
"""Tokens, at least and at most, over which two nets are compared, and the operations that this may take of each."""


@dataclass(frozen=True)
class Compared:
    """How well a text is foretold with smaller weights, and by the net as it was trained."""

    perplexity: float
    before: float
    tokens: int

    def __str__(self) -> str:
        change = 100 * (self.perplexity / self.before - 1)
        return (
            f"perplexity {self.perplexity:.4f} against {self.before:.4f} in float32 ({change:+.2f}%), over "
            f"{self.tokens:,} tokens"
        )


class Bfloat16(nn.Module):
    """A linear map whose weights are bfloat16."""

    def __init__(self, weight_KD: Tensor, bias_K: Tensor | None) -> None:
        super().__init__()
        self.weight_KD, self.bias_K = weight_KD.detach().bfloat16(), bias_K

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., K), float32, for (..., D)."""
        said = F.linear(x.bfloat16(), self.weight_KD).float()
        return said if self.bias_K is None else said + self.bias_K


class Int8(nn.Module):
    """A linear map whose weights are int8 with a scale for each output."""

    def __init__(self, weight_KD: Tensor, bias_K: Tensor | None) -> None:
        super().__init__()
        scale_K = (weight_KD.detach().abs().amax(1) / 127).bfloat16()
        self.scale_K = torch.where(scale_K > 0, scale_K, 1)
        whole_KD = (weight_KD.detach() / self.scale_K.float()[:, None]).round()
        self.weight_KD, self.bias_K = whole_KD.clamp(-127, 127).to(torch.int8), bias_K

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., K), float32, for (..., D)."""
        x_BD = x.flatten(0, -2).bfloat16()
        if len(x_BD) <= FEW and x_BD.shape[1] % LANES == 0 and not x.is_cuda:
            product = torch._weight_int8pack_mm  # pyright: ignore[reportPrivateImportUsage] - it has no public name
            said_BK = product(x_BD, self.weight_KD, self.scale_K).float()
        else:
            said_BK = F.linear(x_BD, self.weight_KD.bfloat16()).float() * self.scale_K
        said_BK = said_BK if self.bias_K is None else said_BK + self.bias_K
        return said_BK.view(*x.shape[:-1], -1)


KINDS = {"bfloat16": Bfloat16, "int8": Int8}


def smaller(trained: Trained, weights: Weights) -> Trained:
    """Return a language model whose linear maps have smaller weights; raises UserError where it is none."""
    _, net = language(trained)
    made = of_net(net, weights)
    return replace(trained, model=Model(made, trained.model.judge, trained.model.views).eval())


def of_net(net: GPT, weights: Weights) -> GPT:
    """Return a net whose linear maps have smaller weights; the rest is shared with the one given."""
    if weights == "float32":
        return net
    made = copy.deepcopy(net, {id(tensor): tensor for tensor in (*net.parameters(), *net.buffers())})
    _replace(made, KINDS[weights])
    if made.head is None:
        made.head = KINDS[weights](made.wte.weight, None)
    return made


def _replace(module: nn.Module, kind: type[Bfloat16] | type[Int8]) -> None:
    for name, part in module.named_children():
        if isinstance(part, nn.Linear):
            setattr(module, name, kind(part.weight, part.bias))
        else:
            _replace(part, kind)


def compare(trained: Trained, made: Trained, written: str) -> Compared | None:
    """Return how well both foretell the data that judged the run, or where they are gone a text that was written.

    None where that text is too short to say anything.
    """
    known, net = language(trained)
    operations = 2 * sum(p.numel() for p in net.parameters())
    most = int(min(max(OPERATIONS / operations, COMPARED[0]), COMPARED[1]))
    token_T = _judged_tokens(trained, most)
    if token_T is None:
        token_T = torch.from_numpy(known.encode(written))[:most]
    if len(token_T) < 2:
        return None
    before, after = (perplexity(language(one)[1], token_T) for one in (trained, made))
    return Compared(after, before, len(token_T) - 1)


@torch.inference_mode()
def perplexity(net: GPT, token_T: Tensor) -> float:
    """Return the exponential of the mean loss of a text's tokens but the first, read in windows of the context."""
    nats = 0.0
    for start in range(0, len(token_T) - 1, net.context):
        window_T = token_T[start : start + net.context + 1].to(net.wte.weight.device)
        nats += F.cross_entropy(net(window_T[None, :-1])[0].double(), window_T[1:], reduction="sum").item()
    return math.exp(min(nats / (len(token_T) - 1), 700.0))


def _judged_tokens(trained: Trained, most: int) -> Tensor | None:
    """Return the first tokens of the split that judged a run; None where the data are gone or have changed."""
    if not trained.description.splits:
        return None
    try:
        source = fine_tuning.opened(trained.recipe, trained.description)
    except UserError:
        return None
    if source.description.hashes != trained.description.hashes:
        return None
    split = judged(source.description)
    windows = min(source.description.splits[split], max(1, most // trained.description.shapes["token_BT"][0]))
    batch = source.batch(split, range(windows))
    judged_BT = batch["target_BT"] >= 0
    return torch.cat([batch["token_BT"][0, :1], batch["target_BT"][judged_BT]])
