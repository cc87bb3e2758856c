"""Say what a trained net sees in files, folders, tables or standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from hyperplane.cli import GIVEN_UP
from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

if TYPE_CHECKING:
    from hyperplane.data import Encoded
    from hyperplane.predict import Trained


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
    to: Path | None = None
    """Where a net of pixels writes mask, probability and uncertainty of each picture, as PNG, or of a large or
    georeferenced TIFF file as GeoTIFF in its place; without it, into predicted."""
    graph: Path | None = None
    """A file for the network of lines that a net of pixels finds in one picture: .geojson, .graphml, .wkt, .csv as
    SpaceNet has it, or .svg over the picture."""
    gap: float = 0.0
    """The most that a bridge over a gap of that network may cost; 0 builds none. It costs its length, twice that where
    the net is sure of background and nothing where it is sure of a line, and up to three times as much where it turns
    back; every edge of the file has its cost."""
    tolerance: float | None = None
    """How far the network's lines may lie from the pixels' middles; without it, a pixel."""
    unit: Literal["pixels", "metres"] = "pixels"
    """Of gap and tolerance; metres need a picture that says where it lies."""
    tile: int | None = None
    """Side of the tiles that a net of pixels reads large pictures in, in pixels; without it, 1024."""


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
    from hyperplane.predict.delineating import delineates

    trained = predict.load(asked.run)
    inputs = sys.stdin.buffer.read() if names == ["-"] else [Path(name) for name in names]
    encoded = predict.read(trained, inputs)
    for note in encoded.notes:
        print(f"note: {note}", file=sys.stderr)
    bad: list[UserError] = []
    lines = _maps(asked, trained, encoded, bad) if delineates(trained) else _words(asked, trained, encoded, bad)
    for line in counted("predicting", lines, len(encoded)):
        write_line(line)
    for error in bad:
        print(f"error: {error}", file=sys.stderr)
    if 0 < len(bad) < len(encoded):
        print(f"error: {len(bad)} of {len(encoded)} samples could not be read, named above", file=sys.stderr)
    return GIVEN_UP if bad else 0


def _maps(asked: Predict, trained: Trained, encoded: Encoded, bad: list[UserError]) -> Iterator[str]:
    """Write masks, and yield a line for each picture."""
    from hyperplane.cli.blocks.maps import FOLDER, Maps, Network
    from hyperplane.predict.delineating import delineate
    from hyperplane.predict.tiles import TILE, Tiling

    for name, value, usual in (("speed", asked.speed, "auto"), ("precision", asked.precision, "float32")):
        if value != usual:
            raise UserError(f"predict: found --{name} {value}, which nets of pixels have not; leave it out")
    if asked.probabilities:
        raise UserError("predict: found --probabilities, but a net of pixels writes them as a picture; leave it out")
    tiling = Tiling(TILE if asked.tile is None else asked.tile)
    network = None
    if asked.graph is not None:
        if len(encoded) > 1:
            raise UserError(
                f"predict.graph: found {len(encoded)} pictures, expected one; name one, or leave --graph out"
            )
        network = Network(asked.graph, asked.gap, asked.tolerance, metres=asked.unit == "metres")
        network.expect_place(Path(encoded.names[0]))
    elif asked.gap or asked.tolerance is not None or asked.unit != "pixels":
        raise UserError(
            "predict: found --gap, --tolerance or --unit, which are a network's; type: --graph roads.geojson"
        )
    maps = Maps(asked.to or FOLDER, trained.description.classes, asked.json)
    for one in delineate(trained, encoded, tiling=tiling, bad=bad.append):
        if network is not None:
            for note in network.write(one, encoded.show(0), trained.description.classes):
                print(f"graph: {note}", file=sys.stderr)
        yield maps.write(one)


def _words(asked: Predict, trained: Trained, encoded: Encoded, bad: list[UserError]) -> Iterator[str]:
    """Yield a line for each sample."""
    from hyperplane import predict

    for name, value in (("to", asked.to), ("tile", asked.tile), ("graph", asked.graph), ("gap", asked.gap or None)):
        if value is not None:
            raise UserError(f"predict: found --{name}, but {asked.run} holds no net of pixels; leave it out")
    said = predict.predict(
        trained,
        encoded,
        speed=asked.speed,
        precision=asked.precision,
        bad=bad.append,
        tell=lambda sentence: print(f"predict: {sentence}", file=sys.stderr),
    )
    for one in said:
        if asked.json:
            yield json.dumps({"sample": one.name, **one.said})
        else:
            yield f"{one.name}\t{_in_words(one.said, asked.probabilities)}"


def _in_words(said: dict, probabilities: bool) -> str:
    if "embedding" in said:
        return " ".join(f"{value:.6g}" for value in said["embedding"])
    if "class" not in said:
        return "\t".join(
            f"{name} {value if isinstance(value, str) else f'{value:.6g}'}" for name, value in said.items()
        )
    if not probabilities:
        return f"{said['class']}\t{said['probability']:.1%}"
    likeliest = sorted(said["probabilities"].items(), key=lambda item: -item[1])
    return f"{said['class']}\t" + "\t".join(f"{name} {p:.1%}" for name, p in likeliest)


_DASH = "\0stdin"  # tyro takes a lone - for an option


def _keep_dash(argument: str) -> str:
    return _DASH if argument == "-" else argument


def _give_back_dash(argument: str) -> str:
    return "-" if argument == _DASH else argument
