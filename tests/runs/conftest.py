"""Run folders as training leaves them: real digits and a real classifier's probabilities, without the engine."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from hyperplane.contracts import Description
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TaskRecipe, TrainingRecipe
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import Environment, Precision, Wrong
from hyperplane.tasks.blocks import figures

ENVIRONMENT = Environment(
    hyperplane="0.1.0",
    python="3.11.9",
    torch="2.13.0+cpu",
    numpy="2.4.6",
    platform="Linux-6.1-x86_64",
    cpu="AMD EPYC 7B13",
    cores=2,
    threads=2,
    memory_gb=7.8,
    device="cpu",
    precision=Precision("float32", False, "this processor has no fast bfloat16"),
    command="hyperplane train digits",
    started="2025-03-04T09:15:42+01:00",
)

Made = Callable[..., RunFolder]


@pytest.fixture(scope="session")
def digits() -> dict[str, np.ndarray]:
    """360 test digits: image_BHW, label_B and the probability_BK of a logistic regression that never saw them."""
    found: Any = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    test, train = order[:360], order[360:]
    net = LogisticRegression(max_iter=300).fit(found.data[train] / 16, found.target[train])
    return {
        "image_BHW": found.images[test],
        "label_B": found.target[test].astype(np.int64),
        "probability_BK": net.predict_proba(found.data[test] / 16).astype(np.float32),
    }


@pytest.fixture(scope="session")
def run_of(digits: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return a function that writes a finished run of digits: `run_of(path, classes=..., epochs=..., tested=...)`."""
    made: dict[str, Path] = {}

    def copy(path: Path, **options: Any) -> RunFolder:
        key = repr(sorted(options.items()))
        if key not in made:
            made[key] = _digits_run(tmp_path_factory.mktemp("made") / "run", digits, **options).path
        shutil.copytree(made[key], path)
        return RunFolder(path)

    return copy


@pytest.fixture
def table_run_of() -> Made:
    """Return a function that writes a finished run of a regression on a table."""

    def make(path: Path, seed: int = 0) -> RunFolder:
        generator = np.random.default_rng(1)
        value_BK = 25 + 8 * generator.standard_normal((120, 1))
        prediction_BK = value_BK + np.random.default_rng(seed).standard_normal((120, 1)) * 2
        error_B = ((prediction_BK - value_BK) ** 2).mean(axis=1)
        folder = RunFolder.create(path)
        folder.write_recipe(
            Recipe(data=DataRecipe(source="houses.csv", target="price (k€)"), task=TaskRecipe("regression"))
        )
        folder.write_environment(ENVIRONMENT)
        folder.write_description(
            dataclasses.replace(
                _description("houses", (), True),
                kind="table",
                format="table",
                input="feature_BD",
                target="value_BK",
                shapes={"feature_BD": (13,), "value_BK": (1,)},
                target_names=("price (k€)",),
                target_mean=(25.0,),
                target_std=(8.0,),
            )
        )
        _write_history(folder, 6, {"rmse": lambda share: 9 - 7 * share, "r2": lambda share: share - 0.05})
        folder.write_model({"0.weight": torch.ones(1, 13)})
        rmse = float(np.sqrt(error_B.mean()))
        measured = {"rmse": _measured(rmse, 0.15), "r2": _measured(0.94, 0.01), "mae": _measured(1.6, 0.12)}
        folder.append_metrics(_result(measured, 120))
        statistics = {"loss_B": error_B / 64, "value_BK": value_BK, "prediction_BK": prediction_BK}
        folder.write_evaluation({name: torch.from_numpy(value) for name, value in statistics.items()})
        folder.plots.mkdir()
        figures.save(
            figures.scatter(value_BK[:, 0], prediction_BK[:, 0], "price", "k€"), folder.plots / "predicted.svg"
        )
        figures.save(
            figures.residuals(value_BK[:, 0], prediction_BK[:, 0], "price", "k€"), folder.plots / "residuals.svg"
        )
        folder.write_worst(
            [
                Wrong(
                    name=f"houses.csv:{b + 2}",
                    truth={"price (k€)": float(value_BK[b, 0])},
                    prediction={"price (k€)": float(prediction_BK[b, 0])},
                    loss=float(error_B[b]),
                    row={
                        "street": f"{b} Long Lane",
                        "rooms": f"{b % 7 + 1}",
                        "area (m²)": f"{40 + b}",
                        "built": f"{1900 + b}",
                    },
                )
                for b in np.argsort(-error_B)[:10]
            ]
        )
        folder.finish()
        return folder

    return make


def _digits_run(
    path: Path,
    digits: dict[str, np.ndarray],
    classes: tuple[str, ...] = tuple("0123456789"),
    epochs: int = 20,
    tested: bool = True,
    name: str = "digits",
    recipe: Recipe | None = None,
    probability_BK: np.ndarray | None = None,
    worst_names: str = "test/{}",
) -> RunFolder:
    probability_BK = digits["probability_BK"] if probability_BK is None else probability_BK
    folder = RunFolder.create(path)
    folder.write_recipe(recipe or _recipe(epochs))
    folder.write_environment(ENVIRONMENT)
    folder.write_description(_description(name, classes, tested))
    _write_history(folder, epochs)
    generator = torch.Generator().manual_seed(0)
    folder.write_model({"0.weight": torch.randn(10, 64, generator=generator), "0.bias": torch.zeros(10)})
    if tested:
        _write_test(folder, digits["image_BHW"], digits["label_B"], probability_BK, classes, worst_names)
    folder.finish()
    return folder


def _recipe(epochs: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source="digits", format="digits"),
        task=TaskRecipe("classification", {"label_smoothing": 0.05}),
        net=NetRecipe("mlp", {"hidden": [128, 64], "dropout": 0.1}),
        training=TrainingRecipe(epochs=epochs, batch=64, ema=0.99),
    )


def _description(name: str, classes: tuple[str, ...], tested: bool) -> Description:
    return Description(
        name=name,
        format="digits",
        kind="image",
        input="image_BCHW",
        target="label_B",
        shapes={"image_BCHW": (1, 8, 8), "label_B": ()},
        splits={"train": 1293, "validation": 144, "test": 360}
        if tested
        else {"train": 1617, "validation": 180, "test": 0},
        classes=classes,
        hashes={f"{name}.csv.gz": hashlib.sha256(name.encode()).hexdigest()},
        notes=("Split by chance with seed 0, keeping each class' share.", "3 pairs of identical pictures were kept."),
    )


def _write_history(folder: RunFolder, epochs: int, metrics: dict[str, Callable[[float], float]] | None = None) -> None:
    generator = np.random.default_rng(0)
    metrics = metrics or {"accuracy": lambda share: 0.1 + 0.87 * share, "f1": lambda share: 0.08 + 0.88 * share}
    steps = 20 * epochs
    for step in range(1, steps + 1):
        share = 1 - float(np.exp(-step / 60))
        rate = 2e-3 * min(step / (0.2 * steps), (steps - step) / (0.8 * steps))
        loss = 2.3 * (1 - share) + 0.08 + 0.12 * float(generator.random())
        folder.append_metrics(
            {
                "kind": "step",
                "step": step,
                "epoch": step / 20,
                "loss": loss,
                "learning_rate": rate,
                "seconds": 0.01 * step,
            }
        )
        if step % 20 == 0:
            loss = 2.25 * (1 - share) + 0.12 + 0.04 * float(generator.random())
            told = {metric: value(share) for metric, value in metrics.items()}
            folder.append_metrics({"kind": "validation", "step": step, "epoch": step / 20, "loss": loss, **told})


def _measured(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def _result(metrics: dict[str, dict[str, float]], samples: int) -> dict[str, Any]:
    cost = {"seconds": 4.31, "parameters": 17226, "steps": 400}
    return {"kind": "result", "split": "test", "samples": samples, "metrics": metrics, **cost}


def _write_test(
    folder: RunFolder,
    image_BHW: np.ndarray,
    label_B: np.ndarray,
    probability_BK: np.ndarray,
    classes: tuple[str, ...],
    worst_names: str,
) -> None:
    predicted_B, confidence_B = probability_BK.argmax(axis=1), probability_BK.max(axis=1)
    correct_B = predicted_B == label_B
    loss_B = -np.log(np.maximum(probability_BK[np.arange(len(label_B)), label_B], 1e-30))
    accuracy = float(correct_B.mean())
    measured = {
        "accuracy": {"value": accuracy, "low": accuracy - 0.021, "high": accuracy + 0.014},
        "f1": _measured(accuracy - 0.001, 0.018),
        "calibration_error": _measured(0.021, 0.006),
        "log_loss": _measured(float(loss_B.mean()), 0.05),
    }
    folder.append_metrics(_result(measured, len(label_B)))
    statistics = {"loss_B": loss_B, "label_B": label_B, "probability_BK": probability_BK, "correct_B": correct_B}
    folder.write_evaluation({name: torch.from_numpy(value) for name, value in statistics.items()})
    (folder.plots / "worst").mkdir(parents=True)
    figures.save(figures.confusion(label_B, predicted_B, classes), folder.plots / "confusion.svg")
    figures.save(figures.calibration(confidence_B, correct_B), folder.plots / "calibration.svg")
    worst = []
    for rank, b in enumerate(np.argsort(-loss_B)[:12]):
        picture = f"plots/worst/{rank:03}.png"
        Image.fromarray((255 - image_BHW[b] * 255 / 16).astype(np.uint8)).save(folder.path / picture)
        truth, prediction = classes[label_B[b]], classes[predicted_B[b]]
        worst.append(
            Wrong(worst_names.format(b), truth, prediction, float(loss_B[b]), float(confidence_B[b]), picture, None)
        )
    folder.write_worst(worst)
