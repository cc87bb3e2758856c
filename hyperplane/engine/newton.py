"""Logistic regression by damped Newton, in float64: one minimum, found to rounding, and an answer for every design.

The loss is that of `cross_entropy.py`. Each step solves H d = −g by Cholesky and halves d until the loss falls
(iteratively reweighted least squares, as in Bishop 2006, "Pattern recognition and machine learning", section 4.3.3).
Many samples are fast for two reasons: it begins at the answer of some of them, and it keeps a Hessian for as long as
steps with it shrink the gradient quickly (Shamanskii 1967), corrected by how the gradient changes (BFGS). The gradient
is always that of all samples, so that the answer is the exact one.

What has no single answer:

- A softmax says the same when the weights of all classes move alike: here they sum to 0 over the classes.
- Columns that others determine (constant, duplicate, collinear; fewer samples than weights): of all weights that fit
  alike the shortest are taken, each counted in units of its column's root mean square.
- Classes that a hyperplane separates, without a penalty: the loss has no minimum and ‖W‖ grows without end. Weights
  that put every sample on its side prove it (complete separation), and so does a step that moves no sample away from
  its side (quasi-complete separation: Albert and Anderson 1984, "On the existence of maximum likelihood estimates in
  logistic regression models"). A few proofs in a row end the fit.

Shape suffixes: N samples, D columns, K logits (1 for two classes, else as many as there are classes), P = D + 1 weights
of a logit, its bias last, Q = K P.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane.engine.cross_entropy import CrossEntropy, Point
from hyperplane.engine.lbfgs import Memory
from hyperplane.errors import UserError

REASONS = (
    "is still going down",
    "the gradient vanishes",
    "no step lowers the loss",
    "the classes are separable",
)
"""Why a fit stopped, by its code; 0 has not."""
GOING, FLAT, STUCK, SEPARABLE = range(4)

SINGULAR = 1e-12
"""Where the loss curves less than this share of its greatest curvature, the shortest weights are taken."""
REUSE = 0.35
"""A Hessian is kept while each step with it leaves at most this share of the gradient."""
DECREASE, ROUNDING = 1e-4, 2e-15
"""The share of what a step promises that it must hold (Armijo 1966), and of the loss that may be lost to rounding."""
CONVERGED, STILL = 1e-17, 1e-3
"""A step is the last if it leaves less than this share of the loss to gain, and moved no logit by more than this."""
LEAST_RATE = 1e-12
"""A step that must be shorter than this share of Newton's lowers nothing."""
PROOFS, TIE = 5, 1e-6
"""Steps in a row that must prove the classes separable; what moves less than this share of the most does not move."""
HEAD_SAMPLES, HEAD_STEPS = 150, 5
"""Samples for each weight that a head start takes where there are four times as many, and its most steps."""

Separation = Literal["complete", "quasi-complete"]
SEPARATIONS: tuple[Separation, ...] = ("complete", "quasi-complete")


@dataclass(frozen=True)
class Fitted:
    """A logistic regression."""

    weight_KD: Tensor
    """float64; one row for two classes, whose logit is the log odds of class 1."""
    bias_K: Tensor
    """float64."""
    loss: float
    """Mean cross-entropy in nats, with the penalty."""
    iterations: int
    reason: str
    """Why it stopped: one of REASONS."""
    separation: Separation | None
    """How the classes are separable, where that is why it stopped."""
    rank: int
    """How many columns, the bias' among them, say something that others do not; all D + 1 with a penalty."""


def fit(x_ND: Tensor, label_N: Tensor, classes: int, l2: float = 0.0, *, most: int = 100) -> Fitted:
    """Return the logistic regression of labels on columns.

    Arguments: columns, in units of any size; labels, whole numbers 0 to classes − 1; how many classes there are; the
    strength of the penalty l2 / 2 · ‖W‖² beside the mean cross-entropy (scikit-learn's C is 1 / (N l2)); the most
    iterations. Raises UserError for labels that are not that, or all the same.
    """
    present = label_N.unique()
    if len(present) < 2 or present[0] < 0 or present[-1] >= classes:
        found = ", ".join(map(str, present[:5].tolist())) or "none"
        raise UserError(
            f"labels: found {found}, expected two or more classes, whole numbers from 0 to {classes - 1}; correct them"
        )
    newton = Newton(x_ND, label_N[:, None] if classes == 2 else F.one_hot(label_N, classes), l2)
    while newton.going and newton.iterations < most:
        newton.step()
    weight_KP = newton.at.weight_KP
    return Fitted(
        weight_KD=weight_KP[:, :-1].clone(),
        bias_K=weight_KP[:, -1].clone(),
        loss=newton.at.loss,
        iterations=newton.iterations,
        reason=REASONS[newton.reason],
        separation=newton.separation,
        rank=newton.rank,
    )


class Curvature:
    """A Hessian that can be solved with."""

    def __init__(self, function: CrossEntropy, weight_KP: Tensor, scale_P: Tensor) -> None:
        """Take and factorise the Hessian at some weights, with each weight in units of `scale_P`."""
        (logits, columns), self.weight_KP = function.shape, weight_KP
        self.scale_Q = scale_P.repeat(logits)
        scaled_QQ = function.hessian(weight_KP) / self.scale_Q / self.scale_Q[:, None]
        if function.softmax:  # blind to weights that move alike; no gradient has that part, and so no step has it
            alike_QQ = torch.eye(columns).to(scaled_QQ).repeat(logits, logits) / logits
            scaled_QQ += scaled_QQ.diagonal().mean() * alike_QQ
        self.factor_QQ, failed = torch.linalg.cholesky_ex(scaled_QQ)
        pivot_Q = self.factor_QQ.diagonal().square()
        self.rank, self.inverse_Q = columns, None
        if failed.item() or not pivot_Q.min() > SINGULAR * pivot_Q.max():
            value_Q, self.factor_QQ = torch.linalg.eigh(scaled_QQ)
            kept_Q = value_Q > SINGULAR * value_Q.max()
            self.inverse_Q = torch.where(kept_Q, 1 / value_Q, 0.0)
            self.rank -= int((~kept_Q).sum()) // max(1, logits - 1)

    def solve(self, gradient_Q: Tensor) -> Tensor:
        """Return H⁻¹ g, and where H is singular the shortest of its solutions."""
        scaled_Q = gradient_Q / self.scale_Q
        if self.inverse_Q is None:
            return torch.cholesky_solve(scaled_Q[:, None], self.factor_QQ).squeeze(1) / self.scale_Q
        return self.factor_QQ @ (self.inverse_Q * (self.factor_QQ.T @ scaled_Q)) / self.scale_Q


class Newton:
    """One logistic regression, a step at a time; no step raises the loss by more than its rounding."""

    def __init__(self, x_ND: Tensor, target_NK: Tensor, l2: float = 0.0, *, head_start: bool = True) -> None:
        """Begin at 0, or with `head_start` and many samples at the answer of some of them, if that is better.

        Arguments: columns; for two classes the share of class 1 in each sample's target, (N, 1), else the share of each
        class, (N, K), which with label smoothing are not 0 and 1; the penalty.
        """
        self.function = CrossEntropy(x_ND, target_NK, l2)
        self.iterations, self.reason, self.rate = 0, GOING, 1.0
        self.separation: Separation | None = None
        self._has_minimum = l2 > 0 or bool(((target_NK > 0) & (target_NK < 1)).any())
        self._scale_P = self.function.scale()
        self._proofs, self._promised = 0, math.inf
        self._memory = Memory(self.function.x_ND.new_empty(math.prod(self.function.shape)))
        self._head = _head_start(self.function) if head_start else None
        zero_KP = self._scale_P.new_zeros(self.function.shape)
        self.at = self.function.point(zero_KP if self._head is None else self._head.weight_KP)
        if self._head is not None and not self.at.loss < math.log(max(2, len(zero_KP))):  # that of weights of 0
            self._head, self.at = None, self.function.point(zero_KP)
        self._curvature = self._head

    @property
    def going(self) -> bool:
        """Return whether it has not stopped."""
        return self.reason == GOING

    @property
    def rank(self) -> int:
        """Return how many of the P columns say something that others do not, as far as it has looked."""
        return self.function.shape[1] if self._curvature is None else self._curvature.rank

    @property
    def margin(self) -> float | None:
        """Return the least logit towards a sample's own class, where a hyperplane separates two classes."""
        separates = self.separation == "complete" and not self.function.softmax
        return self._leads(self.at.logit_NK)[0] if separates else None

    def step(self) -> None:
        """Take one step that lowers the loss, and judge whether it was the last."""
        before, fresh = self.at, self._curvature is None
        step_KP, promised = self._aim(fresh)
        if not fresh and promised > REUSE**2 * self._promised:
            fresh, (step_KP, promised) = True, self._aim(True)
        rate = 1.0
        while True:
            trial = self.function.point(before.weight_KP + rate * step_KP)
            if trial.loss <= before.loss * (1 + ROUNDING) - DECREASE * rate * promised:
                break
            if not fresh:
                fresh, (step_KP, promised) = True, self._aim(True)
                continue
            rate /= 2
            if rate < LEAST_RATE:
                self.iterations, self.reason = self.iterations + 1, STUCK
                return
        shrunk = promised / self._promised if self._promised < math.inf else 1.0
        self._memory.add(rate * step_KP.flatten(), (trial.gradient_KP - before.gradient_KP).flatten())
        self.at, self.rate, self._promised = trial, rate, promised
        self.iterations += 1
        self._judge(before, shrunk)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that decides how it goes on, by name; the Hessian as the weights where it was taken."""
        taken = 0 if self._curvature is None else 1 if self._curvature is self._head else 2
        separation = -1 if self.separation is None else SEPARATIONS.index(self.separation)
        numbers = (self.reason, self.rate, self._promised, self._proofs, separation, taken)
        return {
            "weight_KP": self.at.weight_KP,
            "curvature_KP": (self.at if self._curvature is None else self._curvature).weight_KP.clone(),
            "step_MQ": self._memory.step_MP,
            "change_MQ": self._memory.change_MP,
            "numbers": torch.tensor(numbers, dtype=torch.float64),
        }

    def load(self, tensors: dict[str, Tensor], iterations: int) -> None:
        """Put back what `tensors` gave, after so many steps."""
        reason, self.rate, self._promised, proofs, separation, taken = tensors["numbers"].tolist()
        self.reason, self._proofs, self.iterations = int(reason), int(proofs), iterations
        self.separation = None if separation < 0 else SEPARATIONS[int(separation)]
        held = {name: value.to(self._scale_P) for name, value in tensors.items()}
        self.at = self.function.point(held["weight_KP"].view(self.function.shape))
        self._curvature = self._head if taken == 1 else None
        if taken == 2:
            self._curvature = Curvature(self.function, held["curvature_KP"].view(self.function.shape), self._scale_P)
        self._memory.step_MP, self._memory.change_MP = held["step_MQ"], held["change_MQ"]

    def _aim(self, anew: bool) -> tuple[Tensor, float]:
        """Return the step with the Hessian that is held or with a new one, and twice what it promises to gain."""
        if anew or self._curvature is None:
            self._curvature = Curvature(self.function, self.at.weight_KP, self._scale_P)
            self._memory.clear()
        gradient_Q = self.at.gradient_KP.flatten()
        step_Q = -self._memory.times(gradient_Q, self._curvature.solve)
        return step_Q.view(self.function.shape), -(step_Q @ gradient_Q).item()

    def _judge(self, before: Point, shrunk: float) -> None:
        """Say whether and why it stops after a step from `before` whose promise had shrunk to this share."""
        change_NK = self.at.logit_NK - before.logit_NK
        proof = None if self._has_minimum else self._separated(change_NK)
        grown = self.at.weight_KP.norm() > before.weight_KP.norm()
        self._proofs = self._proofs + 1 if proof is not None and grown else 0
        if self._proofs >= PROOFS:
            self.reason, self.separation = SEPARABLE, proof
        elif shrunk * self._promised / 2 <= CONVERGED * before.loss and change_NK.abs().max() <= STILL:
            self.reason = FLAT

    def _separated(self, change_NK: Tensor) -> Separation | None:
        """Return what the weights, or the change of the logits by their last step, prove of the classes."""
        if self._leads(self.at.logit_NK)[0] > 0:
            return "complete"
        least, greatest = self._leads(change_NK)
        return "quasi-complete" if greatest > STILL and least >= -TIE * greatest else None

    def _leads(self, logit_NK: Tensor) -> tuple[float, float]:
        """Return the least and the greatest lead of a sample's own class' logit over another's."""
        target_NK = self.function.target_NK
        if not self.function.softmax:
            lead_N1 = torch.where(target_NK == 1, logit_NK, -logit_NK)
            return lead_N1.min().item(), lead_N1.max().item()
        own_N1 = (logit_NK * target_NK).sum(dim=1, keepdim=True)
        rival_N1 = logit_NK.where(target_NK == 0, -math.inf).amax(dim=1, keepdim=True)
        return (own_N1 - rival_N1).min().item(), (own_N1 - logit_NK).max().item()


def _head_start(function: CrossEntropy) -> Curvature | None:
    """Return weights that fit some of the samples, with the Hessian there.

    None where there are too few samples, or where those chosen leave weights undetermined.
    """
    logits, columns = function.shape
    stride = len(function.x_ND) // (HEAD_SAMPLES * logits * columns)
    if stride < 4:
        return None
    some = Newton(function.x_ND[::stride].contiguous(), function.target_NK[::stride], function.l2, head_start=False)
    while some.going and some.iterations < HEAD_STEPS:
        some.step()
    found = Curvature(some.function, some.at.weight_KP, some._scale_P)
    return found if found.inverse_Q is None else None
