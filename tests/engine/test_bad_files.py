"""Pictures that break in the middle of the training, after the look at their headers; and classes of one or none."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from hyperplane import api
from hyperplane.cli import main
from hyperplane.engine.events import Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.errors import UserError
from hyperplane.explain import subject
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


def interrupt(event: Any) -> None:
    """Ask the run to stop, as Ctrl-C does, once some steps were made."""
    if isinstance(event, Stepped):
        signal.raise_signal(signal.SIGINT)


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
    assert run.evaluate() == run.metrics, "on what it was trained on, as it is now"
    assert subject.load(run.path).source is not None


@pytest.mark.parametrize("gone", [False, True], ids=["cut", "deleted"])
def test_a_run_that_a_picture_stopped_goes_on_without_it(
    pets: Path, gone: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match=r"--data\.skip-bad"):
        api.train("pets", changes={**STREAMED, "training.checkpoint_seconds": 0.0}, watch=breaking(pets))
    description = Path("runs/pets/data.json").read_bytes()
    if gone:
        for file in ("cat/05.png", "dog/07.png", "dog/03.png"):
            (pets / file).unlink()
        with pytest.raises(UserError, match=r"has changed.*type: hyperplane train --resume runs/pets --skip-bad"):
            api.resume("runs/pets")
    assert main(["train", "--resume", "runs/pets", "--skip-bad"]) == 0
    said = capsys.readouterr().err
    assert "resumed   at step" in said and "left out: " in said and "pets/cat/05.png" in said
    run = api.load("runs/pets")
    assert run.recipe.data.skip_bad and Path("runs/pets/data.json").read_bytes() == description
    assert run.evaluate() == run.metrics


def test_what_is_left_out_keeps_its_place_when_the_run_is_interrupted(pets: Path) -> None:
    with pytest.raises(Interrupted):
        api.train(
            "pets", changes={**STREAMED, "data.skip_bad": True}, watch=lambda e: (breaking(pets)(e), interrupt(e))
        )
    before = Path("runs/pets/listing.json").read_bytes()
    (pets / "cat" / "00.png").rename(pets / "cat" / "later.png")
    api.resume("runs/pets")
    assert Path("runs/pets/listing.json").read_bytes() == before
    run = api.load("runs/pets")
    assert run.trained.description.splits["train"] == 24 and run.evaluate() == run.metrics


def test_another_picture_in_a_files_place_is_refused(pets: Path) -> None:
    run = api.train("pets", changes={**STREAMED, "data.skip_bad": True})
    makers.class_folders(pets.parent / "other", {"cat": 1}, size=(20, 20))
    (pets.parent / "other/cat/00.png").replace(pets / "cat" / "00.png")
    with pytest.raises(UserError, match=r"cat/00\.png: is another picture than when the run began; put"):
        run.evaluate()


@pytest.mark.parametrize("listed", ['{"train": [["cat/00.png", 0, 1]]}', '{"train": [["cat/00.png", 0]]}', "hello"])
def test_a_listing_that_is_not_the_runs_is_refused(pets: Path, listed: str) -> None:
    with pytest.raises(Interrupted):
        api.train("pets", changes={**STREAMED, "data.skip_bad": True}, watch=interrupt)
    Path("runs/pets/listing.json").write_text(listed)
    with pytest.raises(UserError, match=r"listed otherwise|expected 3|not JSON"):
        api.resume("runs/pets")


def test_a_class_of_one_picture_is_learned_from_and_an_empty_folder_is_left_out(pets: Path) -> None:
    makers.class_folders(pets, {"eel": 1, "fox": 0})
    run = api.train("pets", changes={"training.epochs": 1})
    told = run.trained.description
    assert told.classes == ("cat", "dog", "eel") and told.class_counts[2] == 1
    assert "Trained on and never tested: 'eel' (1 sample)." in told.notes
    assert any("'fox' holds no picture and was left out" in note for note in told.notes)
    assert run.predict(pets / "eel" / "00.png")["class"] in told.classes
