"""The rule of hyperplane/engine/precision.py for language models on a CPU: `python -m benchmarks.precision_language`.

A training step of GPT-2's layers and of the modern ones, of several widths, in float32 and in bfloat16, each width with
12 texts of 64 tokens, heads of 32 features, and AdamW. Both number types take turns, step by step, so that whatever
else the machine does slows both; medians. What the rule chooses is marked.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch.nn import functional as F

from benchmarks.record import spread, write
from hyperplane import nets
from hyperplane.engine import precision
from hyperplane.recipe import HardwareRecipe

BATCH, TOKENS, VOCABULARY, LAYERS, HEAD = 12, 64, 65, 2, 32
WIDTHS = (64, 96, 128, 192, 256, 384, 768)
NETS: dict[str, dict[str, Any]] = {"gpt": {"bias": False}, "gpt-modern": {}}
STEPS = {width: max(6, min(40, 40 * 128**2 // width**2)) for width in WIDTHS}
WAYS = ("float32", "bfloat16")


def stepped(name: str, width: int, numbers: str) -> Any:
    """Return what makes a training step and returns its milliseconds."""
    options = {"layers": LAYERS, "width": width, "heads": width // HEAD, **NETS[name]}
    net = nets.build(name, (TOKENS,), VOCABULARY, options)
    chosen = precision.choose(HardwareRecipe("cpu", numbers), net)  # pyright: ignore[reportArgumentType]
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    token_BT, target_BT = torch.randint(VOCABULARY, (2, BATCH, TOKENS))

    def step() -> float:
        begun = time.perf_counter()
        with chosen.autocast():
            logit_NK = net(token_BT).flatten(0, 1)
        F.cross_entropy(logit_NK.float(), target_BT.flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
        return 1000 * (time.perf_counter() - begun)

    return step


def main() -> None:
    """Measure and write."""
    found = {}
    for name in NETS:
        for width in WIDTHS:
            steps = {way: stepped(name, width, way) for way in WAYS}
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(STEPS[width] + 2):
                for way, step in steps.items():
                    taken = step()
                    if turn >= 2:
                        times[way].append(taken)
            built = nets.build(name, (TOKENS,), VOCABULARY, {"width": width, "heads": width // HEAD, **NETS[name]})
            rule = str(precision.choose(HardwareRecipe("cpu"), built).dtype)[6:]
            ratio = statistics.median(times["float32"]) / statistics.median(times["bfloat16"])
            found[f"{name}, width {width}"] = {
                "milliseconds a step": {way: spread(values) for way, values in times.items()},
                "times as fast in bfloat16": ratio,
                "the rule chooses": rule,
            }
            print(f"{name}, width {width}: {ratio:.2f} times as fast in bfloat16; the rule: {rule}", flush=True)
    write("precision_language", {"threads": torch.get_num_threads(), "steps": found})


if __name__ == "__main__":
    main()
