"""Answer: write what follows a prompt, learned from answers that are given (supervised fine-tuning).

The loss is the cross-entropy of the answer's tokens alone, their mean over each answer, as in Ouyang et al. 2022,
"Training language models to follow instructions with human feedback" (arXiv:2203.02155), step 1; the prompt is read,
not learned. Shapes: B prompts, T tokens.
"""

from __future__ import annotations

from torch import Tensor, nn

from hyperplane.contracts import Batch, Description, Metric, Output, Sniff
from hyperplane.tasks.blocks.answers import EXACT, Answers, log_likelihood


def fits(description: Description) -> Sniff:
    """Return how well the task suits the data, and why."""
    if "answer_BT" not in description.shapes:
        return Sniff(0.0, "the samples are no prompts with answers")
    if "rejected_answer_BT" in description.shapes:
        return Sniff(0.5, "of two answers one was chosen, which may be learned")
    return Sniff(1.0, "each prompt has an answer")


class Answer(Answers):
    """Learn the answers that are given."""

    METRICS = (EXACT, Metric("loss", "nats", "lower", "cross-entropy of the given answer, mean over its tokens"))

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the mean loss of each answer's tokens."""
        answer_BT = batch["answer_BT"]
        log_BT = log_likelihood(net, batch.fields[self.input], answer_BT, taps)
        output = Output(-log_BT.sum(1) / (answer_BT >= 0).sum(1), log_BT, {}, taps or {})
        return self.answered(output, net, batch)


TASK = Answer
