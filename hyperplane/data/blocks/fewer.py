"""A source of which the training split keeps few samples of each class; the other splits stay whole.

Shape suffixes: N samples of the training split, K that are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch, Description, Source, Split
from hyperplane.data.blocks.splits import class_counts, shuffle_keys
from hyperplane.errors import UserError


@dataclass
class FewerSource:
    """Another source with fewer training samples."""

    description: Description
    whole: Source
    which_K: Tensor
    """Positions in the whole training split, rising."""

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples, as the whole source reads them."""
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        held = self.whole.batch(split, self.which_K[index_B] if split == "train" else index_B, generator)
        return Batch(held.fields, index_B)

    def read_as(self, like: Description) -> FewerSource:
        """Return the same samples, read as inputs of a net trained on what `like` describes."""
        return self._of(self.whole.read_as(like))

    def encoded_as(self, like: Description) -> FewerSource:
        """Return the same samples as inputs, and with the labels, of a net trained on what `like` describes."""
        return self._of(self.whole.encoded_as(like))

    def sample_name(self, split: Split, index: int) -> str:
        """Return what a person finds the sample by."""
        return self.whole.sample_name(split, self._whole_index(split, index))

    def show(self, split: Split, index: int) -> Image.Image | dict[str, str]:
        """Return the sample as a person sees it."""
        return self.whole.show(split, self._whole_index(split, index))

    def _whole_index(self, split: Split, index: int) -> int:
        return int(self.which_K[index]) if split == "train" else index

    def _of(self, whole: Source) -> FewerSource:
        described = whole.description
        own = replace(
            described,
            splits={**described.splits, "train": len(self.which_K)},
            class_counts=self.description.class_counts,
            notes=self.description.notes,
        )
        return replace(self, description=own, whole=whole)


def fewer(source: Source, count: int, seed: int) -> FewerSource:
    """Return a source whose training split has at most so many samples of each class, chosen by the seed.

    Raises UserError where the samples have no classes, or are too many to ask each for its label.
    """
    described = source.description
    label_N = getattr(source, "train_labels", None)
    if not described.classes or label_N is None:
        raise UserError(
            f"data.labels_per_class: {described.name} ({described.format}) does not tell the class of each sample "
            "before it is read; leave --data.labels-per-class out"
        )
    key_N = shuffle_keys(seed, len(label_N))
    members = [np.flatnonzero(label_N == k) for k in range(len(described.classes))]
    kept = [which[np.argsort(key_N[which], kind="stable")][:count] for which in members]
    which_K = np.sort(np.concatenate(kept))
    note = f"Of {len(label_N):,} training samples {len(which_K):,} are kept, at most {count:,} of each class."
    own = replace(
        described,
        splits={**described.splits, "train": len(which_K)},
        class_counts=class_counts(label_N[which_K], described.classes),
        notes=(*described.notes, note),
    )
    return FewerSource(own, source, torch.from_numpy(which_K))
