"""What `hyperplane lecture` draws on the terminal: each claim as it is settled, and what is being computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from hyperplane.cli.blocks.screen import console
from hyperplane.lecture.claims import Claims
from hyperplane.lecture.findings import Verdict, verdict
from hyperplane.lecture.report import Row, duration, number, with_unit
from hyperplane.lecture.running import Begun, Done, Event, Missed, Said

STYLES: dict[Verdict, str] = {"beaten": "bold blue", "reached": "blue", "holds": "blue", "not reached": "bold red",
                              "refuted": "bold red"}  # fmt: skip


class ExperimentsScreen:
    """Draws the events of experiments."""

    def __init__(self, claims: Claims, out: Path) -> None:
        self.claims, self.out = {claim.id: claim for claim in claims.claims}, out
        self.console = console()
        self.progress = Progress(
            TextColumn("experiments"),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
            console=self.console,
        )
        self.bar = self.progress.add_task("", total=None, said="")
        self.name, self.number = "", 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Begun):
            self.name, self.number = event.experiment, event.number
            self.progress.update(self.bar, total=event.of, completed=event.number - 1, said=self.name)
            self.progress.start()
        elif isinstance(event, Said):
            self.progress.update(self.bar, said=f"{self.name}: {event.text}")
        elif isinstance(event, Done):
            self._tell(event)
            self.progress.update(self.bar, completed=self.number, said="")
        else:
            self._miss(event)
            self.progress.update(self.bar, completed=self.number, said="")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self.progress.live.is_started:
            self.progress.update(self.bar, said="")
            self.progress.stop()

    def stopped(self) -> None:
        """Say that what is finished is kept."""
        self.close()
        self.console.print("stopped; what is finished is kept; to go on, type the same command")

    def finish(self, rows: Sequence[Row], wrong: Sequence[Row], report: Path) -> None:
        """Say what was found in all, and where the report is."""
        counted: dict[str, int] = {}
        for row in rows:
            counted[row.verdict] = counted.get(row.verdict, 0) + 1
        self.console.print(f"claims    {', '.join(f'{count} {word}' for word, count in counted.items())}")
        for row in wrong:
            self.console.print(f"wrong     {row.claim.id}: {row.claim.claim}", style="bold red")
        self.console.print(f"report    {report}", style="bold")

    def _tell(self, event: Done) -> None:
        stored = event.stored
        how = duration(stored.seconds) if event.again else "kept from before"
        self.console.print(f"{stored.experiment} ({stored.size}, {how})", style="dim")
        order = list(self.claims)
        for finding in sorted(stored.outcome.findings, key=lambda f: order.index(f.claim)):
            claim = self.claims[finding.claim]
            word = verdict(claim, finding)
            ours = ""
            if finding.ours is not None and claim.value is not None:
                ours = f"{number(claim.value)} → {with_unit(finding.middle(claim), claim.unit)}  "
            self.console.print(Text.assemble("  ", (f"{word:12}", STYLES.get(word, "dim")), ours, claim.claim))

    def _miss(self, event: Missed) -> None:
        self.console.print(f"{event.experiment} (skipped)", style="dim")
        self.console.print(f"  {event.reason}", style="yellow")
