"""What a small net learned on the plane, drawn: boundary, field, classes, hyperplanes, regions, and a picture.

Exact where the net is piecewise affine: a region is one polygon, a hyperplane its segments.
Shapes: P regions, S points of a line, H and W grid lines, K classes or outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from hyperplane.explain import drawing
from hyperplane.explain.drawing import DEPTHS, HUES, Plane, Scale
from hyperplane.explain.planes import Window
from hyperplane.explain.regions import Regions
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

MOST_CLASSES = 10
"""Of which each has its own field."""


def boundary(plane: Plane, lines: Sequence[np.ndarray], margin_HWK: np.ndarray) -> Figure:
    """Draw the decision boundary, each class' side in its colour, and the samples.

    Arguments: the boundary's lines, each (S, 2); the logits over a grid, of one output or of one for each class.
    """
    with house.style():
        figure, ax = drawing.flat(plane)
        drawing.paint(ax, plane, drawing.sides(margin_HWK, 0.78))
        drawing.lines(ax, lines, INK, 1.8)
        drawing.points(ax, plane)
        drawing.numbers(ax, plane)
        ax.set_title("Where the net decides")
        drawing.legend(ax, plane, drawing.ahead(margin_HWK))
    return figure


def field(
    plane: Plane, value_HW: np.ndarray, lines: Sequence[np.ndarray], name: str, probability: bool, output: int = 0
) -> Figure:
    """Draw a value over the plane, and lines that matter.

    Arguments: the value on a grid; the lines, each (S, 2); what the value is called; whether it is a probability; where
    it is not, which of the numbers to predict it is: the samples have the colour of theirs.
    """
    with house.style():
        figure, ax = drawing.flat(plane)
        if probability:
            scale = Scale(drawing.between(0.4), 0.0, 1.0)
        else:
            true_N = None if plane.value_NK is None else plane.value_NK[:, output]
            scale = Scale(drawing.heights(), *drawing.span(value_HW, true_N))
        image = drawing.paint(ax, plane, value_HW, scale)
        if value_HW.min() < value_HW.max():
            (low1, high1), (low2, high2) = plane.window
            levels = [0.1, 0.25, 0.75, 0.9] if probability else np.linspace(*drawing.span(value_HW), 10)[1:-1]
            x1_W, x2_H = np.linspace(low1, high1, value_HW.shape[1]), np.linspace(low2, high2, value_HW.shape[0])
            drawn = ax.contour(x1_W, x2_H, value_HW, levels, colors="white", linewidths=0.8, linestyles="solid")
            drawn.set_rasterized(sum(np.shape(path.vertices)[0] for path in drawn.get_paths()) > drawing.MOST_CORNERS)
        drawing.lines(ax, lines, INK, 1.6)
        drawing.points(ax, plane, small=True, scale=scale, output=output)
        drawing.numbers(ax, replace(plane, pictures=()))
        bar = drawing.bar(figure, image, ax=ax, fraction=0.05, pad=0.03, aspect=24)
        if probability:
            bar.ax.yaxis.set_major_formatter(house.percent)
        ax.set_title(house.shortened(name, 48))
    return figure


def certainty(plane: Plane, value_HWK: np.ndarray, lines: Sequence[np.ndarray]) -> Figure:
    """Draw which of several classes is likeliest, by its colour, and how likely it is, by the colour's strength.

    Arguments: the logits on a grid; the decision boundary's lines, each (S, 2).
    """
    with house.style():
        figure, ax = drawing.flat(plane)
        drawing.paint(ax, plane, drawing.sureness(value_HWK))
        drawing.lines(ax, lines, INK, 1.2)
        drawing.points(ax, plane, small=True)
        drawing.numbers(ax, replace(plane, pictures=()))
        ax.set_title("How sure the net is: stronger is surer")
        drawing.legend(ax, plane, drawing.ahead(value_HWK))
    return figure


def classes(plane: Plane, value_HWK: np.ndarray) -> Figure:
    """Draw the probability of each of several classes, one small plane for each; of many, those that are likeliest.

    Argument: the logits on a grid.
    """
    with house.style():
        share_HWK = drawing.probability(value_HWK)
        order = np.argsort(-share_HWK.mean(axis=(0, 1)), kind="stable")[:MOST_CLASSES]
        shown = sorted(order.tolist())
        columns = min(len(shown), 3 if len(shown) in (3, 5, 6, 9) else 4 if len(shown) < 9 else 5)
        rows = math.ceil(len(shown) / columns)
        figure = drawing.new(5.6, 0.5 + 5.3 / columns * rows)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, k in zip(axes, shown, strict=False):
            drawing.frame(ax, replace(plane, names=("", "")))
            ax.set(xticks=[], yticks=[])
            hue = HUES[k % len(HUES)]
            scale = Scale(drawing.between(0.0, ("#ffffff", hue)), -1.0, 1.0)
            drawing.paint(ax, plane, share_HWK[..., k], scale)
            mine = plane.label_N == k if plane.label_N is not None else None
            if plane.point_NE is not None and mine is not None:
                ax.plot(*plane.point_NE[mine].T, "o", color=INK, markersize=4 if plane.numbered else 1.3, mew=0,
                        alpha=1.0 if plane.numbered else 0.5, rasterized=True)  # fmt: skip
            ax.set_title(house.shortened(plane.classes[k], 16), fontsize=9.5, color=hue, pad=5)
        for ax in axes[len(shown) :]:
            ax.set_axis_off()
        figure.suptitle("Probability of each class: white 0, full colour 1", x=0.015, ha="left", fontsize=11,
                        fontweight="bold")  # fmt: skip
    return figure


def hyperplanes(
    plane: Plane, lines: Sequence[Sequence[np.ndarray] | np.ndarray], widths: Sequence[int], window: Window
) -> Figure:
    """Draw the hyperplane of every unit, a colour for each layer.

    Arguments: for each layer the lines of all of its units, each (S, 2) or as one (S, 2, 2); how many units each has;
    the part of the plane's window that is drawn.
    """
    with house.style():
        figure, ax = drawing.flat(replace(plane, window=window))
        drawing.points(ax, plane, small=True, faint=True)
        for depth in reversed(range(len(lines))):
            drawing.lines(ax, lines[depth], DEPTHS[depth % len(DEPTHS)], thickness(widths, depth))
        drawing.numbers(ax, replace(plane, pictures=()))
        for depth, units in enumerate(widths):
            told = f"layer {depth + 1}: {units:,} unit{'s' * (units != 1)}"
            ax.plot([], [], color=DEPTHS[depth % len(DEPTHS)], label=told)
        drawing.under(ax)
        ax.set_title(f"Hyperplanes of the units{close_up(plane, window)}")
    return figure


def thickness(widths: Sequence[int], depth: int) -> float:
    """Return how thick the lines of a layer's units are: thinner where there are many, and beyond the first layer."""
    thick = float(np.interp(sum(widths), [40, 200], [1.7, 0.6]))
    return thick if depth == 0 else 0.7 * thick


def close_up(plane: Plane, window: Window) -> str:
    """Return what a title adds where only a part of the plane's window is drawn."""
    return "" if window == plane.window else " (close-up)"


def regions(plane: Plane, found: Regions, by: Literal["slope", "units"] = "slope", output: int = 0) -> Figure:
    """Draw the linear regions, coloured by which way and how steeply an output rises, or by how many units are on."""
    with house.style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        figure = drawing.new(5.6, 4.8)
        ax, beside = figure.subplots(1, 2, width_ratios=[1, 0.22])
        drawing.frame(ax, replace(plane, window=found.window))
        beside.set_axis_off()
        count_P = found.active_PH.sum(axis=1)
        if by == "slope":
            colour_P3 = _by_slope(found.slope_PK2[:, output])
        else:
            scale = ScalarMappable(Normalize(count_P.min() - 0.5, count_P.max() + 0.5), drawing.heights())
            colour_P3 = scale.to_rgba(count_P)[:, :3]
        _facets(ax, found, colour_P3)
        many = "1 linear region" if len(found) == 1 else f"{len(found):,} linear regions"
        ax.set_title(f"{many} of {sum(found.widths):,} units{close_up(plane, found.window)}")
        if by == "slope":
            _wheel(beside)
        else:
            bar = drawing.bar(figure, scale, cax=beside.inset_axes((0, 0, 0.22, 1)), label="units on")
            bar.ax.yaxis.set_major_locator(house.few_ticks(6, whole=True))
    return figure


def picture(drawn_HWK: np.ndarray, true_HWK: np.ndarray | None) -> Figure:
    """Draw a picture that a net is a function of the place for, between its pixels too, beside the pixels learned from.

    Arguments: levels in [0, 255], grey or red, green and blue, the first row at the bottom; None where they are gone.
    """
    with house.style():
        figure = drawing.new(5.6, 3.0)
        shown = [(drawn_HWK, "What the net draws")]
        if true_HWK is not None:
            shown.append((true_HWK, "What it learned from, {} × {}".format(*true_HWK.shape[1::-1])))
        for ax, (level_HWK, title) in zip(figure.subplots(1, 2), shown, strict=False):
            ax.imshow(visible(level_HWK), "gray", vmin=0, vmax=1, origin="lower", interpolation="nearest")
            ax.set_title(title, fontsize=10)
        for ax in figure.axes:
            ax.set_axis_off()
    return figure


def visible(level_HWK: np.ndarray) -> np.ndarray:
    """Return levels in [0, 255] as what a screen shows, in [0, 1]: (H, W) of grey, or (H, W, 3); pale blue for none."""
    shown_HWK = np.clip(level_HWK / 255, 0, 1)
    gone_HW1 = np.isnan(shown_HWK).any(axis=-1, keepdims=True)
    if gone_HW1.any():
        shown_HWK = np.where(gone_HW1, drawing.pale(BLUE, 0.55), shown_HWK)
    return shown_HWK[..., 0] if shown_HWK.shape[-1] == 1 else shown_HWK


def _facets(ax: Axes, found: Regions, colour_P3: np.ndarray) -> None:
    from matplotlib.collections import PolyCollection

    width = float(np.interp(len(found), [30, 3000], [1.0, 0.15]))
    drawn = PolyCollection(found.polygons, facecolors=colour_P3, edgecolors="white", linewidths=width)
    drawn.set_rasterized(len(found) > drawing.MOST_PATHS)
    ax.add_collection(drawn, autolim=False)


def _by_slope(slope_P2: np.ndarray) -> np.ndarray:
    """Return a colour for each slope, (P, 3): its hue says which way is up, its strength how steep."""
    angle_P = np.arctan2(slope_P2[:, 1], slope_P2[:, 0]) / (2 * np.pi) % 1
    steep_P = np.linalg.norm(slope_P2, axis=1)
    rank_P = np.clip(steep_P / (np.percentile(steep_P, 95) or 1.0), 0, 1) ** 0.7
    paper_3 = np.array([0.955, 0.962, 0.97])
    full_P3 = _around()(angle_P)[:, :3]
    return paper_3 + (0.18 + 0.82 * rank_P[:, None]) * (steep_P > 0)[:, None] * (full_P3 - paper_3)


def _wheel(ax: Axes) -> None:
    """Draw the key to the colours of slopes at the top of empty axes."""
    from matplotlib.patches import Wedge

    key = ax.inset_axes((-0.1, 0.74, 1.2, 0.26))
    key.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal", anchor="N")
    key.set_axis_off()
    told = "which way\nit rises;\nstronger:\nsteeper"
    ax.text(0.5, 0.72, told, transform=ax.transAxes, ha="center", va="top", fontsize=8.5, color=SOFT)
    for step in range(72):
        key.add_patch(Wedge((0, 0), 1, 5 * step - 0.5, 5 * step + 5.5, width=0.5, color=_around()((step + 0.5) / 72)))


def _around() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#d9620f", "#c9972a", "#5b9a55", "#1d8a8a", "#1f5fa8", "#6a55a8", "#b0508a", "#d9620f"]
    return LinearSegmentedColormap.from_list("around", stops)
