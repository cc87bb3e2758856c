"""Figures of masks: the worst images with their errors over them, and precision against recall.

What was found is blue, what was missed orange, what is false violet, and where a miss breaks a line there is a ring.
Shape suffixes: N images, S side of a thumbnail, T thresholds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hyperplane.tasks.blocks import figures
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT
from hyperplane.tasks.blocks.mask_errors import BROKEN, FALSE, HIT, MISSED, OUTSIDE
from hyperplane.tasks.blocks.pieces import label, places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VIOLET = "#8a4fbf"
MOST, COLUMNS = 6, 3
COLOURS = {HIT: (BLUE, 0.45), MISSED: (ORANGE, 0.85), FALSE: (VIOLET, 0.8), BROKEN: (ORANGE, 1.0)}
"""Of each code, with how much it covers the image."""
LARGEST = 0.05
"""Radius of a ring at most, as a share of the picture's side."""
KEY = (("found", BLUE), ("missed", ORANGE), ("false", VIOLET))


def errors(grey_NSS: np.ndarray, error_NSS: np.ndarray, names: list[str] | None = None, title: str = "") -> Figure:
    """Draw images, grey levels (N, S, S), under the codes of their pixels; at most `MOST`; `names` stand above them."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    with figures.style():
        count = min(len(grey_NSS), MOST)
        columns = min(COLUMNS, max(count, 1))
        rows = -(-count // columns)
        tall = max((_shown(e).shape[0] / _shown(e).shape[1] for e in error_NSS[:count]), default=1.0)
        side = 5.4 / columns
        figure = Figure((5.6, 0.75 + rows * (min(tall, 1.4) * side + 0.22 * bool(names))), layout="constrained")
        axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for number, ax in enumerate(axes):
            ax.set_axis_off()
            if number < count:
                overlay(ax, grey_NSS[number], error_NSS[number])
                if names:
                    ax.set_title(figures.shortened(names[number], 72 // columns), fontsize=8.5, fontweight="normal")
        figure.suptitle(
            title or f"The {count} of greatest loss", x=0.015, ha="left", fontsize=11, fontweight="bold", color=INK
        )
        handles = [Patch(color=colour, label=name) for name, colour in KEY]
        ring: Any = axes[0].plot([], [], "o", mfc="none", mec=INK, mew=1.4, ms=7, label="broken there")[0]
        figure.legend(handles=[*handles, ring], loc="outside lower left", ncols=4, handlelength=1.0, columnspacing=1.4)
    return figure


def overlay(ax: Axes, grey_SS: np.ndarray, error_SS: np.ndarray) -> None:
    """Draw one image under the codes of its pixels, and a ring around each break."""
    error_hw = _shown(error_SS)
    high, wide = error_hw.shape
    ax.imshow(painted(np.repeat(grey_SS[:high, :wide, None] / 255, 3, axis=2), error_hw), interpolation="antialiased")
    ax.grid(False)


def painted(picture_HW3: np.ndarray, error_HW: np.ndarray) -> np.ndarray:
    """Return a picture, in [0, 1], in pale grey under the colours of its codes, with rings, (H, W, 3) in [0, 1]."""
    grey_HW = picture_HW3 @ np.array([0.299, 0.587, 0.114])
    made_HW3 = np.repeat((0.25 + 0.75 * grey_HW)[..., None], 3, axis=2)
    for code, (colour, share) in COLOURS.items():
        at_HW = error_HW == code
        made_HW3[at_HW] = (1 - share) * made_HW3[at_HW] + share * np.array(figures.rgb(colour))
    row_HW, column_HW = np.indices(error_HW.shape)
    line = max(1.0, max(error_HW.shape) / 220)
    for row, column, radius in rings(error_HW, LARGEST * max(error_HW.shape), 4 * line):
        away_HW = np.abs(np.hypot(row_HW - row, column_HW - column) - radius)
        made_HW3[away_HW <= 1.8 * line] = 1.0
        made_HW3[away_HW <= 0.9 * line] = figures.rgb(INK)
    return made_HW3


def rings(error_HW: np.ndarray, most: float, more: float) -> list[tuple[float, float, float]]:
    """Return row, column and radius of a ring around each break, of neighbouring ones around the largest alone.

    Arguments: codes of pixels; the greatest radius, in pixels; by how much it is greater than half of its break.
    """
    break_HW, breaks = label(error_HW == BROKEN)
    found: list[tuple[float, float, float]] = []
    for number, (rows, columns) in enumerate(places(break_HW, breaks), 1):
        inside_N2 = np.argwhere(break_HW[rows, columns] == number) + np.array([rows.start, columns.start])
        row, column = inside_N2[((inside_N2 - inside_N2.mean(axis=0)) ** 2).sum(axis=1).argmin()].tolist()
        size = max(rows.stop - rows.start, columns.stop - columns.start)
        found.append((row, column, min(size / 2, most) + more))
    found.sort(key=lambda ring: -ring[2])
    kept: list[tuple[float, float, float]] = []
    for row, column, radius in found:
        if all(np.hypot(row - r, column - c) > radius + far for r, c, far in kept):
            kept.append((row, column, radius))
    return kept


def thresholds(histogram_2T: np.ndarray, threshold: float) -> Figure:
    """Draw precision and recall at every threshold, and F1, from how many pixels of each kind have which probability.

    Arguments: counts of the background's and of the network's pixels by their probability; the threshold that is used.
    """
    with figures.style():
        from matplotlib.figure import Figure

        false_T, hit_T = (np.cumsum(h[::-1])[::-1].astype(float) for h in histogram_2T)
        total = max(1.0, float(histogram_2T[1].sum()))
        said_T = np.maximum(1.0, hit_T + false_T)
        precision_T = np.where(hit_T + false_T > 0, hit_T / said_T, np.nan)  # of nothing there is none
        recall_T = hit_T / total
        f1_T = 2 * hit_T / np.maximum(1.0, said_T + total)
        at_T = np.arange(len(f1_T)) / len(f1_T)
        best = int(f1_T.argmax())
        figure = Figure((5.6, 3.4), layout="constrained")
        ax = figure.add_subplot()
        ax.plot(at_T, precision_T, color=ORANGE, label="precision")
        ax.plot(at_T, recall_T, color=SOFT, label="recall")
        ax.plot(at_T, f1_T, color=BLUE, label="F1")
        ax.axvline(threshold, color=INK, linewidth=1, dashes=(4, 3))
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold of the probability")
        ax.yaxis.set_major_formatter(figures.percent)
        figure.legend(loc="outside lower left", ncols=3)
        ax.set_title(f"F1 of the pixels is greatest, {100 * f1_T[best]:.1f} %, at {at_T[best]:.2f}")
    return figure


def _shown(error_SS: np.ndarray) -> np.ndarray:
    """Return the part of a thumbnail that is an image."""
    inside = error_SS != OUTSIDE
    rows, columns = (np.flatnonzero(inside.any(axis=k)) for k in (1, 0))
    return error_SS[: rows[-1] + 1, : columns[-1] + 1] if len(rows) else error_SS[:1, :1]
