"""Regression: one or more numbers for each sample, by squared error.

The net learns standardised targets (mean 0, deviation 1 over the training split); metrics and predictions are in the
target's own unit. Shapes: B batch, K numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hyperplane.contracts import Batch, Description, Metric, Output, Said, Sniff
from hyperplane.tasks.blocks import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fits(description: Description) -> Sniff:
    """Return how well regression suits the data, and why."""
    if description.classes:
        return Sniff(0.0, f"the target is one of {len(description.classes)} classes, not a number")
    return Sniff(1.0, f"the target is a number ({', '.join(description.target_names)})")


class Regression(nn.Module):
    """Learn the target's mean given the input."""

    METRICS = (
        Metric("rmse", "target", "lower", "root of the mean squared error"),
        Metric("r2", "", "higher", "share of the target's variance that is explained"),
        Metric("mae", "target", "lower", "mean absolute error"),
    )
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
        standard_BK = net(batch.fields[self.input], taps)
        return Output(self.residuals(standard_BK, batch).square().mean(dim=1), standard_BK, taps=taps or {})

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

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return RMSE and mean absolute error (the target's unit) and R², each averaged over the numbers."""
        value_BK = statistics["value_BK"]
        error_BK = statistics["prediction_BK"] - value_BK
        variance_K = (value_BK - value_BK.mean(0)).square().sum(0)
        unexplained_K = error_BK.square().sum(0) / variance_K.where(variance_K > 0, torch.nan)  # equal targets: no R²
        return {
            "rmse": error_BK.square().mean(0).sqrt().mean().item(),
            "r2": (1 - unexplained_K).mean().item(),
            "mae": error_BK.abs().mean().item(),
        }

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return for each sample its numbers by name, in the target's unit."""
        return [dict(zip(self.names, row, strict=True)) for row in self.values(prediction).tolist()]

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return the true numbers and the predicted ones."""
        pairs = zip(statistics["value_BK"][which].tolist(), statistics["prediction_BK"][which].tolist(), strict=True)
        return [Said(_in_words(truth), _in_words(prediction)) for truth, prediction in pairs]

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return predicted against true values, and what is left over, for each number."""
        drawn: dict[str, Figure] = {}
        for k, name in enumerate(self.names):
            value_B, prediction_B = (statistics[n][:, k].numpy() for n in ("value_BK", "prediction_BK"))
            ending = f"-{k + 1}" if self.outputs > 1 else ""
            drawn[f"predicted{ending}"] = figures.scatter(value_B, prediction_B, name)
            drawn[f"residuals{ending}"] = figures.residuals(value_B, prediction_B, name)
        return drawn


def _in_words(row: list[float]) -> str:
    return ", ".join(f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.5g}" for value in row)


TASK = Regression
