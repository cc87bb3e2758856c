"""Which pixels speak for what a net says of an image: occlusion, integrated gradients, Grad-CAM.

Each explains a score, a function from images (B, C, H, W) to numbers (B,). Here it is the log odds of a class.
Shape suffixes: B images, C channels, H and W pixels, h and w places of a map, P places of the occluder.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.explain.vision import Vision, log_odds

Score = Callable[[Tensor], Tensor]
"""From images (B, C, H, W) to a number each, (B,)."""

STEPS = 64
"""Of the path of integrated gradients."""


def occlusion(score: Score, image_CHW: Tensor, window: int, places: int, batch: int = 64) -> Tensor:
    """Return how much the score falls where a square is blanked, (H, W): the mean over all squares on each pixel.

    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks" (arXiv:1311.2901), section 4.2. The
    square has the colour that is the training samples' mean, 0. Arguments: its side in pixels; places along each axis.
    """
    channels, high, wide = image_CHW.shape
    tops, lefts = _places(high, window, places), _places(wide, window, places)
    corners = [(top, left) for top in tops for left in lefts]
    fall_P: list[Tensor] = []
    with torch.no_grad():
        whole = score(image_CHW[None])[0]
        for first in range(0, len(corners), batch):
            some = corners[first : first + batch]
            blanked_BCHW = image_CHW.expand(len(some), channels, high, wide).clone()
            for blanked_CHW, (top, left) in zip(blanked_BCHW, some, strict=True):
                blanked_CHW[:, top : top + window, left : left + window] = 0
            fall_P.append(whole - score(blanked_BCHW))
    total_HW, count_HW = (torch.zeros(high, wide, dtype=torch.float64) for _ in range(2))
    for (top, left), fall in zip(corners, torch.cat(fall_P).tolist(), strict=True):
        total_HW[top : top + window, left : left + window] += fall
        count_HW[top : top + window, left : left + window] += 1
    return total_HW / count_HW.clamp_min(1)


def integrated_gradients(score: Score, image_CHW: Tensor, baseline_CHW: Tensor, steps: int = STEPS) -> Tensor:
    """Return what each number of an image adds to its score over the baseline's, (C, H, W).

    Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks" (arXiv:1703.01365), equation 1, by the
    midpoint rule. They add up to score(image) − score(baseline), but for the error of the sum.
    """
    difference_CHW = image_CHW - baseline_CHW
    sum_CHW = torch.zeros_like(image_CHW)
    share_S = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    for part_B in share_S.to(image_CHW).split(32):
        along_BCHW = (baseline_CHW + part_B[:, None, None, None] * difference_CHW).requires_grad_()
        sum_CHW += torch.autograd.grad(score(along_BCHW).sum(), along_BCHW)[0].sum(dim=0)
    return difference_CHW * sum_CHW / steps


def grad_cam(vision: Vision, image_CHW: Tensor, label: int, stage: str) -> Tensor:
    """Return where a map of the net speaks for a class, (H, W), at least 0: its channels, weighed by their gradients.

    Selvaraju et al. 2017, "Grad-CAM" (arXiv:1610.02391), equations 1 and 2, with the log odds for the logit.
    """
    seen = vision.see(image_CHW[None].clone().requires_grad_())
    map_1Chw = seen.maps[stage]
    score = log_odds(seen.logit_BK, torch.tensor([label], device=image_CHW.device)).sum()
    (gradient_1Chw,) = torch.autograd.grad(score, map_1Chw)
    weight_1C11 = gradient_1Chw.mean((2, 3), keepdim=True)
    cam_11hw = (weight_1C11 * map_1Chw.detach()).sum(dim=1, keepdim=True).relu()
    size = (image_CHW.shape[1], image_CHW.shape[2])
    return F.interpolate(cam_11hw, size, mode="bilinear", align_corners=False)[0, 0].double().cpu()


def score_of(vision: Vision, label: int) -> Score:
    """Return the log odds of a class, as a function of images."""

    def score(image_BCHW: Tensor) -> Tensor:
        logit_BK = vision.net(image_BCHW)
        return log_odds(logit_BK, torch.full((len(image_BCHW),), label, device=logit_BK.device))

    return score


def _places(side: int, window: int, places: int) -> list[int]:
    """Return where squares begin along an axis: evenly from edge to edge, each place once."""
    last = max(0, side - window)
    return sorted({math.floor(last * k / max(1, places - 1) + 0.5) for k in range(places)})
