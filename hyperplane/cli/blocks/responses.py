"""What filters say of a picture, drawn: each mask, its response, and all directions together.

Shape suffixes: H and W pixels, h and w those of a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hyperplane.tasks.blocks import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LARGEST = 480
"""Pixels of a picture's longer side in a figure."""


@dataclass(frozen=True)
class Panel:
    """One mask and its response."""

    label: str
    """Its direction, as it follows the panel's name; empty where it has none."""
    mask_hw: np.ndarray
    response_HW: np.ndarray


def together(response_HW: Sequence[np.ndarray], signed: bool) -> np.ndarray:
    """Return all responses as one picture in [0, 1].

    Of several it is the root of the sum of their squares: of two derivatives at right angles, the gradient's magnitude.
    One alone has its sign, with grey for 0; where it is not `signed`, it is a picture already. White is the magnitude
    that all but 0.5% of the pixels stay below.
    """
    if not signed:
        return np.clip(response_HW[0], 0.0, 1.0)
    if len(response_HW) == 1:
        return np.clip(0.5 + 0.5 * response_HW[0] / _most(response_HW[0]), 0.0, 1.0)
    strength_HW = np.sqrt(sum(np.square(r) for r in response_HW))
    return np.clip(strength_HW / _most(strength_HW), 0.0, 1.0)


def draw(picture_HW: np.ndarray, panels: Sequence[Panel], all_HW: np.ndarray, title: str, signed: bool) -> Figure:
    """Draw the picture, each mask with its response, and where there are several what they say together.

    Arguments: pixels in [0, 1]; the masks and responses; all responses as `together` returns them; what the filters
    are; whether responses have a sign. Those above 0 are blue and those below 0 orange, all on one scale.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    signs = LinearSegmentedColormap.from_list("signs", [figures.ORANGE, "#fbfbfa", figures.BLUE])
    grey = {"cmap": "gray", "vmin": 0, "vmax": 1}
    most = max(_most(panel.response_HW) for panel in panels)
    several = len(panels) > 1
    rows, columns = (len(panels) + 1, 2) if several else (1, 3)
    high, wide = picture_HW.shape
    tall = float(np.clip(5.2 / columns * high / wide, 0.9, 5.0))
    with figures.style():
        figure = Figure((5.6, (tall + 0.35) * rows + 0.35), layout="constrained")
        axes = iter(figure.subplots(rows, columns).ravel())
        _show(next(axes), picture_HW, "Picture", grey)
        if several:
            _show(next(axes), all_HW, "All directions", grey)
        for panel in panels:
            reach = float(np.abs(panel.mask_hw).max())
            mask = next(axes)
            _show(mask, panel.mask_hw, f"Mask{panel.label}", {"cmap": signs, "vmin": -reach, "vmax": reach})
            if panel.mask_hw.size <= 25:
                _write_weights(mask, panel.mask_hw, reach)
            how = {"cmap": signs, "vmin": -most, "vmax": most} if signed else grey
            _show(next(axes), panel.response_HW, f"Response{panel.label}", how)
        figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold", color=figures.INK)
    return figure


def _most(value_HW: np.ndarray) -> float:
    """Return the magnitude that all but 0.5% of the pixels stay below; never 0."""
    magnitude_HW = np.abs(value_HW)
    return float(np.quantile(magnitude_HW, 0.995)) or float(magnitude_HW.max()) or 1.0


def _show(ax: Axes, value_HW: np.ndarray, title: str, how: dict[str, Any]) -> None:
    step = max(1, -(-max(value_HW.shape) // LARGEST))
    ax.imshow(value_HW[::step, ::step], interpolation="nearest", **how)
    ax.grid(False)
    ax.set(xticks=[], yticks=[], anchor="N")
    ax.spines[:].set_visible(True)
    ax.set_title(title, fontsize=9.5, fontweight="normal")


def _write_weights(ax: Axes, mask_hw: np.ndarray, reach: float) -> None:
    for row, column in np.ndindex(*mask_hw.shape):
        weight = mask_hw[row, column]
        colour = "white" if abs(weight) > 0.6 * reach else figures.INK
        ax.text(column, row, f"{weight:.2g}".replace("-", "−"), ha="center", va="center", color=colour)
