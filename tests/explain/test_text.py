"""What a language model makes of a text: numbers against what they mean, and all figures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import hyperplane
from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.explain import text, text_figures

VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 12


def net(name: str = "gpt", **options: Any) -> Any:
    with seeded(0, "weights"):
        made = nets.build(name, (8,), 11, {"layers": 2, "width": 16, "heads": 2, "zero_init": False, **options})
    return made.eval()


@pytest.mark.parametrize("name", ["gpt", "gpt-modern"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_maps_are_what_the_layers_compute_with(name: str, norm: str) -> None:
    made, token_BT = net(name, norm=norm), torch.randint(0, 11, (2, 6))
    maps = list(made.attention(token_BT))
    assert len(maps) == 2
    for map_BNTT in maps:
        torch.testing.assert_close(map_BNTT.sum(3), torch.ones(2, 2, 6))
        assert not map_BNTT.triu(1).any()
    taps: dict[str, torch.Tensor] = {}
    made(token_BT, taps)
    layer, (x_BTD, turn) = made.h[1], (taps["layer1"], made._embedded(token_BT, None, None)[1])
    read_BTD = layer.norm1(x_BTD) if norm == "pre" else x_BTD
    torch.testing.assert_close(
        layer.attn.join(maps[1] @ layer.attn.split(read_BTD, turn)[2]), layer.attn(read_BTD, rotation=turn)
    )


@torch.no_grad()
def test_losses_are_those_after_half_of_the_context_or_more() -> None:
    made, token_T = net(), torch.randint(0, 11, (23,))
    found_T = text.losses(made, token_T)
    assert found_T.shape == (22,)
    starts = [0] * 8 + [5] * 5 + [10] * 5 + [15] * 4
    for place in range(1, 23):
        start = starts[place - 1]
        expected = F.cross_entropy(made(token_T[None, start:place])[0, -1], token_T[place])
        assert found_T[place - 1] == pytest.approx(expected.item(), rel=1e-5), place


def test_a_head_that_looks_at_the_token_before_looks_one_back() -> None:
    before_TT = torch.eye(5).roll(1, 0)
    before_TT[0] = torch.tensor([1.0, 0, 0, 0, 0])
    itself_TT, alike_TT = torch.eye(5), torch.ones(5, 5).tril() / torch.arange(1, 6)[:, None]
    found_BN = text.distances(torch.stack([before_TT, itself_TT, alike_TT])[None])
    assert found_BN[0].tolist() == pytest.approx([4 / 5, 0, (5 - 1) / 4])


@torch.no_grad()
def test_loss_by_context_is_of_the_same_tokens() -> None:
    made, token_T = net("gpt-modern"), torch.randint(0, 11, (30,))
    found_C = text.by_context(made, token_T, [1, 8], 22)
    for length, found in zip((1, 8), found_C, strict=True):
        losses = [F.cross_entropy(made(token_T[None, k - length : k])[0, -1], token_T[k]).item() for k in range(8, 30)]
        assert found == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_line_of_text_ends_where_it_is_full_or_where_the_text_says() -> None:
    lines = text_figures._lines([*"abc⏎", "d" * 58, "ee", "f"])
    assert [[number for _, number in line] for line in lines] == [[0, 1, 2, 3], [4, 5], [6]]
    assert lines[1][1][0] == 58


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> hyperplane.Run:
    folder = tmp_path_factory.mktemp("text")
    (folder / "book.txt").write_text(VERSE)
    changes = {"data.options": {"context": 16}, "net.options": {"layers": 1, "width": 16, "heads": 2}}
    changes |= {"training.steps": 5, "training.batch": 8}
    return hyperplane.train(folder / "book.txt", recipe=hyperplane.Recipe(), runs=folder / "runs", changes=changes)


ALL = ("text-loss", "text-alternatives", "attention-heads", "attention-rollout", "attention-distance", "context")


def test_a_run_is_drawn_into_its_folder_and_its_report(run) -> None:
    files = run.explain()
    assert [file.name for file in files] == [f"{name}.svg" for name in (*ALL, "positions")]
    assert all(file.stat().st_size > 2000 for file in files)
    captions = [one.caption for one in run.trained.folder.read_explained()]
    assert all(caption.endswith(".") and "\n" not in caption for caption in captions) and len(captions) == len(files)


def test_a_given_text_is_added_and_what_is_none_is_refused(run, tmp_path: Path) -> None:
    run.explain()
    (tmp_path / "mine.txt").write_text("Thou art more")
    files = run.explain(tmp_path / "mine.txt")
    assert [file.name for file in files] == [f"given-{name}.svg" for name in ALL[:4]]
    assert len(run.trained.folder.read_explained()) == 7 + 4
    for content, told in (
        (b"T", "has one token"),
        (b"", "is empty"),
        (b"Thou \xff\xfe", "is not UTF-8"),
        (b"Zq", "'Z'"),
    ):
        (tmp_path / "bad.txt").write_bytes(content)
        with pytest.raises(UserError, match=told):
            run.explain(tmp_path / "bad.txt")
    with pytest.raises(UserError, match="expected one text"):
        run.explain(tmp_path / "mine.txt", tmp_path / "bad.txt")


def test_without_its_data_a_run_is_drawn_by_what_it_writes(run, tmp_path: Path) -> None:
    source = Path(run.recipe.data.source)
    source.rename(source.with_suffix(".away"))
    try:
        run.explain()
        assert "a text that it wrote itself" in run.trained.folder.read_explained()[0].caption
    finally:
        source.with_suffix(".away").rename(source)


@pytest.mark.parametrize("context", [1, 2])
def test_the_shortest_contexts_are_drawn_as_well(context: int, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(VERSE)
    changes = {"data.options": {"context": context}, "net.options": {"layers": 1, "width": 16, "heads": 2}}
    changes |= {"training.steps": 2, "training.batch": 8}
    made = hyperplane.train(tmp_path / "book.txt", recipe=hyperplane.Recipe(), runs=tmp_path, changes=changes)
    names = {file.stem for file in made.explain()}
    assert names == set(ALL[:4]) | (set() if context == 1 else {*ALL[4:], "positions"})
    assert made.generate("Thou", tokens=5) and made.evaluate()["loss"].value > 0
