"""The training loop: w ← w − rate · gradient of the batch's mean loss, and what is looked at along the way."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hyperplane.contracts import Batch, Output
from hyperplane.engine import checkpoints, evaluation, optimizers
from hyperplane.engine.augmentation import Augmentation, changes
from hyperplane.engine.averages import MovingAverage
from hyperplane.engine.chance import generator, mix
from hyperplane.engine.feed import Feed
from hyperplane.engine.model import Model
from hyperplane.engine.parallel import Processes
from hyperplane.engine.schedules import multiple
from hyperplane.engine.snapshots import Weights
from hyperplane.errors import UserError
from hyperplane.nets.blocks.chance import ChanceLayer
from hyperplane.recipe import Recipe, TrainingRecipe

LOG_STEPS = 50
"""Steps between two looks at the loss, at most: each look waits for the device."""

Record = dict[str, Any]


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop, and has written a checkpoint; its text says how to go on."""


@dataclass
class State:
    """Where a run is, besides its tensors."""

    step: int = 0
    """Steps made."""
    seconds: float = 0.0
    """Spent in training, before this process began."""
    best_loss: float | None = None
    """The least validation loss, where patience is limited."""
    best_step: int = 0
    """When it was."""
    stopped: bool = False
    """Whether patience ran out."""
    average_updates: int = 0
    """Of the moving average."""
    losses: tuple[float, ...] = ()
    """Of the steps since the last record."""
    recipe: str = ""
    """SHA-256 of the recipe, so that no other goes on with it."""


class Loop:
    """One run from a step to its end; everything it needs is given, so that it reads like what it does."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        train: Feed,
        validation: Feed | None,
        processes: Processes,
        checkpoint: Path,
        record: Callable[[Record], None],
        wanted: Callable[[], bool] = lambda: False,
        snapshot: Callable[[int, Weights], None] | None = None,
    ) -> None:
        """Set up a run.

        `record` is called with every record of metrics.jsonl; `wanted` says, between steps, whether to stop;
        `snapshot` is called with every step, the one before the first among them, and the net's weights there.
        """
        assert recipe.training.batch is not None and recipe.training.epochs is not None, (
            "the recipe was completed before"
        )
        self.recipe, self.model, self.train, self.validation = recipe, model, train, validation
        self.processes, self.folder, self.record, self.wanted = processes, checkpoint, record, wanted
        self.snapshot = snapshot
        self.precision = train.precision
        self.batch = recipe.training.batch
        self.per_epoch = train.per_epoch(self.batch)
        self.steps = most_steps(recipe.training, self.per_epoch)
        self.state = State(recipe=checkpoints.digest(recipe))
        self.precision.settle(model)
        self.wrapped = processes.wrap(model)
        self.optimizer = optimizers.build(recipe.optimizer, model)
        self.decay = optimizers.decay(recipe.optimizer, model)
        decay = recipe.training.ema
        self.average = MovingAverage(model, decay) if decay is not None else None
        self.best: dict[str, Tensor] = {}
        self.chance = generator(recipe.seed, "layers", device=self.precision.device)
        self.augment = None
        if changes(recipe.augment):
            self.augment = Augmentation(recipe.augment, model.judge.input, train.source.description, recipe.seed)
            self.augment.expect_read_by(model.net)
        layers = [layer for layer in model.modules() if isinstance(layer, ChanceLayer)]
        for layer in layers:
            layer.generator = self.chance
        self.draws = bool(layers) or self.augment is not None
        self.begun: float | None = None
        self.saved = 0.0

    def run(self) -> None:
        """Train to the end, or raise Interrupted where it was asked to stop, UserError where the loss is not finite."""
        state, training = self.state, self.recipe.training
        self.begun = self.saved = time.monotonic()
        if state.step < self.steps and not state.stopped:
            self._steps()
            self.save()
        if training.patience is not None and self.best:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.model.load_state_dict(self.average.tensors(), strict=False)
        self.state.seconds, self.begun = self.seconds, None

    def _steps(self) -> None:
        state, recipe, forward = self.state, self.recipe, self._forward()
        peak, clip = recipe.optimizer.learning_rate or 0.0, recipe.optimizer.clip
        weights = [p for p in self.model.parameters() if p.requires_grad]
        groups, step_weights = self.optimizer.param_groups, self.optimizer.step
        autocast, average, decay, augment = self.precision.autocast, self.average, self.decay, self.augment
        after_step, snapshot = getattr(self.model.task, "after_step", None), self.snapshot
        refresh = getattr(self.train.source, "refresh", None)
        log_steps = min(LOG_STEPS, self.per_epoch)
        look_steps = self.per_epoch * recipe.training.evaluate_every
        share = self.batch // self.processes.world
        hardest = max(1, round(recipe.training.hardest * share))
        mean_B = torch.full((share,), 1 / share, device=self.precision.device, dtype=self.precision.loss_dtype)
        losses: list[Tensor] = []
        self.model.train()
        if snapshot is not None:
            snapshot(state.step, self._weights)
        if refresh is not None:
            refresh(self.model.net, state.step)
        for batch in self.train.steps(recipe.seed, self.batch, state.step, self.steps):
            rate = peak * multiple(recipe.schedule, state.step, self.steps)
            for group in groups:
                group["lr"] = rate * group["share"]
            if self.draws:
                self.chance.manual_seed(mix(recipe.seed, "layers", state.step, self.processes.rank))
            if augment is not None:
                batch = augment(batch, self.chance, state.step // self.per_epoch, state.step / self.steps)
            with autocast():
                loss_B = forward(batch).loss_B
            torch.autograd.backward(loss_B, mean_B if hardest == share else hard(loss_B.detach(), hardest))
            if clip is not None:
                nn.utils.clip_grad_norm_(weights, clip)
            if decay is not None:
                decay(rate)
            step_weights()
            for weight in weights:
                weight.grad = None
            if average is not None:
                average.update()
            if after_step is not None:
                after_step(self.model.net, state.step)
            losses.append(loss_B.detach())
            state.step += 1
            if refresh is not None:
                refresh(self.model.net, state.step)
            if snapshot is not None:
                snapshot(state.step, self._weights)
            if state.step % log_steps == 0 or state.step == self.steps:
                self._log([*state.losses, *self._means(losses)], rate)
                losses, state.losses = [], ()
            if self.validation is not None and (state.step % look_steps == 0 or state.step == self.steps):
                self._validate()
                if state.stopped:
                    return
            self._pause(losses)

    def _weights(self) -> dict[str, Tensor]:
        return dict(self.model.net.named_parameters())

    def _forward(self) -> Callable[[Batch], Output]:
        """Return the forward pass: in one process the task's own, since each module around a small net counts."""
        if self.processes.world > 1:
            return self.wrapped
        task, net = self.model.judge, self.model.net
        return lambda batch: task.forward(net, batch)

    def _log(self, losses: list[float], rate: float) -> None:
        self.record(
            {
                "kind": "step",
                "step": self.state.step,
                "epoch": self.state.step / self.per_epoch,
                "loss": math.fsum(losses) / len(losses),
                "learning_rate": rate,
                "seconds": self.seconds,
            }
        )

    def _means(self, losses: list[Tensor]) -> list[float]:
        """Return the mean loss of each of the last steps, over all processes; raises UserError if one is not finite."""
        if not losses:
            return []
        values = self.processes.mean(torch.stack(losses).float().mean(dim=1)).tolist()
        for k, value in enumerate(values):
            if not math.isfinite(value):
                self._explain_divergence(self.state.step - len(values) + k)
        return values

    def _explain_divergence(self, step: int) -> None:
        source, split = self.train.source, self.train.split
        names = [
            source.sample_name(split, i) for i in self.train.indices(self.recipe.seed, self.batch, step)[:3].tolist()
        ]
        rate = self.recipe.optimizer.learning_rate
        raise UserError(
            f"step {step + 1}: the loss is not finite (batch of {', '.join(names)}, ...); "
            f"type the command again with --overwrite and a lower --optimizer.learning-rate (it was {rate:g}) "
            "or with --optimizer.clip 1"
        )

    def _expect_finite_weights(self) -> None:
        """Raise UserError where the weights are not finite; the last step's loss is that of the weights before it."""
        sums = torch.stack([weight.detach().sum() for weight in self.model.parameters()])
        if not sums.isfinite().all().item():
            self._explain_divergence(self.state.step - 1)

    def _validate(self) -> None:
        assert self.validation is not None
        state = self.state
        with self.average.swapped_in() if self.average is not None else nullcontext():
            gathered = evaluation.statistics(self.model, self.validation)
            kept = {}
            if self.recipe.training.patience is not None:
                kept = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        self._expect_finite_weights()
        values = {"loss": gathered["loss_B"].double().mean().item(), **self.model.judge.measure(gathered)}
        self.record({"kind": "validation", "step": state.step, "epoch": state.step / self.per_epoch, **values})
        if self.recipe.training.patience is None:
            return
        if state.best_loss is None or values["loss"] < state.best_loss:
            state.best_loss, state.best_step, self.best = values["loss"], state.step, kept
        else:
            state.stopped = state.step - state.best_step >= self.recipe.training.patience * self.per_epoch

    def _pause(self, losses: list[Tensor]) -> None:
        """Between two steps: write a checkpoint if one is due, and stop if that is wanted."""
        if self.processes.world > 1 and losses:
            return  # processes agree at the steps where all of them log
        due = time.monotonic() - self.saved >= self.recipe.training.checkpoint_seconds
        wanted = self.wanted()
        if self.processes.world > 1:
            due, wanted = self.processes.any(due), self.processes.any(wanted)
        if due or wanted:
            self.state.losses += tuple(self._means(losses))
            losses.clear()
            self.save()
        if wanted:
            path = shlex.quote(str(self.folder.parent))
            raise Interrupted(f"stopped; nothing is lost; to go on, type: hyperplane train --resume {path}")

    @property
    def seconds(self) -> float:
        """Return the seconds spent in training so far, over all resumptions."""
        return self.state.seconds + (time.monotonic() - self.begun if self.begun is not None else 0.0)

    def save(self) -> None:
        """Write a checkpoint of the run as it is; raises UserError where its weights are not finite any more."""
        tensors = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {f"optimizer.{n}": t for n, t in optimizers.state_tensors(self.optimizer).items()}
        tensors |= {f"best.{n}": t for n, t in self.best.items()}
        if self.average is not None:
            tensors |= {f"average.{n}": t for n, t in self.average.tensors().items()}
            self.state.average_updates = self.average.updates
        self._expect_finite_weights()
        if self.processes.leads:
            checkpoints.save(self.folder, tensors, {**asdict(self.state), "seconds": self.seconds})
        self.saved = time.monotonic()

    def restore(self) -> None:
        """Go on from the last checkpoint, if there is one; raises UserError where it is not one of this run."""
        found = checkpoints.resume(self.folder, self.state)
        if found is None:
            return
        tensors, self.state = found
        with checkpoints.fitting(self.folder):
            self.model.load_state_dict(_under("model.", tensors))
            optimizers.load_state_tensors(self.optimizer, _under("optimizer.", tensors))
            self.best = {n: t.to(self.precision.device) for n, t in _under("best.", tensors).items()}
            if self.average is not None:
                self.average.load(_under("average.", tensors), self.state.average_updates)


def most_steps(training: TrainingRecipe, per_epoch: int) -> int:
    """Return the steps that a complete recipe asks for, with so many in an epoch."""
    assert training.epochs is not None, "the recipe was completed before"
    steps = training.epochs * per_epoch
    return steps if training.steps is None else min(steps, training.steps)


def hard(loss_B: Tensor, count: int) -> Tensor:
    """Return weights (B,) that sum to 1: alike for the `count` samples of the greatest loss, 0 for the others.

    Shrivastava, Gupta and Girshick 2016, "Training region-based object detectors with online hard example mining".
    """
    weight_B = torch.zeros_like(loss_B)
    weight_B[loss_B.topk(count).indices] = 1 / count
    return weight_B


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
