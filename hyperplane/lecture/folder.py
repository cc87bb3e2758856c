"""The folder of the lecture's results: what each experiment found is put there when it is finished, in one step.

lecture.json                 says that the folder is one of these
report.html, results.json    everything that the folder holds, for people and for programs
full/, quick/                of each size: results/EXPERIMENT.json, figures/EXPERIMENT/, runs/EXPERIMENT/CODE/, data/

A result is shown only while the code that made it is as it was. Its runs lie under a hash of the code that trained them
(CODE), and are used again only by the same; --overwrite removes all of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hyperplane.errors import UserError
from hyperplane.lecture.claims import load
from hyperplane.lecture.findings import Outcome, Size
from hyperplane.recipe import parse
from hyperplane.runs import atomic

EXPERIMENTS = "hyperplane.lecture.experiments"
TRAINS = ("recipes", "engine", "tasks", "nets", "data")
"""Rooms whose code decides what a trained run holds."""
MEASURES = (*TRAINS, "explain", "predict", "lecture/experiments")
"""Rooms whose code decides what an experiment finds."""


@dataclass(frozen=True)
class Made:
    """When and where an experiment was run."""

    date: str
    hardware: str
    software: str


@dataclass(frozen=True)
class Stored:
    """What one experiment found, as it is kept."""

    experiment: str
    size: Size
    key: str
    """Hash of what the experiment is made of: what another version of it found is not shown."""
    outcome: Outcome
    seconds: float
    made: Made


class LectureFolder:
    """Where results are kept. Holds nothing but its path: every read looks at the files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    report = property(lambda self: self.path / "report.html", doc="All of it for people, in one file.")
    results = property(lambda self: self.path / "results.json", doc="All of it for programs.")
    marker = property(lambda self: self.path / "lecture.json", doc="Says what the folder is.")

    def expect_ours(self) -> None:
        """Raise UserError where the path is taken by anything but a folder of results."""
        there = next((place for place in (self.path, *self.path.parents) if place.exists()), self.path)
        if not there.is_dir():
            raise UserError(f"{self.path}: {there} is a file, expected a folder; choose another with --out")
        if self.path.is_dir() and not self.marker.is_file() and any(self.path.iterdir()):
            raise UserError(
                f"{self.path}: is not empty and holds no results of the lecture, so it is left alone; "
                "choose another folder with --out"
            )

    def create(self) -> None:
        """Make the folder where it is not there; raises UserError where something is in the way."""
        self.expect_ours()
        with atomic.explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if not self.marker.is_file():
            atomic.write_text(self.marker, json.dumps({"holds": "results of hyperplane lecture"}) + "\n")

    def of(self, size: Size, kind: str, experiment: str = "") -> Path:
        """Return where the results, figures, runs or data of a size (and of one experiment) lie."""
        return self.path / size / kind / experiment

    def runs(self, size: Size, experiment: str) -> Path:
        """Return where an experiment's runs lie, by the code as it is; those of other code stay until `forget`."""
        return self.of(size, "runs", experiment) / code(TRAINS)

    def keep(self, stored: Stored) -> None:
        """Write what an experiment found, in one step."""
        place = self.of(stored.size, "results")
        with atomic.explained(place):
            place.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(stored), indent=1, allow_nan=False) + "\n"
        atomic.write_text(place / f"{stored.experiment}.json", text)

    def find(self, experiment: str, size: Size) -> Stored | None:
        """Return what an experiment found; None where nothing is kept, or what is kept is damaged or of another key."""
        file = self.of(size, "results") / f"{experiment}.json"
        try:
            found: Stored = parse(json.loads(file.read_text("utf-8")), Stored, str(file))
        except (OSError, ValueError, RecursionError):  # a UserError is a ValueError
            return None
        whole = all((self.path / picture.file).is_file() for picture in found.outcome.pictures)
        return found if whole and found.key == key(experiment) else None

    def best(self, experiment: str, size: Size) -> Stored | None:
        """Return what a full run of an experiment found, or where there is none and a quick one is asked for, that."""
        return self.find(experiment, "full") or (None if size == "full" else self.find(experiment, size))

    def forget(self, experiment: str, size: Size) -> None:
        """Remove all that is kept of an experiment: its result, figures and runs."""
        (self.of(size, "results") / f"{experiment}.json").unlink(missing_ok=True)
        for kind in ("figures", "runs"):
            shutil.rmtree(self.of(size, kind, experiment), ignore_errors=True)


def key(experiment: str) -> str:
    """Return the hash of what an experiment's result depends on.

    That is its name, the numbers of its claims, and the code of all experiments (some take from others), of what they
    draw and judge with, and of the rooms that they measure with; nothing is imported.
    """
    file = experiment.partition(".")[0]
    spec = importlib.util.find_spec(f"{EXPERIMENTS}.{file}")
    assert spec is not None and spec.origin is not None, f"there is no experiment {experiment}"
    numbers = [(claim.id, claim.value, claim.sense) for claim in load().claims if claim.experiment == experiment]
    held = [experiment.encode(), repr(numbers).encode(), code(MEASURES).encode()]
    held += [Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("budget", "figures", "findings")]
    return hashlib.sha256(b"\0".join(held)).hexdigest()[:16]


@cache
def code(rooms: Sequence[str], package: Path = Path(__file__).parents[1]) -> str:
    """Return a hash of the code of some of the package's rooms: of every file's place and text."""
    found = hashlib.sha256()
    for room in rooms:
        for file in sorted(f for f in (package / room).rglob("*") if f.suffix in (".py", ".cpp", ".json")):
            found.update(f"{file.relative_to(package).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]
