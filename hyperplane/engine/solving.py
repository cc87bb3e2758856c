"""The loop around a solver, which sees the whole training split at once: records, checkpoints, resuming, Ctrl-C."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from hyperplane.contracts import Batch
from hyperplane.engine import checkpoints, evaluation, solvers
from hyperplane.engine.feed import Feed
from hyperplane.engine.loop import Interrupted, Record
from hyperplane.engine.model import Model
from hyperplane.engine.snapshots import Weights
from hyperplane.engine.solvers import Solver
from hyperplane.recipe import Recipe
from hyperplane.runs.records import Outcome


@dataclass
class State:
    """Where a run is, besides its tensors."""

    step: int = 0
    """Iterations made."""
    seconds: float = 0.0
    """Spent in training, before this process began."""
    recipe: str = ""
    """SHA-256 of the recipe, so that no other goes on with it."""


class SolverLoop:
    """One fit from a step to its end; it runs like the other loop, a step being an iteration and an epoch."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        train: Feed,
        validation: Feed | None,
        checkpoint: Path,
        record: Callable[[Record], None],
        wanted: Callable[[], bool] = lambda: False,
        snapshot: Callable[[int, Weights], None] | None = None,
    ) -> None:
        """Set up a run; the arguments are those of `Loop`. Raises UserError where the solver cannot serve."""
        self.recipe, self.model, self.train, self.validation = recipe, model, train, validation
        self.folder, self.record, self.wanted, self.snapshot = checkpoint, record, wanted, snapshot
        solvers.expect_suited(recipe, model, train.processes.world)
        self.steps = solvers.most_steps(recipe)
        self.state = State(recipe=checkpoints.digest(recipe))
        self.begun: float | None = None
        self.saved = 0.0
        train.precision.settle(model)
        self.made: Solver | None = None

    def run(self) -> None:
        """Train to the end, or raise Interrupted where it was asked to stop."""
        self.begun = self.saved = time.monotonic()
        solver = self._solver()
        self._show(solver)
        while solver.going:
            solver.step()
            self.state.step = solver.iterations
            self._record(solver)
            self._show(solver)
            last = not solver.going
            if self.validation is not None and (last or solver.iterations % self.recipe.training.evaluate_every == 0):
                self._look(solver, self.validation)
            due = time.monotonic() - self.saved >= self.recipe.training.checkpoint_seconds
            if due or self.wanted():
                self.save()
            if self.wanted():
                path = shlex.quote(str(self.folder.parent))
                raise Interrupted(f"stopped; nothing is lost; to go on, type: hyperplane train --resume {path}")
        self.save()
        self.model.load_state_dict(solver.weights(), strict=False)
        self.state.seconds, self.begun = self.seconds, None

    def outcome(self) -> Outcome:
        """Return what the fit came to."""
        return self._solver().outcome()

    @property
    def seconds(self) -> float:
        """Return the seconds spent in training so far, over all resumptions."""
        return self.state.seconds + (time.monotonic() - self.begun if self.begun is not None else 0.0)

    def save(self) -> None:
        """Write a checkpoint of the run as it is."""
        state = {**asdict(self.state), "seconds": self.seconds}
        checkpoints.save(self.folder, self._solver().tensors(), state)
        self.saved = time.monotonic()

    def restore(self) -> None:
        """Go on from the last checkpoint, if there is one; raises UserError where it is not one of this run."""
        found = checkpoints.resume(self.folder, self.state)
        if found is None:
            return
        tensors, self.state = found
        with checkpoints.fitting(self.folder):
            self._solver().load(tensors, self.state.step)

    def _record(self, solver: Solver) -> None:
        self.record(
            {
                "kind": "step",
                "step": solver.iterations,
                "epoch": float(solver.iterations),
                "loss": solver.loss,
                "learning_rate": solver.rate,
                "seconds": self.seconds,
            }
        )

    def _look(self, solver: Solver, validation: Feed) -> None:
        """Record how the best weights so far do on the validation split."""
        self.model.load_state_dict(solver.weights(), strict=False)
        gathered = evaluation.statistics(self.model, validation)
        values = {"loss": gathered["loss_B"].double().mean().item(), **self.model.judge.measure(gathered)}
        step = solver.iterations
        self.record({"kind": "validation", "step": step, "epoch": float(step), **values})

    def _show(self, solver: Solver) -> None:
        """Give whoever keeps snapshots the net's best weights so far."""

        def weights() -> dict[str, Tensor]:
            best = solver.weights()
            return {name: best.get(f"net.{name}", p) for name, p in self.model.net.named_parameters()}

        if self.snapshot is not None:
            self.snapshot(solver.iterations, weights)

    def _solver(self) -> Solver:
        """Return the solver over the whole training split, made when it is first asked for."""
        if self.made is None:
            held = None
            if self.validation is not None and self.recipe.optimizer.restarts != 1:
                held = _whole(self.validation)
            self.made = solvers.build(self.recipe, self.model, _whole(self.train), held)
        return self.made


def _whole(feed: Feed) -> Batch:
    pieces = list(feed.walk())
    fields = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0].fields}
    return Batch(fields, torch.cat([piece.index_B for piece in pieces]))
