"""Attention as explained: flow through layers, distances, positions, against what can be said by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from matplotlib.figure import Figure
from PIL import Image

import hyperplane
from hyperplane import data, nets
from hyperplane.explain import attention, attention_figures, explain
from hyperplane.explain.subject import load
from hyperplane.nets.vit import ViT
from hyperplane.runs.folder import RunFolder
from tests.data import makers


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


def imported(folder: Path) -> Path:
    """Return a run folder of weights that were not trained here."""
    torch.manual_seed(0)
    net = nets.build("vit_tiny_patch16_224", (3, 32, 32), 4)
    (folder / "net.safetensors").write_bytes(safetensors.torch.save(net.state_dict()))
    return hyperplane.import_weights(folder / "net.safetensors", out=folder / "run").path


def test_imported_weights_show_their_positions_alone(tmp_path: Path) -> None:
    assert list(attention.draw(load(imported(tmp_path)))) == ["positions"]


def test_given_pictures_are_attended_to_head_by_head_and_through_all_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = imported(tmp_path)
    pictures = [tmp_path / name for name in ("dark.png", "noise.png")]
    for picture, level in zip(pictures, (0.1, 1.0), strict=True):
        Image.fromarray((level * makers.noise((40, 40, 3))).astype(np.uint8)).save(picture)
    heads: list[Mapping[str, Sequence[np.ndarray]]] = []
    rows: list[Sequence[np.ndarray]] = []
    monkeypatch.setattr(attention_figures, "heads", lambda picture, name, maps: heads.append(maps) or Figure())
    monkeypatch.setattr(attention_figures, "together", lambda found: rows.append(found[0][2]) or Figure())
    files = explain(run, pictures)
    kinds = ["", "-maps", "-attention-heads", "-attention-rollout"]
    assert [file.stem for file in files] == [f"given-{name}{kind}" for name in ("dark", "noise") for kind in kinds]
    subject = load(run)
    net, encoded = subject.model.net, data.encode(pictures, subject.description)
    assert isinstance(net, ViT)
    for number in range(2):
        image_1CHW = encoded.read(number, number + 1)["image_BCHW"]
        with torch.no_grad():
            found = [layer[0] for layer in net.attention(image_1CHW)]
        assert list(heads[number])[::5] == ["layer 1", "layer 12"]
        for head in range(3):
            given_P = found[-1][head, 0, 1:]
            np.testing.assert_allclose(heads[number]["layer 12"][head].ravel(), given_P / given_P.sum(), rtol=1e-5)
        flow_P = attention.rollout([layer_NTT.mean(0) for layer_NTT in found])[0, 1:]
        np.testing.assert_allclose(rows[number][2].ravel(), flow_P / flow_P.sum(), rtol=1e-5)
    assert not np.allclose(rows[0][2], rows[1][2], rtol=1e-3)
    told = {one.file: one.caption for one in RunFolder(run).read_explained()}
    assert told["given-dark-attention-heads.svg"].startswith("dark.png: what the class token attends to")
