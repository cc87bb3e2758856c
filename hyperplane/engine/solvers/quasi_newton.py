"""L-BFGS on the whole training split, for any net and any task: one restart after another.

The one that does best on the validation split is kept, or where there is none the one with the least training loss.
The loss is the task's mean, to which weight decay λ adds λ / 2 · ‖W‖². Shape suffix: P weights.
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from hyperplane.contracts import Batch
from hyperplane.engine.flat import Flat
from hyperplane.engine.lbfgs import LBFGS, LOSS_FLOOR, REASONS
from hyperplane.engine.model import Model
from hyperplane.engine.solvers.starts import start
from hyperplane.recipe import Recipe
from hyperplane.runs.records import USED_UP, Outcome

PIECE = 1024
"""Samples that go through the net at once."""


class QuasiNewton:
    """One or more fits by L-BFGS; the first begins where other optimizers do."""

    def __init__(self, recipe: Recipe, model: Model, batch: Batch, held: Batch | None) -> None:
        assert recipe.optimizer.restarts is not None and recipe.training.epochs is not None, "completed before"
        self.recipe, self.model, self.batch, self.held, self.flat = recipe, model, batch, held, Flat(model)
        self.restarts, self.most = recipe.optimizer.restarts, recipe.training.epochs
        self.first_P, self.iterations = self.flat.vector(), 0
        self.penalty_P = (recipe.optimizer.weight_decay or 0.0) * self.flat.penalised_P.to(self.first_P)
        self.ended: list[tuple[float, int]] = []
        """Loss and reason of each restart that is over."""
        self.kept: tuple[Tensor, float, int] = (self.first_P, math.inf, 0)
        """Weights of the best of these, its loss (on the validation split, if it is given), and which it is."""
        self.inner = LBFGS(self._loss, self.first_P)
        self._move_on()

    @staticmethod
    def expect_suited(recipe: Recipe, model: Model) -> None:
        """Accept every model."""

    @property
    def going(self) -> bool:
        return self.inner.going and self.inner.iterations < self.most

    @property
    def loss(self) -> float:
        return min([self.inner.at.loss, *(loss for loss, _ in self.ended)])

    @property
    def rate(self) -> float:
        return self.inner.at.rate

    def step(self) -> None:
        self.inner.step()
        self.iterations += 1
        self._move_on()

    def _move_on(self) -> None:
        """Begin with the next restart where this one is over."""
        while not self.going and len(self.ended) + 1 < self.restarts:
            self.kept = self._best()
            self.ended.append((self.inner.at.loss, self.inner.reason))
            self.inner = LBFGS(self._loss, self._start(len(self.ended)))

    def _start(self, restart: int) -> Tensor:
        """Return the weights that a restart begins with; a task's own are not drawn anew."""
        net_P = start(self.recipe, self.model, self.batch[self.model.judge.input].shape[1:], restart)
        return torch.cat([net_P, self.first_P[len(net_P) :]])

    def _loss(self, weights_P: Tensor) -> tuple[float, Tensor]:
        """Return the mean loss with its penalty at some weights, and its gradient (P,)."""
        self.flat.put(weights_P)
        gradient_P = self.penalty_P * weights_P
        loss = 0.5 * (gradient_P @ weights_P).item()
        for piece in self.batch.split(PIECE):
            part = self.model(piece).loss_B.sum() / len(self.batch)
            slopes = torch.autograd.grad(part, list(self.flat.weights.values()), materialize_grads=True)
            gradient_P += torch.cat([slope.flatten() for slope in slopes])
            loss += part.item()
        return loss, gradient_P

    def _best(self) -> tuple[Tensor, float, int]:
        """Return the better of the restart that is kept and the one under way."""
        score = self.inner.at.loss
        if self.held is not None:
            self.flat.put(self.inner.at.weights_P)
            with torch.no_grad():
                parts = [self.model(piece).loss_B for piece in self.held.split(PIECE)]
            score = torch.cat(parts).mean().item()
        return (self.inner.at.weights_P, score, len(self.ended)) if score < self.kept[1] else self.kept

    def weights(self) -> dict[str, Tensor]:
        return self.flat.named(self._best()[0])

    def tensors(self) -> dict[str, Tensor]:
        return {
            **{f"inner.{name}": tensor for name, tensor in self.inner.tensors().items()},
            "ended": torch.tensor(self.ended, dtype=torch.float64).view(-1, 2),
            "kept_P": self.kept[0].clone(),
            "kept": torch.tensor(self.kept[1:], dtype=torch.float64),
        }

    def load(self, tensors: dict[str, Tensor], iterations: int) -> None:
        self.iterations = iterations
        self.ended = [(loss, int(reason)) for loss, reason in tensors["ended"].tolist()]
        score, which = tensors["kept"].tolist()
        self.kept = tensors["kept_P"].to(self.first_P).view_as(self.first_P), score, int(which)
        self.inner.load({name.removeprefix("inner."): t for name, t in tensors.items() if name.startswith("inner.")})

    def outcome(self) -> Outcome:
        every = [*self.ended, (self.inner.at.loss, self.inner.reason)]
        losses, reasons = [loss for loss, _ in every], [REASONS[reason] if reason else USED_UP for _, reason in every]
        kept_P, score, which = self._best()
        notes = ()
        if self.held is not None:
            notes = (
                f"Of the {len(every)} restarts the one that does best on the validation split is kept ({score:.4g}).",
            )
        return Outcome(
            solver="l-bfgs",
            iterations=self.iterations,
            reason=reasons[which],
            loss=tuple(sorted(losses)),
            reached=sum(loss <= 1.01 * max(min(losses), LOSS_FLOOR) for loss in losses),
            norm=kept_P[self.flat.penalised_P].norm().item(),
            ended=dict(Counter(reasons).most_common()),
            notes=notes,
        )
