"""What the tasks share that steer a language model by prompts and answers: it writes an answer, which is judged.

In evaluation a net's prediction is the answer that it writes when it always takes the likeliest token; in training
nobody looks at it, and what is learned from differs from task to task.

Shape suffixes: B prompts, T tokens (those of the answer at the places before them, else -100), K of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output, Said
from hyperplane.data.blocks import exercises, vocabulary
from hyperplane.data.prompts import ELSEWHERE, END
from hyperplane.errors import UserError
from hyperplane.nets.gpt import GPT
from hyperplane.tasks.blocks import figures
from hyperplane.tasks.blocks.writing import answer, likeliest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXACT = Metric("exact", "%", "higher", "share of prompts whose answer is right", "right_B")


class Answers(nn.Module):
    """A task whose samples are prompts, and what is written after them."""

    WRITES = True
    ends = (END,)
    """Texts before which an answer ends."""

    def __init__(self, description: Description) -> None:
        """Build it for the vocabulary of `description`, and for the exercise that it names, if it does."""
        super().__init__()
        self.input, self.target = description.input, description.target
        self.vocabulary = vocabulary.read(description.encoding)
        self.outputs = len(self.vocabulary)
        self.exercise: str | None = description.encoding.get("exercise")
        end = END.encode()
        if end not in self.vocabulary.piece_K:
            raise UserError(
                f"{description.name}: the net to begin with knows no line end, which is where answers end; begin with "
                "a run on a text of several lines"
            )
        self.end = self.vocabulary.piece_K.index(end)

    def answered(self, output: Output, net: nn.Module, batch: Batch) -> Output:
        """Return what was learned from a batch, in evaluation with the answers that the net writes."""
        if not self.training:
            output.prediction = self.predict(net, batch)
        return output

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the likeliest tokens of each answer, (B, T), each at the place before it; elsewhere -100."""
        prompt_B, token_BT = batch["prompt_B"], batch.fields[self.input]
        return answer(cast(GPT, net), token_BT, prompt_B, self.end, likeliest).answer_NGT[:, 0]

    def said(self, answer_BT: Tensor) -> list[str]:
        """Return answers as texts, without their end."""
        return [self.vocabulary.decode([t for t in row if t >= 0]).removesuffix(END) for row in answer_BT.tolist()]

    def asked(self, batch: Batch) -> list[str]:
        """Return the prompts as texts."""
        rows = zip(batch.fields[self.input].tolist(), batch["prompt_B"].tolist(), strict=True)
        return [self.vocabulary.decode(token_T[:prompt]) for token_T, prompt in rows]

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return of each prompt loss_B, right_B, written_BT and answer_BT (the one that is known to be right)."""
        written_BT, answer_BT = output.prediction, batch.fields["answer_BT"]
        told = zip(self.asked(batch), self.said(written_BT), self.said(answer_BT), strict=True)
        right = [exercises.right(self.exercise, *each) for each in told]
        return {
            "loss_B": output.loss_B,
            "right_B": torch.tensor(right),
            "written_BT": written_BT.int(),
            "answer_BT": answer_BT.int(),
        }

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return the share of right answers, and the mean loss."""
        right_B, loss_B = statistics["right_B"].double(), statistics["loss_B"].double()
        return {"exact": right_B.mean().item(), "loss": loss_B.mean().item()}

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return the answers."""
        return [{"answer": text} for text in self.said(prediction)]

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return the answers that are known to be right, and those that were written."""
        known, written = (self.said(statistics[name][which]) for name in ("answer_BT", "written_BT"))
        return [Said(*both) for both in zip(known, written, strict=True)]

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return how many answers are right, by the number of their tokens."""
        right_B, length_B = statistics["right_B"].numpy(), (statistics["answer_BT"] >= 0).sum(1).numpy() - 1
        return {"lengths": figures.right_by(length_B, right_B.astype(float), "tokens of the answer")}


def log_likelihood(net: nn.Module, token_BT: Tensor, answer_BT: Tensor, taps: dict[str, Tensor] | None) -> Tensor:
    """Return the log-probability of each answer's tokens, (B, T), in float32 or more; 0 elsewhere."""
    logit_NK = net(token_BT, taps).flatten(0, 1)
    logit_NK = logit_NK if logit_NK.dtype == torch.float64 else logit_NK.float()
    loss_N = F.cross_entropy(logit_NK, answer_BT.flatten(), reduction="none", ignore_index=ELSEWHERE)
    return -loss_N.view(answer_BT.shape)
