"""Prediction on a CPU: ResNet-18 and 50, batches of 16 images of 224×224, the plain net and the faster ways to it.

All in one run and in turn, medians. The plain way is what people write: the net in evaluation mode, float32, channels
first, without gradients. Beside it what torch offers (channels last, its compiler with frozen weights, bfloat16 by
autocast), and the ways of hyperplane/predict/fast.py. Weights are random, with statistics of the normalisations that
are not those of a new net; every way's outputs are held against the plain ones.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.record import spread, write
from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.predict import fast

ROUNDS, BATCH, SHAPE, CLASSES = 11, 16, (3, 224, 224), 1000
PLAIN = "eager, float32, channels first"


class Autocast(nn.Module):
    """A net under bfloat16 autocast, as people write it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs in float32."""
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(x).float()


def build(name: str) -> nn.Module:
    """Return the net as if trained: its normalisations' scales, shifts and statistics are drawn."""
    with seeded(0, "weights"):
        net = nets.build(name, SHAPE, CLASSES)
    chance = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, centre in ((module.running_mean, 0.0), (module.weight, 1.0), (module.bias, 0.0)):
                assert tensor is not None
                tensor.data.normal_(centre, 0.1, generator=chance)
            assert module.running_var is not None
            module.running_var.uniform_(0.8, 1.25, generator=chance)
    return net.eval()


def contenders(name: str, x: Tensor) -> tuple[dict[str, tuple[nn.Module, Tensor]], list[str]]:
    """Return the ways by name, each with its input, and what cannot be gone here."""
    plain, net = build(name), build(name).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    last = x.contiguous(memory_format=torch.channels_last)
    frozen: dict[str, Any] = {"freezing": True}
    found: dict[str, tuple[nn.Module, Tensor]] = {
        PLAIN: (plain, x),
        "eager, float32, channels last": (net, last),
        "torch.compile, freezing, float32, channels last": (torch.compile(net, options=frozen), last),  # pyright: ignore[reportAssignmentType]
        "eager, bfloat16 autocast, channels last": (Autocast(net), last),
    }
    missing = []
    for dtype in (torch.float32, torch.bfloat16):
        for way in fast.ways(net, last, dtype, built=True, compiled=True):
            if isinstance(way, fast.Missing):
                missing.append(f"{way.name} ({dtype}): {way.why}")
            else:
                found[f"ours, {way.name}"] = (way.net, last)
    return found, missing


@torch.no_grad()
def measure(name: str) -> dict[str, Any]:
    """Return each way's times, how much faster than the plain one it is, and how far its outputs are from that."""
    x = torch.randn(BATCH, *SHAPE, generator=torch.Generator().manual_seed(0))
    ways, missing = contenders(name, x)
    expected = ways[PLAIN][0](x)
    scale, told = expected.square().mean().sqrt(), {}
    for way, (net, given) in ways.items():
        begun = time.perf_counter()
        said = net(given)
        told[way] = {
            "seconds of the first pass": time.perf_counter() - begun,
            "largest difference over the outputs' root mean square": ((said - expected).abs().max() / scale).item(),
            "share with the same class": (said.argmax(1) == expected.argmax(1)).double().mean().item(),
        }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, (net, given) in ways.items():
            begun = time.perf_counter()
            net(given)
            times[way].append((time.perf_counter() - begun) * 1000)
    for way, values in times.items():
        ratios = spread([plain / own for plain, own in zip(times[PLAIN], values, strict=True)])
        told[way] |= {"milliseconds a batch": spread(values), "times as fast as the plain one, paired": ratios}
        difference = told[way]["largest difference over the outputs' root mean square"]
        print(
            f"{name:9} {way:55} {spread(values)['median']:8.1f} ms  {ratios['median']:5.2f} x ± {ratios['std']:.2f}  "
            f"difference {difference:.1e}  same class {told[way]['share with the same class']:.0%}",
            flush=True,
        )
    return {"ways": told, "missing": missing}


def main() -> None:
    """Measure and write."""
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "batch": BATCH}
    for name in ("resnet18", "resnet50"):
        found[name] = measure(name)
        write("inference", found)


if __name__ == "__main__":
    main()
