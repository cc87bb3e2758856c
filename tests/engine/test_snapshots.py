"""Weights along the way: which are kept, and that a resumed run keeps what an uninterrupted one does."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import safetensors.torch
import torch

from hyperplane import api
from hyperplane.engine import snapshots
from hyperplane.engine.events import Event, Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

POINTS = Recipe(
    data=DataRecipe(source="points-region", options={"samples": 100}),
    net=NetRecipe("mlp", {"hidden": [5]}),
    training=TrainingRecipe(epochs=40, batch=35, checkpoint_seconds=0.0),
)
SURFACE = Recipe(
    data=DataRecipe(source="surface", validation=0.0, test=0.0, options={"side": 9}),
    net=NetRecipe("mlp", {"hidden": [2], "activation": "tanh"}),
    optimizer=OptimizerRecipe("levenberg-marquardt", restarts=3),
    training=TrainingRecipe(epochs=60, checkpoint_seconds=0.0),
)


def kept(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "history").iterdir()}


@pytest.mark.parametrize("steps", [0, 1, 5, 38, 39, 40, 41, 100, 12_345, 10**7])
@pytest.mark.parametrize("ends_early", [False, True])
def test_the_steps_that_are_due(steps: int, ends_early: bool) -> None:
    found = snapshots.due(steps, ends_early)
    assert found[0] == 0 and found[-1] == steps
    assert all(before < after for before, after in pairwise(found))
    assert len(found) == min(steps + 1, snapshots.MOST)


def test_of_a_run_that_ends_early_there_are_enough() -> None:
    assert sum(step <= 100 for step in snapshots.due(10_000, ends_early=True)) >= 15


def test_a_run_keeps_its_first_weights_its_last_and_some_between(tmp_path: Path) -> None:
    path = api.run_recipe(POINTS, runs=tmp_path)
    found = snapshots.read(path / "history")
    assert tuple(step for step, _ in found) == snapshots.due(80)
    net = api.load(path).net
    last = dict(found)[80]
    assert last.keys() == dict(net.named_parameters()).keys()
    assert all(torch.equal(tensor, last[name]) for name, tensor in net.named_parameters())
    assert not any(torch.equal(found[0][1][name], tensor) for name, tensor in last.items())
    assert not found[0][1]["hidden.0.bias"].any(), "a new net's biases are 0"


@pytest.mark.parametrize(("recipe", "at"), [(POINTS, 21), (SURFACE, 13)], ids=["loop", "solver"])
def test_stopped_and_resumed_keeps_the_same(tmp_path: Path, recipe: Recipe, at: int) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Stepped) and event.step >= at:
            raise KeyboardInterrupt

    path = tmp_path / "stopped"
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        api.run_recipe(recipe, runs=tmp_path, name=path.name, watch=stop)
    before = kept(path)
    assert before
    (path / "history" / "step-000000059.safetensors").write_bytes(b"of a step that was lost")
    api.resume(path)
    whole = kept(api.run_recipe(recipe, runs=tmp_path, name="whole"))
    assert kept(path) == whole and before.items() <= whole.items()


@pytest.mark.parametrize(
    "recipe",
    [
        replace(POINTS, net=NetRecipe("mlp", {"hidden": [2000]})),
        Recipe(data=DataRecipe(source="digits"), net=NetRecipe("perceptron")),
    ],
    ids=["many weights", "many inputs"],
)
def test_what_cannot_be_filmed_is_not_kept(tmp_path: Path, recipe: Recipe) -> None:
    short = replace(recipe, training=TrainingRecipe(epochs=1))
    assert not (api.run_recipe(short, runs=tmp_path) / "history").exists()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    for step in (0, 7):
        safetensors.torch.save_file({"weight": torch.ones(3)}, tmp_path / f"step-{step:09d}.safetensors")
    (tmp_path / ".step-000000009.safetensors.part").write_bytes(b"")
    assert [step for step, _ in snapshots.read(tmp_path)] == [0, 7]
    (tmp_path / "step-000000007.safetensors").write_bytes(b"\x10")
    with pytest.raises(UserError, match=r"step-000000007\.safetensors: is damaged .* delete it"):
        snapshots.read(tmp_path)
