"""What logistic regression estimates: its minimum, the weights of known models, and probabilities.

Shape suffixes: N points, D dimensions.
"""

from __future__ import annotations

import numpy as np
import torch

from hyperplane.engine import newton
from hyperplane.explain.planes import Hyperplane
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments.logistic import points_of, recipe
from hyperplane.lecture.findings import Finding, Outcome, Spread

WEIGHT, BIAS = np.array([2.0, -1.0, 0.5]), 0.3
"""Of the logistic model that labels are drawn from."""


def minimum(budget: Budget) -> Outcome:
    """Minimise the cross entropy of classes that overlap and of classes that do not, with less and less penalty."""
    penalties = [10.0**-power for power in range(9)]
    lengths: dict[str, list[float]] = {}
    ends: dict[str, newton.Fitted] = {}
    for name, source in (("overlapping classes", "points-outliers"), ("separable classes", "points-separable")):
        x_ND, label_N = points_of(source, 0)
        fits = [newton.fit(torch.from_numpy(x_ND), torch.from_numpy(label_N), 2, l2) for l2 in penalties]
        lengths[name] = [float(fit.weight_KD.norm()) for fit in fits]
        ends[name] = newton.fit(torch.from_numpy(x_ND), torch.from_numpy(label_N), 2)
    overlap, apart = ends.values()
    settled, grown = (held[-1] / held[-3] for held in lengths.values())
    picture = budget.draw(
        "length",
        figures.series(
            {name: ([1 / l2 for l2 in penalties], np.array(held)) for name, held in lengths.items()},
            ("1 / penalty", "length of w at the minimum"),
            "Without overlap, w grows without end",
            ("log", "linear"),
        ),
        "Length of w as the penalty l₂/2 ‖w‖² vanishes",
    )
    return Outcome(
        (
            Finding(
                "linear-minimum",
                overlap.separation is None and apart.separation is not None and settled < 1.01 and grown > 1.1,
                f"Where the classes overlap, the minimum is found in {overlap.iterations} steps and ends because "
                f"{overlap.reason}. Where a line separates them there is none: the longer w, the smaller the loss. The "
                f"solver then stops because {apart.reason}, and a penalty gives an answer.",
                Spread.of([float(overlap.weight_KD.norm())]),
                "length of w at the minimum, where the classes overlap",
                typed(recipe("points-separable")),
            ),
        ),
        pictures=(picture,),
    )


def weights(budget: Budget) -> Outcome:
    """Fit clouds whose log odds are known: Gaussian ones of one covariance, and others that are not Gaussian."""
    sizes = budget.choose(full=(100, 1000, 10_000, 100_000), quick=(100, 1000, 10_000), least=(100, 1000))
    seeds = budget.choose(full=20, quick=5, least=1)
    off = {
        name: (sizes, np.array([[_weights_off(*cloud(size, seed)) for seed in range(seeds)] for size in sizes]))
        for name, cloud in (("Gaussian clouds", _gaussian), ("uniform points", _uniform))
    }
    first, last = (off["Gaussian clouds"][1][place] for place in (0, -1))
    other = float(np.median(off["uniform points"][1][-1]))
    root = [float(np.median(first)) * (sizes[0] / size) ** 0.5 for size in sizes]
    picture = budget.draw(
        "weights",
        figures.series(
            off,
            ("points", "error of w̃, as a share of its length"),
            "Logistic regression finds the weights",
            ("log", "log"),
            ("1/√N", sizes, root),
        ),
        "How far the fitted weights are from the true ones",
    )
    return Outcome(
        (
            Finding(
                "linear-likelihood",
                budget.judged(float(np.median(last)) < 0.05),
                f"For two Gaussian clouds of one covariance the true weights are Σ⁻¹(μ₁ − μ₀), and the fit comes as "
                f"near as {100 * np.median(last):.1f}% of their length with {sizes[-1]:,} points. But it need not be "
                "Gaussian: cross entropy is the likelihood of labels drawn with probability y, whatever the points' "
                f"distribution; with uniform points it comes as near as {100 * other:.1f}%.",
                Spread.of(last.tolist()),
                "error of the weights, as a share of their length",
            ),
        ),
        pictures=(picture,),
    )


def probabilities(budget: Budget) -> Outcome:
    """Draw labels with known probabilities, and compare them with y."""
    sizes = budget.choose(full=(100, 1000, 10_000, 100_000), quick=(100, 1000, 10_000), least=(100, 1000))
    seeds = budget.choose(full=20, quick=5, least=1)
    off: list[list[float]] = []
    pairs = {}
    for size in sizes:
        held: list[float] = []
        for seed in range(seeds):
            x_ND, label_N, weight_D, bias = _uniform(size, seed)
            fit = newton.fit(torch.from_numpy(x_ND), torch.from_numpy(label_N), 2)
            new_ND = np.random.default_rng(seed + 10_000).uniform(-2, 2, (2000, len(weight_D)))
            true_N = _sigma(new_ND @ weight_D + bias)
            said_N = _sigma(new_ND @ fit.weight_KD[0].numpy() + float(fit.bias_K[0]))
            held.append(100 * float(np.abs(said_N - true_N).mean()))
            pairs[f"{size:,} points"] = (true_N[:400], said_N[:400])
        off.append(held)
    picture = budget.draw(
        "probabilities",
        figures.points(pairs, ("true probability", "y = σ(w̃·x̃)"), "y is a probability"),
        "y of new points against the probability that their labels are drawn with",
    )
    return Outcome(
        (
            Finding(
                "linear-probability",
                budget.judged(float(np.mean(off[-1])) < 1),
                f"Labels were drawn with known probabilities; for new points, y differs from them by "
                f"{np.mean(off[0]):.1f} percentage points in the mean after {sizes[0]:,} points, and by "
                f"{np.mean(off[-1]):.2f} after {sizes[-1]:,}.",
                Spread.of(off[-1]),
                "percentage points between y and the true probability, in the mean",
            ),
        ),
        pictures=(picture,),
    )


def _gaussian(size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return two Gaussian clouds of one covariance, labels, and the weights and bias of their log odds."""
    draw = np.random.default_rng(seed)
    root_DD = np.array([[1.0, 0.4, 0.0], [0.0, 0.8, -0.3], [0.0, 0.0, 0.6]])
    covariance_DD = root_DD.T @ root_DD
    middle_2D = np.array([[0.4, -0.2, 0.1], [-0.4, 0.5, 0.0]])
    label_N = (draw.random(size) < 0.5).astype(int)
    x_ND = middle_2D[label_N] + draw.normal(size=(size, 3)) @ root_DD
    inverse_DD = np.linalg.inv(covariance_DD)
    weight_D = inverse_DD @ (middle_2D[1] - middle_2D[0])
    bias = float(-weight_D @ (middle_2D[0] + middle_2D[1]) / 2)
    return x_ND, label_N, weight_D, bias


def _uniform(size: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return uniform points, labels drawn with probability σ(w·x + b), and these weights and bias."""
    draw = np.random.default_rng(seed)
    x_ND = draw.uniform(-2, 2, (size, 3))
    return x_ND, (draw.random(size) < _sigma(x_ND @ WEIGHT + BIAS)).astype(int), WEIGHT, BIAS


def _weights_off(x_ND: np.ndarray, label_N: np.ndarray, weight_D: np.ndarray, bias: float) -> float:
    """Return the distance of the fitted w̃ from the true one, as a share of its length."""
    fit = newton.fit(torch.from_numpy(x_ND), torch.from_numpy(label_N), 2)
    found, true = Hyperplane(fit.weight_KD[0].numpy(), float(fit.bias_K[0])).tilde, Hyperplane(weight_D, bias).tilde
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def _sigma(z: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * z)
