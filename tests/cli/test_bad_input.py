"""What users get wrong, from end to end: one line that names it and says what to do, status 2, and nothing lost."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

import pytest

from tests.cli.commands import Answer, Command, in_a_process, tree
from tests.cli.corpus.cases import CUT, PICKLE, Case
from tests.cli.corpus.data import DATA
from tests.cli.corpus.folders import FOLDERS
from tests.cli.corpus.texts import PROMPTS, TEXTS, VISION, WRITING
from tests.cli.corpus.training import NUMBERS, TRAINING
from tests.cli.corpus.verbs import VERBS
from tests.data import makers
from tests.nobody import as_nobody

NEXT_STEP = re.compile(
    r"[;:] (type|name|add|rename|correct|copy|export|save|leave|put|choose|make|give|pipe|delete|start|to |for |the )"
    r"|did you mean|there is: |type:? |shorten it|add |so ask |\(hyperplane "
)
"""How a message goes on after what was found and what was expected."""


def _expect_one_line(answer: Answer, says: tuple[str, ...]) -> None:
    assert answer.status == 2, answer
    assert answer.out == ""
    assert answer.err.startswith("error: ") and answer.err.count("\n") == 1 and answer.err.strip().isprintable()
    assert "Traceback" not in answer.err and "[Errno" not in answer.err
    for word in says:
        assert word in answer.err
    assert NEXT_STEP.search(answer.err), f"says no next step: {answer.err}"


CORPUS = [*DATA, *TRAINING, *VERBS, *FOLDERS, *TEXTS, *PROMPTS, *WRITING, *VISION]


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.about)
def test_one_line_and_nothing_lost(case: Case, place: Path, hyperplane: Command) -> None:
    case.make(place)
    before = tree(place)
    _expect_one_line(hyperplane(*case.typed.split()), case.says)
    assert tree(place) == before


def test_a_first_step_that_cannot_be_made_leaves_nothing(place: Path, hyperplane: Command) -> None:
    """Batch normalisation needs two images where each has one pixel left, which only the first step shows."""
    before = tree(place)
    typed = "train pets --name p --net resnet18 --net.width 4 --data.size 32 --batch 1"
    answer = hyperplane(*typed.split())
    told = answer.err.splitlines()[-1]
    assert answer.status == 2 and told.startswith("error: ") and "type: --batch 2" in told
    assert tree(place) == before


@pytest.mark.parametrize(("option", "value"), [(o, v) for o, values in NUMBERS.items() for v in values])
def test_a_number_out_of_range(option: str, value: str, place: Path, hyperplane: Command) -> None:
    before = tree(place)
    answer = hyperplane("train", "digits", "--overwrite", option, value)
    _expect_one_line(answer, (option.rpartition(".")[2].strip("-").replace("-", "_"), "found", "expected"))
    assert tree(place) == before


def test_check_names_every_bad_file(place: Path, hyperplane: Command) -> None:
    bad = {"cat/note.png": b"hello", "cat/cut.jpg": CUT, "dog/empty.png": b""}
    for name, content in bad.items():
        (place / "pets" / name).write_bytes(content)
    answer = hyperplane("check", "pets")
    assert answer.status == 2
    assert all(name in answer.out for name in bad)
    assert answer.err == "error: pets: 3 problems, named above\n"
    told = json.loads(hyperplane("check", "pets", "--json").out)
    assert len(told["problems"]) == 3 and told["description"] is None


@pytest.mark.parametrize("verb", ["train", "check", "predict"])
@pytest.mark.parametrize("kind", ["table", "folder"])
def test_what_may_not_be_read(verb: str, kind: str, monkeypatch: pytest.MonkeyPatch, hyperplane: Command) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o777)
        monkeypatch.chdir(root)
        file = (
            makers.animals(root / "animals.csv")
            if kind == "table"
            else makers.class_folders(root / "pets", {"cat": 8, "dog": 8})
        )
        recipe = [file.name, *(["--target", "animal"] if kind == "table" else [])]
        assert hyperplane("train", *recipe, "--epochs", "1").status == 0  # and so that all is imported
        run = f"runs/{file.stem}"
        before = tree(root / "runs")
        file.chmod(0)
        typed = {"train": [*recipe, "--name", "new"], "check": recipe, "predict": [run, file.name]}[verb]
        with as_nobody():
            answer = hyperplane(verb, *typed)
        file.chmod(0o755)
        told = answer.out + answer.err  # check names what it finds on standard output
        assert answer.status == 2 and answer.err.startswith("error: ") and answer.err.count("\n") == 1
        assert all(word in told for word in (file.name, "permission denied", "chmod")) and "Traceback" not in told
        assert verb == "check" or not answer.out
        assert tree(root / "runs") == before


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("trian", ("did you mean 'train'?",)),
        ("train digits --epoch 3", ("did you mean --epochs?",)),
        ("predict runs/animals -", ("standard input", "empty")),
        ("predict runs/other animals.csv", ("runs/other",)),
    ],
)
def test_a_process_says_the_same(typed: str, says: tuple[str, ...], workshop: Path) -> None:
    before = tree(workshop)
    _expect_one_line(in_a_process(*typed.split(), cwd=workshop), says)
    assert tree(workshop) == before


def test_a_pickle_is_not_run(place: Path, hyperplane: Command) -> None:
    (place / "runs" / "animals" / "model.safetensors").write_bytes(PICKLE)
    for typed in ("predict runs/animals animals.csv", "evaluate runs/animals", "compare runs/animals runs/pets"):
        _expect_one_line(hyperplane(*typed.split()), ("pickle",))
    assert not (place / "own").exists()


def test_debug_shows_the_traceback(place: Path, hyperplane: Command) -> None:
    answer = hyperplane("train", "nowhere.csv", "--debug")
    assert answer.status == 2 and "Traceback" in answer.err and answer.err.splitlines()[-1].startswith("error: ")
