"""How well filters are described by Gabor functions, or by Gaussian derivatives: fits from many starts in one batch.

A Gabor function is a wave under a Gaussian (Gabor 1946; Daugman 1985); here

    g(x, y) = exp(−(u² + (v / elongation)²) / 2σ²) · (a cos(2πu / wavelength) + b sin(2πu / wavelength)),

u along its direction and v across, both from its middle. For given places and widths the best a and b are those of a
linear least-squares problem, so that only six numbers are searched for (variable projection: Golub and Pereyra 1973),
by Levenberg-Marquardt. A Gaussian derivative of order 0, 1 or 2 is fitted likewise, by five numbers and an amplitude.
Few pixels are fitted well by anything: compare with what the same fit explains of `noise`.

Shape suffixes: N filters, C channels, h and w pixels, D pixels in a row, S starts, M = N · S fits, P parameters, A
amplitudes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Family = Literal["gabor", "order 0", "order 1", "order 2"]
"""Gabor functions, or Gaussian derivatives of that order."""

STARTS = {"gabor": 48, "order 0": 12, "order 1": 12, "order 2": 12}
ITERATIONS, TRIED, KEPT = 60, 8, 8
"""Of a fit at most; after how many all but so many of a mask's best starts are given up."""
LEAST_DAMPING, MOST_DAMPING = 1e-8, 1e6
REACH = 0.6
"""How far the middle may be from the filter's, in its sides."""
NARROWEST, WIDEST = 0.5, 0.75
"""σ at least, in pixels, as a narrower Gaussian falls between them; and at most, in sides."""
ELONGATED = 3.0
"""The greatest elongation, and its inverse the least: Daugman's cells had 0.5 to 2."""


@dataclass(frozen=True)
class Fits:
    """The best of many fits of each filter."""

    family: Family
    x_N: Tensor
    """The middle, in pixels right of the filter's."""
    y_N: Tensor
    """The middle, in pixels below the filter's."""
    sigma_N: Tensor
    """Standard deviation of the Gaussian along the direction, in pixels."""
    elongation_N: Tensor
    """How many times wider it is across."""
    direction_N: Tensor
    """In radians, in [0, π): 0 is along x."""
    wavelength_N: Tensor
    """In pixels; infinite for Gaussian derivatives."""
    phase_N: Tensor
    """In radians, of the cosine: 0 is even, ±π/2 odd; 0 for Gaussian derivatives."""
    fitted_NChw: Tensor
    """The functions themselves, as large as the filters: of several channels, times the number of each."""
    share_N: Tensor
    """Share of the sum of squares of each filter's mask that is explained, in [0, 1]."""


def masks(filters: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mask of each filter (N, h, w) or (N, C, h, w), and the number of each channel that it comes with.

    Of several channels they are the pair whose product is nearest to the filter, its first singular vectors; the
    numbers, (N, C), have length 1. What is computed is in float64.
    """
    filter_NChw = filters.detach().double().cpu().reshape(len(filters), -1, *filters.shape[-2:])
    left_NCR, value_NR, right_NRD = torch.linalg.svd(filter_NChw.flatten(2), full_matrices=False)
    return (value_NR[:, :1] * right_NRD[:, 0]).reshape(-1, *filters.shape[-2:]), left_NCR[:, :, 0]


def fit(filters: Tensor, family: Family = "gabor") -> Fits:
    """Return the functions of a family that are nearest to the masks of filters, (N, h, w) or (N, C, h, w).

    A filter of zeros has a share of 0.
    """
    mask_Nhw, colour_NC = masks(filters)
    count, high, wide = mask_Nhw.shape
    mask_ND = mask_Nhw.flatten(1)
    best = _search(mask_ND, high, wide, family)
    amplitude_NA, fitted_ND = best.share_MA, best.fitted_MD
    all_N = mask_ND.square().sum(dim=1)
    left_over_N = (mask_ND - fitted_ND).square().sum(dim=1)
    share_N = torch.where(all_N > 0, 1 - left_over_N / all_N.clamp_min(1e-300), 0.0).clamp(0, 1)
    x_N, y_N, direction_N, sigma_N, elongation_N, wavelength_N = best.geometry_M6.T
    turned_N = torch.remainder(direction_N, 2 * math.pi) >= math.pi  # the same function, its sine the other way round
    phase_N = torch.zeros(count, dtype=torch.float64)
    if family == "gabor":
        sine_N = torch.where(turned_N, -amplitude_NA[:, 1], amplitude_NA[:, 1])
        phase_N = torch.atan2(-sine_N, amplitude_NA[:, 0])
    return Fits(
        family,
        x_N,
        y_N,
        sigma_N,
        elongation_N,
        torch.remainder(direction_N, math.pi),
        wavelength_N,
        phase_N,
        (colour_NC[:, :, None] * fitted_ND[:, None]).reshape(count, -1, high, wide),
        share_N,
    )


def noise(size: tuple[int, int], count: int, generator: torch.Generator, like: Tensor | None = None) -> Tensor:
    """Return random masks (count, h, w) to compare with: white, or as smooth as those of the filters `like`.

    The latter have the masks' mean power spectrum at random phases: only what smoothness alone explains is left.
    """
    white_Nhw = torch.randn(count, *size, generator=generator, dtype=torch.float64)
    if like is None:
        return white_Nhw
    power_hw = torch.fft.fft2(masks(like)[0]).abs().square().mean(dim=0)
    return torch.fft.ifft2(torch.fft.fft2(white_Nhw) * power_hw.sqrt()).real


# The search


@dataclass(frozen=True)
class _Functions:
    """Functions of a family at given parameters, fitted to masks by their amplitudes."""

    geometry_M6: Tensor
    """x, y, direction, σ, elongation, wavelength."""
    fitted_MD: Tensor
    share_MA: Tensor
    """Amplitudes."""
    slope_MDP: Tensor
    """How the functions change with the free parameters, less what a change of the amplitudes makes good (Kaufman 1975,
    "A variable projection method for solving separable nonlinear least squares problems")."""


def _search(mask_ND: Tensor, high: int, wide: int, family: Family) -> _Functions:
    """Return the best of many starts for each mask."""
    place_D2, most = _pixels(high, wide), max(high, wide)
    start_SP = _starts(high, wide, family)
    length_N1 = mask_ND.norm(dim=1, keepdim=True).clamp_min(1e-300)
    target_MD = (mask_ND / length_N1).repeat_interleave(len(start_SP), dim=0)
    found_MP = start_SP.repeat(len(mask_ND), 1)
    loss_M = _loss(_functions(found_MP, target_MD, place_D2, most, family), target_MD)
    damping_M = torch.full_like(loss_M, 1e-2)
    identity_PP = torch.eye(found_MP.shape[1], dtype=torch.float64)
    going = torch.arange(len(found_MP))
    for iteration in range(ITERATIONS):
        if iteration == TRIED:
            kept_NK = loss_M.view(len(mask_ND), -1).topk(KEPT, dim=1, largest=False).indices
            kept_M = (kept_NK + len(start_SP) * torch.arange(len(mask_ND))[:, None]).flatten()
            going = going[torch.isin(going, kept_M)]
        if not len(going):
            break
        p_MP, target = found_MP[going], target_MD[going]
        now = _functions(p_MP, target, place_D2, most, family)
        normal_MPP = now.slope_MDP.mT @ now.slope_MDP + damping_M[going, None, None] * identity_PP
        downhill_MP1 = now.slope_MDP.mT @ (target - now.fitted_MD)[..., None]
        trial_MP = p_MP + torch.linalg.solve_ex(normal_MPP, downhill_MP1).result[..., 0]
        trial_M = _loss(_functions(trial_MP, target, place_D2, most, family), target)
        better_M = trial_M < loss_M[going]
        slow_M = better_M & (loss_M[going] - trial_M < 1e-7 * loss_M[going])
        taken = going[better_M]
        found_MP[taken], loss_M[taken] = trial_MP[better_M], trial_M[better_M]
        damping_M[going] = (damping_M[going] * torch.where(better_M, 0.3, 4.0)).clamp_min(LEAST_DAMPING)
        going = going[(damping_M[going] < MOST_DAMPING) & (loss_M[going] > 1e-18) & ~slow_M]
    best_N = loss_M.view(len(mask_ND), -1).argmin(dim=1)
    best_NP = found_MP.view(len(mask_ND), len(start_SP), -1)[torch.arange(len(mask_ND)), best_N]
    return _functions(best_NP, mask_ND, place_D2, most, family)


def _loss(functions: _Functions, target_MD: Tensor) -> Tensor:
    return (target_MD - functions.fitted_MD).square().sum(dim=1)


def _pixels(high: int, wide: int) -> Tensor:
    """Return where pixels are, (D, 2) as x and y from the middle."""
    y_hw, x_hw = torch.meshgrid(
        torch.arange(high, dtype=torch.float64) - (high - 1) / 2,
        torch.arange(wide, dtype=torch.float64) - (wide - 1) / 2,
        indexing="ij",
    )
    return torch.stack([x_hw.flatten(), y_hw.flatten()], dim=1)


def _starts(high: int, wide: int, family: Family) -> Tensor:
    """Return where fits begin, (S, P): spread over places, directions and scales by a fixed rule."""
    count = STARTS[family]
    most = max(high, wide)
    spread_SQ = torch.quasirandom.SobolEngine(6, scramble=False).draw(count, dtype=torch.float64)
    x_S = (spread_SQ[:, 0] - 0.5) * 0.5 * wide
    y_S = (spread_SQ[:, 1] - 0.5) * 0.5 * high
    direction_S = spread_SQ[:, 2] * math.pi
    width_S, elongation_S, wave_S = (2 * spread_SQ[:, k] - 1 for k in (3, 4, 5))
    start_SP = torch.stack([x_S / most, y_S / most, direction_S, width_S, elongation_S * 0.5, wave_S], dim=1)
    return start_SP if family == "gabor" else start_SP[:, :5]


def _functions(p_MP: Tensor, target_MD: Tensor, place_D2: Tensor, most: float, family: Family) -> _Functions:
    """Return the functions at free parameters, with the amplitudes that are best for the masks."""
    # Geometry, and how it changes with the free parameters: each is kept within its bounds.
    x_M1, y_M1 = (most * REACH * torch.tanh(p_MP[:, k, None] / REACH) for k in (0, 1))
    direction_M1 = p_MP[:, 2, None]
    sigma_M1, sigma_slope_M1 = _within(p_MP[:, 3, None], NARROWEST, WIDEST * most)
    elongation_M1, elongation_slope_M1 = _within(p_MP[:, 4, None], 1 / ELONGATED, ELONGATED)
    cosine_M1, sine_M1 = torch.cos(direction_M1), torch.sin(direction_M1)
    x_MD, y_MD = place_D2[:, 0] - x_M1, place_D2[:, 1] - y_M1
    u_MD, v_MD = x_MD * cosine_M1 + y_MD * sine_M1, y_MD * cosine_M1 - x_MD * sine_M1
    s_MD, t_MD = u_MD / sigma_M1, v_MD / (sigma_M1 * elongation_M1)
    bell_MD = torch.exp(-(s_MD.square() + t_MD.square()) / 2)
    # The functions whose amplitudes are free, and their derivatives along u.
    wavelength_M1, wavelength_slope_M1 = torch.full_like(x_M1, torch.inf), torch.zeros_like(x_M1)
    if family == "gabor":
        wavelength_M1, wavelength_slope_M1 = _within(p_MP[:, 5, None], 2.0, 4.0 * most)
        turn_M1 = 2 * math.pi / wavelength_M1
        even_MD, odd_MD = torch.cos(turn_M1 * u_MD), torch.sin(turn_M1 * u_MD)
        wave_MDA = torch.stack([even_MD, odd_MD], dim=2)
        along_MDA = torch.stack([-turn_M1 * odd_MD, turn_M1 * even_MD], dim=2)
    else:
        wave_MD, steep_MD = {
            "order 0": (torch.ones_like(s_MD), torch.zeros_like(s_MD)),
            "order 1": (s_MD, torch.ones_like(s_MD)),
            "order 2": (s_MD.square() - 1, 2 * s_MD),
        }[family]
        wave_MDA, along_MDA = wave_MD[..., None], (steep_MD / sigma_M1)[..., None]
    basis_MDA = bell_MD[..., None] * wave_MDA
    length_M1A = (basis_MDA.square().sum(dim=1, keepdim=True) + 1e-24).sqrt()
    unit_MDA = basis_MDA / length_M1A
    normal_MAA = unit_MDA.mT @ unit_MDA + 1e-9 * torch.eye(unit_MDA.shape[2], dtype=torch.float64)
    weight_MA1 = torch.linalg.solve(normal_MAA, unit_MDA.mT @ target_MD[..., None])
    share_MA1 = weight_MA1 / length_M1A.mT
    fitted_MD = (unit_MDA @ weight_MA1)[..., 0]
    # The chain rule, at these amplitudes.
    rise_MD = bell_MD * (along_MDA @ share_MA1)[..., 0]
    over_u_MD, over_v_MD = rise_MD - fitted_MD * s_MD / sigma_M1, -fitted_MD * t_MD / (sigma_M1 * elongation_M1)
    moved_M1 = [most * (1 - torch.tanh(p_MP[:, k, None] / REACH).square()) for k in (0, 1)]
    scaled_MD = fitted_MD * (s_MD.square() + t_MD.square())
    if family != "gabor":
        scaled_MD = scaled_MD - rise_MD * u_MD  # a derivative's wave widens with its bell
    slopes = [
        moved_M1[0] * (-cosine_M1 * over_u_MD + sine_M1 * over_v_MD),
        moved_M1[1] * (-sine_M1 * over_u_MD - cosine_M1 * over_v_MD),
        v_MD * over_u_MD - u_MD * over_v_MD,
        sigma_slope_M1 * scaled_MD,
        elongation_slope_M1 * fitted_MD * t_MD.square(),
    ]
    if family == "gabor":
        slopes.append(-wavelength_slope_M1 * rise_MD * u_MD)
    slope_MDP = torch.stack(slopes, dim=2)
    slope_MDP = slope_MDP - unit_MDA @ torch.linalg.solve(normal_MAA, unit_MDA.mT @ slope_MDP)
    geometry = (x_M1, y_M1, direction_M1, sigma_M1, elongation_M1, wavelength_M1)
    return _Functions(torch.cat(geometry, dim=1), fitted_MD, share_MA1[..., 0], slope_MDP)


def _within(free_M1: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Return numbers within bounds, evenly in their logarithm, and how that logarithm changes with the free number."""
    middle, half = (math.log(high) + math.log(low)) / 2, (math.log(high) - math.log(low)) / 2
    bent_M1 = torch.tanh(free_M1)
    return torch.exp(middle + half * bent_M1), half * (1 - bent_M1.square())
