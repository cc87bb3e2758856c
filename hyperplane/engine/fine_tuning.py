"""Fine-tuning: a net begins with another run's weights, reads inputs as that run did, and has a head of its own.

The head is every tensor whose shape depends on the number of outputs. It is taken as well where both runs know the same
classes, or predict the same numbers, in the same order, but not from a task that needs no labels to one that does.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import torch

from hyperplane import data, discovery, nets
from hyperplane.contracts import Description, Source
from hyperplane.engine.model import Model
from hyperplane.errors import UserError
from hyperplane.nets.blocks.published import Difference, Published, differ
from hyperplane.recipe import NetRecipe, OptimizerRecipe, Recipe
from hyperplane.runs.folder import RunFolder

RATE = 0.1
"""Learning rate of a fine-tuned net, as a share of what it would be from scratch: a long training is not undone.
Where little was learned before, or of other things, the whole rate does better (benchmarks/finetune.py)."""


@dataclass(frozen=True)
class Start:
    """A finished run that others begin with, trained or imported."""

    folder: RunFolder
    recipe: Recipe
    description: Description
    sha256: str
    """Of its weights' file."""


def read(net: NetRecipe) -> Start:
    """Return the run that a recipe's net begins with.

    Raises UserError where it is missing, unfinished or damaged, and where its weights are not those of the recipe.
    """
    assert net.start is not None, "the caller looked"
    folder = RunFolder(net.start)
    folder.verify()
    sha256 = json.loads(folder.manifest.read_text("utf-8"))["files"][folder.model.name]
    if net.start_sha256 not in (None, sha256):
        raise UserError(
            f"{folder.model}: its SHA-256 begins with {sha256[:8]}, but the recipe began with {net.start_sha256[:8]}; "
            f"put those weights back, or to begin with these add --from {net.start}"
        )
    return Start(folder, folder.read_recipe(), folder.read_description(), sha256)


def slowed(optimizer: OptimizerRecipe) -> OptimizerRecipe:
    """Return an optimizer with the learning rates that it has for nets from scratch a tenth as high."""
    rate, other = optimizer.learning_rate, optimizer.other_rate
    return replace(
        optimizer,
        learning_rate=None if rate is None else RATE * rate,
        other_rate=None if other is None else RATE * other,
    )


def completed(net: NetRecipe) -> NetRecipe:
    """Return a recipe's net with what it left open taken from the run that it begins with: name, options, the hash.

    Options are that run's where the net is, but for those that are given. Raises UserError as `read` does.
    """
    if net.start is None or (net.name is not None and net.start_sha256 is not None):
        return net
    start = read(net)
    there = start.recipe.net
    name = net.name or there.name
    options = {**there.options, **net.options} if name == there.name else net.options
    return replace(net, name=name, options=options, start_sha256=start.sha256)


def opened(recipe: Recipe, like: Description | None = None, *, download: bool = False) -> Source:
    """Return a recipe's data, where it begins with a run read as that run reads its own.

    `like` describes data that were opened so before; without it the run is looked at. A size that the recipe names wins
    over the run's. Raises UserError for what is wrong with the data or the run, and where they do not go together.
    """
    source = data.open(recipe.data, download=download)
    if recipe.net.start is None:
        return source
    if like is None:
        like = read(recipe.net).description
        if like.kind == "image" and recipe.data.size is not None:
            shape = (like.shapes[like.input][0], recipe.data.size, recipe.data.size)
            like = replace(like, shapes={**like.shapes, like.input: shape})
    return source.read_as(like)


def reopened(folder: RunFolder, recipe: Recipe, like: Description | None, *, download: bool = False) -> Source:
    """Return the data of a run that was begun, which `like` describes; whether they are as they were is not looked at.

    With `data.skip_bad`, those of its own files that can still be read, in the splits that it began with. Raises
    UserError as `opened` does.
    """
    if recipe.data.skip_bad and like is not None and folder.listing.is_file():
        return data.reopen(recipe.data, like, folder.read_listing())
    return opened(recipe, like, download=download)


def begin(model: Model, recipe: Recipe, description: Description) -> tuple[str, ...]:
    """Put the weights of the run that the recipe begins with into a new model; return what was done, a sentence each.

    Raises UserError where they do not fit: beside the head, the net may hold nothing that the run has not.
    """
    if recipe.net.start is None:
        return ()
    start = read(recipe.net)
    own, found = model.net.state_dict(), start.folder.read_model()
    theirs = {key.removeprefix("net."): tensor for key, tensor in found.items() if key.startswith("net.")}
    if isinstance(model.net, Published):
        theirs = model.net.fitted(theirs)
    head = _head(recipe, description, model.judge.outputs)
    if _mean_the_same(start, recipe, description):
        head = frozenset()
    rest = differ(theirs, {key: tensor for key, tensor in own.items() if key not in head})
    if rest.missing or rest.reshaped:
        there = start.recipe.net.name
        raise UserError(
            f"net {recipe.net.name}: does not fit the weights of {recipe.net.start}, which is of {there} and "
            f"{Difference(rest.missing, (), rest.reshaped)}; type: --net {there}, without options of its own"
        )
    taken = {key: theirs[key].to(own[key].dtype) for key in own if key in theirs and key not in head}
    model.net.load_state_dict(taken, strict=False)
    if begin := getattr(model.task, "begin", None):
        begin(model.net)
    return _told(recipe, start, description, len(own), len(taken), sorted(head))


def _head(recipe: Recipe, description: Description, outputs: int) -> frozenset[str]:
    """Return the names of the net's tensors whose shape depends on the number of outputs."""
    with torch.device("meta"):
        one, other = (
            nets.build(recipe.net.name or "", description.shapes[description.input], count, recipe.net.options)
            for count in (outputs, outputs + 1)
        )
    shapes = other.state_dict()
    return frozenset(key for key, tensor in one.state_dict().items() if shapes[key].shape != tensor.shape)


def _mean_the_same(start: Start, recipe: Recipe, description: Description) -> bool:
    """Say whether the outputs of both runs do: those of a task that needs no labels only where the task is the same."""
    there, here = start.recipe.task.name or "", recipe.task.name or ""
    labelled = all(getattr(discovery.load("tasks", name).TASK, "LABELS", True) for name in (there, here))
    names = (description.classes, description.target_names)
    return (start.description.classes, start.description.target_names) == names and (labelled or there == here)


def _told(
    recipe: Recipe, start: Start, description: Description, count: int, taken: int, new: list[str]
) -> tuple[str, ...]:
    left = f"new from the seed: {', '.join(new)}" if new else "its head too, since the outputs mean the same"
    told = [
        f"The net begins with the weights of {recipe.net.start} ({start.recipe.net.name}, SHA-256 "
        f"{start.sha256[:8]}): {taken} of {count} tensors were taken; {left}."
    ]
    if description.kind == "image":
        channels, height, width = description.shapes[description.input]
        mean, std = (" ".join(f"{v:.3g}" for v in description.encoding[name]) for name in ("mean", "std"))
        middle = description.encoding.get("middle", 1.0)
        cut = f", the middle {100 * middle:.3g}% of each side" if not math.isclose(middle, 1) else ""
        told.append(
            f"Pictures are read as that run's: {channels} x {height} x {width} (channels, height, width){cut}, "
            f"less mean {mean}, over deviation {std}."
        )
    return tuple(told)
