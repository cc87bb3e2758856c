"""Fine-tuning: a net begins with another run's weights, reads inputs as that run did, and has a head of its own.

The head is every tensor whose shape depends on the number of outputs. It is taken as well where both runs know the same
classes, or predict the same numbers, in the same order, but not from a task that needs no labels to one that does.
Where the recipe says so, the head alone is trained, and all before it stays frozen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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

That is custom, for nets that learned long from many images; it was never measured on such a start. What was measured
speaks for it once and against it twice. After a masked autoencoder on the same kind of images the tenth did better on
held-out ones than the whole rate (benchmarks/selfsup.py, one seed). After three epochs of other images, Fashion-MNIST
before digits, the whole rate did better with 10 labels a class and with 100, and with 10 of them training from scratch
did better than either (benchmarks/finetune.py, three seeds). So try both, where the labels allow it to be judged."""


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


def share_of_rate(net: NetRecipe) -> float:
    """Return what share of the learning rate from scratch a net has: all of it as well where only its head is new."""
    return RATE if net.start is not None and not net.frozen else 1.0


def slowed(optimizer: OptimizerRecipe, net: NetRecipe) -> OptimizerRecipe:
    """Return an optimizer with the share that a net has of the learning rates from scratch."""
    rate, other, share = optimizer.learning_rate, optimizer.other_rate, share_of_rate(net)
    return replace(
        optimizer,
        learning_rate=None if rate is None else share * rate,
        other_rate=None if other is None else share * other,
    )


def completed(net: NetRecipe, of_pixels: bool = False) -> NetRecipe:
    """Return a recipe's net with what it left open taken from the run that it begins with: name, options, the hash.

    Options are that run's where the net is, but for those that are given. Data may ask for a net that speaks of every
    pixel: where the run's does not, it is one around that. Raises UserError as `read` does, and where there is none.
    """
    if net.start is None or (net.name is not None and net.start_sha256 is not None):
        return net
    start = read(net)
    there = start.recipe.net
    held = discovery.find("nets", there.name or "").name
    name = net.name or there.name or ""
    if net.name is None and of_pixels and not _of_pixels(held):
        name = _holder(start)
    options = net.options
    if name == there.name:
        options = {**there.options, **options}
    elif name != held and name in discovery.entries("nets"):  # a variant has its own
        around = getattr(discovery.load("nets", name).NET, "around", lambda net, options: None)
        options = {**(around(held, _options(there)) or {}), **options}
    return replace(net, name=name, options=options, start_sha256=start.sha256)


def _of_pixels(net: str) -> bool:
    return getattr(discovery.load("nets", net).NET, "SAYS_OF", "sample") == "pixel"


def _options(net: NetRecipe) -> dict[str, Any]:
    """Return all options of a run's net."""
    module = discovery.load("nets", net.name or "")
    given = {**module.VARIANTS.get(net.name, {}), **net.options}
    return nets.all_options(module.NET, given, f"net {net.name}")


def _holder(start: Start) -> str:
    """Return the net of pixels that may be built around a run's net."""
    there = start.recipe.net
    held = discovery.find("nets", there.name or "").name
    for name in discovery.entries("nets"):
        net = discovery.load("nets", name).NET
        if held in getattr(net, "HOLDS", ()) and net.around(held, _options(there)) is not None:
            return name
    raise UserError(
        f"{start.folder.path}: holds {there.name}, but these data ask for a net that speaks of every pixel; begin with "
        "a run of a U-Net, a ResNet or a ViT with patches of 2, 4, 8, ... pixels, or leave --from out"
    )


def opened(recipe: Recipe, like: Description | None = None, *, download: bool = False) -> Source:
    """Return a recipe's data, where it begins with a run read as that run reads its own.

    `like` describes data that were opened so before; without it the run is looked at. A size or a context that the
    recipe names wins over the run's. Raises UserError for what is wrong with the data or the run, and where they do not
    go together.
    """
    if recipe.net.start is None:
        return data.open(recipe.data, download=download)
    if like is None:
        start = read(recipe.net)
        _expect_its_vocabulary(recipe, start)
        like = start.description
        size, context = recipe.data.size, recipe.data.options.get("context")
        shape: tuple[int, ...] = like.shapes[like.input]
        if like.kind == "image" and size is not None:
            shape = (shape[0], size, size)
        if like.kind == "text" and context is not None:
            shape = (context,)
        like = replace(like, shapes={**like.shapes, like.input: shape})
    return data.open(data.windowed(recipe.data, like), download=download).read_as(like)


def _expect_its_vocabulary(recipe: Recipe, start: Start) -> None:
    """Raise UserError where data are to be read in another vocabulary than the one that the net to begin with knows."""
    if start.description.kind != "text":
        return
    known = start.recipe.data.options | {"vocabulary": start.description.encoding["vocabulary"]}
    for name in ("vocabulary", "pieces"):
        asked = recipe.data.options.get(name)
        if asked not in (None, known.get(name)):
            raise UserError(
                f"data.options.{name}: found {asked}, but the net to begin with knows the {known['vocabulary']} "
                f"vocabulary of {recipe.net.start} alone; leave --data.{name} out, or --from"
            )


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
    held, here = (discovery.find("nets", net.name or "").name for net in (start.recipe.net, recipe.net))
    within = held != here and hasattr(model.net, "HOLDS")
    if hasattr(model.net, "taken"):
        shape = start.description.shapes[start.description.input]
        theirs = model.net.taken(theirs, held, shape)  # pyright: ignore[reportCallIssue]
    elif isinstance(model.net, Published):
        theirs = model.net.fitted(theirs)
    head = _head(recipe, description, model.judge.outputs)
    if _mean_the_same(start, recipe, description):
        head = frozenset()
    rest = differ(theirs, {key: tensor for key, tensor in own.items() if key not in head})
    misfit = Difference(() if within else rest.missing, (), rest.reshaped)
    if misfit or (within and not own.keys() & theirs.keys()):
        raise UserError(
            f"net {recipe.net.name}: does not fit the weights of {recipe.net.start}, which is of "
            f"{start.recipe.net.name} and {misfit if misfit else 'has none of its tensors'}; "
            f"{_fitting(start, here, within)}"
        )
    taken = {key: theirs[key].to(own[key].dtype) for key in own if key in theirs and key not in head}
    if recipe.net.frozen and (drawn := own.keys() - taken.keys() - head):
        parts = ", ".join(_parts(sorted(drawn), own))
        raise UserError(f"net.frozen: {recipe.net.start} has no {parts}, which is to be trained; leave --frozen out")
    model.net.load_state_dict(taken, strict=False)
    if begin := getattr(model.task, "begin", None):
        begin(model.net)
    new = _parts([key for key in own if key not in taken], own) if within else sorted(head)
    unused = _parts(list(rest.foreign), theirs) if within else []
    return _told(recipe, start, description, len(own), len(taken), new, unused)


def _fitting(start: Start, here: str, within: bool) -> str:
    """Return what to type for a net that fits a run's weights; `within`, one of this file around them."""
    there = start.recipe.net
    if not within and _of_pixels(discovery.find("nets", there.name or "").name) and not _of_pixels(here):
        return f"name a run of {here}, or leave --from out"
    if not within:
        return f"type: --net {there.name}, without options of its own"
    net = discovery.load("nets", here).NET
    options = net.around(discovery.find("nets", there.name or "").name, _options(there))
    if options is None:
        return f"name a run of {', '.join([here, *net.HOLDS[:-1]])} or {net.HOLDS[-1]}, or leave --from out"
    values = {name: " ".join(map(str, v)) if isinstance(v, list) else v for name, v in options.items()}
    return f"type: --net {here} {' '.join(f'--net.{name} {value}' for name, value in values.items())}"


def _parts(keys: list[str], whole: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the names of tensors, and in place of those of a module, where they are all of it, the module's."""
    chosen, parts = set(keys), []
    for key in keys:
        path = key.split(".")
        names = (".".join(path[:depth]) for depth in range(1, len(path)))
        full = (n for n in names if all(other in chosen for other in whole if other.startswith(f"{n}.")))
        parts.append(next(full, key))
    return list(dict.fromkeys(parts))


def freeze(model: Model, recipe: Recipe, description: Description) -> tuple[str, ...]:
    """Leave all of a new model's net but its head as it is, where the recipe says so; return what was done.

    Raises UserError where the head is all of the net, or where the first layer depends on the outputs as it does.
    """
    if not recipe.net.frozen:
        return ()
    head, name = _head(recipe, description, model.judge.outputs), recipe.net.name
    if description.kind == "text":
        raise UserError(
            f"net.frozen: {name} has its vocabulary at both ends, so that no layer is before its head; leave --frozen "
            "out"
        )
    if head >= model.net.state_dict().keys():
        raise UserError(f"net.frozen: {name} is nothing but a head, and no weight is left to keep; leave --frozen out")
    model.freeze(head)
    weights = {key: tensor.numel() for key, tensor in model.net.named_parameters()}
    trained = sum(count for key, count in weights.items() if key in head)
    return (
        f"All before the head is frozen, and stays as it was: of the net's {sum(weights.values()):,} weights "
        f"{trained:,} are trained.",
    )


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
    recipe: Recipe, start: Start, description: Description, count: int, taken: int, new: list[str], unused: list[str]
) -> tuple[str, ...]:
    left = f"new from the seed: {', '.join(new)}" if new else "its head too, since the outputs mean the same"
    besides = f"; not used: {', '.join(unused)}" if unused else ""
    told = [
        f"The net begins with the weights of {recipe.net.start} ({start.recipe.net.name}, SHA-256 "
        f"{start.sha256[:8]}): {taken} of {count} tensors were taken; {left}{besides}."
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
    if description.kind == "text" and description.shapes["token_BT"] != start.description.shapes["token_BT"]:
        here, there = (one.shapes["token_BT"][0] for one in (description, start.description))
        told.append(f"It reads {here:,} token{'s' * (here != 1)} at once, that run's net {there:,}.")
    return tuple(told)
