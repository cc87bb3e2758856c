"""Vocabularies: a text as whole numbers and back, by characters, by bytes, or by pieces that are learned (BPE).

A token stands for some bytes of UTF-8, so every vocabulary decodes alike. Byte-pair encoding (Sennrich et al. 2016,
arXiv:1508.07909, on bytes as in GPT-2) is computed by the library `tokenizers`. Shape suffixes: N tokens of a text, K
of the vocabulary.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hyperplane.data.blocks.problems import some
from hyperplane.errors import UserError

Kind = Literal["character", "byte", "bpe"]
CHARACTERS = 256
"""Different characters up to which they are the vocabulary where nothing is asked for; beyond it, bytes."""
CHUNK = 1 << 20
"""Characters that byte-pair encoding learns from at once."""


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that a net knows."""

    kind: Kind
    piece_K: tuple[bytes, ...]
    """What each token stands for."""
    encode: Callable[[str], np.ndarray]
    """Returns the tokens of a text, int64 (N,); raises UserError for a character that has none."""
    encoding: dict[str, Any]
    """The vocabulary as JSON-able data, which `read` reads."""

    def __len__(self) -> int:
        return len(self.piece_K)

    @property
    def told(self) -> str:
        """Return what it is, in a clause for people."""
        return f"{self.kind} vocabulary of {len(self):,} token{'s' * (len(self) != 1)}"

    def encode_of(self, where: str, text: str) -> np.ndarray:
        """Return the tokens of a text, int64 (N,); raises UserError with `where` for a character that has none."""
        try:
            return self.encode(text)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def decode(self, token_N: Iterable[int]) -> str:
        """Return the text; bytes that are no UTF-8 become the replacement character."""
        return b"".join(self.piece_K[token] for token in token_N).decode("utf-8", "replace")

    def decoder(self) -> Callable[[int], str]:
        """Return what gives the text token by token, each character as soon as it is whole."""
        held = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda token: held.decode(self.piece_K[token])

    @property
    def characters_K(self) -> list[int]:
        """Return how many characters begin in each token."""
        return [sum(byte & 0xC0 != 0x80 for byte in piece) for piece in self.piece_K]

    def shown(self, token: int) -> str:
        """Return a token as people can read it, its spaces and line ends made visible."""
        text = self.piece_K[token].decode("utf-8", "backslashreplace")
        return text.replace("\n", "⏎").replace(" ", "␣").replace("\t", "⇥")


def read(encoding: Mapping[str, Any]) -> Vocabulary:
    """Return the vocabulary that a description's encoding holds; raises UserError where it holds none."""
    try:
        match encoding["vocabulary"]:
            case "character":
                return _of_characters(encoding["characters"])
            case "byte":
                return _of_bytes()
            case "bpe":
                return _of_pieces(encoding["tokenizer"])
        raise KeyError(encoding["vocabulary"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"data.json: holds no vocabulary ({error!r}); copy the run again from where it came") from error


def choose(kind: Kind | None, text: str, trains: str, size: int) -> Vocabulary:
    """Return the vocabulary of a kind (None: characters, or bytes where there are many) for a text.

    Characters are those of the whole text; `size` pieces are learned from the part of it that trains. Raises UserError
    for BPE where the library is missing.
    """
    different = "".join(sorted(set(text))) if kind in (None, "character") else ""
    if kind is None:
        kind = "character" if len(different) <= CHARACTERS else "byte"
    if kind == "character":
        return _of_characters(different)
    return _of_bytes() if kind == "byte" else _of_pieces(_learned(trains, size))


def published(folder: Path) -> tuple[Vocabulary, tuple[Path, ...]]:
    """Return the byte-level vocabulary that lies in a folder, and its files: tokenizer.json, or vocab.json, merges.txt.

    Raises UserError where there is none, or it is of another kind or damaged.
    """
    whole, parts = folder / "tokenizer.json", (folder / "vocab.json", folder / "merges.txt")
    files = (whole,) if whole.is_file() else parts
    if absent := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"{folder}: has no {' and no '.join(absent)}, expected the vocabulary beside the weights; put there "
            "tokenizer.json, or vocab.json and merges.txt"
        )
    try:
        if whole.is_file():
            tokenizer = json.loads(whole.read_text("utf-8"))
        else:
            known = json.loads(parts[0].read_text("utf-8"))
            lines = [
                line for line in parts[1].read_text("utf-8").splitlines() if line and not line.startswith("#version")
            ]
            tokenizer = {**_empty(), "added_tokens": []}
            tokenizer["model"] |= {"vocab": known, "merges": [line.split(" ") for line in lines]}
        numbers = sorted({*tokenizer["model"]["vocab"].values(), *(t["id"] for t in tokenizer["added_tokens"])})
        if tokenizer["model"]["type"] != "BPE" or "ByteLevel" not in json.dumps(tokenizer["pre_tokenizer"]):
            raise ValueError("no byte-level BPE")
        if numbers != list(range(len(numbers))):
            raise ValueError("its tokens are not numbered from 0 on")
        made = _of_pieces(tokenizer)
        made.encode("a")
    except UserError:
        raise
    except Exception as error:  # the library raises nothing narrower for what it cannot read
        told = " ".join(str(error).split())[:80]
        named = " and ".join(file.name for file in files)
        raise UserError(
            f"{folder / named}: no vocabulary that is read here ({told}); copy again what belongs to the weights"
        ) from error
    return made, files


def _empty() -> dict[str, Any]:
    """Return the JSON of a byte-level tokenizer that knows nothing."""
    library = _library()
    made = library.Tokenizer(library.models.BPE())
    made.pre_tokenizer, made.decoder = (
        library.pre_tokenizers.ByteLevel(add_prefix_space=False),
        library.decoders.ByteLevel(),
    )
    return json.loads(made.to_str())


def _of_characters(characters: str) -> Vocabulary:
    point_K = _points(characters)

    def encode(text: str) -> np.ndarray:
        point_N = _points(text)
        token_N = np.minimum(np.searchsorted(point_K, point_N), len(point_K) - 1)
        unknown_N = point_K[token_N] != point_N
        if unknown_N.any():
            where = int(unknown_N.argmax())
            found = some(dict.fromkeys(text[i] for i in np.flatnonzero(unknown_N)[:1000].tolist()))
            raise UserError(
                f"holds {found}, first at character {where + 1:,}, which the net was not trained on; it knows "
                f"{len(point_K)} characters: leave others out, or train with --data.vocabulary byte"
            )
        return token_N.astype(np.int64)

    pieces = tuple(c.encode("utf-8", "surrogatepass") for c in characters)
    return Vocabulary("character", pieces, encode, {"vocabulary": "character", "characters": characters})


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _encoded(text: str, errors: Literal["strict", "surrogateescape"]) -> bytes:
    """Return a text in UTF-8; raises UserError for a part of it that has no such form."""
    try:
        return text.encode("utf-8", errors)
    except UnicodeEncodeError as error:
        raise UserError(
            f"holds {text[error.start]!a} at character {error.start + 1:,}, which is none of Unicode; leave it out"
        ) from error


def _of_bytes() -> Vocabulary:
    def encode(text: str) -> np.ndarray:
        return np.frombuffer(_encoded(text, "surrogateescape"), np.uint8).astype(np.int64)

    return Vocabulary("byte", tuple(bytes([byte]) for byte in range(256)), encode, {"vocabulary": "byte"})


def _of_pieces(tokenizer: dict[str, Any]) -> Vocabulary:
    """Return the vocabulary of a byte-level tokenizer, given as the JSON of the library's file."""
    known: dict[str, int] = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    letters = _letters()
    pieces = tuple(
        bytes(letters[c] for c in piece) if all(c in letters for c in piece) else piece.encode()
        for piece, _ in sorted(known.items(), key=lambda item: item[1])
    )

    @cache
    def made() -> Any:
        return _library().Tokenizer.from_str(json.dumps(tokenizer))

    def encode(text: str) -> np.ndarray:
        _encoded(text, "strict")  # the library would say that it is no text
        return np.array(made().encode(text, add_special_tokens=False).ids, np.int64)

    return Vocabulary("bpe", pieces, encode, {"vocabulary": "bpe", "tokenizer": tokenizer})


def _learned(text: str, size: int) -> dict[str, Any]:
    library = _library()
    made = library.Tokenizer.from_str(json.dumps(_empty()))
    letters = sorted(library.pre_tokenizers.ByteLevel.alphabet())
    trainer = library.trainers.BpeTrainer(vocab_size=size, initial_alphabet=letters, show_progress=False)
    made.train_from_iterator((text[start : start + CHUNK] for start in range(0, len(text), CHUNK)), trainer)
    return json.loads(made.to_str())


def _letters() -> dict[str, int]:
    """Return the byte that each letter of a byte-level piece stands for: itself, or 256 and on for those unseen."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + k): byte for k, byte in enumerate(unseen)}


def _library() -> Any:
    try:
        return import_module("tokenizers")
    except ImportError as error:
        raise UserError(
            "data.vocabulary: bpe needs the library tokenizers, which is not installed; type: pip install "
            "'hyperplane[text]', or --data.vocabulary byte"
        ) from error
