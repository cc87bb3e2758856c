"""What the figures of explanation share: the plane that is drawn on, its axes, its samples, and their colours.

Shapes: N samples, E coordinates (2 on a plane, 1 on a line), K classes or outputs, S points of a line, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hyperplane.explain.planes import Window
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

HUES = (ORANGE, BLUE, "#1d8a6b", "#8a4b9e", "#b8890b", "#c2416b", "#4a7f9d", "#7a5c3e", "#5d8a1f", "#44515e")
"""Of classes in the order of their labels, so that of two the positive one is blue; further ones start again."""
DEPTHS = (BLUE, ORANGE, "#1d8a6b", "#8a4b9e", "#b8890b", "#c2416b")
"""Of hidden layers, first to last."""
MOST_PATHS = 2000
"""Of one figure as vector graphics; more become pixels."""
MOST_CORNERS = 12_000
"""Of the contours of one figure as vector graphics."""
DOTS = 120
"""Per inch of what is pixels within vector graphics: fine enough on a page, and no more than a report should weigh."""
_THUMBNAIL = 38
"""Points along the longer side of a sample's picture."""


@dataclass(frozen=True)
class Plane:
    """The plane, or the line, that is drawn on, and the samples on it."""

    window: Window
    """Of a line only the first span counts."""
    names: tuple[str, str] = ("x₁", "x₂")
    point_NE: np.ndarray | None = None
    label_N: np.ndarray | None = None
    """The class of each sample; None where the target is a number."""
    value_NK: np.ndarray | None = None
    """The numbers to predict of each sample, in their own unit; None where the target is a class."""
    classes: tuple[str, ...] = ()
    pictures: tuple[np.ndarray, ...] = ()
    """Of each sample, (H, W, 3) in [0, 255]; empty where they are no pictures, or too many."""
    numbered: bool = False
    """Whether the samples are few, and known by their number from 1."""


@dataclass(frozen=True)
class Scale:
    """Colours of numbers."""

    colours: Colormap
    low: float
    high: float

    def __call__(self, value: np.ndarray) -> np.ndarray:
        """Return red, green and blue of each value, in a last axis."""
        return self.colours((value - self.low) / ((self.high - self.low) or 1.0))[..., :3]


def new(width: float, height: float) -> Figure:
    """Return an empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure((width, height), dpi=DOTS, layout="constrained")


def flat(plane: Plane) -> tuple[Figure, Axes]:
    """Return a figure with axes for the window of a plane."""
    figure = new(5.6, 5.0)
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


def paint(ax: Axes, plane: Plane, value: np.ndarray, scale: Scale | None = None) -> Any:
    """Fill the window with values on a grid (H, W), or with colours (H, W, 3)."""
    extent = (*plane.window[0], *plane.window[1])
    how: dict[str, Any] = {"cmap": scale.colours, "vmin": scale.low, "vmax": scale.high} if scale else {}
    return ax.imshow(value, origin="lower", extent=extent, aspect=ax.get_aspect(), interpolation="bilinear", **how)


def lines(ax: Axes, line: Sequence[np.ndarray] | np.ndarray, colour: str, width: float) -> Any:
    """Draw lines, each (S, 2)."""
    from matplotlib.collections import LineCollection

    drawn = LineCollection(list(line), colors=colour, linewidths=width, capstyle="round")
    drawn.set_rasterized(len(line) > MOST_PATHS)
    return ax.add_collection(drawn, autolim=False)


def points(
    ax: Axes, plane: Plane, small: bool = False, faint: bool = False, scale: Scale | None = None, output: int = 0
) -> list[Any]:
    """Draw the samples in the colours of their classes, or with `scale` in that of one number to predict."""
    if plane.point_NE is None:
        return []
    many = len(plane.point_NE)
    size = (4.2 if many <= 300 else 3.0 if many <= 2000 else 1.8) * (0.75 if small else 1.0)
    if plane.numbered:
        size = 7.0
    rim = 0.0 if faint or many > 2000 else 0.5 if many <= 300 else 0.35
    if scale is not None and plane.value_NK is not None:
        how: dict[str, Any] = {"linewidths": rim, "edgecolors": "white", "rasterized": many > 1500}
        x1_N, x2_N = plane.point_NE.T
        return [ax.scatter(x1_N, x2_N, 1.6 * size**2, scale(plane.value_NK[:, output]), **how)]
    how = {"mec": "white", "mew": rim, "markersize": size, "rasterized": many > 5000}
    drawn: list[Any] = []
    for k in range(len(plane.classes)) if plane.label_N is not None else [-1]:
        chosen_N2 = plane.point_NE if plane.label_N is None else plane.point_NE[plane.label_N == k]
        colour = SOFT if plane.label_N is None else HUES[k % len(HUES)]
        drawn += ax.plot(*chosen_N2.T, "o", color=colour, alpha=0.3 if faint and not plane.numbered else 0.95, **how)
    return drawn


def numbers(ax: Axes, plane: Plane) -> None:
    """Write the number of each sample where they are few, beside its picture where it has one."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    if not plane.numbered or plane.point_NE is None:
        return
    middle = sum(plane.window[0]) / 2
    for n, (x, y) in enumerate(plane.point_NE):
        right, up = -1 if x < middle else 1, 1 if n == 2 else -1
        ax.annotate(str(n + 1), (x, y), (9 * right, 9 * up), textcoords="offset points", ha="center", va="center",
                    fontsize=10, fontweight="bold", color=INK)  # fmt: skip
        if plane.pictures:
            pixels_HW3 = plane.pictures[n]
            picture = OffsetImage(pixels_HW3, zoom=_THUMBNAIL / max(pixels_HW3.shape[:2]), interpolation="nearest")
            white = {"facecolor": "white", "linewidth": 0}
            beside = (36 * right, 36 * up)
            ax.add_artist(AnnotationBbox(picture, (x, y), beside, boxcoords="offset points", pad=0.12, bboxprops=white))


def ahead(value_HWK: np.ndarray) -> np.ndarray:
    """Return the class that is ahead at each grid point, (H, W)."""
    return (value_HWK[..., 0] > 0).astype(int) if value_HWK.shape[-1] == 1 else value_HWK.argmax(axis=-1)


def sides(value_HWK: np.ndarray, paleness: float) -> np.ndarray:
    """Return the colour of the class that is ahead at each grid point, (H, W, 3)."""
    colours = [pale(HUES[k % len(HUES)], paleness) for k in range(max(2, value_HWK.shape[-1]))]
    return np.array(colours)[ahead(value_HWK)]


def probability(value_BK: np.ndarray) -> np.ndarray:
    """Return the probability of each class, (..., K), or of the positive one of two, (..., 1), from the logits."""
    if value_BK.shape[-1] == 1:
        return 0.5 + 0.5 * np.tanh(0.5 * value_BK)
    odds_BK = np.exp(value_BK - value_BK.max(axis=-1, keepdims=True))
    return odds_BK / odds_BK.sum(axis=-1, keepdims=True)


def sureness(value_HWK: np.ndarray) -> np.ndarray:
    """Return the colour of the likeliest class at each grid point, stronger where it is surer, (H, W, 3)."""
    least = 1 / value_HWK.shape[-1]
    share_HW1 = (probability(value_HWK).max(axis=-1, keepdims=True) - least) / (1 - least)
    paper_3 = np.array([0.98, 0.98, 0.98])
    return paper_3 + share_HW1 * (sides(value_HWK, 0.35) - paper_3)


def legend(ax: Axes, plane: Plane, seen: np.ndarray) -> None:
    """Name the classes that are ahead somewhere, `seen`, or have samples."""
    there = set(np.unique(seen).tolist()) | set([] if plane.label_N is None else plane.label_N.tolist())
    for k in sorted(there)[:15]:
        ax.plot([], [], "o", color=HUES[k % len(HUES)], markersize=5, label=house.shortened(plane.classes[k], 20))
    under(ax)


def under(ax: Axes) -> None:
    """Put the legend under the axes."""
    names = ax.get_legend_handles_labels()[1]
    columns = max(1, min(5, len(names), 72 // (6 + max(map(len, names), default=0))))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=columns, handlelength=1.3, columnspacing=1.3)


def bar(figure: Figure, image: Any, **where: Any) -> Any:
    """Add the key to an image's colours."""
    added = figure.colorbar(image, **where)
    added.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    added.ax.yaxis.set_major_locator(house.few_ticks(6))
    return added


def heights() -> Colormap:
    """Return the colours of low to high values."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = ["#1f5fa8", "#5f93ca", "#a9c6e4", "#f1ede8", "#f6cfae", "#ec9f5c", "#d9620f"]
    return LinearSegmentedColormap.from_list("height", stops)


def between(paleness: float, ends: tuple[str, str] = HUES[:2]) -> Colormap:
    """Return the colours of probabilities, from the negative class' through white to the positive one's."""
    from matplotlib.colors import LinearSegmentedColormap

    first, last = (pale(hue, paleness) for hue in ends)
    return LinearSegmentedColormap.from_list("between", [first, (0.98, 0.98, 0.98), last])


def pale(colour: str, share: float) -> tuple[float, float, float]:
    """Return a colour mixed with so much white."""
    red, green, blue = (part + share * (1 - part) for part in house.rgb(colour))
    return red, green, blue


def span(value: np.ndarray, more: np.ndarray | None = None) -> tuple[float, float]:
    """Return the least and the greatest of some numbers."""
    both = value if more is None else np.concatenate([value.ravel(), more.ravel()])
    return float(both.min()), float(both.max())
