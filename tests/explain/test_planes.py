"""Hyperplanes: the lecture's signed distance in 2, 3 and N dimensions, windows, and the user's own units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hyperplane import data, nets
from hyperplane.errors import UserError
from hyperplane.explain.layers import in_units, layers, units
from hyperplane.explain.planes import Hyperplane, hyperplanes
from hyperplane.nets.perceptron import Perceptron
from hyperplane.recipe import DataRecipe
from tests.explain.nets import random_mlp

SQUARE = ((-1.0, 1.0), (-1.0, 1.0))


@pytest.mark.parametrize("dimensions", [1, 2, 3, 17])
def test_signed_distance_is_how_far_the_nearest_point_is(dimensions: int) -> None:
    generator = np.random.default_rng(dimensions)
    plane = Hyperplane(generator.normal(size=dimensions) * 7, 2.5)
    x_BD = generator.normal(size=(50, dimensions))
    h_B = plane.signed_distance(x_BD)
    foot_BD = plane.nearest(x_BD)
    np.testing.assert_allclose(plane.value(foot_BD), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(x_BD - foot_BD, axis=1), np.abs(h_B))
    np.testing.assert_array_equal(h_B > 0, (x_BD - foot_BD) @ plane.w_D > 0)
    unit = plane.normalised()
    assert np.linalg.norm(unit.w_D) == pytest.approx(1)
    np.testing.assert_allclose(np.c_[np.ones(50), x_BD] @ unit.tilde, h_B)


@pytest.mark.parametrize("size", [1e-300, 1e-5, 1e300])
def test_a_normal_of_any_length_is_normalised(size: float) -> None:
    plane = Hyperplane(np.array([3.0, 4.0]) * size, 5.0 * size)
    np.testing.assert_allclose(plane.normalised().tilde, [1.0, 0.6, 0.8])


@pytest.mark.parametrize("w", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_no_normal_no_hyperplane(w: list[float]) -> None:
    with pytest.raises(UserError, match="its normal w is"):
        Hyperplane(np.array(w), 1.0).signed_distance(np.zeros((1, 2)))


@given(angle=st.floats(0, 2 * np.pi), b=st.floats(-3, 3))
def test_segments_lie_on_the_line_and_on_the_border(angle: float, b: float) -> None:
    plane = Hyperplane(np.array([np.cos(angle), np.sin(angle)]), b)
    segment = plane.segment(SQUARE)
    corner_B = plane.value(np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]))
    if segment is None:
        assert corner_B.min() > -1e-9 or corner_B.max() < 1e-9
        return
    np.testing.assert_allclose(plane.value(segment), 0, atol=1e-12)
    np.testing.assert_allclose(np.abs(segment).max(axis=1), 1)
    (ax, ay), (bx, by) = segment
    assert (bx - ax) * plane.w_D[1] - (by - ay) * plane.w_D[0] > 0, "w points to the left of the segment"


@pytest.mark.parametrize(
    ("w", "b", "expected"),
    [([1, 0], 0, [[0, 1], [0, -1]]), ([0, 2], -2, [[-1, 1], [1, 1]]), ([1, 1], -2, None), ([1, 0], 2, None)],
)
def test_segments_along_axes_borders_and_corners(w: list, b: float, expected: list | None) -> None:
    segment = Hyperplane(np.array(w, float), b).segment(SQUARE)
    if expected is None:
        assert segment is None
    else:
        np.testing.assert_allclose(np.sort(segment, axis=0), np.sort(expected, axis=0))  # pyright: ignore[reportCallIssue, reportArgumentType]


def test_hyperplanes_are_in_the_users_units() -> None:
    source = data.open(DataRecipe(source="points-separable", options={"samples": 50}))
    net = Perceptron((2,), 1)
    (plane,) = hyperplanes(layers(net), source.description)
    batch = source.batch("train", range(10))
    raw_B2 = np.array([[float(source.show("train", i)[name]) for name in ("x1", "x2")] for i in range(10)])  # pyright: ignore[reportIndexIssue, reportArgumentType, reportCallIssue]
    with torch.no_grad():
        np.testing.assert_allclose(plane.value(raw_B2), net(batch["feature_BD"])[:, 0], atol=1e-5)
    (standard,) = hyperplanes(layers(net))
    np.testing.assert_allclose(standard.w_D, net.output.weight[0].detach())


def test_units_of_tables_and_pictures() -> None:
    points = data.open(DataRecipe(source="points-separable", options={"samples": 50})).description
    columns = [
        {"name": "a", "kind": "number", "mean": 5.0, "std": 2.0, "missing": True},
        {"name": "b", "kind": "category", "categories": ["p", "q"]},
    ]
    table = replace(points, kind="table", encoding={"columns": columns, "features": list("vwxyz")})
    np.testing.assert_allclose(units(table).mean_D, [5, 0, 0, 0, 0])
    np.testing.assert_allclose(units(table).std_D, [2, 1, 1, 1, 1])
    shapes = {"image_BCHW": (3, 2, 2)}
    encoding = {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0]}
    pictures = replace(points, kind="image", input="image_BCHW", shapes=shapes, encoding=encoding)
    np.testing.assert_allclose(units(pictures).std_D, np.repeat([1.0, 2.0, 3.0], 4))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("bypass", [False, True])
def test_layers_are_the_net(activation: str, bypass: bool) -> None:
    net = random_mlp(0, (5, 8, 3), inputs=4, outputs=2, activation=activation, bypass=bypass, dropout=0.5)
    x_BD = np.random.default_rng(0).normal(size=(20, 4))
    expected = net.double()(torch.from_numpy(x_BD)).detach().numpy()
    np.testing.assert_allclose(layers(net)(x_BD), expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())
    described = units(data.open(DataRecipe(source="points-separable", options={"samples": 50})).description)
    flat = layers(random_mlp(0, (3,)))
    raw_B2 = x_BD[:, :2]
    np.testing.assert_allclose(in_units(flat, described)(raw_B2), flat((raw_B2 - described.mean_D) / described.std_D))


def test_other_nets_have_no_hyperplanes_here() -> None:
    with pytest.raises(UserError, match="found lenet5, but hyperplanes and regions are those of an mlp"):
        layers(nets.build("lenet", (1, 28, 28), 10))
