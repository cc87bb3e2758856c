"""New samples for a trained net, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from hyperplane.contracts import Batch


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

    def batches(self, size: int = 256) -> Iterator[Batch]:
        """Yield the samples in order, at most `size` at a time; `index_B` holds positions in `names`."""
        for first in range(0, len(self), size):
            yield self.read(first, min(first + size, len(self)))

    def batch(self) -> Batch:
        """Return all samples at once."""
        return self.read(0, len(self))
