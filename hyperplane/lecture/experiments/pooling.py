"""Pooling: what it keeps and what it ignores, and the lecture's table "without max pooling", on MNIST.

Shape suffixes: H and W pixels, C maps, N places, S samples of each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane import api, recipes
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.claims import load
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments.neighbours import grey_levels
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table, meets
from hyperplane.nets.blocks.filters import correlate, sobel
from hyperplane.nets.blocks.pooling import layer
from hyperplane.recipe import AugmentRecipe, Recipe

WINDOWS = (1, 2, 4, 8)
"""Sides of the neighbourhoods that are pooled, in pixels; 1 pools nothing."""
MOVES = (0, 1, 2, 3, 4)
"""Pixels that a photograph is moved by."""
KINDS = ("max", "average", "convolution", "gaussian")
ROWS: dict[str, tuple[str, str | None]] = {
    "lenet5-max2x3": ("conv 5 × 5, stride 1; max pooling 2 × 3", "max"),
    "lenet5-strided": ("conv 5 × 5, stride 2", "stride"),
    "lenet5-convolution": ("conv 5 × 5, stride 1; conv 3 × 3, stride 2", "two"),
    "lenet5-gaussian": ("conv 5 × 5, stride 1; Gaussian, stride 2", None),
    "lenet5": ("conv 5 × 5, stride 1; max pooling 2 × 2", None),
}
"""Nets of the table, each with how it is told and the middle of the lecture's claims about it, where it has any."""
PARTS = ("train", "test")
Right = dict[tuple[str, str], list[float]]
"""By net and split, the share of digits that each seed's net reads right, in %."""
ASKED = 99.0
"""Test digits that every row of the table is to reach, in %."""


def neighbourhoods(budget: Budget) -> Outcome:
    """Pool feature maps of photographs: how many activations become one, and what a move of the image changes."""
    maps = {name: _edges(grey_HW) for name, grey_HW in grey_levels().items()}
    alike = {w: np.array([[_alike(map_HW, w, move) for map_HW in maps.values()] for move in MOVES]) for w in WINDOWS}
    x_1CHW = torch.rand(1, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    pooled = {kind: layer(kind, 3, (2, 2), "relu").eval()(x_1CHW).detach() for kind in KINDS}
    sizes = {kind: y_1CHW.numel() / x_1CHW.numel() for kind, y_1CHW in pooled.items()}
    of_one = x_1CHW.unfold(2, 2, 2).unfold(3, 2, 2).amax((4, 5))
    exact = torch.equal(of_one, pooled["max"])
    inside = _move_inside(2)
    shapes = {net: _shapes(net) for net in ROWS}
    told = " → ".join("{} × {} × {}".format(*shape) for shape in shapes["lenet5"])
    halved = all((held[1], held[3]) == ((6, 14, 14), (16, 5, 5)) for held in shapes.values())
    by_two = {w: float(np.median(alike[w][2])) for w in WINDOWS}
    picture = budget.draw(
        "moved",
        figures.series(
            {"not pooled" if w == 1 else f"{w} × {w}": (MOVES, alike[w]) for w in WINDOWS},
            ("pixels that the photograph is moved by", "correlation with the map before"),
            "What a move changes, after pooling",
            ticks=MOVES,
        ),
        f"Edges in {len(maps)} photographs, pooled by their greatest value: median and range",
    )
    findings = (
        Finding(
            "cnn-pooling",
            exact and sizes["max"] == 0.25,
            "Max pooling gives one activation, the greatest, for each 2 × 2 of them: exactly, on three maps of noise.",
            Spread.of([1 / sizes["max"]]),
            "activations become one",
        ),
        Finding(
            "cnn-pooling-place",
            inside == 0 and by_two[1] < by_two[2] < by_two[4] < by_two[8],
            "A point that moves within its window changes nothing at all. Maps of edges in photographs, moved by 2 "
            f"pixels, correlate by {by_two[1]:.2f} with what they were; pooled over 2, 4 and 8 pixels by "
            f"{by_two[2]:.2f}, {by_two[4]:.2f} and {by_two[8]:.2f}. Across windows' borders the place still matters.",
            Spread.of(alike[8][2].tolist(), "photographs"),
            "correlation after a move by 2 pixels, pooled over 8 × 8",
        ),
        Finding(
            "cnn-pooling-size",
            halved and all(share == 0.25 for share in sizes.values()),
            f"In LeNet-5 maps go {told}; in every row of the table below they end as large, by pooling or by stride.",
            Spread.of([share for share in sizes.values()], "kinds of pooling"),
            "of the activations are left",
        ),
    )
    return Outcome(findings, pictures=(picture,))


def table(budget: Budget) -> Outcome:
    """Train LeNet-5 with each pooling on MNIST, with and without moved digits."""
    seeds = range(budget.choose(full=2, quick=1, least=1))
    runs = {net: [budget.train(f"{net}-{s}", _recipe(budget, net, s)) for s in seeds] for net in ROWS}
    still = {
        net: [budget.train(f"{net}-still", _recipe(budget, net, 0, shift=0))]
        for net in budget.choose(full=tuple(ROWS), quick=(), least=())
    }
    right: Right = {(net, part): _right(held, part) for net, held in runs.items() for part in PARTS}
    unmoved: Right = {(net, part): _right(held, part) for net, held in still.items() for part in PARTS}
    claims = {claim.id: claim for claim in load().claims}
    findings: list[Finding] = []
    for net, (told, middle) in ROWS.items():
        for part in PARTS if middle else ():
            ours = right[net, part]
            findings.append(
                Finding(
                    f"cnn-{middle}-{part}",
                    budget.judged(meets(claims[f"cnn-{middle}-{part}"], float(np.mean(ours)))),
                    f"LeNet-5 with {told}, {_seconds(runs[net]):.0f} s a training{_also(unmoved, net, part)}.",
                    Spread.of(ours),
                    f"% of the {'training' if part == 'train' else 'test'} digits",
                    typed(_recipe(budget, net, 0)),
                )
            )
    means = {net: float(np.mean(right[net, "test"])) for net in ROWS}
    findings += [
        Finding(
            "cnn-without-pooling",
            budget.judged(means["lenet5-max2x3"] - means["lenet5-gaussian"] < 0.1 and min(means.values()) >= ASKED),
            f"With a Gaussian of stride 2 instead of max pooling LeNet-5 reads {means['lenet5-gaussian']:.2f}% of the "
            f"test digits, with max pooling {means['lenet5-max2x3']:.2f}%; the learned convolutions of the lecture's "
            f"table reach {means['lenet5-strided']:.2f}% and {means['lenet5-convolution']:.2f}%.",
            Spread.of(right["lenet5-gaussian", "test"]),
            "% of the test digits, with Gaussians",
            typed(_recipe(budget, "lenet5-gaussian", 0)),
        ),
        Finding(
            "cnn-lenet",
            budget.judged(means["lenet5"] >= ASKED),
            f"LeNet-5 with max pooling 2 × 2 reads {means['lenet5']:.2f}% of the 10,000 test digits of MNIST"
            f"{_also(unmoved, 'lenet5', 'test')}.",
            Spread.of(right["lenet5", "test"]),
            "% of the test digits",
            typed(_recipe(budget, "lenet5", 0)),
        ),
    ]
    lecture = {(net, part): claims[f"cnn-{middle}-{part}"].value for net, (_, middle) in ROWS.items() for part in PARTS
               if middle}  # fmt: skip
    several = f"{len(seeds)} seed{'s' * (len(seeds) > 1)}"
    shown = Table(
        f"Without max pooling: digits right, % (mean of {several}; not moved: one)",
        ("layers", "lecture: train", "test", "ours: train", "test", "not moved: train", "test", "time"),
        tuple(
            (
                ROWS[net][0], *(f"{lecture[net, part]:.2f}" if (net, part) in lecture else "–" for part in PARTS),
                *(f"{np.mean(right[net, part]):.2f}" for part in PARTS),
                *(f"{np.mean(unmoved[net, part]):.2f}" if unmoved else "–" for part in PARTS),
                f"{_seconds(runs[net]):.0f} s",
            )
            for net in ROWS
        ),
    )  # fmt: skip
    wrong = [
        (
            net.removeprefix("lenet5-").replace("lenet5", "max2x2"),
            100 - (lecture[net, "test"] or 0.0) if (net, "test") in lecture else None,
            {name: [100 - v for v in held[net, "test"]] for name, held in (("ours", right), ("not moved", unmoved))
             if held},
        )
        for net in ROWS
    ]  # fmt: skip
    drawn = figures.beside(wrong, "test digits wrong, %", "Without max pooling")
    picture = budget.draw("errors", drawn, "Errors on the 10,000 test digits, beside the lecture's")
    about = (
        "All rows have the same recipe; in training every digit is moved by up to a pixel. The lecture names neither "
        "data nor recipe; its numbers look like MNIST."
    )
    return Outcome(tuple(findings), about, (picture,), (shown,))


def _edges(grey_HW: np.ndarray) -> Tensor:
    """Return how strong the edges are at each pixel of a photograph, (H, W)."""
    x_HW, y_HW = (correlate(torch.from_numpy(grey_HW.astype(np.float64)), mask, border="nearest") for mask in sobel())
    return torch.hypot(x_HW, y_HW)


def _alike(map_HW: Tensor, window: int, move: int) -> float:
    """Return the correlation of a pooled map with that of the same map moved to the right and down."""
    still, moved = map_HW[4:-4, 4:-4], map_HW[4 - move : -4 - move, 4 - move : -4 - move]
    before, after = (F.max_pool2d(one[None], window).flatten() for one in (still, moved))
    return float(torch.corrcoef(torch.stack([before, after]))[0, 1])


def _move_inside(window: int) -> float:
    """Return by how much max pooling's output differs when a point moves within its window, at most."""
    maps = torch.zeros(window * window, 1, 8, 8)
    for place in range(window * window):
        maps[place, 0, 2 + place // window, 4 + place % window] = 1.0
    pooled = F.max_pool2d(maps, window)
    return float((pooled - pooled[:1]).abs().max())


def _shapes(name: str) -> list[tuple[int, ...]]:
    """Return the shapes (C, H, W) before and after both poolings of a LeNet-5; with a stride they are the same."""
    net = api.net(name, shape=(1, 28, 28), classes=10)
    found: list[tuple[int, ...]] = []

    def see(layer: nn.Module, given: tuple[Tensor], gave: Tensor) -> None:
        found.extend((tuple(given[0].shape[1:]), tuple(gave.shape[1:])))

    for part in ("pool1", "pool2"):
        net.get_submodule(part).register_forward_hook(see)
    with torch.no_grad():
        net(torch.zeros(1, 1, 28, 28))
    return found


def _recipe(budget: Budget, net: str, seed: int, shift: int = 1) -> Recipe:
    """Return the recipe of a row: that of LeNet-5 for MNIST, longer, with digits moved by up to `shift` pixels."""
    recipe = recipes.named("mnist_lenet")
    source, epochs = budget.choose(full=("mnist", 12), quick=("mnist", 1), least=("digits", 1))
    return replace(
        recipe,
        data=replace(recipe.data, source=source),
        net=replace(recipe.net, name=net, options={}),
        augment=AugmentRecipe(shift=shift),
        training=replace(recipe.training, epochs=epochs),
        seed=seed,
    )


def _also(unmoved: Right, net: str, part: str) -> str:
    """Return what is found without moving digits, where that was trained."""
    return f"; without moving the training digits {np.mean(unmoved[net, part]):.2f}%" if unmoved else ""


def _right(runs: list[api.Run], part: str) -> list[float]:
    """Return the share of a split's digits that are right, in %; the training split's as they are, not moved."""
    if part == "test":
        return [100 * run.metrics["accuracy"].value for run in runs]
    return [100 * run.evaluate(split="train")["accuracy"].value for run in runs]


def _seconds(runs: list[api.Run]) -> float:
    return float(np.mean([run.history[-1]["seconds"] for run in runs]))
