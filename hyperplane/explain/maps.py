"""What an image becomes on its way through a net: the strongest maps of each stage.

Shape suffixes: C channels, h and w places of a map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from hyperplane.explain import sheet
from hyperplane.explain.sheet import Cell
from hyperplane.explain.vision import Stage
from hyperplane.tasks.blocks import figures as house

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 8


def strongest(map_Chw: Tensor, most: int) -> list[np.ndarray]:
    """Return the maps that vary most over the image, (h, w) each, the strongest first."""
    value_Chw = map_Chw.detach().double().cpu().numpy()
    order = np.argsort(-value_Chw.std(axis=(1, 2)), kind="stable")
    return [value_Chw[channel] for channel in order[:most]]


def draw(picture_HW3: np.ndarray, title: str, stages: Sequence[Stage], maps: Mapping[str, Tensor]) -> Figure:
    """Draw an image and, a row for each stage, its strongest maps; each has a scale of its own.

    Arguments: the image in [0, 1]; what it is; the stages; their maps of this image, (1, C, h, w).
    """
    rows: list[list[Cell | None]] = [[Cell(picture_HW3)]]
    for stage in stages:
        rows.append([Cell(sheet.strength(one)) for one in strongest(maps[stage.name][0], COLUMNS)])
    names = ["the image\n" + size(picture_HW3.shape[:2])]
    names += [f"{stage.name}\n{stage.channels} of {size((stage.height, stage.width))}" for stage in stages]
    with house.style():
        return sheet.sheet(title, rows, names=names).figure


def counted(stage: Stage) -> str:
    """Return how many maps a stage has, and of what size, for people."""
    return f"{stage.channels} maps of {size((stage.height, stage.width))}"


def size(sides: tuple[int, ...]) -> str:
    """Return height × width for people."""
    return f"{sides[0]} × {sides[1]}"
