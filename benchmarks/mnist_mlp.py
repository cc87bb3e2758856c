"""MNIST by one hidden layer of 20 to 120 units, next to others: `python -m benchmarks.mnist_mlp [WIDTH ...] [others]`.

The others are a support vector machine and the nearest neighbours. What is named is measured again, and the rest kept.
All learn from the same 50,000 digits and are judged on the same 10,000. Five seeds of each net; the two others have no
chance in them: scikit-learn's SVC (RBF kernel, C = 5, gamma = "scale") and KNeighborsClassifier (k = 3), on the same
standardised pixels. One thread.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace

import torch
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from benchmarks.record import RESULTS, spread, write
from hyperplane import api, data, recipes

SEEDS = 5
WIDTHS = (20, 40, 80, 120)
LECTURE = {"support vector machine": 98.6, "nearest neighbours": 96.8}


def main(named: list[str]) -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    path = RESULTS / "mnist_mlp.json"
    found = json.loads(path.read_text())["results"] if path.exists() else {}
    for width in WIDTHS:
        if not named or str(width) in named:
            found[f"MLP, {width} hidden units"] = _net(width)
    if not named or "others" in named:
        found |= _others()
    write("mnist_mlp", found)


def _others() -> dict[str, dict[str, float]]:
    source = data.open(recipes.named("mnist_mlp").data)
    train, test = (source.batch(split, range(source.description.splits[split])) for split in ("train", "test"))
    image, label = source.description.input, source.description.target
    others = {
        "nearest neighbours": KNeighborsClassifier(3),
        "support vector machine": SVC(C=5.0, gamma="scale", cache_size=4000),
    }
    found = {}
    for name, other in others.items():
        begun = time.perf_counter()
        other.fit(train[image].flatten(1).numpy(), train[label].numpy())
        share = float(other.score(test[image].flatten(1).numpy(), test[label].numpy()))
        found[name] = {"% right": 100 * share, "the lecture": LECTURE[name], "seconds": time.perf_counter() - begun}
        print(name, found[name], flush=True)
    return found


def _net(width: int) -> dict[str, object]:
    recipe = recipes.named("mnist_mlp")
    recipe = replace(recipe, net=replace(recipe.net, options={"hidden": [width]}))
    shares, seconds = [], []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            run = api.load(api.run_recipe(replace(recipe, seed=seed), runs=folder))
            result = run.trained.folder.read_result()
        assert result is not None
        shares.append(100 * result.metrics["accuracy"].value)
        seconds.append(result.seconds)
    print(width, shares, f"{max(seconds):.1f} s", flush=True)
    return {"% right": spread(shares), "seconds": spread(seconds)}


if __name__ == "__main__":
    main(sys.argv[1:])
