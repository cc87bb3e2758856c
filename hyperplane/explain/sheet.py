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
MARGIN, TITLE, HEAD, NAMES, LINE = 0.1, 0.4, 0.24, 1.02, 0.165
"""Around all of it; of the title's line; of the columns' names; of the rows' names; of a line of small words."""
SMALL, LARGE = 8.0, 9.0
"""Sizes of words, in points."""
LETTER = 0.0078
"""Width of a letter, in inches for each point of its size."""
SMOOTH = 100
"""Pixels a side from which a picture is drawn smoothly; of smaller ones each pixel is seen."""


@dataclass(frozen=True)
class Cell:
    """A picture, and the words under it."""

    picture: np.ndarray
    """(H, W, 3) in [0, 1]."""
    below: str = ""
    colour: str = SOFT
    """Of the words."""


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
    tall: float = 1.0,
    gap: float = 0.06,
    more: float = 0.0,
) -> Sheet:
    """Return a figure of pictures in rows; a place that is None stays empty.

    Arguments: the title; the rows; what stands above each column; what stands left of each row, its lines one below the
    other; the width of a picture's place (None: what fills the figure), and its height as a multiple of that; the gap
    between two; height that is left for more below.
    """
    from matplotlib.figure import Figure

    wide = max(map(len, rows), default=1)
    left = MARGIN + (NAMES if any(names) else 0.0)
    fitting = (WIDTH - left - MARGIN - gap * (wide - 1)) / wide
    side = min(side or fitting, fitting)
    under = [LINE * max((_lines(cell.below) for cell in row if cell), default=0) for row in rows]
    top = TITLE + (HEAD if columns else 0.0)
    high = top + sum(side * tall + words + 1.6 * gap for words in under) + more + MARGIN
    figure = Figure((WIDTH, high), dpi=drawing.DOTS)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.axis("off")
    _limit(ax, high)
    ax.text(
        MARGIN, TITLE / 2 + 0.02, _fitting(title, WIDTH, 12), fontsize=11, fontweight="bold", color=INK, va="center"
    )
    for column, name in enumerate(columns):
        ax.text(left + column * (side + gap) + side / 2, TITLE + HEAD / 2 - 0.03, name, fontsize=LARGE, color=SOFT,
                ha="center", va="center")  # fmt: skip
    y = top
    for number, (row, words) in enumerate(zip(rows, under, strict=True)):
        if number < len(names):
            _name(ax, y, side * tall, names[number])
        for column, cell in enumerate(row):
            if cell is not None:
                place(ax, cell, left + column * (side + gap), y, side, tall)
        y += side * tall + words + 1.6 * gap
    _limit(ax, high)
    return Sheet(figure, ax, y)


def place(ax: Axes, cell: Cell, x: float, y: float, side: float, tall: float = 1.0) -> None:
    """Draw a picture as large as its place allows, `side` wide and `tall` times as high, and its words below."""
    high, wide = cell.picture.shape[:2]
    unit = min(side / wide, side * tall / high)
    width, height = unit * wide, unit * high
    left, top = x + (side - width) / 2, y + (side * tall - height) / 2
    how: Literal["nearest", "antialiased"] = "nearest" if max(high, wide) < SMOOTH else "antialiased"
    extent = (left, left + width, top + height, top)
    ax.imshow(np.clip(cell.picture, 0, 1), extent=extent, aspect="auto", interpolation=how)
    if cell.below:
        words, under = _fitting(cell.below, side, SMALL), y + side * tall + 0.035
        ax.text(x + side / 2, under, words, fontsize=SMALL, color=cell.colour, ha="center", va="top", linespacing=1.15)


def outline(
    ax: Axes, box: tuple[float, float, float, float], pixels: tuple[int, ...], cell: tuple[float, float, float]
) -> None:
    """Frame some pixels of a picture, as far as they are within it.

    Arguments: their top, left, bottom and right; height and width of the picture; left, top and side of its place.
    """
    from matplotlib.patches import Rectangle

    high, wide = pixels
    left, top, side = cell
    unit = side / max(high, wide)
    first_row, last_row = np.clip([box[0], box[2]], 0, high) * unit + top + (side - high * unit) / 2
    first_column, last_column = np.clip([box[1], box[3]], 0, wide) * unit + left + (side - wide * unit) / 2
    ax.add_patch(
        Rectangle((first_column, first_row), last_column - first_column, last_row - first_row, fill=False,
                  edgecolor=ORANGE, linewidth=1.3)
    )  # fmt: skip


def below(made: Sheet, top: float, height: float, left: float = 1.3) -> Axes:
    """Return axes for a plot under the pictures, `top` below them, `left` from the figure's edge."""
    wide, high = made.figure.get_size_inches()
    bottom = high - made.filled - top - height
    return made.figure.add_axes((left / wide, bottom / high, (wide - left - 0.55) / wide, height / high))


# Colours


def signed(value_HW: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return numbers as colours, (H, W, 3): blue below 0, white, orange above; `most` has the strongest (None: theirs).

    For filters, whose sign means no more than which of two sides is brighter.
    """
    return _coloured(value_HW, most, drawing.between(0.0, (BLUE, ORANGE)))


def for_and_against(value_HW: np.ndarray, picture_HW3: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return what speaks for a class in blue and against it in orange, over its picture in pale grey, (H, W, 3)."""
    grey_HW = picture_HW3 @ np.array([0.299, 0.587, 0.114])
    paper_HW3 = np.repeat((0.87 + 0.13 * grey_HW)[..., None], 3, axis=2)
    share_HW = np.clip(value_HW / (most or _most(value_HW)), -1, 1)
    colour_HW3 = np.where(share_HW[..., None] > 0, np.array(house.rgb(BLUE)), np.array(house.rgb(ORANGE)))
    weight_HW1 = np.abs(share_HW)[..., None] ** 0.75
    return paper_HW3 + weight_HW1 * (colour_HW3 - paper_HW3)


def strength(value_HW: np.ndarray, most: float | None = None) -> np.ndarray:
    """Return activations as colours, (H, W, 3): the stronger the darker a blue, and where any is below 0 orange."""
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
    ax.text(MARGIN, middle, _fitting(first, NAMES, LARGE), fontsize=LARGE, color=INK, va="center")
    if rest:
        ax.text(
            MARGIN, middle + 0.09, _fitting(rest, NAMES, SMALL), fontsize=SMALL, color=SOFT, va="top", linespacing=1.2
        )


def _fitting(words: str, wide: float, size: float) -> str:
    """Return lines of words with the middle of each that is too long left out."""
    return "\n".join(house.shortened(line, int(wide / (LETTER * size))) for line in words.split("\n"))


def _lines(words: str) -> int:
    return words.count("\n") + 1 if words else 0


def _limit(ax: Axes, high: float) -> None:
    ax.set(xlim=(0, WIDTH), ylim=(high, 0))
    ax.set_aspect("auto")
