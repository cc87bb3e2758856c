"""What a net costs: how many samples are timed, and what a named net is built for."""

from __future__ import annotations

import pytest

import hyperplane
from hyperplane.predict import cost


def test_a_large_net_is_timed_on_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "REPEATS", 1)
    assert hyperplane.cost("lenet-1989", device="cpu").batch == 64
    one = hyperplane.cost("lenet-1989", device="cpu", batch=1)
    monkeypatch.setattr(cost, "BATCH_FLOPS", 3 * one.flops + 1)
    assert hyperplane.cost("lenet-1989", device="cpu").batch == 3
    monkeypatch.setattr(cost, "BATCH_FLOPS", 0)
    assert hyperplane.cost("lenet-1989", device="cpu").batch == 1


def test_a_pass_that_takes_long_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(cost.time, "perf_counter", lambda: float(next(clock)))
    passes: list[int] = []
    device = cost.torch.device("cpu")
    assert cost._median_ms(lambda: passes.append(1), device) > 0 and len(passes) == 1
