"""What the recipes of delineation reach on held-out images: `python -m benchmarks.delineated [--seeds N] [RECIPE ...]`.

Counted over the pixels of all images together, as the metrics are, and of F1 also the mean and the median of the images
alone: a mask that is wrong weighs in the first as much as it has pixels, in the last hardly at all. The seed decides
weights, order and augmentation. Runs that are in `--runs FOLDER` already, of the same recipe, are not made again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, spread, write
from benchmarks.trained import trained
from hyperplane import api, predict, recipes
from hyperplane.tasks.blocks import network_counts

RECIPES = ("roads_aerial", "membranes", "cracks")
ALONE = ("f1", "near_f1")
"""Metrics that are told of the images one by one too."""


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("recipes", nargs="*", default=list(RECIPES))
    asked.add_argument("--seeds", type=int, default=1)
    asked.add_argument("--runs", type=Path)
    given = asked.parse_args()
    path = RESULTS / "delineated.json"
    for name in given.recipes:
        rows: list[dict[str, float]] = []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                kept = (given.runs or Path(folder)) / f"{name}-{seed}"
                rows.append(reached(name, seed, kept))
            print(name, seed, {key: round(value, 4) for key, value in rows[-1].items()}, flush=True)
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))["results"] if path.is_file() else {}
        found[name] = {key: spread([row[key] for row in rows]) for key in rows[0]}
        write("delineated", found)


def reached(name: str, seed: int, path: Path) -> dict[str, float]:
    """Return the metrics of a recipe's run over its held-out images, and how many seconds its training took."""
    result = trained(replace(recipes.named(name), seed=seed), path)
    told = predict.evaluate(api.load(path).trained, "test")
    each = [
        network_counts.measure({key: value[k : k + 1] for key, value in told.statistics.items()})
        for k in range(told.samples)
    ]
    middle = {
        f"{metric}, {what} of the images": how([one[metric] for one in each])
        for metric in ALONE
        for what, how in (("mean", statistics.fmean), ("median", statistics.median))
    }
    return {
        **{metric: measured.value for metric, measured in told.metrics.items()},
        **middle,
        "images": told.samples,
        "weights": result.parameters,
        "training, s": result.seconds,
    }


if __name__ == "__main__":
    main()
