"""The lecture told to people: report.html, one file that needs nothing else to open; and results.json for programs.

Both are made from the folder of results alone. Everything is escaped, pictures are data URIs of images (so that nothing
in them can run), and a content security policy forbids the page to load or run anything.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperplane import __version__
from hyperplane.lecture.claims import Chapter, Claim, Claims
from hyperplane.lecture.findings import BAD, GOOD, Finding, Verdict, verdict
from hyperplane.lecture.folder import LectureFolder, Stored
from hyperplane.runs import atomic

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
ORDER: tuple[Verdict, ...] = (
    "beaten", "reached", "holds", "not reached", "refuted", "not judged", "skipped", "not run", "open",
)  # fmt: skip
MEANINGS: dict[Verdict, str] = {
    "beaten": "every single measurement is better than the lecture's number",
    "reached": "the middle of our measurements is at least as good as the lecture's number",
    "holds": "measured, and so",
    "not reached": "the middle of our measurements is worse than the lecture's number",
    "refuted": "measured, and not so",
    "not judged": "a quick run found too little to say",
    "skipped": "what it needs is not on this machine",
    "not run": "there is an experiment, and it was not run yet, or by other code than this",
    "open": "no experiment tests it yet, or it is history",
}


@dataclass(frozen=True)
class Row:
    """A claim and what was found of it."""

    claim: Claim
    verdict: Verdict
    finding: Finding | None
    stored: Stored | None

    @property
    def tone(self) -> str:
        """Return good, bad or open: how the verdict is coloured."""
        return "good" if self.verdict in GOOD else "bad" if self.verdict in BAD else "open"

    @property
    def unit(self) -> str:
        """Return the unit as a word beside a number; empty for one that stands in the number."""
        return "" if self.claim.unit in ("%", "loss") else self.claim.unit

    @property
    def lecture(self) -> str:
        """Return the lecture's number, or an empty text."""
        if self.claim.value is None:
            return ""
        sense = {"at most": "≤ ", "at least": "≥ "}.get(self.claim.sense or "", "")
        return (sense if self.claim.unit == "%" else "") + with_unit(self.claim.value, self.claim.unit)

    @property
    def ours(self) -> str:
        """Return our number, in its unit: of several, that which speaks for them."""
        if self.finding is None or self.finding.ours is None:
            return ""
        return with_unit(self.finding.middle(self.claim), self.finding.unit(self.claim))

    @property
    def measure(self) -> str:
        """Return what our number is, where the claim does not say it."""
        return self.finding.measure.removeprefix("% ") if self.finding is not None else ""

    @property
    def spread(self) -> str:
        """Return how several measurements differ, or an empty text."""
        held = self.finding.ours if self.finding is not None else None
        if self.finding is None or held is None or len(held.values) == 1:
            return ""
        percent = self.finding.unit(self.claim) == "%"
        least, greatest = (with_unit(v, "%" if percent else "") for v in (held.least, held.greatest))
        told = "the same" if least == greatest else f"{least} to {greatest}"
        of_mean = f"± {with_unit(held.std, '%')}, " if percent and least != greatest else ""
        return f"{of_mean}{told} over {len(held.values)} {held.over}"

    @property
    def command(self) -> str:
        """Return what to type to repeat it."""
        if self.finding is not None and self.finding.command:
            return self.finding.command
        quick = " --quick" if self.stored is not None and self.stored.size != "full" else ""
        return f"hyperplane lecture --claim {self.claim.id}{quick} --overwrite"


@dataclass(frozen=True)
class Card:
    """One experiment: the claims that it tests, its figures and tables."""

    stored: Stored
    rows: tuple[Row, ...]
    pictures: tuple[dict[str, Any], ...]

    @property
    def layout(self) -> str:
        """Return where the pictures go: beside the claims, or above them in threes or pairs."""
        narrow = sum(not picture["wide"] for picture in self.pictures)
        if not self.pictures and not self.stored.outcome.tables:
            return "plain"
        if len(self.pictures) == narrow <= 1:
            return "side"
        return "above" if narrow == 3 else "pair"

    @property
    def time(self) -> str:
        """Return how long it took, as people say it."""
        return duration(self.stored.seconds)


def rows(claims: Sequence[Claim], folder: LectureFolder, skipped: Mapping[str, str]) -> list[Row]:
    """Return what the folder holds of each claim; `skipped` says why experiments could not be run."""
    held: dict[str, Stored | None] = {}
    found: list[Row] = []
    for claim in claims:
        name = claim.experiment
        if name is not None and name not in held:
            held[name] = folder.best(name, "quick")
        stored = held[name] if name is not None else None
        finding = next((f for f in stored.outcome.findings if f.claim == claim.id), None) if stored else None
        word = verdict(claim, finding)
        found.append(Row(claim, "skipped" if word == "not run" and name in skipped else word, finding, stored))
    return found


def failed(rows: Sequence[Row]) -> list[Row]:
    """Return the claims that we assert and that do not hold."""
    return [row for row in rows if row.claim.asserted and row.verdict in BAD]


def write(claims: Claims, folder: LectureFolder, skipped: Mapping[str, str]) -> list[Row]:
    """Write report.html and results.json of everything in the folder, and return its rows."""
    import jinja2

    found = rows(claims.claims, folder, skipped)
    engine = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )  # fmt: skip
    engine.filters["typeset"] = typeset
    tested = [row for row in found if row.finding is not None]
    stored = list({row.stored.experiment: row.stored for row in tested if row.stored}.values())
    page = engine.from_string(_TEMPLATE.read_text("utf-8")).render(
        chapters=[_chapter(chapter, found, folder) for chapter in claims.chapters],
        claims=len(found),
        tested=len(tested),
        good=sum(row.tone == "good" for row in tested),
        counts=_counts(found),
        meanings=[(word, MEANINGS[word]) for word in ORDER if any(row.verdict == word for row in found)],
        asserted=failed(found),
        seconds=duration(sum(s.seconds for s in stored)),
        experiments=len(stored),
        quick=sum(s.size != "full" for s in stored),
        made=sorted({(s.made.hardware, s.made.software) for s in stored}),
        dates=sorted({s.made.date[:10] for s in stored}),
        skipped=sorted(set(skipped.values())),
        version=__version__,
    )
    atomic.write_bytes(folder.report, page.encode("utf-8", errors="replace"))
    atomic.write_text(folder.results, json.dumps(_results(found), indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    return found


def number(value: float) -> str:
    """Return a number as people write it: 501, 98.41, 0.0831, 2.5e-7."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:#.3g}"
    digits, power = f"{value:.2e}".split("e")
    return typeset(f"{digits}e{int(power)}")


def with_unit(value: float, unit: str) -> str:
    """Return a number with its unit: 98.41%, 501 weights; a loss has none."""
    if unit == "%":
        return f"{value:.2f}%"
    return number(value) + (f" {unit}" if unit not in ("", "loss") else "")


def typeset(text: str) -> str:
    """Return a text with a minus sign in numbers like 1e-15, at which no line breaks."""
    return re.sub(r"(?<=\de)-0?(?=\d)", "−", text)


def duration(seconds: float) -> str:
    """Return a time as people say it: 0.8 s, 14 s, 3 min 20 s, 1 h 5 min."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _counts(found: Sequence[Row]) -> list[tuple[str, str, int]]:
    """Return of each verdict that occurs its word, its tone and how often it does."""
    counted = Counter(row.verdict for row in found)
    tones = {row.verdict: row.tone for row in found}
    return [(word, tones[word], counted[word]) for word in ORDER if counted[word]]


def _chapter(chapter: Chapter, found: Sequence[Row], folder: LectureFolder) -> dict[str, Any]:
    """Return what the template shows of a chapter."""
    mine = [row for row in found if row.claim.chapter == chapter.name]
    by_experiment: dict[str, list[Row]] = {}
    for row in mine:
        if row.stored is not None and row.finding is not None:
            by_experiment.setdefault(row.stored.experiment, []).append(row)
    cards = [
        Card(held[0].stored, tuple(held), tuple(_picture(folder, p) for p in held[0].stored.outcome.pictures))
        for held in by_experiment.values()
        if held[0].stored is not None
    ]
    return {
        "chapter": chapter,
        "rows": mine,
        "cards": cards,
        "counts": _counts(mine),
        "numbers": [row for row in mine if row.finding is not None and row.lecture],
        "statements": [row for row in mine if row.finding is not None and not row.lecture],
        "untested": [row for row in mine if row.finding is None],
    }


def _picture(folder: LectureFolder, picture: Any) -> dict[str, Any]:
    content = base64.b64encode((folder.path / picture.file).read_bytes()).decode()
    return {"uri": f"data:image/svg+xml;base64,{content}", "caption": picture.caption, "wide": picture.wide}


def _results(found: Sequence[Row]) -> dict[str, Any]:
    """Return everything as JSON-able data."""
    told: list[dict[str, Any]] = []
    for row in found:
        one: dict[str, Any] = {**dataclasses.asdict(row.claim), "verdict": row.verdict}
        if row.finding is not None and row.stored is not None:
            finding = dataclasses.asdict(row.finding)
            del finding["claim"]
            finding["command"] = row.command
            one |= {"found": finding, "size": row.stored.size, "seconds": row.stored.seconds,
                    "made": dataclasses.asdict(row.stored.made)}  # fmt: skip
        told.append(one)
    assert all(math.isfinite(o.get("seconds", 0.0)) for o in told)
    return {"hyperplane": __version__, "claims": told}
