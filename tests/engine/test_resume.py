"""A run that was killed anywhere, or fed any other way, ends with the same weights, bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hyperplane import api
from hyperplane.engine.events import Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.recipe import (
    AugmentRecipe,
    DataRecipe,
    HardwareRecipe,
    NetRecipe,
    Recipe,
    ScheduleRecipe,
    TrainingRecipe,
)

SMALL = Recipe(
    data=DataRecipe(source="digits"),
    net=NetRecipe("lenet", {"dropout": 0.1}),
    training=TrainingRecipe(epochs=2, batch=128, ema=0.9, patience=2),
)


def weights(path: Path) -> str:
    return hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()


def history(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (path / "history").iterdir()}


def curve(path: Path) -> list[tuple[int, float]]:
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], r["loss"]) for r in records if r["kind"] == "step"]


@pytest.mark.timeout(300)
def test_killed_at_20_random_moments(tmp_path):
    ran = subprocess.run(
        [sys.executable, Path(__file__).parent / "kills.py", tmp_path, "20", str(os.getpid())],
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert len(told["killed"]) == 20
    assert sum(kill["was_alive"] for kill in told["killed"]) >= 10, "too few kills hit a running process"
    assert len({kill["step"] for kill in told["killed"]}) >= 3, "the kills were not spread over the run"
    assert {kill["weights"] for kill in told["killed"]} == {told["whole"]}
    for kill in range(20):
        assert curve(tmp_path / f"killed-{kill}") == curve(tmp_path / "whole")
        assert history(tmp_path / f"killed-{kill}") == history(tmp_path / "whole")


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_and_streaming_see_the_same_batches(tmp_path, workers):
    streamed = replace(SMALL, data=replace(SMALL.data, memory_gb=0.0, workers=workers))
    assert weights(api.run_recipe(streamed, runs=tmp_path, name="streamed")) == weights(
        api.run_recipe(SMALL, runs=tmp_path, name="resident")
    )


def test_same_seed_same_net_and_another_seed_another(tmp_path):
    one, two, other = (
        weights(api.run_recipe(replace(SMALL, seed=seed), runs=tmp_path, name=name))
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )
    assert one == two != other


COMPACT = replace(
    SMALL,
    net=NetRecipe("compact", {"widths": (32, 40), "pools": 2}),
    augment=AugmentRecipe(flip=True, shift=1, sizes=(6,)),
    training=TrainingRecipe(epochs=2, batch=128, ema=0.9, hardest=0.8),
    hardware=HardwareRecipe(precision="bfloat16"),
)
"""What the fast nets use, all at once."""


@pytest.mark.parametrize(("recipe", "optimizer"), [(SMALL, "sgd"), (SMALL, "adamw"), (COMPACT, "muon")])
def test_ctrl_c_saves_and_the_resumed_run_is_the_uninterrupted_one(tmp_path, recipe, optimizer):
    recipe = replace(recipe, optimizer=replace(recipe.optimizer, name=optimizer, learning_rate=0.01))

    def stop(event):
        if isinstance(event, Stepped) and event.step >= 9:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        api.run_recipe(recipe, runs=tmp_path, name="stopped", watch=stop)
    assert not (tmp_path / "stopped" / "manifest.json").exists()
    api.resume(tmp_path / "stopped")
    assert weights(tmp_path / "stopped") == weights(api.run_recipe(recipe, runs=tmp_path, name="whole"))
    before = (tmp_path / "stopped" / "report.html").stat().st_mtime_ns
    api.resume(tmp_path / "stopped")
    assert (tmp_path / "stopped" / "report.html").stat().st_mtime_ns == before, "a finished run was touched"


def test_a_text_is_drawn_anew_at_every_step_and_still_resumed(tmp_path):
    (tmp_path / "book.txt").write_text("Shall I compare thee to a summer's day?\n" * 60)
    recipe = Recipe(
        data=DataRecipe(source=str(tmp_path / "book.txt"), options={"context": 16}),
        net=NetRecipe("gpt-modern", {"layers": 1, "width": 16, "heads": 2, "ngrams": 2, "dropout": 0.1}),
        training=TrainingRecipe(steps=45, batch=8),
    )

    def stop(event):
        if isinstance(event, Stepped) and 15 <= event.step < 40:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        api.run_recipe(recipe, runs=tmp_path, name="stopped", watch=stop)
    api.resume(tmp_path / "stopped")
    helped = replace(recipe, data=replace(recipe.data, workers=2))
    for name, made in (("whole", recipe), ("helped", helped)):
        assert weights(tmp_path / "stopped") == weights(api.run_recipe(made, runs=tmp_path, name=name))
    assert curve(tmp_path / "stopped")[-1][0] == 45


def test_two_processes_give_the_loss_curve_of_one(tmp_path):
    recipe = replace(SMALL, net=NetRecipe("lenet"), schedule=ScheduleRecipe("cosine"))
    alone = api.run_recipe(recipe, runs=tmp_path, name="alone")
    (tmp_path / "recipe.json").write_text((alone / "recipe.json").read_text())
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0", "--rdzv-backend=c10d",
         "--rdzv-endpoint=localhost:0", "-m", "hyperplane", "train", "--recipe", str(tmp_path / "recipe.json"),
         "--runs", str(tmp_path), "--name", "together"],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    one, two = curve(alone), curve(tmp_path / "together")
    assert [step for step, _ in one] == [step for step, _ in two]
    assert max(abs(a - b) for (_, a), (_, b) in zip(one, two, strict=True)) < 1e-5
    api.load(tmp_path / "together")
