"""Draw what a trained net learned: its boundary, hyperplanes, regions, surface, and a film of its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

DESCRIPTION = """Draw what a trained net learned, into its run folder and its report.

$ hyperplane explain runs/points-region
$ hyperplane explain --worked figures"""


@dataclass(frozen=True)
class Explain:
    """Which run."""

    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """A run folder."""
    png: bool = False
    """Write each figure as PNG as well as SVG."""
    worked: Path | None = None
    """Draw, into this folder, the lecture's worked figures of one, two and three hyperplanes instead of a run."""


def main(arguments: list[str]) -> int:
    """Draw, and return the exit status."""
    asked = parse(Explain, "explain", arguments, description=DESCRIPTION)
    if asked.run is not None and asked.worked is not None:
        raise UserError("explain: found a run folder and --worked, expected one of them; type the commands apart")

    from hyperplane import explain
    from hyperplane.cli.blocks.screen import console, write_line
    from hyperplane.runs.folder import RunFolder

    with console().status("drawing"):
        if asked.worked is not None:
            files = explain.write_worked(asked.worked, asked.png)
        elif asked.run is not None:
            files = [*explain.explain(asked.run, asked.png), RunFolder(asked.run).report]
        else:
            raise UserError("explain: found no run folder; name one, such as: hyperplane explain runs/points-region")
    for path in files:
        write_line(str(path))
    return 0
