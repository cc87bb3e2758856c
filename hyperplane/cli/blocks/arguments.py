"""A verb's arguments from a dataclass, by tyro; what tyro has to say against them becomes one line."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from typing import TypeVar

import tyro

from hyperplane.errors import UserError

T = TypeVar("T")

CONFIG = (tyro.conf.FlagCreatePairsOff, tyro.conf.AvoidSubcommands, tyro.conf.HelptextFromCommentsOff)


def parse(kind: type[T], verb: str, arguments: list[str], description: str = "") -> T:
    """Return the arguments as `kind`; prints help and leaves where it is asked for.

    Raises UserError for an option that does not exist, naming the nearest, or a value that does not fit.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, prog=f"hyperplane {verb}", description=description, args=arguments, config=CONFIG)
    except SystemExit as stop:
        if not stop.code:
            sys.exit(0)
        raise UserError(_one_line(said.getvalue(), verb)) from None


def _one_line(boxed: str, verb: str) -> str:
    """Return tyro's boxed words on one line: the first paragraph, and the first option that it suggests."""
    plain = re.sub("[│╭╰╮╯]", " ", boxed)
    first, *others = re.split("─{6,}", plain.partition("\n")[2])
    message = " ".join(first.split()).rstrip(".")
    value = re.match(
        r"Error parsing (?:\S+/)?(\S+): no type matching (\S+) could be instantiated from \['(.*?)'\]", message
    )
    if value:
        message = f"{value[1]}: found '{value[3]}', expected {_kind(value[2])}"
    message = message.replace(". Expected", ", expected").replace("Unrecognized options: ", "there is no option ")
    near = [re.search(r"--[\w.-]+", other) for other in others if "Perhaps you meant" in other]
    hint = f"did you mean {near[0][0]}? " if near and near[0] else ""
    return f"{verb}: {message[:1].lower()}{message[1:]}; {hint}type: hyperplane {verb} --help"


def _kind(shape: str) -> str:
    """Return tyro's word for a type as people say it."""
    plain = {"INT": "a whole number", "FLOAT": "a number", "STR": "a text", "PATH": "a path"}
    shape = shape.removeprefix("{None}|")
    return plain.get(shape, shape)
