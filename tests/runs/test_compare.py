"""Comparing runs: the numbers by hand, and no pairing of what was not tested on the same samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe
from hyperplane.runs.compare import bootstrap, compare, mcnemar
from hyperplane.runs.folder import RunFolder

Made = Callable[..., RunFolder]


def _worse(probability_BK: np.ndarray, label_B: np.ndarray) -> np.ndarray:
    """Return probabilities that are certain of the next class for the first 30 samples, and of the right one after."""
    changed_BK = np.full_like(probability_BK, 1e-3)
    named_B = np.where(np.arange(len(label_B)) < 30, (label_B + 1) % 10, label_B)
    changed_BK[np.arange(len(label_B)), named_B] = 0.991
    return changed_BK


def test_paired_numbers_of_classification(tmp_path: Path, run_of: Made, digits: dict[str, np.ndarray]) -> None:
    first = run_of(tmp_path / "first", epochs=1)
    second_BK = _worse(digits["probability_BK"], digits["label_B"])
    recipe = Recipe(net=NetRecipe("lenet", {"width": 2}))
    second = run_of(tmp_path / "second", epochs=1, probability_BK=second_BK, recipe=recipe)
    found = compare([first.path, second.path])

    assert [run.name for run in found.runs] == ["first", "second"]
    assert found.runs[0].parameters == 17226 and found.runs[0].metrics["accuracy"].value == pytest.approx(348 / 360)
    assert found.differing["net.name"] == ("mlp", "lenet")
    assert found.differing["net.options.width"] == (None, 2)
    assert "seed" not in found.differing

    (pair,) = found.paired
    assert pair.reason is None and pair.samples == 360 and pair.correct and pair.loss and pair.mcnemar
    right = [p.argmax(axis=1) == digits["label_B"] for p in (digits["probability_BK"], second_BK)]
    assert pair.correct.value == pytest.approx(330 / 360 - 348 / 360)
    assert pair.correct.low < pair.correct.value < pair.correct.high < 0
    loss = [-np.log(p[np.arange(360), digits["label_B"]]).mean() for p in (digits["probability_BK"], second_BK)]
    assert pair.loss.value == pytest.approx(loss[1] - loss[0], rel=1e-4)
    assert pair.mcnemar.only_first == np.sum(right[0] & ~right[1]) and pair.squared_error is None
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["paired"][0]["samples"] == 360


def test_paired_numbers_of_regression(tmp_path: Path, table_run_of: Made) -> None:
    first, second = table_run_of(tmp_path / "a", seed=2), table_run_of(tmp_path / "b", seed=3)
    pair = compare([first.path, second.path]).paired[0]
    a, b = first.read_evaluation(), second.read_evaluation()
    expected = ((b["prediction_BK"] - b["value_BK"]) ** 2).mean() - ((a["prediction_BK"] - a["value_BK"]) ** 2).mean()
    assert pair.squared_error and pair.squared_error.value == pytest.approx(expected)
    assert pair.mcnemar is None and pair.correct is None and pair.reason is None


def test_a_run_against_its_copy(tmp_path: Path, run_of: Made) -> None:
    paths = [run_of(tmp_path / name, epochs=1).path for name in ("a", "b", "c")]
    found = compare(paths)
    assert found.differing == {} and len(found.paired) == 2
    for pair in found.paired:
        assert pair.loss and (pair.loss.low, pair.loss.value, pair.loss.high) == (0, 0, 0)
        assert pair.mcnemar and pair.mcnemar.p == 1


def test_why_runs_cannot_be_paired(tmp_path: Path, run_of: Made, table_run_of: Made) -> None:
    first = run_of(tmp_path / "first", epochs=1).path
    others = {
        "untested": run_of(tmp_path / "untested", epochs=1, tested=False).path,
        "letters": run_of(tmp_path / "letters", epochs=1, name="letters").path,
        "houses": table_run_of(tmp_path / "houses").path,
    }
    shuffled = run_of(tmp_path / "shuffled", epochs=1)
    statistics = shuffled.read_evaluation()
    shuffled.write_evaluation({name: torch.from_numpy(value[::-1].copy()) for name, value in statistics.items()})
    shuffled.finish()
    reasons = {p.name: p.reason or "" for p in compare([first, *others.values(), shuffled.path]).paired}
    assert "untested holds no judgement" in reasons["untested"]
    assert "other data" in reasons["letters"] and "hashes in data.json differ" in reasons["letters"]
    assert "predict different things" in reasons["houses"]
    assert "other samples" in reasons["shuffled"] and "data.seed" in reasons["shuffled"]


def test_generated_data_without_hashes_are_told_apart_by_their_recipe(tmp_path: Path, run_of: Made) -> None:
    paths = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        folder = run_of(tmp_path / name, epochs=1, recipe=Recipe(data=DataRecipe(source="region", seed=seed)))
        tree = json.loads(folder.data.read_text())
        folder.data.write_text(json.dumps({**tree, "hashes": {}}))
        folder.finish()
        paths.append(folder.path)
    same, other = compare(paths).paired
    assert same.reason is None and same.samples == 360
    assert "the data of their recipes differ" in (other.reason or "")


def test_only_whole_runs_are_compared(tmp_path: Path, run_of: Made) -> None:
    folder = run_of(tmp_path / "digits", epochs=1)
    with pytest.raises(UserError, match="found 1 run, expected two or more"):
        compare([folder.path])
    with pytest.raises(UserError, match="did you mean 'digits'"):
        compare([folder.path, tmp_path / "digit"])


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (10, 2), (3, 17), (250, 200)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int) -> None:
    binomtest = pytest.importorskip("scipy.stats").binomtest
    first = np.array([True] * b + [False] * c + [True, False] * 20)
    second = np.array([False] * b + [True] * c + [True, False] * 20)
    found = mcnemar(first, second)
    assert (found.only_first, found.only_second) == (b, c)
    assert found.p == pytest.approx(binomtest(b, b + c).pvalue if b + c else 1.0, rel=1e-9)


def test_mcnemar_by_hand() -> None:
    first, second = np.array([True] * 6 + [False]), np.array([False] * 6 + [True])
    assert mcnemar(first, second).p == pytest.approx(2 * (1 + 7) / 2**7)


def test_the_bootstrap_is_seeded_and_about_right() -> None:
    difference_B = np.random.default_rng(0).standard_normal(400)
    found = bootstrap(difference_B)
    assert found == bootstrap(difference_B)
    error = difference_B.std() / 20
    assert found.value == pytest.approx(difference_B.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
