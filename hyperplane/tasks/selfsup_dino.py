"""DINO: the net is to say the same of different parts of an image as its own moving average does.

Caron et al. 2021, "Emerging properties in self-supervised vision transformers" (arXiv:2104.14294), algorithm 1: a
teacher, the moving average of the net, looks at two large views of an image; the net looks at these and at small ones,
and its probabilities of K prototypes are to be the teacher's, sharpened by a low temperature. So that not all images
become alike, the teacher's are balanced: over a batch, every prototype is named as often as any other, by Sinkhorn and
Knopp's algorithm in place of a running centre, as in Oquab et al. 2023 (DINOv2, arXiv:2304.07193, section 4). The decay
is constant, and less at the start; views are not blurred; the projection standardises over the batch, and its
prototypes stay as they are drawn, without which a small net soon says the same of everything; the net's own last layer
is the first of the projection. Any net that reads images of both sizes will do. Only the net goes into fine-tuning.

Shape suffixes: B batch, C channels, H and W pixels, V views, E numbers that the net says, K prototypes.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.unlabelled import Unlabelled, fits
from hyperplane.tasks.blocks.views import view

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TASK", "Dino", "fits"]

LARGE, SMALL = (0.4, 1.0), (0.1, 0.4)
"""Shares of an image's area that views have: the paper's for 224 pixels are (0.25, 1) and (0.05, 0.25)."""
SMALLER = 1 / 2
"""Side of a small view over that of a large one: the paper's are 96 and 224 pixels."""
STUDENT_TEMPERATURE, TEACHER_TEMPERATURE = 0.1, 0.04
ROUNDS = 3
"""Of Sinkhorn and Knopp's algorithm."""
BOTTLENECK = 64
"""Numbers of which the cosines with the prototypes are taken."""


class Dino(Unlabelled):
    """Learn to say the same of every view of an image."""

    LOSS = Metric("disagreement", "nats", "lower", "cross-entropy of the net's prototypes of a view with the teacher's")
    teacher: nn.ModuleList
    """A copy of the net, and one of the projection."""

    def __init__(
        self,
        description: Description,
        *,
        large: int | None = None,
        small: int = 4,
        decay: float = 0.99,
        prototypes: int = 256,
        embedding: int = 256,
    ) -> None:
        """Build it for images.

        `large` is the side of the two large views in pixels (None: the images' own), `small` how many small views there
        are; `decay` in [0, 1) is the teacher's, each step; `prototypes` and `embedding` are how many numbers the
        projection and the net say.
        """
        if not 0 <= decay < 1:
            raise UserError(f"task selfsup-dino.decay: found {decay}, expected [0, 1); type: --task.decay 0.99")
        if small < 0 or prototypes < 2 or embedding < 1 or (large is not None and large < 1):
            raise UserError(
                f"task selfsup-dino: found large {large}, small {small}, prototypes {prototypes} and embedding "
                f"{embedding}, expected 1 pixel, 0, 2 and 1 or more; type: --task.small 4 --task.prototypes 256"
            )
        super().__init__(description)
        self.channels, *size = description.shapes[description.input]
        side = min(size)
        self.outputs, self.decay, self.small = embedding, decay, small
        self.sides = (large or side, max(1, round((large or side) * SMALLER)))
        self.projection = Projection(embedding, prototypes)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def join(self, net: nn.Module) -> None:
        """Make the teacher, a copy of the net with its projection; raises UserError where it cannot read the views."""
        self.teacher = nn.ModuleList([copy.deepcopy(net), copy.deepcopy(self.projection)]).requires_grad_(False).eval()
        for side in self.sides[: 1 + bool(self.small)]:
            try:
                with torch.no_grad():
                    self.teacher[0](torch.zeros(1, self.channels, side, side))
            except (UserError, RuntimeError) as error:
                raise UserError(
                    f"task selfsup-dino: the net {type(net).__name__} reads no views of {side} x {side} pixels; "
                    "type: --net vit, or for large views alone --task.small 0"
                ) from error

    def train(self, mode: bool = True) -> Dino:
        """Switch between training and evaluation; the teacher is always in the latter."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return for each image the cross-entropy of what net and teacher say of different views, mean over the pairs.

        Prediction: in training what the net says of the first view, in evaluation of whole images. Evaluation draws the
        same views for the same batch.
        """
        image_BCHW = batch.fields[self.input]
        chance = self.generator if self.training else torch.Generator(image_BCHW.device).manual_seed(0)
        large_VB = [view(image_BCHW, self.sides[0], LARGE, chance) for _ in range(2)]
        small_VB = [view(image_BCHW, self.sides[1], SMALL, chance) for _ in range(self.small)]
        if self.training and not self.get_buffer("updates"):
            self._follow(net, 0.0)  # the net may have begun with another run's weights
        target_VBK = self._taught(large_VB)
        said_BE = net(torch.cat(large_VB))
        score_NK = self.projection(said_BE)
        if small_VB:
            score_NK = torch.cat([score_NK, self.projection(net(torch.cat(small_VB)))])
        log_VBK = F.log_softmax(score_NK.float() / STUDENT_TEMPERATURE, dim=1).unflatten(0, (-1, len(batch)))
        loss_B = _disagreement(target_VBK, log_VBK)
        if net.training:
            return Output(loss_B, said_BE[: len(batch)], {}, taps or {})
        return self.judged(net, batch, loss_B)

    def after_step(self, net: nn.Module, step: int) -> None:
        """Let the teacher follow the net: t ← d t + (1 − d) w, with less of a past while there is little."""
        done = int(self.get_buffer("updates"))
        self._follow(net, min(self.decay, (1 + done) / (10 + done)))

    @torch.no_grad()
    def _follow(self, net: nn.Module, decay: float) -> None:
        student = nn.ModuleList([net, self.projection])
        for own, theirs in zip(self.teacher.parameters(), student.parameters(), strict=True):
            own.lerp_(theirs, 1 - decay)
        for own, theirs in zip(self.teacher.buffers(), student.buffers(), strict=True):
            own.copy_(theirs)
        self.get_buffer("updates").add_(1)

    @torch.no_grad()
    def _taught(self, large_VB: Sequence[Tensor]) -> Tensor:
        """Return the teacher's balanced probabilities of the large views, (V, B, K)."""
        net, projection = self.teacher
        score_NK = projection(net(torch.cat(list(large_VB))))
        return balanced(score_NK.float() / TEACHER_TEMPERATURE).unflatten(0, (len(large_VB), -1))


class Projection(nn.Module):
    """From what the net says to its cosines with the prototypes, through two layers, standardised over the batch."""

    def __init__(self, embedding: int, prototypes: int) -> None:
        super().__init__()
        self.inner = nn.Linear(embedding, embedding)
        self.bottleneck = nn.Linear(embedding, BOTTLENECK)
        self.register_buffer("prototype_KD", F.normalize(torch.randn(prototypes, BOTTLENECK), dim=1))
        for layer in (self.inner, self.bottleneck):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.bottleneck.bias)

    def forward(self, said_BE: Tensor) -> Tensor:
        """Return (B, K), each the cosine with a prototype."""
        x_BD = self.bottleneck(F.gelu(self.inner(F.gelu(said_BE)))).float()
        x_BD = (x_BD - x_BD.mean(0)) / (x_BD.var(0, correction=0) + 1e-6).sqrt()
        return F.linear(F.normalize(x_BD, dim=1), self.get_buffer("prototype_KD").to(x_BD.dtype))


def balanced(logit_NK: Tensor) -> Tensor:
    """Return probabilities (N, K), rows that sum to 1, near softmax' but with about the same sum in every column.

    Sinkhorn and Knopp 1967; Caron et al. 2020 (arXiv:2006.09882), section 3.1.
    """
    log_NK = logit_NK
    for _ in range(ROUNDS):
        log_NK = log_NK - log_NK.logsumexp(dim=0, keepdim=True)
        log_NK = log_NK - log_NK.logsumexp(dim=1, keepdim=True)
    return log_NK.exp()


def _disagreement(target_VBK: Tensor, log_VBK: Tensor) -> Tensor:
    """Return each image's cross-entropy, (B,), mean over the pairs of a teacher's and another view of the net's."""
    pairs = [
        -(target_VBK[t] * log_VBK[v]).sum(1) for t in range(len(target_VBK)) for v in range(len(log_VBK)) if v != t
    ]
    return torch.stack(pairs).mean(0)


TASK = Dino
