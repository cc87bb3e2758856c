"""Classification: which of K classes a sample belongs to.

Two classes: one output, a sigmoid and binary cross-entropy (the lecture's E_n = −(t ln y + (1 − t) ln(1 − y))),
whatever the labels are called, {0, 1} or {−1, 1}. More: a softmax and cross-entropy. Both are computed from the logits.
Shapes: B batch, K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output, Said, Sniff
from hyperplane.errors import UserError
from hyperplane.tasks.blocks import auxiliary, figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 15
"""Of the calibration error, of equal width over the confidence (Guo et al. 2017, arXiv:1706.04599)."""


def fits(description: Description) -> Sniff:
    """Return how well classification suits the data, and why."""
    if description.target == "mask_BHW":
        return Sniff(0.0, "the target is the class of every pixel, not of an image")
    if not description.classes:
        return Sniff(0.0, "the target is a number, not a class")
    return Sniff(1.0, f"the target is one of {len(description.classes)} classes")


class Classification(nn.Module):
    """Learn the probability of each class."""

    METRICS = (
        Metric("accuracy", "%", "higher", "share of samples given their class", share_of="correct_B"),
        Metric("balanced_accuracy", "%", "higher", "share given their class in each class, averaged over the classes"),
        Metric("f1", "%", "higher", "harmonic mean of precision and recall, averaged over the classes"),
        Metric(
            *("calibration_error", "%", "lower", "how far the confidence is from the accuracy, averaged over 15 bins"),
            rises_with_noise=True,
        ),
        Metric("log_loss", "nats", "lower", "cross-entropy of the probabilities"),
    )

    weight_K: Tensor | None

    def __init__(self, description: Description, *, label_smoothing: float = 0.0, balance: bool = False) -> None:
        """Build it for the classes of `description`.

        `label_smoothing` in [0, 1) moves that share of each target's mass to all classes alike (Szegedy et al. 2016,
        arXiv:1512.00567, section 7). With `balance` each class counts the same in the loss that is trained on, however
        few samples it has: theirs are weighted by the inverse of their number, 1 on average; metrics stay as they are.
        """
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(
                f"task classification.label_smoothing: found {label_smoothing}, expected a share in [0, 1); "
                "type: --task.label-smoothing 0.1"
            )
        self.input, self.target, self.classes = description.input, description.target, description.classes
        self.outputs = 1 if len(self.classes) == 2 else len(self.classes)
        self.label_smoothing, self.balance = label_smoothing, balance
        self.register_buffer("weight_K", _weights(description) if balance else None, persistent=False)

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the cross-entropy of each sample, and the logits (B, 1) or (B, K)."""
        label_B = batch.fields[self.target]
        logit_BK, loss_B, terms = auxiliary.forward(
            net, batch.fields[self.input], taps, lambda logit_BK: self.cross_entropy(logit_BK, label_B)
        )
        return Output(loss_B, logit_BK, terms, taps or {})

    def cross_entropy(self, logit_BK: Tensor, label_B: Tensor) -> Tensor:
        """Return the cross-entropy (B,) of logits (B, 1) or (B, K), with label smoothing and the classes' weights."""
        loss_B = self._cross_entropy(logit_BK, label_B)
        return loss_B if self.weight_K is None else loss_B * self.weight_K[label_B].to(loss_B.dtype)

    def _cross_entropy(self, logit_BK: Tensor, label_B: Tensor) -> Tensor:
        if self.outputs > 1:
            return F.cross_entropy(logit_BK, label_B, reduction="none", label_smoothing=self.label_smoothing)
        target_B = label_B.to(logit_BK.dtype)
        if self.label_smoothing:
            target_B = target_B * (1 - self.label_smoothing) + self.label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logit_BK.squeeze(1), target_B, reduction="none")

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the logits, (B, 1) or (B, K)."""
        return net(batch.fields[self.input])

    def probability(self, logit_BK: Tensor) -> Tensor:
        """Return (B, K) probabilities that sum to 1, float64, for logits (B, 1) of two classes or (B, K) of more."""
        if self.outputs == 1:
            logit_B1 = logit_BK.double()
            return torch.sigmoid(torch.cat([-logit_B1, logit_B1], dim=1))
        return torch.softmax(logit_BK.double(), dim=1)

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return label_B, probability_BK (float32), correct_B (true or false) and loss_B (without label smoothing)."""
        probability_BK, label_B = self.probability(output.prediction), batch.fields[self.target]
        logit_BK = output.prediction.double()
        if self.outputs == 1:
            logit_BK = torch.cat([torch.zeros_like(logit_BK), logit_BK], dim=1)
        return {
            "label_B": label_B,
            "probability_BK": probability_BK.float(),
            "correct_B": probability_BK.float().argmax(dim=1) == label_B,
            "loss_B": F.cross_entropy(logit_BK, label_B, reduction="none").float(),
        }

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return accuracy, mean recall, macro F1, expected calibration error (shares in [0, 1]) and log loss (nats)."""
        label_B, probability_BK, correct_B = (statistics[n] for n in ("label_B", "probability_BK", "correct_B"))
        count_KK = confusion_matrix(label_B, probability_BK.argmax(dim=1), len(self.classes)).double()
        hit_K = count_KK.diagonal()
        shown_K = count_KK.sum(0) + count_KK.sum(1)  # a class that is neither there nor named has no F1
        f1_K = 2 * hit_K[shown_K > 0] / shown_K[shown_K > 0]
        there_K = count_KK.sum(1)  # a class that is not there has no recall
        return {
            "accuracy": correct_B.double().mean().item(),
            "balanced_accuracy": (hit_K[there_K > 0] / there_K[there_K > 0]).mean().item(),
            "f1": f1_K.mean().item(),
            "calibration_error": calibration_error(probability_BK.amax(dim=1), correct_B),
            "log_loss": statistics["loss_B"].double().mean().item(),
        }

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return for each sample its class, that class' probability, and the probability of every class."""
        probability_BK = self.probability(prediction)
        best_B = probability_BK.argmax(dim=1).tolist()
        return [
            {
                "class": self.classes[k],
                "probability": row[k],
                "probabilities": dict(zip(self.classes, row, strict=True)),
            }
            for k, row in zip(best_B, probability_BK.tolist(), strict=True)
        ]

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return the true class, the likeliest, and its probability."""
        confidence_B, predicted_B = statistics["probability_BK"][which].max(dim=1)
        said = zip(statistics["label_B"][which].tolist(), predicted_B.tolist(), confidence_B.tolist(), strict=True)
        return [Said(self.classes[label], self.classes[k], confidence) for label, k, confidence in said]

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return the confusion matrix and the calibration plot."""
        probability_BK = statistics["probability_BK"]
        confidence_B, predicted_B = (t.numpy() for t in probability_BK.max(dim=1))
        return {
            "confusion": figures.confusion(statistics["label_B"].numpy(), predicted_B, list(self.classes)),
            "calibration": figures.calibration(confidence_B, statistics["correct_B"].numpy()),
        }


def _weights(description: Description) -> Tensor:
    """Return the weight of each class' samples, so that the classes weigh the same and the mean over samples is 1."""
    count_K = torch.tensor(description.class_counts, dtype=torch.float64)
    if len(count_K) != len(description.classes) or not count_K.sum():
        raise UserError(
            f"task classification.balance: {description.name} does not tell how many samples each class has; "
            "leave --task.balance out"
        )
    return torch.where(count_K > 0, count_K.sum() / (count_K * (count_K > 0).sum()), 0.0)


def confusion_matrix(label_B: Tensor, predicted_B: Tensor, classes: int) -> Tensor:
    """Return how many samples of class i (row) were given class j (column), int64 of shape (K, K)."""
    return torch.bincount(label_B * classes + predicted_B, minlength=classes * classes).view(classes, classes)


def calibration_error(confidence_B: Tensor, correct_B: Tensor) -> float:
    """Return the expected calibration error in [0, 1] (Guo et al. 2017, equation 3, with 15 bins)."""
    bin_B = (confidence_B * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
    gap_B = correct_B.double() - confidence_B.double()
    gap_bin = torch.zeros(BINS, dtype=torch.float64).scatter_add_(0, bin_B, gap_B)
    return gap_bin.abs().sum().item() / len(gap_B)


TASK = Classification
