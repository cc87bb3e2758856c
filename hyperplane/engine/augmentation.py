"""Augmentation of images, a batch at a time on the device: each is moved, turned, zoomed, mirrored in its own way.

What is moved in from outside repeats the edge. Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description
from hyperplane.engine.chance import generator
from hyperplane.errors import UserError
from hyperplane.recipe import AugmentRecipe


def changes(recipe: AugmentRecipe) -> bool:
    """Return whether a recipe changes the images of a training batch."""
    return replace(recipe, views="one") != AugmentRecipe()


class Augmentation:
    """What a recipe does to the images of a training batch."""

    def __init__(self, recipe: AugmentRecipe, field: str, description: Description, seed: int) -> None:
        """Set it up for the images in `field`; raises UserError where the samples are none, or too small for it."""
        shape = description.shapes[field]
        if len(shape) != 3:
            raise UserError("augment: found samples that are no images; leave out every --augment option")
        if max(recipe.shift, recipe.cutout) >= min(shape[1:]):
            raise UserError(
                f"augment: found a shift of {recipe.shift} and a cutout of {recipe.cutout} pixels, expected less than "
                f"the images' {min(shape[1:])}; type: --augment.shift 1"
            )
        if recipe.sizes and max(recipe.sizes) > min(shape[1:]):
            raise UserError(
                f"augment.sizes: found {max(recipe.sizes)} pixels, but the images have {min(shape[1:])}; "
                f"leave out what is larger"
            )
        self.recipe, self.field = recipe, field
        self.mirrored_N = torch.rand(description.splits["train"], generator=generator(seed, "mirrored")) < 0.5

    def __call__(self, batch: Batch, chance: torch.Generator, epoch: int, done: float) -> Batch:
        """Return the batch with its images changed.

        Arguments: the batch; a generator on its device; the number of the epoch; the share of the run that is done.
        """
        image_BCHW, recipe = batch[self.field], self.recipe
        if recipe.flip:
            self.mirrored_N = self.mirrored_N.to(image_BCHW.device)
            image_BCHW = flipped(image_BCHW, self.mirrored_N[batch.index_B] ^ bool(epoch % 2))
        if recipe.rotate or recipe.zoom:
            image_BCHW = turned(image_BCHW, recipe.rotate, recipe.zoom, recipe.shift, chance)
        elif recipe.shift:
            image_BCHW = shifted(image_BCHW, recipe.shift, chance)
        if recipe.cutout:
            image_BCHW = with_hole(image_BCHW, recipe.cutout, chance)
        if recipe.sizes:
            image_BCHW = shrunk(image_BCHW, recipe.sizes, done)
        return Batch({**batch.fields, self.field: image_BCHW}, batch.index_B)


def shrunk(image_BCHW: Tensor, sides: Sequence[int], done: float) -> Tensor:
    """Return the images at the side that is their turn: each of `sides` for an equal share of the run, then their own.

    Progressive resizing: small images teach coarse things at a fraction of the cost (Howard 2018, fast.ai's entry to
    DAWNBench). The shorter side becomes that many pixels.
    """
    turn = int(done * (len(sides) + 1))
    if turn >= len(sides):
        return image_BCHW
    height, width = image_BCHW.shape[-2:]
    scale = sides[turn] / min(height, width)
    size = (round(height * scale), round(width * scale))
    small_BCHW = F.interpolate(image_BCHW, size, mode="bilinear", antialias=True, align_corners=False)
    return small_BCHW.contiguous(memory_format=_order(image_BCHW))


def flipped(image_BCHW: Tensor, mirror_B: Tensor) -> Tensor:
    """Mirror those images left and right that `mirror_B` names.

    A half that chance chooses once, and in the next epoch the other half, so that two epochs show each image both ways
    (Jordan 2024, arXiv:2404.00498, section 3.6).
    """
    return torch.where(mirror_B[:, None, None, None], image_BCHW.flip(3), image_BCHW)


def shifted(image_BCHW: Tensor, most: int, chance: torch.Generator) -> Tensor:
    """Move by a whole number of pixels, up to `most` in each direction, all alike."""
    count, _, height, width = image_BCHW.shape
    offset_B2 = torch.randint(-most, most + 1, (count, 2), generator=chance, device=image_BCHW.device)
    row_BH = _from(offset_B2[:, 0], height)
    column_BW = _from(offset_B2[:, 1], width)
    sample_B = torch.arange(count, device=image_BCHW.device)
    moved_BHWC = image_BCHW.permute(0, 2, 3, 1)[sample_B[:, None, None], row_BH[:, :, None], column_BW[:, None, :]]
    return moved_BHWC.permute(0, 3, 1, 2)


def turned(image_BCHW: Tensor, degrees: float, zoom: float, most: int, chance: torch.Generator) -> Tensor:
    """Turn by up to `degrees` either way, scale each axis by 1 ± `zoom`, and move by up to `most` pixels; bilinear."""
    count, _, height, width = image_BCHW.shape
    device = image_BCHW.device
    draw_5B = torch.rand(5, count, generator=chance, device=device) * 2 - 1
    angle_B = draw_5B[0] * math.radians(degrees)
    cos_B, sin_B = angle_B.cos(), angle_B.sin()
    wide_B, high_B = 1 + zoom * draw_5B[1], 1 + zoom * draw_5B[2]
    right_B, down_B = 2 * most / width * draw_5B[3], 2 * most / height * draw_5B[4]
    stretch = height / width
    first_B3 = torch.stack([cos_B / wide_B, -sin_B * stretch / wide_B, right_B], dim=1)
    second_B3 = torch.stack([sin_B / stretch / high_B, cos_B / high_B, down_B], dim=1)
    theta_B23 = torch.stack([first_B3, second_B3], dim=1).to(image_BCHW.dtype)
    grid_BHW2 = F.affine_grid(theta_B23, list(image_BCHW.shape), align_corners=False)
    return F.grid_sample(image_BCHW, grid_BHW2, mode="bilinear", padding_mode="border", align_corners=False)


def with_hole(image_BCHW: Tensor, side: int, chance: torch.Generator) -> Tensor:
    """Set a square of `side` pixels to the image's mean, anywhere (DeVries and Taylor 2017, arXiv:1708.04552)."""
    count, _, height, width = image_BCHW.shape
    device = image_BCHW.device
    middle_2B = torch.rand(2, count, generator=chance, device=device)
    row_H, column_W = torch.arange(height, device=device), torch.arange(width, device=device)
    in_rows_BH = (row_H - (middle_2B[0] * height)[:, None]).abs() <= side / 2
    in_columns_BW = (column_W - (middle_2B[1] * width)[:, None]).abs() <= side / 2
    hole_B1HW = (in_rows_BH[:, :, None] & in_columns_BW[:, None, :])[:, None]
    return image_BCHW.where(~hole_B1HW, image_BCHW.mean(dim=(1, 2, 3), keepdim=True))


def _from(offset_B: Tensor, size: int) -> Tensor:
    """Return which row or column each one is taken from, (B, size)."""
    return (torch.arange(size, device=offset_B.device) + offset_B[:, None]).clamp(0, size - 1)


def _order(image_BCHW: Tensor) -> torch.memory_format:
    last = image_BCHW.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
