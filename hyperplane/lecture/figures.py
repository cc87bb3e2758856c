"""The report's own figures, in the house style: series with their spread, numbers beside the lecture's, photographs.

Shape suffixes: N measured points, S seeds or samples of each, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

HUES = (BLUE, ORANGE, "#1d8a6b", "#8a4b9e", "#b8890b", "#c2416b")
Scale = Literal["linear", "log"]


def series(
    lines: Mapping[str, tuple[Sequence[float], np.ndarray]],
    names: tuple[str, str],
    title: str,
    scales: tuple[Scale, Scale] = ("linear", "linear"),
    reference: tuple[str, Sequence[float], Sequence[float]] | None = None,
    ticks: Sequence[float] | None = None,
) -> Figure:
    """Draw the median of each series, and all that was measured around it.

    Arguments: by name, the places (N,) and what was measured there (N, S); what both axes hold; the title; their
    scales; a curve to compare with, dashed, by name, places and values; the ticks of the first axis.
    """
    with house.style():
        figure, ax = _new((5.6, 3.8))
        for hue, (name, (x_N, value_NS)) in zip(HUES, lines.items(), strict=False):
            value_NS = np.asarray(value_NS, np.float64).reshape(len(x_N), -1)
            ax.fill_between(x_N, value_NS.min(axis=1), value_NS.max(axis=1), color=hue, alpha=0.14, linewidth=0)
            marker = "o" if len(x_N) <= 24 else None
            ax.plot(x_N, np.median(value_NS, axis=1), color=hue, marker=marker, markersize=4, label=name)
        if reference is not None:
            name, x_N, value_N = reference
            ax.plot(x_N, value_N, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.3, label=name)
        ax.set(xlabel=names[0], ylabel=names[1], xscale=scales[0], yscale=scales[1])
        if ticks is not None:
            ax.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
            ax.minorticks_off()
        for axis, scale in zip((ax.xaxis, ax.yaxis), scales, strict=True):
            if not (axis is ax.xaxis and ticks is not None):
                _ticks(axis, scale)
        if len(lines) + (reference is not None) > 1:
            _legend_above(ax, len(lines) + (reference is not None))
        ax.set_title(title, pad=26 if len(lines) + (reference is not None) > 1 else 11)
    return figure


def beside(rows: Sequence[tuple[str, float | None, Mapping[str, Sequence[float]]]], name: str, title: str) -> Figure:
    """Draw the lecture's value of each row as a bar's end, and ours as points, on a logarithmic axis.

    Arguments: of each row its label, the lecture's value, and by series what was measured; what the axis holds; the
    title.
    """
    with house.style():
        kinds = list(dict.fromkeys(kind for _, _, held in rows for kind in held))
        figure, ax = _new((4.8, 1.1 + 0.36 * len(rows)))
        for place, (_, lecture, held) in enumerate(rows):
            if lecture is not None:
                ax.plot([lecture], [place], marker="|", color=INK, markersize=15, markeredgewidth=2.2, linestyle="none",
                        label="the lecture" if place == 0 else None, zorder=2)  # fmt: skip
            for kind, values in held.items():
                hue = HUES[kinds.index(kind)]
                shift = 0.0 if len(kinds) == 1 else 0.24 * (kinds.index(kind) / (len(kinds) - 1) - 0.5)
                ax.plot(values, [place + shift] * len(values), "o", color=hue, alpha=0.45, markersize=4.5, mew=0)
                ax.plot([float(np.median(values))], [place + shift], "o", color=hue, markersize=7, mew=0, zorder=3)
        for kind in kinds:
            ax.plot([], [], "o", color=HUES[kinds.index(kind)], markersize=7, mew=0, label=kind)
        ax.set_yticks(range(len(rows)), [label for label, _, _ in rows])
        ax.set(xscale="log", xlabel=name, ylim=(len(rows) - 0.4, -0.6))
        _ticks(ax.xaxis, "log")
        ax.grid(False, axis="y")
        _legend_above(ax, len(kinds) + 1)
        ax.set_title(title, pad=26)
    return figure


def photographs(rows: Mapping[str, Sequence[tuple[str, np.ndarray]]], columns: Sequence[str]) -> Figure:
    """Draw pictures in rows and columns; what stands under each is its own, what stands above a column is the column's.

    Arguments: by the row's name, captions and grey levels in [0, 255], each (H, W); the columns' names.
    """
    with house.style():
        from matplotlib.figure import Figure

        wide, high = len(columns), len(rows)
        figure = Figure((1.42 * wide + 0.1, 1.62 * high + 0.3), dpi=160, layout="constrained")
        axes = figure.subplots(high, wide, squeeze=False)
        for row, (name, held) in enumerate(rows.items()):
            for column, (caption, grey_HW) in enumerate(held):
                ax: Axes = axes[row][column]
                ax.imshow(grey_HW, "gray", vmin=0, vmax=255, interpolation="nearest")
                ax.set(xticks=[], yticks=[])
                ax.spines[:].set_visible(False)
                ax.grid(False)
                ax.set_xlabel(caption, fontsize=8.5, labelpad=3)
                if row == 0:
                    ax.set_title(columns[column], fontsize=9.5, loc="center", pad=6)
                if column == 0:
                    ax.set_ylabel(name, fontsize=8.5)
    return figure


def points(
    groups: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: tuple[str, str],
    title: str,
    scales: tuple[Scale, Scale] = ("linear", "linear"),
) -> Figure:
    """Draw pairs of numbers as points, a colour for each group, and the line on which they are equal.

    Arguments: by the group's name, both numbers of each pair, (N,); what they are; the title; the scales of the axes.
    """
    with house.style():
        figure, ax = _new((5.6, 4.2))
        ends = [f(f(x_N) for x_N, _ in groups.values()) for f in (min, max)]
        ax.plot(ends, ends, color=house.RULE if scales[0] == "log" else INK, linewidth=1)
        for hue, (name, (x_N, y_N)) in zip(HUES, groups.items(), strict=False):
            few = len(x_N) <= 40
            ax.plot(x_N, y_N, "o", color=hue, markersize=6 if few else 3, alpha=0.9 if few else 0.5, mew=0)
            ax.plot([], [], "o", color=hue, markersize=6, mew=0, label=name)
        ax.set(xlabel=names[0], ylabel=names[1], xscale=scales[0], yscale=scales[1])
        for axis, scale in zip((ax.xaxis, ax.yaxis), scales, strict=True):
            _ticks(axis, scale)
        _legend_above(ax, len(groups))
        ax.set_title(title, pad=26)
    return figure


def _new(size: tuple[float, float]) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(size, layout="constrained")
    return figure, figure.add_subplot()


def _ticks(axis: Axis, scale: Scale) -> None:
    """Put a few ticks on an axis: powers of ten, or where they are too few 1, 2 and 5 times these, or round numbers."""
    from matplotlib.ticker import LogLocator

    if scale == "linear":
        axis.set_major_locator(house.few_ticks(6))
        return
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2 else (1.0,), numticks=7))
    axis.set_major_formatter(_power if decades > 4 else "{x:g}")
    axis.set_minor_formatter("")


def _power(value: float, _position: float) -> str:
    """Return a power of ten as 10⁻³."""
    return "10" + f"{round(np.log10(value))}".translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _legend_above(ax: Axes, entries: int) -> None:
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.995), ncols=min(5, entries), handlelength=1.1,
              handletextpad=0.5, columnspacing=1.1, borderaxespad=0.2)  # fmt: skip
