"""Accuracy and training time of recipes, over five seeds: `python -m benchmarks.trained [--seeds N] [RECIPE ...]`.

A run is what `hyperplane train` makes of the recipe, in this process. The seed decides weights and order, not splits.
What is named is measured again, and the rest kept; without names it is all that is there, which takes hours. With
`--runs FOLDER` runs are kept there, and those that are there already, of the same recipe, are not made again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, recipes
from hyperplane.recipe import Recipe
from hyperplane.runs.records import Result

SEEDS = 5


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("recipes", nargs="*")
    asked.add_argument("--seeds", type=int, default=SEEDS)
    asked.add_argument("--runs", type=Path)
    given = asked.parse_args()
    path = RESULTS / "trained.json"
    held = json.loads(path.read_text())["results"] if path.exists() else {}
    for name in given.recipes or list(held):
        accuracy, seconds = [], []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                result = trained(
                    replace(recipes.named(name), seed=seed), (given.runs or Path(folder)) / f"{name}-{seed}"
                )
            accuracy.append(100 * result.metrics["accuracy"].value)
            seconds.append(result.seconds)
            print(f"{name}, seed {seed}: {accuracy[-1]:.2f}% in {seconds[-1]:.1f} s", flush=True)
        found = json.loads(path.read_text())["results"] if path.exists() else {}
        found[name] = {
            "command": f"python -m benchmarks.trained --seeds {given.seeds} {name}",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "test accuracy, %": spread(accuracy),
            "training, s": spread(seconds),
            "test samples": result.samples,
        }
        write("trained", found)


def trained(recipe: Recipe, path: Path) -> Result:
    """Return what a run reached: the one that is there, gone on with where it is unfinished, or a new one."""
    if (path / "recipe.json").is_file():
        api.resume(path)
    else:
        api.run_recipe(recipe, runs=path.parent, name=path.name)
    run = api.load(path)
    assert run.recipe == recipes.complete(recipe, run.trained.description), f"{path} holds a run of another recipe"
    result = run.trained.folder.read_result()
    assert result is not None
    return result


if __name__ == "__main__":
    main()
