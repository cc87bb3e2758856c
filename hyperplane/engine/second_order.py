"""Levenberg-Marquardt with many restarts in one computation: what a small net can really do with a squared loss.

Levenberg 1944; Marquardt 1963; the damping follows Nielsen 1999, "Damping parameter in Marquardt's method" (as in
Madsen, Nielsen and Tingleff 2004, algorithm 3.16), scaled as Marquardt does. Everything is float64, and each restart
has its own damping, step and end. Shapes: R restarts, N residuals, P weights.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Residuals = Callable[[Tensor], Tensor]
"""From weights (R, P) to residuals (R, N)."""
Jacobian = Callable[[Tensor], Tensor]
"""From weights (R, P) to the residuals' derivatives (R, N, P)."""

REASONS = (
    "is still going down",
    "the residuals vanish",
    "the gradient vanishes",
    "no step lowers the loss",
    "steps no longer change the loss",
)
"""Why a restart stopped, by its code; 0 has not."""
GOING, EXACT, FLAT, STUCK, SLOW = range(5)

LOSS_FLOOR, GRADIENT_FLOOR, DAMPING_CEILING = 1e-29, 1e-14, 1e20
MEMORY, PROGRESS = 20, 1e-4
"""A restart is slow when so many steps together lower its loss by less than this share."""
JACOBIAN_BYTES = 2**28
"""Most that the Jacobian of some restarts may take; more restarts are taken one part after another."""


class LevenbergMarquardt:
    """Many restarts of one least-squares problem, each going its own way; `step` moves all that have not stopped."""

    def __init__(self, residuals: Residuals, jacobian: Jacobian, start_RP: Tensor) -> None:
        """Begin at `start_RP` (float64); a restart whose residuals are not finite there is stuck from the beginning."""
        assert start_RP.dtype is torch.float64, "single precision cannot tell a small loss from none"
        self.residuals, self.jacobian = residuals, jacobian
        restarts, weights = start_RP.shape
        self.weights_RP = start_RP.clone()
        self.loss_R = _loss(residuals(start_RP))
        """Mean squared residual of each restart."""
        self.reason_R = torch.where(self.loss_R.isfinite(), GOING, STUCK)
        """Code of why it stopped, an index into REASONS."""
        self.damping_R = torch.full_like(self.loss_R, 1e-3)
        self.growth_R = torch.full_like(self.loss_R, 2.0)
        self.history_MR = torch.full((MEMORY, restarts), torch.inf, dtype=torch.float64)
        self.iterations = 0
        self._normal_RPP = torch.empty(restarts, weights, weights, dtype=torch.float64)
        self._gradient_RP = torch.empty(restarts, weights, dtype=torch.float64)
        self._stale_R = torch.ones(restarts, dtype=torch.bool)

    @property
    def going(self) -> bool:
        """Return whether any restart has not stopped."""
        return bool((self.reason_R == GOING).any())

    @property
    def best(self) -> int:
        """Return which restart has the least loss."""
        return int(self.loss_R.argmin())

    @property
    def reached(self) -> int:
        """Return how many restarts are within 1% of the least loss, or vanish like it: how sure it is the least."""
        return int((self.loss_R <= 1.01 * self.loss_R.min().clamp_min(LOSS_FLOOR)).sum())

    def step(self) -> None:
        """Try one damped Gauss-Newton step of every restart that goes on; take those that lower the loss."""
        which = (self.reason_R == GOING).nonzero().squeeze(1)
        self._linearise(which[self._stale_R[which]])
        step_RP, expected_R = _steps(self._normal_RPP[which], self._gradient_RP[which], self.damping_R[which])
        trial_RP = self.weights_RP[which] - step_RP
        trial_R = _loss(self.residuals(trial_RP))
        gain_R = ((self.loss_R[which] - trial_R) / expected_R).clamp(0, 1)
        better_R = trial_R < self.loss_R[which]
        taken, refused = which[better_R], which[~better_R]
        self.weights_RP[taken], self.loss_R[taken] = trial_RP[better_R], trial_R[better_R]
        self.damping_R[taken] *= (1 - (2 * gain_R[better_R] - 1) ** 3).clamp_min(1 / 3)
        self.growth_R[taken] = 2.0
        self.damping_R[refused] *= self.growth_R[refused]
        self.growth_R[refused] *= 2
        self._stale_R[taken], self._stale_R[refused] = True, False
        self._judge(which)
        self.history_MR[self.iterations % MEMORY] = self.loss_R
        self.iterations += 1

    def _judge(self, which: Tensor) -> None:
        """Say of each restart whether and why it stops."""
        loss_R, before_R = self.loss_R[which], self.history_MR[self.iterations % MEMORY, which]
        slope_R = self._gradient_RP[which].abs().amax(dim=1)
        reason_R = torch.zeros_like(which)
        reason_R[before_R - loss_R < PROGRESS * loss_R] = SLOW
        reason_R[self.damping_R[which] > DAMPING_CEILING] = STUCK
        reason_R[slope_R <= GRADIENT_FLOOR * loss_R.sqrt().clamp_min(1)] = FLAT
        reason_R[loss_R <= LOSS_FLOOR] = EXACT
        self.reason_R[which] = reason_R

    def _linearise(self, which: Tensor) -> None:
        """Fill in JᵀJ / N and Jᵀr / N of some restarts, as many at once as memory allows."""
        if not len(which):
            return
        samples = self.residuals(self.weights_RP[which[:1]]).shape[1]
        part = max(1, JACOBIAN_BYTES // (8 * samples * self.weights_RP.shape[1]))
        for some in which.split(part):
            j_RNP, r_RN = self.jacobian(self.weights_RP[some]), self.residuals(self.weights_RP[some])
            self._normal_RPP[some] = j_RNP.mT @ j_RNP / samples
            self._gradient_RP[some] = (j_RNP.mT @ r_RN[:, :, None]).squeeze(2) / samples

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that decides how it goes on, by name."""
        names = ("weights_RP", "loss_R", "reason_R", "damping_R", "growth_R", "history_MR")
        return {name: getattr(self, name) for name in names}

    def load(self, tensors: dict[str, Tensor], iterations: int) -> None:
        """Put back what `tensors` gave, after so many iterations."""
        for name, held in self.tensors().items():
            held.copy_(tensors[name])
        self.iterations = iterations
        self._stale_R.fill_(True)


def _loss(residual_RN: Tensor) -> Tensor:
    return residual_RN.square().mean(dim=1).nan_to_num(nan=torch.inf)


def _steps(normal_RPP: Tensor, gradient_RP: Tensor, damping_R: Tensor) -> tuple[Tensor, Tensor]:
    """Return damped Gauss-Newton steps, and how much each would lower the loss were the residuals linear.

    The damping is scaled by the diagonal of JᵀJ, kept from 0 by a trace so small that it only steadies a singular one.
    """
    diagonal_RP = normal_RPP.diagonal(dim1=1, dim2=2)
    scale_RP = diagonal_RP + diagonal_RP.mean(dim=1, keepdim=True) * 1e-12 + 1e-300
    damped_RPP = normal_RPP + torch.diag_embed(damping_R[:, None] * scale_RP)
    factor_RPP, failed_R = torch.linalg.cholesky_ex(damped_RPP)
    step_RP = torch.cholesky_solve(gradient_RP[:, :, None], factor_RPP).squeeze(2)
    downhill_RP = gradient_RP / (scale_RP * (1 + damping_R[:, None]))  # where rounding made it indefinite
    step_RP = step_RP.where((failed_R == 0)[:, None], downhill_RP)
    expected_R = (step_RP * (damping_R[:, None] * scale_RP * step_RP + gradient_RP)).sum(dim=1)
    return step_RP, expected_R.clamp_min(1e-300)
