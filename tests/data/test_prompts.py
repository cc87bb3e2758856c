"""Prompts with answers: exercises made up and checked, held out for good; JSON lines, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, permutations
from pathlib import Path

import pytest
import torch

from hyperplane import data
from hyperplane.data.blocks import exercises
from hyperplane.data.prompts import PromptSource
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

LINES = [{"prompt": f"{k % 9} and {k}: ", "answer": "x" * (k % 4)} for k in range(60)]


def opened(recipe: DataRecipe) -> PromptSource:
    source = data.open(recipe)
    assert isinstance(source, PromptSource)
    return source


def written(path: Path, rows: Sequence[object]) -> DataRecipe:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return DataRecipe(source=str(path))


def asked(source, split) -> set[str]:
    return {row.prompt for row in source.rows[split]}


@pytest.mark.parametrize("kind", exercises.KINDS)
def test_what_is_made_up_is_answered_rightly_and_with_known_characters(kind):
    for one in islice(exercises.drawn(kind, None, 0), 500):
        assert exercises.right(kind, one.prompt, one.answer, one.answer)
        assert set(one.prompt + one.answer) <= set(exercises.ALPHABET) and 0 <= one.place < 1


@pytest.mark.parametrize(
    ("kind", "prompt", "answer", "right"),
    [
        ("addition", "12+30=", "42", True),
        ("addition", "12+30=", "042", False),
        ("sorting", "312>", "123", True),
        ("sorting", "312>", "213", False),
        ("countdown", "3 7 5=50:", "(3+7)*5", True),
        ("countdown", "3 7 5=50:", "5*(7+3)", True),
        ("countdown", "4 2 8=01:", "8/(4*2)", True),
        ("countdown", "3 7 5=02:", "(3+7)/5", True),
        ("countdown", "1 2 6=03:", "1/2*6", True),
        ("countdown", "3 7 5=50:", "(3+7)*5*1", False),
        ("countdown", "3 7 5=50:", "(3+7)*", False),
        ("countdown", "3 7 5=50:", "50", False),
        ("countdown", "3 7 5=50:", "3/(7-7)*5", False),
        ("countdown", "3 7 5=50:", "__import__('os')", False),
        ("countdown", "3 7 5=10:", "-5+(3*5)", False),
        ("countdown", "9 9 9=01:", "9**9**9", False),
        ("countdown", "3 7 5=50:", "((((" * 40, False),
    ],
)
def test_an_answer_is_checked(kind, prompt, answer, right):
    expected = {"addition": "42", "sorting": "123"}.get(kind, "")
    assert exercises.right(kind, prompt, answer, expected) is right


@pytest.mark.parametrize("kind", exercises.KINDS)
def test_what_one_run_holds_out_no_other_trains_on(kind):
    one = opened(DataRecipe(source=kind, options={"samples": 400, "held_out": 60}))
    other = opened(DataRecipe(source=kind, seed=7, options={"samples": 900, "held_out": 30}))
    assert one.description.splits == {"train": 400, "validation": 60, "test": 60}
    assert asked(one, "train") != asked(other, "train")
    for held in ("validation", "test"):
        assert not asked(one, held) & asked(other, "train")
    assert not asked(one, "test") & asked(one, "validation")


def test_the_same_thing_asked_in_another_order_is_held_out_with_it():
    source = opened(DataRecipe(source="addition", options={"samples": 3000, "held_out": 300, "digits": 2}))
    trained = asked(source, "train")
    for row in source.rows["test"]:
        a, b = row.prompt.removesuffix("=").split("+")
        assert f"{b}+{a}=" not in trained
    source = opened(DataRecipe(source="sorting", options={"samples": 3000, "held_out": 30, "digits": 4}))
    trained = asked(source, "train")
    for row in source.rows["test"]:
        assert not trained & {"".join(p) + ">" for p in permutations(row.answer)}


def test_fields_are_prompt_and_answer_and_the_answers_next_tokens(tmp_path):
    source = opened(written(tmp_path / "a.jsonl", list(LINES)))
    known = source.description.encoding["characters"]
    for split, rows in source.rows.items():
        batch = source.batch(split, range(len(rows)))
        for row, token_T, answer_T, prompt in zip(
            rows, batch["token_BT"], batch["answer_BT"], batch["prompt_B"].tolist(), strict=True
        ):
            whole = row.prompt + row.answer + "\n"
            assert "".join(known[t] for t in token_T[: len(whole) - 1]) == whole[:-1]
            judged_T = answer_T >= 0
            assert "".join(known[t] for t in answer_T[judged_T]) == row.answer + "\n"
            assert judged_T.nonzero()[0, 0] == prompt - 1 == len(row.prompt) - 1


def test_lines_with_one_prompt_are_in_one_split(tmp_path):
    rows = [{"prompt": f"p{k % 20}", "chosen": f"a{k}", "rejected": "b"} for k in range(100)]
    source = opened(written(tmp_path / "a.jsonl", rows))
    held = [asked(source, split) for split in ("train", "validation", "test")]
    assert sum(map(len, held)) == 20 and sum(source.description.splits.values()) == 100 and all(held)
    assert set(source.description.shapes) >= {"rejected_token_BT", "rejected_answer_BT"}
    assert source.show("train", 0).keys() == {"prompt", "chosen", "rejected"}
    assert source.sample_name("train", 0).startswith("line ")


def test_it_is_read_as_the_net_to_begin_with_reads(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text("It was 3 + 9 = 12, and so on: 0 4 5 6 7 8 > / * ( ) -\n" * 30)
    like = data.open(DataRecipe(source=str(book), format="text", options={"context": 20})).description
    source = opened(DataRecipe(source="addition", options={"samples": 50, "held_out": 20}))
    read = source.read_as(like)
    assert read.description.shapes["token_BT"] == (20,) and read.description.encoding["exercise"] == "addition"
    assert read.description.encoding["characters"] == like.encoding["characters"]
    with pytest.raises(UserError, match=r"12 tokens \('.*'\), too many for a context of 8"):
        source.read_as(data.open(DataRecipe(source=str(book), format="text", options={"context": 8})).description)
    with pytest.raises(UserError, match=r"addition: holds prompts with answers, but .* running text; name a text file"):
        source.encoded_as(like)
    with pytest.raises(
        UserError, match=r"book.txt: holds text, but .* prompts with answers; name a file of JSON lines"
    ):
        data.open(DataRecipe(source=str(book), format="text")).encoded_as(source.description)
    choices = opened(
        written(tmp_path / "a.jsonl", [{"prompt": f"{k}", "chosen": "1", "rejected": "2"} for k in range(30)])
    )
    with pytest.raises(UserError, match=r"addition: has one answer to each prompt.*choices between two; name a file"):
        source.encoded_as(choices.description)
    assert choices.encoded_as(choices.description).description.splits == choices.description.splits
    book.write_text("no digits here\n" * 30)
    with pytest.raises(UserError, match=r"addition, .*: holds"):
        source.read_as(data.open(DataRecipe(source=str(book), format="text", options={"context": 20})).description)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (['{"prompt": "a", "answer": 3}'], "line 1: has '3' under answer, expected a text"),
        (['{"prompt": "a"}'], "line 1: has no answer, expected"),
        (['{"prompt": "a", "chosen": "b"}'], "has no rejected"),
        (['{"prompt": "", "answer": "b"}'], "has an empty prompt"),
        (['{"prompt": "a", "answer": "b\\nc"}'], "has a line end under answer"),
        (['{"prompt": "a", "chosen": "b", "rejected": "b"}'], "has 'b' as chosen and as rejected"),
        (['{"prompt": "a", "answer": "b"}', "", "oh"], "line 3: is not JSON"),
        (['{"prompt": "a", "answer": "b"}', "[1]"], r"line 2: holds '\[1\]'"),
        (
            ['{"prompt": "a", "answer": "b"}', '{"prompt": "a", "chosen": "b", "rejected": "c"}'],
            "line 2: has no answer",
        ),
        ([" "], "is empty, expected a prompt"),
    ],
)
def test_a_bad_line_is_named(rows, says, tmp_path):
    recipe = written(tmp_path / "a.jsonl", rows)
    recipe = DataRecipe(source=recipe.source, format="prompts")
    with pytest.raises(UserError, match=says):
        opened(recipe)
    assert len(data.check(recipe)) == 1


def test_bad_lines_are_left_out_where_asked(tmp_path):
    recipe = written(tmp_path / "a.jsonl", [*LINES, "oh"])
    source = opened(DataRecipe(source=recipe.source, skip_bad=True))
    assert sum(source.description.splits.values()) == 60 and "1 bad line was left out" in source.description.notes[-1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"samples": 0}, "data.options.samples: found 0"),
        ({"digits": 19}, "data.options.digits: found 19"),
        ({"digits": 1}, "too few different exercises for 2,000 in its train split: .*--data.digits 2"),
    ],
)
def test_exercises_out_of_range(options, says):
    with pytest.raises(UserError, match=says):
        opened(DataRecipe(source="addition", options=options))


def test_room_may_be_left_for_longer_answers(tmp_path):
    (path := tmp_path / "rows.jsonl").write_text('{"prompt": "12=", "answer": "3"}\n' * 9)
    recipe = DataRecipe(source=str(path), validation=0.0, test=0.0)
    assert opened(recipe).description.shapes["token_BT"] == (4,)
    roomy = opened(replace(recipe, options={"context": 7}))
    assert roomy.description.shapes["token_BT"] == roomy.description.shapes["answer_BT"] == (7,)
    assert opened(recipe).read_as(roomy.description).description.shapes["token_BT"] == (7,)
    told = r"4 tokens \(line 1\), too many for a context of 3; .*--data.context 4"
    with pytest.raises(UserError, match=told):
        opened(replace(recipe, options={"context": 3}))
    with pytest.raises(UserError, match=r"data.options.context: found 0, expected 1 to 65,536; type: --data.context"):
        opened(replace(recipe, options={"context": 0}))


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ('{"prompt": "a"', "line 1: is not JSON"),
        ('{"instruction": "a", "output": "b"}', r"has no answer and no prompt \(it has 'instruction', 'output'\)"),
        ("12=3", "line 1: holds '12=3'|line 1: is not JSON"),
    ],
)
def test_json_lines_are_known_by_the_files_name_and_no_text_or_table(first, says, tmp_path):
    (path := tmp_path / "rows.jsonl").write_text(f"{first}\n" * 300)
    with pytest.raises(UserError, match=says):
        opened(DataRecipe(source=str(path)))


@pytest.mark.parametrize("line", ['{"prompt": 5}', '{"prompt": "1+2="', "[1]", "1+2="])
def test_a_line_without_a_prompt_is_named_in_json_lines(line, tmp_path):
    description = opened(DataRecipe(source="addition", options={"samples": 50, "held_out": 20})).description
    (path := tmp_path / "asked.jsonl").write_text('{"prompt": "1+2="}\n' + line + "\n")
    with pytest.raises(UserError, match=r"asked.jsonl, line 2: holds '.*', expected .\"prompt\": .*; correct it"):
        data.encode([path], description)


def test_prompts_are_encoded_by_the_line(tmp_path):
    description = opened(DataRecipe(source="addition", options={"samples": 50, "held_out": 20})).description
    encoded = data.encode(b'123+456=\n\n{"prompt": "999+1="}\n', description)
    batch = encoded.batch()
    assert encoded.names == ("standard input, line 1", "standard input, line 3")
    assert batch["prompt_B"].tolist() == [8, 6] and batch["token_BT"].shape == (2, 12)
    assert torch.equal(batch["token_BT"][1, 6:], torch.zeros(6, dtype=torch.int64))
    with pytest.raises(UserError, match="line 1: holds 'x'"):
        data.encode(b"1+x=", description)
    with pytest.raises(UserError, match="has 14 tokens, expected at most 12"):
        data.encode(b"12345678901234", description)
