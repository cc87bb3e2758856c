"""Figures of a text as a language model sees it: costs, alternatives, heads, where tokens come from, and contexts.

Shape suffixes: T tokens, N heads, C lengths of context.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain import drawing
from hyperplane.explain.attention_figures import MOST_HEADS, WIDTH, some
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

COLUMNS, LEAST_COST = 60, 3
"""Characters of a line of text, and the nats, at least, from which on a token has the strongest colour."""
MONO = "DejaVu Sans Mono"


def costs(tokens: Sequence[str], losses: Sequence[float | None]) -> Figure:
    """Draw a text whose tokens are the stronger in colour the more they cost, in nats; None: not known."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    lines = _lines(tokens)
    most = max(LEAST_COST, math.ceil(np.quantile([loss for loss in losses if loss is not None], 0.95)))
    with house.style():
        side, high = (WIDTH - 0.2) / COLUMNS, 0.205
        figure = _plain(0.1 + high * len(lines) + 0.62)
        ax = figure.add_axes((0.1 / WIDTH, 0.62 / figure.get_figheight(), 1 - 0.2 / WIDTH,
                              high * len(lines) / figure.get_figheight()))  # fmt: skip
        _bare(ax)
        ax.set(xlim=(0, COLUMNS), ylim=(len(lines), 0))
        colours = _shades(ORANGE)
        for row, line in enumerate(lines):
            for column, number in line:
                token, loss = tokens[number], losses[number]
                share = 0.0 if loss is None else min(loss / most, 1.0)
                ax.add_patch(Rectangle((column, row + 0.06), len(token), 0.88, color=colours(share), linewidth=0))
                for place, letter in enumerate(token):
                    colour = (SOFT, 0.45) if letter in "␣⏎⇥" else INK
                    ax.text(column + place + 0.5, row + 0.52, letter, fontsize=72 * side * 1.28, family=MONO,
                            color=colour, ha="center", va="center")  # fmt: skip
        room = figure.add_axes((0.3, 0.4 / figure.get_figheight(), 0.4, 0.09 / figure.get_figheight()))
        bar = figure.colorbar(ScalarMappable(Normalize(0, most), colours), cax=room, orientation="horizontal")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.set_ticks([0, most / 2, most], labels=["0", f"{most / 2:g}", f"{most} or more"])
        bar.ax.tick_params(labelsize=8)
        bar.ax.grid(False)
        bar.set_label("nats", fontsize=8.5, color=SOFT)
        return figure


def alternatives(columns: Sequence[tuple[str, float, Sequence[tuple[str, float]]]]) -> Figure:
    """Draw, for each token of a stretch of text, the likeliest tokens there and their probabilities.

    Arguments: of each, the token that it was, its probability, and the likeliest with theirs.
    """
    from matplotlib.patches import Rectangle

    most = max(len(likeliest) for _, _, likeliest in columns)
    with house.style():
        left, side, high = 0.62, (WIDTH - 0.72) / len(columns), 0.36
        figure = _plain(0.42 + high * (most + 1) + 0.14)
        ax = figure.add_axes((left / WIDTH, 0.1 / figure.get_figheight(), side * len(columns) / WIDTH,
                              1 - 0.2 / figure.get_figheight()))  # fmt: skip
        _bare(ax)
        ax.set(xlim=(0, len(columns)), ylim=(most + 1.35, -0.1))
        colours = _shades(BLUE)
        letters = max(1, int(side * 72 / 5.2))
        for column, (token, _, likeliest) in enumerate(columns):
            ax.text(column + 0.5, 0.45, house.shortened(token, letters), fontsize=10, fontweight="bold", family=MONO,
                    color=INK, ha="center", va="center")  # fmt: skip
            for row, (name, share) in enumerate(likeliest):
                right = name == token
                ax.add_patch(
                    Rectangle((column + 0.05, row + 1.13), 0.9, 0.92, facecolor=colours(share), linewidth=1.4 * right,
                              edgecolor=INK if right else "none")
                )  # fmt: skip
                dark = "white" if share > 0.6 else INK
                ax.text(column + 0.5, row + 1.46, house.shortened(name, letters), fontsize=8.5, family=MONO, color=dark,
                        ha="center", va="center")  # fmt: skip
                ax.text(column + 0.5, row + 1.83, _share(share), fontsize=6.2, color=dark, ha="center", va="center")
        for where, told in ((0.45, "text"), *((row + 1.59, f"{row + 1}.") for row in range(most))):
            ax.text(-0.12, where, told, fontsize=8.5, color=SOFT, ha="right", va="center")
        return figure


def heads(maps: Mapping[str, np.ndarray]) -> Figure:
    """Draw the attention of every head, (N, T, T) of each layer by its name; a square for each head.

    A token with few before it gives each much, so a head is scaled to the most that one of the later half gives.
    """
    with house.style():
        chosen = some(max(len(one) for one in maps.values()), MOST_HEADS)
        left, top, gap = 0.62, 0.3, 0.08
        side = min((WIDTH - left - 0.1) / len(chosen) - gap, 1.5)
        figure = _plain(top + len(maps) * (side + gap) + 0.08)
        for row, (layer, map_NTT) in enumerate(maps.items()):
            for column, head in enumerate(chosen):
                ax = _square(figure, left + column * (side + gap), top + row * (side + gap), side)
                map_TT = map_NTT[head]
                most = map_TT[len(map_TT) // 2 :].max()
                ax.imshow(map_TT, _shades(BLUE), vmin=0, vmax=most, interpolation="nearest")
                if row == 0:
                    ax.set_title(f"head {head + 1}", fontsize=8, loc="center", pad=4, color=SOFT, fontweight="normal")
                if column == 0:
                    ax.set_ylabel(layer, fontsize=8.5, color=INK, rotation=0, ha="right", va="center", labelpad=5)
        return figure


def flow(flow_TT: np.ndarray, tokens: Sequence[str]) -> Figure:
    """Draw where what stands at each token, a row, comes from, a column; every row scaled to its greatest."""
    with house.style():
        figure = _plain(WIDTH)
        ax = _square(figure, 0.85, 0.6, WIDTH - 0.95)
        ax.imshow(flow_TT / flow_TT.max(1, keepdims=True), _shades(BLUE), vmin=0, vmax=1, interpolation="nearest")
        names = [house.shortened(token, 9) for token in tokens]
        long = max(map(len, names)) > 2
        ax.set_xticks(range(len(names)), names, fontsize=8, family=MONO, rotation=90 if long else 0)
        ax.set_yticks(range(len(names)), names, fontsize=8, family=MONO)
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.set_ylabel("what stands here", fontsize=8.5, color=SOFT)
        ax.xaxis.set_label_position("top")
        ax.set_xlabel("comes from here", fontsize=8.5, color=SOFT)
        return figure


def by_context(lengths: Sequence[int], loss_C: np.ndarray) -> Figure:
    """Draw the loss, in nats, by the number of tokens that the net sees."""
    with house.style():
        figure = drawing.new(WIDTH, 3.4)
        ax = figure.add_subplot()
        ax.axhline(loss_C[-1], color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2, label="the whole context")
        ax.plot(lengths, loss_C, "o-", color=BLUE, markersize=4.5, label="the last tokens alone")
        ax.set_xscale("log", base=2)
        ax.set_xticks(lengths, [f"{length:,}" for length in lengths])
        ax.minorticks_off()
        ax.set(xlabel="tokens that it sees", ylabel="loss (nats a token)")
        ax.legend(loc="upper right")
        return figure


def positions(similarity_TT: np.ndarray) -> Figure:
    """Draw the cosine of every two places' vectors, (T, T)."""
    with house.style():
        figure = drawing.new(WIDTH, 4.6)
        ax = figure.add_subplot()
        others = similarity_TT[~np.eye(len(similarity_TT), dtype=bool)]
        most = max(float(np.quantile(np.abs(others), 0.995)), 1e-6)
        colours = drawing.between(0.0, (ORANGE, BLUE))
        end = len(similarity_TT) + 0.5
        held = ax.imshow(similarity_TT, colours, vmin=-most, vmax=most, extent=(0.5, end, end, 0.5),
                         interpolation="nearest")  # fmt: skip
        ax.set(xlabel="place in the text", ylabel="place in the text")
        ax.grid(False)
        drawing.bar(figure, held, ax=ax, shrink=0.9).set_label("cosine", fontsize=8.5, color=SOFT)
        return figure


def _lines(tokens: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return lines of (column, number of the token): a new one after a line end, and where one is full."""
    lines: list[list[tuple[int, int]]] = [[]]
    column = 0
    for number, token in enumerate(tokens):
        if column and column + len(token) > COLUMNS:
            lines.append([])
            column = 0
        lines[-1].append((column, number))
        column += len(token)
        if token.endswith("⏎"):
            lines.append([])
            column = 0
    return [line for line in lines if line]


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


def _shades(colour: str) -> Colormap:
    """Return colours from nearly white to one."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shades", [(0.965, 0.965, 0.96), colour])


def _plain(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure((WIDTH, height), dpi=drawing.DOTS)


def _square(figure: Figure, x: float, y: float, side: float) -> Axes:
    """Return axes without ticks, of so many inches from the left and from the top."""
    high = figure.get_figheight()
    ax = figure.add_axes((x / WIDTH, 1 - (y + side) / high, side / WIDTH, side / high))
    _bare(ax)
    return ax


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(False)
