"""Photographs as functions I = f(x, y) by every net of the chapter: `python -m benchmarks.pictures [PHOTOGRAPH ...]`.

Each of `hyperplane/recipes/pictures.py` on four photographs of 51 x 51 pixels, one seed, one thread. The loss is the
share of the photograph's variance that is left unexplained; the median over the photographs stands next to the
lecture's loss. Seconds are processor time. Photographs that are named are measured again, `--bypass` only by the nets
with a bypass and `--no-bypass` only by those without, and the other figures are kept. `--longer` measures instead how
far three of the fits still are from their end: the first photograph, from one set of weights, with ten times the
iterations.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from typing import Any

import torch

from benchmarks.record import RESULTS, write
from hyperplane import api, discovery, recipes
from hyperplane.engine.model import build
from hyperplane.recipe import DataRecipe, Recipe

PHOTOGRAPHS = ("china", "camera", "cat", "astronaut")
LONGER = ("picture_125", "picture_300", "picture_20_20")
"""Nets that are fitted for longer."""
TIMES = (1, 10)
COMMAND = "python -m benchmarks.pictures --longer"
LECTURE = {
    "picture_50": 3.65e-1,
    "picture_100": 2.50e-1,
    "picture_125": 2.40e-1,
    "picture_300": 1.92e-1,
    "picture_20_20": 8.31e-2,
    "picture_14_14_14": 7.55e-2,
    "picture_15_15_15": 5.93e-2,
    "picture_19_19_19": 4.38e-2,
    "picture_10_20_10": 6.43e-2,
    "picture_10_20_10_10": 5.30e-2,
}


def main(photographs: list[str]) -> None:
    """Measure and write, after each photograph."""
    torch.set_num_threads(1)
    if "--longer" in photographs:
        return longer()
    names = discovery.entries("recipes")["pictures"].variants
    for flag, with_bypass in (("--no-bypass", False), ("--bypass", True)):  # to share the work out
        if flag in photographs:
            names = tuple(name for name in names if name.endswith("_bypass") == with_bypass)
    photographs = [name for name in photographs if not name.startswith("--")] or list(PHOTOGRAPHS)
    for photograph in photographs:
        measured = {name: _fit(name, photograph) for name in names}
        before = _written()
        held = before.get("photographs", {})
        held[photograph] = held.get(photograph, {}) | measured
        everywhere = [
            name
            for name in discovery.entries("recipes")["pictures"].variants
            if all(name in told for told in held.values())
        ]
        write("pictures", before | {"nets": {name: _over(name, held) for name in everywhere}, "photographs": held})


def _written() -> dict[str, Any]:
    """Return what was measured before."""
    path = RESULTS / "pictures.json"
    return json.loads(path.read_text())["results"] if path.exists() else {}


def longer() -> None:
    """Fit some nets for longer, and write what each number of iterations leaves unexplained."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in LONGER:
        for times in TIMES:
            recipe = recipes.named(name)
            assert recipe.training.epochs is not None, "the recipes of this chapter name their iterations"
            iterations = times * recipe.training.epochs
            recipe = replace(
                recipe,
                optimizer=replace(recipe.optimizer, restarts=1),
                training=replace(recipe.training, epochs=iterations),
            )
            found.setdefault(name, {})[f"{iterations:,} iterations"] = _fit(name, PHOTOGRAPHS[0], recipe)
            write(
                "pictures", _written() | {"longer": {"photograph": PHOTOGRAPHS[0], "command": COMMAND, "nets": found}}
            )


def _over(name: str, held: dict[str, dict[str, dict[str, float]]]) -> dict[str, float | int | None]:
    losses = [measured[name]["unexplained"] for measured in held.values()]
    return {
        "median unexplained": statistics.median(losses),
        "least": min(losses),
        "greatest": max(losses),
        "photographs": len(losses),
        "most seconds": max(measured[name]["seconds"] for measured in held.values()),
        "the lecture's loss": LECTURE.get(name.removesuffix("_bypass")),
    }


def _fit(name: str, photograph: str, recipe: Recipe | None = None) -> dict[str, float]:
    recipe = replace(recipe or recipes.named(name), data=DataRecipe(f"photo-{photograph}"))
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = api.load(api.run_recipe(recipe, runs=folder, explained=False))
        result, trained = run.trained.folder.read_result(), run.trained
    assert result is not None
    seconds = time.process_time() - begun
    weights = sum(p.numel() for p in build(trained.recipe, trained.description).net.parameters())
    told = {"unexplained": result.metrics["unexplained"].value, "weights": weights, "seconds": seconds}
    print(photograph, name, told, flush=True)
    return told


if __name__ == "__main__":
    main(sys.argv[1:])
