"""A picture as a function: grey levels, or red, green and blue, at points (x, y), by squared error.

The loss is the share of the picture's variance that is left unexplained, as in the lecture. Levels go from 0 to 255.
Shapes: B pixels, K levels of each, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hyperplane.contracts import Batch, Description, Metric, Output, Sniff
from hyperplane.tasks.blocks import figures, reconstruction
from hyperplane.tasks.blocks.squared_error import SquaredError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WHITE = 255.0


def fits(description: Description) -> Sniff:
    """Return how well the task suits the data, and why."""
    if description.format != "picture":
        return Sniff(0.0, f"the data are no picture as a function of x and y, but {description.format}")
    return Sniff(1.0, f"the target is a picture's {', '.join(description.target_names)} at x and y")


class Picture(SquaredError):
    """Learn one picture's levels as a function of the place."""

    METRICS = (
        Metric("unexplained", "", "lower", "share of the picture's variance that is left over, 1 − R²: the loss"),
        Metric("psnr", "dB", "higher", "peak signal to noise ratio: 255² over the mean squared error, in decibels"),
        Metric("rmse", "levels", "lower", "root of the mean squared error, of 255 levels"),
    )

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return point_B2 (x and y) beside value_BK and prediction_BK (levels, float64) and loss_B."""
        return {"point_B2": batch.fields[self.input], **super().statistics(output, batch)}

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return the unexplained share, PSNR (dB, at most what float64 tells) and RMSE (levels), over all colours."""
        value_BK = statistics["value_BK"]
        square = (statistics["prediction_BK"] - value_BK).square().mean().item()
        variance = (value_BK - value_BK.mean(0)).square().mean()
        least = (WHITE * torch.finfo(torch.float64).eps) ** 2
        return {
            "unexplained": (square / variance.where(variance > 0, torch.nan)).item(),  # of one level: none to explain
            "psnr": 10 * torch.tensor(WHITE**2 / max(square, least), dtype=torch.float64).log10().item(),
            "rmse": square**0.5,
        }

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return predicted against true levels, and where every pixel is there, the picture beside what is drawn."""
        value_BK, prediction_BK = (statistics[n].numpy() for n in ("value_BK", "prediction_BK"))
        drawn = {"predicted": figures.scatter(value_BK.ravel(), prediction_BK.ravel(), ", ".join(self.names))}
        found = reconstruction.on_grid(statistics["point_B2"].numpy())
        if found is not None:
            left = f"{self.measure(statistics)['unexplained']:.3g} of the variance is left unexplained"
            drawn["picture"] = reconstruction.draw(value_BK[found], prediction_BK[found], left)
        return drawn


TASK = Picture
