"""An output of a net over the plane, as a surface: the facets of a ReLU net exactly, or of another one its grid.

Shapes: P facets, V corners, S points of a line, H and W grid lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hyperplane.explain import drawing
from hyperplane.explain.drawing import Plane
from hyperplane.explain.planes import Window
from hyperplane.explain.regions import Regions
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import INK, RULE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_QUADS = 120
"""Along each side of a grid's surface."""


def surface(
    plane: Plane,
    shown: Regions | np.ndarray,
    name: str = "y",
    output: int = 0,
    decision: Sequence[np.ndarray] | None = None,
) -> Figure:
    """Draw an output as a surface: the regions of a ReLU net, or of another one its values on a grid.

    `decision` is where the output is 0, lines each (S, 2), for log odds: these are coloured by their probability.
    """
    with house.style():
        figure = drawing.new(5.6, 4.3)
        ax = figure.add_subplot(projection="3d")
        solid(ax, plane, shown, output, odds=decision is not None)
        for line_S2 in decision or ():
            ax.plot(line_S2[:, 0], line_S2[:, 1], 0.0, color=INK, linewidth=1.4, zorder=10)
        ax.set_title(house.shortened(name, 48), loc="left")
    return figure


def solid(ax: Any, plane: Plane, shown: Regions | np.ndarray, output: int = 0, odds: bool = False) -> None:
    """Draw an output as a surface on 3-D axes, coloured by height, or as log odds by probability."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    corners, colour_P3, (low, high) = facets(shown, plane.window, output, odds)
    edges: dict[str, Any] = {"edgecolors": "none", "antialiased": False}
    if isinstance(shown, Regions):
        edges = {"edgecolors": "white", "linewidths": float(np.interp(len(corners), [30, 1500], [0.8, 0.12]))}
    drawn = Poly3DCollection(corners, facecolors=colour_P3, **edges)  # pyright: ignore[reportArgumentType]
    drawn.set_rasterized(len(corners) > drawing.MOST_PATHS)
    ax.add_collection3d(drawn, autolim=False)
    stage(ax, plane, (low, high))


def stage(ax: Any, plane: Plane, span: tuple[float, float]) -> None:
    """Set up 3-D axes for a surface whose heights have this span."""
    low, high = span
    ax.set(xlim=plane.window[0], ylim=plane.window[1], zlim=(low, high if high > low else low + 1.0))
    ax.set(xlabel=house.shortened(plane.names[0], 24), ylabel=house.shortened(plane.names[1], 24))
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(house.few_ticks(4))
        axis.set_pane_color((1, 1, 1, 0))
        axis._axinfo["grid"].update(color=RULE, linewidth=0.7)
        axis.line.set_color(RULE)
    ax.tick_params(pad=0)
    ax.set_box_aspect((1, 1, 0.66), zoom=1.02)
    ax.view_init(elev=28, azim=-58)


def facets(
    shown: Regions | np.ndarray,
    window: Window,
    output: int = 0,
    odds: bool = False,
    span: tuple[float, float] | None = None,
) -> tuple[list[np.ndarray], np.ndarray, tuple[float, float]]:
    """Return a surface's facets, each (V, 3), their colours (P, 3) under a lamp, and the span of their heights.

    `span` is that of the colours, where it is not the surface's own.
    """
    if isinstance(shown, Regions):
        value_PV = shown.value_PVK[..., output]
        corners = [
            np.column_stack([corner_V2, value_V[: len(corner_V2)]])
            for corner_V2, value_V in zip(shown.polygons, value_PV, strict=True)
        ]
        normal_P3 = np.column_stack([-shown.slope_PK2[:, output], np.ones(len(shown))])
        middle_P = np.array([corner_V3[:, 2].mean() for corner_V3 in corners])
        low, high = drawing.span(value_PV)
    else:
        value_HW = _thinned(shown)
        corners, normal_P3 = _quads(value_HW, window)
        middle_P = np.array([corner_V3[:, 2].mean() for corner_V3 in corners])
        low, high = drawing.span(value_HW)
    least, greatest = span or (low, high)
    size_3 = np.array([*(last - first for first, last in window), (greatest - least) or 1.0])
    if odds:
        colour_P3 = drawing.between(0.15)(0.5 + 0.5 * np.tanh(middle_P / 2))[:, :3]
    else:
        colour_P3 = drawing.Scale(drawing.heights(), least, greatest)(middle_P)
    return corners, np.clip(colour_P3 * _lit(normal_P3 * size_3)[:, None], 0, 1), (low, high)


def _thinned(value_HW: np.ndarray) -> np.ndarray:
    step = max(1, round((len(value_HW) - 1) / _QUADS))
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
