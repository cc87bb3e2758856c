"""How soon a net reads 99.0% of MNIST's test digits, beside the classic example: `python -m benchmarks.mnist_speed`.

The classic is the network that PyTorch's own MNIST example made known, trained as it is there: convolutions 3×3 of 32
and 64 channels, a maximum, dropout, 128 units; Adadelta at rate 1.0, decayed by 0.7 an epoch; batches of 64 from a
DataLoader that decodes and normalises each digit. It learns from all 60,000 and is judged after every epoch until it
reaches 99.0%, or gives up after 14. Ours is the recipe `mnist`, which learns from 50,000. Only training is timed, each
alternating with the other, with both cores.

All that is random in the classic follows from its seed, so that on as many threads it ends at the same weights, bit by
bit; their SHA-256 is among the results, but not the first seed's. `--classic-seeds N` measures N seeds of it beyond
those that are kept, at another hour then, and adds them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, data, recipes
from hyperplane.contracts import Source
from hyperplane.recipe import Recipe

SEEDS, CLASSIC_SEEDS = 5, 1
GOAL, EPOCHS = 0.99, 14
OURS, THEIRS = "hyperplane train mnist", "the classic example, until 99.0%"
HASHES = "SHA-256 of the weights, by seed and threads"


class Classic(nn.Module):
    """Two convolutions, two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.drop_maps, self.drop_units = nn.Dropout(0.25), nn.Dropout(0.5)
        self.hidden, self.output = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return log-probabilities (B, 10)."""
        x = F.relu(self.second(F.relu(self.first(x))))
        x = self.drop_maps(F.max_pool2d(x, 2)).flatten(1)
        return F.log_softmax(self.output(self.drop_units(F.relu(self.hidden(x)))), dim=1)


class Digits(Dataset[tuple[Tensor, int]]):
    """Digits as pictures, each made a normalised tensor when it is asked for."""

    def __init__(self, source: Source, *splits: Any) -> None:
        self.pictures: list[np.ndarray] = []
        self.labels: list[int] = []
        for split in splits:
            count = source.description.splits[split]
            self.pictures += [np.asarray(source.show(split, k)) for k in range(count)]
            self.labels += source.batch(split, range(count))["label_B"].tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.pictures[index])
        pixels = torch.from_numpy(np.array(picture)).unsqueeze(0).float().div(255)
        return (pixels - 0.1307) / 0.3081, self.labels[index]


def classic(seed: int, train: Digits, test: Digits) -> tuple[list[float], list[float], str]:
    """Return the classic's training seconds and test accuracy after each epoch, until it reaches the goal.

    And the SHA-256 of its last weights.
    """
    torch.manual_seed(seed)
    net = Classic()
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.7)
    batches = DataLoader(train, batch_size=64, shuffle=True)
    seconds, shares = [0.0], []
    for _ in range(EPOCHS):
        net.train()
        begun = time.perf_counter()
        for image_BCHW, label_B in batches:
            optimizer.zero_grad()
            F.nll_loss(net(image_BCHW), label_B).backward()
            optimizer.step()
        schedule.step()
        seconds.append(seconds[-1] + time.perf_counter() - begun)
        net.eval()
        with torch.no_grad():
            right = sum(int((net(x).argmax(1) == y).sum()) for x, y in DataLoader(test, batch_size=1000))
        shares.append(right / len(test))
        if shares[-1] >= GOAL:
            break
    held = b"".join(weight.detach().numpy().tobytes() for weight in net.parameters())
    return seconds[1:], shares, hashlib.sha256(held).hexdigest()


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument(
        "--classic-seeds", type=int, metavar="N", help="only N further seeds of the classic, to be added"
    )
    more = asked.parse_args().classic_seeds
    recipe = recipes.named("mnist")
    source = data.open(recipe.data)
    train, test = Digits(source, "train", "validation"), Digits(source, "test")
    ours: dict[str, list[float]] = {"accuracy, %": [], "training, s": [], "all of it, s": []}
    theirs: dict[str, Any] = {"accuracy after each epoch, %": [], "training, s": [], "an epoch, s": [], HASHES: {}}
    if more is None:
        for seed in range(SEEDS):
            measure_ours(ours, replace(recipe, seed=seed))
            if seed < CLASSIC_SEEDS:
                measure_classic(theirs, seed, train, test)
    else:
        kept = json.loads((RESULTS / "mnist_speed.json").read_text("utf-8"))["results"]
        ours = {name: listed(kept[OURS][name]) for name in ours}
        theirs = {name: listed(kept[THEIRS].get(name, empty)) for name, empty in theirs.items()}
        first = len(theirs["training, s"])
        for seed in range(first, first + more):
            measure_classic(theirs, seed, train, test)
    found = {
        OURS: {name: spread(values) for name, values in ours.items()},
        THEIRS: {name: spread(values) if name.endswith(", s") else values for name, values in theirs.items()},
        "ratio of the medians of training": median(theirs["training, s"]) / median(ours["training, s"]),
    }
    write("mnist_speed", found)


def measure_ours(found: dict[str, list[float]], recipe: Recipe) -> None:
    """Add what one run of our recipe comes to."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = api.load(api.run_recipe(recipe, runs=folder)).trained.folder.read_result()
    assert result is not None
    found["all of it, s"].append(time.perf_counter() - begun)
    found["accuracy, %"].append(100 * result.metrics["accuracy"].value)
    found["training, s"].append(result.seconds)
    print("ours", {name: values[-1] for name, values in found.items()}, flush=True)


def measure_classic(found: dict[str, Any], seed: int, train: Digits, test: Digits) -> None:
    """Add what the classic comes to with one seed."""
    seconds, shares, digest = classic(seed, train, test)
    found["accuracy after each epoch, %"].append([100 * share for share in shares])
    found["training, s"].append(seconds[-1])
    found["an epoch, s"].append(seconds[-1] / len(seconds))
    found[HASHES][f"{seed}, {torch.get_num_threads()} threads"] = digest
    print("classic", shares, seconds, digest, flush=True)


def listed(kept: Any) -> Any:
    """Return the values of which the spread is kept, or what is kept as it is."""
    return kept["values"] if isinstance(kept, dict) and "values" in kept else kept


if __name__ == "__main__":
    main()
