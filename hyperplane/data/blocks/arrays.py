"""Pictures that are held in memory as whole numbers: what the binary formats of small pictures share.

Shape suffixes: N samples of a split, B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch, Description, Split
from hyperplane.data.blocks import pictures
from hyperplane.data.blocks.encoded import described_alike, described_as, relabelled
from hyperplane.data.blocks.splits import class_counts
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe


@dataclass(frozen=True)
class Pixels:
    """A split's pictures."""

    pixel_NCHW: np.ndarray
    """uint8, 0 to the source's `white`."""
    label_N: np.ndarray
    """int64, positions in the description's classes."""
    files: tuple[str, ...]
    """The files that they came from."""
    file_N: np.ndarray
    """Position of each picture's file in `files`."""
    record_N: np.ndarray
    """Position of each picture in its file, from 0."""

    def take(self, which: np.ndarray | slice) -> Pixels:
        """Return the pictures at these positions."""
        return Pixels(self.pixel_NCHW[which], self.label_N[which], self.files, self.file_N[which], self.record_N[which])


def held_back(train: Pixels, part: int, recipe: DataRecipe) -> tuple[Pixels, Pixels, str]:
    """Return what trains, what validates (the last `part`-th, or with `data.validation` 0 nothing), and a note.

    Raises UserError where another share is to validate.
    """
    if recipe.validation not in (0.0, DataRecipe.validation):
        raise UserError(
            f"data.validation: found {recipe.validation:g}, but of these files the last 1/{part} validates, or with 0 "
            "nothing; leave it out, or type: --data.validation 0"
        )
    if not recipe.validation:
        return train, train.take(slice(0, 0)), "All that is for training trains, and nothing validates."
    cut = len(train.label_N) - max(len(train.label_N) // part, 1)
    note = f"Of what is for training the last 1/{part} validates; --data.validation 0 trains on it as well."
    return train.take(slice(None, cut)), train.take(slice(cut, None)), note


@dataclass(frozen=True)
class ArraySource:
    """Labelled pictures in memory."""

    description: Description
    splits: dict[Split, Pixels]
    white: float
    """The brightest pixel: 255, or 16 for scikit-learn's digits."""

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples: image_BCHW float32, normalised, and label_B int64; nothing is left to chance."""
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        held, which = self.splits[split], index_B.numpy()
        pixel_BCHW, shape, how = (
            held.pixel_NCHW[which],
            self.description.shapes["image_BCHW"],
            self.description.encoding,
        )
        if pixel_BCHW.shape[1:] == shape and how.get("middle", 1.0) == 1:
            image_BCHW = torch.from_numpy(pixel_BCHW).to(torch.float32).div_(self.white)
        else:
            image_BCHW = torch.empty((len(pixel_BCHW), *shape))
            for i, pixel_CHW in enumerate(pixel_BCHW):
                image_BCHW[i] = torch.from_numpy(
                    pictures.convert(pixel_CHW / self.white, shape, how.get("middle", 1.0))
                )
        image_BCHW = pictures.normalise(image_BCHW, how["mean"], how["std"])
        return Batch({"image_BCHW": image_BCHW, "label_B": torch.from_numpy(held.label_N[which])}, index_B)

    def read_as(self, like: Description) -> ArraySource:
        """Return the same pictures in the size, the channels and the normalisation of `like`, with their own labels."""
        return replace(self, description=described_alike(self.description, like))

    def encoded_as(self, like: Description) -> ArraySource:
        """Return the same pictures in the size, the channels and the normalisation of `like`, with its labels."""
        description = described_as(self.description, like)
        splits = {
            part: replace(held, label_N=relabelled(torch.from_numpy(held.label_N), self.description, like).numpy())
            for part, held in self.splits.items()
        }
        return replace(self, description=description, splits=splits)

    @property
    def train_labels(self) -> np.ndarray:
        """Return the label of each training sample."""
        return self.splits["train"].label_N

    def sample_name(self, split: Split, index: int) -> str:
        """Return the sample's file and its position in it, from 0."""
        held = self.splits[split]
        return f"{held.files[held.file_N[index]]} record {held.record_N[index]}"

    def show(self, split: Split, index: int) -> Image.Image:
        """Return the sample as a picture, at its own size."""
        pixel_CHW = self.splits[split].pixel_NCHW[index]
        pixel_HWC = np.rint(pixel_CHW.transpose(1, 2, 0) * (255 / self.white)).astype(np.uint8)
        return Image.fromarray(pixel_HWC[..., 0] if pixel_HWC.shape[-1] == 1 else pixel_HWC)


def join(parts: Sequence[Pixels]) -> Pixels:
    """Return the pictures of several files, one file after the other."""
    first_file = np.cumsum([0, *(len(part.files) for part in parts[:-1])])
    return Pixels(
        np.concatenate([part.pixel_NCHW for part in parts]),
        np.concatenate([part.label_N for part in parts]),
        tuple(file for part in parts for file in part.files),
        np.concatenate([part.file_N + first for part, first in zip(parts, first_file, strict=True)]),
        np.concatenate([part.record_N for part in parts]),
    )


def source(
    recipe: DataRecipe,
    splits: dict[Split, Pixels],
    *,
    name: str,
    format: str,
    classes: tuple[str, ...],
    hashes: dict[str, str],
    notes: Sequence[str] = (),
    white: float = 255.0,
) -> ArraySource:
    """Return a source of these pictures, resized where the recipe asks for it, and normalised by the training split."""
    shape = splits["train"].pixel_NCHW.shape[1:]
    notes = list(notes)
    if recipe.size is not None and shape[1:] != (recipe.size, recipe.size):
        notes.append(f"Pictures of {shape[2]} x {shape[1]} pixels were resized to {recipe.size} x {recipe.size}.")
        splits = {part: _resized(held, recipe.size, white) for part, held in splits.items()}
        shape, white = (shape[0], recipe.size, recipe.size), 255.0
    mean_C, std_C = _statistics(splits["train"].pixel_NCHW)
    description = Description(
        name=name,
        format=format,
        kind="image",
        input="image_BCHW",
        target="label_B",
        shapes={"image_BCHW": tuple(shape), "label_B": ()},
        splits={part: len(held.label_N) for part, held in splits.items()},
        classes=classes,
        class_counts=class_counts(splits["train"].label_N, classes),
        encoding=pictures.encoding(mean_C / white, std_C / white),
        hashes=hashes,
        notes=tuple(notes),
    )
    return ArraySource(description, splits, white)


def _statistics(pixel_NCHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each channel's mean and standard deviation, exactly: from its histogram."""
    level = np.arange(256)
    count_CL = np.stack([np.bincount(pixel_NCHW[:, c].ravel(), minlength=256) for c in range(pixel_NCHW.shape[1])])
    mean_C = (count_CL @ level) / count_CL.sum(1)
    variance_C = (count_CL * (level - mean_C[:, None]) ** 2).sum(1) / count_CL.sum(1)
    return mean_C, np.sqrt(variance_C)


def _resized(held: Pixels, size: int, white: float) -> Pixels:
    count, channels = held.pixel_NCHW.shape[:2]
    resized_NCHW = np.empty((count, channels, size, size), np.uint8)
    for i, pixel_CHW in enumerate(held.pixel_NCHW):
        for c, pixel_HW in enumerate(pixel_CHW):
            plane = pictures.fit(Image.fromarray(np.float32(pixel_HW)), size, size)
            resized_NCHW[i, c] = np.rint(np.clip(np.asarray(plane) * (255 / white), 0, 255))
    return Pixels(resized_NCHW, held.label_N, held.files, held.file_N, held.record_N)
