"""The lecture's worked figures: what one, two and three hyperplanes make of h = max(W x + b, 0), y = w'·h + b'.

The lecture shows no numbers for them; these are ours, chosen so that every part is in sight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain import figures
from hyperplane.explain.layers import Layer, Layers
from hyperplane.explain.planes import hyperplanes
from hyperplane.explain.regions import Regions, regions
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WINDOW = ((-2.0, 2.0), (-2.0, 2.0))
_W = np.array([[1.0, 0.3], [-0.7, 0.8], [-0.3, -1.0]])
_B = np.array([0.8, 0.65, 0.7])
_OUTPUT = np.array([1.0, 1.0, -1.0])
_NUMBERS = {1: "One hyperplane", 2: "Two hyperplanes", 3: "Three hyperplanes"}


def net(count: int) -> Layers:
    """Return the worked net of one, two or three hyperplanes."""
    return Layers((Layer(_W[:count], _B[:count]),), Layer(_OUTPUT[None, :count], np.zeros(1)))


def draw(count: int) -> Figure:
    """Draw 1, 2 or 3 hyperplanes, their normals and what y is on each side, beside y as a surface."""
    made = net(count)
    found = regions(made, WINDOW)
    plane = figures.Plane(WINDOW)
    with house.style():
        from matplotlib.figure import Figure

        figure = Figure((8.6, 4.0), dpi=200, layout="constrained")
        grid = figure.add_gridspec(1, 2, width_ratios=[1, 1.12])
        flat, high = figure.add_subplot(grid[0]), figure.add_subplot(grid[1], projection="3d")
        figures.frame(flat, plane)
        _tell_regions(flat, found)
        _tell_hyperplanes(flat, made)
        flat.set_title(_NUMBERS[count])
        figures.solid(high, plane, found)
        high.set_title("y, a plane on each region", loc="left")
    return figure


def _tell_regions(ax: Axes, found: Regions) -> None:
    from matplotlib.collections import PolyCollection

    value_P = np.einsum("pkd,pd->p", found.slope_PK2, found.centre_P2) + found.offset_PK[:, 0]
    low, high = float(found.value_PVK.min()), float(found.value_PVK.max())
    colour_P = 0.42 * figures.heights()((value_P - low) / ((high - low) or 1.0))[:, :3] + 0.58
    ax.add_collection(PolyCollection(found.polygons, facecolors=colour_P, edgecolors="none"), autolim=False)
    for p, corner_V2 in enumerate(found.polygons):
        on = np.flatnonzero(found.active_PH[p])
        told = " ".join(f"{'−' if _OUTPUT[unit] < 0 else '+'} h{'₁₂₃'[unit]}" for unit in on) or "0"
        x, y = _middle(corner_V2)
        ax.text(
            x,
            y,
            f"y = {told.removeprefix('+ ').replace('− ', '−', told[0] == '−')}",
            ha="center",
            va="center",
            fontsize=8.5,
            color=INK,
        )


def _middle(corner_V2: np.ndarray) -> np.ndarray:
    """Return a polygon's centre of mass."""
    following_V2 = np.roll(corner_V2, -1, axis=0)
    cross_V = corner_V2[:, 0] * following_V2[:, 1] - corner_V2[:, 1] * following_V2[:, 0]
    return ((corner_V2 + following_V2) * cross_V[:, None]).sum(axis=0) / (3 * cross_V.sum())


def _tell_hyperplanes(ax: Axes, made: Layers) -> None:
    for unit, plane in enumerate(hyperplanes(made)):
        ends = plane.segment(WINDOW)
        assert ends is not None
        colour = figures.DEPTHS[unit]
        ax.plot(ends[:, 0], ends[:, 1], color=colour, linewidth=2)
        foot = ends[0] + (0.14, 0.14, 0.9)[unit] * (ends[1] - ends[0])
        tip = foot + 0.5 * plane.normalised().w_D
        ax.annotate("", tip, foot, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkA": 0})
        beyond = foot + 0.68 * plane.normalised().w_D
        ax.text(
            beyond[0],
            beyond[1],
            f"w{'₁₂₃'[unit]}",
            color=colour,
            ha="center",
            va="center",
            fontsize=9.5,
            fontweight="bold",
        )
