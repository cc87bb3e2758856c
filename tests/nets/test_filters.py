"""Masks against closed forms, convolution against scipy's, and both as layers of a net."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch

from hyperplane import nets
from hyperplane.errors import UserError
from hyperplane.nets.blocks import filters

CHANCE = np.random.default_rng(0)
SHAPES = [((9, 7), (3, 3)), ((5, 12), (5, 1)), ((8, 8), (1, 3)), ((3, 3), (5, 5))]


@pytest.mark.parametrize(("image", "mask"), SHAPES)
@pytest.mark.parametrize("extent", ["full", "same", "valid"])
def test_convolution_and_correlation_are_scipys(image, mask, extent) -> None:
    if extent == "valid" and (image[0] < mask[0] or image[1] < mask[1]):
        return  # scipy then lays the image on the mask
    f, m = CHANCE.normal(size=image), CHANCE.normal(size=mask)
    ours = filters.convolve(torch.tensor(f), torch.tensor(m), extent=extent)
    np.testing.assert_allclose(ours, scipy.signal.convolve2d(f, m, extent), atol=1e-12)
    ours = filters.correlate(torch.tensor(f), torch.tensor(m), extent=extent)
    np.testing.assert_allclose(ours, scipy.signal.correlate2d(f, m, extent), atol=1e-12)


def test_the_border_goes_on_as_the_nearest_pixel() -> None:
    f, m = CHANCE.normal(size=(6, 9)), CHANCE.normal(size=(3, 5))
    ours = filters.convolve(torch.tensor(f), torch.tensor(m), border="nearest")
    np.testing.assert_allclose(ours, scipy.ndimage.convolve(f, m, mode="nearest"), atol=1e-12)
    ours = filters.correlate(torch.tensor(f), torch.tensor(m), border="nearest")
    np.testing.assert_allclose(ours, scipy.ndimage.correlate(f, m, mode="nearest"), atol=1e-12)


def test_convolution_is_the_formula() -> None:
    """(m ** f)(x, y) = Σ m(i, j) f(x − i, y − j), written out, with zeros outside of the image."""
    f, m = CHANCE.normal(size=(4, 5)), CHANCE.normal(size=(3, 3))
    full = np.zeros((6, 7))
    for y in range(6):
        for x in range(7):
            for j in range(3):
                for i in range(3):
                    if 0 <= y - j < 4 and 0 <= x - i < 5:
                        full[y, x] += m[j, i] * f[y - j, x - i]
    np.testing.assert_allclose(filters.convolve(torch.tensor(f), torch.tensor(m), extent="full"), full, atol=1e-12)


def test_prewitt_and_sobel_are_the_lectures() -> None:
    x, y = filters.prewitt()
    assert x.tolist() == [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]
    assert y.tolist() == [[-1, -1, -1], [0, 0, 0], [1, 1, 1]]
    x, y = filters.sobel()
    assert x.tolist() == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    assert y.tolist() == [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]
    ramp = torch.arange(5.0).expand(5, 5)  # brighter to the right
    assert (filters.correlate(ramp, x, extent="valid") == 8).all() and (filters.correlate(ramp, y)[1:-1] == 0).all()
    assert (filters.convolve(ramp, x, extent="valid") == -8).all()


@pytest.mark.parametrize("direction", [0.0, math.pi / 2, 0.7, 2.5])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_gaussian_derivatives_are_those_of_the_closed_form(order: int, direction: float) -> None:
    """The mask is laid on the image, so it is the derivative turned around: d^n G / du^n at (−x, −y)."""
    sigma = 2.0
    mask = filters.gaussian(sigma, order, direction).numpy()
    reach = mask.shape[0] // 2
    assert mask.shape == ((17, 17) if order == 2 else (13, 13))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    u = -(x * math.cos(direction) + y * math.sin(direction))
    bell = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)
    exact = [bell, -u / sigma**2 * bell, (u**2 / sigma**4 - 1 / sigma**2) * bell][order]
    np.testing.assert_allclose(mask, exact, atol=0.02 * np.abs(exact).max())
    assert mask.sum() == pytest.approx(1.0 if order == 0 else 0.0, abs=1e-12)


@pytest.mark.parametrize("direction", [0.0, 0.7])
@pytest.mark.parametrize(("sigma", "size"), [(0.3, None), (0.5, None), (0.7, None), (1.0, 5), (2.0, None)])
def test_derivatives_are_exact_on_ramps_and_parabolas(sigma: float, size: int | None, direction: float) -> None:
    """Also where the Gaussian is narrower than a pixel, and its samples alone would be far off."""
    for order in (1, 2):
        mask = filters.gaussian(sigma, order, direction, size=size)
        reach = mask.shape[0] // 2
        y, x = torch.meshgrid(*[torch.arange(-reach, reach + 1, dtype=torch.float64)] * 2, indexing="ij")
        along = x * math.cos(direction) + y * math.sin(direction)
        across = y * math.cos(direction) - x * math.sin(direction)
        for image, expected in ((along, 1), (across, 0)):
            found = filters.correlate(image**order / order, mask, extent="valid").item()
            assert found == pytest.approx(expected, abs=1e-6)


def test_gaussian_derivatives_differentiate() -> None:
    """On a quadratic the first derivative is the slope, and the second the curvature."""
    y, x = torch.meshgrid(torch.arange(41.0) - 20, torch.arange(41.0) - 20, indexing="ij")
    image = 3 * x - 2 * y + 0.5 * x**2 + x * y
    for direction in (0.0, math.pi / 2, 1.1):
        c, s = math.cos(direction), math.sin(direction)
        slope = filters.correlate(image, filters.gaussian(1.5, 1, direction), extent="valid")[14, 14]
        assert slope.item() == pytest.approx(3 * c - 2 * s + c * (-1 + -1) + s * -1, rel=0.03)  # at x = y = −1
        curvature = filters.correlate(image, filters.gaussian(1.5, 2, direction), extent="valid")
        assert curvature.mean().item() == pytest.approx(c * c + 2 * c * s, abs=0.06)


def test_an_elongated_gaussian_is_wider_across() -> None:
    mask = filters.gaussian(1.0, elongation=3.0)
    y, x = torch.meshgrid(*[torch.arange(mask.shape[0]) - mask.shape[0] // 2] * 2, indexing="ij")
    assert ((mask * x**2).sum().sqrt() - 1).abs() < 0.02 and ((mask * y**2).sum().sqrt() - 3).abs() < 0.06


def test_gabor_functions_are_waves_under_a_gaussian_that_see_no_brightness() -> None:
    sigma, wavelength, direction = 2.0, 6.0, 0.6
    for phase in (0.0, -math.pi / 2):
        mask = filters.gabor(sigma, wavelength, direction, phase).numpy()
        reach = mask.shape[0] // 2
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
        wave = np.cos(2 * math.pi * (x * math.cos(direction) + y * math.sin(direction)) / wavelength + phase)
        plain = bell / bell.sum() * wave
        np.testing.assert_allclose(mask, plain - bell / bell.sum() * plain.sum(), atol=1e-12)
        assert abs(mask.sum()) < 1e-12
        mirrored = mask[::-1, ::-1]
        np.testing.assert_allclose(mask, mirrored if phase == 0 else -mirrored, atol=1e-12)
    edge = (torch.arange(21.0) > 10).double().expand(21, 21)
    assert filters.correlate(edge, filters.gabor(2, 8, phase=-math.pi / 2), border="nearest")[10, 10] > 0


def test_banks_hold_each_scale_order_and_direction() -> None:
    assert len(filters.gaussian_bank([1, 2], directions=6)) == 2 * (1 + 6 + 6)
    assert len(filters.gaussian_bank([1, 2], orders=[1], directions=4, elongation=3)) == 8
    assert len(filters.gabor_bank([1, 2], directions=3)) == 2 * 3 * 2
    assert {tuple(mask.shape) for mask in filters.gabor_bank([1.0, 1.5], size=11)} == {(11, 11)}


@pytest.mark.parametrize("variant", ["lenet5-gabor", "lenet5-derivatives"])
def test_a_fixed_first_layer_is_saved_but_not_learned(variant: str) -> None:
    grey, colour = nets.build(variant, (1, 28, 28), 10), nets.build(variant, (3, 28, 28), 10)
    assert "conv1.weight" in grey.state_dict() and "conv1.weight" not in dict(grey.named_parameters())
    weight = grey.state_dict()["conv1.weight"]
    assert torch.linalg.matrix_rank(weight.flatten(1)) == 6
    torch.testing.assert_close(weight.flatten(1).norm(dim=1), torch.ones(6))
    image = torch.rand(2, 1, 28, 28)
    seen: list[dict[str, torch.Tensor]] = [{}, {}]
    grey(image, seen[0])
    colour(image.expand(-1, 3, -1, -1), seen[1])
    torch.testing.assert_close(seen[0]["conv1"], seen[1]["conv1"], atol=1e-5, rtol=0)


def test_what_makes_no_mask_is_refused() -> None:
    with pytest.raises(UserError, match="2 x 3 weights"):
        filters.correlate(torch.zeros(5, 5), torch.zeros(2, 3))
    with pytest.raises(UserError, match="order 3"):
        filters.gaussian(1.0, 3)
    with pytest.raises(UserError, match="side of 4 pixels"):
        filters.gaussian(1.0, size=4)
    for none in (0.0, -1.0, math.nan):
        with pytest.raises(UserError, match="expected a number above 0"):
            filters.gaussian(none)
    with pytest.raises(UserError, match="5 x 5 weights for an image of 3 x 3"):
        filters.convolve(torch.zeros(3, 3), torch.zeros(5, 5), extent="valid")
    with pytest.raises(UserError, match="strided"):
        nets.build("lenet5-gabor", (1, 28, 28), 10, {"pooling": "strided"})
