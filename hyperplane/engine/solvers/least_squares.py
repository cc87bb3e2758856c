"""Levenberg-Marquardt from many restarts at once, for small nets and tasks whose loss is a sum of squares.

The restart that is kept is the one that does best on the validation split, where there is one: the one with the least
training loss has often learned the noise.
Weight decay λ adds λ / 2 · ‖W‖² to the mean of the squares, as residuals of its own.
Shape suffixes: R restarts, N residuals, P weights, Q of them penalised.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from hyperplane.contracts import Batch
from hyperplane.engine import jacobians
from hyperplane.engine.flat import Flat
from hyperplane.engine.model import Model
from hyperplane.engine.second_order import GOING, REASONS, Jacobian, LevenbergMarquardt, Residuals
from hyperplane.engine.solvers.starts import start
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe
from hyperplane.runs.records import USED_UP, Outcome

MOST_WEIGHTS = 5000
"""JᵀJ has the square of this many numbers, for each restart."""
MOST_BYTES = 2**31
"""Of JᵀJ of all restarts together, and of the Jacobian of one; a step needs a few times as much."""
_TIE = 1e-3
"""Restarts whose validation losses differ by less than this share do equally well."""


class LeastSquares:
    """Many restarts of one small net."""

    def __init__(self, recipe: Recipe, model: Model, batch: Batch, held: Batch | None) -> None:
        assert recipe.optimizer.restarts is not None and recipe.training.epochs is not None, "completed before"
        self.flat, self.most = Flat(model.net), recipe.training.epochs
        residuals, jacobian = jacobians.of(model, self.flat, batch)
        self.learned = len(batch) * model.judge.outputs
        if recipe.optimizer.weight_decay:
            residuals, jacobian = _penalised(residuals, jacobian, self.flat, recipe.optimizer.weight_decay)
        shape = batch[model.judge.input].shape[1:]
        start_RP = torch.stack([start(recipe, model, shape, r) for r in range(recipe.optimizer.restarts)])
        self.inner = LevenbergMarquardt(residuals, jacobian, start_RP, recipe.optimizer.halving)
        self.tensors, self.load, self.step = self.inner.tensors, self.inner.load, self.inner.step
        self.held = None if held is None else jacobians.of(model, self.flat, held)[0]

    @staticmethod
    def expect_suited(recipe: Recipe, model: Model) -> None:
        """Raise UserError for a loss that is no sum of squares, too large a net, too many, or another device."""
        weights = len(Flat(model.net))
        if not hasattr(model.task, "residuals"):
            raise UserError(
                f"optimizer.name: levenberg-marquardt needs a squared loss, and task {recipe.task.name} has none; "
                "type: --optimizer.name l-bfgs"
            )
        if weights > MOST_WEIGHTS:
            raise UserError(
                f"optimizer.name: levenberg-marquardt found {weights:,} weights, expected at most {MOST_WEIGHTS:,}; "
                "type: --optimizer.name l-bfgs"
            )
        restarts, most = recipe.optimizer.restarts or 1, MOST_BYTES // (8 * weights**2)
        if restarts > most:
            raise UserError(
                f"optimizer.restarts: found {restarts:,} of {weights:,} weights each, which need "
                f"{8 * restarts * weights**2 / 2**30:.1f} GiB for JᵀJ alone, expected at most {most:,}; "
                f"type: --optimizer.restarts {most}, or --optimizer.name l-bfgs"
            )
        assert recipe.training.batch is not None, "completed before: it is the whole split"
        residuals = recipe.training.batch * model.judge.outputs
        if (held := 8 * residuals * weights) > MOST_BYTES:
            raise UserError(
                f"optimizer.name: levenberg-marquardt found {residuals:,} numbers to learn by {weights:,} weights, "
                f"whose Jacobian needs {held / 2**30:.1f} GiB, expected at most {MOST_BYTES / 2**30:.0f}; type: "
                "--optimizer.name l-bfgs"
            )
        if recipe.hardware.device == "cuda":
            raise UserError("hardware.device: found cuda, but levenberg-marquardt computes on the CPU; leave it out")

    @property
    def iterations(self) -> int:
        return self.inner.iterations

    @property
    def going(self) -> bool:
        return self.inner.going and self.inner.iterations < self.most

    @property
    def loss(self) -> float:
        return self.inner.loss_R[self.inner.best].item()

    @property
    def rate(self) -> float:
        return 1 / (1 + self.inner.damping_R[self.inner.best].item())

    def _kept(self) -> tuple[int, tuple[str, ...]]:
        """Return which restart is kept, and a sentence on why where it is not the one with the least training loss."""
        least = self.inner.best
        if self.held is None:
            return least, ()
        loss_R = self.held(self.inner.weights_RP).square().mean(dim=1).nan_to_num(nan=torch.inf)
        kept = int(loss_R.argmin())
        if not loss_R[kept] < (1 - _TIE) * loss_R[least]:
            return least, ()
        return kept, (
            f"A restart with a training loss of {self.inner.loss_R[kept]:.4g} is kept, since it does best on the "
            f"validation split ({loss_R[kept]:.4g}; the one with the least training loss: {loss_R[least]:.4g}).",
        )

    def weights(self) -> dict[str, Tensor]:
        named = self.flat.named(self.inner.weights_RP[self._kept()[0]])
        return {f"net.{name}": weight for name, weight in named.items()}

    def outcome(self) -> Outcome:
        solver, (kept, notes) = self.inner, self._kept()
        if self.learned < len(self.flat):
            notes = (
                f"There are {self.learned:,} numbers to learn and {len(self.flat):,} weights: the net can learn them "
                "by heart, so judge it by samples that are held out, or take fewer weights.",
                *notes,
            )
        reasons = [USED_UP if reason == GOING else REASONS[reason] for reason in solver.reason_R.tolist()]
        return Outcome(
            solver="levenberg-marquardt",
            iterations=solver.iterations,
            reason=reasons[kept],
            loss=tuple(solver.loss_R.sort().values.tolist()),
            reached=solver.reached,
            norm=solver.weights_RP[kept][self.flat.penalised_P].norm().item(),
            ended=dict(Counter(reasons).most_common()),
            notes=notes,
        )


def _penalised(residuals: Residuals, jacobian: Jacobian, flat: Flat, decay: float) -> tuple[Residuals, Jacobian]:
    """Return the residuals and their derivatives with the penalty among them, scaled so that the means add up."""
    unit_QP = torch.eye(len(flat), dtype=torch.float64)[flat.penalised_P]

    def scales(samples: int) -> tuple[float, float]:
        all_of_them = samples + len(unit_QP)
        return (all_of_them / samples) ** 0.5, (all_of_them * decay / 2) ** 0.5

    def with_penalty_RN(weights_RP: Tensor) -> Tensor:
        residual_RN = residuals(weights_RP)
        own, penalty = scales(residual_RN.shape[1])
        return torch.cat([own * residual_RN, penalty * weights_RP[:, flat.penalised_P]], dim=1)

    def with_penalty_RNP(weights_RP: Tensor) -> Tensor:
        j_RNP = jacobian(weights_RP)
        own, penalty = scales(j_RNP.shape[1])
        return torch.cat([own * j_RNP, penalty * unit_QP.expand(len(j_RNP), -1, -1)], dim=1)

    return with_penalty_RN, with_penalty_RNP
