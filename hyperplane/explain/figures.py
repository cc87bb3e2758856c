"""What a small net learned, drawn: boundary, field, hyperplanes, regions, surface, and the net along a line.

Exact where the net is piecewise affine: a region is one polygon, a hyperplane its segments, a surface its facets.
Shapes: N points, P regions, V corners, S segments, H and W grid lines, K classes or outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hyperplane.explain.planes import Window
from hyperplane.explain.regions import Regions
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, RULE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

HUES = (ORANGE, BLUE, "#1d8a6b", "#8a4b9e", "#b8890b", "#c2416b", "#4a7f9d", "#7a5c3e", "#5d8a1f", "#44515e")
"""Of classes in the order of their labels, so that of two the positive one is blue; further ones start again."""
DEPTHS = (BLUE, ORANGE, "#1d8a6b", "#8a4b9e", "#b8890b", "#c2416b")
"""Of hidden layers, first to last."""
_MOST_PATHS = 6000
"""Of one figure as vector graphics; more become pixels."""


@dataclass(frozen=True)
class Plane:
    """The plane that is drawn on, and the samples in it."""

    window: Window
    names: tuple[str, str] = ("x₁", "x₂")
    point_N2: np.ndarray | None = None
    label_N: np.ndarray | None = None
    """The class of each point; None where the target is a number."""
    classes: tuple[str, ...] = ()


def boundary(plane: Plane, lines: Sequence[np.ndarray], margin_HWK: np.ndarray) -> Figure:
    """Draw the decision boundary, each class' side in its colour, and the points.

    Arguments: the boundary's lines, each (S, 2); the logits over a grid, of one output or of one for each class.
    """
    with house.style():
        figure, ax = _flat(plane)
        _paint(ax, plane, _sides(margin_HWK, 0.78))
        _lines(ax, lines, INK, 1.8)
        _points(ax, plane)
        ax.set_title("Where the net decides")
        _legend(ax, plane, margin_HWK)
    return figure


def field(plane: Plane, value_HW: np.ndarray, lines: Sequence[np.ndarray], name: str, probability: bool) -> Figure:
    """Draw a value over the plane, and lines that matter.

    Arguments: the value on a grid; the lines, each (S, 2); what the value is called; whether it is a probability.
    """
    with house.style():
        figure, ax = _flat(plane)
        span = (0.0, 1.0) if probability else (float(value_HW.min()), float(value_HW.max()))
        image = _paint(ax, plane, value_HW, _between(0.4) if probability else heights(), span)
        if span[0] < span[1]:
            (low1, high1), (low2, high2) = plane.window
            levels = [0.1, 0.25, 0.75, 0.9] if probability else np.linspace(*span, 10)[1:-1]
            x1_W, x2_H = np.linspace(low1, high1, value_HW.shape[1]), np.linspace(low2, high2, value_HW.shape[0])
            ax.contour(x1_W, x2_H, value_HW, levels, colors="white", linewidths=0.8, linestyles="solid")
        _lines(ax, lines, INK, 1.6)
        _points(ax, plane, small=True)
        bar = figure.colorbar(image, ax=ax, fraction=0.05, pad=0.03, aspect=24)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.ax.yaxis.set_major_locator(house.few_ticks(6))
        if probability:
            bar.ax.yaxis.set_major_formatter(house.percent)
        ax.set_title(house.shortened(name, 48))
    return figure


def certainty(plane: Plane, value_HWK: np.ndarray, lines: Sequence[np.ndarray]) -> Figure:
    """Draw which of several classes is likeliest, by its colour, and how likely it is, by the colour's strength.

    Arguments: the logits on a grid; the decision boundary's lines, each (S, 2).
    """
    with house.style():
        figure, ax = _flat(plane)
        odds_HWK = np.exp(value_HWK - value_HWK.max(axis=-1, keepdims=True))
        least = 1 / value_HWK.shape[-1]
        share_HW1 = (1 / odds_HWK.sum(axis=-1, keepdims=True) - least) / (1 - least)
        paper_3 = np.array([0.98, 0.98, 0.98])
        _paint(ax, plane, paper_3 + share_HW1 * (_sides(value_HWK, 0.35) - paper_3))
        _lines(ax, lines, INK, 1.2)
        _points(ax, plane, small=True)
        ax.set_title("How sure the net is: stronger is surer")
        _legend(ax, plane, value_HWK)
    return figure


def hyperplanes(plane: Plane, lines: Sequence[Sequence[np.ndarray] | np.ndarray], widths: Sequence[int]) -> Figure:
    """Draw the hyperplane of every unit, a colour for each layer.

    Arguments: for each layer the lines of all of its units, each (S, 2) or as one (S, 2, 2); how many units each has.
    """
    with house.style():
        figure, ax = _flat(plane)
        _points(ax, plane, small=True, faint=True)
        thick = float(np.interp(sum(widths), [40, 200], [1.7, 0.6]))
        for depth in reversed(range(len(lines))):
            _lines(ax, lines[depth], DEPTHS[depth % len(DEPTHS)], thick if depth == 0 else 0.7 * thick)
        for depth, units in enumerate(widths):
            told = f"layer {depth + 1}: {units:,} unit{'s' * (units != 1)}"
            ax.plot([], [], color=DEPTHS[depth % len(DEPTHS)], label=told)
        _under(ax)
        ax.set_title("Hyperplanes of the units")
    return figure


def regions(plane: Plane, found: Regions, by: Literal["slope", "units"] = "slope", output: int = 0) -> Figure:
    """Draw the linear regions, coloured by which way and how steeply an output rises, or by how many units are on."""
    with house.style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        figure = _new((5.6, 4.6))
        ax, beside = figure.subplots(1, 2, width_ratios=[1, 0.22])
        frame(ax, replace(plane, window=found.window))
        beside.set_axis_off()
        count_P = found.active_PH.sum(axis=1)
        if by == "slope":
            colour_P3 = _by_slope(found.slope_PK2[:, output])
        else:
            scale = ScalarMappable(Normalize(count_P.min() - 0.5, count_P.max() + 0.5), heights())
            colour_P3 = scale.to_rgba(count_P)[:, :3]
        _facets(ax, found, colour_P3)
        many = "1 linear region" if len(found) == 1 else f"{len(found):,} linear regions"
        ax.set_title(f"{many} of {sum(found.widths):,} units{' (close-up)' * (found.window != plane.window)}")
        if by == "slope":
            _wheel(beside)
        else:
            bar = figure.colorbar(scale, cax=beside.inset_axes((0, 0, 0.22, 1)), label="units on")
            bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
            bar.ax.yaxis.set_major_locator(house.few_ticks(6, whole=True))
    return figure


def surface(
    plane: Plane,
    shown: Regions | np.ndarray,
    name: str = "y",
    output: int = 0,
    decision: Sequence[np.ndarray] | None = None,
) -> Figure:
    """Draw an output as a surface: the facets of a ReLU net, exactly, or of another one its values on a grid.

    `decision` is where the output is 0, lines each (S, 2), for log odds: these are coloured by their probability.
    """
    with house.style():
        figure = _new((5.6, 4.2))
        ax = figure.add_subplot(projection="3d")
        solid(ax, plane, shown, output, odds=decision is not None)
        for line_S2 in decision or ():
            ax.plot(line_S2[:, 0], line_S2[:, 1], 0.0, color=INK, linewidth=1.4, zorder=len(HUES))
        ax.set_title(house.shortened(name, 48), loc="left")
    return figure


def along_line(x_S: np.ndarray, value_S: np.ndarray, breaks: bool, names: tuple[str, str], title: str) -> Figure:
    """Draw an output along a line through the inputs; `breaks` marks every point but the ends as a breakpoint.

    Arguments: positions along the line and the output there, (S,) both; what they are called; the title.
    """
    with house.style():
        figure = _new((5.6, 3.4))
        ax = figure.add_subplot()
        ax.plot(x_S, value_S, color=BLUE)
        if breaks:
            ax.plot(x_S[1:-1], value_S[1:-1], "o", color=ORANGE, markersize=3.5 if len(x_S) < 80 else 2)
        ax.set(xlabel=house.shortened(names[0], 48), ylabel=house.shortened(names[1], 32), xlim=(x_S[0], x_S[-1]))
        ax.xaxis.set_major_locator(house.few_ticks(6))
        ax.yaxis.set_major_locator(house.few_ticks(5))
        ax.set_title(house.shortened(title, 56))
    return figure


# What the figures share


def _new(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    return Figure(size, dpi=200, layout="constrained")


def _flat(plane: Plane) -> tuple[Figure, Axes]:
    figure = _new((5.6, 5.0))
    ax = figure.add_subplot()
    frame(ax, plane)
    return figure, ax


def frame(ax: Axes, plane: Plane) -> None:
    """Set up axes for a window of the plane; of equal scales where the window is about as wide as high."""
    ax.set(xlim=plane.window[0], ylim=plane.window[1])
    ax.set(xlabel=house.shortened(plane.names[0], 32), ylabel=house.shortened(plane.names[1], 32))
    ax.grid(False)
    ax.xaxis.set_major_locator(house.few_ticks(6))
    ax.yaxis.set_major_locator(house.few_ticks(6))
    wide, high = (last - first for first, last in plane.window)
    if 0.55 < wide / high < 1.8:
        ax.set_aspect("equal")


def _paint(
    ax: Axes, plane: Plane, value: np.ndarray, colours: Colormap | None = None, span: tuple[float, float] = (0, 1)
) -> Any:
    extent = (*plane.window[0], *plane.window[1])
    low, high = span
    return ax.imshow(value, colours, origin="lower", extent=extent, aspect=ax.get_aspect(), vmin=low, vmax=high,
                     interpolation="bilinear")  # fmt: skip


def _ahead(value_HWK: np.ndarray) -> np.ndarray:
    """Return the class that is ahead at each grid point, (H, W)."""
    return (value_HWK[..., 0] > 0).astype(int) if value_HWK.shape[-1] == 1 else value_HWK.argmax(axis=-1)


def _sides(value_HWK: np.ndarray, paleness: float) -> np.ndarray:
    """Return the colour of the class that is ahead at each grid point, (H, W, 3)."""
    colours = [_pale(HUES[k % len(HUES)], paleness) for k in range(max(2, value_HWK.shape[-1]))]
    return np.array(colours)[_ahead(value_HWK)]


def _lines(ax: Axes, lines: Sequence[np.ndarray] | np.ndarray, colour: str, width: float) -> None:
    from matplotlib.collections import LineCollection

    if len(lines):
        drawn = LineCollection(list(lines), colors=colour, linewidths=width, capstyle="round")
        drawn.set_rasterized(len(lines) > _MOST_PATHS)
        ax.add_collection(drawn, autolim=False)


def _points(ax: Axes, plane: Plane, small: bool = False, faint: bool = False) -> None:
    if plane.point_N2 is None:
        return
    many = len(plane.point_N2)
    size = (4.2 if many <= 300 else 3.0 if many <= 2000 else 1.8) * (0.75 if small else 1.0)
    label_N = plane.label_N
    for k in range(len(plane.classes)) if label_N is not None else [-1]:
        chosen_N2 = plane.point_N2 if label_N is None else plane.point_N2[label_N == k]
        colour = SOFT if label_N is None else HUES[k % len(HUES)]
        edge: dict[str, Any] = {"mew": 0} if faint else {"mec": "white", "mew": 0.5 if many <= 2000 else 0}
        ax.plot(chosen_N2[:, 0], chosen_N2[:, 1], "o", color=colour, markersize=size, alpha=0.3 if faint else 0.95,
                rasterized=many > 5000, clip_on=True, **edge)  # fmt: skip


def _legend(ax: Axes, plane: Plane, value_HWK: np.ndarray) -> None:
    """Name the classes that are ahead somewhere, or have points."""
    seen = set(np.unique(_ahead(value_HWK)).tolist()) | set([] if plane.label_N is None else plane.label_N.tolist())
    for k in sorted(seen)[:15]:
        ax.plot([], [], "o", color=HUES[k % len(HUES)], markersize=5, label=house.shortened(plane.classes[k], 20))
    _under(ax)


def _under(ax: Axes) -> None:
    entries = len(ax.get_legend_handles_labels()[0])
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=min(5, max(1, entries)), handlelength=1.3,
              columnspacing=1.3)  # fmt: skip


def _facets(ax: Axes, found: Regions, colour_P3: np.ndarray) -> None:
    from matplotlib.collections import PolyCollection

    width = float(np.interp(len(found), [30, 3000], [1.0, 0.15]))
    drawn = PolyCollection(found.polygons, facecolors=colour_P3, edgecolors="white", linewidths=width)
    drawn.set_rasterized(len(found) > _MOST_PATHS)
    ax.add_collection(drawn, autolim=False)


def solid(ax: Any, plane: Plane, shown: Regions | np.ndarray, output: int = 0, odds: bool = False) -> None:
    """Draw an output as a surface on 3-D axes, coloured by height, or as log odds by probability."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    if isinstance(shown, Regions):
        value_PV = shown.value_PVK[..., output]
        corners = [
            np.column_stack([corner_V2, value_V[: len(corner_V2)]])
            for corner_V2, value_V in zip(shown.polygons, value_PV, strict=True)
        ]
        normal_P3 = np.column_stack([-shown.slope_PK2[:, output], np.ones(len(shown))])
        middle_P = np.array([corner_V3[:, 2].mean() for corner_V3 in corners])
        low, high = float(value_PV.min()), float(value_PV.max())
    else:
        value_HW = _thinned(shown)
        corners, normal_P3 = _quads(value_HW, plane.window)
        middle_P = np.array([corner_V3[:, 2].mean() for corner_V3 in corners])
        low, high = float(value_HW.min()), float(value_HW.max())
    span = (high - low) or 1.0
    size_3 = np.array([*(last - first for first, last in plane.window), span])
    hue_P4 = _between(0.15)(0.5 + 0.5 * np.tanh(middle_P / 2)) if odds else heights()((middle_P - low) / span)
    colour_P3 = hue_P4[:, :3] * _lit(normal_P3 * size_3)[:, None]
    edges = {"edgecolors": "white", "linewidths": float(np.interp(len(corners), [30, 1500], [0.8, 0.12]))}
    if not isinstance(shown, Regions):
        edges = {"edgecolors": np.clip(colour_P3, 0, 1), "linewidths": 0.2}
    drawn = Poly3DCollection(corners, facecolors=np.clip(colour_P3, 0, 1), **edges)  # pyright: ignore[reportArgumentType]
    drawn.set_rasterized(len(corners) > _MOST_PATHS)
    ax.add_collection3d(drawn, autolim=False)
    ax.set(xlim=plane.window[0], ylim=plane.window[1], zlim=(low, low + span))
    ax.set(xlabel=house.shortened(plane.names[0], 24), ylabel=house.shortened(plane.names[1], 24))
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(house.few_ticks(4))
        axis.set_pane_color((1, 1, 1, 0))
        axis._axinfo["grid"].update(color=RULE, linewidth=0.7)
        axis.line.set_color(RULE)
    ax.tick_params(pad=0)
    ax.set_box_aspect((1, 1, 0.62), zoom=0.96)
    ax.view_init(elev=28, azim=-58)


def _thinned(value_HW: np.ndarray) -> np.ndarray:
    step = max(1, len(value_HW) // 120)
    return value_HW[::step, ::step]


def _quads(value_HW: np.ndarray, window: Window) -> tuple[list[np.ndarray], np.ndarray]:
    x1_W, x2_H = (np.linspace(*span, size) for span, size in zip(window, value_HW.shape[::-1], strict=True))
    point_HW3 = np.dstack([*np.meshgrid(x1_W, x2_H), value_HW])
    a, b, c, d = point_HW3[:-1, :-1], point_HW3[:-1, 1:], point_HW3[1:, 1:], point_HW3[1:, :-1]
    quad_P43 = np.stack([a, b, c, d], axis=2).reshape(-1, 4, 3)
    return list(quad_P43), np.cross(c - a, d - b).reshape(-1, 3)


def _lit(normal_P3: np.ndarray) -> np.ndarray:
    """Return how bright a facet is under a lamp to the upper left, (P,)."""
    scaled_P3 = normal_P3 / np.linalg.norm(normal_P3, axis=1, keepdims=True)
    return 0.86 + 0.2 * (scaled_P3 @ np.array([-0.48, -0.36, 0.8]))


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


def heights() -> Colormap:
    """Return the colours of low to high values."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#1f5fa8", "#5f93ca", "#a9c6e4", "#f1ede8", "#f6cfae", "#ec9f5c", "#d9620f"]
    return LinearSegmentedColormap.from_list("height", stops)


def _between(paleness: float) -> Colormap:
    """Return the colours of probabilities, from the negative class' through white to the positive one's."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = (_pale(hue, paleness) for hue in HUES[:2])
    return LinearSegmentedColormap.from_list("between", [next(ends), (0.98, 0.98, 0.98), next(ends)])


def _pale(colour: str, share: float) -> tuple[float, float, float]:
    red, green, blue = (part + share * (1 - part) for part in house.rgb(colour))
    return red, green, blue
