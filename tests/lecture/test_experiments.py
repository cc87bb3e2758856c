"""The experiments of the chapters that are built, each in its smallest form: findings of its claims, pictures, text."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperplane import api, data, recipes
from hyperplane.cli import main
from hyperplane.lecture import claims, running
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments import (
    animals,
    delineation,
    depth,
    language,
    logistic,
    neighbours,
    perceptrons,
    surface,
    training,
)
from hyperplane.lecture.findings import Skipped, verdict
from hyperplane.lecture.folder import LectureFolder, code, key
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

KNOWN = claims.load()
NAMES = running.experiments(KNOWN.claims)


NEEDS = {
    "mnist.data": "mnist",
    "mnist.widths": "mnist",
    "mnist.classics": "mnist",
    "neighbours.order": "mnist",
    "pooling.table": "mnist",
    "residual.depth": "fashion-mnist",
    "animals.decide": "tiny-imagenet-20",
    "delineation.losses": "roads-aerial",
    "delineation.hybrid": "roads-aerial",
    "language.words": "tiny-shakespeare",
    "language.corpus": "tiny-shakespeare",
}
"""The data that an experiment needs, beside those which come with the package."""


@pytest.fixture
def small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for tiny-imagenet-20, twenty classes of noise, for Shakespeare's plays, and roads."""
    chance = np.random.default_rng(0)
    for part, count in (("train", 3), ("val", 2)):
        for name in (*animals.ANIMALS, *animals.OTHERS):
            place = tmp_path / "data" / animals.DATA / part / name
            place.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(chance.integers(0, 256, (16, 16, 3), np.uint8)).save(place / f"{i}.png")
    for part, size in (("images", (48, 40, 3)), ("masks", (48, 40))):
        (place := tmp_path / "data" / "roads-aerial" / part).mkdir(parents=True)
        for i in range(8):
            level_HW = chance.integers(0, 256, size, np.uint8) if part == "images" else np.zeros(size, np.uint8)
            level_HW[10 + i : 14 + i] = 255
            Image.fromarray(level_HW).save(place / f"{i}.png")
    (plays := tmp_path / "plays.txt").write_text("".join(chance.choice(list("ROMEO: What is The"), 3000)))
    monkeypatch.setattr(language, "DATA", str(plays))
    monkeypatch.setenv("HYPERPLANE_DATA", str(tmp_path / "data"))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("mnist.")])
@pytest.mark.usefixtures("plain_runs", "small_data")
def test_an_experiment_finds_something_of_each_of_its_claims(name: str, folder: LectureFolder) -> None:
    budget = Budget(name, "least", folder)
    outcome = running.load(name)(budget)
    mine = {claim.id: claim for claim in KNOWN.claims if claim.experiment == name}
    assert sorted(f.claim for f in outcome.findings) == sorted(mine)
    for finding in outcome.findings:
        assert finding.why[-1] == "." and "\n" not in finding.why
        assert mine[finding.claim].kind == "statement" or finding.ours is not None
        verdict(mine[finding.claim], finding)
    for picture in outcome.pictures:
        assert (folder.path / picture.file).read_text("utf-8").startswith("<?xml")
    for table in outcome.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)


@pytest.mark.parametrize("name", NEEDS)
def test_without_its_data_an_experiment_is_skipped(
    name: str, folder: LectureFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HYPERPLANE_DATA", raising=False)
    monkeypatch.setenv("HYPERPLANE_CACHE", str(tmp_path))
    with pytest.raises(Skipped, match=NEEDS[name]):
        running.load(name)(Budget(name, "quick", folder))


def test_what_mnist_holds(shared_data: Path, folder: LectureFolder) -> None:
    found = {f.claim: f for f in running.load("mnist.data")(Budget("mnist.data", "least", folder)).findings}
    assert found["mlp-mnist-train"].holds and found["mlp-mnist-input"].holds
    assert found["mlp-mnist-test"].holds is False


@pytest.mark.usefixtures("plain_runs", "small_data")
def test_a_silenced_skip_says_nothing_of_the_image(folder: LectureFolder) -> None:
    budget = Budget("delineation.losses", "least", folder)
    run = delineation.trained(budget, "one", delineation.sized(budget, delineation.U_NET, "bce"))[0]
    number = len(delineation.ups(run.net)) - 1
    up, varies = delineation.ups(run.net)[number], []
    coarse = up.narrow.weight.shape[0]  # channels of the way up; behind them lie those of the skip connection
    handle = up.block.register_forward_pre_hook(lambda _, x: varies.append(float(x[0][:, coarse:].std((2, 3)).max())))
    before = run.evaluate()["f1"].value
    delineation.silenced(run, number)
    assert run.evaluate()["f1"].value == before  # the net is as it was
    handle.remove()
    third = len(varies) // 3
    assert min(varies[:third]) > 1e-3 > 1e-6 > max(varies[third:-third]) and varies[:third] == varies[-third:]


@pytest.mark.usefixtures("plain_runs")
def test_a_finished_run_is_not_trained_again(folder: LectureFolder) -> None:
    budget = Budget("training.binary", "least", folder)
    first = budget.train("one", training.region_net(0, 1))
    written = (first.path / "manifest.json").stat().st_mtime_ns
    assert budget.train("one", training.region_net(0, 1)).path == first.path
    assert (first.path / "manifest.json").stat().st_mtime_ns == written and len(budget.before) == 1
    budget.train("one", training.region_net(1, 1))
    assert (first.path / "manifest.json").stat().st_mtime_ns != written


@pytest.mark.usefixtures("plain_runs")
def test_a_run_on_data_that_have_changed_is_trained_again(folder: LectureFolder) -> None:
    budget = Budget("poses.training", "least", folder)
    trained: list[bytes] = []
    for slope in (1, 1, 2):
        table = budget.table("line", ("x", "y"), [(x, slope * x) for x in range(40)])
        recipe = Recipe(
            data=DataRecipe(source=str(table), target="y", options={"kind": "number"}),
            net=NetRecipe("mlp", {"hidden": [2]}),
            optimizer=OptimizerRecipe("sgd"),
            training=TrainingRecipe(epochs=1),
        )
        trained.append((budget.train("one", recipe).path / "data.json").read_bytes())
    assert trained[0] == trained[1] != trained[2] and len(budget.before) == 1


@pytest.mark.usefixtures("plain_runs")
def test_an_unfinished_run_is_gone_on_with(folder: LectureFolder) -> None:
    budget = Budget("training.binary", "least", folder)
    first = budget.train("one", training.region_net(0, 1))
    steps, weights = first.history[-1]["steps"], (first.path / "model.safetensors").read_bytes()
    (first.path / "manifest.json").unlink()
    begun = (first.path / "environment.json").read_text()
    again = budget.train("one", training.region_net(0, 1))
    assert again.history[-1]["steps"] == steps and (again.path / "model.safetensors").read_bytes() == weights
    assert json.loads((again.path / "environment.json").read_text())["started"] == json.loads(begun)["started"]


@pytest.mark.parametrize(
    "recipe",
    [
        training.region_net(3, 7),
        surface._recipe("[0, 2]²", "tanh", 3, 2, 8, 50),
        logistic.recipe("points-outliers", labels="-1,1"),
        Recipe(
            data=DataRecipe(source="digits"), net=NetRecipe("mlp", {"hidden": [9]}), optimizer=OptimizerRecipe("sgd")
        ),
        Recipe(
            data=DataRecipe(source="photo-china"),
            net=NetRecipe("mlp", {"hidden": [20, 20], "activation": "relu", "bypass": True}),
            optimizer=OptimizerRecipe("levenberg-marquardt", restarts=2),
        ),
    ],
    ids=["points", "surface", "labels", "digits", "photograph"],
)
def test_the_command_trains_the_recipe(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[Recipe] = []
    monkeypatch.setattr(api, "run_recipe", lambda found, **rest: trained.append(found))
    program, *words = shlex.split(typed(recipe))
    assert program == "hyperplane" and main(words) == 0
    description = data.open(recipe.data).description
    assert recipes.complete(trained[0], description) == recipes.complete(recipe, description)


def test_folding_weights_multiply_the_pieces() -> None:
    assert [depth._count(depth.zigzag(widths), 0, 1) for widths in ((5,), (2, 3), (3, 5, 4))] == [5, 6, 60]
    x_N1 = np.linspace(0, 1, 33)[:, None]
    np.testing.assert_allclose(depth.zigzag((2, 2, 2))(x_N1), depth.zigzag((8,))(x_N1), atol=1e-12)


def test_crossings_are_where_units_switch() -> None:
    net = perceptrons.layers(perceptrons.random_net((6, 5)))
    x_ND, unit_N = perceptrons.crossings(net, 20, seed=1)
    before_NH = np.concatenate(net.before(x_ND), axis=1)
    assert len(x_ND) > 50 and set(unit_N) & set(range(6, 11))
    np.testing.assert_allclose(before_NH[np.arange(len(unit_N)), unit_N], 0, atol=1e-12)


def test_the_stored_search_says_that_it_is_stored() -> None:
    table = surface._search_table()
    assert "benchmarks.surface_search" in table.caption and "not computed here" in table.caption
    judging = next(row for row in table.rows if row[0] == "[0, 2] × [0, 2]")
    assert judging[-1] == "yes" and len(table.rows) >= 10


def test_permuted_images_are_read_as_they_were_written(folder: LectureFolder) -> None:
    image_NHW = np.random.default_rng(0).integers(0, 256, (30, 6, 6), np.uint8)
    label_N = np.arange(30, dtype=np.uint8) % 3
    budget = Budget("neighbours.order", "least", folder)
    in_order, permuted = (
        data.open(DataRecipe(source=str(neighbours._written(budget, name, {"train": (image_NHW, label_N)}, mixed))))
        for name, mixed in (("in-order", False), ("permuted", True))
    )
    order_D = neighbours._permuted(np.arange(36).reshape(6, 6)).ravel()
    assert sorted(order_D) == list(range(36)) and list(order_D) != list(range(36))
    for i in range(20):
        np.testing.assert_array_equal(np.asarray(in_order.show("train", i)), image_NHW[i])
        np.testing.assert_array_equal(np.asarray(permuted.show("train", i)).ravel(), image_NHW[i].ravel()[order_D])


def test_a_decision_falls_at_the_first_sure_step_or_at_the_last() -> None:
    said = animals.Decisions(np.array([[0.6, 0.95, 0.4], [0.02, 0.1, 0.4], [0.9, 0.9, 0.7]]), np.array([1, 1, 0]) > 0)
    assert said.step_N(0.9).tolist() == [2, 1, 3] and said.right_N(0.9).tolist() == [False, True, False]
    np.testing.assert_allclose(said.right_T, [100, 100 / 3, 200 / 3])


def test_a_hash_of_code_changes_with_every_file_of_its_rooms_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "engine" / "solvers").mkdir(parents=True)
    seen = set()
    for place, text in (("engine/a.py", "1"), ("engine/a.py", "2"), ("engine/solvers/b.py", "1"), ("engine/c.cpp", "")):
        (tmp_path / place).write_text(text)
        seen.add(code.__wrapped__(("engine",), tmp_path))
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "d.py").write_text("1")
    (tmp_path / "engine" / "a.pyc").write_text("1")
    assert len(seen) == 4 and code.__wrapped__(("engine",), tmp_path) in seen


def test_runs_that_other_code_trained_are_not_used(folder: LectureFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = folder.runs("full", "a.b")
    (before / "seed-0").mkdir(parents=True)
    assert folder.runs("full", "a.b") == before and (before / "seed-0").is_dir()
    monkeypatch.setattr("hyperplane.lecture.folder.code", lambda rooms: "other")
    assert folder.runs("full", "a.b") != before and (before / "seed-0").is_dir()
    folder.forget("a.b", "full")
    assert not before.exists()


def test_each_experiment_has_a_key_of_its_own() -> None:
    keys = {name: key(name) for name in NAMES}
    assert len(set(keys.values())) == len(NAMES) and keys == {name: key(name) for name in NAMES}
