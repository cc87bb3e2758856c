"""What lies behind a bypass: nets of any depth begin with activations of about the same size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hyperplane.nets.mlp import MLP


def drawn(activation: str, depth: int, bypass: bool = True, seed: int = 0) -> MLP:
    torch.manual_seed(seed)
    return MLP((2,), 1, hidden=(32,) * depth, activation=activation, bypass=bypass)  # pyright: ignore


def growth(activation: str, depth: int) -> float:
    """Return the median over seeds of the mean square of the last layer's activations, over that of the first's."""
    x_B2 = torch.randn(256, 2, generator=torch.Generator().manual_seed(1))
    found: list[float] = []
    for seed in range(5):
        taps: dict[str, Tensor] = {}
        drawn(activation, depth, seed=seed)(x_B2, taps)
        found.append((taps[f"hidden{depth}"].square().mean() / taps["hidden1"].square().mean()).item())
    return sorted(found)[2]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_sum_does_not_grow_with_the_depth(activation: str) -> None:
    few, many = growth(activation, 8), growth(activation, 64)
    assert 1 < few < 8 and many < 3 * few


@pytest.mark.parametrize(("activation", "share"), [("relu", 1 / 3), ("sigmoid", 1.0), ("tanh", 3**-0.5)])
def test_the_draw_is_that_of_a_plain_net_made_smaller(activation: str, share: float) -> None:
    plain, bypassed = drawn(activation, 4, bypass=False), drawn(activation, 4)
    for depth, (one, other) in enumerate(zip(plain.hidden, bypassed.hidden, strict=True)):
        assert isinstance(one, nn.Linear) and isinstance(other, nn.Linear)
        torch.testing.assert_close(other.weight, one.weight * (share if depth else 1.0))
    assert torch.equal(plain.output.weight, bypassed.output.weight)


def test_a_bypass_that_no_layer_has_changes_nothing() -> None:
    for one, other in zip(drawn("relu", 1, bypass=False).parameters(), drawn("relu", 1).parameters(), strict=True):
        assert torch.equal(one, other)
