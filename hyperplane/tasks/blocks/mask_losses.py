"""Losses of masks by name, and sums of them: `bce`, `bce+dice`, `bce+0.5*cldice`.

Shape suffixes: B batch, H and W pixels, K logits, F classes that are not the background.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.data.blocks.labels import IGNORED
from hyperplane.errors import UserError, nearest
from hyperplane.tasks.blocks import centre_lines, connectivity, pixel_losses

NAMES = ("bce", "balanced", "dice", "cldice", "skeleton-recall", "connectivity")
"""What a sum may name. The last three see the background and all else: of several classes, what is not background."""
EXAMPLE = "--task.loss bce+cldice"


@dataclass(frozen=True)
class Term:
    """One loss of a sum."""

    weight: float
    name: str


def parse(text: str) -> tuple[Term, ...]:
    """Return the terms of a sum; raises UserError for a name or a weight that is none."""
    terms = []
    for part in text.replace(" ", "").split("+"):
        weight, star, name = part.rpartition("*")
        if name not in NAMES:
            raise UserError(f"task delineation.loss: found '{name}' in '{text}'; {nearest(name, NAMES)}")
        try:
            share = float(weight) if star else 1.0
        except ValueError:
            share = math.nan
        if not 0 < share < math.inf:
            raise UserError(
                f"task delineation.loss: found the weight '{weight}' in '{text}', expected a number above 0; "
                f"type: {EXAMPLE}"
            )
        terms.append(Term(share, name))
    if len({term.name for term in terms}) < len(terms):
        raise UserError(f"task delineation.loss: found a loss twice in '{text}'; type: {EXAMPLE}")
    return tuple(terms)


def foreground(logit_BKHW: Tensor) -> Tensor:
    """Return the probability of not being background, (B, H, W): a sigmoid's, or what a softmax leaves."""
    if logit_BKHW.shape[1] == 1:
        return logit_BKHW[:, 0].sigmoid()
    return 1 - logit_BKHW.softmax(1)[:, 0]


def losses(terms: tuple[Term, ...], logit_BKHW: Tensor, mask_BHW: Tensor, width: int, window: int) -> dict[str, Tensor]:
    """Return each term's weighted loss, (B,), in float32 whatever the logits are.

    Arguments: the terms; logits; the class of each pixel, 255 where it is not judged; the widest structure and the side
    of a window of the connectivity, in pixels. What is not judged is background to the losses of lines, and so is what
    the net says there.
    """
    logit_BKHW = logit_BKHW if logit_BKHW.dtype == torch.float64 else logit_BKHW.float()
    judged_BHW = mask_BHW != IGNORED
    true_BHW = ((mask_BHW > 0) & judged_BHW).to(logit_BKHW.dtype)
    said_BHW = foreground(logit_BKHW) * judged_BHW
    found = {}
    with torch.autocast(logit_BKHW.device.type, enabled=False):
        for term in terms:
            match term.name:
                case "bce":
                    loss_B = pixel_losses.cross_entropy(logit_BKHW, mask_BHW)
                case "balanced":
                    loss_B = pixel_losses.balanced(logit_BKHW, mask_BHW)
                case "dice":
                    loss_B = pixel_losses.dice(*_by_class(logit_BKHW, mask_BHW, judged_BHW), judged_BHW)
                case "cldice":
                    loss_B = centre_lines.centre_line_dice(said_BHW, true_BHW, width)
                case "skeleton-recall":
                    loss_B = centre_lines.skeleton_recall(said_BHW, true_BHW, width)
                case _:
                    loss_B = connectivity.connectivity(said_BHW, true_BHW, width, window)
            found[term.name] = term.weight * loss_B
    return found


def _by_class(logit_BKHW: Tensor, mask_BHW: Tensor, judged_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return probability and truth of each class that is not the background, (B, F, H, W)."""
    if logit_BKHW.shape[1] == 1:
        return logit_BKHW.sigmoid(), ((mask_BHW == 1)[:, None]).to(logit_BKHW.dtype)
    class_BHW = mask_BHW.where(judged_BHW, 0)
    truth_BKHW = F.one_hot(class_BHW, logit_BKHW.shape[1]).movedim(3, 1)
    return logit_BKHW.softmax(1)[:, 1:], truth_BKHW[:, 1:].to(logit_BKHW.dtype)
