"""Filters: discrete convolution and correlation, Prewitt's and Sobel's masks, Gaussian derivatives, Gabor functions.

Discrete convolution of an image f with a mask m turns the mask around:

    (m ** f)(x, y) = Σ_i Σ_j m(i, j) f(x − i, y − j)

Correlation lays the mask on the image as it is, Σ_i Σ_j m(i, j) f(x + i, y + j), which is what the convolutional layers
of a net compute. Every mask here is meant for correlation: a derivative's response is positive where the image gets
brighter along its direction. In images x runs to the right and y downwards, and so do directions: 0 is along x, π/2
along y. Masks are float64, of odd height and width, with their origin in the middle.

Shape suffixes: H and W pixels, h and w those of a mask, N masks, B batch, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError

Extent = Literal["full", "same", "valid"]
Border = Literal["zero", "nearest"]

DIRECT = 121
"""Weights of a mask up to which its sums are taken one by one; those of larger ones, by Fourier transform."""


# Operations


def convolve(image_HW: Tensor, mask_hw: Tensor, *, extent: Extent = "same", border: Border = "zero") -> Tensor:
    """Return the discrete convolution of an image with a mask, in float64.

    `extent` is what is kept: every place where mask and image touch (full), as many as the image has pixels (same), or
    where the mask lies wholly inside (valid). `border` says what is outside: zeros, or the nearest pixel.
    """
    return correlate(image_HW, mask_hw.flip((0, 1)), extent=extent, border=border)


def correlate(image_HW: Tensor, mask_hw: Tensor, *, extent: Extent = "same", border: Border = "zero") -> Tensor:
    """Return the correlation of an image with a mask of odd height and width, in float64; arguments as of `convolve`.

    Raises UserError for a mask of even height or width, and where none lies wholly inside.
    """
    h, w = mask_hw.shape
    if extent == "valid" and (h > image_HW.shape[0] or w > image_HW.shape[1]):
        raise UserError(
            f"mask: found {h} x {w} weights for an image of {' x '.join(map(str, image_HW.shape))} pixels, expected a "
            'smaller one; or keep more than what is valid: extent="same"'
        )
    if h % 2 == 0 or w % 2 == 0:
        raise UserError(f"mask: found {h} x {w} weights, expected odd numbers of rows and columns; add a row or column")
    reach = {"full": (h - 1, w - 1), "same": (h // 2, w // 2), "valid": (0, 0)}[extent]
    padding = (reach[1], reach[1], reach[0], reach[0])
    mode = "constant" if border == "zero" else "replicate"
    padded_11HW = F.pad(image_HW.double()[None, None], padding, mode=mode)
    if mask_hw.numel() <= DIRECT or min(h - padded_11HW.shape[2], w - padded_11HW.shape[3]) > 0:
        return F.conv2d(padded_11HW, mask_hw.double()[None, None])[0, 0]
    padded_HW = padded_11HW[0, 0]
    spectrum_HW = torch.fft.rfft2(padded_HW) * torch.fft.rfft2(mask_hw.double(), s=padded_HW.shape).conj()
    circular_HW = torch.fft.irfft2(spectrum_HW, s=padded_HW.shape)
    return circular_HW[: len(padded_HW) - h + 1, : padded_HW.shape[1] - w + 1]  # where nothing has gone round


# Masks


def prewitt() -> tuple[Tensor, Tensor]:
    """Return Prewitt's masks for the derivatives along x and y, 3×3."""
    return _pair([[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]])


def sobel() -> tuple[Tensor, Tensor]:
    """Return Sobel's masks for the derivatives along x and y, 3×3."""
    return _pair([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def gaussian(
    sigma: float, order: int = 0, direction: float = 0.0, *, elongation: float = 1.0, size: int | None = None
) -> Tensor:
    """Return a Gaussian, or its first or second derivative along a direction.

    Arguments: standard deviation along the direction, in pixels; order 0, 1 or 2; direction in radians; how many times
    wider it is across; side of the mask (None: three deviations on each side, for order 2 four, as it reaches further).
    However small the mask, order 1 gives exactly 1 on a ramp along the direction, and 0 on one across; order 2 gives 1
    on x²/2 along it, and 0 on that across, on ramps and on what is even. Raises UserError for another order, and a
    deviation that is not above 0.
    """
    if not sigma > 0:
        raise UserError(f"gaussian: found a deviation of {sigma:g} pixels, expected a number above 0; type 1.0")
    y_hw, x_hw = _grid(sigma * max(1.0, elongation), size, 4 if order == 2 else 3)
    along_hw = x_hw * math.cos(direction) + y_hw * math.sin(direction)
    across_hw = y_hw * math.cos(direction) - x_hw * math.sin(direction)
    bell_hw = torch.exp(-(along_hw**2 + (across_hw / elongation) ** 2) / (2 * sigma**2))
    bell_hw /= bell_hw.sum()
    if order == 0:
        return bell_hw
    if order == 1:
        return _giving(bell_hw, [along_hw, across_hw], [1.0, 0.0])
    if order == 2:
        even = [torch.ones_like(along_hw), along_hw**2 / 2, across_hw**2 / 2, along_hw * across_hw]
        return _giving(bell_hw, even, [0.0, 1.0, 0.0, 0.0])
    raise UserError(f"gaussian: found order {order}, expected 0, 1 or 2; choose one of them")


def gabor(
    sigma: float,
    wavelength: float,
    direction: float = 0.0,
    phase: float = 0.0,
    *,
    elongation: float = 1.0,
    size: int | None = None,
) -> Tensor:
    """Return a Gabor function: a wave along a direction under a Gaussian (Gabor 1946; Daugman 1985).

    Arguments: standard deviation of the Gaussian and length of the wave, in pixels; direction in radians; phase in
    radians (0 is even and sees bars, −π/2 is odd and sees edges); how many times wider the Gaussian is across; side of
    the mask. It sums to 0, so that it does not see brightness.
    """
    y_hw, x_hw = _grid(sigma * max(1.0, elongation), size)
    along_hw = x_hw * math.cos(direction) + y_hw * math.sin(direction)
    across_hw = y_hw * math.cos(direction) - x_hw * math.sin(direction)
    bell_hw = torch.exp(-(along_hw**2 + (across_hw / elongation) ** 2) / (2 * sigma**2))
    bell_hw /= bell_hw.sum()
    wave_hw = torch.cos(2 * math.pi * along_hw / wavelength + phase)
    return bell_hw * (wave_hw - (bell_hw * wave_hw).sum())


# Banks


def gaussian_bank(
    sigmas: Sequence[float],
    orders: Sequence[int] = (0, 1, 2),
    directions: int = 6,
    *,
    elongation: float = 1.0,
    size: int | None = None,
) -> list[Tensor]:
    """Return Gaussian derivatives of each scale and order: one of order 0, of the others one for each direction.

    First derivatives are taken at evenly spaced directions in [0, π), and so are second ones.
    """
    bank = []
    for sigma in sigmas:
        for order in orders:
            for direction in _spread(directions if order else 1):
                bank.append(gaussian(sigma, order, direction, elongation=elongation if order else 1.0, size=size))
    return bank


def gabor_bank(sigmas: Sequence[float], directions: int = 6, *, size: int | None = None) -> list[Tensor]:
    """Return Gabor functions of each scale and direction, even and odd, with a wave four deviations long."""
    return [
        gabor(sigma, 4 * sigma, direction, phase, size=size)
        for sigma in sigmas
        for direction in _spread(directions)
        for phase in (0.0, -math.pi / 2)
    ]


class FixedConvolution(nn.Module):
    """A bank of filters as a net's layer: not learned, but saved with it. It reads the mean of the channels."""

    weight: Tensor

    def __init__(self, bank: Sequence[Tensor], channels: int) -> None:
        """Build a layer of masks of one size, each brought to length 1, as correlation without a margin."""
        super().__init__()
        weight_N1hw = torch.stack([mask_hw / mask_hw.norm() for mask_hw in bank]).float().unsqueeze(1)
        self.register_buffer("weight", weight_N1hw.expand(-1, channels, -1, -1) / channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the responses (B, N, H − h + 1, W − w + 1) to images (B, C, H, W)."""
        return F.conv2d(x, self.weight)


def _pair(mask: list[list[int]]) -> tuple[Tensor, Tensor]:
    mask_hw = torch.tensor(mask, dtype=torch.float64)
    return mask_hw, mask_hw.T.contiguous()


def _grid(sigma: float, size: int | None, reach: int = 3) -> tuple[Tensor, Tensor]:
    """Return the rows' and columns' distances from the middle, over so many deviations where no size is given."""
    side = size or 2 * math.ceil(reach * sigma) + 1
    if side % 2 == 0:
        raise UserError(f"mask: found a side of {side} pixels, expected an odd number; type {side + 1}")
    place = torch.arange(side, dtype=torch.float64) - side // 2
    y_hw, x_hw = torch.meshgrid(place, place, indexing="ij")
    return y_hw, x_hw


def _spread(directions: int) -> list[float]:
    return [k * math.pi / directions for k in range(directions)]


def _giving(bell_hw: Tensor, images: Sequence[Tensor], values: Sequence[float]) -> Tensor:
    """Return the bell times a sum of some images, so weighted that correlation with each gives the value asked for.

    A derivative of a Gaussian is a Gaussian times a polynomial; that of the continuous function, sampled at pixels, is
    wrong where the Gaussian is not much wider than one. On a mask of few pixels images may be alike (three pixels have
    no more than 1, x and x²): the weights are then the smallest.
    """
    seen_NP = torch.stack([image_hw.flatten() for image_hw in images])
    gram_NN = (seen_NP * bell_hw.flatten()) @ seen_NP.T
    weight_N = torch.linalg.pinv(gram_NN, hermitian=True) @ torch.tensor(values, dtype=torch.float64)
    return (weight_N @ seen_NP).reshape(bell_hw.shape) * bell_hw
