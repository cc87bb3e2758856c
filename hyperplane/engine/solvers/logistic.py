"""Newton for a perceptron that classifies: logistic regression through the run folder.

Shape suffixes: N samples, D columns, K logits, P = D + 1 weights of a logit, its bias last.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor
from torch.nn import functional as F

from hyperplane.contracts import Batch
from hyperplane.engine.model import Model
from hyperplane.engine.newton import REASONS, Newton
from hyperplane.errors import UserError
from hyperplane.nets.perceptron import Perceptron
from hyperplane.recipe import Recipe
from hyperplane.runs.records import USED_UP, Outcome, Separation
from hyperplane.tasks.classification import Classification

MOST_WEIGHTS = 5000
"""The Hessian has the square of this many numbers."""


class Logistic:
    """The one minimum of a perceptron's cross-entropy."""

    def __init__(self, recipe: Recipe, model: Model, batch: Batch, held: Batch | None) -> None:
        task = cast(Classification, model.task)
        label_N, smoothing = batch[task.target], task.label_smoothing
        if task.outputs == 1:
            target_NK = label_N[:, None].double() * (1 - smoothing) + smoothing / 2
        else:
            target_NK = F.one_hot(label_N, task.outputs).double() * (1 - smoothing) + smoothing / task.outputs
        self.most, self.decay = recipe.training.epochs or 0, recipe.optimizer.weight_decay or 0.0
        self.inner = Newton(batch[task.input].flatten(1), target_NK, self.decay)
        self.tensors, self.load, self.step = self.inner.tensors, self.inner.load, self.inner.step

    @staticmethod
    def expect_suited(recipe: Recipe, model: Model) -> None:
        """Raise UserError for what is no logistic regression, or one that is too large."""
        if not isinstance(model.net, Perceptron) or not isinstance(model.task, Classification):
            raise UserError(
                f"optimizer.name: newton fits a perceptron that classifies, and found net {recipe.net.name} with task "
                f"{recipe.task.name}; type: --optimizer.name l-bfgs"
            )
        if model.task.balance:
            raise UserError(
                "task.balance: newton weighs all samples the same; leave it out, or type: --optimizer.name l-bfgs"
            )
        weights = sum(p.numel() for p in model.net.parameters())
        if weights > MOST_WEIGHTS:
            raise UserError(
                f"optimizer.name: newton found {weights:,} weights, expected at most {MOST_WEIGHTS:,}; "
                "type: --optimizer.name l-bfgs"
            )
        if (restarts := recipe.optimizer.restarts) not in (None, 1):
            raise UserError(
                f"optimizer.restarts: found {restarts}, but newton finds the one minimum from anywhere; leave it out"
            )

    @property
    def iterations(self) -> int:
        return self.inner.iterations

    @property
    def going(self) -> bool:
        return self.inner.going and self.inner.iterations < self.most

    @property
    def loss(self) -> float:
        return self.inner.at.loss

    @property
    def rate(self) -> float:
        return self.inner.rate

    def weights(self) -> dict[str, Tensor]:
        weight_KP = self.inner.at.weight_KP
        return {"net.output.weight": weight_KP[:, :-1], "net.output.bias": weight_KP[:, -1]}

    def outcome(self) -> Outcome:
        newton, reason = self.inner, REASONS[self.inner.reason]
        norm, notes = newton.at.weight_KP[:, :-1].norm().item(), []
        columns = newton.function.shape[1]
        if newton.rank < columns:
            notes.append(
                f"{columns - newton.rank:,} of {columns:,} columns, the bias' among them, follow from the others: "
                "of all weights that fit alike the shortest were taken."
            )
        if newton.going:
            reason = USED_UP
        separation = None
        if newton.separation is not None:
            margin = newton.margin
            separation = Separation(newton.separation, norm, None if margin is None else margin / norm)
        return Outcome(
            solver="newton",
            iterations=newton.iterations,
            reason=reason,
            loss=(self.loss,),
            reached=1,
            norm=norm,
            ended={reason: 1},
            separation=separation,
            notes=tuple(notes),
        )
