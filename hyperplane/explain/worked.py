"""The lecture's worked figures: what one, two and three hyperplanes make of h = max(W x + b, 0), y = w'·h + b'.

And what a second layer makes of two: h' = max(W' h + b', 0), y = w''·h' + b''. The lecture shows no numbers for them;
these are ours, chosen so that every part is in sight, with b' = b'' = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain import drawing, surfaces
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
_SECOND = Layer(np.array([[1.0, 1.0], [-1.0, 1.0]]), np.array([-1.5, 0.35]))
_SECOND_OUTPUT = np.array([[1.0, 1.0]])
_TOLD = np.array([[-0.3, 1.2], [1.15, 1.05], [1.5, -0.65], [0.55, -1.25], [-1.52, 0.72], [-1.5, -0.55]])
"""Where the figure of two layers says what y is."""
_TITLES = {1: "One hyperplane", 2: "Two hyperplanes", 3: "Three hyperplanes"}


def figures() -> dict[str, Figure]:
    """Return all of them by name, in the lecture's order."""
    return {
        "one-hyperplane": draw(1),
        "two-hyperplanes": draw(2),
        "three-hyperplanes": draw(3),
        "one-layer-two-hyperplanes": draw(2, "One layer: two hyperplanes"),
        "two-layers-two-hyperplanes": draw_two_layers(),
    }


def net(count: int) -> Layers:
    """Return the worked net of one, two or three hyperplanes."""
    return Layers((Layer(_W[:count], _B[:count]),), Layer(_OUTPUT[None, :count], np.zeros(1)))


def two_layers() -> Layers:
    """Return the worked net of two layers, of two hyperplanes each; the first is that of `net(2)`."""
    return Layers((*net(2).hidden, _SECOND), Layer(_SECOND_OUTPUT, np.zeros(1)))


def draw(count: int, title: str | None = None) -> Figure:
    """Draw 1, 2 or 3 hyperplanes, their normals and what y is on each side, beside y as a surface."""
    made = net(count)
    found = regions(made, WINDOW)
    with house.style():
        figure, ax = _beside_surface(found, title or _TITLES[count])
        _shade(ax, found)
        for p, corner_V2 in enumerate(found.polygons):
            on = np.flatnonzero(found.active_PH[p])
            told = " ".join(f"{'−' if _OUTPUT[unit] < 0 else '+'} h{'₁₂₃'[unit]}" for unit in on) or "0"
            told = told.removeprefix("+ ").replace("− ", "−", told[0] == "−")
            x, y = _middle(corner_V2)
            ax.text(x, y, f"y = {told}", ha="center", va="center", fontsize=8.5 if count < 3 else 7.8,
                    color=INK)  # fmt: skip
        _tell_hyperplanes(ax, made, drawing.DEPTHS)
    return figure


def draw_two_layers() -> Figure:
    """Draw two layers of two hyperplanes: the first layer's straight, the second's bent where they cross these."""
    made = two_layers()
    found = regions(made, WINDOW)
    with house.style():
        figure, ax = _beside_surface(found, "Two layers: two hyperplanes")
        _shade(ax, found)
        first, second = drawing.DEPTHS[:2]
        for unit in range(2):
            bent = found.bends.of(1, unit)
            drawing.lines(ax, bent, second, 2.0)
            place_2 = ((-1.62, 0.02), (0.92, 1.72))[unit]
            ax.text(*place_2, f"w\N{PRIME}{'₁₂'[unit]}", color=second, ha="center", va="center", fontsize=9.5,
                    fontweight="bold")  # fmt: skip
        for (x, y), before_H in zip(_TOLD, made.before(_TOLD)[1], strict=True):
            on = [f"h\N{PRIME}{'₁₂'[unit]}" for unit in np.flatnonzero(before_H > 0)]
            ax.text(x, y, f"y = {' + '.join(on) or '0'}", ha="center", va="center", fontsize=7.8, color=INK)
        _tell_hyperplanes(ax, made, (first, first))
    return figure


def _beside_surface(found: Regions, title: str) -> tuple[Figure, Axes]:
    """Return a figure with y as a surface to the right, and empty axes to the left."""
    from matplotlib.figure import Figure

    plane = drawing.Plane(WINDOW)
    figure = Figure((8.6, 4.0), dpi=drawing.DOTS, layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=[1, 1.12])
    flat, high = figure.add_subplot(grid[0]), figure.add_subplot(grid[1], projection="3d")
    drawing.frame(flat, plane)
    flat.set_title(title)
    surfaces.solid(high, plane, found)
    high.set_title("y, a plane on each region", loc="left")
    return figure, flat


def _shade(ax: Axes, found: Regions) -> None:
    """Fill each region with the colour of y in its middle."""
    from matplotlib.collections import PolyCollection

    value_P = np.einsum("pkd,pd->p", found.slope_PK2, found.centre_P2) + found.offset_PK[:, 0]
    scale = drawing.Scale(drawing.heights(), *drawing.span(found.value_PVK))
    filled = PolyCollection(found.polygons, facecolors=0.42 * scale(value_P) + 0.58, edgecolors="none")
    ax.add_collection(filled, autolim=False)


def _middle(corner_V2: np.ndarray) -> np.ndarray:
    """Return a polygon's centre of mass."""
    following_V2 = np.roll(corner_V2, -1, axis=0)
    cross_V = corner_V2[:, 0] * following_V2[:, 1] - corner_V2[:, 1] * following_V2[:, 0]
    return ((corner_V2 + following_V2) * cross_V[:, None]).sum(axis=0) / (3 * cross_V.sum())


def _tell_hyperplanes(ax: Axes, made: Layers, colours: Sequence[str]) -> None:
    """Draw the first layer's hyperplanes, and their normals."""
    for unit, plane in enumerate(hyperplanes(made)):
        ends = plane.segment(WINDOW)
        assert ends is not None
        colour = colours[unit]
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
