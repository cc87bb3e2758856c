"""Runs the experiments of some claims, one after the other; what is kept already is not computed again."""

from __future__ import annotations

import datetime
import importlib
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hyperplane import __version__
from hyperplane.engine.environment import memory_gb, processor, threads
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.claims import Claim
from hyperplane.lecture.findings import Outcome, Size, Skipped
from hyperplane.lecture.folder import EXPERIMENTS, LectureFolder, Made, Stored, key

Experiment = Callable[[Budget], Outcome]


@dataclass(frozen=True)
class Begun:
    """An experiment is about to be run."""

    experiment: str
    number: int
    """From 1."""
    of: int


@dataclass(frozen=True)
class Said:
    """What the experiment is doing."""

    text: str


@dataclass(frozen=True)
class Done:
    """An experiment has a result."""

    stored: Stored
    again: bool
    """Whether it was computed now, and not kept from before."""


@dataclass(frozen=True)
class Missed:
    """An experiment could not be run."""

    experiment: str
    reason: str


Event = Begun | Said | Done | Missed


def run(
    claims: Sequence[Claim],
    folder: LectureFolder,
    size: Size,
    *,
    overwrite: bool = False,
    download: bool = False,
    watch: Callable[[Event], Any] = lambda event: None,
) -> dict[str, str]:
    """Run the experiments that test some claims, keeping each result when it is finished.

    Arguments: the claims; where results are kept; how much to spend; whether to compute again what is kept; whether
    known sets may be fetched; who is told. Returns why experiments were skipped, by name.
    """
    folder.create()
    names = experiments(claims)
    skipped: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        watch(Begun(name, number, len(names)))
        if overwrite:
            folder.forget(name, size)
        found = None if overwrite else folder.best(name, size)
        if found is not None:
            watch(Done(found, again=False))
            continue
        begun = time.monotonic()
        budget = Budget(name, size, folder, lambda text: watch(Said(text)), download)
        try:
            outcome = load(name)(budget)
        except Skipped as why:
            skipped[name] = str(why)
            watch(Missed(name, str(why)))
            continue
        _expect_its_claims(name, outcome, claims)
        seconds = time.monotonic() - begun + sum(budget.before)
        found = Stored(name, size, key(name), outcome, seconds, _made())
        folder.keep(found)
        watch(Done(found, again=True))
    return skipped


def experiments(claims: Sequence[Claim]) -> list[str]:
    """Return the experiments that test some claims, in the claims' order."""
    return list(dict.fromkeys(claim.experiment for claim in claims if claim.experiment is not None))


def load(name: str) -> Experiment:
    """Return an experiment by its name, file.function."""
    file, _, function = name.partition(".")
    return getattr(importlib.import_module(f"{EXPERIMENTS}.{file}"), function)


def _made() -> Made:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Made(
        datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        f"{processor()}, {cores} cores, {threads()}, {memory_gb():.0f} GiB",
        f"hyperplane {__version__}, torch {torch.__version__}, Python {platform.python_version()}",
    )


def _expect_its_claims(name: str, outcome: Outcome, claims: Sequence[Claim]) -> None:
    """Check that an experiment found something of each claim that names it, once, and of no other."""
    expected = {claim.id for claim in claims if claim.experiment == name}
    found = [finding.claim for finding in outcome.findings]
    assert len(found) == len(set(found)) and expected <= set(found), f"{name} found {found}, expected {expected}"
