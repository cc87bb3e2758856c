"""Muon: that its steps are orthogonal, which weights it takes, that it trains, and that its memory is put back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hyperplane import api, discovery, nets
from hyperplane.engine.loop import hard
from hyperplane.engine.muon import Muon, orthogonal, split
from hyperplane.engine.optimizers import load_state_tensors, state_tensors


@pytest.mark.parametrize("shape", [(8, 8), (5, 40), (60, 7)])
def test_singular_values_come_out_near_1_in_the_same_directions(shape: tuple[int, int]) -> None:
    matrix_RC = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 1e-3
    made_RC = orthogonal(matrix_RC[None])[0]
    value_S = torch.linalg.svdvals(made_RC)
    assert 0.6 < value_S.min() and value_S.max() < 1.25
    left_RS, _, right_SC = torch.linalg.svd(matrix_RC, full_matrices=False)
    along_S = (left_RS.T @ made_RC @ right_SC.T).diagonal()
    assert torch.allclose(along_S, value_S.sort().values[along_S.argsort().argsort()], atol=1e-3)


def test_a_gradient_of_zeros_moves_nothing() -> None:
    assert torch.equal(orthogonal(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def test_takes_matrices_but_the_last_layer() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 8), nn.Linear(8, 2))
    hidden, others = split(net)
    assert [tuple(p.shape) for p in hidden] == [(4, 1, 3, 3), (8, 16)]
    assert len(others) == 6


@pytest.mark.parametrize("tied", [True, False])
def test_a_last_layer_that_is_the_embedding_leaves_all_linear_maps_hidden(tied: bool) -> None:
    net = nets.build("gpt", (8,), 7, {"layers": 2, "width": 16, "heads": 2, "tied": tied})
    hidden, others = split(net)
    assert sum(p.numel() for p in hidden) == 2 * 12 * 16**2
    assert len([p for p in others if p.ndim == 2]) == (2 if tied else 3)


def test_matrices_of_one_shape_move_as_each_alone_and_others_as_adamw_moves_them() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    optimizer = Muon(net, 0.1, 0.01, 0.9)
    hidden, others = split(net)
    before, known = [p.detach().clone() for p in hidden], [nn.Parameter(p.detach().clone()) for p in others]
    usual = torch.optim.AdamW(known, 0.01, weight_decay=0.0)
    for _ in range(3):
        net(torch.randn(9, 6)).square().sum().backward()
        for one, other in zip(known, others, strict=True):
            assert other.grad is not None
            one.grad = other.grad.clone()
        first, gradients = usual.state == {}, [p.grad for p in hidden]
        optimizer.step()
        usual.step()
        optimizer.zero_grad()
        if first:
            for old, new, gradient in zip(before, hidden, gradients, strict=True):
                assert gradient is not None
                torch.testing.assert_close(old - new.detach(), 0.1 * orthogonal(1.9 * gradient[None])[0])
    for one, other in zip(known, others, strict=True):
        torch.testing.assert_close(one, other)


def test_every_net_has_its_weights_in_one_of_both() -> None:
    for name, module in discovery.loaded("nets").items():
        net = nets.build(name, module.EXAMPLE["shape"], 3, module.EXAMPLE["options"])
        hidden, others = split(net)
        assert {*hidden, *others} == {p for p in net.parameters() if p.requires_grad}, name
        assert len({*hidden}) + len({*others}) == len(hidden) + len(others), name


def test_its_memory_is_saved_and_put_back() -> None:
    def made() -> tuple[nn.Module, Muon]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
        return net, Muon(net, 0.1, 0.01, 0.9)

    def step(net: nn.Module, optimizer: Muon, number: int) -> None:
        net(torch.randn(9, 6, generator=torch.Generator().manual_seed(number))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    (one, first), (other, second) = made(), made()
    for number in range(4):
        step(one, first, number)
    for number in range(2):
        step(other, second, number)
    held, weights = {n: t.clone() for n, t in state_tensors(second).items()}, other.state_dict()
    again, third = made()
    again.load_state_dict(weights)
    load_state_tensors(third, held)
    for number in (2, 3):
        step(again, third, number)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))


def test_trains_digits_and_completes_the_rates(tmp_path) -> None:
    run = api.train(
        "digits",
        runs=tmp_path,
        changes={
            "optimizer.name": "muon",
            "optimizer.learning_rate": None,
            "training.epochs": 6,
            "training.hardest": 0.7,
        },
    )
    assert (run.recipe.optimizer.learning_rate, run.recipe.optimizer.other_rate) == (0.02, 0.002)
    assert run.metrics["accuracy"].value > 0.93


def test_the_hardest_samples_alone_count() -> None:
    weight_B = hard(torch.tensor([0.1, 3.0, 0.2, 2.0]), 2)
    assert weight_B.tolist() == [0.0, 0.5, 0.0, 0.5]
