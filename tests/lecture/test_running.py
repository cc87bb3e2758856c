"""Running: nothing that is finished is lost or computed again, and nothing that is not ours is touched."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hyperplane.errors import UserError
from hyperplane.lecture import report, running
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.claims import Chapter, Claim, Claims
from hyperplane.lecture.findings import Finding, Outcome, Size, Skipped, Spread, meets, verdict
from hyperplane.lecture.folder import LectureFolder

CLAIMS = tuple(
    Claim(f"one-{name}", "one", (1, 2), f"Claim {name}.", "number", 2.0, "%", "at least", f"fake.{name}")
    for name in ("first", "second", "third")
)
KNOWN = Claims((Chapter("one", "One", "A chapter.", (1, 9)),), CLAIMS)


class Fakes:
    """Three experiments that count how often they are run; one may fail."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken: Exception | None = None
        self.values: tuple[float, ...] = (3.0, 4.0)
        self.key = "a"

    def load(self, name: str) -> Callable[[Budget], Outcome]:
        """Return the experiment of that name."""

        def experiment(budget: Budget) -> Outcome:
            if name == "fake.second" and self.broken is not None:
                raise self.broken
            self.ran.append(name)
            claim = next(claim for claim in CLAIMS if claim.experiment == name)
            ours = Spread.of(self.values)
            return Outcome((Finding(claim.id, meets(claim, ours.mean), "Because.", ours),))

        return experiment


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(running, "load", made.load)
    monkeypatch.setattr(running, "key", lambda name: made.key)
    monkeypatch.setattr("hyperplane.lecture.folder.key", lambda name: made.key)
    return made


def _run(folder: LectureFolder, size: Size = "full", overwrite: bool = False) -> dict[str, str]:
    return running.run(CLAIMS, folder, size, overwrite=overwrite)


def test_what_is_finished_before_a_failure_is_kept_and_not_computed_again(folder: LectureFolder, fakes: Fakes) -> None:
    fakes.broken = ZeroDivisionError("in the middle")
    with pytest.raises(ZeroDivisionError):
        _run(folder)
    assert fakes.ran == ["fake.first"]
    fakes.broken = None
    _run(folder)
    assert fakes.ran == ["fake.first", "fake.second", "fake.third"]
    _run(folder)
    assert len(fakes.ran) == 3


def test_overwrite_computes_again(folder: LectureFolder, fakes: Fakes) -> None:
    _run(folder)
    fakes.values = (1.0, 1.0)
    _run(folder)
    assert [row.verdict for row in report.rows(CLAIMS, folder, {})] == ["beaten"] * 3
    _run(folder, overwrite=True)
    assert [row.verdict for row in report.rows(CLAIMS, folder, {})] == ["not reached"] * 3


def test_an_experiment_that_changed_is_run_again(folder: LectureFolder, fakes: Fakes) -> None:
    _run(folder)
    fakes.key = "b"
    assert [row.verdict for row in report.rows(CLAIMS, folder, {})] == ["not run"] * 3
    _run(folder)
    assert len(fakes.ran) == 6


def test_a_damaged_result_is_computed_again(folder: LectureFolder, fakes: Fakes) -> None:
    _run(folder)
    (folder.of("full", "results") / "fake.first.json").write_text("{")
    _run(folder)
    assert fakes.ran[3:] == ["fake.first"]


def test_a_full_result_is_not_replaced_by_a_quick_one(folder: LectureFolder, fakes: Fakes) -> None:
    _run(folder, "quick")
    assert len(fakes.ran) == 3
    _run(folder, "full")
    assert len(fakes.ran) == 6
    _run(folder, "quick")
    assert len(fakes.ran) == 6
    assert all(row.stored is not None and row.stored.size == "full" for row in report.rows(CLAIMS, folder, {}))


def test_what_is_skipped_says_why_and_is_tried_again(folder: LectureFolder, fakes: Fakes) -> None:
    fakes.broken = Skipped("the data are not here; add --download")
    skipped = _run(folder)
    assert skipped == {"fake.second": "the data are not here; add --download"}
    assert [row.verdict for row in report.rows(CLAIMS, folder, skipped)] == ["beaten", "skipped", "beaten"]
    fakes.broken = None
    assert _run(folder) == {} and fakes.ran[2:] == ["fake.second"]


def test_whoever_watches_is_told(folder: LectureFolder, fakes: Fakes) -> None:
    seen: list[running.Event] = []
    running.run(CLAIMS[:1], folder, "full", watch=seen.append)
    running.run(CLAIMS[:1], folder, "full", watch=seen.append)
    assert [type(event) for event in seen] == [running.Begun, running.Done] * 2
    assert [event.again for event in seen if isinstance(event, running.Done)] == [True, False]


@pytest.mark.parametrize("there", ["a file", "a folder with something else"])
def test_what_is_not_ours_is_left_alone(there: str, tmp_path: Path, fakes: Fakes) -> None:
    place = tmp_path / "lecture"
    if there == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
        (place / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="--out"):
        _run(LectureFolder(place))
    assert not fakes.ran and [p.name for p in tmp_path.rglob("*")] in (["lecture"], ["lecture", "notes.txt"])


@pytest.mark.parametrize(
    ("sense", "values", "word"),
    [
        ("at most", (1.0, 1.9), "beaten"),
        ("at most", (1.0, 1.9, 2.1), "reached"),
        ("at most", (2.1, 2.2), "not reached"),
        ("at least", (2.1, 3.0), "beaten"),
        ("at least", (1.9, 2.1, 3.0), "reached"),
        ("at least", (1.0,), "not reached"),
        ("equals", (2.0,), "holds"),
        ("equals", (2.1,), "refuted"),
    ],
)
def test_a_number_is_judged_by_its_middle_and_beaten_where_all_are_better(
    sense: str, values: tuple[float, ...], word: str
) -> None:
    claim = Claim("x", "one", (1, 1), "Claim.", "number", 2.0, "", sense, "fake.x")  # pyright: ignore[reportArgumentType]
    ours = Spread.of(values)
    assert verdict(claim, Finding("x", meets(claim, ours.median), "", ours)) == word


def test_a_statement_and_what_was_not_judged() -> None:
    claim = Claim("x", "one", (1, 1), "Claim.", "statement", experiment="fake.x")
    words = [verdict(claim, Finding("x", holds, "")) for holds in (True, False, None)]
    assert words == ["holds", "refuted", "not judged"]
    assert verdict(claim, None) == "not run"
    assert verdict(Claim("y", "one", (1, 1), "Claim.", "statement"), None) == "open"


def test_a_small_budget_does_not_deny(folder: LectureFolder) -> None:
    small, full = Budget("fake.x", "quick", folder), Budget("fake.x", "full", folder)
    assert [small.judged(True), small.judged(False)] == [True, None]
    assert [full.judged(True), full.judged(False)] == [True, False]


def test_results_are_told_to_programs(folder: LectureFolder, fakes: Fakes) -> None:
    _run(folder)
    report.write(KNOWN, folder, {})
    told = json.loads(folder.results.read_text())["claims"]
    assert [one["verdict"] for one in told] == ["beaten"] * 3
    assert told[0]["found"]["ours"]["values"] == [3.0, 4.0]
    assert told[0]["found"]["command"] == "hyperplane lecture --claim one-first --overwrite"
    assert told[0]["size"] == "full" and told[0]["lines"] == [1, 2]


def test_only_what_is_asserted_fails(folder: LectureFolder, fakes: Fakes) -> None:
    fakes.values = (1.0,)
    _run(folder)
    assert len(report.failed(report.rows(CLAIMS, folder, {}))) == 3
    calm = [replace(claim, asserted=False) for claim in CLAIMS]
    assert report.failed(report.rows(calm, folder, {})) == []
