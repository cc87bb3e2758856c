"""What these tests share: runs without their own pictures, which other rooms test, and a folder for results."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hyperplane.engine import training
from hyperplane.lecture.folder import LectureFolder
from hyperplane.runs.folder import RunFolder


def _report(path: Path) -> Path:
    report: Path = RunFolder(path).report
    report.write_text("")
    return report


@pytest.fixture
def plain_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs draw nothing and write an empty report: most of the time of a tiny run goes there."""
    monkeypatch.setattr(training, "report", SimpleNamespace(write=_report))
    monkeypatch.setattr(training, "figures", SimpleNamespace(save=lambda figure, path: path.write_text("<svg/>")))


@pytest.fixture
def folder(tmp_path: Path) -> LectureFolder:
    """An empty folder of results."""
    made = LectureFolder(tmp_path / "lecture")
    made.create()
    return made
