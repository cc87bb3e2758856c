"""The moving parts of the film: planes, lines and surfaces that are set up once, then updated for each net.

Shapes: S points of a line, H and W grid lines, K outputs, P facets, V corners.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hyperplane.explain import along, drawing, figures, gallery, levels, surfaces
from hyperplane.explain.drawing import DEPTHS, HUES, Plane, Scale
from hyperplane.explain.layers import Layers
from hyperplane.explain.regions import Regions
from hyperplane.explain.subject import Subject, View
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID = 121
"""Points along each side of a plane, and half as many for a surface."""
MOST_REGIONS, MOST_UNITS = 3000, 64
"""Of a net that is drawn exactly; of more units nobody can follow one."""
MOST_SAMPLES = 1000

LEFT, RIGHT = (0.078, 0.33, 0.39, 0.58), (0.572, 0.33, 0.39, 0.58)
_ROOM = (0.42, 0.25, 0.58, 0.72)
"""Of a surface."""
_WHOLE, _GAP = (0.085, 0.33, 0.88, 0.58), 0.05
"""Of what stands alone, or of several panels together, and between these."""


class Panel(Protocol):
    """Axes with what moves in them."""

    ax: Axes

    def update(self, seen: View) -> list[Any]:
        """Show a net, and return the artists to draw, in order."""
        ...


def build(figure: Figure, subject: Subject, seen: View) -> list[Panel]:
    """Return the panels that suit a net, set up for its last weights.

    On a plane two side by side, along a line one; where the net predicts several numbers, one for each.
    """
    drawn = subject.description.format == "picture"
    plane = seen.plane if drawn else _thinned(seen.plane)
    seen = replace(seen, plane=plane)
    _legend(figure, plane.classes)
    names = subject.description.target_names[: gallery.MOST_OUTPUTS]
    if seen.dimensions == 1:
        return [_Line(ax, subject, seen, k) for k, ax in enumerate(_axes(figure, max(1, len(names)), across=False))]
    if len(names) > 1 and not drawn:
        across = _axes(figure, len(names), across=True)
        return [_Field(ax, plane, seen, name, k) for k, (ax, name) in enumerate(zip(across, names, strict=True))]
    ax = figure.add_axes(LEFT, anchor="NW")
    if plane.classes:
        first: Panel = _Decisions(ax, plane)
    elif drawn:
        first = _Picture(ax, plane)
    else:
        first = _Field(ax, plane, seen, subject.description.target_names[0])
    return [first, _beside(figure, subject, seen)]


def _axes(figure: Figure, count: int, across: bool) -> list[Axes]:
    """Return axes that share the room of the panels, from left to right or from the top down."""
    left, bottom, wide, high = _WHOLE
    room = ((wide if across else high) - _GAP * (count - 1)) / count
    step = room + _GAP
    if across:
        places = [(left + k * step, bottom, room, high) for k in range(count)]
    else:
        places = [(left, bottom + k * step, wide, room) for k in reversed(range(count))]
    return [figure.add_axes(place, anchor="NW") for place in places]


def _beside(figure: Figure, subject: Subject, seen: View) -> Panel:
    """Return what stands beside the plane: of a number its surface, else what the net is made of, if one can."""
    net, described = seen.layers, subject.description
    if net is not None and net.hidden and (described.classes or described.format == "picture"):
        if sum(net.widths) <= MOST_UNITS:
            return _Hyperplanes(figure.add_axes(RIGHT, anchor="NW"), seen, bool(described.classes))
        if net.activation == "relu":
            return _Active(figure.add_axes(RIGHT, anchor="NW"), seen, net)
    if described.format == "picture":
        return _Still(figure.add_axes(RIGHT, anchor="NW"), gallery.pixels(seen.plane))
    if len(described.classes) > 2:
        return _Sides(figure.add_axes(RIGHT, anchor="NW"), seen.plane)
    return _Surface(figure.add_axes(_ROOM, projection="3d"), subject, seen)


def _thinned(plane: Plane) -> Plane:
    if plane.point_NE is None or len(plane.point_NE) <= MOST_SAMPLES or plane.numbered:
        return plane
    step = -(-len(plane.point_NE) // MOST_SAMPLES)
    label_N, value_NK = (None if held is None else held[::step] for held in (plane.label_N, plane.value_NK))
    return replace(plane, point_NE=plane.point_NE[::step], label_N=label_N, value_NK=value_NK)


def _legend(figure: Figure, classes: Sequence[str]) -> None:
    """Name the classes to the lower right, where they are few."""
    from matplotlib.lines import Line2D

    if 0 < len(classes) <= 10:
        marks = [Line2D([], [], marker="o", linestyle="", color=HUES[k], markersize=5) for k in range(len(classes))]
        names = [house.shortened(name, 20 if len(classes) <= 4 else 12) for name in classes]
        figure.legend(marks, names, loc="center right", bbox_to_anchor=(0.99, 0.15), ncols=1 if len(names) <= 4 else 2,
                      fontsize=8.5, handlelength=0.8, columnspacing=0.8, labelspacing=0.25)  # fmt: skip


def _title(ax: Axes, told: str) -> None:
    ax.set_title(house.shortened(told, 44), pad=8)


class _Decisions:
    """Which class, how surely, and the boundary."""

    def __init__(self, ax: Axes, plane: Plane) -> None:
        self.ax, self.plane = ax, plane
        drawing.frame(ax, plane)
        two = len(plane.classes) == 2
        scale = Scale(drawing.between(0.4), 0.0, 1.0) if two else None
        empty = np.zeros((GRID, GRID) if two else (GRID, GRID, 3))
        self.image, self.border = drawing.paint(ax, plane, empty, scale), drawing.lines(ax, [], INK, 1.7)
        self.points = drawing.points(ax, plane, small=True)
        _title(ax, f"Probability of {plane.classes[1]}" if two else "The likeliest class: stronger is surer")

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        value_HWK = levels.on_grid(seen.function, self.plane.window, GRID)
        two = value_HWK.shape[-1] == 1
        self.image.set_data(drawing.probability(value_HWK)[..., 0] if two else drawing.sureness(value_HWK))
        self.border.set_segments(list(gallery.boundary_of(value_HWK, self.plane, _regions(seen))))
        return [self.image, self.border, *self.points]


class _Sides:
    """Which class, and nothing else."""

    def __init__(self, ax: Axes, plane: Plane) -> None:
        self.ax, self.plane = ax, plane
        drawing.frame(ax, plane)
        self.image = drawing.paint(ax, plane, np.zeros((GRID, GRID, 3)))
        _title(ax, "Where the net decides")

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        self.image.set_data(drawing.sides(levels.on_grid(seen.function, self.plane.window, GRID), 0.5))
        return [self.image]


def _regions(seen: View) -> Regions | None:
    """Return the net's regions, where there are few of them."""
    if seen.layers is None or sum(seen.layers.widths) > MOST_UNITS:
        return None
    return gallery.regions_of(seen.layers, seen.plane.window, MOST_REGIONS)


class _Field:
    """A number over the plane, with its contours."""

    def __init__(self, ax: Axes, plane: Plane, seen: View, name: str, output: int = 0) -> None:
        self.ax, self.plane, self.output = ax, plane, output
        drawing.frame(ax, plane)
        if output:
            ax.set_ylabel("")
            ax.tick_params(labelleft=False)
        self.scale = Scale(drawing.heights(), *_span(plane, seen, output))
        self.image = drawing.paint(ax, plane, np.zeros((GRID, GRID)), self.scale)
        self.contours = drawing.lines(ax, [], "white", 0.8)
        self.points = drawing.points(ax, plane, small=True, scale=self.scale, output=output)
        _title(ax, name)

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        value_HW = levels.on_grid(seen.function, self.plane.window, GRID)[..., self.output]
        self.image.set_data(value_HW)
        heights = np.linspace(self.scale.low, self.scale.high, 10)[1:-1]
        self.contours.set_segments(
            [line for at in heights for line in levels.contours(value_HW, self.plane.window, float(at))]
        )
        return [self.image, self.contours, *self.points]


def _span(plane: Plane, seen: View, output: int = 0) -> tuple[float, float]:
    """Return the least and greatest of what the last net says in the window, and of what is true."""
    value_HWK = levels.on_grid(seen.function, plane.window, GRID // 2)
    return drawing.span(value_HWK[..., output], None if plane.value_NK is None else plane.value_NK[:, output])


class _Picture:
    """A picture that the net is a function of the place for."""

    def __init__(self, ax: Axes, plane: Plane) -> None:
        self.ax, self.plane = ax, plane
        drawing.frame(ax, plane)
        self.image = drawing.paint(ax, plane, np.zeros((GRID, GRID)), Scale(_grey(), 0.0, 1.0))
        ax.set_axis_off()
        _title(ax, "What the net draws")

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        self.image.set_data(figures.visible(levels.on_grid(seen.function, self.plane.window, GRID)))
        return [self.image]


class _Still:
    """The picture learned from, which does not move."""

    def __init__(self, ax: Axes, true_HWK: np.ndarray | None) -> None:
        self.ax = ax
        ax.set_axis_off()
        if true_HWK is not None:
            ax.imshow(figures.visible(true_HWK), "gray", vmin=0, vmax=1, origin="lower", interpolation="nearest")
            _title(ax, "What it learns from, {} × {}".format(*true_HWK.shape[1::-1]))

    def update(self, seen: View) -> list[Any]:
        """Show nothing new."""
        return []


def _grey() -> Any:
    from matplotlib import colormaps

    return colormaps["gray"]


class _Hyperplanes:
    """The hyperplane of every unit, over the regions where these are exact."""

    def __init__(self, ax: Axes, seen: View, decides: bool) -> None:
        from matplotlib.collections import PolyCollection

        self.ax, self.plane = ax, seen.plane
        assert seen.layers is not None, "only an MLP has hyperplanes"
        self.widths, self.decides = seen.layers.widths, decides
        drawing.frame(ax, seen.plane)
        self.facets = PolyCollection([], edgecolors="none")
        ax.add_collection(self.facets, autolim=False)
        depths = range(len(self.widths))
        self.units = [drawing.lines(ax, [], DEPTHS[d % len(DEPTHS)], figures.thickness(self.widths, d)) for d in depths]
        self.border = drawing.lines(ax, [], INK, 1.7)
        layers = ", ".join(f"{width:,}" for width in self.widths)
        _title(ax, f"Hyperplanes of {layers} units")

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        net, window = seen.layers, self.plane.window
        assert net is not None, "it was one"
        found = _regions(seen)
        if found is not None:
            drawn = [list(found.bends.of(depth)) for depth in range(len(self.widths))]
            on_P = found.active_PH.mean(axis=1)
            self.facets.set_verts(found.polygons)
            self.facets.set_facecolor(0.4 * drawing.heights()(on_P)[:, :3] + 0.6)
        else:
            self.facets.set_verts([])
            drawn = [[line for unit in layer for line in unit] for layer in levels.unit_levels(net, window, GRID)]
        for collection, line in zip(self.units, drawn, strict=True):
            collection.set_segments(line)
        if self.decides:
            value_HWK = levels.on_grid(seen.function, window, GRID)
            self.border.set_segments(list(gallery.boundary_of(value_HWK, self.plane, found)))
        return [self.facets, *reversed(self.units), self.border]


class _Active:
    """How many units of a wide ReLU net are on: an edge is a hyperplane."""

    def __init__(self, ax: Axes, seen: View, net: Layers) -> None:
        self.ax, self.plane = ax, seen.plane
        drawing.frame(ax, seen.plane)
        scale = Scale(drawing.heights(), *drawing.span(self._count(net)))
        self.image = drawing.paint(ax, seen.plane, np.zeros((GRID, GRID)), scale)
        _title(ax, f"How many of {sum(net.widths):,} units are on")

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        assert seen.layers is not None, "it was one"
        self.image.set_data(self._count(seen.layers))
        return [self.image]

    def _count(self, net: Layers) -> np.ndarray:
        before = net.before(levels.grid(self.plane.window, GRID).reshape(-1, 2))
        return sum((before_BH > 0).sum(axis=1) for before_BH in before).reshape(GRID, GRID)  # pyright: ignore


class _Surface:
    """An output as a surface."""

    def __init__(self, ax: Any, subject: Subject, seen: View) -> None:
        from mpl_toolkits.mplot3d.art3d import Poly3DCollection

        self.ax, self.plane = ax, seen.plane
        self.odds = bool(seen.plane.classes)
        self.span = _span(seen.plane, seen)
        surfaces.stage(ax, seen.plane, self.span)
        self.drawn = Poly3DCollection([np.zeros((3, 3))])
        self.drawn.set_visible(False)
        ax.add_collection3d(self.drawn, autolim=False)
        name = f"Log odds of {seen.plane.classes[1]}" if self.odds else subject.description.target_names[0]
        ax.figure.text(0.46, 0.926, house.shortened(f"{name} as a surface", 44), fontsize=11, fontweight="bold")

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        found = _regions(seen)
        value_HWK = levels.on_grid(seen.function, self.plane.window, GRID // 2)
        shown = value_HWK[..., 0] if found is None else found
        corners, colour_P3, _ = surfaces.facets(shown, self.plane.window, odds=self.odds, span=self.span)
        low, high = self.span
        self.drawn.set_verts([np.column_stack([c[:, :2], np.clip(c[:, 2], low, high)]) for c in corners])
        self.drawn.set_facecolor(colour_P3)
        self.drawn.set_edgecolor(colour_P3 if found is None else "white")
        self.drawn.set_linewidth(float(np.interp(len(corners), [30, 1500], [0.7, 0.1])) if found is not None else 0.4)
        self.drawn.set_visible(True)
        self.drawn.do_3d_projection()
        return [self.drawn]


class _Line:
    """The net along its one input, its breakpoints, and the samples; of several numbers one of them."""

    def __init__(self, ax: Axes, subject: Subject, seen: View, output: int = 0) -> None:
        self.ax, self.plane, self.output = ax, seen.plane, output
        plane, names = seen.plane, subject.description.target_names[: gallery.MOST_OUTPUTS]
        x_S, value_SK, _ = gallery.line_of(seen)
        along.along(ax, plane)
        if plane.classes:
            self.shown = along.probabilities(ax, plane, x_S, value_SK)
            self.curves = list(ax.lines[: len(self.shown)])
            for line in self.curves:
                line.set_data([], [])
            _title(ax, along.chances(plane))
        else:
            true_N = None if plane.value_NK is None else plane.value_NK[:, output]
            if plane.point_NE is not None and true_N is not None:
                along.samples(ax, plane.point_NE[:, 0], true_N)
            low, high = drawing.span(value_SK[:, output], true_N)
            beyond = 0.06 * (high - low) or 1.0
            ax.set(ylim=(low - beyond, high + beyond), ylabel=house.shortened(names[output], 32))
            ax.yaxis.set_major_locator(house.few_ticks(6 if len(names) == 1 else 3))
            self.curves = ax.plot([], [], color=BLUE)
            if output == 0:
                _title(ax, ", ".join(names))
            if output < len(names) - 1:
                ax.set_xlabel("")
                ax.tick_params(labelbottom=False)
        self.dots = ax.plot([], [], "o", color=ORANGE, markersize=4)

    def update(self, seen: View) -> list[Any]:
        """Show a net."""
        x_S, value_SK, breaks = gallery.line_of(seen)
        if self.plane.classes:
            fine_S = np.linspace(*self.plane.window[0], 400)
            share_SK = drawing.probability(seen.function(fine_S[:, None]))
            for k, line in zip(self.shown, self.curves, strict=True):
                line.set_data(fine_S, share_SK[:, 0 if share_SK.shape[1] == 1 else k])
        else:
            value_S = value_SK[:, self.output]
            self.curves[0].set_data(x_S, value_S)
            self.dots[0].set_data(*((x_S[1:-1], value_S[1:-1]) if breaks else ([], [])))
        return [*self.curves, *self.dots]
