"""Pictures that break in the middle of the training, after the look at their headers; and classes of one or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hyperplane import api
from hyperplane.engine.events import Stepped
from hyperplane.errors import UserError
from tests.data import makers


@pytest.fixture
def pets(empty_folder: Path) -> Path:
    """A folder of pictures of two classes."""
    return makers.class_folders(empty_folder / "pets", {"cat": 12, "dog": 12})


def breaking(pets: Path) -> Any:
    """Return a watch that cuts three pictures short once some steps were made."""

    def watch(event: Any) -> None:
        if isinstance(event, Stepped):
            for file in ("cat/05.png", "dog/07.png", "dog/03.png"):
                (pets / file).write_bytes((pets / file).read_bytes()[:80])

    return watch


STREAMED = {"data.memory_gb": 0.0, "data.validation": 0.0, "data.test": 0.0, "training.epochs": 3, "training.batch": 4}


@pytest.mark.parametrize("workers", [0, 1])
def test_it_is_named_and_the_run_stops(pets: Path, workers: int) -> None:
    changes = {**STREAMED, "data.workers": workers, "training.checkpoint_seconds": 0.0}
    with pytest.raises(UserError, match=r"(cat/05|dog/07|dog/03)\.png.*--data\.skip-bad"):
        api.train("pets", changes=changes, watch=breaking(pets))
    assert not Path("runs/pets/manifest.json").exists() and Path("runs/pets/checkpoint/manifest.json").exists()


def test_where_asked_the_run_goes_on_and_says_what_it_left_out(pets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = api.train("pets", changes={**STREAMED, "data.skip_bad": True}, watch=breaking(pets))
    assert run.path.is_dir()
    said = capsys.readouterr().err
    assert "left out: " in said and "cat/05.png" in said and "dog/07.png" in said
    assert len(run.trained.folder.read_evaluation("train")["label_B"]) == 24


def test_a_class_of_one_picture_is_learned_from_and_an_empty_folder_is_left_out(pets: Path) -> None:
    makers.class_folders(pets, {"eel": 1, "fox": 0})
    run = api.train("pets", changes={"training.epochs": 1})
    told = run.trained.description
    assert told.classes == ("cat", "dog", "eel") and told.class_counts[2] == 1
    assert any("'fox' holds no picture and was left out" in note for note in told.notes)
    assert run.predict(pets / "eel" / "00.png")["class"] in told.classes
