"""Draw what a trained net learned: its boundary, hyperplanes, regions, surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from hyperplane.cli.blocks.arguments import parse


@dataclass(frozen=True)
class Explain:
    """Which run."""

    run: tyro.conf.Positional[Path]
    """A run folder."""
    png: bool = False
    """Write each figure as PNG as well as SVG."""


def main(arguments: list[str]) -> int:
    """Draw, and return the exit status."""
    asked = parse(Explain, "explain", arguments, description=__doc__ or "")

    from hyperplane import explain
    from hyperplane.cli.blocks.screen import write_line

    for path in explain.explain(asked.run, asked.png):
        write_line(str(path))
    return 0
