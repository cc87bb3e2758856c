"""`hyperplane lecture`: what it prints, what it leaves behind, and its exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hyperplane.cli import main
from hyperplane.lecture import running
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.findings import Finding, Outcome
from tests.cli.commands import environment

EXACT = ["--claim", "linear-sides", "mlp-node-hyperplane"]


def _lecture(*arguments: str) -> int:
    return main(["lecture", *arguments])


def test_it_runs_reports_and_goes_on(empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _lecture("--quick", *EXACT) == 0
    said = capsys.readouterr()
    assert said.out == "" and "holds       Each node defines a hyperplane." in said.err
    assert "report    lecture/report.html" in said.err
    told = {c["id"]: c for c in json.loads((empty_folder / "lecture" / "results.json").read_text())["claims"]}
    assert told["mlp-node-hyperplane"]["verdict"] == "holds" and told["mlp-bypass"]["verdict"] == "not run"
    assert told["cnn-alexnet-time"]["verdict"] == "open" and told["cnn-gabor"]["verdict"] == "not run"
    assert _lecture("--quick", *EXACT) == 0
    assert capsys.readouterr().err.count("kept from before") == 2


def test_the_list_computes_nothing(empty_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _lecture("--list", "--chapter", "linear") == 0
    said = capsys.readouterr()
    assert "linear-sides" in said.out and "not run" in said.out and "mlp-bypass" not in said.out
    assert not list(empty_folder.iterdir())


def test_the_list_imports_no_torch(empty_folder: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "hyperplane", "lecture", "--list"]
    done = subprocess.run(
        command, cwd=empty_folder, env=environment(), capture_output=True, text=True, timeout=60, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "hyperplane.lecture.claims" in imported and "torch" not in imported


def test_a_claim_that_is_asserted_and_fails_is_told(
    empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(budget: Budget) -> Outcome:
        return Outcome((Finding("mlp-node-hyperplane", False, "It is not so."),))

    monkeypatch.setattr(running, "load", lambda name: wrong)
    assert _lecture("--claim", "mlp-node-hyperplane") == 1
    said = capsys.readouterr().err
    assert "wrong     mlp-node-hyperplane: Each node defines a hyperplane." in said


def test_ctrl_c_keeps_what_is_finished(
    empty_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = running.load

    def interrupted(budget: Budget) -> Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "load", lambda name: interrupted if name.startswith("perceptrons") else real(name))
    assert _lecture("--quick", *EXACT) == 130
    assert "type the same command" in capsys.readouterr().err
    report = (empty_folder / "lecture" / "report.html").read_text("utf-8")
    assert 'id="linear-sides"' in report
    monkeypatch.setattr(running, "load", real)
    assert _lecture("--quick", *EXACT) == 0
    assert capsys.readouterr().err.count("kept from before") == 1
