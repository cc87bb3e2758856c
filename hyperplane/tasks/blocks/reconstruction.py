"""A picture beside what a net makes of it, drawn in the house style.

Shapes: B pixels, K levels of each (1 or 3), H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hyperplane.tasks.blocks import figures
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DRAWN_SIDE = 400
"""Small pictures are enlarged to about so many pixels, so that no browser blurs theirs."""


def on_grid(point_B2: np.ndarray) -> np.ndarray | None:
    """Return which sample each pixel of a picture is, (H, W), from the samples' x and y, which is upwards.

    None where the samples are not the pixels of one whole picture.
    """
    x_W, column_B = np.unique(point_B2[:, 0], return_inverse=True)
    y_H, row_B = np.unique(-point_B2[:, 1], return_inverse=True)
    which_HW = np.full((len(y_H), len(x_W)), -1)
    which_HW[row_B, column_B] = np.arange(len(point_B2))
    whole = which_HW.size == len(point_B2) and min(which_HW.shape) > 1 and (which_HW >= 0).all()
    return which_HW if whole else None


def draw(true_HWK: np.ndarray, drawn_HWK: np.ndarray, said: str) -> Figure:
    """Draw the picture, what the net makes of it, its error at each pixel, and how the errors are distributed.

    Arguments: levels in [0, 255] and the net's, which may go beyond; what to say of it in a few words. The error of
    grey is drawn minus true, that of colours the root of the mean of their squares; the distribution leaves out the
    farthest of two hundred.
    """
    from matplotlib.figure import Figure

    error_HWK = drawn_HWK - true_HWK
    grey = true_HWK.shape[2] == 1
    error_HW = error_HWK[..., 0] if grey else np.sqrt((error_HWK**2).mean(axis=2))
    with figures.style():
        figure = Figure((5.6, 6.5), layout="constrained")
        figure.suptitle(said, x=0.015, ha="left", fontsize=12, fontweight="bold")
        (original, net), (where, how) = figure.subplots(2, 2)
        _show(original, _visible(true_HWK))
        original.set_title("The picture, {} × {}".format(*true_HWK.shape[1::-1]))
        _show(net, _visible(drawn_HWK))
        net.set_title("What the net draws")
        end = max(float(np.abs(error_HW).max()), 1e-9)
        image = _show(where, error_HW, _errors() if grey else _errors(0.5), (-end if grey else 0.0, end))
        where.set_title("Drawn − true" if grey else "Error of the colours")
        key = where.inset_axes((0, -0.1, 1, 0.04))
        bar = figure.colorbar(image, cax=key, orientation="horizontal", label="levels of 255")
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        key.xaxis.set_major_locator(figures.few_ticks(5))
        far = max(float(np.quantile(np.abs(error_HWK), 0.995)), 1e-9)
        how.hist(error_HWK.ravel(), bins=40, range=(-far, far), color=BLUE, rwidth=0.9)
        how.axvline(0, color=INK, linewidth=0.8)
        how.xaxis.set_major_locator(figures.few_ticks(5))
        how.yaxis.set_major_locator(figures.few_ticks(4, whole=True))
        how.set(xlabel="drawn − true (levels)", ylabel="pixels" if grey else "pixels × colours", box_aspect=1)
        how.grid(False, axis="x")
        how.set_title("How far off")
    return figure


def _show(ax: Axes, picture: np.ndarray, colours: object = "gray", span: tuple[float, float] = (0, 1)):
    times = max(1, round(_DRAWN_SIDE / max(picture.shape[:2])))
    large = picture.repeat(times, axis=0).repeat(times, axis=1)
    ax.set_axis_off()
    return ax.imshow(large, cmap=colours, vmin=span[0], vmax=span[1], interpolation="none")  # pyright: ignore


def _visible(level_HWK: np.ndarray) -> np.ndarray:
    """Return levels as what a screen shows, in [0, 1]: (H, W) of grey, or (H, W, 3)."""
    shown_HWK = np.clip(level_HWK / 255, 0, 1)
    return shown_HWK[..., 0] if shown_HWK.shape[2] == 1 else shown_HWK


def _errors(first: float = 0.0):
    """Return the colours of errors, from blue through white to orange, from a share of them on."""
    from matplotlib.colors import LinearSegmentedColormap

    whole = LinearSegmentedColormap.from_list("error", [BLUE, "#fafafa", ORANGE])
    return LinearSegmentedColormap.from_list("error", whole(np.linspace(first, 1, 256)))
