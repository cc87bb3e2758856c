"""A net that begins with another run's weights: exactly those, read as they were trained, and a head of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import hyperplane
from hyperplane import api, data, nets, recipes
from hyperplane.engine import fine_tuning
from hyperplane.engine.events import Started, Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.engine.model import build
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe
from tests.data import makers

HEAD = {"output.weight", "output.bias"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: a run of the digits, pictures of three classes and two sizes, and others of four."""
    folder = tmp_path_factory.mktemp("fine")
    makers.class_folders(folder / "four", {"ant": 9, "bee": 9, "cow": 9, "doe": 9})
    makers.class_folders(folder / "pets", {"cat": 9, "dog": 9, "eel": 9})
    Image.fromarray(makers.noise((14, 17, 3))).save(folder / "pets" / "eel" / "wide.png")
    before = Path.cwd()
    os.chdir(folder)
    api.train("digits", changes={"training.epochs": 1})
    yield folder
    os.chdir(before)


def weights(path: str | Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(Path(path) / "model.safetensors")


def sha256(path: str | Path) -> str:
    return hashlib.sha256((Path(path) / "model.safetensors").read_bytes()).hexdigest()


def fine(source: str = "pets", start: str = "runs/digits", **fields: Any) -> Recipe:
    return Recipe(
        data=DataRecipe(source=source),
        net=NetRecipe(start=start),
        training=TrainingRecipe(epochs=2, batch=8, checkpoint_seconds=0.0),
        **fields,
    )


def begun(recipe: Recipe) -> tuple[Any, tuple[str, ...], Any]:
    """Return a model that has just begun, what was said, and its source."""
    source = fine_tuning.opened(recipe)
    whole = recipes.complete(recipe, source.description)
    model = build(whole, source.description)
    return model, fine_tuning.begin(model, whole, source.description), source


def test_it_does_not_replace_the_run_that_it_begins_with(place: Path) -> None:
    before = sha256("runs/digits")
    with pytest.raises(UserError, match=r"is the run to begin with, and would be replaced; type: --name digits-2"):
        api.train("digits", start="runs/digits", overwrite=True)
    assert sha256("runs/digits") == before


def test_it_begins_with_every_tensor_but_the_head(place: Path) -> None:
    model, told, _ = begun(fine())
    theirs, own = weights("runs/digits"), model.net.state_dict()
    assert own["output.weight"].shape == (3, 84) and theirs["net.output.weight"].shape == (10, 84)
    for name, tensor in own.items():
        assert torch.equal(tensor, theirs[f"net.{name}"]) == (name not in HEAD), name
    assert "runs/digits (lenet, SHA-256 " in told[0] and "8 of 10 tensors" in told[0]
    assert "new from the seed: output.bias, output.weight" in told[0]


def test_the_same_classes_keep_their_head_and_other_classes_of_the_same_number_do_not(place: Path) -> None:
    model, told, _ = begun(fine("digits"))
    assert torch.equal(model.net.output.weight, weights("runs/digits")["net.output.weight"])
    assert "its head too" in told[0]
    makers.class_folders(place / "ten", {name: 3 for name in "abcdefghij"})
    model, told, _ = begun(fine("ten"))
    assert not torch.equal(model.net.output.weight, weights("runs/digits")["net.output.weight"])


def test_pictures_are_read_as_the_start_read_them(place: Path) -> None:
    _, told, source = begun(fine())
    like = json.loads(Path("runs/digits/data.json").read_text())
    assert source.description.shapes["image_BCHW"] == (1, 8, 8)
    assert source.description.encoding == like["encoding"]
    assert source.description.classes == ("cat", "dog", "eel")
    name = source.sample_name("train", 4)
    expected = data.encode([place / "pets" / name], api.load("runs/digits").trained.description).batch()["image_BCHW"]
    assert torch.equal(source.batch("train", [4])["image_BCHW"], expected)
    assert "1 x 8 x 8" in told[1] and f"mean {like['encoding']['mean'][0]:.3g}" in told[1]


def test_pictures_in_memory_are_brought_to_another_size_and_colour(place: Path) -> None:
    digits = data.open(DataRecipe(source="digits"))
    encoding = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "middle": 0.75}
    like = replace(digits.description, shapes={"image_BCHW": (3, 12, 12), "label_B": ()}, encoding=encoding)
    read = digits.read_as(like).batch("test", [3, 7])["image_BCHW"]
    for i, index in enumerate((3, 7)):
        grey = digits.show("test", index)
        assert isinstance(grey, Image.Image)
        expected = grey.convert("F").resize((12, 12), Image.Resampling.BILINEAR, box=(1, 1, 7, 7))
        for c in range(3):
            level = read[i, c] * encoding["std"][c] + encoding["mean"][c]
            np.testing.assert_allclose(level.numpy(), np.asarray(expected) / 255, atol=2e-3)
    back = digits.read_as(
        replace(like, shapes={"image_BCHW": (1, 8, 8), "label_B": ()}, encoding={"mean": [0], "std": [1]})
    )
    assert back.batch("test", [3])["image_BCHW"].max() <= 1
    grey = digits.encoded_as(like)  # the same for labelled data of a net's own classes
    assert grey.batch("test", [3])["image_BCHW"].shape == (1, 3, 12, 12)


def test_colour_becomes_its_luma() -> None:
    from hyperplane.data.blocks import pictures

    pixel_HWC = makers.noise((6, 6, 3))
    expected = np.asarray(Image.fromarray(pixel_HWC).convert("L"), np.float32) / 255
    found = pictures.convert(pixel_HWC.transpose(2, 0, 1) / 255, (1, 6, 6))
    np.testing.assert_allclose(found[0], expected, atol=1 / 255)


def test_the_recipe_alone_repeats_the_run_and_the_run_evaluates_and_predicts(place: Path) -> None:
    events: list[Any] = []
    path = api.run_recipe(fine(), name="pets", watch=events.append)
    kept = json.loads((path / "recipe.json").read_text())
    assert kept["net"]["start"] == "runs/digits" and kept["net"]["start_sha256"] == sha256("runs/digits")
    assert kept["net"]["name"] == "lenet" and kept["net"]["options"]["dropout"] == 0.2
    assert kept["optimizer"] == {**kept["optimizer"], "name": "adamw", "learning_rate": pytest.approx(2e-4)}
    again = hyperplane.recipe.from_json((path / "recipe.json").read_text())
    assert sha256(api.run_recipe(again, name="again")) == sha256(path)
    started = next(event for event in events if isinstance(event, Started))
    assert any("SHA-256" in note for note in started.description.notes)
    assert "8 of 10 tensors were taken" in (path / "report.html").read_text()
    run = api.load(path)
    assert run.evaluate()["accuracy"].value == run.metrics["accuracy"].value
    assert run.predict("pets/cat/00.png")["class"] in run.classes


def test_stopped_and_resumed_it_is_the_same_even_without_its_start(place: Path) -> None:
    whole = api.run_recipe(fine(), name="whole")
    shutil.copytree("runs/digits", "runs/lost")
    recipe = fine(start="runs/lost")

    def stop(event: Any) -> None:
        if isinstance(event, Stepped) and event.step >= 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        api.run_recipe(recipe, name="stopped", watch=stop)
    before = json.loads(Path("runs/stopped/data.json").read_text())["notes"]
    shutil.rmtree("runs/lost")
    assert sha256(api.resume("runs/stopped")) == sha256(whole)
    assert json.loads(Path("runs/stopped/data.json").read_text())["notes"] == before


def test_a_run_that_was_stopped_before_its_first_checkpoint_needs_its_start(place: Path) -> None:
    shutil.copytree("runs/digits", "runs/start")
    api.run_recipe(fine(start="runs/start"), name="early")
    for file in ("manifest.json", "model.safetensors"):
        Path("runs/early", file).unlink()
    shutil.rmtree("runs/early/checkpoint")
    os.rename("runs/start", "runs/elsewhere")
    with pytest.raises(UserError, match="runs/start: there is no such run folder"):
        api.resume("runs/early")
    os.rename("runs/elsewhere", "runs/start")
    assert sha256(api.resume("runs/early")) == sha256(api.run_recipe(fine(), name="late"))


def test_a_start_that_changed_is_refused(place: Path) -> None:
    api.train("digits", name="moved", changes={"training.epochs": 1, "seed": 5})
    path = api.run_recipe(fine(start="runs/moved"), name="from-moved")
    kept = hyperplane.recipe.from_json((path / "recipe.json").read_text())
    api.train("digits", name="moved", overwrite=True, changes={"training.epochs": 1, "seed": 6})
    with pytest.raises(UserError, match=r"runs/moved/model\.safetensors: its SHA-256 begins with .*--from runs/moved"):
        api.run_recipe(kept, name="other")
    assert not Path("runs/other").exists()
    fresh = recipes.start(None, given=kept, weights="runs/moved")
    assert fresh.net.start_sha256 == sha256("runs/moved") and fresh.optimizer == kept.optimizer


def test_the_rate_of_a_known_recipe_becomes_a_tenth(place: Path) -> None:
    scratch, tuned = recipes.start("digits"), recipes.start("digits", weights="runs/digits")
    assert tuned.optimizer.learning_rate == pytest.approx(0.1 * (scratch.optimizer.learning_rate or 0))
    assert tuned.net.name == "lenet" and tuned.training == scratch.training


@pytest.mark.parametrize(
    ("net", "says"),
    [
        (NetRecipe("lenet5-1998", start="runs/digits"), None),
        (NetRecipe("lenet-1989", start="runs/digits"), r"does not fit .* of lenet and lacks .*--net lenet"),
        (NetRecipe("mlp", start="runs/digits"), "does not fit"),
        (NetRecipe("lenet", {"pooling": "strided"}, start="runs/digits"), None),
        (NetRecipe(start="runs/digit"), "runs/digit: there is no such run folder; did you mean 'digits'"),
        (NetRecipe(start="pets"), "pets: is not a run folder"),
    ],
)
def test_another_net_must_fit(net: NetRecipe, says: str | None, place: Path) -> None:
    recipe = replace(fine(), net=net)
    if says is None:
        begun(recipe)
        return
    with pytest.raises(UserError, match=says):
        begun(recipe)


def test_what_does_not_go_together_is_refused(place: Path) -> None:
    with pytest.raises(UserError, match=r"animals\.csv: holds table samples as feature_BD, but the net to begin with"):
        makers.animals(place / "animals.csv")
        fine_tuning.opened(replace(fine("animals.csv"), data=DataRecipe(source="animals.csv", target="animal")))
    recipe = fine(optimizer=OptimizerRecipe("l-bfgs"))
    with pytest.raises(UserError, match="l-bfgs draws the weights"):
        api.run_recipe(recipe, name="solved")


def test_tables_begin_with_each_other(place: Path) -> None:
    makers.animals(place / "animals.csv")
    makers.animals(place / "more.csv", rows=90)
    api.train("animals.csv", target="animal", changes={"training.epochs": 1})
    recipe = replace(fine("more.csv", "runs/animals"), data=DataRecipe(source="more.csv", target="animal"))
    _, told, source = begun(recipe)
    assert "its head too" in told[0] and len(told) == 1
    like = api.load("runs/animals").trained.description
    assert source.description.encoding == like.encoding


def test_an_imported_run_is_begun_with_as_it_was_published(place: Path) -> None:
    plain = nets.build("lenet-1989", (3, 16, 16), 5)
    torch.save(plain.state_dict(), place / "net.pth")
    api.import_weights("net.pth", out="runs/published", mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2), size=20)
    model, told, source = begun(fine(start="runs/published"))
    assert source.description.shapes["image_BCHW"] == (3, 20, 20)
    assert source.description.encoding["mean"] == [0.5, 0.4, 0.3]
    theirs = plain.state_dict()
    same = [torch.equal(tensor, theirs[key]) for key, tensor in model.net.state_dict().items()]
    assert same == [True] * (len(theirs) - 2) + [False] * 2 and "new from the seed" in told[0]
    smaller = replace(fine(start="runs/published"), data=DataRecipe(source="pets", size=16))
    assert fine_tuning.opened(smaller).description.shapes["image_BCHW"] == (3, 16, 16)
    run = api.train("digits", start="runs/published", name="from-published", changes={"training.epochs": 1})
    assert run.trained.description.shapes["image_BCHW"] == (3, 20, 20) and run.evaluate()


FROZEN: dict[str, dict[str, Any]] = {
    "lenet": {},
    "resnet20": {"width": 4},
    "compact": {"widths": [8, 12, 16]},
    "vit-small-32": {"width": 12, "depth": 2, "heads": 2, "stochastic_depth": 0.5},
    "googlenet": {"width": 8},
    "vgg11": {"batch_norm": True, "width": 4, "hidden": 16},
    "cornet": {"widths": [4, 6, 8, 10], "steps": 2},
}
"""Nets with dropout, batch normalisation, other heads, a class token, and depth by chance; small."""


@pytest.mark.parametrize("net", FROZEN)
def test_frozen_all_but_the_head_stays_as_it_was_to_the_bit(net: str, place: Path) -> None:
    options = {f"net.options.{name}": value for name, value in FROZEN[net].items()}
    quick = {"training.epochs": 1, "training.batch": 9, "data.size": 32}
    start = api.train("pets", net=net, name=f"start-{net}", changes={**quick, **options})
    run = api.train("four", start=start.path, name=f"frozen-{net}", changes={**quick, "net.frozen": True})
    theirs, own = weights(start.path), weights(run.path)
    changed = {name for name, tensor in own.items() if not torch.equal(tensor, theirs[name])}
    assert changed == {name for name, tensor in own.items() if tensor.shape != theirs[name].shape} != set()
    drawn = build(run.recipe, run.trained.description).state_dict()
    assert not any(torch.equal(own[name], drawn[name]) for name in changed if name.endswith("weight"))
    assert run.recipe.net.frozen and run.recipe.optimizer.learning_rate == start.recipe.optimizer.learning_rate
    told = next(note for note in run.trained.description.notes if "frozen" in note)
    trained = sum(own[name].numel() for name in changed)
    assert f" {trained:,} are trained" in told and f" {trained:,} are trained" in run.report.read_text()
    result = run.trained.folder.read_result()
    assert result is not None and result.parameters == sum(p.numel() for p in run.net.parameters() if p.requires_grad)


def test_no_gradient_goes_back_through_what_is_frozen(place: Path) -> None:
    recipe = replace(fine(), net=NetRecipe(start="runs/digits", frozen=True))
    model, _, source = begun(recipe)
    whole = recipes.complete(recipe, source.description)
    assert fine_tuning.freeze(model, whole, source.description)
    model.train()
    model(source.batch("train", [0, 1, 2]), taps := {}).loss_B.sum().backward()
    assert taps and not any(tap.requires_grad for tap in taps.values())
    assert {name for name, p in model.net.named_parameters() if p.grad is not None} == HEAD


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_frozen_run_that_is_stopped_resumes_to_the_same_bits(optimizer: str, place: Path) -> None:
    changes = {"training.epochs": 1, "net.options.width": 4, "training.batch": 9}
    start = api.train("pets", net="resnet20", name=f"pets-{optimizer}", changes=changes)
    net = NetRecipe(start=str(start.path), frozen=True)
    recipe = replace(fine(), net=net, optimizer=OptimizerRecipe(optimizer))  # pyright: ignore[reportArgumentType]
    whole = api.run_recipe(recipe, name=f"whole-{optimizer}")

    def stop(event: Any) -> None:
        if isinstance(event, Stepped) and event.step >= 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        api.run_recipe(recipe, name=f"stopped-{optimizer}", watch=stop)
    shutil.rmtree(start.path)
    assert sha256(api.resume(f"runs/stopped-{optimizer}")) == sha256(whole)


def test_the_rate_of_a_known_recipe_stays_whole_where_only_the_head_is_trained(place: Path) -> None:
    scratch, tuned = recipes.start("digits"), recipes.start("digits", weights="runs/digits", frozen=True)
    assert tuned.optimizer.learning_rate == scratch.optimizer.learning_rate and tuned.net.frozen
    again = recipes.start(None, given=tuned, weights="runs/digits")
    assert again.net.frozen and again.optimizer == tuned.optimizer


def test_what_cannot_be_frozen_is_refused(place: Path) -> None:
    api.train("digits", net="perceptron", changes={"training.epochs": 1})
    with pytest.raises(UserError, match=r"perceptron is nothing but a head.*leave --frozen out"):
        api.train("digits", start="runs/digits-perceptron", name="none", changes={"net.frozen": True})
    (place / "book.txt").write_text("to be or not to be, that is the question. " * 60)
    small = {"net.options.width": 8, "net.options.layers": 1, "net.options.heads": 2}
    api.train("book.txt", net="gpt", changes={"training.steps": 2, **small})
    with pytest.raises(UserError, match=r"gpt has its vocabulary at both ends.*leave --frozen out"):
        api.train("book.txt", start="runs/book-gpt", name="none", changes={"net.frozen": True})
    with pytest.raises(UserError, match=r"net\.frozen: is to keep the weights of another run.*add --from RUN"):
        api.train("digits", name="none", changes={"net.frozen": True})
    assert not Path("runs/none").exists()
