"""For single images: what the net says, and which pixels speak for that, by three methods side by side.

Shape suffixes: C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from hyperplane.explain import sheet
from hyperplane.explain.attribution import STEPS, grad_cam, integrated_gradients, occlusion, score_of
from hyperplane.explain.sheet import Cell
from hyperplane.explain.vision import Vision, probabilities
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, ORANGE, PALE_BLUE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ("the image", "occlusion", "integrated gradients", "Grad-CAM")
OPERATIONS = 5e10
"""That the occlusions of one image may take, and that its gradients: about a second of one core each."""
LEAST_STEPS = 24
"""Of integrated gradients, where a net takes long."""
MOST_PLACES, LEAST_PLACES = 15, 6
"""Of the occluder along each axis."""
SIDE = 1.3
LIKELIEST = 5


@dataclass(frozen=True)
class Evidence:
    """What speaks for a class in an image."""

    picture: np.ndarray
    """(H, W, 3) in [0, 1]."""
    said: int
    """The likeliest class, which is explained."""
    probability_K: np.ndarray
    occlusion: np.ndarray
    """(H, W): how much the log odds fall where a square is blanked."""
    gradients: np.ndarray
    """(H, W): integrated gradients, summed over the channels."""
    cam: np.ndarray | None
    """(H, W): Grad-CAM at the last map; None of a net that has no maps."""


def evidence(vision: Vision, image_CHW: Tensor) -> Evidence:
    """Return what speaks for the class that the net says."""
    probability_K = probabilities(vision.logits(image_CHW[None]))[0]
    said = int(probability_K.argmax())
    score = score_of(vision, said)
    places = vision.afford(OPERATIONS, LEAST_PLACES**2, MOST_PLACES**2)
    window = max(1, round(min(image_CHW.shape[1:]) / 5))
    steps = vision.afford(OPERATIONS / 3, LEAST_STEPS, STEPS)  # a slope takes twice as much as the score
    gradients_CHW = integrated_gradients(score, image_CHW, vision.black()[0], steps)
    return Evidence(
        vision.picture(image_CHW),
        said,
        probability_K,
        occlusion(score, image_CHW, window, math.isqrt(places)).numpy(),
        gradients_CHW.sum(dim=0).double().cpu().numpy(),
        grad_cam(vision, image_CHW, said, vision.stages[-1].name).numpy() if vision.stages else None,
    )


def draw(found: Sequence[Evidence], truths: Sequence[str], classes: Sequence[str], title: str) -> Figure:
    """Draw images and what speaks for what the net says of each; `truths` are their true classes."""
    rows: list[list[Cell | None]] = []
    for one, truth in zip(found, truths, strict=True):
        said = classes[one.said]
        sure = percent(one.probability_K[one.said])
        words = f"{truth}\n{sure}" if said == truth else f"{truth}\nsaid {said}\n{sure}"
        rows.append(_row(one, words, BLUE if said == truth else ORANGE))
    with house.style():
        return sheet.sheet(title, rows, _columns(found), side=SIDE).figure


def draw_given(one: Evidence, name: str, classes: Sequence[str]) -> Figure:
    """Draw a given image, what speaks for what the net says of it, and how likely it holds which classes."""
    order = [int(k) for k in np.argsort(-one.probability_K, kind="stable")[:LIKELIEST]]
    with house.style():
        bars = 0.24 * len(order)
        made = sheet.sheet(name, [_row(one, "", INK)], _columns([one]), side=SIDE, more=bars + 0.15)
        ax = sheet.below(made, 0.08, bars, left=1.75)
        share_L = one.probability_K[order]
        ax.barh(range(len(order)), share_L, 0.62, color=[BLUE] + [PALE_BLUE] * (len(order) - 1))
        for row, share in enumerate(share_L):
            ax.annotate(percent(share), (share, row), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
        ax.set_yticks(range(len(order)), [house.shortened(classes[k], 24) for k in order], fontsize=8.5, color=INK)
        ax.set(xlim=(0, 1.1), ylim=(len(order) - 0.5, -0.5), xticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)
    return made.figure


def _row(one: Evidence, words: str, colour: str) -> list[Cell | None]:
    shown: list[Cell | None] = [Cell(one.picture, words, colour)]
    for value_HW in (one.occlusion, one.gradients, one.cam):
        if value_HW is not None:
            strongest = float(np.quantile(np.abs(value_HW), 0.995))
            shown.append(Cell(sheet.for_and_against(value_HW, one.picture, strongest or None)))
    return shown


def _columns(found: Sequence[Evidence]) -> Sequence[str]:
    return COLUMNS if any(one.cam is not None for one in found) else COLUMNS[:-1]


def percent(share: float) -> str:
    """Return a probability for people."""
    return "under 0.1 %" if share < 5e-4 else "100 %" if share > 0.9995 else f"{100 * share:.1f} %"
