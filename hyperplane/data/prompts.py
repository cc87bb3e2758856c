"""Prompts with answers, one JSON object a line, or exercises that a program makes up: what steers a language model.

A file of JSON lines has a prompt and an answer in each, `{"prompt": "...", "answer": "..."}`, or a prompt and two
answers of which people preferred one, `{"prompt": "...", "chosen": "...", "rejected": "..."}`. An answer is one line
and ends with its line end. Lines with the same prompt are in the same split.

Made up, from the recipe's data seed (`data/blocks/exercises.py`): `addition` (123+456=579), `sorting` (3142>1234) and
`countdown` (3 7 5=50:(3+7)*5), with `digits` digits in each number, or to sort. The first `data.test` of all places
tests, the next `data.validation` validates: whatever an exercise's seed and number, no run trains on what another holds
out. Options: `samples` (2,000) to train on, `held_out` (500) to validate and as many to test.

A vocabulary, as of texts, is chosen by all that is there; a run that begins with another has that one's. The net reads
`context` tokens, as many as the longest prompt with its answer has where nothing is said: more leave room for what the
net is to go on with. A sample's
token_BT is prompt and answer, filled up with 0 to the longest; answer_BT is at each place the token of the answer that
comes next, -100 elsewhere; prompt_B counts the tokens of the prompt.

Shape suffixes: B batch, T tokens, N tokens of a text.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Sniff, Split
from hyperplane.data.blocks import exercises, files, splits, vocabulary
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.problems import Refusal, name, one_line, options, quote, some, stop
from hyperplane.data.blocks.vocabulary import Vocabulary
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {
    "addition": Known("sums of two numbers, made up and checked by a program"),
    "sorting": Known("digits to be sorted, made up and checked by a program"),
    "countdown": Known("three numbers that are to give a fourth, made up and checked by a program"),
}
TEXT_OPTIONS: dict[str, tuple[Any, Any]] = {
    "context": (int | None, None),
    "vocabulary": (vocabulary.Kind | None, None),
    "pieces": (int, 4096),
}
OPTIONS: dict[str, tuple[Any, Any]] = {
    "samples": (int, 2000),
    "held_out": (int, 500),
    "digits": (int | None, None),
    **TEXT_OPTIONS,
}
SUFFIXES = frozenset({".jsonl", ".ndjson"})
END = "\n"
"""What every answer ends with."""
ELSEWHERE = -100
"""What stands in answer_BT where no token of the answer comes next."""
TRIES = 50
"""Times that exercises are drawn for each that is wanted, before there are said to be too few."""
PIECE = 1024
"""Samples that are evaluated at once."""
MOST_CONTEXT = 65_536


@dataclass(frozen=True)
class Row:
    """One prompt with its answer, or with the one that was chosen and the one that was rejected."""

    prompt: str
    answer: str
    rejected: str | None = None
    line: int = 0
    """Where it stands in its file, from 1."""

    def __str__(self) -> str:
        return f"line {self.line}" if self.line else quote(self.prompt)

    @property
    def answers(self) -> tuple[str, ...]:
        """Return the answer, or the chosen and the rejected one."""
        return (self.answer,) if self.rejected is None else (self.answer, self.rejected)


@dataclass(frozen=True)
class PromptSource:
    """Prompts with answers, in splits."""

    description: Description
    rows: dict[Split, list[Row]]
    fields: dict[Split, dict[str, Tensor]]
    piece: int = PIECE

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples: token_BT, answer_BT and prompt_B, int64, and of pairs those of what was rejected."""
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        return Batch({field: held[index_B] for field, held in self.fields[split].items()}, index_B)

    def read_as(self, like: Description) -> PromptSource:
        """Return the same samples in the vocabulary and context of a net trained on what `like` describes."""
        if like.kind != "text":
            raise UserError(
                f"{self.description.name}: holds text, but the net to begin with was trained on {like.kind} samples; "
                "name a run on text"
            )
        own = {key: value for key, value in self.description.encoding.items() if key == "exercise"}
        encoding = {key: value for key, value in like.encoding.items() if key != "exercise"} | own
        known, before = vocabulary.read(encoding), vocabulary.read(self.description.encoding)
        notes = tuple(note.replace(before.told, known.told) for note in self.description.notes)
        own = replace(self.description, encoding=encoding, notes=notes)
        return _source(own, self.rows, known, like.shapes["token_BT"][0])

    def encoded_as(self, like: Description) -> PromptSource:
        """Return the same; raises UserError for a net of running text, or of choices that are not here."""
        own = self.description
        if like.kind == "text" and like.target != own.target:
            raise UserError(
                f"{own.name}: holds prompts with answers, but the net was trained on running text; name a text file"
            )
        if like.kind == "text" and "rejected_token_BT" in like.shapes.keys() - own.shapes.keys():
            raise UserError(
                f"{own.name}: has one answer to each prompt, but the net was trained on choices between two; name a "
                "file with a chosen and a rejected one in each line"
            )
        return self.read_as(like)

    def sample_name(self, split: Split, index: int) -> str:
        """Return the line of its file, or of an exercise its prompt."""
        row = self.rows[split][index]
        return str(row) if row.line else row.prompt

    def show(self, split: Split, index: int) -> dict[str, str]:
        """Return prompt and answers."""
        row = self.rows[split][index]
        if row.rejected is None:
            return {"prompt": row.prompt, "answer": row.answer}
        return {"prompt": row.prompt, "chosen": row.answer, "rejected": row.rejected}


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is a file of prompts with answers, and why."""
    named = path.suffix.lower() in SUFFIXES and path.is_file()
    try:
        with path.open("rb") as stream:
            first = json.loads(stream.readline(1 << 20))
    except (OSError, ValueError, RecursionError):
        return Sniff(0.9, f"a file named {path.suffix}") if named else Sniff(0.0, "is no file of JSON lines")
    if isinstance(first, dict) and "prompt" in first:
        return Sniff(0.95, f"JSON lines with {' and '.join(list(first)[:4])}")
    return Sniff(0.9, f"a file named {path.suffix}") if named else Sniff(0.0, "has no prompt in its first line")


def open(path: Path | None, recipe: DataRecipe) -> PromptSource:
    """Return prompts with answers as a source; `path` is None for exercises.

    Raises UserError for a line that holds none, and for options out of range.
    """
    splits.check_shares(recipe)
    if path is None:
        return _exercises(recipe, _chosen(recipe.options, OPTIONS))
    chosen = _chosen(recipe.options, TEXT_OPTIONS)
    problems: list[Problem] = []
    rows = _read(path, problems)
    if not (recipe.skip_bad and rows):
        stop(problems)
    prompts = list(dict.fromkeys(row.prompt for row in rows))
    parts = splits.split(recipe, len(prompts), None, name(path))
    part_of = {prompts[k]: part for part, held in parts.items() for k in held.tolist()}
    held: dict[Split, list[Row]] = {part: [r for r in rows if part_of[r.prompt] == part] for part in parts}
    text, trains = ("".join(r.prompt + END.join(r.answers) + END for r in of) for of in (rows, held["train"]))
    known = vocabulary.choose(chosen["vocabulary"], text, trains, chosen["pieces"])
    notes = [f"{len(rows):,} lines with {len(prompts):,} different prompts; {known.told}."]
    if problems:
        left = "1 bad line was" if len(problems) == 1 else f"{len(problems)} bad lines were"
        notes.append(f"{left} left out: {', '.join(p.where for p in problems[:5])}.")
    hashes = {path.name: files.sha256(path)}
    return _source(_description(path.name, known, notes, hashes), held, known, chosen["context"])


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return every line that holds no prompt with an answer, or what is wrong with the whole; exercises are right."""
    problems: list[Problem] = []
    if path is None or (_read(path, problems) and not problems):
        open(path, recipe)
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return prompts as inputs of a trained net: the lines of a text, or of JSON lines what stands under prompt.

    Raises UserError for a file that is no text, a character that the net was not trained on, and a prompt that leaves
    no room for an answer.
    """
    known, context = vocabulary.read(description.encoding), description.shapes["token_BT"][0]
    texts = {"standard input": inputs} if isinstance(inputs, bytes) else {name(p): files.read(p) for p in inputs}
    found: dict[str, str] = {}
    for where, content in texts.items():
        strict = Path(where).suffix.lower() in SUFFIXES
        for number, line in enumerate(_decoded(content, where).split("\n"), 1):
            if line.strip():
                found[f"{where}, line {number}"] = _prompt(line.removesuffix("\r"), f"{where}, line {number}", strict)
    if not found:
        raise UserError(f"{next(iter(texts), 'the inputs')}: holds no prompts; write one in each line")
    tokens = [known.encode_of(where, prompt) for where, prompt in found.items()]
    for where, token_N in zip(found, tokens, strict=True):
        if len(token_N) > context:
            raise UserError(f"{where}: has {len(token_N)} tokens, expected at most {context}, the net's; shorten it")

    def take(first: int, last: int) -> Batch:
        fields = _fields([[token_N, np.zeros(1, np.int64)] for token_N in tokens[first:last]], context)
        return Batch({field: fields[field] for field in ("token_BT", "prompt_B")}, torch.arange(first, last))

    prompts = list(found.values())
    return Encoded(tuple(found), (), take, lambda k: {"prompt": prompts[k]})


def _chosen(given: dict[str, Any], known: dict[str, tuple[Any, Any]]) -> dict[str, Any]:
    """Return the options with what was left out; raises UserError for a context out of range."""
    chosen = options(given, known)
    if chosen["context"] is not None and not 1 <= chosen["context"] <= MOST_CONTEXT:
        found = chosen["context"]
        raise UserError(f"data.options.context: found {found}, expected 1 to {MOST_CONTEXT:,}; type: --data.context 64")
    return chosen


def _exercises(recipe: DataRecipe, chosen: dict[str, Any]) -> PromptSource:
    """Return exercises, all different, each in the split of its place."""
    kind, digits = recipe.source, chosen["digits"]
    usual = exercises.KINDS[kind].digits
    for option, least, most, example in (("samples", 1, 10**7, 2000), ("held_out", 1, 10**6, 500)):
        if not least <= chosen[option] <= most:
            found, typed = chosen[option], option.replace("_", "-")
            raise UserError(
                f"data.options.{option}: found {found}, expected {least:,} to {most:,}; type: --data.{typed} {example}"
            )
    if digits is not None and not 1 <= digits <= 18:
        raise UserError(f"data.options.digits: found {digits}, expected 1 to 18; type: --data.digits {usual}")
    wanted: dict[Split, int] = {
        "test": chosen["held_out"] if recipe.test else 0,
        "validation": chosen["held_out"] if recipe.validation else 0,
        "train": chosen["samples"],
    }
    held: dict[Split, dict[str, Row]] = {"train": {}, "validation": {}, "test": {}}
    tries = TRIES * sum(wanted.values()) + 10_000
    for one in itertools.islice(exercises.drawn(kind, digits, recipe.seed), tries):
        part: Split = "train"
        if one.place < recipe.test + recipe.validation:
            part = "test" if one.place < recipe.test else "validation"
        if len(held[part]) < wanted[part]:
            held[part].setdefault(one.prompt, Row(one.prompt, one.answer))
        if all(len(held[part]) == wanted[part] for part in wanted):
            break
    for part, rows in held.items():
        if len(rows) < wanted[part]:
            raise Refusal(
                kind,
                f"has too few different exercises for {wanted[part]:,} in its {part} split: {len(rows):,} were found",
                f"type: --data.{'samples' if part == 'train' else 'held-out'} {len(rows)}, "
                f"or --data.digits {(digits or usual) + 1}",
            )
    known = vocabulary.choose(chosen["vocabulary"], exercises.ALPHABET, exercises.ALPHABET, chosen["pieces"])
    notes = [f"{wanted['train']:,} exercises were made up; what is held out asks for other things, by a hash of it."]
    out = json.dumps([list(held[part]) for part in ("validation", "test")])
    hashes = {"held out": hashlib.sha256(out.encode()).hexdigest()}
    description = _description(kind, known, notes, hashes, kind)
    return _source(
        description, {part: list(rows.values()) for part, rows in held.items() if rows}, known, chosen["context"]
    )


def _description(
    named: str, known: Vocabulary, notes: Sequence[str], hashes: dict[str, str], exercise: str | None = None
) -> Description:
    return Description(
        name=named,
        format="prompts",
        kind="text",
        input="token_BT",
        target="answer_BT",
        shapes={},
        splits={},
        encoding={**known.encoding, "exercise": exercise},
        hashes=hashes,
        notes=tuple(notes),
    )


def _source(
    description: Description, rows: dict[Split, list[Row]], known: Vocabulary, context: int | None
) -> PromptSource:
    """Return a source of these rows, of so many tokens each (None: as many as the longest has)."""
    named, encoded = description.name, {}
    longest, where = 0, ""
    for part, held in rows.items():
        encoded[part] = [
            [known.encode_of(f"{named}, {row}", text) for text in (row.prompt, *(a + END for a in row.answers))]
            for row in held
        ]
        for row, (prompt_N, *answers) in zip(held, encoded[part], strict=True):
            needed = len(prompt_N) + max(map(len, answers)) - 1
            if needed > longest:
                longest, where = needed, str(row)
    if context is not None and longest > context:
        raise Refusal(
            named,
            f"has a prompt with its answer of {longest} tokens ({where}), too many for a context of {context}",
            f"shorten it, or train with --data.context {longest}",
        )
    context = context or longest
    fields = {part: _fields(held, context) for part, held in encoded.items()}
    shapes = {field: tuple(t.shape[1:]) for field, t in next(iter(fields.values())).items()}
    counts = {part: len(rows.get(part, ())) for part in ("train", "validation", "test")}
    return PromptSource(replace(description, shapes=shapes, splits=counts), rows, fields)


def _fields(encoded: list[list[np.ndarray]], context: int) -> dict[str, Tensor]:
    """Return a split's fields of rows that are prompt and answers, each as tokens (N,)."""
    held: dict[str, np.ndarray] = {}
    for kind, which in (("", 1), ("rejected_", 2))[: max((len(row) - 1 for row in encoded), default=1)]:
        token_BT = np.zeros((len(encoded), context), np.int64)
        answer_BT = np.full((len(encoded), context), ELSEWHERE)
        for k, row in enumerate(encoded):
            prompt, end = len(row[0]), len(row[0]) + len(row[which]) - 1
            token_BT[k, :prompt], token_BT[k, prompt:end] = row[0], row[which][:-1]
            answer_BT[k, prompt - 1 : end] = row[which]
        held |= {f"{kind}token_BT": token_BT, f"{kind}answer_BT": answer_BT}
    held["prompt_B"] = np.array([len(prompt_N) for prompt_N, *_ in encoded])
    return {field: torch.from_numpy(array) for field, array in held.items()}


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        what = f"is not UTF-8 text (byte 0x{content[error.start]:02x} in line {line})"
        raise Refusal(where, what, "save it as text (UTF-8)") from error


def _prompt(line: str, where: str, strict: bool) -> str:
    """Return what stands under prompt in a JSON line; any other line is a prompt itself, unless that is not so.

    Raises UserError for a prompt that is no text, and where it is `strict` for a line without one.
    """
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and isinstance(prompt := found.get("prompt"), str):
        return prompt
    if strict or (isinstance(found, dict) and "prompt" in found):
        raise UserError(f'{where}: holds {quote(line)}, expected {{"prompt": "..."}}; correct it')
    return line


def _read(path: Path, problems: list[Problem]) -> list[Row]:
    """Return the rows of a file; what is wrong is added to `problems`."""
    rows: list[Row] = []
    for number, line in enumerate(_decoded(files.read(path), name(path)).split("\n"), 1):
        if not line.strip():
            continue
        wrong = _wrong(line, rows)
        if wrong:
            problems.append(Problem(f"{name(path)}, line {number}", wrong, "correct it, or type: --skip-bad"))
        else:
            found = json.loads(line)
            answer = found["answer"] if "answer" in found else found["chosen"]
            rows.append(Row(found["prompt"], answer, found.get("rejected"), number))
    if not rows and not problems:
        problems.append(Problem(name(path), "is empty, expected a prompt and an answer in each line", "add lines"))
    return rows


def _wrong(line: str, before: list[Row]) -> str | None:
    """Say what is wrong with a line, in a clause; None where nothing is."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({one_line(error)})"
    expected = 'expected {"prompt": "...", "answer": "..."} or {"prompt": "...", "chosen": "...", "rejected": "..."}'
    if not isinstance(found, dict):
        return f"holds {quote(line)}, {expected}"
    keys = {"prompt", "chosen", "rejected"} if {"chosen", "rejected"} & found.keys() else {"prompt", "answer"}
    if before:
        keys = {"prompt", "chosen", "rejected"} if before[0].rejected is not None else {"prompt", "answer"}
    missing = sorted(keys - found.keys())
    if missing:
        named = "" if {"prompt", "answer"} & found.keys() else f" (it has {some(found, 4)})"
        return f"has no {' and no '.join(missing)}{named}, {expected}, alike in all lines"
    for key in sorted(keys):
        if not isinstance(found[key], str):
            return f"has {quote(json.dumps(found[key]))} under {key}, expected a text"
        if re.search("[\ud800-\udfff]", found[key]):
            return (
                f"has {quote(json.dumps(found[key]))} under {key}, with half of a character of Unicode, expected a text"
            )
        if key != "prompt" and END in found[key]:
            return f"has a line end under {key}, which is where answers end; expected one line"
    if not found["prompt"]:
        return "has an empty prompt, expected a text"
    if found.get("chosen", 0) == found.get("rejected", 1):
        return f"has {quote(found['chosen'])} as chosen and as rejected, expected two answers"
    return None
