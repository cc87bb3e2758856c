"""Test the lecture's claims, and report every number beside the lecture's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hyperplane.cli import STOPPED
from hyperplane.cli.blocks.arguments import parse

if TYPE_CHECKING:
    from hyperplane.lecture.report import Row

DESCRIPTION = """Test the lecture's claims, and report every number beside the lecture's.

$ hyperplane lecture
$ hyperplane lecture --quick
$ hyperplane lecture --chapter linear
$ hyperplane lecture --claim mlp-weights-125 mlp-bypass --overwrite
$ hyperplane lecture --list

Each experiment's result is kept when it is finished, so that the same command goes on where it was stopped.
Exit status: 0 when all was run, 1 where a claim that hyperplane asserts does not hold, 2 for a mistake in the
command."""
CLAIM_FAILED = 1


@dataclass(frozen=True)
class Lecture:
    """Which claims, and how thoroughly."""

    chapter: tuple[str, ...] = ()
    """Chapters; all that have experiments where neither these nor claims are given."""
    claim: tuple[str, ...] = ()
    """Claims by their names, as --list has them."""
    quick: bool = False
    """Run small experiments, in minutes; these can reach a number, but not refute a claim."""
    list: bool = False
    """Show the claims and what was found of them, and run nothing."""
    out: Path = Path("lecture")
    """Where results, figures, runs and the report go."""
    overwrite: bool = False
    """Compute again what is kept."""
    download: bool = False
    """Fetch a known set that is not here, and check its hash."""


def main(arguments: list[str]) -> int:
    """Test the claims, and return the exit status."""
    asked = parse(Lecture, "lecture", arguments, description=DESCRIPTION)

    from hyperplane.lecture import claims, report
    from hyperplane.lecture.folder import LectureFolder

    known, folder = claims.load(), LectureFolder(asked.out)
    chosen = known.chosen(asked.chapter, asked.claim)
    folder.expect_ours()
    if asked.list:
        _show(report.rows(chosen, folder, {}))
        return 0

    from hyperplane.cli.blocks.experiments import ExperimentsScreen
    from hyperplane.engine.loop import Interrupted
    from hyperplane.lecture import running

    screen = ExperimentsScreen(known, asked.out)
    skipped: dict[str, str] = {}
    try:
        skipped = running.run(
            chosen,
            folder,
            "quick" if asked.quick else "full",
            overwrite=asked.overwrite,
            download=asked.download,
            watch=screen,
        )
    except (KeyboardInterrupt, Interrupted):
        screen.stopped()
        return STOPPED
    finally:
        screen.close()
        found = report.write(known, folder, skipped) if folder.marker.is_file() else []
    ids = {claim.id for claim in chosen}
    wrong = report.failed([row for row in found if row.claim.id in ids])
    screen.finish([row for row in found if row.claim.id in ids], wrong, folder.report)
    return CLAIM_FAILED if wrong else 0


def _show(rows: list[Row]) -> None:
    """Write the claims and what was found of them to standard output."""
    from hyperplane.cli.blocks.screen import write_line

    width = max(len(row.claim.id) for row in rows)
    for row in rows:
        numbers = f"{row.lecture} → {row.ours}" if row.lecture and row.ours else row.lecture
        write_line(f"{row.claim.id:{width}}  {row.verdict:11}  {numbers}".rstrip())
        write_line(f"  {row.claim.claim}")
