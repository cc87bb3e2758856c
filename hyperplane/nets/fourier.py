"""Fourier features: sines and cosines of random directions of the input, then an MLP; for signals as functions.

Tancik et al. 2020, "Fourier features let networks learn high frequency functions in low dimensional domains"
(arXiv:2006.10739), section 6: γ(v) = [cos 2πBv, sin 2πBv], each number of B drawn from N(0, σ²) once and never trained.
The features take the place of the input; σ, in periods per unit of it, decides which details the net learns first: too
small blurs, too large sees only noise. The paper's pictures lie in [0, 1]², where it finds σ = 10; in our [-1, 1]² the
same waves have σ = 5. What differs: the output is linear, where the paper's pictures have a sigmoid.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import ACTIVATIONS, Activation, initialise

VARIANTS: dict[str, dict] = {"fourier-image": {"features": 256, "sigma": 5.0, "hidden": (256, 256, 256)}}
"""The net that the paper fits pictures with: 256 frequencies and an MLP of four layers with 256 channels."""
EXAMPLE = {"shape": (2,), "outputs": 1, "options": {"features": 6, "hidden": (5,)}}


class Fourier(nn.Module):
    """An MLP on sines and cosines of 2πBx."""

    ACCEPTS = ("feature_BD",)
    direction_FD: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        features: int = 64,
        sigma: float = 2.0,
        hidden: tuple[int, ...] = (64,),
        activation: Activation = "relu",
    ) -> None:
        """Build a net on `features` random frequencies, each a cosine and a sine, with layers of `hidden` units.

        `sigma` is the deviation of the frequencies, in periods per unit of the input. B is part of the saved weights.
        """
        super().__init__()
        if features < 1:
            raise UserError(f"net fourier.features: found {features}, expected 1 or more; type: --net.features 64")
        if not 0 < sigma < math.inf:
            raise UserError(f"net fourier.sigma: found {sigma}, expected a number above 0; type: --net.sigma 2")
        if not all(width > 0 for width in hidden):
            raise UserError(
                f"net fourier.hidden: found {list(hidden)}, expected widths of 1 or more; type: --net.hidden 64"
            )
        self.register_buffer("direction_FD", sigma * torch.randn(features, math.prod(shape)))
        widths = (2 * features, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.output = nn.Linear(widths[-1], outputs)
        self.activation = ACTIVATIONS[activation]
        for layer in self.hidden:
            initialise(layer, activation)  # pyright: ignore[reportArgumentType]
        initialise(self.output, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `features`, `hidden1`, `hidden2`, ... are the features and the activations."""
        angle_BF = 2 * math.pi * (x @ self.direction_FD.mT)
        h_BD = torch.cat([torch.cos(angle_BF), torch.sin(angle_BF)], dim=1)
        if taps is not None:
            taps["features"] = h_BD
        for depth, layer in enumerate(self.hidden, 1):
            h_BD = self.activation(layer(h_BD))
            if taps is not None:
                taps[f"hidden{depth}"] = h_BD
        return self.output(h_BD)


NET = Fourier
