"""What a net costs: how many samples are timed, and what a named net is built for."""

from __future__ import annotations

import pytest

import hyperplane
from hyperplane.engine.precision import choose
from hyperplane.predict import cost
from hyperplane.recipe import HardwareRecipe


def test_a_large_net_is_timed_on_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "REPEATS", 1)
    assert hyperplane.cost("lenet-1989", device="cpu").batch == 64
    one = hyperplane.cost("lenet-1989", device="cpu", batch=1)
    monkeypatch.setitem(cost.PASS_FLOPS, "cpu", 3 * one.flops + 1)
    assert hyperplane.cost("lenet-1989", device="cpu").batch == 3
    monkeypatch.setitem(cost.PASS_FLOPS, "cpu", 0)
    assert hyperplane.cost("lenet-1989", device="cpu").batch == 1


def test_as_many_samples_at_once_as_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    device = cost.torch.device("cpu")
    net = cost.nn.Sequential(cost.nn.Conv2d(1, 10, 3, padding=1), cost.nn.Flatten(), cost.nn.Linear(640, 2)).eval()
    found = cost.look(net, (1, 8, 8), choose(HardwareRecipe("cpu"), net))
    assert found == cost.Pass(flops=2 * (64 * 9 * 10 + 640 * 2), largest=4 * 640)
    assert found.at_once(device, 256) == 256
    monkeypatch.setitem(cost.PASS_BYTES, "cpu", 5 * cost.HELD * found.largest)
    assert found.at_once(device, 256) == 5 and found.at_once(device, 3) == 3


def test_a_pass_that_takes_long_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: float(next(clock)))
    passes: list[int] = []
    device = cost.torch.device("cpu")
    assert cost._median_ms(lambda: passes.append(1), device) > 0 and len(passes) == 1
