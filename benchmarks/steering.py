"""Steering a small language model after its fine-tuning: `python -m benchmarks.steering`.

On each kind of exercise a net is fine-tuned on few answers that are given, until it is right in some tens of percent of
held-out exercises (recipes `addition`, `sorting`, `countdown`). Then, from the same weights, by

- reward: a check of its own answers alone (recipes `..._reward`), no answer given;
- the same answers for longer: as many samples, in batches of as many, of the answers that it had;
- fresh answers: as many given answers as the reward had prompts, none of them seen before;
- choices (addition): pairs of a right and a wrong answer of its own (DPO).

All are judged on the same held-out exercises by what they answer at temperature 0. One thread; the seconds are those of
training, and beside them those that the processor worked, which other work on the machine does not lengthen. A kind
that is named alone is measured anew beside what was measured before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, data, recipes
from hyperplane.lecture.experiments.steering import choosing, chosen_of, longer, right
from hyperplane.recipe import NetRecipe, Recipe, TaskRecipe

KINDS = ("addition", "sorting", "countdown")
HELD_OUT = 700
"""Exercises that judge; of sums of two digits there are hardly more to hold out."""


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--kinds", nargs="+", default=list(KINDS))
    chosen = asked.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "steering.json"
    for kind in chosen.kinds:
        with tempfile.TemporaryDirectory() as place:
            measured = measure(kind, chosen.seeds, Path(place))
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))["results"] if path.is_file() else {}
        write("steering", {**found, kind: measured})


def measure(kind: str, seeds: int, place: Path) -> dict[str, Any]:
    """Return what each way reaches in percent of held-out exercises, over the seeds, with the time that it takes."""
    held: dict[str, list[dict[str, float]]] = {}
    facts: dict[str, Any] = {}
    for seed in range(seeds):
        given = replace(recipes.named(kind), seed=seed)
        judging = data.open(replace(given.data, options={**given.data.options, "held_out": HELD_OUT}))
        first, spent = trained(given, place / f"given-{seed}")
        start = NetRecipe(start=str(first.path))
        reward = replace(recipes.named(f"{kind}_reward"), net=start, seed=seed)
        steps, prompts = reward.training.steps or 0, reward.training.batch or 0
        answers = reward.task.options["answers"]
        ways: dict[str, Recipe] = {
            "reward": reward,
            "the same answers for longer": longer(reward, given.data),
            "fresh answers": replace(reward, task=TaskRecipe("answer")),
        }
        held.setdefault("given answers", []).append({"exact": right(first, judging), **spent})
        if kind == "addition":
            pairs = chosen_of(first, data.open(reward.data), seed, place / f"choices-{seed}.jsonl")
            facts["choices"] = [*facts.get("choices", []), pairs]
            ways["choices"] = choosing(reward, place / f"choices-{seed}.jsonl")
        for way, recipe in ways.items():
            run, spent = trained(recipe, place / f"{way.replace(' ', '-')}-{seed}")
            held.setdefault(way, []).append({"exact": right(run, judging), **spent})
            print(kind, seed, way, held[way][-1], flush=True)
        facts |= {
            "weights": sum(p.numel() for p in first.net.parameters()),
            "answers given at first": given.data.options["samples"],
            "held-out exercises": judging.description.splits["test"],
            "reward: prompts": steps * prompts,
            "reward: answers tried": steps * prompts * answers,
        }
    told = {
        way: {
            "right, %": spread([100 * run["exact"] for run in runs]),
            "training, s": spread([run["seconds"] for run in runs]),
            "processor, s": spread([run["processor"] for run in runs]),
        }
        for way, runs in held.items()
    }
    return {**facts, **told}


def trained(recipe: Recipe, path: Path) -> tuple[api.Run, dict[str, float]]:
    """Train, and return the run, the seconds of its training, and those of the processor, with what goes before."""
    before = time.process_time()
    run = api.load(api.run_recipe(recipe, runs=path.parent, name=path.name, explained=False))
    seconds = float(run.history[-1]["seconds"])
    return run, {"seconds": seconds, "processor": time.process_time() - before}


if __name__ == "__main__":
    main()
