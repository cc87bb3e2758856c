"""How well a model does on a split: the task's metrics over every sample, with 95% confidence intervals."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hyperplane.contracts import Measured, Task
from hyperplane.engine.chance import generator
from hyperplane.engine.feed import Feed
from hyperplane.engine.model import Model

RESAMPLES = 400
"""Of the bootstrap."""
Z = 1.959963984540054
"""Standard normal quantile of 97.5%."""


@torch.no_grad()
def statistics(model: Model, feed: Feed) -> dict[str, Tensor]:
    """Return what the task's metrics need of each sample of the feed's split, on the CPU and in the split's order."""
    was_training = model.training
    model.eval()
    pieces: dict[str, list[Tensor]] = {}
    indices = []
    for batch in feed.walk():
        with feed.precision.autocast():
            output = model(batch)
        for name, value in model.judge.statistics(output, batch).items():
            pieces.setdefault(name, []).append(value.cpu())
        indices.append(batch.index_B.cpu())
    model.train(was_training)
    joined = {name: torch.cat(parts) for name, parts in pieces.items()}
    whole = feed.processes.concatenate(joined, torch.cat(indices) if indices else torch.empty(0, dtype=torch.int64))
    relate = getattr(model.judge, "relate", None)
    return whole if relate is None else relate(whole)


def measure(task: Task, gathered: dict[str, Tensor]) -> dict[str, Measured]:
    """Return every metric with its interval: Wilson's for a share of samples, else the bootstrap's percentiles.

    Those of a metric that noise raises are mirrored at its value (the basic bootstrap); where no resample differs,
    there is no interval, and both ends are not a number. Wilson 1927, "Probable inference, the law of succession, and
    statistical inference"; Efron 1979; Davison and Hinkley 1997, section 5.2.
    """
    values = task.measure(gathered)
    length = len(next(iter(gathered.values())))
    chance = generator(0, "bootstrap")
    resampled: dict[str, list[float]] = {name: [] for name in values}
    for _ in range(RESAMPLES):
        which = torch.randint(length, (length,), generator=chance)
        for name, value in task.measure({n: t[which] for n, t in gathered.items()}).items():
            resampled[name].append(value)
    measured = {}
    for metric in task.METRICS:
        value = values[metric.name]
        if metric.share_of is not None:
            measured[metric.name] = Measured(value, *wilson(value, length))
        else:
            drawn = torch.tensor(resampled[metric.name], dtype=torch.float64)
            drawn = drawn[drawn.isfinite()]  # a resample of equal targets has no R²
            ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
            low, high = torch.quantile(drawn, ends).tolist() if len(drawn) else (math.nan, math.nan)
            if metric.rises_with_noise:
                low, high = max(0.0, 2 * value - high), max(0.0, 2 * value - low)
            if low == high:  # nothing varies, which says nothing of other samples
                low = high = math.nan
            measured[metric.name] = Measured(value, low, high)
    return measured


def wilson(share: float, samples: int) -> tuple[float, float]:
    """Return the 95% interval of a share of independent samples."""
    centre = share + Z * Z / (2 * samples)
    half = Z * math.sqrt(share * (1 - share) / samples + Z * Z / (4 * samples * samples))
    scale = 1 + Z * Z / samples
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
