"""Solvers through `train`: the same folder, records, checkpoints and errors as the other loop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from hyperplane import api, data
from hyperplane.engine.events import Finished, Started, Stepped, Validated
from hyperplane.engine.loop import Interrupted
from hyperplane.errors import UserError
from hyperplane.explain.layers import layers
from hyperplane.explain.planes import hyperplanes
from hyperplane.recipe import (
    AugmentRecipe,
    DataRecipe,
    HardwareRecipe,
    NetRecipe,
    OptimizerRecipe,
    Recipe,
    TaskRecipe,
    TrainingRecipe,
)

OUTLIERS = Recipe(
    data=DataRecipe(source="points-outliers", options={"samples": 300}),
    net=NetRecipe("perceptron"),
    optimizer=OptimizerRecipe("newton"),
)
REGION = Recipe(
    data=DataRecipe(source="points-region", options={"samples": 200}),
    net=NetRecipe("mlp", {"hidden": [5], "activation": "tanh"}),
    optimizer=OptimizerRecipe("l-bfgs"),
    training=TrainingRecipe(epochs=40),
)
SURFACE = Recipe(
    data=DataRecipe(source="surface", options={"side": 11}),
    net=NetRecipe("mlp", {"hidden": [3], "activation": "tanh"}),
    optimizer=OptimizerRecipe("levenberg-marquardt", restarts=5),
    training=TrainingRecipe(epochs=30),
)


def records(path: Path, kind: str) -> list[dict]:
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def outcome(path: Path) -> dict:
    return json.loads((path / "outcome.json").read_text())


def test_newton_through_the_run_folder(tmp_path):
    events = []
    path = api.run_recipe(OUTLIERS, runs=tmp_path, watch=events.append)
    run, told = api.load(path), outcome(path)
    assert told["solver"] == "newton" and told["reason"] == "the gradient vanishes" and told["separation"] is None
    assert {type(e) for e in events} >= {Started, Stepped, Validated, Finished}
    losses = [record["loss"] for record in records(path, "step")]
    assert losses == sorted(losses, reverse=True) and losses[-1] == told["loss"][0]
    assert run.evaluate(split="train")["log_loss"].value == pytest.approx(losses[-1], rel=1e-6)
    assert run.evaluate(split="validation")["log_loss"].value == pytest.approx(records(path, "validation")[-1]["loss"])
    assert "How the fit ended" in run.report.read_text() and "the gradient vanishes" in run.report.read_text()
    assert "outcome.json" in json.loads((path / "manifest.json").read_text())["files"]


def test_its_hyperplane_in_the_users_units_is_scikit_learns(tmp_path):
    path = api.run_recipe(OUTLIERS, runs=tmp_path)
    run = api.load(path)
    (plane,) = hyperplanes(layers(run.net), run.trained.description)
    source = data.open(OUTLIERS.data)
    rows: list[Any] = [source.show("train", i) for i in range(run.trained.description.splits["train"])]
    x_ND = np.array([[float(row["x1"]), float(row["x2"])] for row in rows])
    label_N = np.array([row["label"] for row in rows])
    theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(x_ND, label_N)
    np.testing.assert_allclose(plane.w_D, theirs.coef_[0], rtol=1e-5)
    np.testing.assert_allclose(plane.b, theirs.intercept_[0], rtol=1e-5)
    assert plane.signed_distance(x_ND[:1])[0] == pytest.approx(
        theirs.decision_function(x_ND[:1])[0] / np.linalg.norm(theirs.coef_), rel=1e-5
    )


@pytest.mark.parametrize("labels", ["0,1", "-1,1"])
def test_separable_classes_end_with_a_word_and_a_remedy(tmp_path, labels):
    points = DataRecipe(source="points-separable", options={"samples": 200, "labels": labels})
    path = api.run_recipe(replace(OUTLIERS, data=points), runs=tmp_path)
    told = outcome(path)
    assert told["separation"]["kind"] == "complete" and told["separation"]["margin"] > 0
    assert told["separation"]["norm"] == told["norm"]
    assert "type: --optimizer.weight-decay 1e-3" in api.load(path).report.read_text()
    assert api.load(path).metrics["accuracy"].value == 1.0
    finite = replace(OUTLIERS, data=points, optimizer=OptimizerRecipe("newton", weight_decay=1e-3))
    assert outcome(api.run_recipe(finite, runs=tmp_path, name="finite"))["separation"] is None


def test_classes_that_touch_and_columns_that_follow_from_others_are_told(tmp_path):
    rows = [(x, "left" if x < 0 or (x == 0 and k % 2) else "right") for x in (-2, -1, 0, 1, 2) for k in range(12)]
    table = tmp_path / "touching.csv"
    table.write_text("a,b,target\n" + "".join(f"{x},{2 * x},{side}\n" for x, side in rows))
    path = api.run_recipe(replace(OUTLIERS, data=DataRecipe(source=str(table))), runs=tmp_path / "runs")
    assert outcome(path)["separation"]["kind"] == "quasi-complete" and outcome(path)["separation"]["margin"] is None
    told = api.load(path).report.read_text()
    assert (
        "some samples lie on it" in told and "1 of 3 columns, the bias&#39; among them, follow from the others" in told
    )


def test_newton_of_many_classes_with_label_smoothing_and_pictures(tmp_path):
    recipe = Recipe(
        data=DataRecipe(source="digits", validation=0.6),
        task=TaskRecipe("classification", {"label_smoothing": 0.1}),
        net=NetRecipe("perceptron"),
        optimizer=OptimizerRecipe("newton", weight_decay=1e-2),
    )
    path = api.run_recipe(recipe, runs=tmp_path)
    assert outcome(path)["reason"] == "the gradient vanishes"
    assert api.load(path).metrics["accuracy"].value > 0.85


def test_l_bfgs_fits_what_levenberg_marquardt_cannot(tmp_path):
    path = api.run_recipe(replace(REGION, training=TrainingRecipe(epochs=300)), runs=tmp_path)
    told = outcome(path)
    assert told["solver"] == "l-bfgs" and len(told["loss"]) == 1
    assert api.load(path).metrics["accuracy"].value >= 0.85
    assert api.load(path).evaluate(split="train")["log_loss"].value == pytest.approx(told["loss"][0], rel=1e-5)


def test_single_precision_is_there_for_l_bfgs(tmp_path):
    path = api.run_recipe(replace(REGION, hardware=HardwareRecipe(precision="float32")), runs=tmp_path)
    assert next(iter(api.load(path).net.parameters())).dtype is torch.float32
    assert outcome(path)["loss"][0] < 0.5


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_the_restart_that_is_kept(tmp_path, validation):
    """By the validation loss where there is one, else by the training loss."""
    held = replace(REGION, data=replace(REGION.data, validation=validation))
    restarted = replace(held, optimizer=OptimizerRecipe("l-bfgs", restarts=3))
    path = api.run_recipe(restarted, runs=tmp_path)
    told = outcome(path)
    assert len(told["loss"]) == 3 and told["loss"] == sorted(told["loss"]) and sum(told["ended"].values()) == 3
    steps = [record["step"] for record in records(path, "step")]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) > 40
    train, looks = api.load(path).evaluate(split="train"), records(path, "validation")
    if validation:
        assert looks[-1]["loss"] == min(looks[k]["loss"] for k in (39, 79, len(looks) - 1))
    else:
        assert train["log_loss"].value == pytest.approx(told["loss"][0], rel=1e-5)


def test_levenberg_marquardt_keeps_the_restart_that_does_best_on_the_validation_split(tmp_path):
    noisy = tmp_path / "noisy.csv"
    drawn = np.random.default_rng(0)
    x_ND = drawn.normal(size=(80, 3))
    y_N = x_ND[:, 0] + drawn.normal(size=80)
    np.savetxt(noisy, np.c_[x_ND, y_N], delimiter=",", header="a,b,c,y", comments="")
    recipe = replace(SURFACE, data=DataRecipe(source=str(noisy), validation=0.3), net=NetRecipe("mlp", {"hidden": [6]}))
    path = api.run_recipe(recipe, runs=tmp_path / "runs")
    run, told = api.load(path), outcome(path)
    kept = run.evaluate(split="train")
    assert "does best on the validation split" in " ".join(told["notes"])
    assert (kept["rmse"].value / run.trained.description.target_std[0]) ** 2 > told["loss"][0]
    line = replace(recipe, net=NetRecipe("perceptron"))
    assert not outcome(api.run_recipe(line, runs=tmp_path / "line"))["notes"], "all restarts end at the one minimum"


def test_fewer_numbers_to_learn_than_weights_are_told(tmp_path):
    few = tmp_path / "few.csv"
    np.savetxt(few, np.random.default_rng(0).normal(size=(30, 3)), delimiter=",", header="a,b,y", comments="")
    for hidden, told in (([12], True), ([2], False)):
        recipe = replace(SURFACE, data=DataRecipe(source=str(few)), net=NetRecipe("mlp", {"hidden": hidden}))
        notes = outcome(api.run_recipe(recipe, runs=tmp_path / f"runs-{hidden[0]}"))["notes"]
        assert any("by heart" in note for note in notes) == told, notes


def test_weight_decay_of_levenberg_marquardt_is_the_penalty_of_the_others(tmp_path):
    """A perceptron's squared loss with decay has one minimum, which both solvers must find."""
    linear = replace(SURFACE, net=NetRecipe("perceptron"), training=TrainingRecipe(epochs=200))
    found = []
    for name in ("levenberg-marquardt", "l-bfgs"):
        recipe = replace(linear, optimizer=OptimizerRecipe(name, weight_decay=0.3, restarts=2))  # pyright: ignore[reportArgumentType]
        path = api.run_recipe(recipe, runs=tmp_path, name=name)
        found.append((outcome(path)["loss"][0], api.load(path).net.state_dict()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    for name, weight in found[0][1].items():
        torch.testing.assert_close(weight, found[1][1][name], rtol=0, atol=1e-9)
    free = api.run_recipe(linear, runs=tmp_path, name="free")
    assert outcome(free)["norm"] > 1.1 * outcome(tmp_path / "l-bfgs")["norm"]


@pytest.mark.parametrize(
    ("recipe", "when"),
    [
        (OUTLIERS, 4),
        (replace(OUTLIERS, data=DataRecipe(source="points-outliers", options={"samples": 6000})), 2),
        (replace(REGION, optimizer=OptimizerRecipe("l-bfgs", restarts=2)), 45),
        (SURFACE, 7),
    ],
    ids=["newton", "newton with a head start", "l-bfgs", "levenberg-marquardt"],
)
def test_stopped_and_resumed_gives_the_same_bits(tmp_path, recipe, when):
    def stop(event):
        if isinstance(event, Stepped) and event.step == when:
            raise KeyboardInterrupt

    hurried = replace(recipe, training=replace(recipe.training, checkpoint_seconds=0.0))
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        api.run_recipe(hurried, runs=tmp_path, name="stopped", watch=stop)
    assert not (tmp_path / "stopped" / "outcome.json").exists()
    api.resume(tmp_path / "stopped")
    api.run_recipe(hurried, runs=tmp_path, name="whole")
    for file in ("model.safetensors", "outcome.json"):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    for kind in ("step", "validation"):
        one, two = (records(tmp_path / name, kind) for name in ("stopped", "whole"))
        assert [(r["step"], r["loss"]) for r in one] == [(r["step"], r["loss"]) for r in two]


def test_a_run_that_has_its_weights_is_finished_without_a_step(tmp_path):
    path = api.run_recipe(REGION, runs=tmp_path)
    weights, steps = (path / "model.safetensors").read_bytes(), len(records(path, "validation"))
    for name in ("manifest.json", "outcome.json", "report.html"):
        (path / name).unlink()
    api.resume(path)
    assert (path / "model.safetensors").read_bytes() == weights and (path / "outcome.json").is_file()
    assert len(records(path, "validation")) == steps


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(OUTLIERS, net=NetRecipe("mlp")), "newton fits a perceptron that classifies, and found net mlp"),
        (replace(SURFACE, net=NetRecipe("perceptron"), optimizer=OptimizerRecipe("newton")), "with task regression"),
        (replace(OUTLIERS, optimizer=OptimizerRecipe("newton", restarts=8)), "found 8, but newton finds the one"),
        (replace(OUTLIERS, hardware=HardwareRecipe(precision="float32")), "newton computes in float64"),
        (replace(REGION, hardware=HardwareRecipe(precision="bfloat16")), "l-bfgs computes in float64 or float32"),
        (replace(REGION, net=NetRecipe("mlp", {"dropout": 0.1})), "--net.dropout 0"),
        (replace(REGION, training=TrainingRecipe(patience=3)), "training.patience: found 3"),
        (replace(REGION, training=TrainingRecipe(ema=0.9)), "training.ema: found 0.9"),
        (replace(REGION, augment=AugmentRecipe(shift=1)), "augment: l-bfgs needs a loss that chance does not change"),
        (
            replace(OUTLIERS, data=DataRecipe(source="digits", size=40), net=NetRecipe("perceptron")),
            "newton found 16,010 weights, expected at most 5,000; type: --optimizer.name l-bfgs",
        ),
    ],
)
def test_what_a_solver_cannot_do_is_said(tmp_path, changed, said):
    with pytest.raises(UserError, match=said) as told:
        api.run_recipe(changed, runs=tmp_path)
    assert "\n" not in str(told.value)
    assert not list(tmp_path.iterdir())


def test_a_damaged_checkpoint_of_a_solver_is_refused(tmp_path):
    path = api.run_recipe(OUTLIERS, runs=tmp_path)
    other = api.run_recipe(REGION, runs=tmp_path)
    (path / "manifest.json").unlink()
    manifest, theirs = (json.loads((p / "checkpoint" / "manifest.json").read_text()) for p in (path, other))
    manifest |= {"tensors": theirs["tensors"], "sha256": theirs["sha256"]}
    (path / "checkpoint" / theirs["tensors"]).write_bytes((other / "checkpoint" / theirs["tensors"]).read_bytes())
    (path / "checkpoint" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="does not fit its recipe"):
        api.resume(path)


def test_snapshots_are_those_of_the_best_weights(tmp_path):
    """The weights before the first step, and after each that is due."""
    from safetensors.torch import load_file

    path = api.run_recipe(replace(REGION, training=TrainingRecipe(epochs=5)), runs=tmp_path)
    kept = sorted((path / "history").glob("step-*.safetensors"))
    assert [int(file.stem.removeprefix("step-")) for file in kept] == [0, 1, 2, 3, 4, 5]
    final = api.load(path).net.state_dict()
    assert all(torch.equal(tensor, final[name]) for name, tensor in load_file(kept[-1]).items())
    assert any(not torch.equal(tensor, final[name]) for name, tensor in load_file(kept[0]).items())
