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

CONFIG = (tyro.conf.AvoidSubcommands, tyro.conf.HelptextFromCommentsOff)


def parse(kind: type[T], verb: str, arguments: list[str], description: str = "", *, both_ways: bool = False) -> T:
    """Return the arguments as `kind`; prints help and leaves where it is asked for.

    A switch has one option, which turns it from what it is by default; `both_ways`, it has a second that turns it back.
    Raises UserError for an option that does not exist, naming the nearest, or a value that does not fit.
    """
    said, config = io.StringIO(), CONFIG if both_ways else (*CONFIG, tyro.conf.FlagCreatePairsOff)
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, prog=f"hyperplane {verb}", description=description, args=arguments, config=config)
    except SystemExit as stop:
        if not stop.code:
            sys.exit(0)
        raise UserError(_one_line(said.getvalue(), verb, arguments)) from None


def _one_line(boxed: str, verb: str, arguments: list[str]) -> str:
    """Return tyro's boxed words on one line: the first paragraph in our words, and the option that it suggests."""
    plain = re.sub("[│╭╰╮╯]", " ", boxed).partition("\n")[2]
    message, *others = [" ".join(part.split()) for part in re.split("[─-]{6,}", plain) if part.strip()]
    near = [name for other in others if other.startswith("Perhaps you meant") for name in re.findall(_OPTION, other)]
    unknown = re.match(r"Unrecognized options: ([^,]*)", message)
    if unknown and unknown[1].startswith("-"):
        typed = unknown[1].partition("=")[0]
        near = [name for name in near if name == f"{typed}.name"] or near  # --optimizer sgd means its name
        near = [" and ".join(_MEANT[verb, typed])] if (verb, typed) in _MEANT else near
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{verb}: {_in_our_words(message, arguments)}; {hint}type: hyperplane {verb} --help"


_MEANT = {("train", "--out"): ["--name", "--runs"]}
"""Of a verb and an option that others have, its own for the same."""
_OPTION = r"--[a-z][\w.-]*"
_WRONG = {
    r"Error parsing (\S+): no type matching (\S+) could be instantiated from \[(.*?)\]\.": "{3}, expected {kind}",
    r"Error parsing (\S+): invalid (literal) for int\(\) with base 10: (.*)": "{3}, expected a whole number",
    r"Error parsing (\S+): could not (convert) string to float: (.*)": "{3}, expected a number",
    r"Error parsing (\S+): Could not find (valid) parse for arguments: \[(.*)\]": "{3}, expected another kind of value",
    r"invalid choice (.*) for argument '(\S+)'. Expected one of \((.*)\)": "{1}, expected {choices}",
    r"Missing value for argument '(\S+)'. Expected (.*) values": "no value, expected {2}",
}
"""What tyro says of a value, and what we say was found and expected instead."""


def _in_our_words(message: str, arguments: list[str]) -> str:
    message = message.rstrip(".")
    for pattern, words in _WRONG.items():
        if said := re.match(pattern, message):
            held = (said[0], *said.groups(), "", "")
            named = [c.strip(" '") for c in held[3].split(",")]
            choices = [c for c in (sorted(named) if "None" in named else named) if c not in ("", "None")]
            option = held[2] if "{choices}" in words else held[1]
            names = option.split("/")
            name = next((n for n in names if any(a.partition("=")[0] == n for a in arguments)), names[-1])
            hint = f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else "".join(choices)
            return f"{name}: found {words.format(*held, kind=_kind(held[2]), choices=hint)}"
    if said := re.match(r"Missing from .*?: \S+ (.*?)\. \(required\)", message):
        return f"found nothing, expected {said[1][:1].lower()}{said[1][1:]}"
    if said := re.match(r"Unrecognized options: ([^,]*)", message):
        return f"there is no option {said[1]}" if said[1].startswith("-") else f"found '{said[1]}', which has no place"
    return f"{message[:1].lower()}{message[1:]}"


def _kind(shape: str) -> str:
    """Return tyro's word for a type as people say it."""
    plain = {"INT": "a whole number", "FLOAT": "a number", "STR": "a text", "PATH": "a path"}
    shape = shape.removeprefix("{None}|")
    return plain.get(shape, shape)
