"""The lecture's claims as data: claims.json, read strictly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from hyperplane.errors import UserError, nearest
from hyperplane.recipe import parse

FILE = Path(__file__).with_name("claims.json")


@dataclass(frozen=True)
class Chapter:
    """A part of the lecture."""

    name: str
    """What the user types."""
    title: str
    about: str
    lines: tuple[int, int]
    """First and last line of the lecture's text."""


@dataclass(frozen=True)
class Claim:
    """One number or testable statement of the lecture, in our words."""

    id: str
    chapter: str
    lines: tuple[int, int]
    """First and last line of the lecture's text."""
    claim: str
    kind: Literal["number", "statement"]
    value: float | None = None
    """What the lecture says, for a number."""
    unit: str = ""
    sense: Literal["at most", "at least", "equals"] | None = None
    """How ours is to compare with the lecture's value."""
    experiment: str | None = None
    """The function that tests it, as file.function of `lecture/experiments`; None where it is open."""
    recipes: tuple[str, ...] = ()
    """Named recipes that the experiment trains."""
    own: bool = False
    """Whether the value is one that we ask of ourselves, where the lecture gives none."""
    asserted: bool = True
    """Whether the command fails where a full run finds otherwise."""
    note: str = ""
    """What the lecture leaves open, and what we chose; or why it is not tested."""


@dataclass(frozen=True)
class Claims:
    """Everything in claims.json."""

    chapters: tuple[Chapter, ...]
    claims: tuple[Claim, ...]

    @property
    def built(self) -> tuple[str, ...]:
        """Return the names of the chapters that have an experiment."""
        return tuple(c.name for c in self.chapters if any(claim.experiment for claim in self.of(c.name)))

    def of(self, chapter: str) -> tuple[Claim, ...]:
        """Return a chapter's claims in the lecture's order."""
        return tuple(claim for claim in self.claims if claim.chapter == chapter)

    def chosen(self, chapters: Sequence[str] = (), ids: Sequence[str] = ()) -> tuple[Claim, ...]:
        """Return the claims of some chapters, or of some ids; all where neither is given.

        Raises UserError for a chapter or an id that there is not, with the nearest.
        """
        for option, said, known in (
            ("--chapter", chapters, [c.name for c in self.chapters]),
            ("--claim", ids, [c.id for c in self.claims]),
        ):
            for name in said:
                if name not in known:
                    hint = nearest(name, known) if option == "--chapter" else _nearest_claim(name, known)
                    raise UserError(f"lecture {option}: there is no '{name}'; {hint} (hyperplane lecture --list)")
        if not chapters and not ids:
            return self.claims
        return tuple(claim for claim in self.claims if claim.chapter in chapters or claim.id in ids)


@cache
def load() -> Claims:
    """Return the lecture's claims; what is wrong with the file is our own mistake."""
    held: Claims = parse(json.loads(FILE.read_text("utf-8")), Claims, FILE.name)
    return held


def _nearest_claim(name: str, known: Sequence[str]) -> str:
    """Return the claim nearest to a name, or where to find them: they are too many for one line."""
    hint = nearest(name, known)
    return hint if hint.startswith("did you mean") else "see them all with --list"
