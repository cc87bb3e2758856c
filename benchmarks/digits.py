"""Accuracy and training time of the chapter's recipes, over five seeds: `python -m benchmarks.digits [RECIPE ...]`.

A run is what `hyperplane train` makes of the recipe, in this process. The seed decides weights and order, not splits.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, recipes

SEEDS = 5


def main(names: list[str]) -> None:
    """Measure and write."""
    import json

    path = RESULTS / "digits.json"
    found = json.loads(path.read_text())["results"] if path.exists() else {}
    for name in names:
        accuracy, seconds = [], []
        for seed in range(SEEDS):
            with tempfile.TemporaryDirectory() as folder:
                run = api.load(api.run_recipe(replace(recipes.named(name), seed=seed), runs=folder))
                result = run.trained.folder.read_result()
            assert result is not None
            accuracy.append(100 * result.metrics["accuracy"].value)
            seconds.append(result.seconds)
            print(f"{name}, seed {seed}: {accuracy[-1]:.2f}% in {seconds[-1]:.1f} s", flush=True)
        samples = result.samples
        found[name] = {"test accuracy, %": spread(accuracy), "training, s": spread(seconds), "test samples": samples}
    write("digits", found)


if __name__ == "__main__":
    main(sys.argv[1:] or ["digits", "mnist_lenet"])
