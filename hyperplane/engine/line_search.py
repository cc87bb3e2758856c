"""How far to go along a direction: a rate that meets the strong Wolfe conditions.

Nocedal and Wright 2006, "Numerical optimization", algorithms 3.5 and 3.6, with cubic interpolation (equation 3.59).
Where losses differ by no more than their rounding, their slopes decide (the approximate Wolfe conditions of Hager and
Zhang 2005, "A new conjugate gradient method with guaranteed descent and an efficient line search", equation 27), so
that the gradient can vanish to its own rounding. Shape suffix: P weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DECREASE, CURVATURE = 1e-4, 0.9
"""The share of the decrease that the slope promises, and the share of the slope that may be left."""
ROUNDING = 8
"""Losses that differ by less than so many roundings are taken for the same."""
WIDENINGS, NARROWINGS = 20, 30
"""Most trials while no rate is too far, and after one was."""


@dataclass(frozen=True)
class Trial:
    """What a rate leads to."""

    weights_P: Tensor
    rate: float
    loss: float
    slope: float
    """Of the loss by the rate."""
    gradient_P: Tensor


def search(
    function: Callable[[Tensor], tuple[float, Tensor]], start: Trial, direction_P: Tensor, first: float
) -> Trial | None:
    """Return where a step from `start` along a direction should end, or None where nothing there is lower.

    Arguments: the loss with its gradient; where the step begins; its direction; the rate to try first.
    """
    line = _Line(function, start, direction_P)
    if not line.slope < 0:
        return None
    low, rate = line.begin, first
    for _ in range(WIDENINGS):
        trial = line.at(rate)
        if not line.falls(trial) or (low.rate > 0 and not trial.loss <= low.loss + line.noise):
            return line.between(low, trial)
        if abs(trial.slope) <= -CURVATURE * line.slope:
            return trial
        if trial.slope >= 0:
            return line.between(trial, low)
        low, rate = trial, 4 * rate
    return low


class _Line:
    """The loss along a direction."""

    def __init__(self, function: Callable[[Tensor], tuple[float, Tensor]], start: Trial, direction_P: Tensor) -> None:
        self.function, self.start, self.direction_P = function, start, direction_P
        self.slope = (start.gradient_P @ direction_P).item()
        self.begin = Trial(start.weights_P, 0.0, start.loss, self.slope, start.gradient_P)
        self.noise = ROUNDING * torch.finfo(direction_P.dtype).eps * abs(start.loss)

    def at(self, rate: float) -> Trial:
        weights_P = self.start.weights_P + rate * self.direction_P
        loss, gradient_P = self.function(weights_P)
        return Trial(weights_P, rate, loss, (gradient_P @ self.direction_P).item(), gradient_P)

    def falls(self, trial: Trial) -> bool:
        """Return whether the loss has fallen enough, or by its slope must have where rounding hides it."""
        if trial.loss <= self.start.loss + DECREASE * trial.rate * self.slope:
            return True
        alike = abs(trial.loss - self.start.loss) <= self.noise
        return alike and trial.slope <= (2 * DECREASE - 1) * self.slope

    def between(self, low: Trial, high: Trial) -> Trial | None:
        """Return a trial between one that falls and goes down towards the other, and that other (algorithm 3.6)."""
        for _ in range(NARROWINGS):
            trial = self.at(_lowest(low, high))
            if not self.falls(trial) or not trial.loss <= low.loss + self.noise:
                high = trial
                continue
            if abs(trial.slope) <= -CURVATURE * self.slope:
                return trial
            if trial.slope * (high.rate - low.rate) >= 0:
                high = low
            low = trial
        return low if low.rate > 0 else None


def _lowest(a: Trial, b: Trial) -> float:
    """Return the rate where the cubic through both trials is lowest, or the middle where that is close to either."""
    middle, width = (a.rate + b.rate) / 2, abs(b.rate - a.rate)
    if not (math.isfinite(b.loss) and math.isfinite(b.slope)):
        return middle
    lean = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.rate - b.rate)
    inside = lean * lean - a.slope * b.slope
    if inside < 0:
        return middle
    root = math.copysign(math.sqrt(inside), b.rate - a.rate)
    below = b.slope - a.slope + 2 * root
    if below == 0:
        return middle
    rate = b.rate - (b.rate - a.rate) * (b.slope + root - lean) / below
    return rate if abs(rate - middle) <= 0.4 * width else middle
