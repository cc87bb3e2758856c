"""What a net says of every pixel of an image of any size: tile by tile, without seams, a band of rows at a time.

Neighbouring tiles overlap. What a tile says near a side that cuts the image counts for nothing, since it does not see
beyond; from there on its weight rises, and where tiles overlap the weighted mean of their logits counts. Tiles begin at
multiples of the net's stride, so that its convolutions fall on the same pixels as on the whole image: away from cuts
both say the same to rounding, where the margin is as wide as the net sees.

Shape suffixes: C channels, H and W pixels of the image, h and w of a tile or a band, K logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.engine.precision import Precision
from hyperplane.errors import UserError

Read = Callable[[int, int, int, int], Tensor]
"""Returns pixels as a net reads them, (C, h, w), from a top and a left on for so many rows and columns."""
MARGIN, RISE = 128, 64
"""Pixels that do not count beside a cut, and over which the weight then rises."""
TILE = 1024
"""Side of a tile, in pixels, where none is named."""


@dataclass(frozen=True)
class Band:
    """Rows of an image of which everything is said."""

    top: int
    logit_KhW: Tensor
    """float32, on the CPU."""


@dataclass(frozen=True)
class Tiling:
    """How an image is cut."""

    tile: int = TILE
    """Side of a tile, in pixels."""
    margin: int = MARGIN
    rise: int = RISE

    def __post_init__(self) -> None:
        """Raise UserError where a tile has nothing left between its margins."""
        least = 2 * (self.margin + self.rise)
        if self.tile < least:
            raise UserError(f"predict.tile: found {self.tile}, expected {least} pixels or more; type: --tile {least}")

    def starts(self, length: int, stride: int) -> list[int]:
        """Return where tiles begin along a side of so many pixels, at multiples of the net's stride."""
        if length <= self.tile:
            return [0]
        step = (self.tile - 2 * self.margin - self.rise) // stride * stride or stride
        last = math.ceil((length - self.tile) / stride) * stride
        return [*range(0, last, step), last]

    def weight(self, start: int, stop: int, length: int) -> Tensor:
        """Return how much each pixel from `start` to before `stop` counts, of a side of so many pixels, (stop − start).

        It is 0 beside a cut, and 1 where the tile's neighbours count for nothing.
        """
        place = torch.arange(start, stop) + 0.5
        ones = torch.ones(stop - start)
        before = ((place - start - self.margin) / self.rise).clamp(0, 1) if start else ones
        after = ((stop - place - self.margin) / self.rise).clamp(0, 1) if stop < length else ones
        return torch.minimum(before, after)


@torch.no_grad()
def bands(
    net: nn.Module,
    read: Read,
    size: tuple[int, int],
    stride: int,
    precision: Precision,
    tiling: Tiling,
) -> Iterator[Band]:
    """Yield what the net says of an image, from the top down.

    Arguments: a net in evaluation mode; what reads a window of the image; the image's size, rows and columns; the net's
    stride; where it is; how to cut. No more is held than a row of tiles.
    """
    height, wide = size
    tops, lefts = tiling.starts(height, stride), tiling.starts(wide, stride)
    sum_KhW, weight_hW, first = None, torch.zeros(0, wide), 0
    for number, top in enumerate(tops):
        bottom = min(top + tiling.tile, height)
        rows_h = tiling.weight(top, bottom, height)
        for left in lefts:
            right = min(left + tiling.tile, wide)
            image_1Chw = read(top, left, bottom - top, right - left)[None].to(precision.device)
            image_1Chw = image_1Chw.contiguous(memory_format=precision.memory_format)
            logit_Khw = net(image_1Chw)[0].float().cpu()
            counts_hw = rows_h[:, None] * tiling.weight(left, right, wide)[None]
            if sum_KhW is None:
                sum_KhW = torch.zeros(len(logit_Khw), 0, wide)
            more = bottom - first - len(weight_hW)
            sum_KhW, weight_hW = F.pad(sum_KhW, (0, 0, 0, more)), F.pad(weight_hW, (0, 0, 0, more))
            place = (slice(top - first, bottom - first), slice(left, right))
            sum_KhW[:, *place] += counts_hw * logit_Khw
            weight_hW[place] += counts_hw
        assert sum_KhW is not None, "an image has a tile"
        done = (tops[number + 1] if number + 1 < len(tops) else height) - first
        yield Band(first, sum_KhW[:, :done] / weight_hW[:done])
        sum_KhW, weight_hW, first = sum_KhW[:, done:], weight_hW[done:], first + done
