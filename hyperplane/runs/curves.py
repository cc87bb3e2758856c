"""What happened during training, drawn from a run's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hyperplane.tasks.blocks import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def metric_of(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the name of the metric that the run is known by: the first of its result, else of its validation."""
    for record in reversed(records):
        if record["kind"] == "result":
            return next(iter(record["metrics"]), None)
    for record in records:
        if record["kind"] == "validation":
            return next((name for name in record if name not in ("kind", "step", "epoch", "loss")), None)
    return None


def draw(records: Sequence[Mapping[str, Any]], unit: str = "") -> Figure:
    """Draw the losses, the metric that the run is known by and the learning rate over the steps.

    Arguments: the records of `RunFolder.read_metrics`; the metric's unit, % for a share in [0, 1].
    """
    steps = [record for record in records if record["kind"] == "step"]
    step_S, loss_S, learning_rate_S = (
        np.array([record[name] for record in steps], float) for name in ("step", "loss", "learning_rate")
    )
    validation = [record for record in records if record["kind"] == "validation"]
    return figures.curves(step_S, loss_S, learning_rate_S, validation, metric_of(records), unit)
