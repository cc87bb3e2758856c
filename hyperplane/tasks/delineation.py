"""Delineation: the class of every pixel, judged as a network of lines as well: roads, membranes, cracks.

Two classes: one logit for each pixel, the lecture's binary cross-entropy, or other losses and sums of them
(`tasks.blocks.mask_losses`). More: a logit for each class; what is not the first class, the background, is then the
network. Every metric is a mean over images or a ratio of sums over them, of masks cut at the threshold, and of pixels
that are judged.

Shape suffixes: B batch, H and W pixels, K logits, S side of a thumbnail, T thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hyperplane.contracts import Batch, Description, Output, Said, Sniff
from hyperplane.errors import UserError
from hyperplane.tasks.blocks import figures, mask_errors, mask_figures, mask_losses, network_counts, pieces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

THRESHOLDS = 50
"""At which precision and recall are drawn."""


def fits(description: Description) -> Sniff:
    """Return how well delineation suits the data, and why."""
    if description.target != "mask_BHW":
        return Sniff(0.0, f"the target is no mask, but {description.target}")
    return Sniff(1.0, f"the target is the class of every pixel: {', '.join(description.classes)}")


class Delineation(nn.Module):
    """Learn the probability that a pixel belongs to each class."""

    METRICS = network_counts.METRICS

    def __init__(
        self,
        description: Description,
        *,
        loss: str = "bce",
        threshold: float = 0.5,
        smallest: int = 0,
        width: int = 20,
        window: int = 64,
    ) -> None:
        """Build it for the classes of `description`.

        `loss` is a sum of losses by name, each with a weight before it or not: bce, balanced, dice, cldice,
        skeleton-recall, connectivity. A pixel whose probability of not being background is above `threshold` belongs to
        the network, unless it does so with fewer than `smallest` pixels beside it. For the losses of lines, `width` is
        that of the widest line, and `window` the side of a window of the connectivity, all in pixels.
        """
        super().__init__()
        self.terms = mask_losses.parse(loss)
        for name, value, good, least in (
            ("threshold", threshold, 0 < threshold < 1, "a probability in (0, 1)"),
            ("smallest", smallest, smallest >= 0, "0 or more pixels"),
            ("width", width, width >= 1, "1 or more pixels"),
            ("window", window, window >= 8, "8 or more pixels"),
        ):
            if not good:
                raise UserError(
                    f"task delineation.{name}: found {value}, expected {least}; leave --task.{name} out, or correct it"
                )
        self.input, self.target, self.classes = description.input, description.target, description.classes
        self.outputs = 1 if len(self.classes) == 2 else len(self.classes)
        self.threshold, self.smallest, self.width, self.window = threshold, smallest, width, window

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the loss of each image, its terms, and the logits (B, K, H, W)."""
        logit_BKHW = net(batch.fields[self.input], taps)
        terms = mask_losses.losses(self.terms, logit_BKHW, batch.fields[self.target], self.width, self.window)
        return Output(torch.stack(list(terms.values())).sum(0), logit_BKHW, terms, taps or {})

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the logits, (B, K, H, W)."""
        return net(batch.fields[self.input])

    def classify(self, logit_BKHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the probability of not being background, float32, and the class, uint8, of each pixel, (B, H, W).

        Small pieces are in it yet: `without_small` takes them away, which needs to see whole images.
        """
        logit_BKHW = logit_BKHW.float()
        probability_BHW = mask_losses.foreground(logit_BKHW)
        class_BHW = (probability_BHW > self.threshold).to(torch.uint8)
        if self.outputs > 1:
            class_BHW *= 1 + logit_BKHW[:, 1:].argmax(1).to(torch.uint8)
        return probability_BHW, class_BHW

    def without_small(self, class_BHW: Tensor) -> Tensor:
        """Return classes where pieces of the network with fewer than `smallest` pixels are background."""
        kept_BHW = class_BHW.cpu().numpy().copy()
        for class_HW in kept_BHW:
            pieces.clear_small(class_HW, self.smallest)
        return torch.from_numpy(kept_BHW).to(class_BHW.device)

    def told(self, class_HW: np.ndarray) -> dict[str, Any]:
        """Return the share of an image's pixels that each class but the first has, and in how many pieces they lie."""
        held_K = np.zeros(len(self.classes), np.int64)
        for class_W in class_HW:
            held_K += np.bincount(class_W, minlength=len(self.classes))
        share = {name: float(held_K[k] / class_HW.size) for k, name in enumerate(self.classes) if k}
        return {**share, "pieces": pieces.pieces(class_HW).count}

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return, of each image, the counts that the metrics are made of, loss_B, and what is drawn.

        That is histogram_B2T, how many pixels of the background and of the network have which probability, and small
        pictures: grey_BSS (0 to 255) and error_BSS (`tasks.blocks.mask_errors`); of several classes confusion_BKK.
        """
        mask_BHW = batch.fields[self.target]
        probability_BHW, class_BHW = self.classify(output.prediction)
        class_BHW = self.without_small(class_BHW)
        error_BHW = mask_errors.errors(class_BHW, mask_BHW)
        several = {}
        if self.outputs > 1:
            several["confusion_BKK"] = network_counts.confusion(class_BHW, mask_BHW, self.outputs)
        return {
            **several,
            "loss_B": output.loss_B.float(),
            **network_counts.count(class_BHW, mask_BHW),
            "histogram_B2T": mask_errors.histogram(probability_BHW, mask_BHW, THRESHOLDS),
            "grey_BSS": mask_errors.thumbnail(mask_errors.grey(batch.fields[self.input])),
            "error_BSS": mask_errors.thumbnail(error_BHW, codes=True),
        }

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return every metric over the images whose statistics these are."""
        return network_counts.measure(statistics)

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return of each image the share of pixels of each class but the first, and in how many pieces they lie."""
        class_BHW = self.without_small(self.classify(prediction)[1])
        return [self.told(class_HW) for class_HW in class_BHW.cpu().numpy()]

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return how much of an image the network covers, and in how many pieces, in truth and as the net says."""
        name = self.classes[1] if self.outputs == 1 else "not " + self.classes[0]
        told = []
        for both in network_counts.covered(statistics, which):
            truth, said = (f"{share:.1%} {name}, {pieces} piece{'s' * (pieces != 1)}" for share, pieces in both)
            told.append(Said(truth, said))
        return told

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return the worst images with what is missed, false and broken, and precision against recall.

        Of several classes the F1 of each one's pixels as well.
        """
        order = statistics["loss_B"].argsort(descending=True, stable=True)[: mask_figures.MOST]
        several = {}
        if "confusion_BKK" in statistics:
            several["classes"] = figures.per_class(statistics["confusion_BKK"].sum(0).numpy(), self.classes)
        return {
            **several,
            "errors": mask_figures.errors(
                statistics["grey_BSS"][order].numpy(), statistics["error_BSS"][order].numpy()
            ),
            "threshold": mask_figures.thresholds(statistics["histogram_B2T"].sum(0).numpy(), self.threshold),
        }


TASK = Delineation
