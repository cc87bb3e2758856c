"""Figures of features learned without labels, in the house style, and of images rebuilt from a few of their patches.

Shapes: B samples, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, SOFT, shortened, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_DOTS = 3000
"""Of a picture; of more samples every second, third and so on is shown."""
MOST_CLASSES = 12
"""Whose names are written at their middles."""
HUES = (BLUE, ORANGE, "#2a8a6d", "#8a5aa8", "#b8962e", "#c2506e", "#4aa3b8", "#7a6a58", "#93a83a", "#55627a")
"""Of classes in turn: the house's two first, then calm ones of about the same lightness."""


def plane(plane_B2: np.ndarray, label_B: np.ndarray | None = None, classes: Sequence[str] = ()) -> Figure:
    """Draw samples at the first two principal components of their features, coloured by class where there are labels.

    The names of up to twelve classes stand at the median of their samples.
    """
    from matplotlib import patheffects
    from matplotlib.figure import Figure

    with style():
        figure = Figure((5.6, 4.6), layout="constrained")
        ax = figure.add_subplot()
        every = -(-len(plane_B2) // MOST_DOTS)
        label_B = np.zeros(len(plane_B2), np.int64) if label_B is None else label_B
        colours = np.array(HUES)[label_B % len(HUES)]
        ax.scatter(*plane_B2[::every].T, s=7, c=colours[::every], alpha=0.55, linewidths=0)
        for k, name in enumerate(classes if len(classes) <= MOST_CLASSES else ()):
            if (label_B == k).any():
                ax.annotate(
                    shortened(name, 14), tuple(np.median(plane_B2[label_B == k], axis=0)), ha="center", va="center",
                    fontsize=9, fontweight="bold", color=HUES[k % len(HUES)],
                    path_effects=[patheffects.withStroke(linewidth=3, foreground="white")],
                )  # fmt: skip
        ax.set(xticks=[], yticks=[], xlabel="first principal component of the features", ylabel="second")
        ax.set_title("What lies near what, by features learned without labels")
    return figure


def rebuilt(
    original: Sequence[np.ndarray], shown: Sequence[np.ndarray], built: Sequence[np.ndarray], share: float
) -> Figure:
    """Draw images in three rows: what the net was shown, what it made of it, and how they are.

    Arguments: pictures (H, W, 3) in [0, 1], what is not shown being NaN; the share of the patches that was hidden.
    """
    from matplotlib.figure import Figure

    rows = (("shown", shown), ("rebuilt", built), ("original", original))
    with style():
        figure = Figure((5.6, 0.45 + 3 * 4.9 / max(5, len(original))))
        places = figure.subplots(3, max(5, len(original)), squeeze=False)
        figure.subplots_adjust(left=0.12, right=0.99, top=1 - 0.42 / figure.get_figheight(), bottom=0.01,
                               wspace=0.06, hspace=0.06)  # fmt: skip
        for ax in places.flat:
            ax.axis("off")
        for (name, pictures), axes in zip(rows, places, strict=True):
            axes[0].text(-0.14, 0.5, name, transform=axes[0].transAxes, ha="right", va="center", color=SOFT, fontsize=9)
            for ax, picture in zip(axes, pictures, strict=False):
                ax.imshow(np.where(np.isnan(picture), 0.86, np.clip(picture, 0, 1)), interpolation="nearest")
        title = f"Held-out images, rebuilt from {1 - share:.0%} of their patches"
        top = 1 - 0.12 / figure.get_figheight()
        figure.text(0.02, top, title, fontsize=11, fontweight="bold", color=INK, va="top")
    return figure
