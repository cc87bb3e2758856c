"""A file is whole or as it was, whatever goes wrong while it is written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hyperplane.errors import UserError
from hyperplane.runs import atomic


def test_it_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")
    atomic.write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode()
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.json"
    atomic.write_text(path, "old")

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="Input/output"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".a.json.part").write_text("half of")
    atomic.write_text(tmp_path / "a.json", "whole")
    assert os.listdir(tmp_path) == ["a.json"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "no space left to write it"),
        (errno.EDQUOT, "no space left to write it"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
def test_the_user_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    path = tmp_path / "a.json"

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match=said) as caught:
        atomic.write_bytes(path, b"x", hint="type: hyperplane train --resume runs/a")
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("then type: hyperplane train --resume runs/a")
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """The kernel itself refuses the write: a process that may write files of no more than 4 KiB."""
    path = tmp_path / "big"
    path.write_bytes(b"old")
    program = (
        "import resource, sys, pathlib\n"
        "from hyperplane.errors import UserError\n"
        "from hyperplane.runs import atomic\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        "    atomic.write_bytes(pathlib.Path(sys.argv[1]), bytes(100_000))\n"
        "except UserError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert f"{path}: no space left to write it" in done.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["big"]
