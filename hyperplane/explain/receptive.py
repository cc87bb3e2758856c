"""How much of the image a unit sees, and how much of that it makes use of: theoretical and effective receptive fields.

Luo, Li, Urtasun and Zemel 2016, "Understanding the effective receptive field in deep convolutional neural networks"
(arXiv:1701.04128). Shape suffixes: B images, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hyperplane.explain import sheet
from hyperplane.explain.sheet import Cell
from hyperplane.explain.vision import Stage, Vision
from hyperplane.tasks.blocks import figures as house

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 4
VISIBLE = 1 - 0.9545
"""Share of the greatest influence above which a pixel counts, as in the paper: two standard deviations."""


def effective(vision: Vision, image_BCHW: Tensor, stages: Sequence[Stage]) -> dict[str, np.ndarray]:
    """Return how strongly each pixel moves the middle unit of each stage, (H, W): mean |∂ unit / ∂ pixel|.

    Over the images and the input's channels; the unit is the sum over the map's channels.
    """
    image_BCHW = image_BCHW.clone().requires_grad_()
    maps = vision.see(image_BCHW).maps
    found: dict[str, np.ndarray] = {}
    for stage in stages:
        middle = maps[stage.name][:, :, stage.height // 2, stage.width // 2].sum()
        (slope_BCHW,) = torch.autograd.grad(middle, image_BCHW, retain_graph=True)
        found[stage.name] = slope_BCHW.abs().sum(dim=1).mean(dim=0).double().cpu().numpy()
    return found


def side(influence_HW: np.ndarray) -> float:
    """Return the side of a square as large as the effective field, in pixels: those above 4.55% of the greatest."""
    return float(np.sqrt(np.sum(influence_HW > VISIBLE * influence_HW.max())))


def draw(stages: Sequence[Stage], influence: Mapping[str, np.ndarray]) -> Figure:
    """Draw each stage's effective field over the image, and its theoretical one as a frame."""
    cells = [
        Cell(sheet.strength(np.sqrt(found)), f"{stage.name}\n{told(stage)}\n{_used(found)}")
        for stage, found in ((stage, influence[stage.name]) for stage in stages)
    ]
    rows: list[list[Cell | None]] = [[*cells[k : k + COLUMNS]] for k in range(0, len(cells), COLUMNS)]
    rows[-1] += [None] * (COLUMNS - len(rows[-1])) if len(rows) > 1 else []
    wide = max(map(len, rows))
    with house.style():
        made = sheet.sheet("What the middle unit of each layer sees", rows, side=1.3)
        size, y = min(1.3, (sheet.WIDTH - 2 * sheet.MARGIN - 0.06 * (wide - 1)) / wide), sheet.TITLE
        for number, stage in enumerate(stages):
            row, column = divmod(number, COLUMNS)
            if stage.field is not None:
                corner = (sheet.MARGIN + column * (size + 0.06), y + row * (size + 3 * sheet.LINE + 1.6 * 0.06), size)
                box = stage.field.box(stage.height // 2, stage.width // 2)
                sheet.outline(made.axes, box, influence[stage.name].shape, corner)
    return made.figure


def told(stage: Stage) -> str:
    """Return the size of a stage's theoretical field for people."""
    if stage.field is None:
        return "field unknown"
    return f"sees {stage.field.rows.size:.3g} × {stage.field.columns.size:.3g}"


def _used(influence_HW: np.ndarray) -> str:
    used = side(influence_HW)
    return f"uses {used:.2g} × {used:.2g}" if used < 9.5 else f"uses {used:.0f} × {used:.0f}"
