"""Regions: they tile, they are all there, and their maps are the net's, also where lines meet, coincide or are none."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperplane.errors import UserError
from hyperplane.explain.layers import Layer, Layers, layers
from hyperplane.explain.regions import Regions, regions
from hyperplane.nets.perceptron import Perceptron
from tests.explain.nets import jacobian, one_layer, patterns, random_mlp

SQUARE = ((-1.0, 1.0), (-1.0, 1.0))


def _points(window: tuple, count: int = 400) -> np.ndarray:
    low, high = np.array(window).T
    return low + (high - low) * np.random.default_rng(0).random((count, 2))


def _expect_right(net: Layers, found: Regions, rounding: float = 1e-12) -> None:
    """Check tiling, convexity, that sampled points lie in the region of their pattern, and the maps at its middle."""
    (left, right), (bottom, top) = found.window
    whole = (right - left) * (top - bottom)
    assert found.area_P.min() > 0
    assert found.area_P.sum() == pytest.approx(whole, rel=1e-9)
    scale = np.abs(found.value_PVK).max() or 1.0
    middle_PK = np.einsum("pkd,pd->pk", found.slope_PK2, found.centre_P2) + found.offset_PK
    np.testing.assert_allclose(middle_PK, net(found.centre_P2), rtol=0, atol=rounding * scale)

    place = {row.tobytes(): p for p, row in enumerate(found.active_PH)}
    assert len(place) == len(found), "a pattern's region is convex, hence one"
    size = max(right - left, top - bottom)
    x_B2 = _points(found.window)
    for x_2, pattern_H in zip(x_B2, patterns(net, x_B2), strict=True):
        if pattern_H.tobytes() not in place:
            distance = min(np.min(np.abs(b / (np.abs(b).max() or 1))) for b in net.before(x_2[None]))
            assert distance < 1e-9, f"no region has the pattern at {x_2}"
            continue
        p = place[pattern_H.tobytes()]
        corner_V2 = found.polygons[p]
        edge_V2 = np.roll(corner_V2, -1, axis=0) - corner_V2
        to_V2 = x_2 - corner_V2
        inside_V = edge_V2[:, 0] * to_V2[:, 1] - edge_V2[:, 1] * to_V2[:, 0]
        assert np.all(inside_V >= -1e-9 * size * size)


@given(
    seed=st.integers(0, 10_000),
    hidden=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    outputs=st.integers(1, 3),
    bypass=st.booleans(),
)
@settings(max_examples=40)
def test_random_nets_against_sampling_and_autograd(seed: int, hidden: list[int], outputs: int, bypass: bool) -> None:
    net = random_mlp(seed, tuple(hidden), outputs=outputs, bypass=bypass)
    window = ((-1.5, 2.0), (-0.5, 3.0))
    found = regions(layers(net), window)
    _expect_right(layers(net), found)
    inner = found.area_P > 1e-9
    y_PK, slope_PK2 = jacobian(net, found.centre_P2[inner])
    scale = np.abs(found.slope_PK2).max() + np.abs(y_PK).max()
    np.testing.assert_allclose(found.slope_PK2[inner], slope_PK2, rtol=0, atol=1e-12 * scale)


@given(data=st.data(), hidden=st.lists(st.integers(1, 6), min_size=1, max_size=3), bypass=st.booleans())
@settings(max_examples=80)
def test_weights_of_few_whole_numbers(data: st.DataObject, hidden: list[int], bypass: bool) -> None:
    """Such nets have parallel, equal, dead and constant units, and lines that meet in corners and run along edges."""
    widths = [2, *hidden, 1]
    few = st.integers(-2, 2)
    drawn = [
        Layer(
            np.array(data.draw(st.lists(few, min_size=n * m, max_size=n * m)), float).reshape(m, n),
            np.array(data.draw(st.lists(few, min_size=m, max_size=m)), float),
        )
        for n, m in pairwise(widths)
    ]
    net = Layers(tuple(drawn[:-1]), drawn[-1], bypass=bypass)
    _expect_right(net, regions(net, ((-2.0, 2.0), (-2.0, 2.0))))


@pytest.mark.parametrize("lines", [1, 2, 3, 7, 20])
def test_lines_in_general_position_make_as_many_as_they_can(lines: int) -> None:
    angle = np.pi * (np.arange(lines) + 0.3) / lines
    weight_HD = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    net = one_layer(
        weight_HD, 0.01 * np.sin(7 * np.arange(lines))
    )  # tangents of a small circle, nearly: all meet inside
    found = regions(net, ((-100.0, 100.0), (-100.0, 100.0)))
    assert len(found) == 1 + lines + lines * (lines - 1) // 2
    assert np.bincount(found.bends.unit_S, minlength=lines).tolist() == [1] * lines


@pytest.mark.parametrize(
    ("weight", "bias", "count"),
    [
        ([[0, 0]], [0], 1),  # no weights at all
        ([[0, 0]], [1], 1),  # always on
        ([[1, 0]], [5], 1),  # outside of the window
        ([[1, 0]], [1], 1),  # along the window's border
        ([[1, 1]], [2], 1),  # touches a corner of the window
        ([[1, 1]], [0], 2),  # through two corners of the window
        ([[1, 0]] * 5, [0] * 5, 2),  # all the same
        ([[1, 0], [-1, 0], [3, 0]], [0] * 3, 2),  # the same line, whatever its side and scale
        ([[1, 0]] * 4, [-0.5, 0, 0.25, 0.5], 5),  # parallel
        ([[1, 0], [0, 1], [1, 1], [1, -1]], [0] * 4, 8),  # all through one point
        ([[1, 0], [0, 1], [1, 1]], [0.1, 0.2, 0.3], 6),  # a third through the crossing of two, up to rounding
        ([[1, 0], [1e-13, 0]], [0, 0], 2),  # one far weaker than the other
        ([[1e-200, 0], [0, 1e200]], [0, 0], 4),
        ([[1, 0], [1, 1e-15]], [0, 0], 2),  # equal but for rounding
    ],
)
def test_degenerate_units(weight: list, bias: list, count: int) -> None:
    net = one_layer(weight, bias)
    found = regions(net, SQUARE)
    assert len(found) == count
    _expect_right(net, found)


def test_units_that_bend_along_an_edge_of_the_layer_before() -> None:
    """x₁ as the difference of two units with one line: its hyperplane lies between two regions, inside of none."""
    first = Layer(np.array([[1.0, 0], [-1, 0]]), np.zeros(2))
    net = Layers((first, Layer(np.array([[1.0, -1]]), np.zeros(1))), Layer(np.ones((1, 1)), np.zeros(1)))
    found = regions(net, SQUARE)
    assert len(found) == 2
    np.testing.assert_allclose(found.bends.of(1, 0)[..., 0], 0)
    assert np.ptp(found.bends.of(1, 0)[..., 1]) == 2
    _expect_right(net, found)


def test_hyperplanes_are_where_units_change_sign() -> None:
    net = layers(random_mlp(3, (7, 6, 5), bypass=True))
    found = regions(net, SQUARE)
    for depth, width in enumerate((7, 6, 5)):
        for unit in range(width):
            ends_S22 = found.bends.of(depth, unit)
            for share in (0.0, 0.3, 1.0):
                x_S2 = ends_S22[:, 0] + share * (ends_S22[:, 1] - ends_S22[:, 0])
                assert np.all(np.abs(net.before(x_S2)[depth][:, unit]) < 1e-10)
    before_BH = net.before(_points(SQUARE, 5000))[1]
    seen = {int(unit) for unit in np.flatnonzero((before_BH > 0).any(0) & (before_BH < 0).any(0))}
    assert seen <= set(found.bends.unit_S[found.bends.layer_S == 1].tolist())
    assert len(found.bends.of(0)) == len(np.unique(found.bends.unit_S[found.bends.layer_S == 0]))


def test_a_perceptron_has_one_region() -> None:
    net = layers(Perceptron((2,), 3))
    found = regions(net, SQUARE)
    assert (len(found), found.widths, found.active_PH.shape) == (1, (), (1, 0))
    np.testing.assert_allclose(found.slope_PK2[0], net.output.weight_HD)


def test_a_slice_of_many_inputs() -> None:
    module = random_mlp(5, (12, 9), inputs=30, outputs=2)
    net = layers(module)
    generator = np.random.default_rng(1)
    origin_D, direction_ED = generator.normal(size=30), generator.normal(size=(2, 30))
    found = regions(net.through(direction_ED, origin_D), SQUARE)
    x_PD = origin_D + found.centre_P2 @ direction_ED
    y_PK, slope_PKD = jacobian(module, x_PD)
    inner, scale = found.area_P > 1e-9, np.abs(found.value_PVK).max()
    np.testing.assert_allclose(np.einsum("pkd,pd->pk", found.slope_PK2, found.centre_P2) + found.offset_PK, y_PK,
                               rtol=0, atol=1e-12 * scale)  # fmt: skip
    np.testing.assert_allclose(found.slope_PK2[inner], (slope_PKD @ direction_ED.T)[inner], atol=1e-11 * scale)
    _expect_right(net.through(direction_ED, origin_D), found)


@pytest.mark.parametrize("window", [((1e6, 1e6 + 1), (-1e-3, 1e-3)), ((-1e-7, 1e-7), (-3e7, 2e7))])
def test_windows_far_away_small_and_narrow(window: tuple) -> None:
    net = layers(random_mlp(2, (9, 8)))
    size, middle = np.diff(window)[:, 0], np.mean(window, axis=1)
    found = regions(net.through(np.diag(2 / size), -2 * middle / size), window)
    assert len(found) == len(regions(net, SQUARE))
    assert found.area_P.sum() == pytest.approx(np.prod(np.diff(window)), rel=1e-9)


def test_levels_are_where_the_output_has_that_value() -> None:
    net = layers(random_mlp(8, (8, 8)))
    found = regions(net, SQUARE)
    value = float(np.median(found.value_PVK))
    ends_S22 = found.level(0, value)
    assert len(ends_S22)
    np.testing.assert_allclose(net(ends_S22.mean(axis=1)), value, atol=1e-11 * np.abs(found.value_PVK).max())


def test_too_many_are_refused_before_they_are_made() -> None:
    net = layers(random_mlp(0, (40, 40)))
    count = len(regions(net, SQUARE))
    assert len(regions(net, SQUARE, limit=count)) == count, "the count expected is exact in general position"
    with pytest.raises(UserError, match=rf"hidden layer 2 of 40-40 units makes at least {count:,} .* at most 500"):
        regions(net, SQUARE, limit=500)
    with pytest.raises(UserError, match="hidden layer 1 of 5000-10 units makes at least"):
        regions(layers(random_mlp(0, (5000, 10))), SQUARE)


@pytest.mark.parametrize(
    ("net", "window", "said"),
    [
        (layers(random_mlp(0, (3,), activation="tanh")), SQUARE, "found the activation tanh"),
        (layers(random_mlp(0, (3,), inputs=3)), SQUARE, "found 3 inputs, expected 2"),
        (one_layer([[np.nan, 1]], [0]), SQUARE, "not finite"),
        (one_layer([[1, 1]], [0]), ((1.0, 1.0), (0.0, 1.0)), "least and greatest"),
        (one_layer([[1, 1]], [0]), ((0.0, np.inf), (0.0, 1.0)), "least and greatest"),
    ],
)
def test_what_has_no_regions(net: Layers, window: tuple, said: str) -> None:
    with pytest.raises(UserError, match=said):
        regions(net, window)
