"""Small nets with chosen or random weights, and what torch says of them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from hyperplane.explain.layers import Layer, Layers
from hyperplane.nets.mlp import MLP


def random_mlp(seed: int, hidden: tuple[int, ...], inputs: int = 2, outputs: int = 1, **options) -> MLP:
    """Return an MLP with normal weights and biases."""
    net = MLP((inputs,), outputs, hidden=hidden, **options).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=generator)
    return net


def one_layer(weight_HD: object, bias_H: object, output_H: object | None = None) -> Layers:
    """Return a net of one hidden ReLU layer; it adds its units up unless told otherwise."""
    weight_HD, bias_H = np.array(weight_HD, float), np.array(bias_H, float)
    output_1H = np.ones((1, len(bias_H))) if output_H is None else np.array([output_H], float)
    return Layers((Layer(weight_HD, bias_H),), Layer(output_1H, np.zeros(1)))


def jacobian(net: nn.Module, x_BD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a float64 copy's outputs (B, K) and autograd's derivatives (B, K, D)."""
    double = net.double()
    x = torch.from_numpy(x_BD).requires_grad_()
    y_BK = double(x)
    columns = [torch.autograd.grad(y_BK[:, k].sum(), x, retain_graph=True)[0] for k in range(y_BK.shape[1])]
    return y_BK.detach().numpy(), torch.stack(columns, dim=1).numpy()


def patterns(net: Layers, x_BD: np.ndarray) -> np.ndarray:
    """Return which units are on at each point, (B, H), of all layers one after the other."""
    return np.concatenate([before_BH > 0 for before_BH in net.before(x_BD)], axis=1)
