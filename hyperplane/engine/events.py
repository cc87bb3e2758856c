"""What a run tells whoever watches it: the command line draws it, a program may log it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperplane.contracts import Description, Measured, Metric
from hyperplane.recipe import Recipe
from hyperplane.runs.records import Outcome


@dataclass(frozen=True)
class Started:
    """Training is about to begin."""

    path: Path
    recipe: Recipe
    description: Description
    metrics: tuple[Metric, ...]
    parameters: int
    hardware: str
    """Device, numbers and memory order, and why."""
    step: int
    """0, or where a resumed run goes on."""
    steps: int


@dataclass(frozen=True)
class Stepped:
    """Some steps were made."""

    step: int
    epoch: float
    loss: float
    """Mean over the steps since the last event."""


@dataclass(frozen=True)
class Validated:
    """The validation split was looked at."""

    step: int
    epoch: float
    values: dict[str, float]
    """The loss and every metric."""


@dataclass(frozen=True)
class Finished:
    """The run folder is complete."""

    path: Path
    split: str
    samples: int
    metrics: dict[str, Measured]
    kinds: tuple[Metric, ...]
    """What each metric means."""
    seconds: float
    """Spent in training, over all resumptions."""
    report: Path
    outcome: Outcome | None
    """How a fit to the whole training split ended."""


@dataclass(frozen=True)
class Explaining:
    """The run folder is complete; what its net learned is being drawn."""

    path: Path


@dataclass(frozen=True)
class Unexplained:
    """What the net learned could not be drawn; the run is whole without it."""

    path: Path
    why: str


Event = Started | Stepped | Validated | Explaining | Unexplained | Finished
Watch = Callable[[Event], Any]
