"""Views of images: a part of each, cut out at chance and brought to one size, mirrored, lighter or darker.

As in Caron et al. 2020 (arXiv:2006.09882), without blur. Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SHAPES = (3 / 4, 4 / 3)
"""Width over height of what is cut out."""
LIGHT, CONTRAST = 0.3, 0.3
"""By how much levels are shifted at most, in standard deviations, and stretched, as a share; channels each for itself
by half of that."""


def view(image_BCHW: Tensor, side: int, areas: tuple[float, float], chance: torch.Generator | None) -> Tensor:
    """Return a view of each image, (B, C, side, side).

    Arguments: the images, normalised; least and greatest share of their area; where chance comes from, on their device.
    """
    count, channels = image_BCHW.shape[:2]
    draw_6B = torch.rand(6, count, generator=chance, device=image_BCHW.device)
    area_B = areas[0] + (areas[1] - areas[0]) * draw_6B[0]
    ratio_B = (math.log(SHAPES[0]) + (math.log(SHAPES[1]) - math.log(SHAPES[0])) * draw_6B[1]).exp()
    wide_B, high_B = (area_B * ratio_B).sqrt().clamp(max=1), (area_B / ratio_B).sqrt().clamp(max=1)
    right_B, down_B = (1 - wide_B) * (2 * draw_6B[2] - 1), (1 - high_B) * (2 * draw_6B[3] - 1)
    mirror_B = torch.where(draw_6B[4] < 0.5, -1.0, 1.0)
    zero_B = torch.zeros_like(wide_B)
    theta_B23 = torch.stack(
        [torch.stack([mirror_B * wide_B, zero_B, right_B], 1), torch.stack([zero_B, high_B, down_B], 1)], 1
    )
    grid_BHW2 = F.affine_grid(theta_B23.to(image_BCHW.dtype), [count, channels, side, side], align_corners=False)
    seen_BCHW = F.grid_sample(image_BCHW, grid_BHW2, mode="bilinear", padding_mode="border", align_corners=False)
    change_2BC = 2 * torch.rand(2, count, channels, generator=chance, device=image_BCHW.device) - 1
    change_2BC = (change_2BC + change_2BC.mean(2, keepdim=True)) / 2
    stretch_BC11, shift_BC11 = (change[:, :, None, None].to(image_BCHW.dtype) for change in change_2BC)
    return seen_BCHW * (1 + CONTRAST * stretch_BC11) + LIGHT * shift_BC11
