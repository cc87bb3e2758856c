"""Say what a trained net sees in files, folders, tables or standard input."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hyperplane.cli import GIVEN_UP
from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError


@dataclass(frozen=True)
class Predict:
    """What is looked at."""

    run: tyro.conf.Positional[Path]
    """A run folder."""
    inputs: tyro.conf.Positional[tuple[str, ...]]
    """Files, folders or tables; - reads one picture or table from standard input."""
    json: bool = False
    """Write one JSON object a line: the sample's name, and class and probabilities or values."""
    probabilities: bool = False
    """Show the probability of every class, not of the likeliest alone."""
    speed: Literal["auto", "plain", "most"] = "auto"
    """The net as it was trained (plain); the fastest way to the same outputs, to 1e-4, of all that this machine has
    (most); or that for many samples, where looking for it pays (auto)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 is faster on processors that multiply it, and keeps 2 digits: the way is held against the plain net."""


def main(arguments: list[str]) -> int:
    """Predict, and return the exit status."""
    asked = parse(Predict, "predict", [_keep_dash(a) for a in arguments], description=__doc__ or "")
    names = [_give_back_dash(name) for name in asked.inputs]
    if not names:
        raise UserError("predict: found no input; name files, folders or tables, or - for standard input")
    if "-" in names and len(names) > 1:
        raise UserError(
            f"predict: found - beside {len(names) - 1} other inputs, expected it alone; give one or the other"
        )

    from hyperplane import predict
    from hyperplane.cli.blocks.screen import counted, write_line

    trained = predict.load(asked.run)
    inputs = sys.stdin.buffer.read() if names == ["-"] else [Path(name) for name in names]
    encoded = predict.read(trained, inputs)
    for note in encoded.notes:
        print(f"note: {note}", file=sys.stderr)
    bad: list[UserError] = []
    said = predict.predict(
        trained,
        encoded,
        speed=asked.speed,
        precision=asked.precision,
        bad=bad.append,
        tell=lambda sentence: print(f"predict: {sentence}", file=sys.stderr),
    )
    for one in counted("predicting", said, len(encoded)):
        if asked.json:
            write_line(json.dumps({"sample": one.name, **one.said}))
        else:
            write_line(f"{one.name}\t{_in_words(one.said, asked.probabilities)}")
    for error in bad:
        print(f"error: {error}", file=sys.stderr)
    if 0 < len(bad) < len(encoded):
        print(f"error: {len(bad)} of {len(encoded)} samples could not be read, named above", file=sys.stderr)
    return GIVEN_UP if bad else 0


def _in_words(said: dict, probabilities: bool) -> str:
    if "class" not in said:
        return "\t".join(f"{name} {value:.6g}" for name, value in said.items())
    if not probabilities:
        return f"{said['class']}\t{said['probability']:.1%}"
    likeliest = sorted(said["probabilities"].items(), key=lambda item: -item[1])
    return f"{said['class']}\t" + "\t".join(f"{name} {p:.1%}" for name, p in likeliest)


_DASH = "\0stdin"  # tyro takes a lone - for an option


def _keep_dash(argument: str) -> str:
    return _DASH if argument == "-" else argument


def _give_back_dash(argument: str) -> str:
    return "-" if argument == _DASH else argument
