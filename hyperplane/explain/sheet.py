"""Pictures in rows and columns with words beside them: what all figures of nets for images are laid out on.

Measures are in inches, y downwards. Shape suffixes: H and W pixels, N pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from hyperplane.explain import drawing
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

WIDTH = 5.6
MARGIN, TITLE, HEAD, LINE = 0.1, 0.4, 0.24, 0.155
"""Around all of it; of the title's line; of the columns' names; of a line of small words."""
SMALL = 7.5
SMOOTH = 100
"""Pixels a side from which a picture is drawn smoothly; of smaller ones each pixel is seen."""


@dataclass(frozen=True)
class Cell:
    """A picture, and the words under it."""

    picture: np.ndarray
    """(H, W, 3) in [0, 1]."""
    below: str = ""
    colour: str = SOFT
    """Of the words, and of the frame where there is one."""
    framed: bool = False


@dataclass(frozen=True)
class Sheet:
    """A figure that is being laid out: its axes, as large as it is, and how far down it is filled."""

    figure: Figure
    axes: Axes
    filled: float


def sheet(
    title: str,
    rows: Sequence[Sequence[Cell | None]],
    columns: Sequence[str] = (),
    names: Sequence[str] = (),
    *,
    side: float | None = None,
    gap: float = 0.06,
    more: float = 0.0,
) -> Sheet:
    """Return a figure of pictures in rows; a place that is None stays empty.

    Arguments: the title; the rows; what stands above each column; what stands left of each row, its lines one below the
    other; the side of a picture (None: what fills the width); the gap between two; height that is left for more below.
    """
    from matplotlib.figure import Figure

    wide = max(map(len, rows), default=1)
    left = MARGIN + (0.98 if any(names) else 0.0)
    fitting = (WIDTH - left - MARGIN - gap * (wide - 1)) / wide
    side = min(side or fitting, fitting)
    under = [LINE * max((_lines(cell.below) for cell in row if cell), default=0) for row in rows]
    top = TITLE + (HEAD if columns else 0.0)
    high = top + sum(side + words + 1.6 * gap for words in under) + more + MARGIN
    figure = Figure((WIDTH, high), dpi=drawing.DOTS)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    _limit(ax, high)
    ax.text(MARGIN, TITLE / 2 + 0.02, title, fontsize=11, fontweight="bold", color=INK, va="center")
    for column, name in enumerate(columns):
        ax.text(left + column * (side + gap) + side / 2, TITLE + HEAD / 2 - 0.03, name, fontsize=8.5, color=SOFT,
                ha="center", va="center")  # fmt: skip
    y = top
    for number, (row, words) in enumerate(zip(rows, under, strict=True)):
        if number < len(names):
            _name(ax, y, side, names[number])
        for column, cell in enumerate(row):
            if cell is not None:
                place(ax, cell, left + column * (side + gap), y, side)
        y += side + words + 1.6 * gap
    _limit(ax, high)
    return Sheet(figure, ax, y)


def place(ax: Axes, cell: Cell, x: float, y: float, side: float) -> None:
    """Draw a picture into a square, its longer side filling it, and its words below."""
    high, wide = cell.picture.shape[:2]
    width, height = side * wide / max(high, wide), side * high / max(high, wide)
    left, top = x + (side - width) / 2, y + (side - height) / 2
    how: Literal["nearest", "antialiased"] = "nearest" if max(high, wide) < SMOOTH else "antialiased"
    ax.imshow(np.clip(cell.picture, 0, 1), extent=(left, left + width, top + height, top), aspect="auto",
              interpolation=how)  # fmt: skip
    if cell.framed:
        from matplotlib.patches import Rectangle

        ax.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=cell.colour, linewidth=1.6))
    if cell.below:
        ax.text(x + side / 2, y + side + 0.035, cell.below, fontsize=SMALL, color=cell.colour, ha="center", va="top",
                linespacing=1.15)  # fmt: skip


def outline(sides: tuple[float, float, float, float], pixels: tuple[int, int], ax: Axes, cell: tuple[float, float, float],
            colour: str, dashed: bool = False) -> None:  # fmt: skip
    """Draw a box of a picture's pixels (top, left, bottom, right) onto its cell, whose left, top and side are given."""
    from matplotlib.patches import Rectangle

    high, wide = pixels
    left, top, side = cell
    unit = side / max(high, wide)
    x0, y0 = left + (side - wide * unit) / 2, top + (side - high * unit) / 2
    first, last = np.clip([sides[0], sides[2]], 0, high), np.clip([sides[1], sides[3]], 0, wide)
    ax.add_patch(
        Rectangle(
            (x0 + last[0] * unit, y0 + first[0] * unit),
            (last[1] - last[0]) * unit,
            (first[1] - first[0]) * unit,
            fill=False,
            edgecolor=colour,
            linewidth=1.3,
            linestyle=(0, (3, 2)) if dashed else "solid",
        )
    )


def below(made: Sheet, top: float, height: float, left: float = 1.3) -> Axes:
    """Return axes for a plot under the pictures, `top` below them."""
    wide, high = made.figure.get_size_inches()
    bottom = high - made.filled - top - height
    return made.figure.add_axes((left / wide, bottom / high, (wide - left - 0.3) / wide, height / high))


# Colours


def signed(value_HW: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return numbers as colours, (H, W, 3): blue below 0, white, orange above; `most` has the strongest (None: theirs).

    For filters, whose sign means no more than which of two sides is brighter.
    """
    return _coloured(value_HW, most, drawing.between(0.0, (BLUE, ORANGE)))


def for_and_against(value_HW: np.ndarray, picture_HW3: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return what speaks for a class in blue and against it in orange, over its picture in pale grey, (H, W, 3)."""
    grey_HW = picture_HW3 @ np.array([0.299, 0.587, 0.114])
    paper_HW3 = np.repeat((0.80 + 0.20 * grey_HW)[..., None], 3, axis=2)
    share_HW = np.clip(value_HW / (most or _most(value_HW)), -1, 1)
    colour_HW3 = np.where(share_HW[..., None] > 0, np.array(house.rgb(BLUE)), np.array(house.rgb(ORANGE)))
    weight_HW1 = np.abs(share_HW)[..., None] ** 0.75
    return paper_HW3 + weight_HW1 * (colour_HW3 - paper_HW3)


def strength(value_HW: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return activations as colours, (H, W, 3): the stronger the darker a blue; where some are negative, as `signed`."""
    if value_HW.min() < 0:
        return _coloured(value_HW, most, drawing.between(0.0, (ORANGE, BLUE)))
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#f4f6f8", "#c3d6ec", "#5f93ca", "#1f5fa8", "#0d2f5c"]
    ramp = LinearSegmentedColormap.from_list("strength", stops)
    return ramp(np.clip(value_HW / (most or _most(value_HW)), 0, 1))[..., :3]


def _coloured(value_HW: np.ndarray, most: float | None, colours: Colormap) -> np.ndarray:
    return colours(0.5 + 0.5 * np.clip(value_HW / (most or _most(value_HW)), -1, 1))[..., :3]


def _most(value_HW: np.ndarray) -> float:
    return float(np.abs(value_HW).max()) or 1.0


def _name(ax: Axes, y: float, side: float, name: str) -> None:
    first, _, rest = name.partition("\n")
    lines = rest.count("\n") + 1 if rest else 0
    middle = y + side / 2 - lines * LINE / 2
    ax.text(MARGIN, middle, first, fontsize=8.5, color=INK, va="center")
    if rest:
        ax.text(MARGIN, middle + 0.09, rest, fontsize=SMALL, color=SOFT, va="top", linespacing=1.2)


def _lines(words: str) -> int:
    return words.count("\n") + 1 if words else 0


def _limit(ax: Axes, high: float) -> None:
    ax.set(xlim=(0, WIDTH), ylim=(high, 0))
    ax.set_aspect("auto")
