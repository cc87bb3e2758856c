"""The first convolution's filters, drawn, and how well Gabor functions describe them beside filters that are random.

Shape suffixes: N filters, C channels, h and w pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hyperplane.engine.chance import generator
from hyperplane.explain import gabor, sheet
from hyperplane.explain.sheet import Cell
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 96
"""Of the filters that are drawn."""
MOST_PAIRS = 32
RANDOM = 64
"""Filters of noise that the fits are compared with."""
LEAST_PIXELS = 9
"""Of a filter that a Gabor function of eight numbers may be fitted to."""


def bank(filter_NChw: Tensor) -> Figure:
    """Draw the filters: of three channels as colours, else those of each channel in blue below 0 and orange above."""
    count, channels, high, wide = filter_NChw.shape
    shown = filter_NChw[:MOST]
    columns = 6 if count <= 12 else 8 if count <= 40 else 12
    cells = [Cell(picture(one)) for one in shown]
    title = f"{count} filters of {high} × {wide}" + (f" × {channels}" if channels > 1 else "")
    title += f", the first {MOST}" if count > MOST else ""
    with house.style():
        rows = [cells[k : k + columns] for k in range(0, len(cells), columns)]
        return sheet.sheet(title, _even(rows, columns), gap=0.1).figure


def picture(filter_Chw: Tensor) -> np.ndarray:
    """Return a filter as a picture, (h, w, 3): its colours around grey, or its strongest channel's sign and size."""
    value_Chw = filter_Chw.double().cpu().numpy()
    if len(value_Chw) == 3:
        return (0.5 + 0.5 * value_Chw / (np.abs(value_Chw).max() or 1.0)).transpose(1, 2, 0)
    return sheet.signed(value_Chw[np.square(value_Chw).sum(axis=(1, 2)).argmax()])


def compared(filter_NChw: Tensor, before_NChw: Tensor | None, seed: int = 0) -> dict[str, gabor.Fits]:
    """Return the fits by Gabor functions of the learned filters, of those before training, and of noise, by name."""
    size = (filter_NChw.shape[-2], filter_NChw.shape[-1])
    random = gabor.noise(size, RANDOM, generator(seed, "random filters"))
    smooth = gabor.noise(size, RANDOM, generator(seed, "smooth filters"), like=filter_NChw)
    fits = {"learned": gabor.fit(filter_NChw)}
    if before_NChw is not None:
        fits["before training"] = gabor.fit(before_NChw)
    return fits | {"random, as smooth": gabor.fit(smooth), "random, white": gabor.fit(random)}


def fitted(filter_NChw: Tensor, fits: Mapping[str, gabor.Fits]) -> Figure:
    """Draw each filter beside its Gabor fit, best first, and the shares explained beside those of random filters."""
    learned = fits["learned"]
    order = np.argsort(-learned.share_N.numpy(), kind="stable")
    count = len(order)
    if count > MOST_PAIRS:
        order = order[np.linspace(0, count - 1, MOST_PAIRS).round().astype(int)]
    wide = 4 if len(order) <= 12 else 6
    cells = [Cell(_pair(filter_NChw[n], learned.fitted_NChw[n]), f"{100 * learned.share_N[n]:.0f} %") for n in order]
    rows = [cells[first : first + wide] for first in range(0, len(cells), wide)]
    title = "Filters, each beside the Gabor function nearest to it"
    strips = 0.55 + 0.27 * len(fits)
    with house.style():
        made = sheet.sheet(title, _even(rows, wide), tall=0.48, gap=0.14, more=strips + 0.2)
        _strips(sheet.below(made, 0.35, strips - 0.5, left=1.55), fits)
    return made.figure


def _pair(filter_Chw: Tensor, fitted_Chw: Tensor) -> np.ndarray:
    """Return a filter and its fit side by side, in colours of one scale."""
    both = picture(torch.cat([filter_Chw.double().cpu(), fitted_Chw], dim=2))
    first, second = np.split(both, 2, axis=1)
    return np.concatenate([first, np.ones((len(first), 1, 3)), second], axis=1)


def _strips(ax: Axes, fits: Mapping[str, gabor.Fits]) -> None:
    """Draw the share of each filter as a dot, and the medians."""
    for row, (name, fit) in enumerate(fits.items()):
        colour = BLUE if name == "learned" else ORANGE if name == "before training" else SOFT
        share_N = 100 * fit.share_N.numpy()
        ax.plot(share_N, np.full(len(share_N), row), "|", color=colour, markersize=9, alpha=0.55, mew=1.2)
        middle = float(np.median(share_N))
        ax.plot([middle], [row], "o", color=colour, markersize=6.5, mec="white", mew=1, zorder=3)
        ax.annotate(f"{middle:.0f} %", (101.5, row), va="center", fontsize=8.5, color=INK, annotation_clip=False)
    ax.set(xlim=(0, 100), ylim=(len(fits) - 0.5, -0.5), xticks=[0, 25, 50, 75, 100])
    ax.set_yticks(range(len(fits)), list(fits), fontsize=8.5)
    ax.xaxis.set_major_formatter("{x:g} %")
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_title("Share explained: each filter, and the median", fontsize=9.5, pad=6)


def _even(rows: list[list[Cell]] | list[list[Cell | None]], columns: int) -> list[list[Cell | None]]:
    """Return rows of one length, so that a single short row keeps the size of the others' pictures."""
    return [[*row, *[None] * (columns - len(row))] for row in rows]
