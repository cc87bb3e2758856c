"""Language: which token comes next, for every token of a text, by cross-entropy.

A sample is a window of T tokens and its loss the mean over those that are judged; the metrics count every token alike.
Shapes: B batch, T tokens, K tokens of the vocabulary.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output, Said, Sniff
from hyperplane.data.blocks import vocabulary
from hyperplane.data.text import UNSEEN
from hyperplane.tasks.blocks import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALTERNATIVES = 5
"""Likeliest tokens that decoding names."""


def fits(description: Description) -> Sniff:
    """Return how well the task suits the data, and why."""
    if description.target != "target_BT":
        held = "prompts with answers" if description.kind == "text" else f"{description.kind} samples"
        return Sniff(0.0, f"they are no running text, but {held}")
    return Sniff(1.0, "the target is the next token of a text")


class Language(nn.Module):
    """Learn the probability of each token after those before it."""

    METRICS = (
        Metric("loss", "nats", "lower", "cross-entropy of the next token, mean over the tokens"),
        Metric("bits_per_character", "bits", "lower", "the same over the characters that the tokens stand for"),
        Metric("perplexity", "", "lower", "exponential of the loss: between so many equally likely tokens it wavers"),
        Metric("accuracy", "%", "higher", "share of tokens that were the likeliest"),
    )

    def __init__(self, description: Description) -> None:
        """Build it for the vocabulary of `description`."""
        super().__init__()
        self.input, self.target = description.input, description.target
        self.vocabulary = vocabulary.read(description.encoding)
        self.outputs = len(self.vocabulary)
        self.register_buffer("characters_K", torch.tensor(self.vocabulary.characters_K), persistent=False)

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return each window's loss, and the logits (B, T, K)."""
        logit_BTK = net(batch.fields[self.input], taps)
        target_BT = batch.fields[self.target]
        loss_BT = cross_entropy(logit_BTK, target_BT)
        judged_B = (target_BT != UNSEEN).sum(1)
        return Output(loss_BT.sum(1) / judged_B, logit_BTK, {}, taps or {})

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the logits (B, T, K); of texts with a length_B, those after the last token alone, (B, 1, K)."""
        logit_BTK = net(batch.fields[self.input])
        if "length_B" not in batch.fields:
            return logit_BTK
        return logit_BTK.take_along_dim((batch.fields["length_B"] - 1)[:, None, None], dim=1)

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return of each window loss_BT (nats), target_BT (-100: not judged) and predicted_BT, and their sums."""
        logit_BTK, target_BT = output.prediction, batch.fields[self.target]
        predicted_BT, judged_BT = logit_BTK.argmax(2), target_BT != UNSEEN
        loss_BT, characters_K = cross_entropy(logit_BTK, target_BT), self.get_buffer("characters_K")
        return {
            "loss_B": loss_BT.sum(1) / judged_BT.sum(1),
            "tokens_B": judged_BT.sum(1),
            "characters_B": (characters_K[target_BT.clamp(min=0)] * judged_BT).sum(1),
            "right_B": (predicted_BT == target_BT).sum(1),
            "loss_BT": loss_BT,
            "target_BT": target_BT.int(),
            "predicted_BT": predicted_BT.int(),
        }

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return loss (nats a token), bits per character, perplexity and accuracy (a share) over all judged tokens."""
        tokens_B = statistics["tokens_B"].double()
        tokens, characters = tokens_B.sum().item(), statistics["characters_B"].sum().item()
        nats = (statistics["loss_B"].double() * tokens_B).sum().item()
        return {
            "loss": nats / tokens,
            "bits_per_character": nats / math.log(2) / characters if characters else math.nan,
            "perplexity": math.exp(min(nats / tokens, 700.0)),
            "accuracy": statistics["right_B"].sum().item() / tokens,
        }

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return what comes after each text: the likeliest token, its probability, and the likeliest few."""
        best = torch.softmax(prediction[:, -1].double(), dim=1).topk(min(ALTERNATIVES, self.outputs))
        found = []
        for share_A, token_A in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            names = [self.vocabulary.shown(token) for token in token_A]
            said = dict(zip(names, share_A, strict=True))
            found.append({"class": names[0], "probability": share_A[0], "probabilities": said})
        return found

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return the text, and at each place the likeliest token after what was there before."""
        told = []
        for target_T, predicted_T in zip(
            statistics["target_BT"][which], statistics["predicted_BT"][which], strict=True
        ):
            judged_T = target_T != UNSEEN
            truth, said = (self.vocabulary.decode(token_T[judged_T].tolist()) for token_T in (target_T, predicted_T))
            told.append(Said(truth, said))
        return told

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return the loss by the number of tokens that were there before, and the tokens that cost the most."""
        loss_BT, target_BT = statistics["loss_BT"].double(), statistics["target_BT"].long()
        judged_BT = target_BT != UNSEEN
        loss_T = (loss_BT.sum(0) / judged_BT.sum(0)).numpy()
        sum_K = torch.zeros(self.outputs, dtype=torch.float64)
        sum_K.scatter_add_(0, target_BT[judged_BT], loss_BT[judged_BT])
        count_K = torch.bincount(target_BT[judged_BT], minlength=self.outputs)
        top_K = sum_K.argsort(descending=True, stable=True)[: figures.MOST_BARS]
        top_K = top_K[count_K[top_K] > 0]
        names = [self.vocabulary.shown(int(token)) for token in top_K]
        share_K = (sum_K[top_K] / sum_K.sum()).numpy()
        return {
            "context": figures.by_context(loss_T),
            "tokens": figures.costs(names, share_K, (sum_K[top_K] / count_K[top_K]).numpy()),
        }


def cross_entropy(logit_BTK: Tensor, target_BT: Tensor) -> Tensor:
    """Return the cross-entropy (B, T) in float32 or more; 0 where the target is not judged."""
    logit_NK = logit_BTK.flatten(0, 1)
    logit_NK = logit_NK if logit_NK.dtype == torch.float64 else logit_NK.float()
    loss_N = F.cross_entropy(logit_NK, target_BT.flatten(), reduction="none", ignore_index=UNSEEN)
    return loss_N.view(target_BT.shape)


TASK = Language
