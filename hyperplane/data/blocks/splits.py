"""Which samples train, validate and test: the same on every machine and with every library version.

A sample's place is decided by a hash of the seed and its position (SplitMix64: Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014), in integer arithmetic. Classes are split one by one, so that each keeps
its share in every split, and every class keeps at least one sample to train on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hyperplane.contracts import JUDGES, Split
from hyperplane.data.blocks.problems import Refusal, listed, quote
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe


def split(recipe: DataRecipe, count: int, label_N: np.ndarray | None, where: str) -> dict[Split, np.ndarray]:
    """Return each split's positions in [0, count), in rising order, by the recipe's shares and seed.

    `label_N` gives each sample's class, to keep the shares class by class; None where the target is a number.
    Raises UserError for shares outside [0, 1), and where a split that was asked for would be empty.
    """
    check_shares(recipe)
    key_N = shuffle_keys(recipe.seed, count)
    groups = [np.arange(count)] if label_N is None else [np.flatnonzero(label_N == k) for k in np.unique(label_N)]
    parts: dict[Split, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    wanted, taken = {"validation": 0.0, "test": 0.0}, {"validation": 0, "test": 0}
    shares = {"validation": recipe.validation, "test": recipe.test}
    for members in groups:
        left = members[np.argsort(key_N[members], kind="stable")]
        for part in ("test", "validation"):
            wanted[part] += len(members) * shares[part]
            take = min(max(int(wanted[part] + 0.5) - taken[part], 0), len(left) - 1)
            taken[part] += take
            parts[part].append(left[:take])
            left = left[take:]
        parts["train"].append(left)
    splits: dict[Split, np.ndarray] = {part: np.sort(np.concatenate(held)) for part, held in parts.items()}
    for part, share in shares.items():
        if share > 0 and not taken[part]:
            kinds = "" if label_N is None else f" in {len(groups)} {'class' if len(groups) == 1 else 'classes'}"
            raise Refusal(
                where,
                f"has {count} sample{'s' * (count != 1)}{kinds}, too few for a {part} split of {share:g}",
                f"add samples, or type --data.{part} 0",
            )
    return splits


def class_counts(label_N: np.ndarray, classes: Sequence[str]) -> tuple[int, ...]:
    """Return how many of a split's samples each class has; `label_N` are positions in `classes`."""
    return tuple(np.bincount(label_N, minlength=len(classes)).tolist())


def untested(label_N: Mapping[Split, np.ndarray], classes: Sequence[str]) -> tuple[str, ...]:
    """Return a note that names the classes which the split that judges a net lacks, or none where it holds them all.

    `label_N` are positions in `classes`, by split.
    """
    judge: Split = next(part for part in JUDGES if len(label_N[part]))
    trained, judged = class_counts(label_N["train"], classes), class_counts(label_N[judge], classes)
    missing = [
        f"{quote(name)} ({count:,} sample{'s' * (count != 1)})"
        for name, count, held in zip(classes, trained, judged, strict=True)
        if not held
    ]
    return (f"Trained on and never tested: {listed(missing)}.",) if missing else ()


def check_shares(recipe: DataRecipe) -> None:
    """Raise UserError unless both shares are in [0, 1) and leave something to train on."""
    for part, share in (("validation", recipe.validation), ("test", recipe.test)):
        if not 0 <= share < 1:
            raise UserError(f"data.{part}: found {share:g}, expected a share in [0, 1); type --data.{part} 0.1")
    if recipe.validation + recipe.test >= 1:
        raise UserError(
            f"data.validation: {recipe.validation:g} and data.test {recipe.test:g} leave nothing to train on; "
            "type --data.validation 0.1 --data.test 0.2"
        )


def shuffle_keys(seed: int, count: int) -> np.ndarray:
    """Return a pseudorandom uint64 for each position in [0, count): SplitMix64's outputs from a hash of the seed."""
    step, mask = 0x9E3779B97F4A7C15, 0xFFFFFFFFFFFFFFFF
    start = _mix(np.array([(seed * step + step) & mask], np.uint64))
    return _mix(start + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(step))


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
