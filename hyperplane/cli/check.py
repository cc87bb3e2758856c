"""Name every bad thing in a data set: broken files, missing values, wrong labels."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe


@dataclass(frozen=True)
class Check:
    """What is checked."""

    source: tyro.conf.Positional[str]
    """A file, a folder or a known set."""
    target: str | None = None
    """The column to predict; for tables."""
    format: str = "auto"
    """The data format (hyperplane list data), or auto to look."""
    json: bool = False
    """Write one JSON object to standard output."""


def main(arguments: list[str]) -> int:
    """Check, and return the exit status: 0 where nothing is wrong, 2 where something is."""
    asked = parse(Check, "check", arguments, description=__doc__ or "")

    from rich.console import Console

    from hyperplane import data
    from hyperplane.cli.blocks.screen import write_line

    recipe = DataRecipe(source=asked.source, target=asked.target, format=asked.format)
    format, reason = data.look(recipe)
    problems = data.check(recipe)
    description = None if problems else data.open(recipe).description
    if asked.json:
        found = {
            "format": format,
            "reason": reason,
            "problems": [dataclasses.asdict(p) for p in problems],
            "description": dataclasses.asdict(description) if description else None,
        }
        write_line(json.dumps(found))
        return 2 if problems else 0
    say = Console(highlight=False, soft_wrap=True, markup=False).print
    say(f"{asked.source}: {format} ({reason})")
    for problem in problems:
        say(f"  {problem}", style="red")
    if description is None:
        raise UserError(f"{asked.source}: {len(problems)} problem{'s' * (len(problems) > 1)}, named above")
    say("  " + ", ".join(f"{length:,} {name}" for name, length in description.splits.items()))
    what = (
        f"{len(description.classes)} classes: {', '.join(description.classes)}"
        if description.classes
        else f"predicts {', '.join(description.target_names) or 'the next token'}"
    )
    say(f"  {what}")
    for note in description.notes:
        say(f"  {note}", style="yellow")
    say("  nothing is wrong")
    return 0
