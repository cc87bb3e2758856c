"""Which optimizer a recipe gets that leaves it open, and that nothing is chosen which would then be refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hyperplane import recipe as recipe_file
from hyperplane import recipes
from hyperplane.contracts import Description
from hyperplane.engine import choice, model, solvers
from hyperplane.errors import UserError
from hyperplane.recipe import (
    SOLVERS,
    AugmentRecipe,
    DataRecipe,
    HardwareRecipe,
    NetRecipe,
    OptimizerRecipe,
    Recipe,
    ScheduleRecipe,
    TrainingRecipe,
)


def described(samples: int, columns: int = 4, classes: int = 0, numbers: int = 1) -> Description:
    target = {"label_B": ()} if classes else {"value_BK": (numbers,)}
    return Description(
        *("d", "table", "table", "feature_BD", next(iter(target)), {"feature_BD": (columns,), **target}),
        splits={"train": samples, "validation": 10, "test": 10},
        classes=tuple(map(str, range(classes))),
        target_names=() if classes else tuple("abcdefgh"[:numbers]),
        target_mean=() if classes else (0.0,) * numbers,
        target_std=() if classes else (1.0,) * numbers,
    )


LINE, SMALL = NetRecipe("perceptron"), NetRecipe("mlp", {"hidden": [4]})


def completed(data: Description, net: NetRecipe | None = None, **rooms: Any) -> Recipe:
    return recipes.complete(Recipe(data=DataRecipe(source="x"), net=net or NetRecipe(), **rooms), data)


def chosen(data: Description, net: NetRecipe | None = None, **rooms: Any) -> str | None:
    return completed(data, net, **rooms).optimizer.name


@pytest.mark.parametrize(("samples", "batch"), [(3, 3), (8, 8), (10, 8), (63, 8), (100, 12), (1000, 64), (20_000, 128)])
def test_the_batch_is_an_eighth_of_the_samples_but_never_a_few(samples: int, batch: int) -> None:
    assert completed(described(samples, classes=2), NetRecipe("mlp")).training.batch == batch


@pytest.mark.parametrize(
    ("samples", "scratch", "tuned"), [(24, 400, 100), (500, 250, 38), (6400, 20, 10), (60_000, 10, 10)]
)
def test_a_net_that_begins_with_a_run_takes_fewer_steps(samples: int, scratch: int, tuned: int) -> None:
    begun = NetRecipe("mlp", start="runs/other", start_sha256="0" * 64)
    data = described(samples, classes=2)
    assert completed(data, NetRecipe("mlp")).training.epochs == scratch
    assert completed(data, begun).training.epochs == tuned


def test_a_perceptron_that_classifies_is_fitted_by_newton():
    assert chosen(described(100, classes=2), LINE) == chosen(described(100, classes=5), LINE) == "newton"
    assert chosen(described(100, classes=2), SMALL) == chosen(described(100, classes=2)) == "adamw"
    assert chosen(described(100, columns=3000, classes=2), LINE) == "adamw", "too many weights"
    assert chosen(described(10**6, columns=1900, classes=2), LINE) == "adamw", "too much work"


def test_a_small_net_with_a_squared_loss_is_fitted_by_levenberg_marquardt():
    weights, each = 25, choice.LEAST_RESIDUALS  # 4·4 + 4 + 4·1 + 1
    assert chosen(described(weights * each), SMALL) == "levenberg-marquardt"
    assert chosen(described(weights * each - 1), SMALL) == "adamw", "too few numbers for each weight"
    assert chosen(described(34 * each // 4, numbers=4), SMALL) == "adamw"
    assert chosen(described(40 * each // 4 + 1, numbers=4), SMALL) == "levenberg-marquardt"
    assert chosen(described(100_000)) == "adamw", "the usual net has too many weights"
    assert chosen(described(10**7), SMALL) == "adamw", "too much work"
    assert chosen(described(1000), LINE) == "levenberg-marquardt"
    unheld = replace(described(weights * each), splits={"train": weights * each, "validation": 0, "test": 10})
    assert chosen(unheld, SMALL) == "adamw", "nothing tells which restart learned the noise"
    assert chosen(replace(unheld, splits={"train": 2 * weights * each}), SMALL) == "levenberg-marquardt"


@pytest.mark.parametrize(
    "set_by_the_user",
    [
        {"optimizer": OptimizerRecipe(learning_rate=0.01)},
        {"optimizer": OptimizerRecipe(momentum=0.5)},
        {"optimizer": OptimizerRecipe(clip=1.0)},
        {"schedule": ScheduleRecipe("cosine")},
        {"augment": AugmentRecipe(shift=1)},
        {"training": TrainingRecipe(batch=8)},
        {"training": TrainingRecipe(ema=0.9)},
        {"training": TrainingRecipe(patience=3)},
        {"hardware": HardwareRecipe(precision="float32")},
        {"hardware": HardwareRecipe(device="cuda")},
        {"data": DataRecipe(source="x", memory_gb=0.0)},
    ],
    ids=lambda rooms: next(iter(rooms)),
)
@pytest.mark.parametrize(("data", "net"), [(described(1000, classes=2), LINE), (described(1000), SMALL)])
def test_what_only_steps_on_batches_have_asks_for_them(set_by_the_user, data, net):
    assert (
        recipes.complete(Recipe(**{"data": DataRecipe(source="x"), "net": net, **set_by_the_user}), data).optimizer.name
        == "adamw"
    )


def test_no_solver_under_torchrun_or_for_a_net_that_draws(monkeypatch):
    dropping = replace(SMALL, options={"hidden": [4], "dropout": 0.1})
    assert chosen(described(1000), dropping) == "adamw"
    alone = completed(described(1000), SMALL)
    with pytest.raises(UserError, match="start it without torchrun"):
        solvers.expect_suited(alone, model.build(alone, described(1000)), 2)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert chosen(described(1000), SMALL) == chosen(described(1000, classes=2), LINE) == "adamw"


def test_the_users_word_is_taken():
    for name in ("adamw", "sgd", "l-bfgs"):
        assert chosen(described(1000), SMALL, optimizer=OptimizerRecipe(name)) == name
    assert chosen(described(10), SMALL, optimizer=OptimizerRecipe("levenberg-marquardt")) == "levenberg-marquardt"


@pytest.mark.parametrize(
    ("data", "net"),
    [(described(1000, classes=2), LINE), (described(400, columns=30, classes=9), LINE), (described(1000), SMALL),
     (described(1000, numbers=3), LINE), (described(1000), NetRecipe()), (described(1000, classes=2), SMALL)],
)  # fmt: skip
def test_what_is_chosen_is_written_out_repeats_itself_and_is_not_refused(data, net):
    whole = completed(data, net)
    assert whole.optimizer.name is not None and whole.optimizer.weight_decay is not None
    assert recipes.complete(whole, data) == whole
    assert recipe_file.from_json(recipe_file.to_json(whole)) == whole
    if whole.optimizer.name in SOLVERS:
        assert whole.optimizer.restarts is not None and whole.training.batch == data.splits["train"]
        solvers.expect_suited(whole, model.build(whole, data), 1)


def test_decay_and_restarts_that_are_left_open():
    data = described(1000)
    for name, decay, restarts in (
        ("sgd", 0.01, None),
        ("adamw", 0.01, None),
        ("levenberg-marquardt", 0.0, 64),
        ("l-bfgs", 0.0, 1),
    ):
        found = completed(data, SMALL, optimizer=OptimizerRecipe(name)).optimizer  # pyright: ignore[reportArgumentType]
        assert (found.weight_decay, found.restarts) == (decay, restarts)
    asked = completed(data, SMALL, optimizer=OptimizerRecipe("l-bfgs", weight_decay=0.1, restarts=3)).optimizer
    assert (asked.weight_decay, asked.restarts) == (0.1, 3)
    assert completed(described(1000, classes=2), LINE, optimizer=OptimizerRecipe("newton")).optimizer.weight_decay == 0


def test_a_chosen_newton_is_steadied_by_a_small_penalty():
    """Without one, separable classes have no answer; scikit-learn's own is 1 / N."""
    for samples in (100, 1000, 10_000):
        found = completed(described(samples, classes=2), LINE).optimizer
        assert found.weight_decay == pytest.approx(min(1e-3, 1 / samples))
    unsteadied = completed(described(100, classes=2), LINE, optimizer=OptimizerRecipe(weight_decay=0.0)).optimizer
    assert unsteadied.name == "newton" and unsteadied.weight_decay == 0


def test_a_recipe_of_before_is_read_as_it_was():
    text = (
        '{"optimizer": {"name": "adamw", "learning_rate": 0.002, "weight_decay": 0.01, "clip": null, "restarts": 64}}'
    )
    found = completed(described(1000), SMALL, optimizer=recipe_file.from_json(text).optimizer)
    assert found.optimizer.name == "adamw" and found.optimizer.restarts == 64


def test_choosing_draws_nothing_from_the_global_generator():
    import torch

    before = torch.get_rng_state()
    completed(described(1000), SMALL)
    assert torch.equal(before, torch.get_rng_state())
