"""What the first convolution learns: its maps counted, and its masks beside Gabor functions and Gaussian derivatives.

Any mask of few pixels is described well by a function of eight numbers, and any smooth one better still. So the same
fits are made of the masks before training, of white noise, and of noise that is as smooth as the learned masks; a mask
counts as similar where it is described better than 99% of the latter. Shapes: N filters, C channels, h and w pixels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from hyperplane import api
from hyperplane.engine.chance import generator
from hyperplane.engine.model import build
from hyperplane.explain import filters as drawn
from hyperplane.explain import gabor
from hyperplane.explain.gabor import Family
from hyperplane.explain.vision import first_filters
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.claims import load
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Skipped, Spread, Table, meets
from hyperplane.recipe import AugmentRecipe, DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

FOLDER = "tiny-imagenet-20"
"""Photographs of 64 × 64 in 20 classes, under HYPERPLANE_DATA."""
FAMILIES: tuple[Family, ...] = ("gabor", "order 0", "order 1", "order 2")
KINDS = ("learned", "before training", "noise as smooth", "white noise")
BEYOND = 0.99
"""Share of the noise that a mask must be better described than."""
SOME = 0.1
"""Share of the masks that are some: ten times as many as chance alone would have there."""
TIE = 0.02
"""Of shares that are as good as equal: a derivative whose middle lies at a mask's edge is a blob as well."""


def maps(budget: Budget) -> Outcome:
    """Count the maps and units of the lecture's first hidden layer."""
    claims = {claim.id: claim for claim in load().claims}
    map_1Chw = nn.Conv2d(1, 3, 5)(torch.zeros(1, 1, 28, 28))
    _, channels, high, wide = map_1Chw.shape
    assert high == wide, "a square filter on a square image"
    counted = {"cnn-feature-maps": channels, "cnn-map-size": high, "cnn-map-neurons": map_1Chw.numel()}
    why = "Three filters of 5 × 5 without padding on 28 × 28 pixels: 28 − 5 + 1 = 24 places a side."
    return Outcome(
        tuple(Finding(name, meets(claims[name], count), why, Spread.of([count])) for name, count in counted.items())
    )


@dataclass(frozen=True)
class _Shares:
    """What functions explain of masks, by kind of mask and family, of one seed; each (N,)."""

    held: dict[str, dict[Family, np.ndarray]]

    def derivative(self, kind: str) -> np.ndarray:
        """Return what the best Gaussian derivative, of order 0, 1 or 2, explains of each mask."""
        return np.max([self.held[kind][family] for family in FAMILIES[1:]], axis=0)

    def oriented(self, kind: str) -> np.ndarray:
        """Return what the best derivative of order 1 or 2 explains of each mask."""
        return np.maximum(self.held[kind]["order 1"], self.held[kind]["order 2"])

    def order(self) -> np.ndarray:
        """Return the lowest order whose derivative explains as much of each learned mask as any, to 2 points."""
        share_ON = np.array([self.held["learned"][family] for family in FAMILIES[1:]])
        return np.argmax(share_ON > share_ON.max(axis=0) - TIE, axis=0)


def learned(budget: Budget) -> Outcome:
    """Train nets on photographs, and fit the masks of their first layers."""
    seeds = budget.choose(full=2, quick=1, least=1)
    runs = [budget.train(f"photographs-{seed}", _recipe(budget, seed)) for seed in range(seeds)]
    banks = [_filters(run.net) for run in runs]
    budget.say("fits")
    shares = [_shares(budget, run, bank, seed) for seed, (run, bank) in enumerate(zip(runs, banks, strict=True))]
    by_gabor = [_beyond(s.held["learned"]["gabor"], s.held["noise as smooth"]["gabor"]) for s in shares]
    by_oriented = [_beyond(s.oriented("learned"), s.oriented("noise as smooth")) for s in shares]
    by_any = [_beyond(s.derivative("learned"), s.derivative("noise as smooth")) for s in shares]
    orders = np.array([_orders(s) for s in shares])
    command = typed(_recipe(budget, 0))
    accuracy = np.mean([100 * run.metrics["accuracy"].value for run in runs])
    middle = {kind: np.median(np.concatenate([s.held[kind]["gabor"] for s in shares])) for kind in KINDS}
    medians = {kind: np.median(np.concatenate([s.derivative(kind) for s in shares])) for kind in KINDS}
    said = "% of the masks"
    findings = (
        Finding(
            "cnn-gabor",
            budget.judged(min(by_gabor) >= SOME),
            f"A Gabor function explains {_of(by_gabor)} of the masks better than 99% of random masks as smooth; the "
            f"median share explained is {middle['learned']:.0%}, of noise as smooth {middle['noise as smooth']:.0%}, "
            f"before training {middle['before training']:.0%}.",
            Spread.of([100 * v for v in by_gabor]),
            said,
            command,
        ),
        Finding(
            "cnn-oriented",
            budget.judged(min(by_oriented) >= SOME),
            f"A Gaussian derivative of order 1 or 2 explains {_of(by_oriented)} of the masks better than 99% of random "
            "masks as smooth; chance alone would be 1%.",
            Spread.of([100 * v for v in by_oriented]),
            said,
            command,
        ),
        Finding(
            "cnn-filter-banks",
            budget.judged(bool((orders.mean(axis=0) > 0.02).all())),
            f"Of the masks, {orders.mean(axis=0)[0]:.0%}, {orders.mean(axis=0)[1]:.0%} and "
            f"{orders.mean(axis=0)[2]:.0%} are explained best by order 0, 1 and 2, and better than 99% of noise as "
            "smooth by any; the lower order counts where both explain as much to 2 points.",
            Spread.of((100 * orders.min(axis=1)).tolist()),
            "% of the masks, of the rarest order",
            command,
        ),
        Finding(
            "cnn-learned-filters",
            budget.judged(medians["learned"] > max(medians[kind] for kind in KINDS[1:]) and min(by_any) >= SOME),
            f"The nearest derivative of order 0, 1 or 2 explains {medians['learned']:.0%} of a mask (median), against "
            f"{medians['before training']:.0%} before training and {medians['noise as smooth']:.0%} of noise as "
            f"smooth; {_of(by_any)} are beyond 99% of the latter.",
            Spread.of([100 * v for v in by_any]),
            said,
            command,
        ),
    )
    pictures = (
        budget.draw("masks", drawn.bank(banks[0]), "The first layer's filters, of the first seed"),
        budget.draw("fits", drawn.fitted(banks[0], _as_fits(banks[0], runs[0])), "The same beside their Gabor fits"),
        budget.draw(
            "orders",
            figures.points(
                {kind: _pair(shares, kind) for kind in ("learned", "noise as smooth", "before training")},
                ("explained by a Gaussian derivative, %", "explained by a Gabor function, %"),
                "Masks, each by both kinds of functions",
            ),
            "Learned masks lie further up and right than random ones",
        ),
    )
    about = (
        f"{len(runs)} residual net{'s' * (len(runs) > 1)} of {len(banks[0])} filters of {banks[0].shape[-2]} × "
        f"{banks[0].shape[-1]} learned {_what(budget)} ({accuracy:.1f}% right). A colour filter's mask is "
        "the one which, times one colour, is nearest to it."
    )
    return Outcome(findings, about, pictures, (_table(shares),))


def _recipe(budget: Budget, seed: int) -> Recipe:
    """Return what is trained: photographs by a small ResNet with a first layer of 7 × 7; for its tests, digits."""
    if budget.size == "least":
        training = TrainingRecipe(epochs=1)
        return Recipe(data=DataRecipe(source="digits"), net=NetRecipe("lenet"), training=training, seed=seed)
    folder = Path(os.environ.get("HYPERPLANE_DATA", "")) / FOLDER
    if not folder.is_dir():
        raise Skipped(f"{FOLDER}: is not here, expected a folder of that name; name where it is by HYPERPLANE_DATA")
    return Recipe(
        data=DataRecipe(source=str(folder)),
        net=NetRecipe("resnet", {"depths": [1, 1, 1], "width": 32}),
        optimizer=OptimizerRecipe("sgd", learning_rate=0.1, weight_decay=5e-4),
        augment=AugmentRecipe(flip=True, shift=4),
        training=TrainingRecipe(epochs=budget.choose(full=20, quick=2, least=1), batch=64),
        seed=seed,
    )


def _what(budget: Budget) -> str:
    return "the digits" if budget.size == "least" else "photographs of 64 × 64 in 20 classes"


def _filters(net: nn.Module) -> Tensor:
    bank = first_filters(net)
    assert bank is not None, "a net of convolutions"
    return bank


def _before(run: api.Run) -> Tensor:
    """Return the filters that a run began with."""
    return _filters(build(run.recipe, run.trained.description).net)


def _as_fits(bank: Tensor, run: api.Run) -> dict[str, gabor.Fits]:
    return drawn.compared(bank, _before(run))


def _shares(budget: Budget, run: api.Run, bank: Tensor, seed: int) -> _Shares:
    """Return what each family explains of the learned masks and of those that they are compared with."""
    count = budget.choose(full=200, quick=100, least=8)
    size = (bank.shape[-2], bank.shape[-1])
    of = {
        "learned": bank,
        "before training": _before(run),
        "noise as smooth": gabor.noise(size, count, generator(seed, "smooth masks"), like=bank),
        "white noise": gabor.noise(size, count, generator(seed, "white masks")),
    }
    return _Shares({kind: {f: gabor.fit(held, f).share_N.numpy() for f in FAMILIES} for kind, held in of.items()})


def _beyond(share_N: np.ndarray, noise_N: np.ndarray) -> float:
    """Return how many masks are described better than nearly all of the noise, as a share."""
    return float(np.mean(share_N > np.quantile(noise_N, BEYOND)))


def _orders(shares: _Shares) -> list[float]:
    """Return how many masks are beyond the noise and nearest to order 0, 1 and 2, as shares of all masks."""
    far_N = shares.derivative("learned") > np.quantile(shares.derivative("noise as smooth"), BEYOND)
    return [float(np.mean(far_N & (shares.order() == order))) for order in (0, 1, 2)]


def _of(share: list[float]) -> str:
    """Return shares of several seeds for people."""
    low, high = min(share), max(share)
    return f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"


def _pair(shares: list[_Shares], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return what a derivative and what a Gabor function explain of masks, in percent."""
    return (
        100 * np.concatenate([s.derivative(kind) for s in shares]),
        100 * np.concatenate([s.held[kind]["gabor"] for s in shares]),
    )


def _table(shares: list[_Shares]) -> Table:
    rows = []
    for kind in KINDS:
        held = [np.concatenate([s.held[kind][family] for s in shares]) for family in FAMILIES]
        held.append(np.concatenate([s.derivative(kind) for s in shares]))
        rows.append((kind, *(f"{np.median(v):.0%}" for v in held), f"{np.quantile(held[0], BEYOND):.0%}"))
    columns = ("masks", "Gabor", "order 0", "order 1", "order 2", "best order", "Gabor, 99th percentile")
    return Table("Share of a mask's squares that is explained, median", columns, tuple(rows))
