"""SIREN: the paper's layers, their initialisation, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.nets.siren import Siren


def build(name: str, shape: tuple[int, ...] = (2,), outputs: int = 1, **options) -> Siren:
    with seeded(0, "weights"):
        net = nets.build(name, shape, outputs, options)
    assert isinstance(net, Siren)
    return net


def within(weight: torch.Tensor, most: float) -> None:
    """Expect numbers drawn uniformly within ± most: none beyond, and the deviation of that distribution."""
    assert weight.abs().max() <= most
    assert weight.std().item() == pytest.approx(most / math.sqrt(3), rel=5 / math.sqrt(weight.numel()))


@pytest.mark.parametrize("omega", [1.0, 30.0])
@pytest.mark.parametrize("inputs", [1, 2, 7])
def test_weights_are_drawn_as_in_the_paper(omega: float, inputs: int) -> None:
    net = build("siren", (inputs,), 40, hidden=(300, 200), omega_0=omega)
    within(net.hidden[0].weight, 1 / inputs)  # pyright: ignore
    within(net.hidden[1].weight, math.sqrt(6 / 300) / omega)  # pyright: ignore
    within(net.output.weight, math.sqrt(6 / 200) / omega)
    for layer in (*net.hidden, net.output):
        within(layer.bias, 1 / math.sqrt(layer.in_features))  # pyright: ignore


def test_the_sines_arguments_have_deviation_1_at_every_depth() -> None:
    """Section 3.2: the input of each sine but the first is normal with deviation 1, and its sine is an arcsine."""
    net = build("siren", hidden=(512, 512, 512, 512)).double()
    taps: dict[str, torch.Tensor] = {}
    x_BD = 2 * torch.rand(1000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    net(x_BD, taps)
    for depth in range(1, 4):
        layer = net.hidden[depth]
        argument_BD = net.omega_0 * taps[f"hidden{depth}"] @ layer.weight.mT  # pyright: ignore
        assert argument_BD.std().item() == pytest.approx(1, abs=0.1)
        assert taps[f"hidden{depth + 1}"].square().mean().item() == pytest.approx(0.5, abs=0.05)


def test_computes_sines_of_thirty_times_each_layer() -> None:
    net = build("siren", hidden=(3, 2)).double()
    x_BD = torch.tensor([[0.25, -0.5]], dtype=torch.float64)
    by_hand = x_BD[0]
    for layer in net.hidden:
        by_hand = torch.sin(30 * (layer.weight @ by_hand + layer.bias))  # pyright: ignore
    torch.testing.assert_close(net(x_BD)[0], net.output.weight @ by_hand + net.output.bias)


def test_the_papers_net_for_pictures() -> None:
    net = build("siren-image", outputs=3)
    assert sum(p.numel() for p in net.parameters()) == 2 * 256 + 256 + 3 * (256 * 256 + 256) + 256 * 3 + 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"hidden": ()}, r"siren\.hidden: found \[\]"),
        ({"hidden": (4, 0)}, r"siren\.hidden: found \[4, 0\]"),
        ({"omega_0": 0.0}, r"siren\.omega_0: found 0\.0, .* type: --net\.omega-0 30"),
        ({"omega_0": math.nan}, r"siren\.omega_0: found nan"),
    ],
)
def test_options_out_of_range(options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        nets.build("siren", (2,), 1, options)
