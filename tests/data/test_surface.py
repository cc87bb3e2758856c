"""The lecture's surface on a grid, as numbers and as classes."""

from __future__ import annotations

import numpy as np
import pytest

from hyperplane import data
from hyperplane.data.surface import height
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe


def _open(**options: object) -> data.Source:
    return data.open(DataRecipe(source="surface", validation=0.0, test=0.0, options={"side": 21, **options}))


def test_a_threshold_makes_classes_of_the_same_points() -> None:
    numbers, classes = _open(), _open(threshold=0.5)
    every = range(21 * 21)
    z_N = numbers.batch("train", every)["value_BK"][:, 0].numpy()
    label_N = classes.batch("train", every)["label_B"].numpy()
    assert numbers.description.target == "value_BK" and not numbers.description.classes
    assert classes.description.classes == ("z at least 0.5", "z below 0.5")
    np.testing.assert_array_equal(label_N == 1, z_N < 0.5)
    assert 0 < label_N.sum() < len(label_N) / 10
    a, b = (source.batch("train", every)["feature_BD"] for source in (numbers, classes))
    np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_heights_are_rosenbrocks() -> None:
    x1_N, x2_N = np.array([1.0, 0.0, -1.0]), np.array([1.0, 0.0, 1.0])
    np.testing.assert_array_equal(height(x1_N, x2_N), [0.0, 1.0, 4.0])


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1000.0, float("nan"), float("inf")])
def test_a_threshold_that_all_points_are_on_one_side_of(threshold: float) -> None:
    with pytest.raises(UserError) as refused:
        _open(threshold=threshold)
    assert "data.options.threshold" in str(refused.value) and "type: --data.threshold 0.5" in str(refused.value)


def test_a_threshold_that_is_no_number() -> None:
    with pytest.raises(UserError, match="threshold"):
        _open(threshold="low")
