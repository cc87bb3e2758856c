"""Regression: one or more numbers for each sample, by squared error.

Metrics and predictions are in the target's own unit. Shapes: B batch, K numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hyperplane.contracts import Description, Metric, Sniff
from hyperplane.tasks.blocks import figures
from hyperplane.tasks.blocks.squared_error import SquaredError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def fits(description: Description) -> Sniff:
    """Return how well regression suits the data, and why."""
    if description.classes:
        return Sniff(0.0, f"the target is one of {len(description.classes)} classes, not a number")
    if not description.target_names:
        return Sniff(0.0, f"the target is {description.target}, not a number")
    return Sniff(0.9, f"the target is a number ({', '.join(description.target_names)})")


class Regression(SquaredError):
    """Learn the target's mean given the input."""

    METRICS = (
        Metric("rmse", "target", "lower", "root of the mean squared error"),
        Metric("r2", "", "higher", "share of the target's variance that is explained"),
        Metric("mae", "target", "lower", "mean absolute error"),
    )

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

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return predicted against true values, and what is left over, for each number."""
        drawn: dict[str, Figure] = {}
        for k, name in enumerate(self.names):
            value_B, prediction_B = (statistics[n][:, k].numpy() for n in ("value_BK", "prediction_BK"))
            ending = f"-{k + 1}" if self.outputs > 1 else ""
            drawn[f"predicted{ending}"] = figures.scatter(value_B, prediction_B, name)
            drawn[f"residuals{ending}"] = figures.residuals(value_B, prediction_B, name)
        return drawn


TASK = Regression
