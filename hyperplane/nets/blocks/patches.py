"""From an image to tokens: patches, by one linear map or by convolutions, and positions for any number of them.

Dosovitskiy et al. 2021 (arXiv:2010.11929) for the patches and for positions that are interpolated to images of another
size; Xiao et al. 2021 (arXiv:2106.14881) for the convolutions.

Shape suffixes: B batch, C channels, H and W pixels, h and w patches, T tokens, D features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise


class Patches(nn.Module):
    """Every patch, as a vector, through one linear map: a convolution that moves by its own size."""

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)
        initialise(self.proj, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D, h, w)."""
        return self.proj(x)


class Stem(nn.Module):
    """Convolutions 3×3, the first at every pixel and one for each halving, and then a linear map of each place.

    As in Xiao et al. 2021 (arXiv:2106.14881), with GELU, and with one convolution more: small images need every pixel.
    """

    def __init__(self, channels: int, width: int, patch: int) -> None:
        super().__init__()
        halvings = patch.bit_length() - 1
        if patch < 2 or patch != 2**halvings:
            raise UserError(
                f"net vit.patch: found {patch}, expected a power of 2 where the stem is convolutions; "
                "type: --net.patch 4, or --net.stem patch"
            )
        self.patch = patch
        layers: list[nn.Module] = []
        for number in range(halvings + 1):
            wider = max(8, width >> (halvings - number))
            convolution = nn.Conv2d(channels, wider, 3, 1 if number == 0 else 2, padding=1, bias=False)
            initialise(convolution, "relu")
            layers += [convolution, nn.BatchNorm2d(wider), nn.GELU()]
            channels = wider
        self.convolutions = nn.Sequential(*layers)
        self.proj = nn.Conv2d(channels, width, 1)
        initialise(self.proj, None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D, h, w), of whole patches."""
        height, width = (side // self.patch * self.patch for side in x.shape[2:])
        return self.proj(self.convolutions(x[:, :, :height, :width]))


def resized(position_1TD: Tensor, grid: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Return positions of a grid of patches (h, w) interpolated to another, bicubic; a class token's stays as it is."""
    if grid == new:
        return position_1TD
    first = position_1TD.shape[1] - math.prod(grid)
    position_1Dhw = position_1TD[:, first:].transpose(1, 2).unflatten(2, grid)
    new_1Dhw = F.interpolate(position_1Dhw, new, mode="bicubic", align_corners=False, antialias=True)
    return torch.cat([position_1TD[:, :first], new_1Dhw.flatten(2).transpose(1, 2)], dim=1)
