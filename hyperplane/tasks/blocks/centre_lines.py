"""Losses of masks by their centre lines, which weigh a thin road as much as a wide one: soft clDice, skeleton recall.

A centre line is what openings take away while a mask is eroded step by step, in operations that a gradient goes
through. Shape suffixes: B batch, H and W pixels; 1 stands for the channel that pooling wants.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 1.0
"""Pixels added to counts, so that an empty mask has no division by 0."""
NARROW = 10
"""Widest structure, in pixels, whose centre line is found as it is; maps of wider ones are shrunk first."""


def soft_skeleton(mask_B1HW: Tensor, width: int) -> Tensor:
    """Return the centre line of a soft mask in [0, 1], for structures of at most `width` pixels.

    Shit et al. 2021, "clDice: a novel topology-preserving loss function for tubular structure segmentation"
    (arXiv:2003.07311), algorithm 1.
    """
    line_B1HW = torch.relu(mask_B1HW - _opened(mask_B1HW))
    for _ in range(width // 2):
        mask_B1HW = _eroded(mask_B1HW)
        left_B1HW = torch.relu(mask_B1HW - _opened(mask_B1HW))
        line_B1HW = line_B1HW + torch.relu(left_B1HW - line_B1HW * left_B1HW)
    return line_B1HW


def shrunk(mask_B1HW: Tensor, width: int) -> tuple[Tensor, int]:
    """Return the mask at a size where its widest structures have at most `NARROW` pixels, and their width there."""
    step = _step(width)
    return (F.avg_pool2d(mask_B1HW, step, ceil_mode=True), -(-width // step)) if step > 1 else (mask_B1HW, width)


def centre_line_dice(probability_BHW: Tensor, truth_BHW: Tensor, width: int) -> Tensor:
    """Return 1 − soft clDice (B,): the harmonic mean of how much of each centre line lies in the other's mask.

    Shit et al. 2021, algorithm 2. Arguments: probabilities; the truth, 0 or 1; the widest structure in pixels.
    """
    said_B1HW, narrow = shrunk(probability_BHW[:, None], width)
    true_B1HW, _ = shrunk(truth_BHW[:, None].to(probability_BHW.dtype), width)
    with torch.no_grad():
        true_line_B1HW = soft_skeleton(true_B1HW, narrow)
    line_B1HW = soft_skeleton(said_B1HW, narrow)
    precision_B = _share(line_B1HW, true_B1HW)
    recall_B = _share(true_line_B1HW, said_B1HW)
    return 1 - 2 * precision_B * recall_B / (precision_B + recall_B).clamp(min=1e-6)


def skeleton_recall(probability_BHW: Tensor, truth_BHW: Tensor, width: int) -> Tensor:
    """Return how much of the truth's centre line, made three pixels wide, is not in the mask, (B,).

    Kirchhoff et al. 2024, "Skeleton recall loss for connectivity conserving and resource efficient segmentation of thin
    tubular structures" (arXiv:2404.03010). The arguments are those of `centre_line_dice`.
    """
    with torch.no_grad():
        line_BHW = F.max_pool2d(centre_line(truth_BHW, width)[:, None].float(), 3, 1, padding=1)[:, 0]
    found_B = (probability_BHW * line_BHW).flatten(1).sum(1)
    return 1 - (found_B + SMOOTH) / (line_BHW.flatten(1).sum(1) + SMOOTH)


def centre_line(truth_BHW: Tensor, width: int) -> Tensor:
    """Return which pixels of a mask, 0 or 1, are on its centre line, true or false; it may be two pixels wide."""
    step = _step(width)
    narrow_B1HW = F.max_pool2d(truth_BHW[:, None].float(), step, ceil_mode=True)  # a thin line stays one
    line_B1HW = soft_skeleton(narrow_B1HW, -(-width // step))
    full_B1HW = F.interpolate(line_B1HW, scale_factor=step, mode="nearest")
    height, wide = truth_BHW.shape[1:]
    return (full_B1HW[:, 0, :height, :wide] > 0) & (truth_BHW > 0)


def _step(width: int) -> int:
    return -(-width // NARROW)


def _share(part_B1HW: Tensor, whole_B1HW: Tensor) -> Tensor:
    return ((part_B1HW * whole_B1HW).flatten(1).sum(1) + SMOOTH) / (part_B1HW.flatten(1).sum(1) + SMOOTH)


def _eroded(mask_B1HW: Tensor) -> Tensor:
    """Return the least of each pixel's cross."""
    upright = -F.max_pool2d(-mask_B1HW, (3, 1), 1, padding=(1, 0))
    level = -F.max_pool2d(-mask_B1HW, (1, 3), 1, padding=(0, 1))
    return torch.minimum(upright, level)


def _opened(mask_B1HW: Tensor) -> Tensor:
    return F.max_pool2d(_eroded(mask_B1HW), 3, 1, padding=1)
