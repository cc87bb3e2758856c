"""What every net that reads images checks: that the images are large enough for its stride, and of its channels.

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

import math

from torch import Tensor

from hyperplane.errors import UserError


def expect_shape(net: str, shape: tuple[int, ...], least: int) -> int:
    """Return the channels of the images (C, H, W) that a net is built for.

    `least` is the shortest side that the net can read, in pixels. Raises UserError for another kind of input or smaller
    images.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(
            f"net {net}: found inputs of shape {shape}, expected images (channels, height, width); type: --net mlp"
        )
    channels, height, width = shape
    if min(height, width) < least:
        smaller = "resnet20" if min(height, width) >= 4 < least else "lenet"
        raise UserError(
            f"net {net}: found images of {height} x {width} pixels, expected at least {least} x {least}; "
            f"choose a net for smaller ones with --net {smaller}, or enlarge pictures with --data.size {least}"
        )
    return channels


def expect_batch(net: str, image_BCHW: Tensor, channels: int, least: int) -> None:
    """Raise UserError unless a batch is of images with so many channels, `least` pixels a side or more."""
    shape = tuple(image_BCHW.shape)
    if len(shape) != 4 or shape[1] != channels or shape[2] < least or shape[3] < least:
        raise UserError(
            f"net {net}: found a batch of shape {shape}, expected (B, {channels}, H, W) with H and W of {least} or "
            "more; convert the images, or build the net for their shape"
        )


def expect_several(net: str, image_BCHW: Tensor, stride: int) -> None:
    """Raise UserError for a batch that batch normalisation cannot train on: a last map of one number per channel."""
    count, _, height, width = image_BCHW.shape
    if count * math.ceil(height / stride) * math.ceil(width / stride) == 1:
        raise UserError(
            f"net {net}: found one image of {height} x {width} pixels in a training batch, which leaves batch "
            "normalisation one number per channel, expected two or more; type: --batch 2"
        )
