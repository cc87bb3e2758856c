"""One run, from a complete recipe and its data to a complete run folder."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import JUDGES, Description, Source, Split
from hyperplane.engine import checkpoints, environment, evaluation, fine_tuning, model, precision, solvers
from hyperplane.engine.events import Finished, Started, Stepped, Validated, Watch
from hyperplane.engine.feed import Feed
from hyperplane.engine.loop import Loop, Record, most_steps
from hyperplane.engine.parallel import Processes, processes
from hyperplane.engine.precision import Precision
from hyperplane.engine.snapshots import Snapshots, worth_keeping
from hyperplane.engine.solving import SolverLoop
from hyperplane.errors import UserError
from hyperplane.recipe import SOLVERS, Recipe
from hyperplane.runs import report
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import Environment, Wrong
from hyperplane.tasks.blocks import figures

WORST = 24
"""Samples with the greatest loss that the report shows."""


def fit(
    recipe: Recipe,
    source: Source,
    path: Path,
    command: str,
    *,
    overwrite: bool = False,
    resume: bool = False,
    watch: Watch = lambda event: None,
) -> None:
    """Train what the recipe says into a run folder.

    Arguments: a complete recipe; the data it names; the folder; what the user typed; whether it may replace a run that
    is there; whether it goes on with the run that is there, from its last checkpoint; who is told.
    Raises UserError (something is in the way, a loss that is not finite, a full disk, a batch that the processes cannot
    share) and Interrupted. Nothing that is there is touched before net, task and hardware have been accepted, and a new
    run that cannot make its first step leaves no folder behind.
    """
    with processes(recipe.hardware.device) as here, stop_wanted() as wanted:
        folder = RunFolder(path)
        goes_on = resume and (folder.checkpoint / checkpoints.MANIFEST).is_file()
        run = _Run(recipe, source, folder, here, wanted, watch if here.leads else lambda event: None, goes_on)
        if resume:
            run.restore()
            if here.leads:
                folder.write_recipe(recipe)  # which may leave out bad files now
        elif here.leads:
            RunFolder.create(path, overwrite).write_recipe(recipe)
        run.complete(command, new=not resume)
        here.wait()  # until the folder is whole for all


def judged(description: Description) -> Split:
    """Return the split that judges a net: test, or where it is empty validation, or the training split itself."""
    return next(split for split in JUDGES if description.splits.get(split))


class _Run:
    """What the steps of completing a run share."""

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        folder: RunFolder,
        here: Processes,
        wanted: Callable[[], bool],
        watch: Watch,
        goes_on: bool,
    ) -> None:
        training = recipe.training
        assert training.batch is not None and training.epochs is not None, "the recipe was completed before"
        solves = recipe.optimizer.name in SOLVERS
        if training.batch % here.world and not solves:
            raise UserError(
                f"training.batch: found {training.batch}, expected a multiple of the {here.world} processes; "
                f"type: --training.batch {-(-training.batch // here.world) * here.world}"
            )
        self.recipe, self.source, self.folder, self.here, self.watch = recipe, source, folder, here, watch
        self.description = source.description
        self.model = model.build(recipe, self.description)
        if getattr(self.model.task, "STEERS", False) and recipe.net.start is None:
            raise UserError(f"task {recipe.task.name}: goes on with a trained net, and none is named; type: --from RUN")
        self.parameters = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        told = () if goes_on else fine_tuning.begin(self.model, recipe, self.description)
        told += fine_tuning.freeze(self.model, recipe, self.description)
        if goes_on:
            self.description = folder.read_description()
        elif told:
            self.description = replace(self.description, notes=(*self.description.notes, *told))
        self.precision = precision.choose(recipe.hardware, self.model, here.local_rank)
        splits = source.description.splits
        validation = self.feed("validation") if splits.get("validation") else None
        if validation is None and training.patience is not None:
            raise UserError("training.patience: needs a validation split, and there is none; add --data.validation 0.1")
        practice = getattr(self.model.task, "practice", None)
        train = self.feed("train", source=None if practice is None else practice(source))
        prepare = getattr(self.model.net, "prepare", None)
        if prepare is not None and recipe.net.start is None and not goes_on:
            prepare(next(iter(train.walk()))[self.model.judge.input].cpu())
        steps = solvers.most_steps(recipe) if solves else most_steps(training, train.per_epoch(training.batch))
        filmed = here.leads and worth_keeping(self.model, source.description)
        self.snapshots = Snapshots(folder.history, steps, ends_early=solves) if filmed else None
        self.loop: Loop | SolverLoop = (
            SolverLoop(recipe, self.model, train, validation, folder.checkpoint, self.record, wanted, self.snapshots)
            if solves
            else Loop(
                *(recipe, self.model, train, validation, here, folder.checkpoint, self.record, wanted),
                snapshot=self.snapshots,
            )
        )

    def feed(self, split: Split, numbers: Precision | None = None, source: Source | None = None) -> Feed:
        data, source = self.recipe.data, source or self.source
        return Feed(source, split, numbers or self.precision, data.workers, data.memory_gb, self.here)

    def restore(self) -> None:
        """Go on from the last checkpoint, on as many threads: sums over another number round otherwise."""
        if self.folder.environment.is_file():
            torch.set_num_threads(self.folder.read_environment().threads)
        self.loop.restore()

    def complete(self, command: str, *, new: bool) -> None:
        """Train to the end, judge the net, and write what is left to write; a `new` run without a step is deleted."""
        if self.here.leads:
            self.folder.write_description(self.description)
            if (listing := getattr(self.source, "listing", None)) is not None:
                self.folder.write_listing(listing)
            self.folder.write_environment(self.environment(command))
            self.folder.truncate_metrics(self.loop.state.step)
            if self.snapshots is not None:
                self.snapshots.forget_after(self.loop.state.step)
        self.watch(self.started())
        try:
            self.loop.run()
        except UserError:
            if new and self.here.leads and self.loop.state.step == 0:
                self.folder.remove()
            raise
        split = judged(self.source.description)
        gathered = evaluation.statistics(self.model, self.feed(split, self.precision.exact()))
        if self.here.leads:
            self.finish(split, gathered)

    def record(self, record: Record) -> None:
        """Write one record of the loop and tell whoever watches."""
        if not self.here.leads:
            return
        self.folder.append_metrics(record)
        if record["kind"] == "step":
            self.watch(Stepped(record["step"], record["epoch"], record["loss"]))
        else:
            values = {name: value for name, value in record.items() if name not in ("kind", "step", "epoch")}
            self.watch(Validated(record["step"], record["epoch"], values))

    def environment(self, command: str) -> Environment:
        """Return where this run is trained; a resumed run was started when and as it was first."""
        now = environment.describe(self.precision, command)
        if not self.folder.environment.is_file():
            return now
        first = self.folder.read_environment()
        return replace(now, command=first.command, started=first.started)

    def started(self) -> Started:
        return Started(
            self.folder.path,
            self.recipe,
            self.description,
            self.model.judge.METRICS,
            self.parameters,
            f"{self.precision.device}, {environment.threads()}, {self.precision}",
            self.loop.state.step,
            self.loop.steps,
        )

    def finish(self, split: Split, gathered: dict[str, Tensor]) -> None:
        """Write weights, judgement, pictures, report, and last the manifest that makes the folder a finished run."""
        folder, metrics, seconds = self.folder, evaluation.measure(self.model.judge, gathered), self.loop.seconds
        samples = len(gathered["loss_B"])
        folder.write_model(self.model.state_dict())
        folder.write_evaluation(gathered, split)
        folder.append_metrics(
            {
                "kind": "result",
                "split": split,
                "samples": samples,
                "metrics": {name: {"value": m.value, "low": m.low, "high": m.high} for name, m in metrics.items()},
                "seconds": seconds,
                "parameters": self.parameters,
                "steps": self.loop.state.step,
            }
        )
        folder.plots.mkdir(exist_ok=True)
        for name, figure in self.model.judge.draw(gathered).items():
            figures.save(figure, folder.plots / f"{name}.svg")
        self.keep_worst(split, gathered)
        outcome = self.loop.outcome() if isinstance(self.loop, SolverLoop) else None
        if outcome is not None:
            folder.write_outcome(outcome)
        written = report.write(folder.path)
        folder.finish()
        kinds = self.model.judge.METRICS
        self.watch(Finished(folder.path, split, samples, metrics, kinds, seconds, written, outcome))

    def keep_worst(self, split: Split, gathered: dict[str, Tensor]) -> None:
        """Write the samples with the greatest loss as a person sees them."""
        order = gathered["loss_B"].argsort(descending=True, stable=True)[:WORST].tolist()
        task = self.model.judge
        told = task.tell(gathered, order)
        worst = []
        for rank, (index, said) in enumerate(zip(order, told, strict=True)):
            shown = self.source.show(split, index)
            picture = None
            if isinstance(shown, Image.Image):
                picture = f"plots/worst/{rank:03d}.png"
                (folder := self.folder.path / "plots" / "worst").mkdir(parents=True, exist_ok=True)
                shown.save(folder / f"{rank:03d}.png")
            name, loss = self.source.sample_name(split, index), gathered["loss_B"][index].item()
            row = shown if isinstance(shown, dict) else None
            worst.append(Wrong(name, said.truth, said.prediction, loss, said.confidence, picture, row))
        self.folder.write_worst(worst)


@contextmanager
def stop_wanted() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C and a polite kill end the run after the step that is under way; a second Ctrl-C ends it at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
