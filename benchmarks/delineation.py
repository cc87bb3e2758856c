"""Losses and nets of delineation beside each other: `python -m benchmarks.delineation losses roads-aerial`.

Each part trains one small setting, with one thing changed, over several seeds; a seed decides the weights and the order
alike for all. `losses` takes binary cross-entropy alone, balanced, and with each other loss beside it; `nets` takes a
U-Net, the hybrid and a ViT, each of fewer than five million weights. Every fourth image is held out and judged whole.

A run takes about a minute of one thread: crops of some 200 pixels, nets of few channels, images mirrored and turned but
not otherwise changed. So what is told is how these compare after little training, not how good they become; that is in
`hyperplane/recipes/delineation.py`.

Losses move probabilities, and with them what a threshold of one half means. So each run is judged twice: at one half,
and at the threshold at which F1 of the pixels is greatest on its training crops. At the latter, "at equal F1" can be
answered: of each metric the mean over the seeds with its 95% interval (Student's t) is told, and the same of the
difference to the first variant, seed by seed. No piece is left out for being small.

Each run is written down when it is done, and never made again, so that a part can be done bit by bit: with `--seeds 1`,
and later with `--seeds 3`, or with `--only bce bce+0.5*cldice`.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from benchmarks.record import RESULTS, write
from hyperplane import api
from hyperplane.contracts import Source, Split
from hyperplane.engine import fine_tuning
from hyperplane.engine.trained import Trained
from hyperplane.lecture.experiments.delineation import NETS, U_NET, WITH_LINES, at_rate, interval, little
from hyperplane.recipe import NetRecipe, Recipe
from hyperplane.tasks.blocks import mask_errors, network_counts
from hyperplane.tasks.delineation import Delineation

THIN = NetRecipe("unet", {"depths": [1, 1, 1, 1], "width": 16})
"""For thin lines: it begins at half the size, that for wide ones at a quarter."""


@dataclass(frozen=True)
class Setting:
    """What is trained on a set."""

    recipe: str
    net: NetRecipe
    crop: int
    steps: int


SETS = {
    "roads-aerial": Setting("roads_aerial", U_NET, 208, 700),
    "membranes": Setting("membranes", THIN, 208, 400),
    "cracks": Setting("cracks", THIN, 208, 400),
}
BESIDE = ("dice", "cldice", "skeleton-recall", "connectivity")
CROPS = 60
"""Training crops, evenly spaced, on which a threshold is chosen."""
BINS = 50
TOLD = ("f1", "patch_f1", "near_f1", "centre_line_dice", "betti0_error", "betti1_error")


def variants(part: str, setting: Setting, steps: int | None) -> dict[str, Recipe]:
    """Return the recipes of a part by name; the first is what the others are held against."""
    steps = steps or setting.steps
    if part == "nets":
        return {
            net.name or "": at_rate(little(setting.recipe, net, WITH_LINES, setting.crop, steps))
            for net in NETS.values()
        }
    sums = ["bce", "balanced", *(f"bce+0.5*{name}" for name in BESIDE)]
    return {loss: little(setting.recipe, setting.net, loss, setting.crop, steps) for loss in sums}


def made(recipe: Recipe) -> dict[str, float]:
    """Return the metrics of a run at both thresholds, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        run = api.load(api.run_recipe(recipe, runs=folder, explained=False)).trained
        result = run.folder.read_result()
        assert result is not None
        source = fine_tuning.opened(run.recipe)
        threshold = chosen(run, source)
        again = {f"{name} at its own": value for name, value in judged(run, source, threshold).items()}
        return {
            **{name: result.metrics[name].value for name in TOLD},
            **again,
            "threshold": threshold,
            "weights": result.parameters,
            "training, s": result.seconds,
            "processor, s": time.process_time() - begun,
        }


def chosen(run: Trained, source: Source) -> float:
    """Return the threshold at which F1 of the pixels is greatest on training crops."""
    count = source.description.splits["train"]
    which = sorted({k * count // CROPS for k in range(CROPS)})
    background_T, line_T = (
        sum(mask_errors.histogram(p_BHW, m_BHW, BINS).sum(0) for p_BHW, m_BHW in said(run, source, "train", which))
        .double()  # pyright: ignore[reportAttributeAccessIssue]
        .flip(1)
        .cumsum(1)
        .flip(1)
    )
    f1_T = 2 * line_T / (background_T + line_T + line_T[0]).clamp(min=1)
    return max(1, int(f1_T.argmax())) / BINS


def judged(run: Trained, source: Source, threshold: float) -> dict[str, float]:
    """Return the metrics on the held-out images, cut at a threshold."""
    counts: dict[str, list[Tensor]] = {}
    for p_BHW, mask_BHW in said(run, source, "test", range(source.description.splits["test"])):
        for name, value in network_counts.count((p_BHW > threshold).to(torch.uint8), mask_BHW).items():
            counts.setdefault(name, []).append(value)
    measured = network_counts.measure({name: torch.cat(values) for name, values in counts.items()})
    return {name: measured[name] for name in TOLD}


@torch.no_grad()
def said(run: Trained, source: Source, split: Split, which: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield probabilities and masks, (1, H, W), of samples of a split."""
    task = cast(Delineation, run.model.task)
    for index in which:
        batch = source.batch(split, [index])
        logit_1KHW = run.model.net(batch[task.input].contiguous(memory_format=run.precision.memory_format))
        yield task.classify(logit_1KHW)[0], batch[task.target]


def told(runs: dict[str, dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Return means over the seeds, and the differences to the first variant, each with its 95% interval."""
    first = next(iter(runs))
    table: dict[str, Any] = {}
    for name, by_seed in runs.items():
        keys = next(iter(by_seed.values()))
        table[name] = {"seeds": len(by_seed)}
        shared = sorted(by_seed.keys() & runs[first].keys())
        for key in keys:
            table[name][key] = _finite(interval([run[key] for run in by_seed.values()]))
            if name != first and shared and key.split(" at")[0] in TOLD:
                gaps = [by_seed[seed][key] - runs[first][seed][key] for seed in shared]
                table[name][f"{key}, more than {first}"] = _finite(interval(gaps))
    return table


def _finite(values: list[float]) -> list[float | None]:
    return [round(value, 5) if math.isfinite(value) else None for value in values]


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("part", choices=("losses", "nets"))
    asked.add_argument("data", choices=tuple(SETS))
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--steps", type=int, help="of each run, in place of the setting's")
    asked.add_argument("--only", nargs="+", help="names of variants, in place of all")
    given = asked.parse_args()
    setting = SETS[given.data]
    all_of_them = variants(given.part, setting, given.steps)
    names = given.only or list(all_of_them)
    if unknown := [name for name in names if name not in all_of_them]:
        asked.error(f"--only: found {unknown[0]}, expected some of {', '.join(all_of_them)}")
    file = RESULTS / "delineation.json"
    results: dict[str, Any] = json.loads(file.read_text("utf-8"))["results"] if file.is_file() else {}
    key = f"{given.part} on {given.data}, {given.steps or setting.steps} steps"
    runs: dict[str, dict[str, dict[str, float]]] = results.get(key, {}).get("runs", {})
    for seed in range(given.seeds):
        for name in names:
            if str(seed) in runs.get(name, {}):
                continue
            runs.setdefault(name, {})[str(seed)] = made(replace(all_of_them[name], seed=seed))
            print(name, seed, {k: round(v, 4) for k, v in runs[name][str(seed)].items()}, flush=True)
            ordered = {name: runs[name] for name in all_of_them if name in runs}
            results[key] = {"table": told(ordered), "runs": ordered}
            write("delineation", results)


if __name__ == "__main__":
    main()
