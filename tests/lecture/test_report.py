"""The report: one file that needs nothing else, in which nothing that came from outside can run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hyperplane.lecture import report
from hyperplane.lecture.claims import Chapter, Claim, Claims, load
from hyperplane.lecture.findings import Finding, Outcome, Picture, Spread, Table
from hyperplane.lecture.folder import LectureFolder, Made, Stored

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
CLAIM = Claim("one-first", "one", (3, 4), "A claim.", "number", 0.5, "loss", "at most", "fake.first")
KNOWN = Claims((Chapter("one", "One", "About.", (1, 9)),), (CLAIM,))


class _Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.policy = ""
        self.text = ""
        self._style = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._style = tag == "style"
        self.attributes += [(name, value or "") for name, value in attrs]
        found = dict(attrs)
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else f" {data}"


@pytest.fixture(autouse=True)
def _any_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperplane.lecture.folder.key", lambda name: "k")


def _keep(folder: LectureFolder, text: str, holds: bool | None = True) -> None:
    place = folder.of("full", "figures", "fake.first")
    place.mkdir(parents=True, exist_ok=True)
    (place / "p.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    picture = Picture("full/figures/fake.first/p.svg", f"caption {text}")
    finding = Finding("one-first", holds, f"why {text}", Spread.of([0.25, 1.5e-7]), f"measure {text}", f"type {text}")
    outcome = Outcome((finding,), f"about {text}", (picture,), (Table(f"table {text}", ("a", text), (("1", text),)),))
    folder.keep(Stored("fake.first", "full", "k", outcome, 61.0, Made("2030-01-02T03:04", f"cpu {text}", "soft")))


def test_hostile_texts_stay_texts(folder: LectureFolder) -> None:
    _keep(folder, EVIL)
    claim = replace(CLAIM, claim=f"claim {EVIL}", note=f"note {EVIL}", unit=EVIL)
    chapter = replace(KNOWN.chapters[0], title=f"title {EVIL}", about=EVIL)
    report.write(Claims((chapter,), (claim,)), folder, {"other": f"reason {EVIL}"})
    page = _Page(folder.report)
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count("alert(1)") >= 20 and page.tags.count("img") == 1
    assert page.policy.startswith("default-src 'none'") and "script-src" not in page.policy
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert all(link.startswith(("data:image/svg+xml;base64,", "#")) for link in links)


def test_it_tells_what_was_found(folder: LectureFolder) -> None:
    _keep(folder, "here")
    report.write(KNOWN, folder, {})
    text = " ".join(_Page(folder.report).text.split())
    for expected in (
        "1 of 1 claims that were tested",
        "lecture 0.500 ours 0.125 measure here 1.50e−7 to 0.250 over 2 seeds",
        "why here",
        "lines 3–4; repeat it type here",
        "caption here",
        "table here",
        "1 min 1 s",
        "cpu here",
        "reached",
    ):
        assert expected in text, expected


def test_a_failed_assertion_stands_at_the_top(folder: LectureFolder) -> None:
    _keep(folder, "here", holds=False)
    rows = report.write(KNOWN, folder, {})
    assert [row.verdict for row in report.failed(rows)] == ["not reached"]
    assert "We assert this claim, and found otherwise: one-first" in " ".join(_Page(folder.report).text.split())


def test_all_claims_are_shown_though_nothing_was_run(folder: LectureFolder) -> None:
    known = load()
    report.write(known, folder, {})
    page = folder.report.read_text("utf-8")
    assert len(re.findall(r'<tr id="', page)) == len(known.claims)
    assert "0<small>of 0</small>" in page


@pytest.mark.parametrize(
    ("value", "said"),
    [(501.0, "501"), (95410.0, "95,410"), (0.25, "0.250"), (0.0831, "0.0831"), (3.07e-7, "3.07e−7"), (0.0, "0"),
     (98.4, "98.40"), (1.5e9, "1.50e9")],
)  # fmt: skip
def test_numbers_as_people_write_them(value: float, said: str) -> None:
    assert report.number(value) == said
