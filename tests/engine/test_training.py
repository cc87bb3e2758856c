"""Runs from beginning to end, on data small enough for a test."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hyperplane import api, recipes
from hyperplane.engine import checkpoints
from hyperplane.engine.events import Finished, Started, Stepped, Validated
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, ScheduleRecipe, TaskRecipe, TrainingRecipe

POINTS = Recipe(
    data=DataRecipe(source="points-separable"), net=NetRecipe("perceptron"), optimizer=OptimizerRecipe("adamw")
)


def records(path: Path, kind: str) -> list[dict]:
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def test_the_perceptron_separates_what_can_be_separated(tmp_path):
    events = []
    path = api.run_recipe(POINTS, runs=tmp_path, watch=events.append)
    assert records(path, "result")[0]["metrics"]["accuracy"]["value"] >= 0.99
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    assert {type(e) for e in events} == {Started, Stepped, Validated, Finished}
    assert not (path / "checkpoint" / ".part").exists()


def test_the_mlp_learns_the_region_that_the_perceptron_cannot(tmp_path):
    region = replace(POINTS, data=DataRecipe(source="points-region"))
    line = api.run_recipe(region, runs=tmp_path, name="line")
    curve = api.run_recipe(replace(region, net=NetRecipe("mlp", {"activation": "tanh"})), runs=tmp_path, name="curve")
    scores = [records(path, "result")[0]["metrics"]["log_loss"]["value"] for path in (line, curve)]
    assert scores[1] < 0.5 * scores[0]


@pytest.mark.parametrize("labels", [("0", "1"), ("-1", "1")])
def test_binary_labels_are_learnt_whatever_they_are_called(tmp_path, labels):
    rows = [f"{x / 10},{(x * 7) % 11 / 10},{labels[x > 0]}" for x in range(-60, 60)]
    table = tmp_path / "table.csv"
    table.write_text("a,b,label\n" + "\n".join(rows) + "\n")
    path = api.run_recipe(replace(POINTS, data=DataRecipe(source=str(table))), runs=tmp_path / "runs")
    run = api.load(path)
    assert run.classes == labels
    assert run.trained.model.judge.outputs == 1  # a sigmoid, not a softmax of two
    assert run.predict({"a": 5, "b": 0.3})["class"] == labels[1]
    assert run.predict({"a": -5, "b": 0.3})["class"] == labels[0]


def test_regression_in_the_targets_own_unit(tmp_path):
    rows = [f"{x},{x * x % 17},{1000 + 50 * x - 20 * (x * x % 17)}" for x in range(200)]
    table = tmp_path / "prices.csv"
    table.write_text("a,b,price\n" + "\n".join(rows) + "\n")
    recipe = replace(
        POINTS,
        data=DataRecipe(source=str(table), target="price"),
        training=TrainingRecipe(epochs=150),
        optimizer=OptimizerRecipe(learning_rate=0.02),
    )
    path = api.run_recipe(recipe, runs=tmp_path / "runs")
    metrics = api.load(path).metrics
    assert metrics["r2"].value > 0.999 and metrics["rmse"].value < 60
    assert api.load(path).predict({"a": 100, "b": 4})["price"] == pytest.approx(1000 + 5000 - 80, rel=0.03)


def test_patience_keeps_the_best_weights(tmp_path):
    noisy = replace(
        POINTS,
        data=DataRecipe(source="points-outliers", options={"samples": 120}),
        net=NetRecipe("mlp", {"hidden": [256, 256]}),
        optimizer=OptimizerRecipe(learning_rate=0.01, weight_decay=0.0),
        schedule=ScheduleRecipe("constant"),
        training=TrainingRecipe(epochs=300, patience=5),
    )
    path = api.run_recipe(noisy, runs=tmp_path)
    looks = [look["loss"] for look in records(path, "validation")]
    assert len(looks) < 300, "it never stopped"
    run = api.load(path)
    kept = run.evaluate(split="validation")["log_loss"].value
    assert kept == pytest.approx(min(looks), rel=1e-4)


def test_label_smoothing_makes_a_net_less_sure(tmp_path):
    plain, smooth = (
        api.run_recipe(
            replace(POINTS, task=TaskRecipe("classification", {"label_smoothing": ε})), runs=tmp_path, name=n
        )
        for n, ε in (("plain", 0.0), ("smooth", 0.2))
    )
    sure = [max(api.load(p).predict({"x1": 4, "x2": 4})["probabilities"].values()) for p in (plain, smooth)]
    assert sure[1] < sure[0]


def test_a_loss_that_is_not_finite_stops_with_step_samples_and_advice(tmp_path):
    wild = replace(
        POINTS,
        data=DataRecipe(source="points-outliers"),
        net=NetRecipe("mlp"),
        optimizer=OptimizerRecipe("sgd", learning_rate=1e30, weight_decay=0.0),
    )
    with pytest.raises(
        UserError, match=r"^step \d+: the loss is not finite \(batch of .+\); .*--overwrite and a lower"
    ) as told:
        api.run_recipe(wild, runs=tmp_path)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "points-outliers-mlp" / "model.safetensors").exists()


def test_a_full_disk_during_a_checkpoint_loses_nothing(tmp_path, monkeypatch):
    whole = api.run_recipe(POINTS, runs=tmp_path, name="whole")
    hurried = replace(POINTS, training=TrainingRecipe(checkpoint_seconds=0.0))
    real, calls = os.fsync, []

    def full_after_a_while(handle):
        calls.append(handle)
        if len(calls) > 40:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full_after_a_while)
    with pytest.raises(UserError, match="no space left") as told:
        api.run_recipe(hurried, runs=tmp_path, name="full")
    assert "\n" not in str(told.value)
    monkeypatch.undo()
    found = checkpoints.load(tmp_path / "full" / "checkpoint")
    assert found is not None and found[1]["step"] > 0, "the checkpoint before was lost"
    api.resume(tmp_path / "full")
    one, two = (api.load(tmp_path / name).net.state_dict() for name in ("whole", "full"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert whole.is_dir()


def test_changed_data_are_noticed_on_resume_and_on_evaluation(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,label\n" + "\n".join(f"{x},{'yes' if x > 50 else 'no'}" for x in range(100)) + "\n")
    path = api.run_recipe(replace(POINTS, data=DataRecipe(source=str(table))), runs=tmp_path / "runs")
    table.write_text(table.read_text() + "7,no\n")
    with pytest.raises(UserError, match="has changed since the training"):
        api.load(path).evaluate()
    (path / "manifest.json").unlink()
    with pytest.raises(UserError, match="has changed since"):
        api.resume(path)


def test_a_recipe_repeats_a_run(tmp_path):
    first = api.run_recipe(POINTS, runs=tmp_path, name="first")
    again = api.run_recipe(api.load(first).recipe, runs=tmp_path, name="again")
    assert (first / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()


def test_every_recipe_of_ours_is_found_by_its_data_and_net():
    assert recipes.find("digits").net.name == "lenet"
    assert recipes.find("digits", "mlp") == Recipe(data=DataRecipe(source="digits"), net=NetRecipe("mlp"))


def test_weights_that_diverge_in_the_last_step_are_noticed(tmp_path):
    wild = replace(
        POINTS,
        data=DataRecipe(source="points-outliers"),
        net=NetRecipe("mlp"),
        optimizer=OptimizerRecipe("sgd", learning_rate=1e38, weight_decay=0.0),
        schedule=ScheduleRecipe("constant", warmup=0.0),
        training=TrainingRecipe(epochs=1, batch=4000),
    )
    with pytest.raises(UserError, match="loss is not finite"):
        api.run_recipe(wild, runs=tmp_path)


def test_a_held_out_split_of_one_row_has_no_r2_and_the_run_ends(tmp_path):
    table = tmp_path / "few.csv"
    table.write_text("a,price\n" + "\n".join(f"{x},{x * 1.5}" for x in range(6)) + "\n")
    few = Recipe(data=DataRecipe(source=str(table), target="price"), training=TrainingRecipe(epochs=2))
    run = api.load(api.run_recipe(few, runs=tmp_path / "runs"))
    assert run.metrics["r2"].value != run.metrics["r2"].value  # not a number
    assert run.report.is_file()


def test_targets_far_from_zero_keep_their_precision(tmp_path):
    results = []
    for offset in (0, 1.7e9):
        table = tmp_path / f"at-{offset:g}.csv"
        table.write_text("a,price\n" + "\n".join(f"{x},{offset + 3 * (x % 50) + 0.5}" for x in range(300)) + "\n")
        far = Recipe(data=DataRecipe(source=str(table), target="price"), training=TrainingRecipe(epochs=20))
        results.append(api.load(api.run_recipe(far, runs=tmp_path / "runs")).metrics["rmse"].value)
    assert results[1] == pytest.approx(results[0], rel=0.02)


def test_patience_counts_epochs_however_rarely_it_looks(tmp_path):
    noisy = replace(
        POINTS,
        data=DataRecipe(source="points-outliers", options={"samples": 120}),
        net=NetRecipe("mlp", {"hidden": [256, 256]}),
        optimizer=OptimizerRecipe(learning_rate=0.01, weight_decay=0.0),
        schedule=ScheduleRecipe("constant"),
        training=TrainingRecipe(epochs=400, patience=6, evaluate_every=3),
    )
    looks = records(api.run_recipe(noisy, runs=tmp_path), "validation")
    best = min(looks, key=lambda look: look["loss"])
    assert looks[-1]["epoch"] - best["epoch"] == 6


def test_what_a_net_keeps_beside_its_weights_belongs_to_the_best_ones(tmp_path, monkeypatch):
    """With batch normalisation and an average of the weights, the kept net is the one that was looked at."""
    from torch import nn

    from hyperplane.nets import mlp

    class Normalised(mlp.MLP):
        def __init__(self, shape, outputs, *, hidden: tuple[int, ...] = (16,)):
            super().__init__(shape, outputs, hidden=hidden)
            self.norm = nn.BatchNorm1d(shape[0])

        def forward(self, x, taps=None):
            return super().forward(self.norm(x), taps)

    monkeypatch.setattr(mlp, "NET", Normalised)
    recipe = replace(
        POINTS,
        data=DataRecipe(source="points-outliers", options={"samples": 120}),
        net=NetRecipe("mlp"),
        optimizer=OptimizerRecipe(learning_rate=0.05),
        schedule=ScheduleRecipe("constant"),
        training=TrainingRecipe(epochs=60, patience=5, ema=0.9),
    )
    path = api.run_recipe(recipe, runs=tmp_path)
    kept = api.load(path).evaluate(split="validation")["log_loss"].value
    assert kept == pytest.approx(min(look["loss"] for look in records(path, "validation")), rel=1e-4)


def test_nothing_that_is_there_is_lost_when_a_recipe_is_refused(tmp_path):
    path = api.run_recipe(POINTS, runs=tmp_path)
    weights = (path / "model.safetensors").read_bytes()
    wrong = replace(POINTS, data=replace(POINTS.data, validation=0.0), training=TrainingRecipe(patience=3))
    with pytest.raises(UserError, match="needs a validation split"):
        api.run_recipe(wrong, runs=tmp_path, overwrite=True)
    assert (path / "model.safetensors").read_bytes() == weights
    api.load(path)


def test_a_kill_between_report_and_manifest_leaves_a_run_that_can_be_finished(tmp_path):
    path = api.run_recipe(POINTS, runs=tmp_path)
    weights, command = (path / "model.safetensors").read_bytes(), json.loads((path / "environment.json").read_text())
    (path / "manifest.json").unlink()
    (path / "report.html").unlink()
    api.resume(path, command="another")
    assert (path / "model.safetensors").read_bytes() == weights and (path / "report.html").is_file()
    assert json.loads((path / "environment.json").read_text())["command"] == command["command"]


@pytest.mark.parametrize(
    ("where", "what", "said"),
    [
        ("state", {"surprise": 1}, "has no field 'surprise'"),
        ("state", {"step": "x"}, "step: found"),
        ("state", {"recipe": "0" * 64}, "begun with another recipe"),
        ("recipe.json", {"training": {"ema": 0.5}}, "begun with another recipe|not as train wrote it"),
        ("recipe.json", {"training": {"batch": None}}, "not as train wrote it"),
    ],
)
def test_an_altered_unfinished_run_is_refused(tmp_path, where, what, said):
    path = api.run_recipe(POINTS, runs=tmp_path)
    (path / "manifest.json").unlink()
    file = path / ("checkpoint/manifest.json" if where == "state" else where)
    tree = json.loads(file.read_text())
    for name, value in what.items():
        held = tree["state"] if where == "state" else tree
        held[name] = {**held[name], **value} if isinstance(value, dict) else value
    file.write_text(json.dumps(tree))
    with pytest.raises(UserError, match=said) as told:
        api.resume(path)
    assert "\n" not in str(told.value)
