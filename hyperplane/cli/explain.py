"""Draw what a trained net learned: boundary and hyperplanes, or filters, maps, and what it sees in images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

if TYPE_CHECKING:
    from hyperplane.explain import Drawing, LeftOut

DESCRIPTION = """Draw what a trained net learned, into its run folder and its report; or why it says what of pictures.

$ hyperplane explain runs/points-region
$ hyperplane explain runs/mnist
$ hyperplane explain runs/pets photo.jpg
$ hyperplane explain runs/book letter.txt
$ hyperplane explain runs/roads runs/roads-cldice
$ hyperplane explain --worked figures"""


@dataclass(frozen=True)
class Explain:
    """Which run."""

    run: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="RUN")] = None
    """A run folder."""
    pictures: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PICTURE ...")] = ()
    """Pictures, or folders of them, to explain instead, for nets that sort images and transformers; a text file for
    language models; for nets of pixels further runs, whose errors are drawn on the same tiles."""
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

    terminal = console()
    with terminal.status("drawing") as status:

        def tell(event: Drawing | LeftOut) -> None:
            if isinstance(event, explain.Drawing):
                status.update(f"drawing {event.what}")
            else:
                terminal.print(f"note: without {event.what}: {event.why}", style="yellow")

        if asked.worked is not None:
            files = explain.write_worked(asked.worked, asked.png)
        elif asked.run is not None:
            files = [*explain.explain(asked.run, asked.pictures, asked.png, tell), RunFolder(asked.run).report]
        else:
            raise UserError("explain: found no run folder; name one, such as: hyperplane explain runs/points-region")
    for path in files:
        write_line(str(path))
    return 0
