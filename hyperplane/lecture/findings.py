"""What experiments work with and give back: a budget, findings with their spread, tables, and JSON of all of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from hyperplane.errors import UserError
from hyperplane.lecture.claims import Claim

Size = Literal["least", "quick", "full"]
"""Of an experiment: least is what its tests run, quick takes seconds, full is what the report is for."""
T = TypeVar("T")


class Skipped(UserError):
    """What an experiment needs is not here; says what, and what to do about it."""


@dataclass(frozen=True)
class Spread:
    """Repeated measurements."""

    values: tuple[float, ...]
    over: str
    """What they differ by: seeds, photographs, nothing."""
    mean: float
    median: float
    std: float
    """Standard deviation of the sample; 0 of one."""
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float], over: str = "seeds") -> Spread:
        """Return the spread of at least one number."""
        held = tuple(float(v) for v in values)
        return cls(
            held,
            over if len(held) > 1 else "",
            statistics.fmean(held),
            statistics.median(held),
            statistics.stdev(held) if len(held) > 1 else 0.0,
            min(held),
            max(held),
        )


@dataclass(frozen=True)
class Table:
    """A few numbers beside a finding."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Picture:
    """A figure that an experiment drew."""

    file: str
    """Relative to the folder of the report."""
    caption: str
    wide: bool = False
    """Whether it takes the whole width."""


@dataclass(frozen=True)
class Finding:
    """What an experiment found of one claim."""

    claim: str
    """The claim's id."""
    holds: bool | None
    """Whether it does; None where this budget is too small to judge it."""
    why: str
    """What was done and found, and why it differs from the lecture, in one to three sentences."""
    ours: Spread | None = None
    """The number measured, in the claim's unit; None for a statement that has none."""
    measure: str = ""
    """What `ours` is, where the claim does not say it."""
    command: str = ""
    """What to type to repeat it; empty for the command that repeats the experiment."""

    def unit(self, claim: Claim) -> str:
        """Return the unit of our number: the claim's, or of a statement percent where its measure begins with that."""
        return claim.unit or ("%" if self.measure.startswith("% ") else "")

    def middle(self, claim: Claim) -> float:
        """Return the number that speaks for several: percentages have their mean, all else the median."""
        assert self.ours is not None, f"{self.claim} has no number"
        return self.ours.mean if self.unit(claim) == "%" else self.ours.median


@dataclass(frozen=True)
class Outcome:
    """What one experiment found."""

    findings: tuple[Finding, ...]
    about: str = ""
    """What was done, where it is the same for all findings."""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


Verdict = Literal["beaten", "reached", "holds", "not reached", "refuted", "not judged", "skipped", "not run", "open"]
GOOD: tuple[Verdict, ...] = ("beaten", "reached", "holds")
BAD: tuple[Verdict, ...] = ("not reached", "refuted")


def verdict(claim: Claim, finding: Finding | None) -> Verdict:
    """Return in a word what was found of a claim; None for a finding is one that has not been made.

    A number is beaten where every single measurement is better than the lecture's.
    """
    if claim.experiment is None:
        return "open"
    if finding is None:
        return "not run"
    if finding.holds is None:
        return "not judged"
    if claim.sense not in ("at most", "at least"):
        return "holds" if finding.holds else "refuted"
    if not finding.holds:
        return "not reached"
    assert claim.value is not None and finding.ours is not None, f"{claim.id} has no number"
    worst = finding.ours.greatest if claim.sense == "at most" else finding.ours.least
    better = worst < claim.value if claim.sense == "at most" else worst > claim.value
    return "beaten" if better else "reached"


def meets(claim: Claim, value: float) -> bool:
    """Say whether a measured number is what the lecture says, or better."""
    assert claim.value is not None and claim.sense is not None, f"{claim.id} is not a number"
    if claim.sense == "equals":
        return math.isclose(value, claim.value, rel_tol=1e-9)
    return value <= claim.value if claim.sense == "at most" else value >= claim.value
