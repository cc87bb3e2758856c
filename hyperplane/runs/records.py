"""What the JSON files of a run folder hold besides the recipe and the data's description."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hyperplane.contracts import Measured

VERSION = 1


@dataclass(frozen=True)
class Precision:
    """The numbers that a run computed with."""

    dtype: str
    """float32 or bfloat16."""
    channels_last: bool
    """Whether images lay in memory with their channels last."""
    why: str
    """The rule that chose them, one clause."""


@dataclass(frozen=True)
class Environment:
    """Where and with what a run was trained."""

    hyperplane: str
    """Version of this package."""
    python: str
    """Version."""
    torch: str
    """Version, with its build."""
    numpy: str
    """Version."""
    platform: str
    """Operating system and machine kind."""
    cpu: str
    """The processor's name."""
    cores: int
    """Processors that the run could use."""
    threads: int
    """Threads that torch computed with."""
    memory_gb: float
    """The machine's memory, in GiB."""
    device: str
    """cpu, or the accelerator's name."""
    precision: Precision
    """The numbers computed with."""
    command: str
    """What the user typed."""
    started: str
    """When, in ISO 8601."""
    version: int = VERSION
    """Version of this file's layout."""


@dataclass(frozen=True)
class Result:
    """The last record of a run's metrics: how good the kept weights are, and what they cost."""

    split: Literal["train", "validation", "test"]
    """Which samples judged it."""
    samples: int
    """How many there were."""
    metrics: dict[str, Measured]
    """Every metric by name; the first is the one that the run is known by."""
    seconds: float
    """Training time."""
    parameters: int
    """Trained numbers in the net and the task."""
    steps: int
    """Optimizer steps taken."""


@dataclass(frozen=True)
class Wrong:
    """One of the samples with the greatest loss, as a person sees it."""

    name: str
    """What a person finds it by: a file, a row, a record number."""
    truth: Any
    """What it is, decoded."""
    prediction: Any
    """What the net took it for, decoded."""
    loss: float | None
    """Its loss; None where it is not finite."""
    confidence: float | None = None
    """Probability of the prediction, in [0, 1], where the task gives one."""
    picture: str | None = None
    """Path of its picture (PNG) within the run folder."""
    row: dict[str, str] | None = None
    """Columns and values of its row, for tables."""


_NAMES = {"levenberg-marquardt": "Levenberg-Marquardt", "newton": "Newton's method", "l-bfgs": "L-BFGS"}
USED_UP = "the iterations are used up"
"""Why a fit stopped that could have gone on."""


@dataclass(frozen=True)
class Separation:
    """Classes that a hyperplane separates, so that their cross-entropy has no minimum."""

    kind: Literal["complete", "quasi-complete"]
    """Whether every sample is on its class' side, or some lie on the hyperplane."""
    norm: float
    """The length ‖w‖ of the weights where the fit was stopped; it would grow without end."""
    margin: float | None
    """How far the nearest sample is from the hyperplane, in standardised units; None for ties and for many classes."""


@dataclass(frozen=True)
class Outcome:
    """How a fit to the whole training split at once ended."""

    solver: str
    """The optimizer's name."""
    iterations: int
    """Made in all."""
    reason: str
    """Why the restart that was kept stopped, one clause."""
    loss: tuple[float | None, ...]
    """Training loss of each restart, with the penalty of weight decay, least first; None where it is not finite."""
    reached: int
    """How many restarts have the least loss, to 1%: how sure it is that there is none below."""
    norm: float
    """The length of the kept weights without biases."""
    ended: dict[str, int]
    """How many restarts stopped for which reason."""
    separation: Separation | None = None
    """Where that is why it stopped."""
    notes: tuple[str, ...] = ()
    """What else there is to know, a sentence each."""

    def sentences(self) -> tuple[str, ...]:
        """Return all of it for people."""
        least = "not finite" if self.loss[0] is None else f"{self.loss[0]:.4g}"
        iterations = f"{self.iterations:,} iteration{'s' * (self.iterations != 1)}"
        told = [f"{_NAMES.get(self.solver, self.solver)} stopped after {iterations}: {self.reason}."]
        if (restarts := len(self.loss)) > 1:
            every = ", ".join(f"{reason} ({count})" for reason, count in self.ended.items())
            told.append(f"The least loss, {least}, was reached by {self.reached} of {restarts} restarts: {every}.")
        else:
            told.append(f"The training loss is {least}, ‖w‖ is {self.norm:.4g}.")
        if (found := self.separation) is not None:
            where = "every sample is on its side" if found.kind == "complete" else "some samples lie on it"
            near = "" if found.margin is None else f", the nearest {found.margin:.3g} away (standardised)"
            told.append(
                f"A hyperplane separates the classes ({found.kind} separation: {where}{near}), so the loss has no "
                f"minimum; ‖w‖ grew to {found.norm:.4g} and would go on. For a finite answer type: "
                "--optimizer.weight-decay 1e-3"
            )
        return (*told, *self.notes)


@dataclass(frozen=True)
class Explained:
    """A picture of what the net learned."""

    file: str
    """Its path within the run folder's `explain`."""
    caption: str
    """What it shows and how to read it, for people."""
    still: str | None = None
    """Path of a picture for those who want no motion, where it moves."""


@dataclass(frozen=True)
class Manifest:
    """The files that a finished run consists of."""

    files: dict[str, str]
    """SHA-256 by path within the run folder."""
    version: int = VERSION
    """Version of the run folder's layout."""


def finite(value: Any) -> Any:
    """Return JSON-able data with every number that JSON cannot say (NaN, infinity) as None."""
    if isinstance(value, Mapping):
        return {name: finite(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested fields by dotted name; an empty object has none."""
    fields: dict[str, Any] = {}
    for name, value in tree.items():
        fields |= flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return fields
