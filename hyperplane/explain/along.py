"""A net of one input, drawn over it: what it says, its breakpoints, and the samples.

Shapes: S positions along the line, K classes or outputs, N samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain import drawing
from hyperplane.explain.drawing import HUES, Plane
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, ORANGE, RULE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def outputs(plane: Plane, x_S: np.ndarray, value_SK: np.ndarray, names: Sequence[str], breaks: bool) -> Figure:
    """Draw the numbers that a net predicts along its input, each above the other, and the samples.

    Arguments: positions and the outputs there; what they are called; whether every position but the ends is a
    breakpoint.
    """
    with house.style():
        figure = drawing.new(5.6, 3.4 if len(names) == 1 else 0.8 + 2.2 * len(names))
        axes = figure.subplots(len(names), 1, sharex=True, squeeze=False).ravel()
        for k, (ax, name) in enumerate(zip(axes, names, strict=True)):
            if plane.point_NE is not None and plane.value_NK is not None:
                samples(ax, plane.point_NE[:, 0], plane.value_NK[:, k])
            curve(ax, x_S, value_SK[:, k], breaks)
            ax.set_ylabel(house.shortened(name, 32))
            ax.yaxis.set_major_locator(house.few_ticks(5))
        along(axes[-1], plane)
        axes[0].set_title(title(x_S, breaks))
    return figure


def classes(plane: Plane, x_S: np.ndarray, logit_SK: np.ndarray, breaks: bool) -> Figure:
    """Draw the probability of each class along the input, its logits below, and the samples as marks at the top.

    Arguments as of `outputs`.
    """
    with house.style():
        figure = drawing.new(5.6, 4.8)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, 1])
        fine_S = np.union1d(np.linspace(*plane.window[0], 600), x_S)
        fine_SK = np.column_stack([np.interp(fine_S, x_S, logit_K) for logit_K in logit_SK.T])
        shown = probabilities(upper, plane, fine_S, fine_SK)
        for k in shown:
            column = 0 if logit_SK.shape[1] == 1 else k
            curve(lower, x_S, logit_SK[:, column], breaks, HUES[k % len(HUES)])
        lower.axhline(0, color=SOFT, linewidth=0.8, dashes=(4, 3), zorder=0)
        lower.set_ylabel("log odds" if logit_SK.shape[1] == 1 else "logit")
        lower.yaxis.set_major_locator(house.few_ticks(4))
        along(lower, plane)
        if len(shown) > 1:
            figure.legend(loc="outside lower center", ncols=min(5, len(shown)), handlelength=1.3)
        upper.set_title(chances(plane))
    return figure


def chances(plane: Plane) -> str:
    """Return what the probabilities are called."""
    return (
        f"Probability of {house.shortened(plane.classes[1], 24)}"
        if len(plane.classes) == 2
        else ("Probability of each class")
    )


def probabilities(ax: Axes, plane: Plane, x_S: np.ndarray, logit_SK: np.ndarray) -> list[int]:
    """Draw the probability of each class, and samples as marks above; return the classes drawn."""
    share_SK = drawing.probability(logit_SK)
    drawn = [1] if share_SK.shape[1] == 1 else list(range(min(len(HUES), share_SK.shape[1])))
    for k in drawn:
        name = house.shortened(plane.classes[k], 20)
        ax.plot(x_S, share_SK[:, 0 if share_SK.shape[1] == 1 else k], color=HUES[k % len(HUES)], label=name)
    if plane.point_NE is not None and plane.label_N is not None:
        for k in range(len(plane.classes)):
            x_N = plane.point_NE[plane.label_N == k, 0]
            ax.plot(x_N, np.full(len(x_N), 1.07 + 0.05 * (k % 2)), "|", color=HUES[k % len(HUES)], markersize=6,
                    alpha=0.5, rasterized=len(x_N) > 2000)  # fmt: skip
    ax.set(ylim=(-0.03, 1.17), yticks=[0, 0.25, 0.5, 0.75, 1])
    ax.yaxis.set_major_formatter(house.percent)
    return drawn


def curve(ax: Axes, x_S: np.ndarray, value_S: np.ndarray, breaks: bool, colour: str = BLUE) -> None:
    """Draw an output along the line, and its breakpoints."""
    ax.plot(x_S, value_S, color=colour)
    if breaks:
        ax.plot(x_S[1:-1], value_S[1:-1], "o", color=ORANGE, markersize=3.5 if len(x_S) < 80 else 2)


def samples(ax: Axes, x_N: np.ndarray, value_N: np.ndarray) -> None:
    """Draw samples as pale points behind all else."""
    ax.plot(x_N, value_N, "o", color="#b4bec8", markersize=3.2 if len(x_N) <= 500 else 2, mew=0, zorder=1,
            alpha=0.8 if len(x_N) <= 500 else 0.4, rasterized=len(x_N) > 1500)  # fmt: skip


def along(ax: Axes, plane: Plane) -> None:
    """Set up the axis of the input."""
    ax.set(xlabel=house.shortened(plane.names[0], 48), xlim=plane.window[0])
    ax.xaxis.set_major_locator(house.few_ticks(6))
    ax.grid(color=RULE)


def title(x_S: np.ndarray, breaks: bool) -> str:
    """Return what a net along a line is called: by its pieces, where it is piecewise linear."""
    if not breaks:
        return "The function learned"
    return f"{len(x_S) - 1:,} linear pieces" if len(x_S) > 2 else "One linear piece"
