"""The film of training: what a small net was at some 40 steps, from its first weights to those that were kept.

Frames are drawn over one background that is laid out once, so that a frame costs what moves in it.
Shapes: N samples, K outputs, F frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch
from hyperplane.engine import snapshots
from hyperplane.explain import gallery, moving, panels
from hyperplane.explain.moving import Film
from hyperplane.explain.subject import Subject, View, renewed
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.figures import BLUE, INK, PALE_BLUE, SOFT

DPI = 100
FRAME_MS, LAST_MS = 140, 2000
"""How long a frame is seen, and the last one."""
MOST_SAMPLES = 5000
"""That the loss of a frame is measured on, evenly among all."""


@dataclass(frozen=True)
class _Moment:
    """A net at a step."""

    step: int
    weights: Mapping[str, Tensor]
    loss: float | None
    """Over training samples; None where these are gone."""
    kept: bool = False
    """Whether these are the weights that the run kept."""


def film(subject: Subject, seen: View) -> Film | None:
    """Return the film of a run that kept its weights along the way, else None.

    Raises UserError where a file of them is damaged.
    """
    if seen.where:
        return None
    found = _moments(subject)
    if len(found) < 2:
        return None
    final = _weights(subject)
    try:
        with house.style():
            pictures = list(_frames(subject, seen, found))
    finally:
        _put(subject, final)
    told = f"The net at {len(found)} moments of its training, early ones close together; the dot goes along its loss."
    told += gallery.rest(subject.description.target_names)
    return moving.film(pictures, [FRAME_MS] * (len(pictures) - 1) + [LAST_MS], told)


def _weights(subject: Subject) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in subject.model.net.named_parameters()}


@torch.no_grad()
def _put(subject: Subject, weights: Mapping[str, Tensor]) -> None:
    for name, parameter in subject.model.net.named_parameters():
        parameter.copy_(weights[name])


def _moments(subject: Subject) -> list[_Moment]:
    """Return the nets to show, in order: those that were kept along the way, and last the run's own."""
    final = _weights(subject)
    judged = _training_samples(subject)
    found: list[_Moment] = []
    for step, weights in snapshots.read(subject.folder.history):
        fits = {name: t.shape for name, t in weights.items()} == {name: t.shape for name, t in final.items()}
        if fits and all(tensor.isfinite().all() for tensor in weights.values()):
            _put(subject, weights)
            found.append(_Moment(step, weights, _loss(subject, judged)))
    _put(subject, final)
    if not found:
        return []
    result = subject.folder.read_result()
    last = max(found[-1].step, result.steps if result is not None else 0)
    same = all(torch.equal(final[name].to(tensor), tensor) for name, tensor in found[-1].weights.items())
    if same:
        return [*found[:-1], _Moment(last, final, found[-1].loss)]
    return [*found[: snapshots.MOST - 1], _Moment(last, final, _loss(subject, judged), kept=True)]


def _training_samples(subject: Subject) -> Batch | None:
    if subject.source is None:
        return None
    many = subject.description.splits["train"]
    batch = subject.source.batch("train", range(0, many, -(-many // MOST_SAMPLES)))
    like, name = next(subject.model.net.parameters()), subject.description.input
    return Batch({**batch.fields, name: batch[name].to(like.dtype)}, batch.index_B).to(like.device)


@torch.no_grad()
def _loss(subject: Subject, judged: Batch | None) -> float | None:
    if judged is None:
        return None
    return subject.model.judge.forward(subject.model.net, judged).loss_B.double().mean().item()


def _frames(subject: Subject, seen: View, moments: list[_Moment]) -> Iterator[Image.Image]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((9.6, 5.0), dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    shown = panels.build(figure, subject, seen)
    strip = _Strip(figure, moments)
    canvas.draw()
    background = canvas.copy_from_bbox(figure.bbox)
    for index, moment in enumerate(moments):
        _put(subject, moment.weights)
        present = renewed(subject, seen)
        canvas.restore_region(background)
        for panel in shown:
            for artist in panel.update(present):
                panel.ax.draw_artist(artist)
        strip.update(index)
        yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


class _Strip:
    """The loss at every frame, a dot that goes along it, and the step and the loss in words."""

    def __init__(self, figure: Any, moments: list[_Moment]) -> None:
        self.figure, self.moments = figure, moments
        loss_F = [moment.loss for moment in moments]
        self.height_F = np.array([math.nan if loss is None else loss for loss in loss_F])
        self.ax = ax = figure.add_axes((0.078, 0.105, 0.5, 0.12))
        ax.grid(False)
        ax.set(xlim=(-0.5, len(moments) - 0.5), yticks=[])
        ax.spines["left"].set_visible(False)
        ticks = sorted({round(share * (len(moments) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)})
        ax.set_xticks(ticks, [f"{moments[tick].step:,}" for tick in ticks])
        ax.set_xlabel("step", labelpad=1)
        seen_F = np.isfinite(self.height_F)
        if seen_F.all():
            if self.height_F.min() > 0 and self.height_F.max() > 5 * self.height_F.min():
                self.height_F = np.log(self.height_F)
            low, high = float(self.height_F.min()), float(self.height_F.max())
            ax.set_ylim(low - 0.12 * (high - low or 1), high + 0.15 * (high - low or 1))
            ax.plot(range(len(moments)), self.height_F, color=PALE_BLUE, linewidth=2)
        else:
            self.height_F = np.zeros(len(moments))
        self.past = ax.plot([], [], color=BLUE, linewidth=2)[0]
        self.dot = ax.plot([], [], "o", color=BLUE, markersize=6.5, mec="white", mew=1.2, clip_on=False)[0]
        self.step = figure.text(0.61, 0.175, "", fontsize=12, fontweight="bold", color=INK)
        self.loss = figure.text(0.61, 0.115, "", fontsize=10.5, color=SOFT)

    def update(self, index: int) -> None:
        """Draw it as at a frame."""
        moment = self.moments[index]
        self.past.set_data(range(index + 1), self.height_F[: index + 1])
        self.dot.set_data([index], [self.height_F[index]])
        self.step.set_text("the weights kept" if moment.kept else f"step {moment.step:,} of {self.moments[-1].step:,}")
        self.loss.set_text("" if moment.loss is None else f"loss {moment.loss:.3g}")
        for artist in (self.past, self.dot):
            self.ax.draw_artist(artist)
        for text in (self.step, self.loss):
            self.figure.draw_artist(text)
