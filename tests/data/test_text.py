"""Texts: what a window holds, that evaluation judges each token once, vocabularies, and bad input."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from hyperplane import data
from hyperplane.data.blocks import vocabulary
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 20


def opened(path: Path, **changes) -> Any:
    options = {"context": 8, **changes.pop("options", {})}
    return data.open(DataRecipe(source=str(path), options=options, **changes))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (path := tmp_path / "book.txt").write_text(VERSE)
    return path


def test_a_text_is_found_and_its_last_tenth_validates(book):
    assert data.look(DataRecipe(source=str(book))) == ("text", "text")
    source = opened(book)
    known = source.vocabulary
    assert source.description.encoding == {"vocabulary": "character", "characters": "".join(sorted(set(VERSE)))}
    assert known.decode(source.tokens["train"].tolist()) + known.decode(source.tokens["validation"].tolist()) == VERSE
    assert len(source.tokens["train"]) == int(0.9 * len(VERSE))
    assert vocabulary.read(source.description.encoding).decode(known.encode("day").tolist()) == "day"


@pytest.mark.parametrize("split", ["train", "validation"])
def test_evaluation_judges_every_token_once_and_in_order(book, split):
    source = opened(book)
    batch = source.batch(split, range(source.description.splits[split]))
    judged_BT = batch["target_BT"] >= 0
    assert torch.equal(batch["target_BT"][judged_BT], source.tokens[split][1:].long())
    for token_T, target_T, judged_T in zip(batch["token_BT"], batch["target_BT"], judged_BT, strict=True):
        assert torch.equal(token_T[1:][judged_T[:-1]], target_T[:-1][judged_T[:-1]])
    assert source.show(split, 0)["text"] == source.vocabulary.decode(batch["token_BT"][0].tolist())


def test_training_windows_begin_anywhere_the_same_for_the_same_generator(book):
    source = opened(book)
    one, other, third = (
        source.batch("train", range(50), torch.Generator().manual_seed(seed))["token_BT"] for seed in (0, 0, 1)
    )
    assert torch.equal(one, other) and not torch.equal(one, third)
    batch = source.batch("train", range(source.description.splits["train"]), torch.Generator().manual_seed(0))
    assert torch.equal(batch["token_BT"][:, 1:], batch["target_BT"][:, :-1]) and (batch["target_BT"] >= 0).all()


def test_many_different_characters_become_bytes_and_any_text_has_those(tmp_path):
    (path := tmp_path / "many.md").write_text("".join(map(chr, range(200, 600))) * 2)
    source = opened(path)
    assert len(source.vocabulary) == 256
    assert source.vocabulary.decode(source.vocabulary.encode("né, 日本").tolist()) == "né, 日本"
    assert source.vocabulary.characters_K[0xC3] == 1 and source.vocabulary.characters_K[0xA9] == 0
    say = source.vocabulary.decoder()
    assert [say(byte) for byte in "é!".encode()] == ["", "é", "!"]


def test_pieces_are_learned_from_what_trains_and_kept_as_json(book):
    pytest.importorskip("tokenizers")
    source = opened(book, options={"vocabulary": "bpe", "pieces": 300})
    again = vocabulary.read(source.description.encoding)
    assert 257 <= len(again) <= 300 and sum(source.vocabulary.characters_K) > 256 - 64
    for text in (VERSE[:100], "né, 日本\n"):
        assert again.decode(again.encode(text).tolist()) == text
    assert len(again.encode(VERSE[:100])) < 60


def test_without_the_library_pieces_say_what_to_install(book, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install 'hyperplane\[text\]'"):
        opened(book, options={"vocabulary": "bpe"})


def test_a_folder_of_texts_is_one_text(tmp_path):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(f"{name} " + VERSE)
    source = opened(tmp_path)
    assert source.vocabulary.decode(source.tokens["train"][:6].tolist()) == "a.txt "
    assert len(source.tokens["train"]) + len(source.tokens["validation"]) == 2 * (len(VERSE) + 6) + 1
    assert sorted(source.description.hashes) == ["a.txt", "b.txt"]


def test_new_text_is_read_by_its_end(book, tmp_path):
    description = opened(book).description
    (short := tmp_path / "short.txt").write_text("Thou")
    (long := tmp_path / "long.txt").write_text("Thou art more lovely")
    encoded = data.encode([short, long], description)
    batch, known = encoded.batch(), vocabulary.read(description.encoding)
    assert batch["length_B"].tolist() == [4, 8] and batch["token_BT"].shape == (2, 8)
    assert known.decode(batch["token_BT"][1].tolist()) == "e lovely" and encoded.show(0) == {"text": "Thou"}
    assert "last 8" in encoded.notes[0]


def test_other_text_is_read_in_the_nets_vocabulary(book, tmp_path):
    like = opened(book).description
    (other := tmp_path / "other.txt").write_text("more temperate and more lovely art thee?" * 3)
    source = opened(other, validation=0.0, options={"context": 20}).encoded_as(like)
    assert source.description.shapes == like.shapes and source.description.encoding == like.encoding
    assert source.vocabulary.decode(source.tokens["train"][:4].tolist()) == "more"
    (other.parent / "new.txt").write_text("Zq " * 30)
    with pytest.raises(UserError, match=r"holds 'Z', 'q', first at character 1.*--data.vocabulary byte"):
        opened(other.parent / "new.txt", validation=0.0).encoded_as(like)


def test_a_character_that_the_net_has_not_seen_is_named(book):
    description = opened(book).description
    with pytest.raises(UserError, match=r"standard input: holds 'Z', first at character 6, which the net was not"):
        data.encode(b"Thou Z", description)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"abc\0def" * 50, "NUL bytes, so it is no text but a binary file"),
        (b"line\n\xff\xfe" * 50, r"not UTF-8 text \(byte 0xff in line 2\)"),
        (b"short text", "1 token in its validation part, too few for a context of 8"),
        (b"a text of two dozen letter" * 2, r"6 tokens in its validation part.*train with --data.context 5"),
    ],
)
def test_bad_files_are_named(tmp_path, content, told):
    (path := tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"bad\.txt.*{told}"):
        opened(path)
    recipe = DataRecipe(source=str(path), options={"context": 8})
    (problem,) = data.check(recipe)
    assert "bad.txt" in problem.where
    if b"\0" in content or b"\xff" in content:
        with pytest.raises(UserError, match=told):
            data.encode([path], dataclasses.replace(_description(tmp_path)))


def _description(folder: Path):
    (path := folder / "good.txt").write_text(VERSE)
    return opened(path).description


def test_a_bad_file_in_a_folder_is_named_or_left_out(tmp_path):
    (tmp_path / "a.txt").write_text(VERSE)
    (tmp_path / "b.txt").write_bytes(b"\0\1\2")
    with pytest.raises(UserError, match=r"b\.txt: holds NUL"):
        opened(tmp_path, format="text")
    source = opened(tmp_path, format="text", skip_bad=True)
    assert any("1 bad" in note and "b.txt" in note for note in source.description.notes)


@pytest.mark.parametrize(
    ("options", "told"), [({"context": 0}, "context: found 0"), ({"pieces": 9}, "pieces: found 9"), ({"x": 1}, "'x'")]
)
def test_options_out_of_range_are_told(book, options, told):
    with pytest.raises(UserError, match=told):
        opened(book, options=options)


def test_tables_stay_tables(tmp_path):
    (path := tmp_path / "t.txt").write_text("a,b,target\n" + "1,2,3\n" * 30)
    assert data.look(DataRecipe(source=str(path)))[0] == "table"
    (path := tmp_path / "p.txt").write_text("Well, then,\nwho, pray,\nis this?\nNobody.\n" * 9)
    assert data.look(DataRecipe(source=str(path)))[0] == "text"


def test_tiny_shakespeare_is_the_one_that_is_known(shared_data):
    source: Any = data.open(DataRecipe(source="tiny-shakespeare"))
    assert source.description.hashes["input.txt"] == data.files.sha256(shared_data / "tiny-shakespeare" / "input.txt")
    lengths = {part: len(token_N) for part, token_N in source.tokens.items()}
    assert lengths == {"train": 1_003_854, "validation": 111_540} and len(source.vocabulary) == 65


@pytest.mark.parametrize("kind", ["byte", "bpe"])
def test_what_is_no_character_of_unicode_is_named(kind: Any) -> None:
    if kind == "bpe":
        pytest.importorskip("tokenizers")
    known = vocabulary.choose(kind, "to be or not", "to be or not", 260)
    with pytest.raises(
        UserError, match=r"prompt: holds '\\ud800' at character 4, which is none of Unicode; leave it out"
    ):
        known.encode_of("prompt", "to \ud800")
