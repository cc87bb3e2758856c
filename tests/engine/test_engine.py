"""The pieces of the loop: schedules, optimizers, averages, chance, intervals, precision."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from hyperplane.engine import chance, evaluation, optimizers, precision
from hyperplane.engine.averages import MovingAverage
from hyperplane.engine.schedules import multiple
from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import SelfAttention
from hyperplane.nets.blocks.chance import Dropout
from hyperplane.recipe import HardwareRecipe, OptimizerRecipe, ScheduleRecipe


@pytest.mark.parametrize("name", ["constant", "cosine", "one-cycle", "trapezoid"])
@pytest.mark.parametrize("warmup", [0.0, 0.25, 1.0])
def test_schedules_rise_then_fall_within_bounds(name, warmup):
    schedule = ScheduleRecipe(name, warmup=warmup, final=0.1)
    curve = [multiple(schedule, step, 100) for step in range(100)]
    peak = max(range(100), key=curve.__getitem__)
    assert all(0 < m <= 1 for m in curve)
    assert curve[: peak + 1] == sorted(curve[: peak + 1])
    assert curve[peak:] == sorted(curve[peak:], reverse=True)
    if warmup < 1:
        assert curve[peak] == 1.0 and peak == round(warmup * 100)
    if name != "constant" and warmup < 1:
        assert 0.1 < curve[-1] < 0.13


def test_a_step_is_what_the_papers_say():
    weight = nn.Parameter(torch.tensor([[2.0]]))
    bias = nn.Parameter(torch.tensor([2.0]))
    module = nn.ParameterList([weight, bias])
    sgd = optimizers.build(OptimizerRecipe("sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.5), module)
    weight.grad, bias.grad = torch.tensor([[1.0]]), torch.tensor([1.0])
    shrink = optimizers.decay(OptimizerRecipe("sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.5), module)
    assert shrink is not None
    shrink(0.1)
    sgd.step()
    assert weight.item() == pytest.approx(2 - 0.1 * (1 + 0.5 * 2)) and bias.item() == pytest.approx(1.9)
    adamw = optimizers.build(OptimizerRecipe("adamw", learning_rate=0.1, weight_decay=0.5), module)
    before = weight.item(), bias.item()
    weight.grad, bias.grad = torch.tensor([[1.0]]), torch.tensor([1.0])
    shrink = optimizers.decay(OptimizerRecipe("adamw", learning_rate=0.1, weight_decay=0.5), module)
    assert shrink is not None
    shrink(0.1)
    adamw.step()
    assert weight.item() == pytest.approx(before[0] * (1 - 0.05) - 0.1, rel=1e-5)
    assert bias.item() == pytest.approx(before[1] - 0.1, rel=1e-5)


def test_moving_average_follows_and_swaps():
    module = nn.Linear(1, 1, bias=False)
    average = MovingAverage(module, 0.5)
    start = average.averages[0].item()
    module.weight.data.fill_(start + 1)
    for _ in range(100):
        average.update()
    assert average.averages[0].item() == pytest.approx(start + 1)
    average.averages[0].fill_(-3.0)
    with average.swapped_in():
        assert module.weight.item() == -3.0
    assert module.weight.item() == pytest.approx(start + 1)


def test_chance_depends_on_every_word_alone():
    drawn = {chance.mix(seed, purpose, step) for seed in range(5) for purpose in "ab" for step in range(50)}
    assert len(drawn) == 500 and all(0 <= number < 2**63 for number in drawn)
    with chance.seeded(7, "weights"):
        one = torch.rand(3)
    torch.rand(5)
    with chance.seeded(7, "weights"):
        assert torch.equal(one, torch.rand(3))


def test_dropout_keeps_the_mean_and_draws_from_its_generator():
    layer = Dropout(0.25)
    x = torch.ones(200_000)
    layer.generator = torch.Generator().manual_seed(1)
    y = layer(x)
    assert y.mean().item() == pytest.approx(1, abs=0.01)
    assert (y == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)
    layer.generator = torch.Generator().manual_seed(1)
    assert torch.equal(y, layer(x))
    assert torch.equal(layer.eval()(x), x)
    with pytest.raises(UserError, match="dropout"):
        Dropout(1.0)


def test_wilson_is_the_textbooks():
    low, high = evaluation.wilson(0.9, 100)
    assert low == pytest.approx(0.8256, abs=1e-4) and high == pytest.approx(0.9448, abs=1e-4)
    assert evaluation.wilson(1.0, 10)[1] == pytest.approx(1) and evaluation.wilson(1.0, 10)[0] < 0.8


def test_precision_is_a_rule_and_obeys():
    net = nn.Sequential(nn.Conv2d(1, 1, 1))
    auto = HardwareRecipe(device="cpu")
    assert precision.choose(auto, net) == precision.choose(auto, net)
    assert precision.choose(auto, net).channels_last and not precision.choose(auto, nn.Linear(1, 1)).channels_last
    asked = precision.choose(replace(auto, precision="bfloat16", channels_last="no"), net)
    assert asked.dtype is torch.bfloat16 and not asked.channels_last
    with asked.autocast():
        assert nn.Linear(2, 2)(torch.randn(1, 2)).dtype is torch.bfloat16
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no CUDA device"):
            precision.choose(HardwareRecipe(device="cuda"), net)


@pytest.mark.parametrize("able", [True, False])
def test_wide_convolutions_are_computed_in_bfloat16_where_the_cpu_can(monkeypatch, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    auto, wide, narrow = HardwareRecipe(device="cpu"), nn.Conv2d(32, 4, 3), nn.Conv2d(31, 64, 3)
    chosen = precision.choose(auto, wide)
    assert chosen.dtype is (torch.bfloat16 if able else torch.float32)
    assert chosen.exact().dtype is precision.choose(auto, narrow).dtype is torch.float32


@pytest.mark.parametrize("able", [True, False])
def test_wide_attention_is_computed_in_bfloat16_where_the_cpu_can(monkeypatch, able):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": able})
    wide, narrow = (SelfAttention(width, 2, causal=False) for width in (96, 94))
    assert precision.choose(HardwareRecipe(device="cpu"), wide).dtype is (torch.bfloat16 if able else torch.float32)
    assert precision.choose(HardwareRecipe(device="cpu"), narrow).dtype is torch.float32


def test_intervals_cover(tmp_path):
    """Of 60 samples of 200 with accuracy 0.8, the 95% interval holds 0.8 in nearly all."""
    drawn = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(60):
        share = (torch.rand(200, generator=drawn) < 0.8).double().mean().item()
        low, high = evaluation.wilson(share, 200)
        hits += low <= 0.8 <= high
    assert hits >= 53
    assert not math.isnan(low)


def test_the_interval_of_the_calibration_error_holds_what_it_estimates():
    """Nets that are right as often as they say have an error of 0, which a mere percentile interval never holds."""
    from hyperplane import tasks
    from hyperplane.contracts import Description

    shapes = {"feature_BD": (2,), "label_B": ()}
    made = Description("d", "points", "points", "feature_BD", "label_B", shapes, {"train": 4}, ("0", "1"))
    task = tasks.build("classification", made)
    held = 0
    for seed in range(12):
        drawn = torch.Generator().manual_seed(seed)
        sure_B = 0.5 + 0.5 * torch.rand(1000, generator=drawn)
        correct_B = torch.rand(1000, generator=drawn) < sure_B
        statistics = {
            "label_B": (~correct_B).long(),
            "probability_BK": torch.stack([sure_B, 1 - sure_B], dim=1),
            "correct_B": correct_B,
            "loss_B": -torch.where(correct_B, sure_B, 1 - sure_B).log(),
        }
        found = evaluation.measure(task, statistics)["calibration_error"]
        assert found.low <= found.value
        held += found.low <= 0.005
    assert held >= 8


def test_where_nothing_varies_there_is_no_interval():
    from hyperplane import tasks
    from hyperplane.contracts import Description

    shapes = {"feature_BD": (2,), "label_B": ()}
    made = Description("d", "points", "points", "feature_BD", "label_B", shapes, {"train": 4}, ("0", "1"))
    label_B = torch.tensor([0, 1] * 20)
    probability_BK = torch.nn.functional.one_hot(label_B, 2).float()
    statistics = {
        "label_B": label_B,
        "probability_BK": probability_BK,
        "correct_B": torch.ones(40, dtype=torch.bool),
        "loss_B": torch.zeros(40),
    }
    found = evaluation.measure(tasks.build("classification", made), statistics)
    assert found["accuracy"].low < 1 == found["accuracy"].high or found["accuracy"].high == pytest.approx(1)
    assert math.isnan(found["f1"].low) and math.isnan(found["log_loss"].high)
