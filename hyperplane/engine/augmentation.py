"""Augmentation of images, a batch at a time on the device: each is moved, turned, bent, mirrored in its own way.

What is moved in from outside repeats the edge. A field that lies over the image, such as mask_BHW, is moved with it,
each pixel as it is; what both are turned to from outside is then their mirror image, in which lines go on as lines.
Shape suffixes: B batch, C channels, H and W pixels, k knots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description
from hyperplane.engine.chance import generator
from hyperplane.errors import UserError
from hyperplane.recipe import AugmentRecipe

KNOTS = 4
"""Of the mesh that an elastic deformation moves, along each axis."""


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
        for name in ("shift", "elastic", "cutout"):
            if (pixels := getattr(recipe, name)) >= min(shape[1:]):
                raise UserError(
                    f"augment.{name}: found {pixels:g} pixels, expected less than the images' {min(shape[1:])}; "
                    f"type: --augment.{name} 1"
                )
        if recipe.sizes and max(recipe.sizes) > min(shape[1:]):
            raise UserError(
                f"augment.sizes: found {max(recipe.sizes)} pixels, but the images have {min(shape[1:])}; "
                f"leave out what is larger"
            )
        self.recipe, self.field, self.shape = recipe, field, shape
        self.over = [name for name in description.shapes if name.endswith("_BHW")]
        self.mirrored_N = torch.rand(description.splits["train"], generator=generator(seed, "mirrored")) < 0.5

    @torch.no_grad()
    def expect_read_by(self, net: nn.Module) -> None:
        """Show a net, in evaluation mode, one image of the smallest size; raises UserError where it cannot read it."""
        if not self.recipe.sizes:
            return
        side = min(self.recipe.sizes)
        blank_BCHW = next(net.parameters()).new_zeros(1, *self.shape)
        try:
            net.eval()(shrunk(blank_BCHW, (side,), 0.0))
        except (UserError, RuntimeError) as error:  # a matrix product of other shapes
            why = str(error).partition(";")[0]
            raise UserError(
                f"augment.sizes: found {side} pixels, which the net does not read ({why}); "
                f"leave {side} out of --augment.sizes"
            ) from error

    def __call__(self, batch: Batch, chance: torch.Generator, epoch: int, done: float) -> Batch:
        """Return the batch with its images changed.

        Arguments: the batch; a generator on its device; the number of the epoch; the share of the run that is done.
        """
        image_BCHW, recipe = batch[self.field], self.recipe
        over_BCHW = torch.stack([batch[name] for name in self.over], 1).to(image_BCHW.dtype) if self.over else None
        if recipe.flip:
            self.mirrored_N = self.mirrored_N.to(image_BCHW.device)
            mirror_B = self.mirrored_N[batch.index_B] ^ bool(epoch % 2)
            image_BCHW, over_BCHW = _alike(lambda x_BCHW: flipped(x_BCHW, mirror_B), image_BCHW, over_BCHW)
        if recipe.quarter:
            image_BCHW, over_BCHW = _alike(lambda x_BCHW: quarter_turned(x_BCHW, chance), image_BCHW, over_BCHW)
        if recipe.rotate or recipe.zoom or recipe.elastic:
            grid_BHW2 = grid(image_BCHW, recipe.rotate, recipe.zoom, recipe.shift, chance)
            if recipe.elastic:
                grid_BHW2 = grid_BHW2 + bent(image_BCHW, recipe.elastic, chance)
            outside = "border" if over_BCHW is None else "reflection"
            image_BCHW = sampled(image_BCHW, grid_BHW2, outside)
            over_BCHW = None if over_BCHW is None else sampled(over_BCHW, grid_BHW2, outside, "nearest")
        elif recipe.shift:
            image_BCHW, over_BCHW = _alike(lambda x_BCHW: shifted(x_BCHW, recipe.shift, chance), image_BCHW, over_BCHW)
        if recipe.brightness or recipe.contrast:
            image_BCHW = lit(image_BCHW, recipe.brightness, recipe.contrast, chance)
        if recipe.cutout:
            image_BCHW = with_hole(image_BCHW, recipe.cutout, chance)
        if recipe.sizes:
            image_BCHW = shrunk(image_BCHW, recipe.sizes, done)
            if over_BCHW is not None:
                over_BCHW = F.interpolate(over_BCHW, image_BCHW.shape[-2:], mode="nearest-exact")
        fields = {**batch.fields, self.field: image_BCHW}
        if over_BCHW is not None:
            fields |= {name: over_BCHW[:, k].to(batch[name].dtype) for k, name in enumerate(self.over)}
        return Batch(fields, batch.index_B)


def _alike(
    change: Callable[[Tensor], Tensor], image_BCHW: Tensor, over_BCHW: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Change what lies over the images as they are changed, where anything does."""
    if over_BCHW is None:
        return change(image_BCHW), None
    parts = (image_BCHW.shape[1], over_BCHW.shape[1])
    image_BCHW, over_BCHW = change(torch.cat([image_BCHW, over_BCHW], 1)).split(parts, 1)
    return image_BCHW.contiguous(memory_format=_order(image_BCHW)), over_BCHW


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


def quarter_turned(image_BCHW: Tensor, chance: torch.Generator) -> Tensor:
    """Turn by 0 to 3 quarter turns, each image in its own way; where they are not square, by 0 or 2."""
    count, _, height, width = image_BCHW.shape
    turns_B = torch.randint(4, (count,), generator=chance, device=image_BCHW.device)
    if height != width:
        turns_B = turns_B // 2 * 2
    turned_BCHW = torch.where((turns_B >= 2)[:, None, None, None], image_BCHW.flip(2, 3), image_BCHW)
    if height != width:
        return turned_BCHW
    return torch.where((turns_B % 2 == 1)[:, None, None, None], turned_BCHW.rot90(1, (2, 3)), turned_BCHW)


def lit(image_BCHW: Tensor, brightness: float, contrast: float, chance: torch.Generator) -> Tensor:
    """Multiply by 1 ± `contrast` and add up to ± `brightness` to every channel alike."""
    draw_2B = torch.rand(2, len(image_BCHW), generator=chance, device=image_BCHW.device) * 2 - 1
    scale_B, added_B = 1 + contrast * draw_2B[0], brightness * draw_2B[1]
    return image_BCHW * scale_B[:, None, None, None] + added_B[:, None, None, None]


def turned(image_BCHW: Tensor, degrees: float, zoom: float, most: int, chance: torch.Generator) -> Tensor:
    """Turn by up to `degrees` either way, scale each axis by 1 ± `zoom`, and move by up to `most` pixels; bilinear."""
    return sampled(image_BCHW, grid(image_BCHW, degrees, zoom, most, chance), "border")


def grid(image_BCHW: Tensor, degrees: float, zoom: float, most: int, chance: torch.Generator) -> Tensor:
    """Return where `turned` takes each pixel from, (B, H, W, 2), as `grid_sample` reads it."""
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
    return F.affine_grid(theta_B23, list(image_BCHW.shape), align_corners=False)


def bent(image_BCHW: Tensor, most: float, chance: torch.Generator) -> Tensor:
    """Return an elastic deformation, (B, H, W, 2), to be added to what `grid` returns.

    The knots of a mesh of `KNOTS` by as many over the image are moved by up to `most` pixels along either axis, and
    what lies between by cubic interpolation (Ronneberger et al. 2015, arXiv:1505.04597, section 3.1; elastic
    distortions of digits are those of Simard et al. 2003).
    """
    count, _, height, width = image_BCHW.shape
    draw_B2kk = torch.rand(count, 2, KNOTS, KNOTS, generator=chance, device=image_BCHW.device) * 2 - 1
    moved_B2HW = F.interpolate(draw_B2kk, (height, width), mode="bicubic", align_corners=True)
    pixel_2 = moved_B2HW.new_tensor([2 / width, 2 / height])
    return (most * pixel_2 * moved_B2HW.permute(0, 2, 3, 1)).to(image_BCHW.dtype)


def sampled(
    image_BCHW: Tensor,
    grid_BHW2: Tensor,
    outside: Literal["border", "reflection"],
    mode: Literal["bilinear", "nearest"] = "bilinear",
) -> Tensor:
    """Return the images taken from these places; outside of them there is their edge, or their mirror image."""
    return F.grid_sample(image_BCHW, grid_BHW2, mode=mode, padding_mode=outside, align_corners=False)


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
