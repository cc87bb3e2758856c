"""List the nets, data formats and known sets, tasks and recipes that there are."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Literal

import tyro

from hyperplane import discovery
from hyperplane.cli.blocks.arguments import parse


@dataclass(frozen=True)
class List:
    """What is listed."""

    room: tyro.conf.Positional[Literal["nets", "data", "tasks", "recipes", "all"]] = "all"
    """Nets, data, tasks, recipes, or all of them."""
    json: bool = False
    """Write one JSON object to standard output."""


def main(arguments: list[str]) -> int:
    """List, and return the exit status."""
    asked = parse(List, "list", arguments, description=__doc__ or "")
    rooms = discovery.ROOMS if asked.room == "all" else (asked.room,)
    found = {room: list(discovery.entries(room).values()) for room in rooms}
    if asked.json:
        print(json.dumps({room: [dataclasses.asdict(entry) for entry in held] for room, held in found.items()}))
        return 0

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    for room, held in found.items():
        table = Table(box=None, pad_edge=False, show_header=False, title=room, title_justify="left", title_style="bold")
        for column in ("name", "what it is"):
            table.add_column(column, no_wrap=column == "name")
        for entry in held:
            also = f"\n[dim]{', '.join(entry.variants)}[/]" if entry.variants else ""
            by = f" [dim](from {escape(entry.origin)})[/]" if entry.origin != "hyperplane" else ""
            table.add_row(f"  {entry.name}", f"{escape(entry.summary)}{by}{also}")
        Console(highlight=False).print(table, "")
    return 0
