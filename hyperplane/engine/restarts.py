"""Fitting a small net to its limit: many restarts of Levenberg-Marquardt, as a loop that runs like the other one."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from hyperplane import nets
from hyperplane.contracts import Batch
from hyperplane.engine import checkpoints
from hyperplane.engine.chance import generator, seeded
from hyperplane.engine.feed import Feed
from hyperplane.engine.loop import Interrupted, Record
from hyperplane.engine.model import Model
from hyperplane.engine.second_order import GOING, REASONS, LevenbergMarquardt
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe

MOST_WEIGHTS = 5000
"""JᵀJ has the square of this many numbers, for each restart."""
BIAS_STD = 0.5
"""Of the biases that a restart begins with: were they 0, every plane would go through the origin."""


@dataclass
class State:
    """Where a run is, besides its tensors."""

    step: int = 0
    """Iterations made."""
    seconds: float = 0.0
    """Spent in training, before this process began."""
    recipe: str = ""
    """SHA-256 of the recipe, so that no other goes on with it."""


class RestartsLoop:
    """Many restarts of one small net on a whole split at once; the one with the least loss is kept."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        train: Feed,
        checkpoint: Path,
        record: Callable[[Record], None],
        wanted: Callable[[], bool] = lambda: False,
    ) -> None:
        """Set up a run; the arguments are those of `Loop`. Raises UserError where the solver cannot serve."""
        assert recipe.training.epochs is not None, "the recipe was completed before"
        self.recipe, self.model, self.train, self.folder = recipe, model, train, checkpoint
        self.record, self.wanted = record, wanted
        self.steps = recipe.training.epochs
        self.state = State(recipe=checkpoints.digest(recipe))
        self.begun: float | None = None
        self.saved = 0.0
        train.precision.settle(model)
        self._expect_small_and_squared()
        self.solver: LevenbergMarquardt | None = None

    def run(self) -> None:
        """Train to the end, or raise Interrupted where it was asked to stop."""
        self.begun = self.saved = time.monotonic()
        solver = self._solver()
        while solver.going and solver.iterations < self.steps:
            solver.step()
            self.state.step = solver.iterations
            self._record(solver)
            due = time.monotonic() - self.saved >= self.recipe.training.checkpoint_seconds
            if due or self.wanted():
                self.save()
            if self.wanted():
                path = shlex.quote(str(self.folder.parent))
                raise Interrupted(f"stopped; nothing is lost; to go on, type: hyperplane train --resume {path}")
        self.save()
        self._put(solver.weights_RP[solver.best])
        self.state.seconds, self.begun = self.seconds, None

    @property
    def outcome(self) -> dict[str, Any]:
        """Return what the restarts came to: the losses in order, how many reached the least, why they stopped."""
        solver = self._solver()
        ended = Counter("the iterations are used up" if r == GOING else REASONS[r] for r in solver.reason_R.tolist())
        return {
            "loss": solver.loss_R.sort().values.tolist(),
            "reached": solver.reached,
            "restarts": len(solver.loss_R),
            "ended because": dict(ended.most_common()),
        }

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
        try:
            self._solver().load(tensors, self.state.step)
        except (KeyError, RuntimeError) as error:
            told = " ".join(str(error).split())[:160]
            raise UserError(f"{self.folder}: does not fit its recipe ({told}); start again with --overwrite") from error

    def _record(self, solver: LevenbergMarquardt) -> None:
        best = solver.best
        self.record(
            {
                "kind": "step",
                "step": solver.iterations,
                "epoch": float(solver.iterations),
                "loss": solver.loss_R[best].item(),
                "learning_rate": 1 / (1 + solver.damping_R[best].item()),
                "seconds": self.seconds,
            }
        )

    def _expect_small_and_squared(self) -> None:
        weights = sum(p.numel() for p in self.model.net.parameters())
        if not hasattr(self.model.task, "residuals"):
            name = self.recipe.task.name
            raise UserError(
                f"optimizer.name: levenberg-marquardt needs a squared loss, and task {name} has none; "
                "type: --optimizer.name adamw"
            )
        if weights > MOST_WEIGHTS:
            raise UserError(
                f"optimizer.name: levenberg-marquardt found {weights:,} weights, expected at most {MOST_WEIGHTS:,}; "
                "type: --optimizer.name adamw"
            )
        if self.train.processes.world > 1:
            raise UserError("optimizer.name: levenberg-marquardt runs in one process; start it without torchrun")

    def _solver(self) -> LevenbergMarquardt:
        """Return the solver over the whole training split, made when it is first asked for."""
        if self.solver is None:
            batch = self._whole()
            self.model.net.eval()
            named = dict(self.model.net.named_parameters())
            sizes = [p.numel() for p in named.values()]

            def residual_N(weights_P: Tensor, fields: dict[str, Tensor]) -> Tensor:
                parts = zip(named, weights_P.split(sizes), strict=True)
                chosen = {name: part.view_as(named[name]) for name, part in parts}
                some = Batch(fields, batch.index_B)
                said_BK = functional_call(self.model.net, chosen, (some[self.model.judge.input],))  # pyright: ignore
                return self.model.task.residuals(said_BK, some).flatten()  # pyright: ignore[reportCallIssue]

            def one(weights_P: Tensor, fields: dict[str, Tensor]) -> Tensor:
                return residual_N(weights_P, {name: value[None] for name, value in fields.items()})

            per_sample = vmap(jacrev(one), in_dims=(None, 0))
            self.solver = LevenbergMarquardt(
                vmap(lambda w: residual_N(w, batch.fields)),
                vmap(lambda w: per_sample(w, batch.fields).flatten(0, 1)),
                torch.stack([self._start(r) for r in range(self.recipe.optimizer.restarts)]),
            )
        return self.solver

    def _whole(self) -> Batch:
        pieces = list(self.train.walk())
        fields = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0].fields}
        return Batch(fields, torch.cat([piece.index_B for piece in pieces]))

    def _start(self, restart: int) -> Tensor:
        """Return the weights that a restart begins with: the net's own, but biases that are not 0."""
        description, recipe = self.train.source.description, self.recipe
        shape = description.shapes[description.input]
        with seeded(recipe.seed, f"restart {restart}"):
            net = nets.build(recipe.net.name or "", shape, self.model.judge.outputs, recipe.net.options)
        chance = generator(recipe.seed, "biases", restart)
        for p in net.parameters():
            if p.ndim == 1:
                nn.init.normal_(p, std=BIAS_STD, generator=chance)
        weights = [p.detach().to(self.train.precision.device).double().flatten() for p in net.parameters()]
        return torch.cat(weights)

    def _put(self, weights_P: Tensor) -> None:
        named = list(self.model.net.parameters())
        with torch.no_grad():
            for p, part in zip(named, weights_P.split([p.numel() for p in named]), strict=True):
                p.copy_(cast(Tensor, part).view_as(p))
