"""What the loop costs over a bare torch loop: MLP 2-64-64-1, batch 64, side by side, alternating.

The bare loop is the shortest that does the same: shuffled batches by index, binary cross-entropy, backward, step. Its
optimizer is torch's default implementation, which is what people write, and the fused one, which ours uses. Lightning
is timed as well where it is installed (pip install lightning). One thread: a net this small gains nothing from more,
and threads add noise. Time for each step, over whole runs of the loop, without its first epoch.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.record import spread, write
from hyperplane.data import open as open_data
from hyperplane.engine import model, precision
from hyperplane.engine.feed import Feed
from hyperplane.engine.loop import Loop
from hyperplane.engine.parallel import Processes
from hyperplane.recipe import (
    DataRecipe,
    HardwareRecipe,
    NetRecipe,
    OptimizerRecipe,
    Recipe,
    ScheduleRecipe,
    TaskRecipe,
    TrainingRecipe,
)

REPEATS, EPOCHS, SAMPLES, BATCH = 11, 20, 6400, 64
DATA = DataRecipe(source="points-region", validation=0.0, test=0.0, options={"samples": SAMPLES})
SOURCE = open_data(DATA)
WHOLE = SOURCE.batch("train", range(SAMPLES))
X_ND, LABEL_N = WHOLE["feature_BD"], WHOLE["label_B"].float()
RATE, DECAY, MOMENTUM = 0.01, 1e-2, 0.9


def ours(optimizer: str) -> float:
    """Return microseconds a step of our loop, with everything it does in a run but looks at validation."""
    recipe = Recipe(
        data=DATA,
        task=TaskRecipe("classification"),
        net=NetRecipe("mlp", {"hidden": [64, 64]}),
        optimizer=OptimizerRecipe(optimizer, RATE, MOMENTUM, DECAY),  # pyright: ignore[reportArgumentType]
        schedule=ScheduleRecipe("cosine"),
        training=TrainingRecipe(epochs=EPOCHS, batch=BATCH),
    )
    built = model.build(recipe, SOURCE.description)
    chosen = precision.choose(HardwareRecipe(device="cpu"), built)
    feed = Feed(SOURCE, "train", chosen, 0, 4.0, Processes())
    ticks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(
            recipe, built, feed, None, Processes(), Path(folder), lambda record: ticks.append(time.perf_counter())
        )
        loop.run()
    first = (SAMPLES // BATCH) // 50  # records come every 50 steps
    return (ticks[-1] - ticks[first - 1]) / (loop.steps - SAMPLES // BATCH) * 1e6


def bare(optimizer: str, fused: bool) -> float:
    """Return microseconds a step of a plain loop."""
    net = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    step = _optimizer(optimizer, net, fused)
    begun = 0.0
    for epoch in range(EPOCHS):
        if epoch == 1:
            begun = time.perf_counter()
        order = torch.randperm(SAMPLES)
        for start in range(0, SAMPLES, BATCH):
            which = order[start : start + BATCH]
            loss = F.binary_cross_entropy_with_logits(net(X_ND[which]).squeeze(1), LABEL_N[which])
            step.zero_grad()
            loss.backward()
            step.step()
    return (time.perf_counter() - begun) / ((EPOCHS - 1) * SAMPLES // BATCH) * 1e6


def lightning(optimizer: str) -> float:
    """Return microseconds a step of Lightning's trainer, with logging, checkpoints and bars off."""
    peer = importlib.import_module("lightning")

    ticks: list[float] = []

    class Module(peer.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

        def training_step(self, batch, index):
            return F.binary_cross_entropy_with_logits(self.net(batch[0]).squeeze(1), batch[1])

        def configure_optimizers(self):
            return _optimizer(optimizer, self.net, True)

        def on_train_epoch_end(self) -> None:
            ticks.append(time.perf_counter())

    class Batches:
        def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            order = torch.randperm(SAMPLES)
            for start in range(0, SAMPLES, BATCH):
                which = order[start : start + BATCH]
                yield X_ND[which], LABEL_N[which]

        def __len__(self) -> int:
            return SAMPLES // BATCH

    off = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = peer.Trainer(max_epochs=EPOCHS, accelerator="cpu", devices=1, **off)  # pyright: ignore[reportArgumentType]
        trainer.fit(Module(), Batches())
    return (ticks[-1] - ticks[0]) / ((EPOCHS - 1) * SAMPLES // BATCH) * 1e6


def _optimizer(name: str, net: nn.Module, fused: bool) -> torch.optim.Optimizer:
    how: dict = {"fused": True} if fused else {}
    if name == "sgd":
        return torch.optim.SGD(net.parameters(), RATE, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY, **how)
    return torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY, **how)


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    found = {}
    for optimizer in ("sgd", "adamw"):
        contenders: dict[str, Callable[[], float]] = {
            "ours": lambda o=optimizer: ours(o),
            "bare": lambda o=optimizer: bare(o, False),
            "bare, fused optimizer": lambda o=optimizer: bare(o, True),
        }
        if importlib.util.find_spec("lightning"):
            contenders["lightning, fused optimizer"] = lambda o=optimizer: lightning(o)
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(REPEATS):
            for name, run in contenders.items():
                times[name].append(run())
        found[optimizer] = {
            "microseconds a step": {name: spread(values) for name, values in times.items()},
            "ours over each, median of the paired ratios": {
                name: spread([a / b for a, b in zip(times["ours"], values, strict=True)])["median"]
                for name, values in times.items()
                if name != "ours"
            },
        }
        print(optimizer, found[optimizer]["ours over each, median of the paired ratios"])
    write("loop", found)


if __name__ == "__main__":
    main()
