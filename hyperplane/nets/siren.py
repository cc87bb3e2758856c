"""SIREN: h ← sin(ω₀ (W h + b)) in every hidden layer, then a linear output; for signals as functions of the place.

Sitzmann, Martel, Bergman, Lindell and Wetzstein 2020, "Implicit neural representations with periodic activation
functions" (arXiv:2006.09661): the layers of section 3, initialised as in its section 3.2 and the supplement's 1.5.

- Every hidden layer multiplies by ω₀ (30), and every W but the first is drawn that much smaller, uniform within
  ±√(6 / fan-in) / ω₀. So ω₀ W h has deviation 1 at every depth, as in section 3.2, and gradients grow by ω₀.
- The first W is uniform within ±1 / fan-in, as in the authors' published code; the paper leaves it open. Over inputs in
  [-1, 1] a sine then runs through at most ω₀ / π periods.
- The linear output is drawn as the hidden layers. Biases are uniform within ±1 / √fan-in, as in that code.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from hyperplane.errors import UserError

VARIANTS: dict[str, dict] = {"siren-image": {"hidden": (256, 256, 256, 256)}}
"""The five-layer net that the paper fits pictures with."""
EXAMPLE = {"shape": (2,), "outputs": 1, "options": {"hidden": (8, 5)}}


class Siren(nn.Module):
    """Layers of sines, each connected to all of the layer before."""

    ACCEPTS = ("feature_BD",)

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, hidden: tuple[int, ...] = (64, 64), omega_0: float = 30.0
    ) -> None:
        """Build a net with layers of `hidden` sines; `omega_0`, in radians per unit, is how fast they may swing."""
        super().__init__()
        if not hidden or not all(width > 0 for width in hidden):
            raise UserError(
                f"net siren.hidden: found {list(hidden)}, expected one width or more, each 1 or more; "
                "type: --net.hidden 64 64"
            )
        if not 0 < omega_0 < math.inf:
            raise UserError(f"net siren.omega_0: found {omega_0}, expected a number above 0; type: --net.omega-0 30")
        widths = (math.prod(shape), *hidden)
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(widths))
        self.output = nn.Linear(widths[-1], outputs)
        self.omega_0 = omega_0
        for depth, layer in enumerate((*self.hidden, self.output)):
            assert isinstance(layer, nn.Linear)
            most = math.sqrt(6 / layer.in_features) / omega_0 if depth else 1 / layer.in_features
            nn.init.uniform_(layer.weight, -most, most)
            nn.init.uniform_(layer.bias, -1 / math.sqrt(layer.in_features), 1 / math.sqrt(layer.in_features))

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `hidden1`, `hidden2`, ... are the layers' sines."""
        h_BD = x
        for depth, layer in enumerate(self.hidden, 1):
            h_BD = torch.sin(self.omega_0 * layer(h_BD))
            if taps is not None:
                taps[f"hidden{depth}"] = h_BD
        return self.output(h_BD)


NET = Siren
