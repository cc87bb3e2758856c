"""Say what a net costs on this machine: parameters, operations, memory, time."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError


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

    from hyperplane import api, discovery
    from hyperplane.cli.blocks.screen import write_line

    if (Path(asked.net) / "recipe.json").is_file():
        trained = api.load(asked.net).trained
        net, shape = trained.model.net, trained.description.shapes[trained.description.input]
    else:
        example = discovery.load("nets", asked.net).EXAMPLE
        shape = asked.shape or example["shape"]
        net = api.net(asked.net, classes=asked.outputs or example["outputs"], shape=shape)
    found = api.cost(net, shape, batch=asked.batch, device=asked.device)
    if asked.json:
        write_line(json.dumps(dataclasses.asdict(found)))
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
    Console(highlight=False, markup=False).print(table)
    return 0


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    raise AssertionError
