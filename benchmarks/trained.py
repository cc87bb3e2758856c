"""Accuracy and training time of recipes, over five seeds: `python -m benchmarks.trained [--seeds N] [RECIPE ...]`.

A run is what `hyperplane train` makes of the recipe, in this process. The seed decides weights and order, not splits.
What is named is measured again, and the rest kept; without names it is all that is there, which takes hours.
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
from dataclasses import replace

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, recipes

SEEDS = 5


def main(names: list[str]) -> None:
    """Measure and write."""
    seeds = SEEDS
    if names[:1] == ["--seeds"]:
        seeds, names = int(names[1]), names[2:]
    path = RESULTS / "trained.json"
    held = json.loads(path.read_text())["results"] if path.exists() else {}
    for name in names or list(held):
        accuracy, seconds = [], []
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                run = api.load(api.run_recipe(replace(recipes.named(name), seed=seed), runs=folder))
                result = run.trained.folder.read_result()
            assert result is not None
            accuracy.append(100 * result.metrics["accuracy"].value)
            seconds.append(result.seconds)
            print(f"{name}, seed {seed}: {accuracy[-1]:.2f}% in {seconds[-1]:.1f} s", flush=True)
        samples = result.samples
        found = json.loads(path.read_text())["results"] if path.exists() else {}
        found[name] = {
            "command": f"python -m benchmarks.trained --seeds {seeds} {name}",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "test accuracy, %": spread(accuracy),
            "training, s": spread(seconds),
            "test samples": samples,
        }
        write("trained", found)


if __name__ == "__main__":
    main(sys.argv[1:])
