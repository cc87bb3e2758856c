"""Recipes: a file per chapter of the lecture, a function each; and what a recipe left open, filled in from the data.

Imports no torch before it completes a recipe.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from hyperplane import discovery
from hyperplane.contracts import Description
from hyperplane.errors import UserError
from hyperplane.recipe import SOLVERS, DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TaskRecipe, parse

STEPS = 2000
"""Least number of steps where the recipe leaves the epochs open."""
TUNING_STEPS = 300
"""The same for a net that begins with a run: only its head is new, the rest moves at a tenth of the rate, and the nets
that one begins with are large, so that a step takes seconds."""
EPOCHS = (10, 400)
"""Least and most epochs where the recipe leaves them open."""
LEAST_BATCH = 8
"""Samples of a step where the recipe leaves them open and there are so many: of one or two, batch normalisation learns
nothing of the data."""


def named(name: str) -> Recipe:
    """Return the recipe of that function name; raises UserError with the nearest where there is none."""
    entry = discovery.find("recipes", name)
    if name not in entry.variants:
        name = entry.variants[0]
    return getattr(discovery.load("recipes", entry.name), name)()


def find(source: str, net: str | None = None, task: str | None = None) -> Recipe:
    """Return the first recipe for a known set (and net, and task), or an open one where there is none.

    One for the task wins over the first; it may leave the net to the run that it begins with. Paths, and known sets
    without a recipe, have those of the set that their format calls typical, where it does.
    """
    known = [] if os.path.exists(source) else [recipe for recipe in _all() if recipe.data.source == source]
    for recipe in known if task is not None else ():
        if recipe.task.name == task and (recipe.net.name is None or net in (None, recipe.net.name)):
            return recipe
    for recipe in known:
        if net in (None, recipe.net.name) and _is_for(recipe, task):
            return recipe
    typical = _typical(source) if source else None
    if typical not in (None, source):
        found = find(typical, net, task)
        return replace(found, data=replace(found.data, source=source))
    return Recipe(data=DataRecipe(source=source), net=NetRecipe(net))


def _typical(source: str) -> str | None:
    """Return the known set whose recipes serve all data of the format that reads `source`; None where none does."""
    from hyperplane import data

    try:
        format, _ = data.look(DataRecipe(source=source))
    except UserError:
        return None  # what is wrong with it is said when it is opened
    return getattr(discovery.load("data", format), "TYPICAL", None)


def start(
    source: str | None,
    net: str | None = None,
    task: str | None = None,
    optimizer: str | None = None,
    given: Recipe | None = None,
    weights: str | None = None,
    frozen: bool = False,
) -> Recipe:
    """Return the recipe to start from: `given`, or the one for these data and this net, with data, net and so on set.

    Another net, task or optimizer than the recipe's has options of its own, so the recipe's are dropped. `weights` is a
    run folder that the net begins with: its net is taken where none is named and its context in place of that of a
    recipe from scratch, whose learning rates become a tenth, unless all but the head is `frozen`. Raises UserError
    where it is no finished run.
    """
    found, begun = given or find(source or "", net, task), None
    if weights is not None:
        from hyperplane.engine import fine_tuning

        of_pixels = found.task.name == "delineation"
        frozen = frozen or (given is not None and given.net.frozen)
        begun = fine_tuning.completed(NetRecipe(net, start=weights, frozen=frozen), of_pixels)
        net = begun.name
        found = found if given or of_pixels else find(source or "", net, task)
    from_scratch = found.net.start is None
    if source is not None:
        found = replace(found, data=replace(found.data, source=source))
    if task is not None and not needs_labels(task) and _may_lack_labels(found.data):
        found = replace(found, data=replace(found.data, options={"labels": "optional", **found.data.options}))
    if net not in (None, found.net.name):
        found = replace(found, net=NetRecipe(net))
    if task not in (None, found.task.name):
        found = replace(found, task=TaskRecipe(task))
    if optimizer not in (None, found.optimizer.name):
        found = replace(found, optimizer=parse({"name": optimizer}, OptimizerRecipe, "optimizer"))
    if begun is not None:
        from hyperplane.engine import fine_tuning

        if from_scratch:
            found = replace(found, optimizer=fine_tuning.slowed(found.optimizer, begun))
        if from_scratch or "context" not in found.data.options:
            found = replace(found, data=_windowed(found.data, begun))
        found = replace(found, net=begun)
    return found


def _windowed(recipe: DataRecipe, begun: NetRecipe) -> DataRecipe:
    """Return the recipe of data with the context of the run that a net begins with, if both are of text."""
    from hyperplane import data
    from hyperplane.runs.folder import RunFolder

    assert begun.start is not None, "the caller read it"
    try:
        return data.windowed(recipe, RunFolder(begun.start).read_description())
    except UserError:
        return recipe  # what is wrong with it is said when it is opened


def _is_for(recipe: Recipe, task: str | None) -> bool:
    """Return whether a recipe is one for a task; None is any that needs labels, and all of them.

    A recipe that leaves its task open is for the usual ones, which need labels.
    """
    named = recipe.task.name
    if task is None:
        return recipe.data.labels_per_class is None and (named is None or needs_labels(named))
    return task == named or (named is None and needs_labels(task))


def needs_labels(task: str) -> bool:
    """Return whether a task learns from labels; raises UserError for one that there is not."""
    return getattr(discovery.load("tasks", task).TASK, "LABELS", True)


def _may_lack_labels(data: DataRecipe) -> bool:
    """Return whether the format of the data has an option by which they may."""
    from hyperplane import data as room

    try:
        format, _ = room.look(data)
    except UserError:
        return False  # what is wrong with it is said when it is opened
    return "labels" in getattr(discovery.load("data", format), "OPTIONS", {})


def complete(recipe: Recipe, description: Description) -> Recipe:
    """Return the recipe with everything that it left open chosen for data of this description.

    Task: the one that fits. Net: that of the run which it begins with, else the task's usual one, else U-Net for masks,
    LeNet for other images, GPT for text, an MLP otherwise. Optimizer: the task's usual one, or
    `engine.choice.optimizer` has the rule; AdamW for a net that begins with a run; such a net has a tenth of the rate,
    or all of it where only its head is trained.
    Batch: 64, or 128 from 20,000 samples on, no more than an eighth of the samples, but no fewer than 8 (or all).
    Epochs: at least 10, at most 400, and between them as many as make 2,000 steps, or 300 for a net that begins with a
    run: it has its head alone to learn anew, and sees 19,200 samples so, in batches of 64, each of 500 about 40 times.
    Raises UserError for an unknown net, task or option.
    """
    from hyperplane import nets, tasks
    from hyperplane.engine import choice, fine_tuning
    from hyperplane.engine.optimizers import DECAY, LEARNING_RATES

    target = recipe.data.target
    if target is not None and description.encoding.get("target") != target:
        raise UserError(f"data.target: found '{target}', but {description.name} has no columns; leave it out")
    recipe = replace(recipe, data=replace(recipe.data, format=description.format))
    task, net, optimizer, training = recipe.task, recipe.net, recipe.optimizer, recipe.training
    samples = description.splits["train"]
    if task.name is None:
        task = replace(task, name=tasks.choose(description)[0])
    if net.frozen and net.start is None:
        raise UserError(
            "net.frozen: is to keep the weights of another run, and none is named; add --from RUN, or leave it out"
        )
    net = fine_tuning.completed(net, description.target == "mask_BHW")
    task_type = discovery.load("tasks", task.name or "").TASK
    if net.name is None and hasattr(task_type, "usual"):
        usual: NetRecipe = task_type.usual(description)
        net = replace(net, name=usual.name, options={**usual.options, **net.options})
    if net.name is None:
        usual_net = {"mask_BHW": "unet"}.get(description.target)
        net = replace(net, name=usual_net or {"image": "lenet", "text": "gpt"}.get(description.kind, "mlp"))
    task = replace(task, options=nets.all_options(task_type, task.options, f"task {task.name}"))
    module = discovery.load("nets", net.name or "")
    given = {**module.VARIANTS.get(net.name, {}), **net.options}
    net = replace(net, options=nets.all_options(module.NET, given, f"net {net.name}"))
    if optimizer.name is None and hasattr(task_type, "OPTIMIZER"):
        optimizer = replace(optimizer, name=task_type.OPTIMIZER)
    if optimizer.name is None and net.start is not None:
        optimizer = replace(optimizer, name="adamw")
    if optimizer.name in SOLVERS and net.start is not None:
        raise UserError(
            f"optimizer.name: {optimizer.name} draws the weights that it begins with, but the net is to begin with "
            f"{net.start}; type: --optimizer.name adamw"
        )
    if optimizer.name is None:
        chosen = choice.optimizer(replace(recipe, task=task, net=net), description)
        decay = optimizer.weight_decay if optimizer.weight_decay is not None else choice.penalty(chosen, samples)
        optimizer = replace(optimizer, name=chosen, weight_decay=decay)  # pyright: ignore[reportArgumentType]
    if optimizer.name != "levenberg-marquardt" and optimizer.halving is not None:
        raise UserError(
            f"optimizer.halving: found {optimizer.halving}, but {optimizer.name} drops no restarts; leave it out, "
            "or for a squared loss type: --optimizer.name levenberg-marquardt"
        )
    if optimizer.name in SOLVERS:
        return _solved(replace(recipe, task=task, net=net, optimizer=optimizer), samples)
    share = fine_tuning.share_of_rate(net)
    if optimizer.learning_rate is None:
        optimizer = replace(optimizer, learning_rate=share * LEARNING_RATES[optimizer.name or ""])
    if optimizer.name != "muon" and optimizer.other_rate is not None:
        raise UserError(
            f"optimizer.other_rate: found {optimizer.other_rate}, but {optimizer.name} has one rate for all; leave it "
            "out, or type: --optimizer.name muon"
        )
    if optimizer.name == "muon" and optimizer.other_rate is None:
        optimizer = replace(optimizer, other_rate=share * LEARNING_RATES["adamw"])
    if optimizer.weight_decay is None:
        optimizer = replace(optimizer, weight_decay=DECAY)
    if training.batch is None:
        training = replace(training, batch=max(LEAST_BATCH, min(64 if samples < 20_000 else 128, samples // 8)))
    training = replace(training, batch=min(training.batch or 1, samples))
    if training.epochs is None:
        assert training.batch is not None
        per_epoch = max(samples // training.batch, 1)
        steps = STEPS if net.start is None else TUNING_STEPS
        epochs = min(max(EPOCHS[0], -(-steps // per_epoch)), EPOCHS[1])
        training = replace(training, epochs=-(-training.steps // per_epoch) if training.steps else epochs)
    return replace(recipe, task=task, net=net, optimizer=optimizer, training=training)


def _solved(recipe: Recipe, samples: int) -> Recipe:
    """Return the recipe with what a solver needs: the whole split at once, float64, restarts and iterations."""
    from hyperplane.engine import choice

    optimizer, hardware, training = recipe.optimizer, recipe.hardware, recipe.training
    name = optimizer.name or ""
    if hardware.precision == "auto":
        hardware = replace(hardware, precision="float64")
    if hardware.device == "auto":
        hardware = replace(hardware, device="cpu")
    held = ("float64", "float32") if name == "l-bfgs" else ("float64",)
    if hardware.precision not in held:
        raise UserError(
            f"hardware.precision: found {hardware.precision}, but {name} computes in {' or '.join(held)}; leave it out"
        )
    optimizer = replace(
        optimizer,
        weight_decay=optimizer.weight_decay or 0.0,
        restarts=optimizer.restarts or choice.RESTARTS[name],
    )
    training = replace(training, epochs=training.epochs or choice.ITERATIONS[name], batch=samples)
    return replace(recipe, optimizer=optimizer, hardware=hardware, training=training)


def _all() -> Iterator[Recipe]:
    modules = discovery.loaded("recipes")
    for room, entry in discovery.entries("recipes").items():
        for name in entry.variants if room in modules else ():
            yield getattr(modules[room], name)()
