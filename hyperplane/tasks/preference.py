"""Preference: of two answers to a prompt, make the one likelier that people chose (DPO).

Rafailov et al. 2023, "Direct preference optimization" (arXiv:2305.18290), equation 7: with π the net and ρ a frozen
copy of it as it began, the loss is −log σ(β (log π(chosen)/ρ(chosen) − log π(rejected)/ρ(rejected))). It is what
reinforcement learning from such choices, held near ρ, comes to, without a net for the reward and without samples.
Shapes: B prompts, T tokens.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output, Sniff
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.answers import EXACT, Answers, log_likelihood


def fits(description: Description) -> Sniff:
    """Return how well the task suits the data, and why."""
    if "rejected_answer_BT" not in description.shapes:
        return Sniff(0.0, "no prompt has a chosen and a rejected answer")
    return Sniff(1.0, "of two answers to each prompt one was chosen")


class Preference(Answers):
    """Learn which of two answers is the better one."""

    METRICS = (
        Metric(
            "preferred",
            "%",
            "higher",
            "share of pairs whose chosen answer became likelier than the other",
            "preferred_B",
        ),
        EXACT,
        Metric("loss", "nats", "lower", "cross-entropy of the choice between both answers"),
    )
    STEERS = True

    def __init__(self, description: Description, *, beta: float = 0.1) -> None:
        """Build it; `beta`, above 0, holds the net near its beginning the more, the greater it is."""
        super().__init__(description)
        if not beta > 0:
            raise UserError(
                f"task preference: found a beta of {beta:g}, expected a number above 0; type: --task.beta 0.1"
            )
        self.beta = beta
        self.reference: nn.Module | None = None

    def begin(self, net: nn.Module) -> None:
        """Keep a frozen copy of the net as it is."""
        self.reference = copy.deepcopy(net).eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Preference:
        """Switch between training and evaluation, which the frozen copy is always in."""
        super().train(mode)
        if self.reference is not None:
            self.reference.eval()
        return self

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the loss of each pair; the term `margin` is what σ is taken of."""
        assert self.reference is not None, "the engine calls begin"
        token_BT, answer_BT = (
            torch.cat([batch[name], batch[f"rejected_{name}"]]) for name in ("token_BT", "answer_BT")
        )
        with torch.no_grad():
            before_B = log_likelihood(self.reference, token_BT, answer_BT, None).sum(1)
        gain_B = log_likelihood(net, token_BT, answer_BT, taps).sum(1) - before_B
        chosen_B, rejected_B = gain_B.chunk(2)
        margin_B = self.beta * (chosen_B - rejected_B)
        output = Output(-F.logsigmoid(margin_B), margin_B, {"margin": margin_B}, taps or {})
        return self.answered(output, net, batch)

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return preferred_B besides."""
        return super().statistics(output, batch) | {"preferred_B": output.terms["margin"] > 0}

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return the share of pairs that are as chosen, the share of right answers, and the mean loss."""
        return {"preferred": statistics["preferred_B"].double().mean().item(), **super().measure(statistics)}


TASK = Preference
