"""What beginning with another run's weights is worth: `python -m benchmarks.finetune`.

LeNet learns Fashion-MNIST, then digits from few labels: from scratch, and with `--from`, at a tenth of the rate (the
default) and at the whole rate. All have the same digits, steps and settings, and are tested on MNIST's 10,000. Three
seeds each; the seed decides the new weights and the order, and the first net is the same for all.
"""

from __future__ import annotations

import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.record import spread, write
from hyperplane import api, recipes
from hyperplane.data import idx
from hyperplane.data.blocks import files
from hyperplane.recipe import DataRecipe, TrainingRecipe

SEEDS = 3
LABELS = (10, 100)
"""Of each digit; a sixth of them validates."""
STEPS, BATCH = 400, 32


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
    write("finetune", found)


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
        for name, weights, share in (
            ("from scratch", None, 1.0),
            ("--from, a tenth of the rate", start, 0.1),
            ("--from, the whole rate", start, 1.0),
        ):
            accuracies = []
            for seed in range(SEEDS):
                recipe = recipes.start(
                    str(data), "lenet", given=recipes.named("mnist_lenet"), weights=weights and str(weights)
                )
                recipe = replace(
                    recipe,
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
