"""What the experiments on attention measure, against what can be said by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor

from hyperplane import data, nets, tasks
from hyperplane.api import Run
from hyperplane.data.prompts import ELSEWHERE
from hyperplane.lecture.experiments import language, steering
from hyperplane.lecture.experiments.transformers import again, hidden, hidden_in_head, rank_correlation
from hyperplane.nets.blocks.attention import SelfAttention
from hyperplane.recipe import DataRecipe
from hyperplane.tasks.answer import Answer
from hyperplane.tasks.blocks.writing import Answered


def test_a_hidden_token_moves_the_mean_as_computed_without_it() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(6, 1, causal=False)
    with torch.no_grad():
        attention.proj.weight.copy_(torch.eye(6))
        x_BTD = torch.randn(2, 5, 6)
        torch.testing.assert_close(hidden_in_head(attention, x_BTD)[:, 0], hidden(attention, x_BTD))


def test_rank_correlation_is_of_the_order_alone() -> None:
    a = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    b = torch.tensor([[0.1, 5.0, 6.0, 99.0], [4.0, 3.0, 2.0, 1.0], [2.0, 1.0, 4.0, 3.0]])
    torch.testing.assert_close(rank_correlation(a, b), torch.tensor([1.0, -1.0, 0.6]).double())


def test_symbols_that_come_again() -> None:
    assert again(torch.tensor([[3, 1, 3, 2], [0, 1, 2, 3]])).tolist() == [[True, False, True, False], [False] * 4]


def test_what_is_asked_for_is_the_symbol_behind_the_mark() -> None:
    row_BT, answer_B, distance_B = language.rows(500, torch.Generator().manual_seed(0))
    for row_T, answer, distance in zip(row_BT.tolist(), answer_B.tolist(), distance_B.tolist(), strict=True):
        assert row_T[-1] == language.LETTERS + 1 and row_T.count(language.LETTERS) == 1
        assert row_T[row_T.index(language.LETTERS) + 1] == answer < language.LETTERS
        assert language.SPAN - 1 - distance == row_T.index(language.LETTERS) + 1
    assert set(distance_B.tolist()) == set(range(2, language.SPAN - 1))


def test_choices_are_between_answers_that_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = data.open(DataRecipe(source="addition", options={"samples": 8, "held_out": 8, "digits": 1}))
    task = tasks.build("answer", source.description)
    assert isinstance(task, Answer)
    net = nets.build("gpt", source.description.shapes["token_BT"], 21, {"layers": 1, "width": 8, "heads": 2})
    run = SimpleNamespace(net=net, trained=SimpleNamespace(model=SimpleNamespace(task=task)))
    batch = source.batch("train", range(8))
    right_BT = batch["answer_BT"]
    nine = task.vocabulary.piece_K.index(b"9")
    endless_BT = torch.full_like(right_BT, ELSEWHERE)
    for row_T, prompt in zip(endless_BT, batch["prompt_B"].tolist(), strict=True):
        row_T[prompt - 1 :] = nine
    wrong_BT = right_BT.clone()
    wrong_BT[torch.arange(8), batch["prompt_B"] - 1] = task.vocabulary.piece_K.index(b"0")

    def choices(*answers_BT: Tensor) -> int:
        said = Answered(batch["token_BT"], torch.stack(answers_BT, dim=1))
        monkeypatch.setattr(steering, "answer", lambda *given: said)
        return steering.chosen_of(cast(Run, run), source, 0, tmp_path / "choices.jsonl")

    assert choices(right_BT, endless_BT) == 0 and choices(right_BT, endless_BT, wrong_BT) == 8
    written = data.open(DataRecipe(source=str(tmp_path / "choices.jsonl"), validation=0.0, test=0.0))
    assert written.read_as(source.description).description.splits["train"] == 8
