"""Saying what is wrong with data on one line: the file or field, what was found, what to do next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hyperplane.contracts import Problem
from hyperplane.errors import UserError, nearest
from hyperplane.recipe import parse


class Refusal(UserError):
    """A problem with data that stops the work; `check` collects it instead."""

    def __init__(self, where: str | Path, what: str, next: str) -> None:
        self.problem = Problem(name(where) if isinstance(where, Path) else where, what, next)
        super().__init__(str(self.problem))

    def __reduce__(self) -> tuple[type[Refusal], tuple[str, str, str]]:
        """Travel to another process whole."""
        return Refusal, (self.problem.where, self.problem.what, self.problem.next)


WEIGHTS = (".pth", ".pt", ".safetensors")
"""What the names of files of weights end with."""


def expect_no_weights(path: Path, expected: str) -> None:
    """Raise UserError for a file of weights, by its name, or a pickle; `expected` is what it should have been."""
    if not path.is_file():
        return
    if path.suffix.lower() in WEIGHTS:
        raise Refusal(path, f"holds weights, expected {expected}", f"type: hyperplane import {quote(name(path))}")
    if _is_pickle(path):
        raise Refusal(
            path,
            f"is a pickle, which can run code when read, expected {expected}",
            f"to read its tensors alone, type: hyperplane import {quote(name(path))}",
        )


def weights_in(folder: Path) -> Path | None:
    """Return the first file of a folder that has the name of weights, or is a pickle; None where there is none."""
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError:
        return None
    return next((file for file in files if file.suffix.lower() in WEIGHTS or _is_pickle(file)), None)


def _is_pickle(path: Path) -> bool:
    """Return whether a file begins as a pickle of today's protocols, or as the archive in which torch saves one."""
    try:
        with path.open("rb") as file:
            head = file.read(128)
    except OSError:
        return False  # what is wrong with it is said by who reads it
    return (head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")) or (
        head[:4] == b"PK\x03\x04" and b"/data.pkl" in head
    )


def stop(problems: list[Problem]) -> None:
    """Raise the first of these problems, and say how many more there are; nothing where there is none."""
    if not problems:
        return
    first = problems[0]
    more = f" ({len(problems) - 1} more: type hyperplane check)" if len(problems) > 1 else ""
    raise Refusal(first.where, first.what, first.next + more)


def name(path: Path) -> str:
    """Return a path as text on one line, whatever bytes it holds."""
    return _escape(os.fsencode(path).decode("utf-8", "backslashreplace"))


def quote(value: Any) -> str:
    """Return a value in quotes, on one line, no longer than 60 characters."""
    text = _escape(str(value))
    return f"'{text if len(text) <= 60 else text[:57] + '...'}'"


def some(values: Iterable[Any], most: int = 5) -> str:
    """Return the first few values, quoted, and how many there are beyond them."""
    return listed([quote(value) for value in values], most)


def listed(words: Sequence[str], most: int = 5) -> str:
    """Return the first few words, and how many there are beyond them."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line, no longer than 160 characters."""
    text = " ".join(_escape(str(error).replace("\n", " ")).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."


def hint(word: str, choices: Iterable[str]) -> str:
    """Return a clause on one line that suggests the nearest choice, or lists them where none is near."""
    choices = [_escape(choice) for choice in choices]
    return nearest(word, choices) if len(choices) <= 30 else f"there are {len(choices)} to choose from"


def unreadable(path: Path, error: OSError) -> Refusal:
    """Return the refusal of a path that the system would not open."""
    if isinstance(error, PermissionError):
        return Refusal(path, "may not be read (permission denied)", f"type: chmod -R u+rX {quote(name(path))}")
    if isinstance(error, FileNotFoundError):
        return Refusal(path, "does not exist", "correct the path, or repair the link that leads there")
    if isinstance(error, IsADirectoryError):
        return Refusal(path, "is a folder, expected a file", "name the file in it")
    return Refusal(path, f"cannot be read ({one_line(error)})", "copy it again from where it came")


def options(found: Mapping[str, Any], defaults: Mapping[str, tuple[type, Any]]) -> dict[str, Any]:
    """Return a format's options, each of its kind, with the defaults for those that were not given.

    `defaults` gives each option's kind and default. Raises UserError for an unknown option or a wrong kind.
    """
    for option in found:
        if option not in defaults:
            raise UserError(f"data.options: has no option {quote(option)}; {nearest(str(option), defaults)}")
    return {
        option: parse(found[option], kind, f"data.options.{option}") if option in found else default
        for option, (kind, default) in defaults.items()
    }


def _escape(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
