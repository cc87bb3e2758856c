"""Fourier features: the distribution of the frequencies, and that they are fixed, saved and drawn from the seed."""

from __future__ import annotations

import math

import pytest
import safetensors.torch
import torch

from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.nets.fourier import Fourier


def build(seed: int = 0, name: str = "fourier", shape: tuple[int, ...] = (2,), **options) -> Fourier:
    with seeded(seed, "weights"):
        net = nets.build(name, shape, 1, options)
    assert isinstance(net, Fourier)
    return net


@pytest.mark.parametrize("sigma", [0.5, 10.0])
def test_frequencies_are_normal_with_deviation_sigma(sigma: float) -> None:
    direction_FD = build(features=4000, sigma=sigma, shape=(3,)).direction_FD / sigma
    assert direction_FD.shape == (4000, 3)
    assert direction_FD.mean().item() == pytest.approx(0, abs=0.05)
    assert direction_FD.std().item() == pytest.approx(1, abs=0.03)
    assert (direction_FD.abs() < 1).double().mean().item() == pytest.approx(0.6827, abs=0.03)


def test_features_are_cosines_and_sines_of_the_directions() -> None:
    net = build(features=5, hidden=()).double()
    x_BD = torch.tensor([[0.3, -0.8], [0.0, 0.0]], dtype=torch.float64)
    taps: dict[str, torch.Tensor] = {}
    said_BK = net(x_BD, taps)
    angle_BF = 2 * math.pi * x_BD @ net.direction_FD.T
    torch.testing.assert_close(taps["features"], torch.cat([angle_BF.cos(), angle_BF.sin()], dim=1))
    assert taps["features"][1].tolist() == [1.0] * 5 + [0.0] * 5
    torch.testing.assert_close(said_BK, net.output(taps["features"]))


def test_frequencies_are_saved_but_not_trained() -> None:
    net, other = build(), build(seed=1)
    assert "direction_FD" not in dict(net.named_parameters())
    assert not torch.equal(net.direction_FD, other.direction_FD)
    assert torch.equal(net.direction_FD, build().direction_FD)
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(net.state_dict())))
    assert torch.equal(net.direction_FD, other.direction_FD)


def test_the_papers_net_for_pictures() -> None:
    net = build(name="fourier-image")
    assert net.direction_FD.shape == (256, 2)
    assert [layer.weight.shape for layer in net.hidden] == [(256, 512), (256, 256), (256, 256)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"features": 0}, r"fourier\.features: found 0, .* type: --net\.features 64"),
        ({"sigma": -1.0}, r"fourier\.sigma: found -1\.0, .* type: --net\.sigma 2"),
        ({"sigma": math.inf}, r"fourier\.sigma: found inf"),
        ({"hidden": (0,)}, r"fourier\.hidden: found \[0\]"),
    ],
)
def test_options_out_of_range(options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        nets.build("fourier", (2,), 1, options)
