"""A language model that begins with another: with its context or one that is asked for, as far as its weights go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from hyperplane import api, recipes
from hyperplane.cli import main

VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 24
SMALL = {"net.options.width": 8, "net.options.layers": 1, "net.options.heads": 2, "training.steps": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: a book, and two runs of it with a context of 16, its positions learned or rotary."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "book.txt").write_text(VERSE)
    (folder / "more.txt").write_text(VERSE[:500])
    before = Path.cwd()
    os.chdir(folder)
    for name, net in (("learned", "gpt"), ("rotary", "gpt-modern")):
        api.train("book.txt", net=net, name=name, changes={**SMALL, "data.options": {"context": 16}})
    yield folder
    os.chdir(before)


def go_on(start: str, context: int | None, name: str) -> api.Run:
    typed = ["train", "more.txt", "--from", f"runs/{start}", "--name", name, "--training.steps", "1", "--overwrite"]
    assert main([*typed, *(["--data.context", str(context)] if context else [])]) == 0
    return api.load(f"runs/{name}")


def test_the_context_is_that_of_the_run(place: Path) -> None:
    run = go_on("learned", None, "same")
    assert run.trained.description.shapes["token_BT"] == (16,) and run.recipe.data.options["context"] == 16
    assert not any("at once" in note for note in run.trained.description.notes)
    assert recipes.start("more.txt", weights="runs/rotary").data.options["context"] == 16  # and not of the usual recipe
    shorter = recipes.start("more.txt", weights="runs/rotary", given=run.recipe)
    assert shorter.data.options["context"] == 16


@pytest.mark.parametrize("context", [17, 128])
def test_more_than_the_places_that_were_learned_is_refused(context: int, place: Path, capsys: Any) -> None:
    typed = f"train book.txt --from runs/learned --name none --data.context {context}"  # of which 128 is the default
    assert main(typed.split()) == 2
    told = f"a context of {context} tokens, expected at most 16, the places that its weights have learned; type: "
    assert told + "--data.context 16" in capsys.readouterr().err and not Path("runs/none").exists()


@pytest.mark.parametrize(("start", "context"), [("learned", 6), ("rotary", 6), ("rotary", 40)])
def test_another_context_is_read_as_far_as_the_places_were_learned(start: str, context: int, place: Path) -> None:
    run = go_on(start, context, "other")
    assert run.trained.description.shapes["token_BT"] == (context,) and run.net.context == context  # pyright: ignore
    assert any(f"It reads {context} tokens at once, that run's net 16." in n for n in run.trained.description.notes)
    assert run.evaluate()["loss"].value == pytest.approx(run.metrics["loss"].value, rel=1e-5)
    assert len(run.generate("Thou", tokens=3 * context, temperature=0)) == 3 * context
    again = api.train("more.txt", start=run.path, name="again", overwrite=True, changes={"training.steps": 1})
    assert again.trained.description.shapes["token_BT"] == (context,)


def test_the_places_that_are_kept_are_the_first(place: Path) -> None:
    changes = {"data.options": {"context": 5}, "training.steps": 1, "optimizer.learning_rate": 1e-12}
    api.train("more.txt", start="runs/learned", name="first", changes=changes)
    whole, kept = (
        safetensors.torch.load_file(f"runs/{n}/model.safetensors")["net.wpe.weight"] for n in ("learned", "first")
    )
    assert kept.shape == (5, 8)
    torch.testing.assert_close(kept, whole[:5], rtol=0, atol=1e-9)


def test_a_run_that_was_begun_so_goes_on_so(place: Path) -> None:
    run = go_on("rotary", 6, "stopped")
    before = (run.path / "model.safetensors").read_bytes()
    for name in ("manifest.json", "model.safetensors", "report.html"):
        (run.path / name).unlink()
    assert main(["train", "--resume", "runs/stopped"]) == 0
    assert (run.path / "model.safetensors").read_bytes() == before
