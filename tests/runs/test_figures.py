"""Figures: whatever their classes are called and however many there are, the same bytes every time, and no warning."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from hyperplane.runs import curves
from hyperplane.tasks.blocks import figures


def _text(path: Path) -> str:
    return " ".join("".join(e.itertext()) for e in ElementTree.parse(path).iter() if e.tag.endswith("text"))


def _counts(label_B: np.ndarray, predicted_B: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(label_B * classes + predicted_B, minlength=classes**2).reshape(classes, classes)


def _labels(classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    label_B = generator.integers(0, classes, 500)
    wrong_B = generator.random(500) < 0.2
    return label_B, np.where(wrong_B, generator.integers(0, classes, 500), label_B)


@pytest.mark.parametrize("classes", [2, 10, 30, 100])
def test_confusion(tmp_path: Path, classes: int) -> None:
    label_B, predicted_B = _labels(classes)
    path = tmp_path / "confusion.svg"
    figures.save(figures.confusion(label_B, predicted_B, [f"class {k}" for k in range(classes)]), path)
    text = _text(path)
    assert f"{np.sum(label_B != predicted_B)} of 500 are wrong" in text
    hits = str(np.sum((label_B == 0) & (predicted_B == 0)))
    assert (hits in text.split()) == (classes <= 10)
    assert len(re.findall("class", text)) <= 2 * 25 + 2


def test_every_figure_is_the_same_each_time_and_leaves_matplotlib_alone(tmp_path: Path) -> None:
    label_B, predicted_B = _labels(3)
    value_B = np.linspace(0, 1, 500)
    before = dict(matplotlib.rcParams)
    for turn in ("a", "b"):
        (tmp_path / turn).mkdir()
        drawn = {
            "confusion": figures.confusion(label_B, predicted_B, "abc"),
            "per_class": figures.per_class(_counts(label_B, predicted_B, 3), "abc"),
            "calibration": figures.calibration(value_B, predicted_B == label_B),
            "scatter": figures.scatter(value_B, value_B**2, "height", "m"),
            "residuals": figures.residuals(value_B, value_B**2, "height", "m"),
            "curves": figures.curves(
                value_B, 1 / (value_B + 0.01), value_B, [{"step": 1, "loss": 1, "f1": 0.5}], "f1", "%"
            ),
        }
        for name, figure in drawn.items():
            figures.save(figure, tmp_path / turn / f"{name}.svg")
    assert dict(matplotlib.rcParams) == before
    for name in drawn:
        content = (tmp_path / "a" / f"{name}.svg").read_bytes()
        assert content == (tmp_path / "b" / f"{name}.svg").read_bytes()
        assert b"<text" in content and b"DejaVu" not in content


def test_names_that_no_font_and_no_markup_holds(tmp_path: Path) -> None:
    label_B, predicted_B = _labels(5)
    path = tmp_path / "confusion.svg"
    names = ["<b>&", "$\\frac{", "猫", "a\x00\udcffb", "a name without end " * 20]
    for figure in (
        figures.confusion(label_B, predicted_B, names),
        figures.per_class(_counts(label_B, predicted_B, 5), names),
    ):
        figures.save(figure, path)
        assert "<b>&" in _text(path) and "$\\frac{" in _text(path) and "猫" in _text(path)


def test_the_calibration_error_is_the_mean_gap(tmp_path: Path) -> None:
    path = tmp_path / "calibration.svg"
    confidence_B = np.array([0.95] * 10 + [0.55] * 10)
    correct_B = np.array([True] * 9 + [False] + [True] * 5 + [False] * 5)
    figures.save(figures.calibration(confidence_B, correct_B), path)
    assert "off by 5.0 %" in _text(path)


@pytest.mark.parametrize("size", [0, 1, 2, 20_000])
def test_few_and_many_samples(tmp_path: Path, size: int) -> None:
    value_B, label_B = np.linspace(-1, 1, size), np.zeros(size, np.int64)
    for figure in (
        figures.scatter(value_B, value_B, "x"),
        figures.residuals(value_B, value_B, "x"),
        figures.calibration(np.abs(value_B), label_B == 0),
        figures.confusion(label_B, label_B, ["a", "b"]),
        figures.per_class(_counts(label_B, label_B, 2), ["a", "b"]),
        figures.curves(np.arange(size), np.abs(value_B), value_B),
    ):
        figures.save(figure, tmp_path / "figure.svg")
        assert "<path" in (tmp_path / "figure.svg").read_text("utf-8")


def test_curves_take_the_metric_that_the_run_is_known_by(tmp_path: Path) -> None:
    steps = [
        {
            "kind": "step",
            "step": s,
            "epoch": s / 5,
            "loss": 2.0 / s if s != 7 else np.nan,
            "learning_rate": 0.1,
            "seconds": s,
        }
        for s in range(1, 50)
    ]
    validation = [{"kind": "validation", "step": 5, "epoch": 1.0, "loss": 0.3, "r2": 0.4, "rmse": 2.0}]
    assert curves.metric_of(steps) is None
    assert curves.metric_of([*steps, *validation]) == "r2"
    result = {"kind": "result", "metrics": {"rmse": {}}}
    assert curves.metric_of([*steps, *validation, result]) == "rmse"
    figures.save(curves.draw([*steps, *validation]), tmp_path / "curves.svg")
    assert "Validation: R²" in _text(tmp_path / "curves.svg")
    figures.save(curves.draw(steps), tmp_path / "curves.svg")
    assert "Validation" not in _text(tmp_path / "curves.svg")
