"""What a net that speaks of pixels makes of pictures of any size: masks, probabilities, and how unsure it is.

Shape suffixes: C channels, H and W pixels, h rows of a band, K logits.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from hyperplane import data
from hyperplane.data.blocks import pictures, rasters
from hyperplane.engine.trained import Trained
from hyperplane.errors import UserError
from hyperplane.predict.tiles import Read, Tiling, bands
from hyperplane.runs import atomic
from hyperplane.tasks.blocks import pieces
from hyperplane.tasks.delineation import Delineation

LARGEST_HELD = 2**28
"""Pixels of a picture, at most, of which what was said is held in memory."""


@dataclass(frozen=True)
class Delineated:
    """One picture, delineated."""

    name: str
    """What a person finds it by."""
    class_HW: np.ndarray
    """The class of each pixel, uint8, in the order of the run's classes; where the picture holds no data, the first."""
    probability_HW: np.ndarray
    """Of not being background, uint8: 255 is 1."""
    uncertainty_HW: np.ndarray
    """Entropy of that probability, uint8: 255 is one bit, between yes and no."""
    said: dict[str, Any]
    """The share of pixels of each class, and in how many pieces they lie."""


def delineates(trained: Trained) -> bool:
    """Say whether a run's net speaks of pixels."""
    return isinstance(trained.model.task, Delineation)


@torch.no_grad()
def delineate(
    trained: Trained,
    encoded: data.Encoded,
    *,
    tiling: Tiling | None = None,
    bad: Callable[[UserError], None] | None = None,
) -> Iterator[Delineated]:
    """Yield what the net makes of each picture, in order.

    Arguments: how pictures are cut (None: as usual); who is told of one that cannot be read, which is then left out
    (None: its UserError is raised).
    """
    for index in range(len(encoded)):
        try:
            one = _delineated(trained, encoded, index, tiling or Tiling())
        except UserError as error:
            if bad is None:
                raise
            bad(error)
        else:
            yield one


def _delineated(trained: Trained, encoded: data.Encoded, index: int, tiling: Tiling) -> Delineated:
    model, task = trained.model, cast(Delineation, trained.model.task)
    read, known, size = _reader(trained, encoded, index)
    probability_HW, class_HW, entropy_HW = (_blank(size) for _ in range(3))
    stride = getattr(model.net, "stride", 1)
    for band in bands(model.looking(model.net), read, size, stride, trained.precision, tiling):
        probability_1hW, class_1hW = task.classify(band.logit_KhW[None])
        rows = slice(band.top, band.top + band.logit_KhW.shape[1])
        known_hW = known(rows)
        for whole_HW, said_hW in (
            (probability_HW, (255 * probability_1hW[0]).round()),
            (entropy_HW, (255 * entropy(probability_1hW[0])).round()),
            (class_HW, class_1hW[0]),
        ):
            whole_HW[rows] = said_hW.to(torch.uint8).numpy() * known_hW
    pieces.clear_small(class_HW, task.smallest)
    return Delineated(encoded.names[index], class_HW, probability_HW, entropy_HW, task.told(class_HW))


def _blank(size: tuple[int, int]) -> np.ndarray:
    """Return zeros, uint8; of a picture of more than `LARGEST_HELD` pixels in a file that goes when they do."""
    if size[0] * size[1] <= LARGEST_HELD:
        return np.zeros(size, np.uint8)
    place = Path(tempfile.gettempdir())
    with atomic.explained(place, "name another folder in TMPDIR"), tempfile.TemporaryFile(dir=place) as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size[0] * size[1])  # a full disk is told now
        return np.memmap(file, np.uint8, "w+", shape=size)


def _reader(
    trained: Trained, encoded: data.Encoded, index: int
) -> tuple[Read, Callable[[slice], np.ndarray | bool], tuple[int, int]]:
    """Return what reads a window of a picture as the net does, what says where rows hold data, and the picture's size.

    Large rasters stay on disk.
    """
    path, description = Path(encoded.names[index]), trained.description
    if path.is_file() and rasters.windowed(path):
        channels, how, held = description.shapes[description.input][0], description.encoding, rasters.header(path)

        def window(top: int, left: int, rows: int, columns: int) -> Tensor:
            cut = (slice(top, top + rows), slice(left, left + columns))
            level_Chw = rasters.read(path, channels, cut, how["mean"])
            image_1Chw = torch.from_numpy(level_Chw[None])
            pictures.normalise(image_1Chw, how["mean"], how["std"])
            return image_1Chw[0]

        def of_rows(rows: slice) -> np.ndarray | bool:
            known_hW = rasters.known(path, (rows, slice(0, held.width)))
            return True if known_hW is None else known_hW

        return window, of_rows, (held.height, held.width)
    known_HW = rasters.known(path) if path.is_file() else None
    image_CHW = encoded.read(index, index + 1)[description.input][0]

    def part(top: int, left: int, rows: int, columns: int) -> Tensor:
        return image_CHW[:, top : top + rows, left : left + columns]

    size = (image_CHW.shape[1], image_CHW.shape[2])
    return part, lambda rows: True if known_HW is None else known_HW[rows], size


def entropy(probability: Tensor) -> Tensor:
    """Return the entropy of a yes or no, in bits: 0 where it is sure, 1 where both are as likely."""
    other = 1 - probability
    return -(torch.special.xlogy(probability, probability) + torch.special.xlogy(other, other)) / np.log(2)
