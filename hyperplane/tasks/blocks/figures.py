"""Figures in the house style: how a net does, drawn from numpy arrays.

Two hues that colour-blind people tell apart: blue for what is right or measured on validation samples, orange for what
is wrong or missing. Every figure is legible at a width of 420 pixels. No global state of matplotlib is touched.
Shapes: B samples, S logged steps, K classes, T tokens.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, RULE, BLUE, ORANGE = "#16202b", "#66727f", "#e3e8ed", "#1f5fa8", "#d9620f"
PALE_BLUE, PALE_ORANGE = "#bcd2ea", "#f6cfae"
MOST_BARS = 20
"""Of a bar chart."""
BINS = 15
"""Of the reliability diagram, of equal width over the confidence (Guo et al. 2017, arXiv:1706.04599)."""

_WIDTH = 5.6
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#b9c2cb",
    "axes.grid": True,
    "axes.labelcolor": SOFT,
    "axes.labelpad": 6,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlepad": 11,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "figure.facecolor": "white",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": SOFT,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "patch.linewidth": 0,
    "svg.fonttype": "none",
    "svg.hashsalt": "hyperplane",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": "#b9c2cb",
    "xtick.labelcolor": SOFT,
    "xtick.labelsize": 9,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": "#b9c2cb",
    "ytick.labelcolor": SOFT,
    "ytick.labelsize": 9,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


def confusion(label_B: np.ndarray, predicted_B: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw how often each class was taken for each: counts, shaded by their share of the row.

    Arguments: labels and predicted labels in [0, K), int64 (B,); the names of the K classes. Right ones are blue, wrong
    ones orange, each with a shade of its own scale. Counts are written where they fit, and not all classes are named
    where there are many.
    """
    with style():
        count_KK = np.zeros((len(classes), len(classes)), np.int64)
        np.add.at(count_KK, (label_B, predicted_B), 1)
        wrong = int(len(label_B) - np.trace(count_KK))
        figure = _figure(_WIDTH)
        ax = figure.add_subplot()
        ax.imshow(_confusion_shades(count_KK), interpolation="nearest", aspect="equal")
        ax.grid(False)
        ax.spines[:].set_visible(False)
        if len(classes) <= 12:
            _write_counts(ax, count_KK)
        every = math.ceil(len(classes) / 25)
        ticks = range(0, len(classes), every)
        names = [shortened(classes[k], 12) for k in ticks]
        upright = len(classes) > 12 or max(map(len, names)) > 30 // len(classes) + 1
        size = 9.5 if len(classes) <= 16 else 7.5
        ax.set_xticks(ticks, names, rotation=90 if upright else 0, fontsize=size)
        ax.set_yticks(ticks, names, fontsize=size)
        edges = np.arange(len(classes) + 1) - 0.5
        if len(classes) <= 40:
            ax.hlines(edges, -0.5, len(classes) - 0.5, color="white", linewidth=1.2)
            ax.vlines(edges, -0.5, len(classes) - 0.5, color="white", linewidth=1.2)
        else:
            ax.spines[:].set_visible(True)
        ax.set(xlabel="predicted", ylabel="true")
        ax.set_title(
            "None is wrong" if not wrong else f"{wrong:,} of {len(label_B):,} {'is' if wrong == 1 else 'are'} wrong"
        )
    return figure


def calibration(confidence_B: np.ndarray, correct_B: np.ndarray) -> Figure:
    """Draw how often the net is right against how sure it is, and how often it is how sure.

    Arguments: the probability of each prediction, in [0, 1], and whether it was right, both (B,). The title holds the
    expected calibration error over 15 bins of equal width (Guo et al. 2017, equation 3).
    """
    with style():
        bin_B = np.clip(np.ceil(confidence_B * BINS).astype(np.int64) - 1, 0, BINS - 1)
        count = np.bincount(bin_B, minlength=BINS)
        held = count > 0
        sure = np.bincount(bin_B, confidence_B, BINS)[held] / count[held]
        right = np.bincount(bin_B, correct_B, BINS)[held] / count[held]
        error = float(np.sum(np.abs(sure - right) * count[held]) / max(1, len(confidence_B)))
        figure = _figure(_WIDTH)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
        left = np.arange(BINS)[held] / BINS
        upper.annotate("ideal", (0.1, 0.1), (6, -5), textcoords="offset points", color=SOFT, fontsize=9, va="top")
        lesser = np.minimum(sure, right)
        upper.bar(left, lesser, 0.92 / BINS, align="edge", color=PALE_BLUE)
        upper.bar(left, np.abs(sure - right), 0.92 / BINS, lesser, align="edge", color=PALE_ORANGE, label="gap")
        upper.plot([0, 1], [0, 1], color=SOFT, linewidth=1, dashes=(4, 3))
        upper.plot(sure, right, "o", color=BLUE, markersize=4.5, label="share that is right")
        upper.set(ylim=(0, 1.03), xlim=(-0.01, 1.01), ylabel="share that is right")
        upper.legend(loc="upper left" if sure @ count[held] > right @ count[held] else "lower right")
        upper.set_title(f"Confidence is off by {100 * error:.1f} % on average (ECE)")
        lower.bar(np.arange(BINS) / BINS, count, 0.92 / BINS, align="edge", color=BLUE)
        lower.set(xlabel="confidence", ylabel="samples")
        lower.yaxis.set_major_locator(few_ticks(3))
        for axis in (upper.xaxis, upper.yaxis):
            axis.set_major_formatter(percent)
    return figure


def scatter(truth_B: np.ndarray, prediction_B: np.ndarray, name: str, unit: str = "") -> Figure:
    """Draw predicted against true values of the number called `name`, both (B,), and the line where they are equal."""
    with style():
        figure = _figure(_WIDTH)
        ax = figure.add_subplot()
        both = np.concatenate([truth_B, prediction_B])
        low, high = float(np.min(both, initial=np.inf)), float(np.max(both, initial=-np.inf))
        margin = 0.04 * (high - low) or 1.0
        span = (low - margin, high + margin) if len(both) else (0.0, 1.0)
        ax.plot(span, span, color=SOFT, linewidth=1, dashes=(4, 3))
        ax.plot(truth_B, prediction_B, "o", color=BLUE, **_dots(len(truth_B)))
        ax.set(xlim=span, ylim=span, aspect="equal", xlabel=_label("true", unit), ylabel=_label("predicted", unit))
        ax.set_title(f"{shortened(name, 32)}: predicted against true")
    return figure


def residuals(truth_B: np.ndarray, prediction_B: np.ndarray, name: str, unit: str = "") -> Figure:
    """Draw what is left over (predicted minus true) against the prediction, both (B,), and how it is distributed."""
    with style():
        figure = _figure(4.2)
        main, side = figure.subplots(1, 2, sharey=True, width_ratios=[3.4, 1])
        error_B = prediction_B - truth_B
        main.axhline(0, color=SOFT, linewidth=1, dashes=(4, 3))
        main.plot(prediction_B, error_B, "o", color=BLUE, **_dots(len(error_B)))
        main.set(xlabel=_label("predicted", unit), ylabel=_label("predicted − true", unit))
        main.set_title(f"{shortened(name, 32)}: what is left over")
        side.hist(error_B, bins=min(30, max(5, len(error_B) // 5)), orientation="horizontal", color=BLUE, rwidth=0.9)
        side.set(xlabel="samples")
        side.xaxis.set_major_locator(few_ticks(2))
        side.grid(False, axis="y")
    return figure


def per_class(count_KK: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the F1 of each class, worst first; of more than 20 classes the worst 20.

    Arguments: how often each class (row) was taken for each (column), int64 (K, K); the names of the K classes.
    """
    with style():
        shown_K = count_KK.sum(0) + count_KK.sum(1)
        f1_K = 2 * np.diag(count_KK) / np.maximum(1, shown_K)
        order = [int(k) for k in np.argsort(f1_K, kind="stable") if shown_K[k]][:20]
        figure = _figure(1.1 + 0.3 * max(3, len(order)))
        ax = figure.add_subplot()
        ax.barh(range(len(order)), f1_K[order], 0.72, color=BLUE)
        for row, k in enumerate(order):
            ax.annotate(
                f"{100 * f1_K[k]:.1f}", (f1_K[k], row), (4, 0), textcoords="offset points", va="center", fontsize=9
            )
        ax.set_yticks(range(len(order)), [shortened(classes[k], 18) for k in order])
        ax.set(xlim=(0, 1.08), ylim=(max(3, len(order)) - 0.4, -0.6), xticks=[0, 0.25, 0.5, 0.75, 1])
        ax.xaxis.set_major_formatter(percent)
        ax.grid(False, axis="y")
        ax.set_title("F1 of each class" if len(order) == np.count_nonzero(shown_K) else "F1 of the 20 worst classes")
    return figure


def right_by(value_B: np.ndarray, right_B: np.ndarray, name: str) -> Figure:
    """Draw the share of right answers among the samples of each value; both (B,), values whole, `name` says what of."""
    with style():
        figure = _figure(3.6)
        ax = figure.add_subplot()
        value_K = np.unique(value_B)
        share_K = np.array([right_B[value_B == value].mean() for value in value_K])
        ax.bar(range(len(value_K)), share_K, 0.72, color=BLUE)
        for k, value in enumerate(value_K) if len(value_K) <= MOST_BARS else ():
            told = f"{100 * share_K[k]:.0f}\nof {np.count_nonzero(value_B == value):,}"
            ax.annotate(told, (k, share_K[k]), (0, 3), textcoords="offset points", ha="center", fontsize=9)
        every = -(-len(value_K) // MOST_BARS)
        ax.set_xticks(range(0, len(value_K), max(1, every)), [f"{value}" for value in value_K[:: max(1, every)]])
        ax.set(xlim=(-0.6, max(2, len(value_K)) - 0.4), ylim=(0, 1.2), yticks=[0, 0.25, 0.5, 0.75, 1], xlabel=name)
        ax.yaxis.set_major_formatter(percent)
        ax.grid(False, axis="x")
        ax.set_title("Right answers")
    return figure


def by_context(loss_T: np.ndarray) -> Figure:
    """Draw the mean loss (T,), in nats, of tokens with 1 to T tokens before them."""
    with style():
        figure = _figure(3.6)
        ax = figure.add_subplot()
        before_T = np.arange(1, len(loss_T) + 1)
        ax.plot(before_T, loss_T, color=PALE_BLUE, linewidth=1)
        ax.plot(before_T, _smooth(loss_T), color=BLUE)
        ax.set(xlabel="tokens that it has seen", ylabel="loss (nats a token)")
        if len(loss_T) > 1:
            ax.set_xscale("log", base=2)
            ax.set_xlim(1, len(loss_T))
            ax.xaxis.set_major_formatter(_plainly)
        ax.set_title("What a longer context is worth")
    return figure


def costs(names: Sequence[str], share_K: np.ndarray, loss_K: np.ndarray) -> Figure:
    """Draw which tokens the loss is made of: of each its share of the whole, and its mean loss in nats, both (K,)."""
    with style():
        figure = _figure(1.1 + 0.3 * max(3, len(names)))
        ax = figure.add_subplot()
        ax.barh(range(len(names)), share_K, 0.72, color=BLUE)
        for row, loss in enumerate(loss_K):
            ax.annotate(f"{loss:.2f}", (share_K[row], row), (4, 0), textcoords="offset points", va="center", fontsize=9)
        ax.set_yticks(range(len(names)), [shortened(name, 14) for name in names])
        ax.set(
            xlim=(0, 1.12 * max(share_K, default=1)),
            ylim=(max(3, len(names)) - 0.4, -0.6),
            xlabel="share of the loss; beside it, the mean loss in nats",
        )
        ax.xaxis.set_major_formatter(percent)
        ax.xaxis.set_major_locator(few_ticks(4))
        ax.grid(False, axis="y")
        ax.set_title("Which tokens the loss is made of")
    return figure


def curves(
    step_S: np.ndarray,
    loss_S: np.ndarray,
    learning_rate_S: np.ndarray,
    validation: Sequence[Mapping[str, Any]] = (),
    metric: str | None = None,
    unit: str = "",
) -> Figure:
    """Draw the losses, a validation metric and the learning rate over the steps.

    Arguments: logged steps, training losses and learning rates, all (S,); the validation records (`step`, `loss`,
    metrics by name); the metric to draw, None for none, and its unit: % for a share in [0, 1].
    """
    with style():
        judged = [(r["step"], r[metric]) for r in validation if metric is not None and metric in r]
        figure = _figure(6.2 if judged else 4.6)
        axes = figure.subplots(3 if judged else 2, 1, sharex=True, height_ratios=[2.4, 1.6, 1] if judged else [2.4, 1])
        top, last = axes[0], axes[-1]
        top.plot(step_S, loss_S, color=PALE_ORANGE, linewidth=1)
        top.plot(step_S, _smooth(loss_S), color=ORANGE, label="training (smoothed)")
        if validation:
            top.plot(
                [r["step"] for r in validation], [r["loss"] for r in validation], **_marked(validation, "validation")
            )
        drawn = np.concatenate([loss_S, [r["loss"] for r in validation]])
        drawn = drawn[np.isfinite(drawn)]
        if len(drawn) and drawn.min() > 0 and drawn.max() > 20 * drawn.min():
            top.set_yscale("log")
            top.yaxis.set_major_locator(_decades())
            top.yaxis.set_major_formatter(_plainly)
            top.yaxis.set_minor_formatter("")
        top.legend(loc="upper right", ncols=2)
        top.set_title("Loss")
        if judged:
            axes[1].plot(*zip(*judged, strict=True), **_marked(judged))
            axes[1].set_title(f"Validation: {shortened(words(str(metric)), 30)}")
            axes[1].yaxis.set_major_locator(few_ticks(4))
            if unit == "%":
                axes[1].yaxis.set_major_formatter(percent)
        last.plot(step_S, learning_rate_S, color=SOFT)
        last.set_title("Learning rate")
        last.yaxis.set_major_locator(few_ticks(3))
        last.set(xlabel="step", ylim=(0, None))
        last.xaxis.set_major_locator(few_ticks(6, whole=True))
        figure.align_ylabels()
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG: the same bytes for the same figure; text stays text, in the reader's own font."""
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)  # the reader's font has it
        _settle(figure)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": "hyperplane"})
    path.write_text(
        drawn.getvalue().replace("'DejaVu Sans', sans-serif", _FONTS).replace("'DejaVu Sans'", _FONTS), "utf-8"
    )


def _settle(figure: Figure) -> None:
    """Lay the figure out for good, with positions rounded: the solver's last digits change from run to run."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        left, bottom, width, height = ax.get_position(original=True).bounds
        ax.set_position((round(left, 5), round(bottom, 5), round(width, 5), round(height, 5)))


def words(name: str) -> str:
    """Return a file's or a metric's name as people write it: `calibration_error` as Calibration error, `r2` as R²."""
    known = {"f1": "F1", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "roc": "ROC", "auc": "AUC", "psnr": "PSNR"}
    known |= {"iou": "IoU", "dice": "Dice", "betti0": "Betti-0", "betti1": "Betti-1"}
    found = [known.get(word, word) for word in name.replace("_", " ").replace("-", " ").split()]
    return " ".join([found[0][:1].upper() + found[0][1:], *found[1:]]) if found else name


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and written: the house style."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure((_WIDTH, height), layout="constrained")


def few_ticks(most: int, whole: bool = False) -> Any:
    """Return a locator of at most so many round ticks, whole numbers if asked for."""
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=whole, steps=[1, 2, 2.5, 5, 10])


def _decades() -> Any:
    from matplotlib.ticker import LogLocator

    return LogLocator(subs=(1, 2, 5), numticks=12)


def _plainly(value: float, _position: float) -> str:
    return f"{value:g}"


def percent(share: float, _position: float) -> str:
    """Return a share as a tick label in percent."""
    return f"{100 * share:.4g} %"


def shortened(name: str, most: int) -> str:
    """Return a name that fits, by leaving out its middle, and that XML can hold."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return clean if len(clean) <= most else clean[: most - most // 3 - 1] + "…" + clean[-(most // 3) :]


def _label(name: str, unit: str) -> str:
    return f"{name} ({shortened(unit, 20)})" if unit else name


def _dots(count: int) -> dict[str, Any]:
    """Return how to draw points so that many do not become a blot."""
    return {"markersize": 4.5 if count <= 500 else 3, "alpha": float(np.clip(150 / max(1, count), 0.15, 0.6)), "mew": 0,
            "rasterized": count > 5000}  # fmt: skip


def _marked(records: Sequence[Any], label: str | None = None) -> dict[str, Any]:
    return {"color": BLUE, "marker": "o" if len(records) <= 40 else None, "markersize": 4, "label": label}


def _smooth(value_S: np.ndarray) -> np.ndarray:
    """Return the mean over about a twentieth of the run around each step; what is not finite is left out."""
    reach = max(1, len(value_S) // 40)
    held_S = np.isfinite(value_S)
    total = np.concatenate([[0.0], np.cumsum(np.where(held_S, value_S, 0.0))])
    count = np.concatenate([[0], np.cumsum(held_S)])
    position = np.arange(len(value_S))
    low, high = np.maximum(0, position - reach), np.minimum(len(value_S), position + reach + 1)
    seen = count[high] - count[low]
    return np.where(seen > 0, (total[high] - total[low]) / np.maximum(1, seen), np.nan)


def _confusion_shades(count_KK: np.ndarray) -> np.ndarray:
    """Return the colour of each cell, (K, K, 3) in [0, 1]: blue for right, orange for wrong, by share of the row."""
    share_KK = count_KK / np.maximum(1, count_KK.sum(axis=1, keepdims=True))
    wrong_KK = share_KK * (1 - np.eye(len(count_KK)))
    depth_KK = np.sqrt(wrong_KK / max(0.25, float(wrong_KK.max())))
    paper, blue, orange = (np.array(rgb(c)) for c in ("#f4f6f8", BLUE, ORANGE))
    shade_KK3 = paper + (orange - paper) * depth_KK[..., None] * 0.85
    for k in range(len(count_KK)):
        shade_KK3[k, k] = paper + (blue - paper) * share_KK[k, k]
    return np.clip(shade_KK3, 0, 1)


def _write_counts(ax: Axes, count_KK: np.ndarray) -> None:
    shade_KK3 = _confusion_shades(count_KK)
    longest = len(f"{count_KK.max()}")
    size = min(11.0, 150 / (len(count_KK) * max(2, longest)) + 3)
    for row, column in np.argwhere(count_KK):
        light = shade_KK3[row, column] @ [0.299, 0.587, 0.114]
        ax.text(column, row, f"{count_KK[row, column]}", ha="center", va="center", fontsize=size,
                color=INK if light > 0.6 else "white")  # fmt: skip


def rgb(colour: str) -> tuple[float, float, float]:
    """Return a colour as red, green and blue in [0, 1]."""
    from matplotlib.colors import to_rgb

    return to_rgb(colour)
