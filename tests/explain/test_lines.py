"""Breakpoints against dense sampling, and level sets against the nets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperplane.errors import UserError
from hyperplane.explain import levels
from hyperplane.explain.breakpoints import pieces
from hyperplane.explain.layers import Layer, Layers, layers
from hyperplane.explain.regions import regions
from tests.explain.nets import one_layer, patterns, random_mlp

SQUARE = ((-1.0, 1.0), (-1.0, 1.0))


@given(
    seed=st.integers(0, 10_000),
    hidden=st.lists(st.integers(1, 12), min_size=0, max_size=4),
    inputs=st.integers(1, 20),
    bypass=st.booleans(),
)
@settings(max_examples=40)
def test_pieces_against_dense_sampling(seed: int, hidden: list[int], inputs: int, bypass: bool) -> None:
    net = layers(random_mlp(seed, tuple(hidden), inputs=inputs, outputs=2, bypass=bypass))
    start_D, end_D = np.random.default_rng(seed).normal(size=(2, inputs))
    found = pieces(net, start_D, end_D)
    t_B = np.linspace(0, 1, 2001)
    x_BD = start_D + t_B[:, None] * (end_D - start_D)
    y_BK = net(x_BD)
    np.testing.assert_allclose(
        found(t_B), y_BK, rtol=0, atol=1e-12 * (np.abs(y_BK).max() + np.abs(found.slope_SK).max())
    )
    assert found.edge_S[0] == 0 and found.edge_S[-1] == 1 and np.all(np.diff(found.edge_S) > 0)
    if hidden:
        active_BH = patterns(net, x_BD)
        changes_B = (active_BH[1:] != active_BH[:-1]).any(axis=1)
        broken_B = np.histogram(found.breakpoint_S, bins=t_B)[0] > 0
        assert not np.any(changes_B & ~broken_B)
        middle_S = (found.edge_S[1:] + found.edge_S[:-1]) / 2
        wide_S = np.diff(found.edge_S) > 1e-9
        at_middle_SH = patterns(net, start_D + middle_S[:, None] * (end_D - start_D))
        np.testing.assert_array_equal(found.active_SH[wide_S], at_middle_SH[wide_S])
        assert np.all((found.active_SH[1:] != found.active_SH[:-1]).any(axis=1)), "a unit changes at every breakpoint"


def test_known_breakpoints() -> None:
    net = one_layer([[1.0], [1], [2], [0], [-1]], [-0.25, -0.25, -1, 3, 0.5])
    found = pieces(net, np.array([0.0]), np.array([1.0]))
    np.testing.assert_allclose(found.breakpoint_S, [0.25, 0.5])
    np.testing.assert_allclose(found.slope_SK[:, 0], [-1, 1, 4])


def test_a_zigzag_folds_once_more_with_every_layer() -> None:
    """Layers of two units that map [0, 1] onto itself twice make 2^depth pieces (Telgarsky 2015, arXiv:1509.08101)."""
    fold = np.array([[2.0, -4.0]])
    hidden = [Layer(np.ones((2, 1)), np.array([0, -0.5]))]
    hidden += [Layer(np.ones((2, 1)) @ fold, np.array([0, -0.5])) for _ in range(7)]
    found = pieces(Layers(tuple(hidden), Layer(fold, np.zeros(1))), np.zeros(1), np.ones(1))
    np.testing.assert_allclose(found.edge_S, np.arange(257) / 256)
    np.testing.assert_allclose(np.abs(found.slope_SK), 256)


def test_breakpoints_are_those_of_relu() -> None:
    with pytest.raises(UserError, match="found the activation sigmoid"):
        pieces(layers(random_mlp(0, (3,), activation="sigmoid")), np.zeros(2), np.ones(2))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_unit_levels_are_where_units_are_half_on(activation: str) -> None:
    net = layers(random_mlp(1, (4, 5), activation=activation))
    found = levels.unit_levels(net, SQUARE)
    assert [len(layer) for layer in found] == [4, 5]
    assert any(found[0]) and any(found[1])
    for depth, tolerance in ((0, 1e-12), (1, 1e-3)):
        for unit, lines in enumerate(found[depth]):
            for line_S2 in lines:
                assert np.abs(net.before(line_S2)[depth][:, unit]).max() < tolerance


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_the_exact_boundary_is_the_one_on_a_grid(outputs: int) -> None:
    net = layers(random_mlp(6, (9, 7), outputs=outputs))
    wide = ((-4.0, 4.0), (-4.0, 4.0))
    exact_S22 = levels.exact_boundary(regions(net, wide))
    value_SK = np.sort(net(exact_S22.reshape(-1, 2)), axis=1)
    other = value_SK[:, -2] if outputs > 1 else 0
    scale = np.abs(net(levels.grid(wide, 21).reshape(-1, 2))).max()
    assert np.abs(value_SK[:, -1] - other).max() < 1e-11 * scale, "the two best are equal"
    length = np.linalg.norm(exact_S22[:, 1] - exact_S22[:, 0], axis=1).sum()
    lines = levels.boundary(levels.on_grid(net, wide, 801), wide)
    sampled = sum(np.linalg.norm(np.diff(line_S2, axis=0), axis=1).sum() for line_S2 in lines)
    assert sampled / max(1, min(2, outputs)) == pytest.approx(length, rel=0.03)
