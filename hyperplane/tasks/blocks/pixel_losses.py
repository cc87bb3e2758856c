"""Losses of masks pixel by pixel and by their overlap: cross-entropy, balanced or not, and Dice.

Every function reads logits and gives one number per sample, over the pixels that are judged. Shape suffixes: B batch,
H and W pixels, K logits (1 for background and one class, else one of each class).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.data.blocks.labels import IGNORED

SMOOTH = 1.0
"""Pixels added to an overlap and to what it is divided by, so that empty masks have a Dice of 1."""


def cross_entropy(logit_BKHW: Tensor, mask_BHW: Tensor) -> Tensor:
    """Return the mean cross-entropy (B,) of the judged pixels: with one logit, the lecture's binary one."""
    loss_BHW, judged_BHW = _pixelwise(logit_BKHW, mask_BHW)
    return loss_BHW.flatten(1).sum(1) / judged_BHW.flatten(1).sum(1).clamp(min=1)


def balanced(logit_BKHW: Tensor, mask_BHW: Tensor) -> Tensor:
    """Return the cross-entropy (B,) in which the classes that a batch holds count the same, however few their pixels.

    As in Xie and Tu 2015, "Holistically-nested edge detection" (arXiv:1504.06375), equation 2, for any classes.
    """
    loss_BHW, judged_BHW = _pixelwise(logit_BKHW, mask_BHW)
    classes = max(2, logit_BKHW.shape[1])
    count_K = torch.bincount(mask_BHW[judged_BHW], minlength=classes).to(loss_BHW.dtype)
    share_K = count_K.sum() / (count_K.clamp(min=1) * (count_K > 0).sum())
    weight_BHW = share_K[mask_BHW.where(judged_BHW, 0)] * judged_BHW
    return (loss_BHW * weight_BHW).flatten(1).sum(1) / judged_BHW.flatten(1).sum(1).clamp(min=1)


def dice(probability_BKHW: Tensor, truth_BKHW: Tensor, judged_BHW: Tensor) -> Tensor:
    """Return 1 − Dice (B,), averaged over the classes that are not the background.

    Milletari, Navab and Ahmadi 2016, "V-Net" (arXiv:1606.04797), equation 1, with absolute values for squares.
    Arguments: probabilities and truth, 0 or 1, of each such class; which pixels are judged.
    """
    judged_B1HW = judged_BHW[:, None]
    both_BK = (probability_BKHW * truth_BKHW * judged_B1HW).sum((2, 3))
    either_BK = ((probability_BKHW + truth_BKHW) * judged_B1HW).sum((2, 3))
    return (1 - (2 * both_BK + SMOOTH) / (either_BK + SMOOTH)).mean(1)


def _pixelwise(logit_BKHW: Tensor, mask_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return each pixel's cross-entropy, 0 where it is not judged, and which ones are."""
    judged_BHW = mask_BHW != IGNORED
    if logit_BKHW.shape[1] > 1:
        return F.cross_entropy(logit_BKHW, mask_BHW, reduction="none", ignore_index=IGNORED), judged_BHW
    target_BHW = (mask_BHW == 1).to(logit_BKHW.dtype)
    loss_BHW = F.binary_cross_entropy_with_logits(logit_BKHW[:, 0], target_BHW, reduction="none")
    return loss_BHW * judged_BHW, judged_BHW
