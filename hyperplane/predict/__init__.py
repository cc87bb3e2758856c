"""What a run folder says of new samples, and how well it does on labelled ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hyperplane import data
from hyperplane.contracts import Measured, Metric, Split
from hyperplane.engine import evaluation, fine_tuning
from hyperplane.engine.feed import Feed
from hyperplane.engine.parallel import Processes
from hyperplane.engine.trained import Trained, load
from hyperplane.engine.training import judged
from hyperplane.errors import UserError
from hyperplane.predict import cost, fast
from hyperplane.predict.delineating import delineate, delineates
from hyperplane.predict.fast import Number, Speed

AT_ONCE = 256
"""Samples that go through a net together, at most."""

__all__ = ["Evaluated", "Predicted", "Trained", "evaluate", "load", "predict", "read"]


@dataclass(frozen=True)
class Predicted:
    """What a net says of one sample."""

    name: str
    """What a person finds the sample by."""
    said: dict[str, Any]
    """The task's own: class and probabilities, or values by name."""


@dataclass(frozen=True)
class Evaluated:
    """How well a net does on a split."""

    split: str
    samples: int
    metrics: dict[str, Measured]
    kinds: tuple[Metric, ...]
    """What each metric means."""
    statistics: dict[str, Tensor]
    """What the metrics were computed from, sample by sample."""


def read(trained: Trained, inputs: Sequence[Path] | bytes) -> data.Encoded:
    """Return new samples as the net reads them, decoded when they are asked for; their `notes` are for people.

    Arguments: files, folders or tables; or the bytes of one picture or table. Raises UserError for one that cannot be
    read, naming it.
    """
    return data.encode(inputs if isinstance(inputs, bytes) else list(inputs), trained.description)


@torch.no_grad()
def predict(
    trained: Trained,
    encoded: data.Encoded,
    *,
    speed: Speed = "auto",
    precision: Number = "float32",
    bad: Callable[[UserError], None] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Predicted]:
    """Yield what the net says of each sample, in order; of a net of pixels, how much of a picture each class covers.

    Arguments: which faster ways to the same outputs may be tried, and in which numbers (`predict.fast`); who is told of
    a sample that cannot be read, which is then left out (None: its UserError is raised); who is told of the way.
    """
    if delineates(trained):
        yield from (Predicted(one.name, one.said) for one in delineate(trained, encoded, bad=bad))
        return
    model, place = trained.model, trained.precision
    shape = trained.description.shapes[trained.description.input]
    one = cost.look(model.net, shape, place) if len(encoded) > 1 else cost.Pass(0, 0)
    timed, compiled = fast.worth(speed, one.flops * len(encoded))
    net = None
    for batch in encoded.batches(one.at_once(place.device, AT_ONCE), bad):
        batch = place.place(batch)
        if net is None and getattr(model.judge, "WRITES", False):
            net = model.net
        elif net is None:
            x = batch[trained.description.input]
            x = x if compiled else fast.enough(x, one.flops)
            if compiled:
                tell("trying the ways and compiling, which may take a minute")
            classes = bool(trained.description.classes)
            found = fast.race(model.net, x, precision, classes=classes, timed=timed, compiled=compiled)
            net = found.net
            for sentence in found.sentences() if timed or precision != "float32" else ():
                tell(sentence)
        said = model.judge.decode(model.judge.predict(model.looking(net), batch).cpu())
        for index, told in zip(batch.index_B.tolist(), said, strict=True):
            yield Predicted(encoded.names[index], told)


def evaluate(
    trained: Trained, split: Split | None = None, source: str | None = None, download: bool = False
) -> Evaluated:
    """Return the metrics over a split of the run's own data, or of other labelled data of the same kind.

    Arguments: the split (None: test, or validation where there is none); a path or known set other than the run's own:
    all of its samples count unless it brings splits of its own, or is what the net was trained on.
    Raises UserError where the data are absent, changed since the training, or of another kind.
    """
    recipe = trained.recipe.data
    if source is None and not trained.description.splits:
        raise UserError(
            f"{trained.folder.path}: holds imported weights and no data of its own; name labelled data: --data FOLDER"
        )
    if source is None:
        opened = fine_tuning.reopened(trained.folder, trained.recipe, trained.description, download=download)
        if opened.description.hashes != trained.description.hashes:
            changed = sorted(
                {f for f, h in opened.description.hashes.items() if trained.description.hashes.get(f) != h}
                | (trained.description.hashes.keys() - opened.description.hashes.keys())
            )
            raise UserError(
                f"{recipe.source}: has changed since the training ({', '.join(changed[:3])}); "
                f"name it to evaluate on it as it is now: --data {recipe.source}"
            )
    else:
        resized = trained.description.kind == "image" and trained.description.target != "mask_BHW"
        side = trained.description.shapes[trained.description.input][-1] if resized else None
        taken = {"validation": 0.0, "test": 0.0, "labels_per_class": None}
        whole = replace(recipe, source=source, format="auto", size=side, options={}, **taken)
        whole = data.windowed(whole, trained.description)
        opened = data.open(whole, download=download).encoded_as(trained.description)
        if opened.description.hashes and opened.description.hashes == trained.description.hashes:
            return evaluate(trained, split, download=download)  # else it would be measured on what it was trained on
    splits = opened.description.splits
    chosen = split or judged(opened.description)
    if not splits.get(chosen):
        held = ", ".join(name for name, length in splits.items() if length)
        raise UserError(
            f"split: found {chosen}, but {opened.description.name} has {held}; type: --split {held.split(',')[0]}"
        )
    feed = Feed(opened, chosen, trained.precision, recipe.workers, recipe.memory_gb, Processes())
    gathered = evaluation.statistics(trained.model, feed)
    task = trained.model.judge
    return Evaluated(chosen, len(gathered["loss_B"]), evaluation.measure(task, gathered), task.METRICS, gathered)
