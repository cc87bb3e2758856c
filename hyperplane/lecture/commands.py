"""What to type to train a recipe: the command whose recipe this is."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Any

from hyperplane import recipes
from hyperplane.recipe import Recipe
from hyperplane.runs.records import flat


def typed(recipe: Recipe) -> str:
    """Return the command that trains a recipe: its data, its net, and each field that differs from their own recipe."""
    net, task = recipe.net.name, recipe.task.name
    optimizer = recipe.optimizer.name
    start = recipes.start(recipe.data.source, net, task, optimizer)
    words = ["hyperplane", "train", recipe.data.source]
    usual = recipes.find(recipe.data.source)
    words += ["--net", net] if net not in (None, usual.net.name) else []
    words += ["--task", task] if task not in (None, usual.task.name) else []
    own = recipes.start(recipe.data.source, net, task).optimizer.name
    words += ["--optimizer.name", optimizer] if optimizer not in (None, own) else []
    before, after = flat(asdict(start)), flat(asdict(recipe))
    said = {"data.source", "net.name", "task.name"}
    if optimizer in ("sgd", "adamw", "muon"):
        said.add("optimizer.restarts")  # which they have not
    for name, value in after.items():
        if value != before.get(name) and name not in said:
            words += [f"--{name.replace('.options.', '.').replace('_', '-')}", *_words(value)]
    return shlex.join(words)


def _words(value: Any) -> list[str]:
    if isinstance(value, bool):
        return [] if value else ["False"]
    if isinstance(value, list | tuple):
        return [str(v) for v in value]
    return [f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)]
