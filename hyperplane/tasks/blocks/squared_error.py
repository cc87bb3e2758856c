"""Numbers learned by squared error: what every task of that loss shares.

The net learns standardised targets (mean 0, deviation 1 over the training split); predictions are told in the target's
own unit. Shapes: B batch, K numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hyperplane.contracts import Batch, Description, Output, Said
from hyperplane.tasks.blocks import auxiliary


class SquaredError(nn.Module):
    """A task without its metrics and pictures: loss, decoding, and what second-order solvers make small."""

    mean_K: Tensor
    std_K: Tensor

    def __init__(self, description: Description) -> None:
        super().__init__()
        self.input, self.target, self.names = description.input, description.target, description.target_names
        self.outputs = len(self.names)
        mean_K, std_K = (
            torch.tensor(d, dtype=torch.float64) for d in (description.target_mean, description.target_std)
        )
        self.register_buffer("mean_K", mean_K, persistent=False)
        self.register_buffer("std_K", std_K, persistent=False)

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the squared error of each sample, averaged over its standardised numbers, and those numbers (B, K)."""
        standard_BK, loss_B, terms = auxiliary.forward(
            net, batch.fields[self.input], taps, lambda output_BK: self.residuals(output_BK, batch).square().mean(dim=1)
        )
        return Output(loss_B, standard_BK, terms, taps or {})

    def residuals(self, standard_BK: Tensor, batch: Batch) -> Tensor:
        """Return what the net says less the standardised target, (B, K): what least squares makes small."""
        return standard_BK - ((batch.fields[self.target] - self.mean_K) / self.std_K).to(standard_BK.dtype)

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the standardised numbers, (B, K)."""
        return net(batch.fields[self.input])

    def values(self, standard_BK: Tensor) -> Tensor:
        """Return standardised numbers in the target's own unit, float64 (B, K)."""
        return standard_BK.double() * self.std_K + self.mean_K

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return value_BK, prediction_BK (both in the target's unit, float64) and loss_B."""
        return {
            "value_BK": batch.fields[self.target].double(),
            "prediction_BK": self.values(output.prediction),
            "loss_B": output.loss_B.float(),
        }

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return for each sample its numbers by name, in the target's unit."""
        return [dict(zip(self.names, row, strict=True)) for row in self.values(prediction).tolist()]

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return the true numbers and the predicted ones."""
        pairs = zip(statistics["value_BK"][which].tolist(), statistics["prediction_BK"][which].tolist(), strict=True)
        return [Said(_in_words(truth), _in_words(prediction)) for truth, prediction in pairs]


def _in_words(row: list[float]) -> str:
    return ", ".join(f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.5g}" for value in row)
