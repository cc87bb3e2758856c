"""The report: one file that needs nothing else, shows what the folder holds, and runs nothing that it brings."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hyperplane.errors import UserError
from hyperplane.runs import report
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import Explained

Made = Callable[..., RunFolder]
EVIL = "<script>alert(1)</script>"


class _Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.policy = ""
        self.text = ""
        self._style = False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._style = tag == "style"
        found = dict(attrs)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else f" {data}"


def _figures(page: _Page) -> list[str]:
    kind = "data:image/svg+xml;base64,"
    return [base64.b64decode(link[len(kind) :]).decode() for link in page.links if link.startswith(kind)]


def test_it_needs_nothing_else(tmp_path: Path, run_of: Made) -> None:
    path = report.write(run_of(tmp_path / "digits").path)
    assert path == tmp_path / "digits" / "report.html"
    page = _Page(path)
    assert page.links and all(link.startswith("data:image/") for link in page.links)
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & set(page.tags)
    assert not page.handlers and "url(" not in path.read_text() and "@import" not in path.read_text()
    assert page.policy.startswith("default-src 'none'") and "script-src" not in page.policy


def test_it_tells_what_the_folder_holds(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits")
    page = _Page(report.write(folder.path))
    text = " ".join(page.text.split())
    for expected in (
        "Accuracy on 360 test samples 96.7 % 95% interval 94.6 to 98.1 %",
        "Parameters 17,226 Training time 4.3 s",
        "lowest loss",
        "1,293 train 72.0 %",
        "Split by chance with seed 0",
        "net.options.hidden 128, 64",
        "AMD EPYC 7B13",
        f"hyperplane train --recipe {folder.recipe} --name digits-again",
    ):
        assert expected in text
    assert len(_figures(page)) == 3 and page.tags.count("img") == 3 + 12
    folder.verify()
    assert folder.plots.joinpath("curves.svg").is_file()


def test_it_is_the_same_when_written_again(tmp_path: Path, run_of: Made) -> None:
    first, second = run_of(tmp_path / "a" / "run"), run_of(tmp_path / "b" / "run")
    one, two = (report.write(f.path).read_text().replace(str(f.path), "RUN") for f in (first, second))
    assert one == two


def test_names_from_the_data_are_text(tmp_path: Path, run_of: Made) -> None:
    classes = (EVIL, '" onload="alert(1)', "x" * 300, "$x^2$", "猫 \udcff \x00", *"56789")
    folder = run_of(tmp_path / "digits", classes=classes, name=EVIL, worst_names="{}" + EVIL + '".png')
    page = _Page(report.write(folder.path))
    assert "script" not in page.tags and not page.handlers
    assert page.text.count(EVIL) > 3
    assert not any("<script" in figure or "\x00" in figure for figure in _figures(page))


def test_a_figure_that_brings_a_script_stays_an_image(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (folder.plots / f"{EVIL.replace('/', '_')}.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'>{EVIL}</svg>")
    page = _Page(report.write(folder.path))
    assert "script" not in page.tags and "svg" not in page.tags


def test_one_epoch_many_classes_and_no_test_split(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "run", classes=tuple(f"class {k}" for k in range(100)), epochs=1, tested=False)
    text = " ".join(_Page(report.write(folder.path)).text.split())
    assert "no test samples, hence no interval" in text and "100 classes" in text and "76 more" in text
    assert "360" not in text


def test_a_run_that_was_never_judged(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "run", epochs=1, tested=False)
    folder.metrics.write_bytes(b"")
    text = _Page(report.write(folder.path)).text
    assert "Not measured" in text and not (folder.plots / "curves.svg").exists()


def test_rows_of_a_table(tmp_path: Path, table_run_of: Made) -> None:
    page = _Page(report.write(table_run_of(tmp_path / "houses").path))
    text = " ".join(page.text.split())
    assert "Long Lane" in text and "area (m²)" in text and re.search(r"RMSE on 120 test samples [\d.]+ k€", text)


@pytest.mark.parametrize("picture", ["../secret.png", "/etc/hostname", "plots/worst/link.png"])
def test_no_picture_from_outside_gets_in(tmp_path: Path, run_of: Made, picture: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (tmp_path / "secret.png").write_bytes((folder.plots / "worst" / "000.png").read_bytes())
    (folder.plots / "worst" / "link.png").symlink_to(tmp_path / "secret.png")
    worst = json.loads(folder.worst.read_text())
    folder.worst.write_text(json.dumps([{**worst[0], "picture": picture}]))
    with pytest.raises(UserError, match="lies outside of it"):
        report.write(folder.path)


def test_no_figure_from_outside_gets_in(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (tmp_path / "secret.svg").write_text("<svg/>")
    (folder.plots / "secret.svg").symlink_to(tmp_path / "secret.svg")
    with pytest.raises(UserError, match="lies outside of it"):
        report.write(folder.path)


WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "


def _explained(folder: RunFolder, *pictures: Explained) -> Path:
    """Write pictures of what a net learned beside their list, and return the folder that they are in."""
    folder.explained.mkdir()
    folder.write_explained(pictures)
    (folder.explained / "field.svg").write_text(f"<svg xmlns='http://www.w3.org/2000/svg'>{EVIL}</svg>")
    for name in ("film.webp", "film-end.webp"):
        (folder.explained / name).write_bytes(WEBP)
    return folder.explained


def test_what_it_learned_is_told_with_captions(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    _explained(folder, Explained("film.webp", "It moves.", "film-end.webp"), Explained("field.svg", f"Of {EVIL}."))
    path = report.write(folder.path)
    page = _Page(path)
    text = " ".join(page.text.split())
    assert "What it learned" in text and "It moves." in text and f"Of {EVIL}." in text
    film = f"data:image/webp;base64,{base64.b64encode(WEBP).decode()}"
    assert page.links.count(film) == 2 and page.tags.count("source") == 1
    assert all(link.startswith("data:image/") for link in page.links)
    assert "script" not in page.tags and "svg" not in page.tags
    folder.verify()


@pytest.mark.parametrize("name", ["../secret.svg", "/etc/hostname", "link.svg"])
def test_no_picture_of_what_it_learned_from_outside_gets_in(tmp_path: Path, run_of: Made, name: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (tmp_path / "secret.svg").write_text("<svg/>")
    (_explained(folder, Explained(f"../{name}" if name[0] == "." else name, "Secret.")) / "link.svg").symlink_to(
        tmp_path / "secret.svg"
    )
    with pytest.raises(UserError, match=r"lies outside of it|is no picture"):
        report.write(folder.path)


@pytest.mark.parametrize("name", ["lost.svg", "figures.json", "empty.svg"])
def test_what_is_no_picture_of_what_it_learned_is_named(tmp_path: Path, run_of: Made, name: str) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (_explained(folder, Explained(name, "None.")) / "empty.svg").write_bytes(b"")
    with pytest.raises(UserError, match=f"{name}: is no picture of what the net learned; type: hyperplane explain"):
        report.write(folder.path)


def test_a_picture_that_is_none_is_named(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    (folder.plots / "worst" / "000.png").write_text("hello")
    with pytest.raises(UserError, match=r"000\.png: is not a picture"):
        report.write(folder.path)


def test_times_and_numbers_read_well() -> None:
    seconds = (0.84, 14.2, 59.7, 200, 7500)
    assert [report.duration(s) for s in seconds] == ["0.8 s", "14 s", "1 min 0 s", "3 min 20 s", "2 h 5 min"]
    assert report.number(98.6111, 97.2, 99.4) == "98.6"
    assert report.number(0.14321, 0.0932, 0.1932) == "0.143"
    assert report.number(1234567.8, 1.2e6, 1.3e6) == "1,234,568"
    assert (report.number(0.123456), report.number(math.nan), report.number(math.inf)) == (
        "0.1235",
        "not a number",
        "infinite",
    )
    assert report.number(100.0, 100.0, 100.0) == "100"
