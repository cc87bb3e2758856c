"""Losses and nets of delineation beside each other: `python -m benchmarks.delineation losses roads-aerial`.

Each part trains the same recipe (`hyperplane/recipes/delineation.py`), with one thing changed, for fewer steps, over
several seeds, each seed deciding the weights and the order alike for all: `losses` takes binary cross-entropy alone and
with each other loss beside it; `nets` takes a U-Net, the hybrid and a ViT, each of fewer than five million weights.
Every fourth image is held out. Of each
metric it tells the mean over the seeds, and of the difference to the first, seed by seed, the mean with its 95%
interval (Student's t). Runs that are in the results already are not trained again, so that a part can be done bit by
bit: `python -m benchmarks.delineation losses cracks --seeds 1`, and later with `--seeds 3`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from dataclasses import replace
from typing import Any

from scipy.stats import t as student

from benchmarks.record import RESULTS, write
from hyperplane import api, recipes
from hyperplane.recipe import NetRecipe, Recipe

SETS = {"roads-aerial": "roads_aerial", "membranes": "membranes", "cracks": "cracks"}
"""Recipes by the set that they are for."""
BESIDE = ("dice", "cldice", "skeleton-recall", "connectivity")
NETS = ("unet-quick", "unet-hybrid-quick", "vit-dense")
STEPS = 150
"""Of each run, where the command names no other number."""
TOLD = ("f1", "patch_f1", "near_f1", "centre_line_dice", "betti0_error", "betti1_error")


def variants(part: str, start: Recipe) -> dict[str, Recipe]:
    """Return the recipes of a part by name; the first is what the others are held against."""
    options = start.task.options
    if part == "losses":
        sums = ["bce", "balanced", *(f"bce+0.5*{name}" for name in BESIDE)]
        return {loss: replace(start, task=replace(start.task, options={**options, "loss": loss})) for loss in sums}
    return {name: replace(start, net=NetRecipe(name)) for name in NETS}


def trained(recipe: Recipe) -> dict[str, float]:
    """Return the metrics of a run, and its seconds: of the clock, and of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        run = api.load(api.run_recipe(recipe, runs=folder))
        result = run.trained.folder.read_result()
        assert result is not None
        measured = {name: result.metrics[name].value for name in TOLD}
        return {**measured, "training, s": result.seconds, "processor, s": time.process_time() - begun}


def told(runs: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return means over the seeds, and the differences to the first variant with their 95% intervals."""
    first = next(iter(runs))
    table: dict[str, Any] = {}
    for name, by_seed in runs.items():
        keys = next(iter(by_seed.values()))
        table[name] = {key: statistics.fmean(run[key] for run in by_seed.values()) for key in keys}
        shared = sorted(by_seed.keys() & runs[first].keys())
        if name == first or len(shared) < 2:
            continue
        for key in TOLD:
            gap = [by_seed[seed][key] - runs[first][seed][key] for seed in shared]
            half = student.ppf(0.975, len(gap) - 1) * statistics.stdev(gap) / math.sqrt(len(gap))
            mean = statistics.fmean(gap)
            table[name][f"{key}, more than {first}"] = [mean, mean - half, mean + half]
    return table


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("part", choices=("losses", "nets"))
    asked.add_argument("data", choices=tuple(SETS))
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--steps", type=int, default=STEPS)
    given = asked.parse_args()
    file = RESULTS / "delineation.json"
    results: dict[str, Any] = json.loads(file.read_text("utf-8"))["results"] if file.is_file() else {}
    key = f"{given.part} on {given.data}, {given.steps} steps"
    runs: dict[str, dict[str, dict[str, float]]] = results.get(key, {}).get("runs", {})
    start = recipes.named(SETS[given.data])
    augment, training = replace(start.augment, views="one"), replace(start.training, steps=given.steps)
    start = replace(start, augment=augment, training=training)
    for seed in range(given.seeds):
        for name, recipe in variants(given.part, start).items():
            if str(seed) in runs.setdefault(name, {}):
                continue
            runs[name][str(seed)] = trained(replace(recipe, seed=seed))
            print(name, seed, {k: round(v, 4) for k, v in runs[name][str(seed)].items()}, flush=True)
            done = {name: by_seed for name, by_seed in runs.items() if by_seed}
            results[key] = {"table": told(done), "runs": runs}
            write("delineation", results)


if __name__ == "__main__":
    main()
