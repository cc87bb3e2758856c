"""What is special about images: grey levels, neighbours that are alike, and nets that know neighbours or do not.

Shape suffixes: H and W pixels, N images, B batch, C channels, K classes.
"""

from __future__ import annotations

import contextlib
import copy
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from hyperplane.contracts import Batch, Source, Split
from hyperplane.data.picture import PHOTOGRAPHS, photograph
from hyperplane.errors import UserError
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe

DISTANCES = (1, 2, 4, 8, 16, 32, 64, 128)
FAR = 32
"""Pixels from which on we call two pixels distant."""
SHIFTS = (0, 1, 2, 3, 4)
"""Pixels that test digits are moved by; MNIST's have a margin of 4."""
NETS = {"MLP": NetRecipe("mlp", {"hidden": [120]}), "LeNet-5": NetRecipe("lenet5")}
ORDERS = ("in order", "permuted")


def grey_levels() -> dict[str, np.ndarray]:
    """Return the photographs whose packages are installed as grey levels, uint8 (H, W) at their own size, by name."""
    found: dict[str, np.ndarray] = {}
    for name in PHOTOGRAPHS:
        with contextlib.suppress(UserError):
            found[name.removeprefix("photo-")] = np.asarray(Image.open(photograph(name)).convert("L"))
    return found


def photographs(budget: Budget) -> Outcome:
    """Look at the grey levels of photographs, and correlate pixels with those some way off."""
    found = grey_levels()
    least, greatest = min(int(grey_HW.min()) for grey_HW in found.values()), max(int(g.max()) for g in found.values())
    correlation_SN = np.array([[_correlation(grey_HW, d) for d in DISTANCES] for grey_HW in found.values()])
    near_S = correlation_SN[:, 0]
    far_S = correlation_SN[:, [d >= FAR for d in DISTANCES]].max(axis=1)
    scattered = [_correlation(_permuted(grey_HW), 1) for grey_HW in found.values()]
    picture = budget.draw(
        "correlation",
        figures.series(
            {f"{len(found)} photographs": (DISTANCES, correlation_SN.T)},
            ("distance, pixels", "correlation of grey levels"),
            "Pixels are like their neighbours",
            ("log", "linear"),
            ticks=DISTANCES,
        ),
        "Median and range over the photographs, along rows and columns",
    )
    table = Table(
        "Correlation of grey levels",
        ("photograph", "size", *(f"{d} px" for d in DISTANCES)),
        tuple(
            (name, "{1} × {0}".format(*grey_HW.shape), *(f"{value:.2f}" for value in row))
            for (name, grey_HW), row in zip(found.items(), correlation_SN, strict=True)
        ),
    )
    findings = (
        Finding(
            "cnn-grey-values",
            all(grey_HW.dtype == np.uint8 and grey_HW.ndim == 2 for grey_HW in found.values()),
            f"{len(found)} photographs, read as grey, are arrays of whole numbers from {least} to {greatest}, a byte "
            "each. Pictures of 16 bits, up to 65,535, exist as well; they are scaled to the same range.",
            Spread.of([greatest]),
            "greatest grey value",
        ),
        Finding(
            "cnn-correlation",
            bool(np.all(near_S > far_S)),
            f"Of neighbours the correlation is {near_S.min():.2f} to {near_S.max():.2f}, of pixels {FAR} or more apart "
            f"at most {far_S.max():.2f}; in every photograph the former is greater. With the pixels permuted, "
            f"neighbours have {max(map(abs, scattered)):.2f} at most.",
            Spread.of(near_S.tolist(), "photographs"),
            "correlation of neighbouring pixels",
        ),
    )
    return Outcome(findings, pictures=(picture,), tables=(table,))


def order(budget: Budget) -> Outcome:
    """Train an MLP and a convolutional net on digits in order and on permuted pixels, and move what they are shown."""
    source = budget.source(DataRecipe(source=budget.choose(full="mnist", quick="mnist", least="digits")))
    count = budget.choose(full=12_000, quick=3_000, least=300)
    seeds = budget.choose(full=3, quick=1, least=1)
    tests = budget.choose(full=10_000, quick=2_000, least=100)
    images: dict[Split, tuple[np.ndarray, np.ndarray]] = {
        "train": _images(source, "train", count),
        "test": _images(source, "test", tests),
    }
    place = {name: _written(budget, name.replace(" ", "-"), images, name == "permuted") for name in ORDERS}
    recipes = {
        (net, name): [_recipe(budget, place[name], net, seed) for seed in range(seeds)]
        for net in NETS for name in ORDERS
    }  # fmt: skip
    runs = {
        key: [budget.train(f"{key[0]}-{key[1]}-{seed}".replace(" ", "-"), r) for seed, r in enumerate(held)]
        for key, held in recipes.items()
    }
    right = {key: np.array([100 * run.metrics["accuracy"].value for run in held]) for key, held in runs.items()}
    lost = {net: right[net, "in order"] - right[net, "permuted"] for net in NETS}
    written = budget.source(DataRecipe(source=str(place["in order"])))
    used, batch = written.description.splits["train"], written.batch("test", range(len(images["test"][1])))
    same = _with_permuted_weights(runs["MLP", "in order"][0].net, batch["image_BCHW"])
    moved = {net: np.array([_moved(run.net, batch) for run in runs[net, "in order"]]).T for net in NETS}
    aside = _aside(runs["LeNet-5", "in order"][0].net, grey_levels()["china"])
    findings = (
        Finding(
            "cnn-vector-loses",
            budget.judged(abs(lost["MLP"].mean()) < 0.5 and same < 1e-4),
            f"An MLP sees a vector: with the pixels of all images permuted alike it reads {_mean(right, 'MLP', 1)} of "
            f"the test digits, and {_mean(right, 'MLP', 0)} in order. Permuting the first layer's weights alike gives "
            f"the same outputs, to {same:.0e}: it never knew which pixels are neighbours.",
            Spread.of(lost["MLP"].tolist()),
            "percentage points that the MLP loses by permuted pixels",
            typed(recipes["MLP", "permuted"][0]),
        ),
        Finding(
            "cnn-array-keeps",
            budget.judged(lost["LeNet-5"].mean() > max(0.5, 2 * abs(lost["MLP"].mean()))),
            f"LeNet-5 sees an array: it reads {_mean(right, 'LeNet-5', 0)} of the test digits in order, and "
            f"{_mean(right, 'LeNet-5', 1)} with the pixels permuted, after the same {used:,} training digits. What it "
            "loses is what the neighbourhood was worth.",
            Spread.of(lost["LeNet-5"].tolist()),
            "percentage points that LeNet-5 loses by permuted pixels",
            typed(recipes["LeNet-5", "permuted"][0]),
        ),
        Finding(
            "cnn-translation",
            aside < 1e-9,
            f"A convolutional layer's output moves along with a photograph, to {aside:.0e} off the edge: the filter is "
            "the same everywhere. A whole net is not invariant: with the test digits moved by 2 pixels LeNet-5 "
            f"reads {moved['LeNet-5'][2].mean():.1f}% of them, an MLP {moved['MLP'][2].mean():.1f}%.",
            Spread.of((moved["LeNet-5"][2] - moved["MLP"][2]).tolist()),
            "percentage points that LeNet-5 is ahead at 2 pixels",
            typed(recipes["LeNet-5", "in order"][0]),
        ),
    )
    table = Table(
        f"Test digits right, after {used:,} training digits",
        ("net", "in order", "permuted", *(f"moved by {d}" for d in SHIFTS[1:])),
        tuple(
            (net, _mean(right, net, 0), _mean(right, net, 1), *(f"{row.mean():.1f} %" for row in moved[net][1:]))
            for net in NETS
        ),
    )
    picture = budget.draw(
        "moved",
        figures.series(
            {net: (SHIFTS, value_NS) for net, value_NS in moved.items()},
            ("pixels that test digits are moved by", "test digits right, %"),
            "Digits out of their place",
            ticks=SHIFTS,
        ),
        "Trained on digits in their place; moved to the right and down",
    )
    return Outcome(findings, pictures=(picture,), tables=(table,))


def _correlation(grey_HW: np.ndarray, distance: int) -> float:
    """Return the correlation of pixels that far apart along rows, and along columns: the mean of both."""
    level_HW = grey_HW.astype(np.float64)
    pairs = (level_HW[:, :-distance], level_HW[:, distance:]), (level_HW[:-distance], level_HW[distance:])
    return float(np.mean([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in pairs]))


def _permuted(grey_HW: np.ndarray) -> np.ndarray:
    """Return an image with its pixels in another order, always the same for its size."""
    return grey_HW.ravel()[np.random.default_rng(0).permutation(grey_HW.size)].reshape(grey_HW.shape)


def _images(source: Source, part: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first images of a split, uint8 (N, H, W), and their labels, uint8 (N,)."""
    image_NHW = np.stack([np.asarray(source.show(part, i)) for i in range(count)])
    return image_NHW, source.batch(part, range(count))["label_B"].numpy().astype(np.uint8)


def _written(budget: Budget, name: str, images: dict[Split, tuple[np.ndarray, np.ndarray]], permuted: bool) -> Path:
    """Write images as IDX files, their pixels in order or all permuted alike, and return their folder."""
    folder = budget.folder.of(budget.size, "data") / f"digits-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    for part, (image_NHW, label_N) in images.items():
        if permuted:
            image_NHW = np.stack([_permuted(image_HW) for image_HW in image_NHW])
        said = "train" if part == "train" else "t10k"
        for what, held in (("images-idx3", image_NHW), ("labels-idx1", label_N)):
            header = bytes((0, 0, 8, held.ndim)) + struct.pack(f">{held.ndim}I", *held.shape)
            (folder / f"{said}-{what}-ubyte").write_bytes(header + held.tobytes())
    return folder


def _recipe(budget: Budget, place: Path, net: str, seed: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source=str(place)),
        net=NETS[net],
        optimizer=OptimizerRecipe("adamw", learning_rate=2e-3),
        training=TrainingRecipe(epochs=budget.choose(full=12, quick=6, least=1), batch=64),
        seed=seed,
    )


@torch.no_grad()
def _with_permuted_weights(net: nn.Module, image_BCHW: Tensor) -> float:
    """Return by how much an MLP's outputs differ when pixels and the first layer's weights are permuted alike."""
    other = copy.deepcopy(net)
    first = next(module for module in other.modules() if isinstance(module, nn.Linear))
    order_D = torch.randperm(first.in_features, generator=torch.Generator().manual_seed(0))
    first.weight.copy_(first.weight[:, order_D])
    return float((other(image_BCHW.flatten(1)[:, order_D]) - net(image_BCHW)).abs().max())


@torch.no_grad()
def _moved(net: nn.Module, batch: Batch) -> list[float]:
    """Return the share of digits that are right when moved by each of SHIFTS, to the right and down, in %."""
    image_BCHW, label_B = batch["image_BCHW"], batch["label_B"]
    return [
        100 * float(np.mean([(net(_shift(image_BCHW, *move)).argmax(1) == label_B).double().mean()
                             for move in ((0, distance), (distance, 0))]))
        for distance in SHIFTS
    ]  # fmt: skip


@torch.no_grad()
def _aside(net: nn.Module, grey_HW: np.ndarray) -> float:
    """Return how far a convolutional layer's output of a moved image is from the moved output, off the edge."""
    layer = copy.deepcopy(next(module for module in net.modules() if isinstance(module, nn.Conv2d))).double()
    image_1CHW = torch.from_numpy(grey_HW / 255)[None, None]
    moved_1CHW, output_1CHW = layer(_shift(image_1CHW, 3, 5)), _shift(layer(image_1CHW), 3, 5)
    return float((moved_1CHW - output_1CHW)[:, :, 8:, 8:].abs().max())


def _mean(right: dict[tuple[str, str], np.ndarray], net: str, which: int) -> str:
    return f"{right[net, ORDERS[which]].mean():.2f}%"


def _shift(image_BCHW: Tensor, down: int, right: int) -> Tensor:
    """Return images moved by whole pixels; what leaves on one side comes in on the other."""
    return image_BCHW.roll((down, right), (2, 3))
