"""Levenberg-Marquardt with many restarts in one computation: what a small net can really do with a squared loss.

Levenberg 1944; Marquardt 1963; the damping follows Nielsen 1999, "Damping parameter in Marquardt's method" (as in
Madsen, Nielsen and Tingleff 2004, algorithm 3.16), scaled as Marquardt does. Each step follows the valley's bend by a
second-order term, the geodesic acceleration of Transtrum and Sethna 2012 (arXiv:1201.5885), where that lowers the loss
further. They refuse a step that bends too much; going straight instead ends lower for nets of hundreds of weights.
Everything is float64, and each restart has its own damping, step and end.
Shapes: R restarts, N residuals, P weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import vjp

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
    "half of the others were lower",
)
"""Why a restart stopped, by its code; 0 has not."""
GOING, EXACT, FLAT, STUCK, SLOW, DROPPED = range(6)

LOSS_FLOOR, GRADIENT_FLOOR, DAMPING_CEILING = 1e-29, 1e-14, 1e20
MEMORY, PROGRESS = 20, 1e-4
"""A restart is slow when so many steps together lower its loss by less than this share."""
PROBE, MOST_BEND, STRAIGHT = 0.1, 0.75, 1e-6
"""The share of a step at which the curvature is looked at; the longest acceleration, twice it being this share of the
step; and the share of the weights under which a step is too short for its curvature to show through rounding."""
JACOBIAN_BYTES = 2**25
"""Most that the Jacobian of some restarts may take; more restarts are taken one part after another."""
BLOCK = 128
"""Columns of J that are multiplied at once: JᵀJ is symmetric, and its blocks below the diagonal are copied."""


class LevenbergMarquardt:
    """Many restarts of one least-squares problem, each going its own way; `step` moves all that have not stopped."""

    def __init__(self, residuals: Residuals, jacobian: Jacobian, start_RP: Tensor, halving: int | None = None) -> None:
        """Begin at `start_RP` (float64); a restart whose residuals are not finite there is stuck from the beginning.

        After `halving` iterations, and again after 2, 4, 8, ... times as many, the worse half of the restarts is
        dropped, down to one (successive halving: Jamieson and Talwalkar 2016, arXiv:1502.07943); None drops none.
        """
        assert start_RP.dtype is torch.float64, "single precision cannot tell a small loss from none"
        self.residuals, self.jacobian, self.halving = residuals, jacobian, halving
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
        weights_RP, gradient_RP = self.weights_RP[which], self._gradient_RP[which]
        system = _Damped(self._normal_RPP[which], self.damping_R[which])
        step_RP = system.solve(-gradient_RP)
        expected_R = (step_RP * (system.damping_RP * step_RP - gradient_RP)).sum(dim=1).clamp_min(1e-300)
        bend_RP = system.solve(-self._curvature(weights_RP, step_RP))
        seen_R = ~system.failed_R & (system.norm(step_RP) > STRAIGHT * system.norm(weights_RP))
        seen_R &= 2 * system.norm(bend_RP) <= MOST_BEND * system.norm(step_RP)
        straight_RP = weights_RP + step_RP
        bent_RP = straight_RP + bend_RP.where(seen_R[:, None], 0.0) / 2
        straight_R, bent_R = _loss(self.residuals(straight_RP)), _loss(self.residuals(bent_RP))
        trial_RP = bent_RP.where((bent_R < straight_R)[:, None], straight_RP)
        trial_R = bent_R.minimum(straight_R)
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
        self._drop()

    def _drop(self) -> None:
        """Stop the worse half of the restarts that are left, where it is time."""
        rounds, rest = divmod(self.iterations, self.halving or self.iterations + 1)
        if rest or rounds.bit_count() != 1:  # not after 1, 2, 4, 8, ... times as many
            return
        kept = max(1, len(self.loss_R) >> rounds.bit_length())
        worse = self.loss_R.argsort(stable=True)[kept:]
        self.reason_R[worse[self.reason_R[worse] == GOING]] = DROPPED
        self._stale_R[worse] = True

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
        self._stale_R[which] |= reason_R != GOING

    def _curvature(self, weights_RP: Tensor, step_RP: Tensor) -> Tensor:
        """Return Jᵀ/N times the residuals' second derivative along a step, by central differences, (R, P)."""
        residual_RN, back = cast(Any, vjp(self.residuals, weights_RP))
        ahead_RN, behind_RN = (self.residuals(weights_RP + sign * PROBE * step_RP) for sign in (1, -1))
        second_RN = (ahead_RN - 2 * residual_RN + behind_RN) / PROBE**2
        return back(second_RN)[0] / residual_RN.shape[1]

    def _linearise(self, which: Tensor) -> None:
        """Fill in JᵀJ / N and Jᵀr / N of some restarts, as many at once as memory allows."""
        if not len(which):
            return
        samples = self.residuals(self.weights_RP[which[:1]]).shape[1]
        part = max(1, JACOBIAN_BYTES // (8 * samples * self.weights_RP.shape[1]))
        for some in which.split(part):
            j_RNP, r_RN = self.jacobian(self.weights_RP[some]), self.residuals(self.weights_RP[some])
            self._normal_RPP[some] = _gram(j_RNP) / samples
            self._gradient_RP[some] = (j_RNP.mT @ r_RN[:, :, None]).squeeze(2) / samples

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that decides how it goes on, by name; of the systems JᵀJ, those of refused steps (K)."""
        refused = (~self._stale_R).nonzero().squeeze(1)
        systems = {"normal_KPP": self._normal_RPP[refused], "gradient_KP": self._gradient_RP[refused]}
        return {name: getattr(self, name) for name in _STATE} | {"stale_R": self._stale_R} | systems

    def load(self, tensors: dict[str, Tensor], iterations: int) -> None:
        """Put back what `tensors` gave, after so many iterations."""
        for name in _STATE:
            getattr(self, name).copy_(tensors[name])
        self._stale_R.copy_(tensors["stale_R"])
        refused = (~self._stale_R).nonzero().squeeze(1)
        # Computed anew, in other company, they would round otherwise.
        self._normal_RPP[refused], self._gradient_RP[refused] = tensors["normal_KPP"], tensors["gradient_KP"]
        self.iterations = iterations


_STATE = ("weights_RP", "loss_R", "reason_R", "damping_R", "growth_R", "history_MR")


def _loss(residual_RN: Tensor) -> Tensor:
    return residual_RN.square().mean(dim=1).nan_to_num(nan=torch.inf)


def _gram(j_RNP: Tensor) -> Tensor:
    """Return JᵀJ, (R, P, P), at little more than half of the multiplications of a plain product."""
    restarts, _, weights = j_RNP.shape
    gram_RPP = j_RNP.new_empty(restarts, weights, weights)
    for low in range(0, weights, BLOCK):
        high = low + BLOCK
        gram_RPP[:, low:high, low:] = j_RNP[:, :, low:high].mT @ j_RNP[:, :, low:]
        gram_RPP[:, low:high, :low] = gram_RPP[:, :low, low:high].mT
    return gram_RPP


class _Damped:
    """The systems (JᵀJ/N + damping · scale) x = y of some restarts.

    The scale is the diagonal of JᵀJ/N, kept from 0 by a trace so small that it only steadies a singular one.
    """

    def __init__(self, normal_RPP: Tensor, damping_R: Tensor) -> None:
        diagonal_RP = normal_RPP.diagonal(dim1=1, dim2=2)
        self.scale_RP = diagonal_RP + diagonal_RP.mean(dim=1, keepdim=True) * 1e-12 + 1e-300
        self.damping_RP = damping_R[:, None] * self.scale_RP
        self.factor_RPP, failed_R = torch.linalg.cholesky_ex(normal_RPP + torch.diag_embed(self.damping_RP))
        self.failed_R = failed_R != 0
        """Where rounding made it indefinite; the diagonal alone is then solved."""

    def solve(self, y_RP: Tensor) -> Tensor:
        """Return x."""
        x_RP = torch.cholesky_solve(y_RP[:, :, None], self.factor_RPP).squeeze(2)
        return x_RP.where(~self.failed_R[:, None], y_RP / (self.scale_RP + self.damping_RP))

    def norm(self, x_RP: Tensor) -> Tensor:
        """Return the length of x in units of the scale, (R,)."""
        return (x_RP.square() * self.scale_RP).sum(dim=1).sqrt()
