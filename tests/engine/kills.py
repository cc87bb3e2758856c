"""Train, kill and resume in forked processes: imports once, so that each of many kills costs little.

Prints one JSON object: the hash of the weights of an uninterrupted run, and for each killed and resumed run its hash,
when it was killed and at which step it went on. Run by test_resume.py: `python kills.py FOLDER KILLS SEED`.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hyperplane import api
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TrainingRecipe
from hyperplane.runs import report

RECIPE = Recipe(
    data=DataRecipe(source="points-region", options={"samples": 400}),
    net=NetRecipe("mlp", {"hidden": [16, 16], "dropout": 0.1}),
    training=TrainingRecipe(epochs=24, batch=32, ema=0.9, patience=20, checkpoint_seconds=0.0),
)


def fork(work: Callable[[], object]) -> int:
    """Start a process that does the work and leaves; return its number."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child


def finish(child: int) -> None:
    """Wait for a process, and fail where it failed."""
    assert os.waitpid(child, 0)[1] == 0, "a run failed"


def weights(path: Path) -> str:
    """Return the hash of a run's weights."""
    return hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()


def main(folder: Path, kills: int, seed: int) -> None:
    """Do it all."""
    chance = random.Random(seed)
    finish(fork(lambda: api.run_recipe(RECIPE, runs=folder, name="whole", explained=False)))
    report.write(folder / "whole")  # imports what every run needs, so that the forked ones need not
    began = time.monotonic()
    finish(fork(lambda: api.run_recipe(RECIPE, runs=folder, name="whole again", explained=False)))
    lasts = time.monotonic() - began
    killed = []
    for kill in range(kills):
        path = folder / f"killed-{kill}"
        moment = (kill + chance.random()) / kills * lasts  # at random, but in every part of the run
        child = fork(lambda name=path.name: api.run_recipe(RECIPE, runs=folder, name=name, explained=False))
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
        was_alive = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if not was_alive:  # a run lasts less now than the one that was timed, which another process had slowed down
            lasts = min(lasts, moment)
        manifest = path / "checkpoint" / "manifest.json"
        step = json.loads(manifest.read_text())["state"]["step"] if manifest.exists() else 0
        if (path / "recipe.json").exists():
            finish(fork(lambda path=path: api.resume(path, explained=False)))
        else:
            finish(fork(lambda name=path.name: api.run_recipe(RECIPE, runs=folder, name=name, explained=False)))
        killed.append({"weights": weights(path), "moment": moment, "was_alive": was_alive, "step": step})
    print(json.dumps({"whole": weights(folder / "whole"), "lasts": lasts, "killed": killed}))


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
