"""Classes of very different size: every format counts them, and with balance the rare one is found."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperplane import api, data
from hyperplane.contracts import Description
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, parse
from tests.data import makers


def rare(path: Path, rows: int = 1500) -> Path:
    """Write points of two normal distributions that overlap, one in sixteen of the class rare."""
    chance = np.random.default_rng(0)
    lines = ["x,y,label"]
    for i in range(rows):
        x, y = chance.normal(1.5 if i % 16 == 0 else 0.0, 1.0, 2)
        lines.append(f"{x:.4f},{y:.4f},{'rare' if i % 16 == 0 else 'common'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def recall(run: api.Run, name: str) -> float:
    held = run.trained.folder.read_evaluation()
    label_N, predicted_N = held["label_B"], held["probability_BK"].argmax(1)
    return float((predicted_N[label_N == run.classes.index(name)] == run.classes.index(name)).mean())


@pytest.mark.parametrize("changes", [{"training.epochs": 10}, {"optimizer.name": "l-bfgs"}], ids=["adamw", "l-bfgs"])
def test_the_recall_of_the_rare_class_rises(changes: dict, empty_folder: Path) -> None:
    rare(empty_folder / "rare.csv")
    plain = api.train("rare.csv", net="mlp", name="plain", changes={"net.options.hidden": [4], **changes})
    more = {"task.options.balance": True, "net.options.hidden": [4], **changes}
    balanced = api.train("rare.csv", net="mlp", name="balanced", changes=more)
    assert recall(balanced, "rare") > recall(plain, "rare") + 0.3
    assert balanced.metrics["balanced_accuracy"].value > plain.metrics["balanced_accuracy"].value + 0.05
    assert 0 < balanced.metrics["balanced_accuracy"].low < balanced.metrics["balanced_accuracy"].value
    assert balanced.recipe.task.options["balance"] is True
    assert balanced.evaluate()["balanced_accuracy"].value == balanced.metrics["balanced_accuracy"].value


def test_newton_which_weighs_all_samples_the_same_is_not_chosen_and_refused(empty_folder: Path) -> None:
    rare(empty_folder / "rare.csv", 200)
    changes = {"task.options.balance": True, "training.epochs": 1}
    assert api.train("rare.csv", net="perceptron", changes=changes).recipe.optimizer.name == "adamw"
    with pytest.raises(UserError, match=r"task\.balance: newton"):
        api.train("rare.csv", net="perceptron", name="n", changes={**changes, "optimizer.name": "newton"})


def test_every_format_counts_the_training_samples_of_each_class(tmp_path: Path) -> None:
    makers.class_folders(tmp_path / "pets", {"cat": 9, "dog": 4, "eel": 1})
    makers.animals(tmp_path / "animals.csv", rows=31)
    sources = [
        DataRecipe(source=str(tmp_path / "pets")),
        DataRecipe(source=str(tmp_path / "animals.csv"), target="animal"),
        DataRecipe(source=str(makers.idx_folder(tmp_path / "idx"))),
        DataRecipe(source=str(makers.cifar_folder(tmp_path / "cifar"))),
        DataRecipe(source="digits"),
        DataRecipe(source="points-region", options={"samples": 50}),
        DataRecipe(source="surface", options={"threshold": 0.5}),
    ]
    for recipe in sources:
        source = data.open(recipe)
        told = source.description
        label_B = source.batch("train", range(told.splits["train"]))["label_B"]
        assert told.class_counts == tuple(torch.bincount(label_B, minlength=len(told.classes)).tolist())
        assert sum(told.class_counts) == told.splits["train"] and len(told.class_counts) == len(told.classes)
    assert data.open(DataRecipe(source="surface")).description.class_counts == ()


def test_a_description_of_before_has_no_counts_and_one_of_fewer_classes_keeps_its_own(tmp_path: Path) -> None:
    made = data.open(DataRecipe(source="digits")).description
    tree = {name: value for name, value in asdict(made).items() if name != "class_counts"}
    assert parse(tree, Description, "data.json").class_counts == ()
    few = data.open(DataRecipe(source=str(makers.class_folders(tmp_path / "few", {"7": 6, "3": 4})), test=0.0))
    read = few.encoded_as(made).description
    assert dict(zip(read.classes, read.class_counts, strict=True))["7"] == few.description.class_counts[1]
    assert sum(read.class_counts) == sum(few.description.class_counts)
