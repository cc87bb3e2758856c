"""What Levenberg-Marquardt needs of nets that are functions of the place: Jacobians of many of them at once."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, jacrev, vmap

from hyperplane import nets
from hyperplane.engine.chance import seeded


@pytest.mark.parametrize(
    ("name", "options"),
    [("siren", {"hidden": (6, 4)}), ("fourier", {"features": 3, "hidden": (4,), "activation": "tanh"})],
)
def test_jacobians_of_many_nets_at_once_are_autograds(name: str, options: dict) -> None:
    chance = torch.Generator().manual_seed(0)
    with seeded(0, "weights"):
        net = nets.build(name, (2,), 1, options).double()
    x_BD = torch.randn(5, 2, generator=chance, dtype=torch.float64)
    shapes = {n: p.shape for n, p in net.named_parameters()}
    many = {n: torch.randn(3, *shape, generator=chance, dtype=torch.float64) for n, shape in shapes.items()}
    found = vmap(vmap(jacrev(lambda w, x: functional_call(net, w, (x[None],))[0, 0]), (None, 0)), (0, None))(many, x_BD)
    for r in range(3):
        net.load_state_dict({**net.state_dict(), **{n: w[r] for n, w in many.items()}})
        for b in range(5):
            expected = torch.autograd.grad(net(x_BD[b : b + 1])[0, 0], list(net.parameters()))
            for n, grad in zip(shapes, expected, strict=True):
                torch.testing.assert_close(found[n][r, b], grad)
