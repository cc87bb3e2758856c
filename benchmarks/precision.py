"""The rule of hyperplane/engine/precision.py on a CPU: a training step in each number type and memory order.

Each net at its recipe's batch, AdamW, both cores; alternating, medians. What the rule chooses is marked.
"""

from __future__ import annotations

import time

import torch
from torch.nn import functional as F

from benchmarks.record import spread, write
from hyperplane import nets
from hyperplane.engine import precision
from hyperplane.recipe import HardwareRecipe

REPEATS, CLASSES = 7, 10
CASES = {
    "lenet, 1×28×28, batch 128": ("lenet", (1, 28, 28), 128, {}, 25),
    "lenet, 3×32×32, batch 128": ("lenet", (3, 32, 32), 128, {}, 25),
    "mlp 784-120-10, batch 128": ("mlp", (784,), 128, {"hidden": [120]}, 25),
    "mlp 2-64-64-10, batch 64": ("mlp", (2,), 64, {"hidden": [64, 64]}, 25),
    "compact-digits, 1×28×28, batch 256": ("compact-digits", (1, 28, 28), 256, {}, 5),
    "resnet20, 3×32×32, batch 32": ("resnet20", (3, 32, 32), 32, {}, 3),
    "resnet18-small, 3×32×32, batch 8": ("resnet18-small", (3, 32, 32), 8, {}, 2),
    "compact, 3×32×32, batch 100": ("compact", (3, 32, 32), 100, {}, 2),
    "vit-small-32, 3×32×32, batch 32": ("vit-small-32", (3, 32, 32), 32, {}, 2),
    "vit-small-32 without convolutions, batch 32": ("vit-small-32", (3, 32, 32), 32, {"stem": "patch"}, 2),
    "vit-small-28 without convolutions, batch 32": ("vit-small-28", (1, 28, 28), 32, {"stem": "patch"}, 2),
}
"""Net, shape of a sample, batch, options, and steps in each timing."""


def milliseconds(
    name: str, shape: tuple[int, ...], batch: int, options: dict, steps: int, how: HardwareRecipe
) -> float:
    """Return milliseconds a training step, over a few steps."""
    net = nets.build(name, shape, CLASSES, options)
    chosen = precision.choose(how, net)
    net.to(memory_format=chosen.memory_format)  # pyright: ignore[reportCallIssue]
    x, label_B = torch.randn(batch, *shape), torch.randint(CLASSES, (batch,))
    if x.ndim == 4:
        x = x.contiguous(memory_format=chosen.memory_format)
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    begun = 0.0
    for step in range(steps + 2):
        if step == 2:
            begun = time.perf_counter()
        with chosen.autocast():
            loss = F.cross_entropy(net(x), label_B)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - begun) / steps * 1000


def main() -> None:
    """Measure and write."""
    found = {}
    for case, (name, shape, batch, options, steps) in CASES.items():
        ways = {
            f"{dtype}, {'channels last' if last == 'yes' else 'channels first'}": HardwareRecipe("cpu", dtype, last)
            for dtype in ("float32", "bfloat16")
            for last in (("no", "yes") if len(shape) == 3 else ("no",))
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(REPEATS):
            for way, how in ways.items():
                times[way].append(milliseconds(name, shape, batch, options, steps, how))
        rule = precision.choose(HardwareRecipe("cpu"), nets.build(name, shape, CLASSES, options))
        chosen = f"{str(rule.dtype)[6:]}, {'channels last' if rule.channels_last else 'channels first'}"
        found[case] = {"milliseconds a step": {w: spread(v) for w, v in times.items()}, "the rule chooses": chosen}
        print(case, {way: round(spread(v)["median"], 2) for way, v in times.items()}, "rule:", chosen)
    write("precision", found)


if __name__ == "__main__":
    main()
