"""Say what a net costs on this machine: parameters, operations, memory, time."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from hyperplane.predict.fast import Race, Tried


@dataclass(frozen=True)
class Cost:
    """Which net, for which inputs."""

    net: tyro.conf.Positional[str]
    """A net or a variant (hyperplane list nets), or a run folder."""
    shape: tuple[int, ...] = ()
    """Shape of one input: channels height width, or features; the net's example where it is left out."""
    outputs: int | None = None
    """Numbers it gives for each input; those of the net's example where it is left out."""
    batch: int | None = None
    """Samples at once, for the times; 64, or fewer for a large net on a CPU, where it is left out."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to measure."""
    ways: bool = False
    """Compare the ways to predict with it as well: folded, by Winograd's filtering, compiled, in bfloat16."""
    json: bool = False
    """Write one JSON object to standard output."""


def main(arguments: list[str]) -> int:
    """Measure, and return the exit status."""
    asked = parse(Cost, "cost", arguments, description=__doc__ or "")
    for option, least, example in (
        ("batch", 64 if asked.batch is None else asked.batch, "64"),
        ("outputs", 10 if asked.outputs is None else asked.outputs, "10"),
        ("shape", min(asked.shape, default=1), "1 28 28"),
    ):
        if least < 1:
            raise UserError(f"cost: --{option}: found {least}, expected 1 or more; type: --{option} {example}")

    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

    from hyperplane import api, discovery, nets
    from hyperplane.cli.blocks.screen import write_line
    from hyperplane.data.blocks.problems import expect_no_weights
    from hyperplane.runs.records import finite

    if (Path(asked.net) / "recipe.json").is_file():
        trained = api.load(asked.net).trained
        net, shape = trained.model.net, trained.description.shapes[trained.description.input]
    else:
        expect_no_weights(Path(asked.net), "a net or a run folder")
        shape = asked.shape or nets.usual_shape(asked.net)
        outputs = asked.outputs or discovery.load("nets", asked.net).EXAMPLE["outputs"]
        net = api.net(asked.net, classes=outputs, shape=shape)
    found = api.cost(net, shape, batch=asked.batch, device=asked.device)
    how: dict[str, Any] = {"batch": found.batch, "device": asked.device}
    races = [api.ways(net, shape, precision=number, **how) for number in ("float32", "bfloat16") if asked.ways]
    if asked.json:
        tried = {"ways": [dataclasses.asdict(way) for way in _ways(races)]} if asked.ways else {}
        write_line(json.dumps(finite({**dataclasses.asdict(found), **tried})))
        return 0
    table = Table(box=None, pad_edge=False, show_header=False, title=f"{asked.net} for inputs of {shape}")
    table.title_justify, table.title_style = "left", "bold"
    table.add_column("what")
    table.add_column("how much", justify="right")
    table.add_row("parameters", f"{found.parameters:,}")
    table.add_row("their size", _size(found.parameter_bytes))
    table.add_row("operations a sample, forward", f"{found.flops:,} FLOPs")
    table.add_row("kept for the backward pass, a sample", _size(found.activation_bytes))
    table.add_row(f"forward, batch of {found.batch}", f"{found.forward_ms:.2f} ms")
    table.add_row(f"forward and backward, batch of {found.batch}", f"{found.step_ms:.2f} ms")
    table.add_row("measured on", found.hardware)
    say = Console(highlight=False, markup=False).print
    say(table)
    if asked.ways:
        say("")
        say(_compared(races, found.batch))
        for missing in {way.name: way for one in races for way in one.missing}.values():
            say(f"no {missing.name}: {missing.why}")
    return 0


def _ways(races: list[Race]) -> list[Tried]:
    return [races[0].plain, *(way for one in races for way in one.tried)]


def _compared(races: list[Race], batch: int) -> Table:
    """Return the ways side by side."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=f"ways to predict, batch of {batch}")
    table.title_justify, table.title_style = "left", "bold"
    for column in ("way", "ms", "x plain", "largest difference"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for one in races:
        for way in [one.plain, *one.tried] if one is races[0] else one.tried:
            if way.why:
                table.add_row(way.name, "", "", f"refused: {way.why}")
            else:
                faster = one.plain.seconds / way.seconds
                table.add_row(way.name, f"{way.seconds * 1000:.2f}", f"{faster:.2f}", f"{way.difference:.1e}")
    return table


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    raise AssertionError
