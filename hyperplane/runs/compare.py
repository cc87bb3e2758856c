"""Runs side by side: their metrics, what differs in their recipes, and whether the difference is more than chance.

Two runs that were tested on the same samples are compared sample by sample, which tells apart far smaller differences
than two intervals do. B samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hyperplane.contracts import Measured
from hyperplane.errors import UserError
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import finite, flat

RESAMPLES = 2000
"""Of the bootstrap."""


@dataclass(frozen=True)
class Compared:
    """One run."""

    name: str
    """Its folder's name."""
    path: str
    """Its folder."""
    metrics: dict[str, Measured]
    """Every metric with its 95% interval; empty where the run has no result."""
    parameters: int | None
    """Trained numbers."""
    seconds: float | None
    """Training time."""
    steps: int | None
    """Optimizer steps taken."""
    measured_on: str | None = None
    """How many samples of which split."""


@dataclass(frozen=True)
class McNemar:
    """Of two nets tested on the same samples, which got right what the other got wrong (McNemar 1947)."""

    only_first: int
    """Samples that only the first run got right."""
    only_second: int
    """Samples that only the second run got right."""
    p: float
    """Exact two-sided probability of a split at least as uneven, were both nets equally good."""


@dataclass(frozen=True)
class Paired:
    """A run against the first one, sample by sample. Differences are this run minus the first, with 95% intervals."""

    name: str
    """This run."""
    first: str
    """The first run."""
    samples: int = 0
    """Test samples that both saw; 0 where they cannot be paired."""
    loss: Measured | None = None
    """Difference of the mean loss; below 0 this run is better."""
    correct: Measured | None = None
    """Difference of the share that is right; above 0 this run is better. Classification."""
    squared_error: Measured | None = None
    """Difference of the mean squared error, in the target's unit squared; below 0 this run is better. Regression."""
    mcnemar: McNemar | None = None
    """Classification."""
    reason: str | None = None
    """Why they cannot be paired."""


@dataclass(frozen=True)
class Comparison:
    """Several runs side by side."""

    runs: tuple[Compared, ...]
    """In the order they were named."""
    differing: dict[str, tuple[Any, ...]]
    """Values of each recipe field that differs, by dotted name, one a run; None where a run lacks it."""
    paired: tuple[Paired, ...]
    """Every run but the first against the first."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able data; a number that is not finite is None."""
        return finite(dataclasses.asdict(self))


def compare(paths: Sequence[Path]) -> Comparison:
    """Compare runs with the first of them.

    Raises UserError for fewer than two, or a folder that is not a whole run.
    """
    if len(paths) < 2:
        raise UserError(
            f"compare: found {len(paths)} run, expected two or more; type: hyperplane compare runs/A runs/B"
        )
    folders = [RunFolder(path) for path in paths]
    for folder in folders:
        folder.verify()
    return Comparison(
        runs=tuple(_compared(folder) for folder in folders),
        differing=_differing(folders),
        paired=tuple(_paired(folders[0], folder) for folder in folders[1:]),
    )


def mcnemar(first_B: np.ndarray, second_B: np.ndarray) -> McNemar:
    """Return McNemar's exact test of two nets, from whether each got each sample right, both bool (B,)."""
    only_first = int(np.count_nonzero(first_B & ~second_B))
    only_second = int(np.count_nonzero(second_B & ~first_B))
    discordant, term, tail = only_first + only_second, 1, 0
    for k in range(min(only_first, only_second) + 1):
        tail += term
        term = term * (discordant - k) // (k + 1)
    return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**discordant))


def bootstrap(difference_B: np.ndarray, seed: int = 0) -> Measured:
    """Return the mean of (B,) numbers with its 95% interval: the percentiles of the means of 2,000 resamples."""
    generator = np.random.default_rng(seed)
    size = len(difference_B)
    means = [difference_B[generator.integers(0, size, size)].mean() for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Measured(float(difference_B.mean()), float(low), float(high))


def _compared(folder: RunFolder) -> Compared:
    result = folder.read_result()
    if result is None:
        return Compared(folder.name, str(folder.path), {}, None, None, None)
    measured_on = f"{result.samples:,} {result.split}"
    return Compared(
        *(folder.name, str(folder.path), result.metrics, result.parameters, result.seconds, result.steps, measured_on)
    )


def _differing(folders: Sequence[RunFolder]) -> dict[str, tuple[Any, ...]]:
    fields_of = [flat(dataclasses.asdict(folder.read_recipe())) for folder in folders]
    names = dict.fromkeys(name for fields in fields_of for name in fields)
    values = {name: tuple(fields.get(name) for fields in fields_of) for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


def _paired(first: RunFolder, second: RunFolder) -> Paired:
    nothing = Paired(second.name, first.name)
    results = first.read_result(), second.read_result()
    for folder, result in zip((first, second), results, strict=True):
        if result is None or not folder.evaluation(result.split).is_file():
            return dataclasses.replace(nothing, reason=f"{folder.name} holds no judgement of single samples")
    split_a, split_b = (result.split for result in results if result is not None)
    if split_a != split_b:
        reason = f"{second.name} was judged on its {split_b} samples, {first.name} on its {split_a} samples"
        return dataclasses.replace(nothing, reason=reason)
    a, b = first.read_evaluation(split_a), second.read_evaluation(split_b)
    reason = _unlike(first, second, a, b)
    if reason:
        return dataclasses.replace(nothing, reason=reason)
    found = dataclasses.replace(nothing, samples=len(a["loss_B"]), loss=bootstrap(_difference(a, b, "loss_B")))
    if "label_B" in a or "answer_BT" in a:
        right_a, right_b = (_right(s) for s in (a, b))
        correct = bootstrap(right_b.astype(float) - right_a.astype(float))
        return dataclasses.replace(found, correct=correct, mcnemar=mcnemar(right_a, right_b))
    if "target_BT" in a:
        return found
    error_a, error_b = (((s["prediction_BK"] - s["value_BK"]).astype(float) ** 2).mean(axis=1) for s in (a, b))
    return dataclasses.replace(found, squared_error=bootstrap(error_b - error_a))


def _right(statistics: dict[str, np.ndarray]) -> np.ndarray:
    """Return which samples were answered rightly, (B,) bool."""
    if "right_B" in statistics:
        return statistics["right_B"].astype(bool)
    return statistics["probability_BK"].argmax(axis=1) == statistics["label_B"]


def _unlike(first: RunFolder, second: RunFolder, a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> str | None:
    """Return why two runs' test samples are not the same ones, or None where they are."""
    told_a, told_b = first.read_description(), second.read_description()
    if told_a.target != told_b.target or told_a.classes != told_b.classes or told_a.target_names != told_b.target_names:
        return f"{second.name} and {first.name} predict different things"
    if told_a.hashes != told_b.hashes:
        return f"{second.name} was tested on other data than {first.name}: the hashes in data.json differ"
    if not told_a.hashes and _origin(first) != _origin(second):
        return f"{second.name} was tested on other data than {first.name}: the data of their recipes differ"
    said = {
        "label_B": "probability_BK",
        "target_BT": "predicted_BT",
        "answer_BT": "right_B",
        "value_BK": "prediction_BK",
    }
    truth = next((name for name in said if name in a), "value_BK")
    needed = ("loss_B", truth, said[truth])
    for folder, statistics in ((first, a), (second, b)):
        for name in needed:
            if name not in statistics:
                return f"{folder.name} holds no {name} of its single samples"
    if len(a["loss_B"]) == 0 or not np.array_equal(a[truth], b[truth]):
        return (
            f"{second.name} was tested on other samples than {first.name}: give both the same data.seed and data.test"
        )
    return None


def _origin(folder: RunFolder) -> tuple[Any, ...]:
    data = folder.read_recipe().data
    return data.source, data.format, data.target, data.test, data.seed, data.options


def _difference(a: dict[str, np.ndarray], b: dict[str, np.ndarray], name: str) -> np.ndarray:
    return b[name].astype(float) - a[name].astype(float)
