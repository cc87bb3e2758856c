"""Samples that belong together: what excites a unit most, what is nearest in feature space, what is taken for what.

Shape suffixes: N samples, C channels, H and W pixels, B queries, K neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from hyperplane.explain import sheet
from hyperplane.explain.samples import Answers, Survey
from hyperplane.explain.sheet import Cell
from hyperplane.explain.vision import Stage
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNITS, PATCHES = 3, 8
"""Of each stage; of each unit."""
EXAMPLES = 3
"""Of each way round of a confused pair."""
PAPER = 0.96
"""Grey level of what lies beyond an image's edge."""
Picture = Callable[[int], np.ndarray]
"""From a sample's index to its picture, (H, W, 3) in [0, 1]."""


def patches(stages: Sequence[Stage], found: Survey, picture: Picture) -> Figure:
    """Draw, for the strongest channels of each stage, the patches of different images that excite them most."""
    rows: list[list[Cell | None]] = []
    names: list[str] = []
    for stage in stages:
        value_NC, place_NC = found.peak[stage.name]
        top_PC, which_PC = value_NC.topk(min(PATCHES, len(value_NC)), dim=0)
        for channel in top_PC.mean(dim=0).topk(min(UNITS, stage.channels)).indices.tolist():
            held = which_PC[:, channel].tolist()
            cut = [
                crop(picture(int(found.index_N[n])), stage, *divmod(int(place_NC[n, channel]), stage.width))
                for n in held
            ]
            rows.append([Cell(one) for one in cut])
            names.append(f"{stage.name}\nchannel {channel}")
    with house.style():
        return sheet.sheet("What excites single channels most", rows, names=names).figure


def crop(picture_HW3: np.ndarray, stage: Stage, row: int, column: int) -> np.ndarray:
    """Return what a unit sees of a picture, grey beyond its edge; all of it where the field is unknown, or larger."""
    if stage.field is None:
        return picture_HW3
    high, wide = picture_HW3.shape[:2]
    top, left, bottom, right = stage.field.box(row, column)
    rows, columns = _pixels(top, bottom, high), _pixels(left, right, wide)
    inside = ((rows >= 0) & (rows < high))[:, None] & ((columns >= 0) & (columns < wide))[None]
    cut = picture_HW3[np.clip(rows, 0, high - 1)[:, None], np.clip(columns, 0, wide - 1)[None]]
    return np.where(inside[..., None], cut, PAPER)


def neighbours(
    queries: Sequence[tuple[np.ndarray, str]], which_BK: Tensor, found: Survey, picture: Picture, classes: Sequence[str]
) -> Figure:
    """Draw held-out images, each with the training images whose features are nearest to its own.

    Arguments: pictures and true classes of the held-out ones; positions of the nearest in the survey; how a training
    sample looks; the classes.
    """
    rows: list[list[Cell | None]] = []
    for (query, truth), which_K in zip(queries, which_BK.tolist(), strict=True):
        row: list[Cell | None] = [Cell(query, truth, INK)]
        for n in which_K:
            name = classes[int(found.label_N[n])]
            row.append(Cell(picture(int(found.index_N[n])), name, BLUE if name == truth else ORANGE))
        rows.append(row)
    columns = ["held out", "nearest", *(f"no. {k}" for k in range(2, which_BK.shape[1] + 1))]
    with house.style():
        return sheet.sheet("Held-out images and the nearest training images", rows, columns).figure


def confused(answers: Answers, most: int, picture: Picture, classes: Sequence[str]) -> Figure:
    """Draw the pairs of classes that are taken for each other most often, with wrong samples of both."""
    rows: list[list[Cell | None]] = []
    names: list[str] = []
    for first, second, which_N in answers.confused(most):
        row: list[Cell | None] = []
        for true in (first, second):
            mine = [int(n) for n in which_N if answers.label_N[n] == true][:EXAMPLES]
            row += [Cell(picture(n), classes[true], ORANGE) for n in mine] + [None] * (EXAMPLES - len(mine))
        rows.append(row)
        pair = [classes[first], classes[second]]
        names.append((" and " if len("".join(pair)) < 8 else "\nand ").join(pair) + f"\n{_times(len(which_N))}")
    with house.style():
        return sheet.sheet("Taken for each other most often", rows, names=names).figure


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _pixels(first: float, last: float, side: int) -> np.ndarray:
    """Return the pixels between two places along an axis; all there are where it is more than these."""
    low, high = int(np.floor(first + 1e-6)), int(np.ceil(last - 1e-6))
    return np.arange(side) if high - low >= side else np.arange(low, high)
