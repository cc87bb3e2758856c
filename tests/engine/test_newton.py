"""Logistic regression by Newton: scikit-learn's answers, its own derivatives, and data that have no single answer."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional as F

from hyperplane.engine.cross_entropy import CrossEntropy
from hyperplane.engine.newton import REASONS, Newton, fit
from hyperplane.errors import UserError


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sampled(samples: int, columns: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return columns and labels that depend on them, by chance, so that no hyperplane separates the classes."""
    x_ND = normal(samples, columns, seed=seed)
    logit_NK = x_ND @ normal(columns, classes, seed=seed + 1) * 0.7
    noise_NK = -torch.log(-torch.log(torch.rand(samples, classes, generator=torch.Generator().manual_seed(seed + 2))))
    return x_ND, (logit_NK + noise_NK).argmax(dim=1)


def standardised(load: Any) -> tuple[Tensor, Tensor, int]:
    found = load()
    x_ND = (found.data - found.data.mean(axis=0)) / found.data.std(axis=0)
    return torch.from_numpy(x_ND), torch.from_numpy(found.target), len(found.target_names)


def scikit_learns(x_ND: Tensor, label_N: Tensor, l2: float) -> Any:
    strength = 1 / (len(x_ND) * l2) if l2 else math.inf
    return LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(x_ND, label_N)


def expect_the_same(x_ND: Tensor, label_N: Tensor, classes: int, l2: float) -> None:
    found, theirs = fit(x_ND, label_N, classes, l2), scikit_learns(x_ND, label_N, l2)
    bias_K = theirs.intercept_ - (theirs.intercept_.mean() if classes > 2 else 0.0)  # a softmax' mean bias says nothing
    np.testing.assert_allclose(found.weight_KD, theirs.coef_, atol=1e-6, rtol=0)
    np.testing.assert_allclose(found.bias_K, bias_K, atol=1e-6, rtol=0)
    assert found.reason == "the gradient vanishes" and found.separation is None


@pytest.mark.parametrize("l2", [1e-2, 1e-4, 0.0])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scikit_learns_coefficients_on_overlapping_classes(classes: int, l2: float) -> None:
    expect_the_same(*sampled(300, 4, classes), classes, l2)


@pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_wine])
def test_scikit_learns_coefficients_on_its_own_sets(load: Any) -> None:
    x_ND, label_N, classes = standardised(load)
    expect_the_same(x_ND, label_N, classes, 1e-3)


def test_scikit_learns_coefficients_on_columns_of_any_unit() -> None:
    found: Any = load_breast_cancer()
    expect_the_same(torch.from_numpy(found.data), torch.from_numpy(found.target), 2, 1e-3)


@pytest.mark.parametrize("samples", [5000, 20_000])
def test_many_samples_have_the_answer_of_all_of_them(samples: int) -> None:
    """Whether it begins at the answer of a few or at 0, and whatever Hessians it keeps."""
    x_ND, label_N = sampled(samples, 6, 2, seed=3)
    target_NK = label_N[:, None].double()
    fits = [Newton(x_ND, target_NK, 1e-4, head_start=head) for head in (True, False)]
    assert fits[0].at.loss < fits[1].at.loss - 0.01, "there was no head start"
    for one in fits:
        while one.going:
            one.step()
        assert one.at.gradient_KP.abs().max() < 1e-9
    torch.testing.assert_close(fits[0].at.weight_KP, fits[1].at.weight_KP, rtol=0, atol=1e-7)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradient_and_hessian_are_those_of_autograd(classes: int, smoothing: float) -> None:
    x_ND, label_N = sampled(700, 3, classes)  # more than one part
    share_NC = F.one_hot(label_N, classes).double() * (1 - smoothing) + smoothing / classes
    function = CrossEntropy(x_ND, share_NC if classes > 2 else share_NC[:, 1:], 0.03)
    function.part = 256
    weight_KP = normal(*function.shape, seed=5)

    def loss(weight_Q: Tensor) -> Tensor:
        w_KP = weight_Q.view(function.shape)
        logit_NK = x_ND @ w_KP[:, :-1].T + w_KP[:, -1]
        if classes == 2:
            logit_NK = torch.cat([torch.zeros_like(logit_NK), logit_NK], dim=1)
        return F.cross_entropy(logit_NK, share_NC) + 0.015 * w_KP[:, :-1].square().sum()

    point, weight_Q = function.point(weight_KP), weight_KP.flatten()
    assert point.loss == pytest.approx(loss(weight_Q).item(), rel=1e-13)
    expected_Q: Any = torch.func.jacrev(loss)(weight_Q)
    torch.testing.assert_close(point.gradient_KP.flatten(), expected_Q, rtol=1e-12, atol=1e-14)
    expected_QQ: Any = torch.func.jacrev(torch.func.jacrev(loss))(weight_Q)
    torch.testing.assert_close(function.hessian(weight_KP), expected_QQ, rtol=1e-11, atol=1e-14)


def test_no_step_raises_the_loss() -> None:
    x_ND, label_N = sampled(200, 5, 2, seed=9)
    x_ND[:, 0] *= 1e4
    x_ND[label_N == 1] += 3.0
    one = Newton(x_ND, label_N[:, None].double())
    losses = [one.at.loss]
    while one.going and one.iterations < 100:
        one.step()
        losses.append(one.at.loss)
    assert all(later <= before * (1 + 1e-14) for before, later in itertools.pairwise(losses))


def test_a_softmax_has_weights_that_sum_to_nothing() -> None:
    x_ND, label_N = sampled(400, 3, 4)
    for l2 in (0.0, 1e-3):
        found = fit(x_ND, label_N, 4, l2)
        torch.testing.assert_close(found.weight_KD.sum(dim=0), torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)
        assert abs(found.bias_K.sum().item()) < 1e-9 and found.rank == 4


DEGENERATE = {
    "constant column": lambda x_ND: torch.cat([x_ND, torch.full((len(x_ND), 1), 3.0)], dim=1),
    "column of zeros": lambda x_ND: torch.cat([x_ND, torch.zeros(len(x_ND), 1)], dim=1),
    "duplicate columns": lambda x_ND: torch.cat([x_ND, x_ND[:, :1]], dim=1),
    "collinear columns": lambda x_ND: torch.cat([x_ND, x_ND @ torch.tensor([[2.0], [-1.0], [0.5]]).double()], dim=1),
    "every category and the bias": lambda x_ND: torch.cat([x_ND, F.one_hot((x_ND[:, 0] > 0).long(), 2)], dim=1),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("design", DEGENERATE)
def test_columns_that_others_determine_change_no_probability(design: str, classes: int) -> None:
    x_ND, label_N = sampled(300, 3, classes)
    wide_ND = DEGENERATE[design](x_ND).double()
    found = fit(wide_ND, label_N, classes)
    assert found.reason == "the gradient vanishes" and found.weight_KD.isfinite().all()
    assert found.rank == wide_ND.shape[1], "one less than with the bias'"
    plain_ND = torch.cat([x_ND, wide_ND[:, 3:4]], dim=1) if "category" in design else x_ND
    plain = fit(plain_ND, label_N, classes)
    assert found.loss == pytest.approx(plain.loss, rel=1e-12)
    logits = [one.bias_K + x @ one.weight_KD.T for one, x in ((found, wide_ND), (plain, plain_ND))]
    torch.testing.assert_close(*logits, rtol=0, atol=1e-7)


def test_of_all_weights_that_fit_alike_the_shortest_are_taken() -> None:
    x_ND, label_N = sampled(300, 3, 2)
    found = fit(torch.cat([x_ND, x_ND[:, :1]], dim=1), label_N, 2)
    plain = fit(x_ND, label_N, 2)
    torch.testing.assert_close(found.weight_KD[0, [0, 3]], plain.weight_KD[0, [0, 0]] / 2, rtol=1e-7, atol=1e-9)


def test_a_penalty_makes_every_design_regular() -> None:
    x_ND, label_N = sampled(300, 3, 2)
    found = fit(torch.cat([x_ND, x_ND[:, :1], torch.zeros(300, 1)], dim=1), label_N, 2, 1e-3)
    assert found.rank == 6 and found.weight_KD[0, 4] == 0
    assert found.weight_KD[0, 0].item() == pytest.approx(found.weight_KD[0, 3].item())


def test_duplicate_rows_weigh_as_often_as_they_are_there() -> None:
    x_ND, label_N = sampled(100, 3, 2)
    once, twice = fit(x_ND, label_N, 2), fit(x_ND.repeat(2, 1), label_N.repeat(2), 2)
    torch.testing.assert_close(once.weight_KD, twice.weight_KD, rtol=0, atol=1e-8)


@pytest.mark.parametrize("samples", [2, 5])
@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_fewer_samples_than_weights(samples: int, l2: float) -> None:
    x_ND, label_N = normal(samples, 20), torch.arange(samples) % 2
    found = fit(x_ND, label_N, 2, l2)
    assert found.weight_KD.isfinite().all()
    assert ((found.bias_K + x_ND @ found.weight_KD.T)[:, 0] > 0).long().tolist() == label_N.tolist()
    assert found.separation == (None if l2 else "complete")
    assert found.rank == (21 if l2 else samples)


@pytest.mark.parametrize("classes", [2, 3])
def test_separable_classes_are_told_and_not_waited_for(classes: int) -> None:
    x_ND = normal(200, 2)
    label_N = (x_ND @ normal(2, classes, seed=1)).argmax(dim=1)
    found = fit(x_ND, label_N, classes)
    assert found.reason == "the classes are separable" and found.separation == "complete"
    assert found.iterations < 20 and found.weight_KD.isfinite().all()
    logit_NK = found.bias_K + x_ND @ found.weight_KD.T
    said_N = logit_NK.argmax(dim=1) if classes > 2 else (logit_NK[:, 0] > 0).long()
    assert torch.equal(said_N, label_N)


def test_classes_that_touch_on_the_hyperplane_are_quasi_completely_separable() -> None:
    """At x = 0 both classes are found, on either side one alone: no weights are enough, and no side is all right."""
    x_N = torch.tensor([-3.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]).double()
    label_N = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1])
    found = fit(torch.stack([x_N, normal(9)], dim=1)[:, :1], label_N, 2)
    assert found.separation == "quasi-complete" and found.iterations < 60
    share = torch.sigmoid(found.bias_K).item()
    assert share == pytest.approx(2 / 3, abs=1e-3), "where they touch, the probability is that of the samples there"


def test_a_class_apart_from_two_that_overlap_is_quasi_complete() -> None:
    x_ND, label_N, classes = standardised(load_iris)
    found = fit(x_ND, label_N, classes)
    assert found.separation == "quasi-complete"
    of_two = fit(x_ND[label_N > 0], label_N[label_N > 0] - 1, 2)
    assert of_two.separation is None and of_two.reason == "the gradient vanishes"


def test_an_outlier_makes_the_answer_finite() -> None:
    x_ND = normal(200, 2)
    label_N = (x_ND[:, 0] > 0).long()
    label_N[x_ND[:, 0].argmax()] = 0
    found = fit(x_ND, label_N, 2)
    assert found.separation is None and found.reason == "the gradient vanishes"


def test_smoothed_labels_have_a_minimum_however_separable() -> None:
    x_ND = normal(200, 2)
    one = Newton(x_ND, (x_ND[:, :1] > 0).double() * 0.8 + 0.1)
    while one.going:
        one.step()
    assert REASONS[one.reason] == "the gradient vanishes" and one.separation is None


@pytest.mark.parametrize(
    ("labels", "said"), [([1, 1, 1], "found 1, expected two"), ([0, 1, 2], "from 0 to 1"), ([-1, 1, 1], "-1")]
)
def test_labels_that_are_not_classes_are_refused(labels: list[int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        fit(normal(3, 2), torch.tensor(labels), 2)


@pytest.mark.parametrize("stopped", [0, 1, 3])
@pytest.mark.parametrize("separable", [False, True])
def test_it_goes_on_from_its_tensors_to_the_same_bits(stopped: int, separable: bool) -> None:
    x_ND, label_N = sampled(5000, 4, 2)
    if separable:
        label_N = (x_ND[:, 0] > 0).long()
    target_NK = label_N[:, None].double()
    one, other = Newton(x_ND, target_NK), Newton(x_ND, target_NK)
    for _ in range(stopped):
        one.step()
    other.load({name: tensor.clone() for name, tensor in one.tensors().items()}, one.iterations)
    for solver in (one, other):
        while solver.going:
            solver.step()
    assert torch.equal(one.at.weight_KP, other.at.weight_KP)
    assert (one.iterations, one.reason, one.separation) == (other.iterations, other.reason, other.separation)
    assert one.iterations > 3
