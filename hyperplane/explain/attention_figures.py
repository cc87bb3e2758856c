"""Figures of attention: heads over an image, layers together, distances, and positions.

Shape suffixes: H and W pixels, h and w patches, L layers, N heads, P patches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain import drawing
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LAYERS, MOST_HEADS, MOST_PLACES = 6, 8, 9
"""That one figure shows: of layers and of heads, and of patches along each side."""
WIDTH = 5.6


def some(count: int, most: int) -> list[int]:
    """Return at most so many of `count` numbers from 0: the first, the last, and evenly some between."""
    if count <= most:
        return list(range(count))
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})


def heads(picture_HW3: np.ndarray, name: str, maps: Mapping[str, Sequence[np.ndarray]]) -> Figure:
    """Draw an image and, a row for each layer, what each head attends to.

    Arguments: the image in [0, 1]; what it is; of each layer, by its name, the heads' shares (h, w).
    """
    with house.style():
        count = max(map(len, maps.values()))
        chosen = some(count, MOST_HEADS)
        figure, axes = _grid(len(maps), 1 + len(chosen), after_first=0.62, title=house.shortened(name, 60))
        for row, (layer, shares) in enumerate(maps.items()):
            if row == 0:
                axes[0][0].imshow(picture_HW3, interpolation=_smoothness(picture_HW3))
            else:
                axes[row][0].set_visible(False)
            axes[row][1].set_ylabel(layer, fontsize=8.5, color=INK, rotation=0, ha="right", va="center", labelpad=5)
            for column, head in enumerate(chosen, 1):
                axes[row][column].imshow(_over(picture_HW3, shares[head]), interpolation=_smoothness(picture_HW3))
                if row == 0:
                    axes[row][column].set_title(f"head {head + 1}", fontsize=8, loc="center", pad=4, color=SOFT,
                                                fontweight="normal")  # fmt: skip
        return figure


def together(rows: Sequence[tuple[np.ndarray, str, Sequence[np.ndarray]]]) -> Figure:
    """Draw images, each with what is attended to in the first layer, in the last, and through all of them.

    Arguments: of each, the image in [0, 1], what it is, and three maps of shares (h, w).
    """
    columns = ("the image", "first layer", "last layer", "all layers")
    with house.style():
        figure, axes = _grid(len(rows), len(columns), left=1.05, side=1.02)
        for row, (picture_HW3, name, shares) in enumerate(rows):
            axes[row][0].imshow(picture_HW3, interpolation=_smoothness(picture_HW3))
            axes[row][0].set_ylabel(_folded(name), fontsize=8, color=SOFT, rotation=0, ha="right", va="center",
                                    labelpad=6, linespacing=1.25)  # fmt: skip
            for column, share_hw in enumerate(shares, 1):
                most = share_hw - share_hw.min()
                axes[row][column].imshow(_over(picture_HW3, most), interpolation=_smoothness(picture_HW3))
        for ax, name in zip(axes[0], columns, strict=True):
            ax.set_title(name, fontsize=8.5, loc="center", pad=5, color=SOFT, fontweight="normal")
        return figure


def distances(distance_LN: np.ndarray, alike: float, unit: str = "pixels", all_of_them: str = "all patches") -> Figure:
    """Draw how far each head looks, layer by layer, in a unit, and how far one would that looks at all alike."""
    with house.style():
        figure = drawing.new(WIDTH, 3.5)
        ax = figure.add_subplot()
        layer_LN = np.repeat(np.arange(1, len(distance_LN) + 1)[:, None], distance_LN.shape[1], axis=1)
        spread_N = np.linspace(-0.16, 0.16, distance_LN.shape[1]) if distance_LN.shape[1] > 1 else np.zeros(1)
        ax.axhline(alike, color=SOFT, linestyle=(0, (4, 3)), linewidth=1.2, label=f"{all_of_them} alike")
        ax.plot(
            layer_LN[:, 0], distance_LN.mean(axis=1), color=BLUE, linewidth=1.4, alpha=0.5, label="mean of the heads"
        )
        ax.plot(layer_LN + spread_N, distance_LN, "o", color=BLUE, markersize=5, alpha=0.75, mew=0)
        ax.plot([], [], "o", color=BLUE, markersize=5, mew=0, label="a head")
        ax.set(xlabel="layer", ylabel=f"distance of attention ({unit})", xlim=(0.5, len(distance_LN) + 0.5))
        ax.set_ylim(0, 1.08 * max(alike, float(distance_LN.max())))
        ax.xaxis.set_major_locator(house.few_ticks(12, whole=True))
        ax.grid(False, axis="x")
        ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, handlelength=1.4, columnspacing=1.4)
        return figure


def positions(similarity_PP: np.ndarray, grid: tuple[int, int]) -> Figure:
    """Draw, where each patch is, the cosine of its position with all others'; of many patches evenly some.

    Arguments: the cosines, (P, P); rows and columns of patches.
    """
    with house.style():
        from matplotlib.figure import Figure

        rows, columns = some(grid[0], MOST_PLACES), some(grid[1], MOST_PLACES)
        others = similarity_PP[~np.eye(len(similarity_PP), dtype=bool)]
        most = max(float(np.quantile(np.abs(others), 0.995)), 1e-6)
        left, right, top, gap = 0.6, 0.95, 0.1, 0.05
        side = min((WIDTH - left - right - gap * len(columns)) / len(columns), 0.62)
        high = top + len(rows) * (side + gap) + 0.5
        figure = Figure((WIDTH, high), dpi=drawing.DOTS)
        colours = drawing.between(0.0, (ORANGE, BLUE))
        held = None
        for place_row, row in enumerate(rows):
            for place_column, column in enumerate(columns):
                x, y = left + place_column * (side + gap), top + place_row * (side + gap)
                ax = figure.add_axes((x / WIDTH, 1 - (y + side) / high, side / WIDTH, side / high))
                similarity_hw = similarity_PP[row * grid[1] + column].reshape(grid)
                held = ax.imshow(similarity_hw, colours, vmin=-most, vmax=most, interpolation="nearest")
                _bare(ax)
                if place_column == 0:
                    ax.set_ylabel(f"{row + 1}", fontsize=8, rotation=0, ha="right", va="center", labelpad=4)
                if place_row == len(rows) - 1:
                    ax.set_xlabel(f"{column + 1}", fontsize=8, labelpad=3)
        assert held is not None, "a grid has a patch"
        middle = 1 - (top + len(rows) * (side + gap) / 2) / high
        figure.text(0.14 / WIDTH, middle, "row of the patch", fontsize=8.5, color=SOFT, rotation=90, va="center")
        across = (left + len(columns) * (side + gap) / 2) / WIDTH
        figure.text(across, 0.1 / high, "column of the patch", fontsize=8.5, color=SOFT, ha="center")
        room = figure.add_axes(((left + len(columns) * (side + gap) + 0.12) / WIDTH, 0.5 / high, 0.11 / WIDTH,
                                (high - top - 0.5 - gap) / high))  # fmt: skip
        bar = figure.colorbar(held, cax=room)
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.ax.tick_params(labelsize=8)
        bar.set_label("cosine", fontsize=8.5, color=SOFT)
        bar.ax.grid(False)
        return figure


def _grid(
    rows: int,
    columns: int,
    *,
    left: float = 0.1,
    after_first: float = 0.0,
    side: float = 9.0,
    title: str = "",
) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure of square axes without ticks.

    Arguments: how many; inches left of them, and between the first column and the others; their side at most; what
    stands above them.
    """
    from matplotlib.figure import Figure

    gap, top = 0.06, 0.56 if title else 0.28
    side = min(side, (WIDTH - left - after_first - 0.1 - gap * (columns - 1)) / columns)
    high = top + rows * (side + gap) + 0.06
    figure = Figure((WIDTH, high), dpi=drawing.DOTS)
    if title:
        figure.text(0.1 / WIDTH, 1 - 0.18 / high, title, fontsize=11, fontweight="bold", color=INK, va="center")
    axes = []
    for row in range(rows):
        y = top + row * (side + gap)
        places = [(left + column * (side + gap) + after_first * (column > 0)) / WIDTH for column in range(columns)]
        axes.append([figure.add_axes((x, 1 - (y + side) / high, side / WIDTH, side / high)) for x in places])
        for ax in axes[-1]:
            _bare(ax)
    return figure, axes


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.grid(False)


def _over(picture_HW3: np.ndarray, share_hw: np.ndarray) -> np.ndarray:
    """Return an image in pale grey under the blue of what is attended to, (H, W, 3); the most is the bluest."""
    high, wide = picture_HW3.shape[:2]
    row_H = np.minimum(np.arange(high) * len(share_hw) // high, len(share_hw) - 1)
    column_W = np.minimum(np.arange(wide) * share_hw.shape[1] // wide, share_hw.shape[1] - 1)
    weight_HW1 = (share_hw / max(float(share_hw.max()), 1e-12))[row_H][:, column_W][..., None]
    grey_HW1 = (picture_HW3 @ np.array([0.299, 0.587, 0.114]))[..., None]
    paper_HW3 = np.repeat(0.72 + 0.28 * grey_HW1, 3, axis=2)
    blue_HW3 = np.array(house.rgb(BLUE)) * (0.55 + 0.45 * grey_HW1)
    return paper_HW3 + weight_HW1 * (blue_HW3 - paper_HW3)


def _smoothness(picture_HW3: np.ndarray) -> str:
    return "nearest" if max(picture_HW3.shape[:2]) < 100 else "antialiased"


def _folded(name: str) -> str:
    """Return a class and what it was taken for on lines of their own, shortened."""
    truth, *said = (house.shortened(part, 15) for part in name.split(", taken for "))
    return "\n".join([truth, *(f"taken for\n{one}" for one in said)])
