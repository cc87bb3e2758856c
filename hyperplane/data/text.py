"""Text, a file or a folder of them: every window of it is a sample, the next token of each its target.

The last tenth of the text validates (`data.validation`), nothing is kept for a test. A window has `context` tokens
(128) of the `vocabulary`: `character` (the choice for up to 256 different ones), `byte` (beyond), or `bpe`, with
`pieces` (4,096) learned from what trains. Over an epoch each token trains about once, in windows that begin elsewhere
each time; evaluation goes through a split in order, each token judged once. The files of a folder are read by path, a
line end between them.

Shape suffixes: B batch, T tokens, N tokens of a split.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Sniff, Split
from hyperplane.data.blocks import files, splits, tables, vocabulary
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known, Remote
from hyperplane.data.blocks.problems import Refusal, name, options, stop
from hyperplane.data.blocks.vocabulary import Vocabulary
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {
    "tiny-shakespeare": Known(
        "1,115,394 characters of Shakespeare's plays, 65 different (Karpathy's char-rnn)",
        "tiny-shakespeare",
        (
            Remote(
                "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        ),
    )
}
OPTIONS: dict[str, tuple[Any, Any]] = {
    "context": (int, 128),
    "vocabulary": (vocabulary.Kind | None, None),
    "pieces": (int, 4096),
}
TYPICAL = "tiny-shakespeare"
SHAKESPEARE_BYTES = 1_115_394
SUFFIXES = frozenset({".txt", ".text", ".md", ".rst"})
MOST_CONTEXT = 65_536
LOOKED_AT, MOST_FILES = 1 << 16, 50
"""Bytes of a file, and files of a folder, that tell whether they are text."""
PIECE = 1 << 26
"""Logits that evaluation computes at once."""
UNSEEN = -100
"""The target of a token that is not judged: it was in the window before."""


@dataclass(frozen=True)
class TextSource:
    """A text's tokens, in splits."""

    description: Description
    tokens: dict[Split, Tensor]
    """(N,), uint8 or int32."""
    vocabulary: Vocabulary
    drawn: tuple[Split, ...] = ("train",)

    @property
    def context(self) -> int:
        """Return the tokens of a window."""
        return self.description.shapes["token_BT"][0]

    @property
    def piece(self) -> int:
        """Return how many windows are evaluated at once."""
        return max(1, PIECE // (self.context * max(len(self.vocabulary), 1024)))

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these windows: token_BT and target_BT, int64, the token after each.

        With a generator each begins anywhere in its stretch of the text; without, they follow each other, and targets
        of the last one that were in the one before are -100.
        """
        index_B, token_N = torch.as_tensor(indices, dtype=torch.int64), self.tokens[split]
        begin_B = index_B * self.context
        if generator is not None and split in self.drawn:
            begin_B = begin_B + torch.randint(self.context, begin_B.shape, generator=generator)
        start_B = begin_B.clamp(max=len(token_N) - 1 - self.context)
        window_BT = token_N[start_B[:, None] + torch.arange(self.context + 1)].long()
        target_BT = window_BT[:, 1:]
        if generator is None:
            before_B1 = (begin_B - start_B)[:, None]
            target_BT = target_BT.masked_fill(torch.arange(self.context) < before_B1, UNSEEN)
        return Batch({"token_BT": window_BT[:, :-1], "target_BT": target_BT}, index_B)

    def read_as(self, like: Description) -> TextSource:
        """Return the same text in the vocabulary and windows of a net trained on what `like` describes."""
        if like.kind != "text":
            raise UserError(
                f"{self.description.name}: holds text, but the net was trained on {like.kind} samples; name data of "
                "that kind"
            )
        known, context = vocabulary.read(like.encoding), like.shapes["token_BT"][0]
        held: dict[Split, Tensor] = {
            part: _stored(known, self.vocabulary.decode(t.tolist()), f"{self.description.name}, {part} part")
            for part, t in self.tokens.items()
        }
        notes = tuple(note.replace(self.vocabulary.told, known.told) for note in self.description.notes)
        own = replace(self.description, encoding=like.encoding, shapes=like.shapes, notes=notes)
        return _source(own, held, known, context)

    def encoded_as(self, like: Description) -> TextSource:
        """Return the same; raises UserError where that net was trained on prompts with answers."""
        if like.target == "answer_BT":
            raise UserError(
                f"{self.description.name}: holds text, but the net was trained on prompts with answers; name a file of "
                "JSON lines"
            )
        return self.read_as(like)

    def sample_name(self, split: Split, index: int) -> str:
        """Return which tokens of the split the window holds, from 1."""
        start = min(index * self.context, len(self.tokens[split]) - 1 - self.context)
        return f"tokens {start + 1:,} to {start + self.context:,}"

    def show(self, split: Split, index: int) -> dict[str, str]:
        """Return the window's text."""
        start = min(index * self.context, len(self.tokens[split]) - 1 - self.context)
        return {"text": self.vocabulary.decode(self.tokens[split][start : start + self.context].tolist())}


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is text, and why."""
    if path.is_dir():
        if (known := path / "input.txt").is_file() and known.stat().st_size == SHAKESPEARE_BYTES:
            return Sniff(1.0, "tiny Shakespeare's input.txt")
        held = [file for _, file in zip(range(MOST_FILES), files.walk(path), strict=False)]
        told = [_looks_like_text(file) and file.suffix.lower() not in tables.SUFFIXES for file in held]
        if told and all(told):
            return Sniff(
                0.8,
                f"a folder of {len(told)} text file{'s' * (len(told) != 1)}" + " or more" * (len(told) == MOST_FILES),
            )
        return Sniff(0.1, "text files among others") if any(told) else Sniff(0.0, "holds no text files")
    if not path.is_file() or not _looks_like_text(path):
        named = path.is_file() and path.suffix.lower() in SUFFIXES
        return Sniff(0.3, f"a file named {path.suffix}") if named else Sniff(0.0, "is no text file")
    if path.suffix.lower() in tables.SUFFIXES or _is_table(path):
        return Sniff(0.2, "text, but with columns")
    return Sniff(0.7, "text")


def open(path: Path, recipe: DataRecipe) -> TextSource:
    """Return the text as a source: token_BT and target_BT of T tokens each.

    Raises UserError for a file that is empty or no text, a text shorter than the context, and options out of range.
    """
    chosen = options(recipe.options, OPTIONS)
    _expect_in_range(recipe, chosen)
    problems: list[Problem] = []
    read = _read(path, problems)
    if not (recipe.skip_bad and read):
        stop(problems)
    text = "\n".join(read.values())
    cut = int(len(text) * (1 - recipe.validation))
    known = vocabulary.choose(chosen["vocabulary"], text, text[:cut], chosen["pieces"])
    parts: dict[Split, str] = {"train": text[:cut], "validation": text[cut:]}
    held: dict[Split, Tensor] = {part: _stored(known, held, path.name) for part, held in parts.items()}
    notes = [f"{len(text):,} character{'s' * (len(text) != 1)}; {known.told}."]
    if len(read) > 1:
        notes.append(f"{len(read)} files follow each other, by path.")
    if problems:
        left = "1 bad file was" if len(problems) == 1 else f"{len(problems)} bad files were"
        notes.append(f"{left} left out: {', '.join(p.where for p in problems[:5])}.")
    if recipe.validation:
        notes.append(f"The last {100 * recipe.validation:.4g}% of the text validate; nothing is kept for a test.")
    description = Description(
        name=recipe.source if recipe.source in KNOWN else path.name,
        format="text",
        kind="text",
        input="token_BT",
        target="target_BT",
        shapes={},
        splits={},
        encoding=known.encoding,
        hashes={file.relative_to(path).as_posix() if path != file else path.name: files.sha256(file) for file in read},
        notes=tuple(notes),
    )
    return _source(description, {part: t for part, t in held.items() if len(t)}, known, chosen["context"])


def check(path: Path, recipe: DataRecipe) -> list[Problem]:
    """Return every file that is empty or no text, or what is wrong with the whole."""
    problems: list[Problem] = []
    if _read(path, problems) and not problems:
        open(path, recipe)
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return texts as inputs of a net trained on text, each by its last tokens, as many as the net can read.

    The field length_B says how many of token_BT count; the rest is 0. Raises UserError for a file that is no text, and
    for a character that the net was not trained on, in the vocabulary of characters.
    """
    known, context = vocabulary.read(description.encoding), description.shapes["token_BT"][0]
    texts = {"standard input": _decoded(inputs, "standard input")} if isinstance(inputs, bytes) else {}
    for path in [] if isinstance(inputs, bytes) else inputs:
        problems: list[Problem] = []
        read = _read(path, problems)
        stop(problems)
        texts |= {name(file): text for file, text in read.items()}
    tokens, longer = [], False
    for where, text in texts.items():
        token_N = known.encode_of(where, text)
        tokens.append(torch.from_numpy(token_N[-context:]))
        longer = longer or len(token_N) > context

    def take(first: int, last: int) -> Batch:
        length_B = torch.tensor([len(token_T) for token_T in tokens[first:last]])
        token_BT = torch.nn.utils.rnn.pad_sequence(tokens[first:last], batch_first=True)
        return Batch({"token_BT": token_BT, "length_B": length_B}, torch.arange(first, last))

    notes = (f"Of texts longer than {context} tokens the last {context} were read.",) * longer
    return Encoded(tuple(texts), notes, take, lambda k: {"text": known.decode(tokens[k].tolist())})


def _source(description: Description, tokens: dict[Split, Tensor], known: Vocabulary, context: int) -> TextSource:
    """Return a source of these tokens; raises UserError where a split is too short for one window."""
    part = min(tokens, key=lambda part: len(tokens[part]))
    least = len(tokens[part])
    if least <= context:
        what = f"has {least:,} token{'s' * (least != 1)} in its {part} part, too few for a context of {context}"
        raise Refusal(
            description.name,
            what,
            f"name a longer text, or train with --data.context {least - 1}"
            if least > 1
            else "name a longer text" + ", or type: --data.validation 0" * (part != "train"),
        )
    shapes = {"token_BT": (context,), "target_BT": (context,)}
    counts = {part: -(-(len(token_N) - 1) // context) for part, token_N in tokens.items()}
    return TextSource(replace(description, shapes=shapes, splits=counts), tokens, known)


def _stored(known: Vocabulary, text: str, where: str) -> Tensor:
    return torch.from_numpy(known.encode_of(where, text).astype(np.uint8 if len(known) <= 256 else np.int32))


def _expect_in_range(recipe: DataRecipe, chosen: dict[str, Any]) -> None:
    splits.check_shares(replace(recipe, test=0.0))
    if not 1 <= chosen["context"] <= MOST_CONTEXT:
        found = chosen["context"]
        raise UserError(f"data.options.context: found {found}, expected 1 to {MOST_CONTEXT:,}; type: --data.context 64")
    if not 257 <= chosen["pieces"] <= 1_000_000:
        raise UserError(
            f"data.options.pieces: found {chosen['pieces']}, expected 257 to 1,000,000; type: --data.pieces 4096"
        )


def _read(path: Path, problems: list[Problem]) -> dict[Path, str]:
    """Return the text of a file, or of each in a folder; what is wrong is added to `problems`."""
    read = {}
    for file in files.walk(path) if path.is_dir() else (path,):
        try:
            read[file] = _decoded(files.read(file), name(file))
        except Refusal as refusal:
            problems.append(refusal.problem)
    if not read and not problems:
        problems.append(Problem(name(path), "holds no files, expected texts", "name a text file"))
    return read


def _decoded(content: bytes, where: str) -> str:
    """Return bytes as text; raises UserError where they are none."""
    if not content.strip():
        raise Refusal(where, "is empty, expected text", "name a file with text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"is not UTF-8 text (byte 0x{content[error.start]:02x} in line {line})"
        raise Refusal(where, what, "save it as text (UTF-8)") from error
    if "\0" in text:
        raise Refusal(where, "holds NUL bytes, so it is no text but a binary file", "name a text file")
    return text


def _looks_like_text(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            content = stream.read(LOOKED_AT)
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(content, final=len(content) < LOOKED_AT)
    except (OSError, UnicodeDecodeError):
        return False
    return bool(text.strip()) and "\0" not in text


def _is_table(path: Path) -> bool:
    """Say whether a text has columns: the same number in nearly every line that does not end within quotes."""
    seen = tables.peek(path)
    if seen is None or len(seen.names) < 2:
        return False
    lines, quoted = -1, False
    with path.open("rb") as stream:
        for line in stream.read(LOOKED_AT).splitlines():
            quoted ^= bool(line.count(b'"') % 2)
            lines += bool(line.strip()) and not quoted
    return len(seen) >= 0.9 * lines and lines >= 1
