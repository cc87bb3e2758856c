"""New samples for a trained net, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch, Description
from hyperplane.data.blocks.problems import some
from hyperplane.errors import UserError


@dataclass(frozen=True)
class Encoded:
    """New samples, encoded as the samples that a net was trained on."""

    names: tuple[str, ...]
    """What a person finds each sample by: a file, or a file and its line."""
    notes: tuple[str, ...]
    """What was found and what was done about it, one sentence each, for people."""
    read: Callable[[int, int], Batch]
    """Returns the samples from the first position to before the last; only the net's input field is filled."""
    show: Callable[[int], Image.Image | dict[str, str]]
    """Returns the sample at a position as a person sees it."""

    def __len__(self) -> int:
        return len(self.names)

    def batches(self, size: int, bad: Callable[[UserError], None] | None = None) -> Iterator[Batch]:
        """Yield the samples in order, at most `size` at a time; `index_B` holds positions in `names`.

        One that cannot be read is told to `bad` and left out; where there is none, its UserError is raised.
        """
        for first in range(0, len(self), size):
            last = min(first + size, len(self))
            try:
                batch = self.read(first, last)
            except UserError:
                if bad is None:
                    raise
                batch = self._good(range(first, last), bad)
            if batch is not None:
                yield batch

    def _good(self, which: range, bad: Callable[[UserError], None]) -> Batch | None:
        """Return those of these samples that can be read, each tried alone; None where there is none."""
        good: list[Batch] = []
        for index in which:
            try:
                good.append(self.read(index, index + 1))
            except UserError as error:
                bad(error)
        if not good:
            return None
        fields = {name: torch.cat([one.fields[name] for one in good]) for name in good[0].fields}
        return Batch(fields, torch.cat([one.index_B for one in good]))

    def batch(self) -> Batch:
        """Return all samples at once."""
        return self.read(0, len(self))


def described_alike(own: Description, like: Description) -> Description:
    """Return the description of a source's samples, read as the inputs that `like` describes; all else stays its own.

    Raises UserError where the samples are of another kind.
    """
    if (own.kind == "image", own.input) != (like.kind == "image", like.input):
        raise UserError(
            f"{own.name}: holds {own.kind} samples as {own.input}, but the net to begin with was trained on "
            f"{like.kind} samples as {like.input}; name a run on data of that kind"
        )
    shapes = {**own.shapes, own.input: like.shapes[like.input]}
    target = {name: value for name, value in own.encoding.items() if name == "target"}
    return replace(own, shapes=shapes, encoding={**like.encoding, **target})


def described_as(own: Description, like: Description) -> Description:
    """Return the description of a source's samples, encoded as `like` says; its name, splits and hashes stay its own.

    Raises UserError where the samples are of another kind, or hold a class that `like` has not.
    """
    if (own.kind == "image", own.target) != (like.kind == "image", like.target):
        raise UserError(
            f"{own.name}: holds {own.kind} samples with {own.target}, but the net was trained on {like.kind} samples "
            f"with {like.target}; name data of that kind"
        )
    unknown = [name for name in own.classes if name not in like.classes]
    if unknown:
        raise UserError(
            f"{own.name}: holds classes that the net was not trained on: {some(unknown)}; "
            f"it knows {some(like.classes, 12)}: rename or leave them out"
        )
    counts = dict(zip(own.classes, own.class_counts, strict=False))
    return replace(
        like,
        name=own.name,
        format=own.format,
        splits=own.splits,
        class_counts=tuple(counts.get(name, 0) for name in like.classes) if counts else (),
        hashes=own.hashes,
        notes=own.notes,
    )


def relabelled(label_N: Tensor, own: Description, like: Description) -> Tensor:
    """Return labels, int64, that count the classes of `own`, as labels that count those of `like`."""
    return torch.tensor([like.classes.index(name) for name in own.classes], dtype=torch.int64)[label_N]
