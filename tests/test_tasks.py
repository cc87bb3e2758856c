"""The arithmetic of the tasks, against hand-computed values and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
import torch

from hyperplane import tasks
from hyperplane.contracts import Batch, Description, Output
from hyperplane.errors import UserError
from hyperplane.tasks.classification import Classification, calibration_error
from hyperplane.tasks.regression import Regression


def classification(classes: int, **options) -> Classification:
    shapes = {"feature_BD": (2,), "label_B": ()}
    names = tuple(map(str, range(classes)))
    made = Description("d", "points", "points", "feature_BD", "label_B", shapes, {"train": 4}, names)
    task = tasks.build("classification", made, options)
    assert isinstance(task, Classification)
    return task


def batch(label_B: list[int]) -> Batch:
    fields = {"feature_BD": torch.zeros(len(label_B), 2), "label_B": torch.tensor(label_B)}
    return Batch(fields, torch.arange(len(label_B)))


def statistics(task: Classification, logit_BK: torch.Tensor, label_B: list[int]) -> dict[str, torch.Tensor]:
    return task.statistics(Output(torch.zeros(len(label_B)), logit_BK), batch(label_B))


def test_log_loss_of_a_net_that_is_sure_and_wrong():
    found = statistics(classification(2), torch.tensor([[40.0], [-40.0], [800.0]]), [0, 1, 0])["loss_B"]
    assert found.tolist() == pytest.approx([40, 40, 800])
    found = statistics(classification(3), torch.tensor([[800.0, 0, 0]]), [1])["loss_B"]
    assert found.tolist() == pytest.approx([800])


def test_binary_label_smoothing_is_the_papers():
    """The target becomes 1 − ε/2 or ε/2."""
    task = classification(2, label_smoothing=0.2)
    logit = 1.3
    loss_B = task.forward(lambda x, taps: torch.full((2, 1), logit), batch([0, 1])).loss_B  # pyright: ignore
    y = 1 / (1 + math.exp(-logit))
    cross = [-(t * math.log(y) + (1 - t) * math.log(1 - y)) for t in (0.1, 0.9)]
    assert loss_B.tolist() == pytest.approx(cross, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 5])
def test_metrics_are_scikit_learns(classes):
    chance = torch.Generator().manual_seed(classes)
    task = classification(classes)
    logit_BK = 3 * torch.randn(300, task.outputs, generator=chance)
    label_B = torch.randint(classes, (300,), generator=chance).tolist()
    found = task.measure(statistics(task, logit_BK, label_B))
    probability_BK = task.probability(logit_BK).numpy()
    predicted_B = probability_BK.argmax(1)
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(label_B, predicted_B))
    recall = sklearn.metrics.balanced_accuracy_score(label_B, predicted_B)
    assert found["balanced_accuracy"] == pytest.approx(recall)
    assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(label_B, predicted_B, average="macro"))
    assert found["log_loss"] == pytest.approx(sklearn.metrics.log_loss(label_B, probability_BK), rel=1e-5)


@pytest.mark.parametrize("counts", [(30, 10), (6, 3, 1), (5, 0, 5)])
def test_with_balance_each_class_weighs_the_same_and_a_sample_1_on_average(counts):
    names = tuple(map(str, range(len(counts))))
    shapes = {"feature_BD": (2,), "label_B": ()}
    made = Description("d", "points", "points", "feature_BD", "label_B", shapes, {"train": 4}, names, counts)
    plain, balanced = (tasks.build("classification", made, {"balance": balance}) for balance in (False, True))
    label_B = [k for k, count in enumerate(counts) for _ in range(count)]
    logit_BK = torch.randn(len(label_B), plain.outputs, generator=torch.Generator().manual_seed(0))
    loss_B, weighted_B = (t.forward(lambda x, taps: logit_BK, batch(label_B)).loss_B for t in (plain, balanced))  # pyright: ignore
    weight_B = weighted_B / loss_B
    assert weight_B.mean().item() == pytest.approx(1, rel=1e-5)
    shares = [weight_B[torch.tensor(label_B) == k].sum().item() for k, count in enumerate(counts) if count]
    assert shares == pytest.approx([len(label_B) / len(shares)] * len(shares), rel=1e-5)


def test_balance_needs_the_classes_counts():
    with pytest.raises(UserError, match="does not tell how many samples each class has"):
        classification(3, balance=True)


def test_calibration_error_by_hand():
    confidence_B = torch.tensor([0.95, 0.95, 0.95, 0.95, 0.55, 0.55], dtype=torch.float64)
    correct_B = torch.tensor([True, True, True, False, True, False])
    assert calibration_error(confidence_B, correct_B) == pytest.approx((4 * 0.20 + 2 * 0.05) / 6)


def test_regression_metrics_are_scikit_learns():
    shapes = {"feature_BD": (1,), "value_BK": (2,)}
    made = Description(
        *("d", "table", "table", "feature_BD", "value_BK", shapes, {"train": 4}),
        target_names=("u", "v"),
        target_mean=(100.0, -3.0),
        target_std=(20.0, 0.5),
    )
    task = tasks.build("regression", made)
    assert isinstance(task, Regression)
    chance = np.random.default_rng(0)
    value_BK = chance.normal((100, -3), (20, 0.5), (50, 2))
    standard_BK = torch.from_numpy((value_BK - (100, -3)) / (20, 0.5) + 0.3 * chance.normal(size=(50, 2)))
    fields = {"feature_BD": torch.zeros(50, 1), "value_BK": torch.from_numpy(value_BK)}
    found = task.measure(task.statistics(Output(torch.zeros(50), standard_BK), Batch(fields, torch.arange(50))))
    predicted_BK = task.values(standard_BK).numpy()
    assert found["r2"] == pytest.approx(sklearn.metrics.r2_score(value_BK, predicted_BK))
    assert found["rmse"] == pytest.approx(
        np.mean([sklearn.metrics.root_mean_squared_error(value_BK[:, k], predicted_BK[:, k]) for k in range(2)])
    )
    assert found["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(value_BK, predicted_BK))


def test_large_numbers_are_told_as_people_write_them():
    shapes = {"feature_BD": (1,), "value_BK": (1,)}
    made = Description(
        *("d", "table", "table", "feature_BD", "value_BK", shapes, {"train": 4}),
        target_names=("price",),
        target_mean=(0.0,),
        target_std=(1.0,),
    )
    task = tasks.build("regression", made)
    statistics = {"value_BK": torch.tensor([[223519.4]]), "prediction_BK": torch.tensor([[0.123456]])}
    said = task.tell(statistics, [0])[0]
    assert (said.truth, said.prediction) == ("223,519", "0.12346")


def test_language_counts_every_judged_token_alike():
    shapes = {"token_BT": (3,), "target_BT": (3,)}
    encoding = {"vocabulary": "byte"}
    described = Description("d", "text", "text", "token_BT", "target_BT", shapes, {"train": 2}, encoding=encoding)
    task = tasks.build("language", described)
    target_BT = torch.tensor([[65, 0xC3, 0xA9], [-100, -100, 66]])
    fields = {"token_BT": torch.zeros(2, 3, dtype=torch.int64), "target_BT": target_BT}
    logit_BTK = torch.zeros(2, 3, 256)
    logit_BTK[1, 2, 66] = math.log(255)  # a probability of one half
    given = Batch(fields, torch.arange(2))
    output = task.forward(lambda x, taps: logit_BTK, given)  # pyright: ignore
    assert output.loss_B.tolist() == pytest.approx([math.log(256), math.log(2)])
    found = task.measure(task.statistics(output, given))
    nats = 3 * math.log(256) + math.log(2)
    assert found["loss"] == pytest.approx(nats / 4) and found["perplexity"] == pytest.approx(math.exp(nats / 4))
    assert found["bits_per_character"] == pytest.approx(nats / math.log(2) / 3)  # é has two bytes
    assert found["accuracy"] == 1 / 4
