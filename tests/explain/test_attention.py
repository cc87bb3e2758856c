"""Attention as explained: flow through layers, distances, positions, against what can be said by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import hyperplane
from hyperplane import nets
from hyperplane.explain import attention, attention_figures
from hyperplane.explain.subject import load
from hyperplane.nets.vit import ViT


def net_of(pool: str = "class", grid: tuple[int, int] = (2, 3)) -> ViT:
    torch.manual_seed(0)
    shape = (1, 2 * grid[0], 2 * grid[1])
    net = nets.build("vit", shape, 3, {"width": 8, "depth": 2, "heads": 2, "patch": 2, "pool": pool})
    assert isinstance(net, ViT)
    return net.eval()


def test_flow_through_layers_is_half_bypass_and_half_attention() -> None:
    moved_TT = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    eye_TT = torch.eye(2)
    torch.testing.assert_close(attention.rollout([eye_TT, eye_TT]), eye_TT.double())
    torch.testing.assert_close(attention.rollout([moved_TT]), torch.full((2, 2), 0.5).double())
    first_TT = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    flow_TT = attention.rollout([first_TT, moved_TT])
    torch.testing.assert_close(flow_TT, torch.tensor([[0.25, 0.75], [0.25, 0.75]]).double())


@pytest.mark.parametrize("tokens", [6, 7])
def test_distances_are_between_patches_alone(tokens: int) -> None:
    itself = torch.eye(tokens).expand(1, 1, tokens, tokens)
    alike = torch.full((1, 1, tokens, tokens), 1 / tokens)
    right = torch.zeros(tokens, tokens)
    for patch in range(6):
        right[patch + tokens - 6, (patch + 1) % 6 + tokens - 6] = 1
    found_BN = attention.distances(torch.cat([itself, alike, right.expand(1, 1, -1, -1)], dim=1), (2, 3), 4)
    expected = attention.between((2, 3), 4)
    assert expected[0, 5].item() == pytest.approx(4 * 5**0.5)
    onwards = (4 * 4 + 2 * 4 * 5**0.5) / 6
    assert found_BN[0].tolist() == pytest.approx([0, expected.mean().item(), onwards], rel=1e-5)


def test_what_is_classified_gives_shares_to_patches() -> None:
    attention_BTT = torch.rand(2, 7, 7).softmax(2)
    of_class = attention.looked_at(attention_BTT, net_of("class"))
    assert of_class.shape == (2, 2, 3)
    torch.testing.assert_close(of_class[1, 1, 0] / of_class[1, 0, 2], attention_BTT[1, 0, 4] / attention_BTT[1, 0, 3])
    of_mean = attention.looked_at(attention_BTT[:, 1:, 1:], net_of("mean"))
    torch.testing.assert_close(of_mean.sum((1, 2)), torch.ones(2))


def test_positions_are_compared_without_the_class_token() -> None:
    net = net_of()
    with torch.no_grad():
        net.pos_embed[0, 6] = -2 * net.pos_embed[0, 1]
    similarity_PP = attention.position_similarity(net)
    assert similarity_PP.shape == (6, 6)
    np.testing.assert_allclose(np.diag(similarity_PP), 1, atol=1e-9)
    assert similarity_PP[0, 5] == pytest.approx(-1)


def test_of_many_the_first_and_the_last_are_shown() -> None:
    assert attention_figures.some(4, 6) == [0, 1, 2, 3]
    assert attention_figures.some(24, 6) == [0, 5, 9, 14, 18, 23]


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_a_run_is_drawn_with_its_samples(pool: str, tmp_path: Path) -> None:
    options = {"width": 8, "depth": 2, "heads": 2, "patch": 4, "pool": pool}
    changes = {"training.epochs": 1, **{f"net.options.{name}": value for name, value in options.items()}}
    run = hyperplane.train("digits", net="vit", runs=tmp_path, explained=False, changes=changes)
    drawn = attention.draw(load(run.path))
    assert list(drawn) == ["attention-heads", "attention-rollout", "attention-distance", "positions"]
    assert all(one.caption.endswith(".") and "\n" not in one.caption for one in drawn.values())


def test_imported_weights_show_their_positions_alone(tmp_path: Path) -> None:
    import safetensors.torch

    torch.manual_seed(0)
    net = nets.build("vit_tiny_patch16_224", (3, 32, 32), 4)
    (tmp_path / "net.safetensors").write_bytes(safetensors.torch.save(net.state_dict()))
    made = hyperplane.import_weights(tmp_path / "net.safetensors", out=tmp_path / "run")
    assert list(attention.draw(load(made.path))) == ["positions"]
