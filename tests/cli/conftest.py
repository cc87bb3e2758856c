"""Small data and the runs trained on them, once for the whole room; and the command line, run in this process."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from hyperplane.cli import main
from tests.cli.commands import Answer, Command
from tests.cli.corpus.texts import VERSE
from tests.data import makers


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with animals.csv, a folder of pictures pets, one picture, and runs of animals, pets, digits, a book."""
    folder = tmp_path_factory.mktemp("workshop")
    makers.animals(folder / "animals.csv")
    makers.class_folders(folder / "pets", {"cat": 12, "dog": 12})
    Image.fromarray(makers.noise((10, 10, 3))).save(folder / "one.png")
    (folder / "book.txt").write_text(VERSE)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for command in (
            "train animals.csv --target animal --epochs 2",
            "train pets --epochs 1",
            "train digits --epochs 1",
            "train book.txt --data.context 16 --net.layers 1 --net.width 16 --net.heads 2 --training.steps 2 --batch 4",
        ):
            assert main([*command.split()]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the workshop, which is the current folder and may be damaged."""
    shutil.copytree(workshop, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hyperplane(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line in this process; `stdin` is what standard input holds."""

    def run(*arguments: str, stdin: bytes = b"") -> Answer:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        status = main(list(arguments))
        said = capsys.readouterr()
        return Answer(status, said.out, said.err)

    return run
