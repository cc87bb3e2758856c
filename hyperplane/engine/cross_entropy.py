"""The mean cross-entropy of linear logits, with its gradient and Hessian in closed form: logistic regression's loss.

Two classes have one logit and a sigmoid, more have a logit each and a softmax. The samples are walked through in parts
that a processor's cache holds. Shape suffixes: N samples, D columns, K logits (1 for two classes, else as many as there
are classes), P = D + 1 weights of a logit, its bias last, Q = K P.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

PART = 2**17
"""Numbers that are computed with at once."""


@dataclass(frozen=True)
class Point:
    """The loss at some weights."""

    weight_KP: Tensor
    loss: float
    """Mean cross-entropy in nats, with the penalty."""
    gradient_KP: Tensor
    logit_NK: Tensor


class CrossEntropy:
    """Mean cross-entropy + l2 / 2 · ‖W‖², the biases not penalised; in float64."""

    def __init__(self, x_ND: Tensor, target_NK: Tensor, l2: float = 0.0) -> None:
        """Set it up for columns and targets: for two classes the share of class 1, (N, 1), else of each, (N, K)."""
        self.x_ND, self.target_NK, self.l2 = x_ND.double(), target_NK.double(), l2
        self.softmax = target_NK.shape[1] > 1
        self.shape = (target_NK.shape[1], x_ND.shape[1] + 1)
        """(K, P)."""
        self.part = max(64, PART // (self.shape[0] * self.shape[1]))

    def point(self, weight_KP: Tensor) -> Point:
        """Return loss and gradient at some weights."""
        weight_KD, bias_K = weight_KP[:, :-1], weight_KP[:, -1]
        column_DK, loss = weight_KD.T.contiguous(), 0.0
        gradient_KP, logit_NK = torch.zeros_like(weight_KP), torch.empty_like(self.target_NK)
        parts = (t.split(self.part) for t in (self.x_ND, self.target_NK, logit_NK))
        for x_ND, target_NK, z_NK in zip(*parts, strict=True):
            torch.addmm(bias_K, x_ND, column_DK, out=z_NK)
            if self.softmax:
                loss += F.cross_entropy(z_NK, target_NK, reduction="sum").item()
            else:
                loss += F.binary_cross_entropy_with_logits(z_NK, target_NK, reduction="sum").item()
            error_NK = self._probability(z_NK).sub_(target_NK)
            gradient_KP[:, :-1].addmm_(error_NK.T, x_ND)
            gradient_KP[:, -1] += error_NK.sum(dim=0)
        gradient_KP /= len(self.x_ND)
        gradient_KP[:, :-1] += self.l2 * weight_KD
        loss = loss / len(self.x_ND) + 0.5 * self.l2 * weight_KD.square().sum().item()
        return Point(weight_KP, loss, gradient_KP, logit_NK)

    def hessian(self, weight_KP: Tensor) -> Tensor:
        """Return the second derivatives at some weights, (Q, Q).

        Those by logits j and k of one sample are p_j (δ_jk − p_k), times the sample's columns from either side.
        """
        logits, columns = weight_KP.shape
        column_PK = weight_KP.T.contiguous()
        own_QP = weight_KP.new_zeros(weight_KP.numel(), columns)
        cross_QQ = weight_KP.new_zeros(len(own_QP), len(own_QP)) if self.softmax else None
        held_NP = weight_KP.new_ones(min(self.part, len(self.x_ND)), columns)
        held_NKP = weight_KP.new_empty(len(held_NP), logits, columns)
        for x_ND in self.x_ND.split(self.part):
            x_NP, weighed_NKP = held_NP[: len(x_ND)], held_NKP[: len(x_ND)]
            x_NP[:, :-1] = x_ND
            p_NK = self._probability(x_NP @ column_PK)
            torch.mul(x_NP[:, None], (p_NK if self.softmax else p_NK * (1 - p_NK))[:, :, None], out=weighed_NKP)
            weighed_NQ = weighed_NKP.flatten(1)
            own_QP.addmm_(weighed_NQ.T, x_NP)
            if cross_QQ is not None:
                cross_QQ.addmm_(weighed_NQ.T, weighed_NQ)
        hessian_QQ = torch.block_diag(*own_QP.split(columns))
        if cross_QQ is not None:
            hessian_QQ -= cross_QQ
        hessian_QQ /= len(self.x_ND)
        hessian_QQ.diagonal().view(logits, columns)[:, :-1] += self.l2
        return hessian_QQ

    def scale(self) -> Tensor:
        """Return the root mean square of each column and of the bias', (P,), over some 10,000 of the samples."""
        some_ND = self.x_ND[:: max(1, len(self.x_ND) // 10_000)]
        scale_P = self.x_ND.new_ones(self.shape[1])
        scale_P[:-1] = torch.linalg.vector_norm(some_ND, dim=0) / len(some_ND) ** 0.5
        return scale_P.where(scale_P > 0, 1.0)

    def _probability(self, logit_NK: Tensor) -> Tensor:
        return torch.softmax(logit_NK, dim=1) if self.softmax else torch.sigmoid(logit_NK)
