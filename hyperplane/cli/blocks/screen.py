"""What verbs draw on the terminal: a run as it learns, and tables of numbers."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hyperplane.contracts import Measured, Metric
from hyperplane.engine.events import Event, Explaining, Finished, Started, Stepped, Unexplained, Validated
from hyperplane.recipe import SOLVERS


def console() -> Console:
    """Return the terminal that people read; programs read standard output. Brackets in names are no markup."""
    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


class TrainingScreen:
    """Draws a run's events: what is trained, a bar with the loss and the first metric, and how good it got."""

    def __init__(self) -> None:
        self.console = console()
        self.metric: Metric | None = None
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
        )
        self.loss = self.score = ""
        self.writes = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._start(event)
        elif isinstance(event, Stepped):
            self.loss = f"loss {event.loss:.4g}"
            self.progress.update(self.bar, completed=event.step, said=f"{self.loss} {self.score}")
        elif isinstance(event, Validated):
            assert self.metric is not None
            self.score = f"· {self.metric.name.replace('_', ' ')} {shown(event.values[self.metric.name], self.metric)}"
            self.progress.update(self.bar, completed=event.step, said=f"{self.loss} {self.score}")
        elif isinstance(event, Explaining):
            self._fill()
            self.progress.update(self.bar, said="drawing what it learned")
        elif isinstance(event, Unexplained):
            self.console.print(f"note: what it learned was not drawn ({event.why})", style="yellow")
        else:
            self._finish(event)

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self.progress.live.is_started:
            self.progress.stop()

    def _start(self, event: Started) -> None:
        data, recipe, say = event.description, event.recipe, self.console.print
        self.metric = event.metrics[0]
        splits = ", ".join(f"{length:,} {name}" for name, length in data.splits.items())
        what = f"predicting {', '.join(data.target_names)}" if data.target_names else "no labels"
        what = f"{len(data.classes)} classes" if data.classes else what
        self.writes = data.kind == "text"
        if self.writes:
            what = "predicting the next token" if data.target == "target_BT" else "answering prompts"
        optimizer, training = recipe.optimizer, recipe.training
        say(str(event.path), style="bold")
        say(f"  data      {data.name} ({data.format}): {splits}; {what}")
        for note in data.notes:
            say(f"            {note}", style="yellow")
        say(f"  net       {recipe.net.name}, {event.parameters:,} weights")
        say(f"  task      {recipe.task.name}")
        epochs = f"{training.epochs} epoch{'s' * (training.epochs != 1)}"
        how = f"{epochs} of batches of {training.batch}, {optimizer.name}"
        if optimizer.name in SOLVERS:
            restarts = f"{optimizer.restarts} restarts of " * (optimizer.restarts != 1)
            how = f"{restarts}{optimizer.name} on all samples at once, at most {training.epochs:,} iterations"
            how += f", weight decay {optimizer.weight_decay:.3g}" if optimizer.weight_decay else ""
        else:
            how += f", learning rate {optimizer.learning_rate:g}, {recipe.schedule.name}"
        say(f"  training  {how}, seed {recipe.seed}")
        say(f"  hardware  {event.hardware}")
        if event.step:
            say(f"  resumed   at step {event.step:,} of {event.steps:,}")
        self.bar = self.progress.add_task("", total=event.steps, completed=event.step, said="")
        self.progress.start()

    def _fill(self) -> None:
        self.progress.update(self.bar, completed=self.progress.tasks[self.bar].total)

    def _finish(self, event: Finished) -> None:
        self._fill()  # a solver stops before its most iterations
        self.stop()
        assert self.metric is not None
        judged = f"{event.samples:,} {event.split} sample{'s' * (event.samples != 1)}"
        self.console.print(metrics_table(event.metrics, event.kinds, judged))
        self.console.print(f"trained in {event.seconds:.1f} s")
        for number, sentence in enumerate(event.outcome.sentences() if event.outcome is not None else ()):
            self.console.print(f"{'ended' if number == 0 else '':10}{sentence}")
        self.console.print(f"report    {event.report}")
        path = shlex.quote(str(event.path))
        self.console.print(f"next      hyperplane {f'generate {path}' if self.writes else f'predict {path} FILE'}")
        self.console.print(str(event.path), style="bold")


def shown(value: float, metric: Metric) -> str:
    """Return a metric's value with its unit; a dash for one that these samples do not have."""
    if math.isnan(value):
        return "–"
    if metric.unit == "%":
        return f"{100 * value:.2f}%"
    digits = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.6g}" if value > 0.999 else f"{value:.4g}"
    return digits + (f" {metric.unit}" if metric.unit not in ("", "target") else "")


def metrics_table(metrics: Mapping[str, Measured], kinds: Sequence[Metric], caption: str) -> Table:
    """Return a table of metrics with their 95% intervals."""
    table = Table(box=None, pad_edge=False, title=caption, title_justify="left", title_style="bold")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("95% interval", justify="right")
    for kind in kinds:
        m = metrics[kind.name]
        interval = "–" if math.isnan(m.low) else f"{shown(m.low, kind)} – {shown(m.high, kind)}"
        table.add_row(kind.name.replace("_", " "), shown(m.value, kind), interval)
    return table


T = TypeVar("T")


def counted(what: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Yield the items; where standard output goes to a file, draw on the terminal how many of them are done."""
    if sys.stdout.isatty() or not sys.stderr.isatty():
        yield from items
        return
    columns = (TextColumn(what), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console(), transient=True, redirect_stdout=False) as progress:
        yield from progress.track(items, total=total)


def write_line(text: str) -> None:
    """Write one line for programs to standard output, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
