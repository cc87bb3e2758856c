"""What beginning with another run's weights is worth: `python -m benchmarks.finetune`.

LeNet learns Fashion-MNIST, then digits from few labels: from scratch, and with `--from`, at a tenth of the rate (the
default), at the whole rate, and at the whole rate with all but the head frozen. All have the same digits, steps and
settings, and are tested on MNIST's 10,000. Three seeds each; the seed decides the new weights and the order, and the
first net is the same for all. And how long a step of ResNet-18 takes when all of it is trained, and when its head alone
is: images of 224 × 224, eight at a time, in float32, the median of several that take turns.
"""

from __future__ import annotations

import struct
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import cast

import numpy as np
import torch
from torch import nn

from benchmarks.record import spread, write
from hyperplane import api, nets, recipes
from hyperplane.contracts import Task
from hyperplane.data import idx
from hyperplane.data.blocks import files
from hyperplane.engine.model import Model
from hyperplane.recipe import DataRecipe, TrainingRecipe

SEEDS = 3
LABELS = (10, 100)
"""Of each digit; a sixth of them validates."""
STEPS, BATCH = 400, 32
TIMED = 9
"""Steps of each way that are timed."""


def few(folder: Path, labels: int) -> Path:
    """Write MNIST's first so many pictures of each digit, and its test set, as IDX files."""
    published = files.locate("mnist", idx.KNOWN["mnist"], lambda held: True, download=False)
    folder.mkdir()
    image_NHW = idx.read_idx(published / "train-images-idx3-ubyte.gz", 3)
    label_N = idx.read_idx(published / "train-labels-idx1-ubyte.gz", 1)
    kept = np.sort(np.concatenate([np.flatnonzero(label_N == k)[:labels] for k in range(10)]))
    for what, held in (("images-idx3", image_NHW[kept]), ("labels-idx1", label_N[kept])):
        head = bytes((0, 0, 8, held.ndim)) + struct.pack(f">{held.ndim}I", *held.shape)
        (folder / f"train-{what}-ubyte").write_bytes(head + held.tobytes())
    for file in published.glob("t10k-*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as place:
        found = measure(Path(place))
    write("finetune", found | step_times())


def step_times() -> dict[str, object]:
    """Return how long a step takes, in seconds, whole and with all but the head frozen."""
    models = {
        name: Model(nets.build("resnet18", (3, 224, 224), 10), cast(Task, nn.Identity()))
        for name in ("whole", "frozen")
    }
    models["frozen"].freeze({"fc.weight", "fc.bias"})
    image_BCHW, label_B = torch.randn(8, 3, 224, 224), torch.arange(8)
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(TIMED):
        for name, model in models.items():
            trained = [p for p in model.train().parameters() if p.requires_grad]
            optimizer = torch.optim.AdamW(trained, 1e-4, fused=True)
            begun = time.perf_counter()
            nn.functional.cross_entropy(model.net(image_BCHW), label_B).backward()
            optimizer.step()
            seconds[name].append(time.perf_counter() - begun)
            optimizer.zero_grad()
    found: dict[str, object] = {f"a step of ResNet-18, {name}, s": spread(held) for name, held in seconds.items()}
    found["a step of ResNet-18, whole over frozen"] = median(seconds["whole"]) / median(seconds["frozen"])
    return found


def measure(place: Path) -> dict[str, object]:
    """Return accuracies over the seeds by what a net began with and how many labels it had."""
    rate = recipes.named("mnist_lenet").optimizer.learning_rate or 0.0
    first = recipes.named("mnist_lenet")
    first = replace(first, data=DataRecipe("fashion-mnist"), training=replace(first.training, epochs=3))
    start = api.run_recipe(first, runs=place, name="fashion")
    accuracy = api.load(start).metrics["accuracy"].value
    found: dict[str, object] = {"Fashion-MNIST, test accuracy of the first net, %": 100 * accuracy}
    for labels in LABELS:
        data = few(place / f"digits-{labels}", labels)
        epochs = STEPS // max(labels * 10 * 5 // 6 // BATCH, 1)
        for name, weights, share, frozen in (
            ("from scratch", None, 1.0, False),
            ("--from, a tenth of the rate", start, 0.1, False),
            ("--from, the whole rate", start, 1.0, False),
            ("--from --frozen", start, 1.0, True),
        ):
            accuracies = []
            for seed in range(SEEDS):
                recipe = recipes.start(
                    str(data), "lenet", given=recipes.named("mnist_lenet"), weights=weights and str(weights)
                )
                recipe = replace(
                    recipe,
                    net=replace(recipe.net, frozen=frozen),
                    optimizer=replace(recipe.optimizer, learning_rate=share * rate),
                    training=TrainingRecipe(epochs=epochs, batch=BATCH),
                    seed=seed,
                )
                run = api.load(api.run_recipe(recipe, runs=place, name=f"{labels}-{name}-{seed}"))
                accuracies.append(100 * run.metrics["accuracy"].value)
            found[f"{labels} labels a digit, {name}: test accuracy, %"] = spread(accuracies)
            print(f"{labels} labels a digit, {name}: {np.mean(accuracies):.2f}%", flush=True)
    return found


if __name__ == "__main__":
    main()
