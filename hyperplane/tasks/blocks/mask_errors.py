"""Where a mask is wrong: what is missed, what is false, and which misses break a line in two.

Shape suffixes: B batch, C channels, H and W pixels, S side of a thumbnail, T bins.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.data.blocks.labels import IGNORED
from hyperplane.tasks.blocks.pieces import beside, label, places

QUIET, HIT, MISSED, FALSE, BROKEN, OUTSIDE = 0, 1, 2, 3, 4, 255
"""Codes of a pixel: background that was seen as such; network that was found; network that was not; background that was
taken for it; network that was not, where that parts what was found; beyond the image, or not judged."""
SIDE = 256
"""Of thumbnails, in pixels."""


def errors(class_BHW: Tensor, mask_BHW: Tensor) -> Tensor:
    """Return the code of each pixel, uint8 (B, H, W).

    Arguments: the class that each pixel was given, and its own, 255 where it is not judged; a pixel of the network that
    was given another class than its own, and not the background, is false.
    """
    said_BHW, true_BHW = class_BHW > 0, (mask_BHW > 0) & (mask_BHW != IGNORED)
    code_BHW = torch.zeros_like(class_BHW)
    code_BHW[true_BHW & said_BHW] = HIT
    code_BHW[true_BHW & ~said_BHW] = MISSED
    code_BHW[said_BHW & (class_BHW != mask_BHW)] = FALSE
    code_BHW[mask_BHW == IGNORED] = OUTSIDE
    found = [torch.from_numpy(_with_breaks(code_HW.cpu().numpy())) for code_HW in code_BHW]
    return torch.stack(found).to(class_BHW.device)


def _with_breaks(code_HW: np.ndarray) -> np.ndarray:
    """Return the codes, with those misses told apart that touch two pieces or more of what was found."""
    piece_HW, _ = label((code_HW == HIT) | (code_HW == FALSE))
    miss_HW, misses = label(code_HW == MISSED)
    found, code_HW = np.unique(piece_HW[code_HW == HIT]), code_HW.copy()
    for number, where in enumerate(places(miss_HW, misses), 1):
        rows, columns = (slice(max(0, part.start - 1), part.stop + 1) for part in where)
        around = (rows, columns)
        miss_hw = miss_HW[around] == number
        touched = np.unique(piece_HW[around][beside(miss_hw)])
        if np.isin(touched, found).sum() >= 2:
            code_HW[around][miss_hw] = BROKEN
    return code_HW


def histogram(probability_BHW: Tensor, mask_BHW: Tensor, bins: int) -> Tensor:
    """Return how many pixels of the background, and of the network, have which probability, int64 (B, 2, T)."""
    bin_BHW = (probability_BHW * bins).long().clamp(0, bins - 1)
    true_BHW = (mask_BHW > 0).long()
    counts = []
    for bin_HW, true_HW, judged_HW in zip(bin_BHW, true_BHW, mask_BHW != IGNORED, strict=True):
        both_N = (true_HW * bins + bin_HW)[judged_HW]
        counts.append(torch.bincount(both_N, minlength=2 * bins).view(2, bins))
    return torch.stack(counts)


def grey(image_BCHW: Tensor) -> Tensor:
    """Return images as grey levels from 0 to 255, uint8 (B, H, W), each from its darkest to its lightest."""
    grey_BHW = image_BCHW.float().mean(1)
    low_B, high_B = grey_BHW.flatten(1).quantile(torch.tensor([0.01, 0.99], device=grey_BHW.device), dim=1)
    span_B = (high_B - low_B).clamp(min=1e-6)
    return (255 * ((grey_BHW - low_B[:, None, None]) / span_B[:, None, None]).clamp(0, 1)).to(torch.uint8)


def thumbnail(value_BHW: Tensor, codes: bool = False) -> Tensor:
    """Return uint8 pictures at a size of `SIDE` pixels, (B, S, S), in the upper left; what is beyond is `OUTSIDE`.

    Of levels the mean counts, of `codes` the greatest in each place, so that a break is seen at any size.
    """
    height, width = value_BHW.shape[1:]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    value_B1HW = value_BHW[:, None].float()
    if codes:
        shown_BHW = value_B1HW.where(value_B1HW != OUTSIDE, -1)
        small_BHW = F.adaptive_max_pool2d(shown_BHW, size)[:, 0]
        small_BHW = small_BHW.where(small_BHW >= 0, OUTSIDE)
    else:
        small_BHW = F.adaptive_avg_pool2d(value_B1HW, size)[:, 0].round()
    made_BSS = torch.full((len(value_BHW), SIDE, SIDE), OUTSIDE, dtype=torch.uint8, device=value_BHW.device)
    made_BSS[:, : size[0], : size[1]] = small_BHW.to(torch.uint8)
    return made_BSS
