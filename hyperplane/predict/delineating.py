"""What a net that speaks of pixels makes of pictures of any size: masks, probabilities, and how unsure it is.

Shape suffixes: C channels, H and W pixels, h rows of a band, K logits.
"""

from __future__ import annotations

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
from hyperplane.tasks.delineation import Delineation


@dataclass(frozen=True)
class Delineated:
    """One picture, delineated."""

    name: str
    """What a person finds it by."""
    class_HW: np.ndarray
    """The class of each pixel, uint8, in the order of the run's classes."""
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
    read, (height, width) = _reader(trained, encoded, index)
    probability_HW, class_HW, entropy_HW = (np.zeros((height, width), np.uint8) for _ in range(3))
    stride = getattr(model.net, "stride", 1)
    for band in bands(model.looking(model.net), read, (height, width), stride, trained.precision, tiling):
        probability_1hW, class_1hW = task.classify(band.logit_KhW[None])
        rows = slice(band.top, band.top + band.logit_KhW.shape[1])
        probability_HW[rows] = (255 * probability_1hW[0]).round().to(torch.uint8).numpy()
        entropy_HW[rows] = (255 * entropy(probability_1hW[0])).round().to(torch.uint8).numpy()
        class_HW[rows] = class_1hW[0].numpy()
    kept_HW = task.without_small(torch.from_numpy(class_HW)[None])[0]
    return Delineated(encoded.names[index], kept_HW.numpy(), probability_HW, entropy_HW, task.told(kept_HW))


def _reader(trained: Trained, encoded: data.Encoded, index: int) -> tuple[Read, tuple[int, int]]:
    """Return what reads a window of a picture as the net does, and the picture's size; large rasters stay on disk."""
    path, description = Path(encoded.names[index]), trained.description
    if path.is_file() and rasters.windowed(path):
        channels, how, held = description.shapes[description.input][0], description.encoding, rasters.header(path)

        def window(top: int, left: int, rows: int, columns: int) -> Tensor:
            level_Chw = rasters.read(path, channels, (slice(top, top + rows), slice(left, left + columns)))
            image_1Chw = torch.from_numpy(level_Chw[None])
            pictures.normalise(image_1Chw, how["mean"], how["std"])
            return image_1Chw[0]

        return window, (held.height, held.width)
    image_CHW = encoded.read(index, index + 1)[description.input][0]

    def part(top: int, left: int, rows: int, columns: int) -> Tensor:
        return image_CHW[:, top : top + rows, left : left + columns]

    return part, (image_CHW.shape[1], image_CHW.shape[2])


def entropy(probability: Tensor) -> Tensor:
    """Return the entropy of a yes or no, in bits: 0 where it is sure, 1 where both are as likely."""
    other = 1 - probability
    return -(torch.special.xlogy(probability, probability) + torch.special.xlogy(other, other)) / np.log(2)
