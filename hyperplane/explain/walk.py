"""A walk through a net: the image, the strongest maps of each layer, and what the net says, one frame after another.

Shape suffixes: C channels, H and W pixels, h and w places of a map, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from torch import Tensor

from hyperplane.explain import maps, moving, receptive, sheet
from hyperplane.explain.evidence import percent
from hyperplane.explain.moving import Film
from hyperplane.explain.sheet import Cell
from hyperplane.explain.vision import Seen, Stage, Vision, probabilities
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, PALE_BLUE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE, DPI = (9.6, 5.0), 100
FRAME_MS, LAST_MS = 1300, 3000
"""How long a layer is seen, and the answer."""
MOST_STAGES = 12
MAPS = (4, 7)
"""Rows and columns of maps, at most."""
LIKELIEST = 5
_PICTURE, _ROOM = (0.45, 0.95, 2.6), (3.5, 0.95, 5.7, 3.05)
"""Left, top and side of the image; left, top, width and height of the maps' place; inches."""


def film(vision: Vision, image_CHW: Tensor, seen: Seen, truth: str) -> Film:
    """Return the walk of one image, (C, H, W), through the net; `seen` is what the net makes of it alone."""
    stages = vision.some_stages(MOST_STAGES)
    with house.style():
        frames = list(_frames(vision, vision.picture(image_CHW), stages, seen, truth))
    told = "One image on its way through the net: the strongest maps of each layer, dark where they are active; "
    told += "the frame on the image is what the unit in the middle sees."
    return moving.film(frames, [FRAME_MS] * (len(frames) - 1) + [LAST_MS], told)


def _frames(
    vision: Vision, picture_HW3: np.ndarray, stages: Sequence[Stage], seen: Seen, truth: str
) -> Iterator[Image.Image]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for number in range(len(stages) + 1):
        figure = Figure(SIZE, dpi=DPI)
        canvas = FigureCanvasAgg(figure)
        ax = figure.add_axes((0, 0, 1, 1))
        ax.axis("off")
        sheet.place(ax, Cell(picture_HW3), *_PICTURE)
        ax.text(_PICTURE[0], 3.75, house.shortened(truth, 32), fontsize=10, color=SOFT, va="center")
        if number < len(stages):
            stage = stages[number]
            if stage.field is not None:
                box = stage.field.box(stage.height // 2, stage.width // 2)
                sheet.outline(ax, box, picture_HW3.shape[:2], _PICTURE)
            _heading(ax, stage.name, f"{maps.counted(stage)} · each unit {receptive.told(stage)} pixels")
            _maps(ax, seen.maps[stage.name][0])
        else:
            _heading(ax, "The answer", "how likely the net holds each class")
            _answer(ax, vision, seen)
        _strip(ax, [stage.name for stage in stages] + ["answer"], number)
        ax.set(xlim=(0, SIZE[0]), ylim=(SIZE[1], 0))
        ax.set_aspect("auto")
        canvas.draw()
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def _heading(ax: Axes, name: str, rest: str) -> None:
    ax.text(_ROOM[0], 0.36, name, fontsize=14, fontweight="bold", color=INK, va="center")
    ax.text(_ROOM[0], 0.66, rest, fontsize=10, color=SOFT, va="center")


def _maps(ax: Axes, map_Chw: Tensor) -> None:
    """Draw the strongest maps as large as the place allows."""
    left, top, wide, high = _ROOM
    count = min(len(map_Chw), MAPS[0] * MAPS[1])
    columns = next(n for n in range(1, MAPS[1] + 1) if -(-count // n) * wide / n <= high + 1e-9 or n == MAPS[1])
    rows = -(-count // columns)
    step = min(wide / columns, high / rows)
    for number, one in enumerate(maps.strongest(map_Chw, rows * columns)):
        row, column = divmod(number, columns)
        sheet.place(ax, Cell(sheet.strength(one)), left + column * step, top + row * step, step - 0.07)


def _answer(ax: Axes, vision: Vision, seen: Seen) -> None:
    from matplotlib.patches import Rectangle

    probability_K = probabilities(seen.logit_BK)[0]
    left, top, wide, _ = _ROOM
    for row, k in enumerate(np.argsort(-probability_K, kind="stable")[:LIKELIEST]):
        y = top + 0.25 + 0.55 * row
        share = float(probability_K[k])
        ax.text(left, y, house.shortened(vision.classes[k], 22), fontsize=11, color=INK, va="center")
        length = max(0.02, share * (wide - 2.7))
        ax.add_patch(Rectangle((left + 1.95, y - 0.13), length, 0.26, color=BLUE if row == 0 else PALE_BLUE))
        ax.text(left + 2.03 + length, y, percent(share), fontsize=10, color=SOFT, va="center")


def _strip(ax: Axes, names: Sequence[str], now: int) -> None:
    """Draw the way as a line of dots, the present one with its name."""
    x_S = np.linspace(0.45, SIZE[0] - 0.55, len(names))
    ax.plot(x_S, np.full(len(names), 4.42), color=house.RULE, linewidth=2.5, zorder=1)
    ax.plot(x_S[: now + 1], np.full(now + 1, 4.42), color=PALE_BLUE, linewidth=2.5, zorder=2)
    for number, (x, name) in enumerate(zip(x_S, names, strict=True)):
        colour = BLUE if number <= now else "#b9c2cb"
        ax.plot([x], [4.42], "o", color=colour, markersize=9 if number == now else 6, mec="white", mew=1.2, zorder=3)
        if len(names) <= 8 or number in (0, now, len(names) - 1):
            ax.text(x, 4.68, name, fontsize=8.5, ha="center", va="center", color=INK if number == now else SOFT,
                    fontweight="bold" if number == now else "normal")  # fmt: skip
