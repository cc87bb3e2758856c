"""The losses of a net's outputs beside the last: auxiliary heads, or what it says at an earlier step.

Shapes: B batch, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


def forward(
    net: nn.Module, x: Tensor, taps: dict[str, Tensor] | None, loss: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Return a net's output (B, K), the loss of each sample, and the parts of it that its other outputs add.

    `loss` gives the loss (B,) of an output. In training each output that `net.auxiliary` names adds its own, weighted;
    there is none in evaluation, where the last output alone counts.
    """
    weights: dict[str, float] = getattr(net, "auxiliary", {})
    if not weights or not net.training:
        output_BK = net(x, taps)
        return output_BK, loss(output_BK), {}
    seen = {} if taps is None else taps
    output_BK = net(x, seen)
    terms = {name: weight * loss(seen[name]) for name, weight in weights.items()}
    return output_BK, sum(terms.values(), loss(output_BK)), terms
