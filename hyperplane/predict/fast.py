"""The fastest way to a trained net's outputs on this machine: tried, timed, and held against the plain net.

The ways, each with what the one before it has: batch normalisation folded, images channels last; 3×3 convolutions by
Winograd's filtering; the whole compiled by torch. In float32 they differ from the plain net in the last digits; in
bfloat16, which is for those who ask for it, in the third. benchmarks/inference.py measures them.

The choice is a race, so that two runs may differ in those digits. Hence few samples, counted in operations, are always
left to the plain net, and whatever else was chosen is told.

Shape suffixes: B batch, K outputs.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hyperplane.predict import winograd
from hyperplane.predict.folding import fold, twin

Speed = Literal["auto", "plain", "most"]
"""What may be tried: what pays for so many samples; nothing; or everything."""
Number = Literal["float32", "bfloat16"]
"""Of the net's weights and activations."""

RACE, COMPILE = 1e13, 2e14
"""Floating-point operations of all samples together from which on the ways are raced, and compiled for; 1e13 are about
100 s of one core."""
SAMPLES, PASS = 4, 5e10
"""Samples of a race, at least, and more while a pass takes no more operations than this."""
ROUNDS, MOST_ROUNDS, SECONDS = 3, 30, 1.0
"""Passes of each way, in turn: at least, and at most where they take less than so long together. The quickest counts,
since whatever else the machine does only adds."""
GAIN = 1.05
"""How much faster than a simpler way one must be."""
EXACT, ROUNDED = 1e-4, 0.1
"""Largest difference of an output from the plain net's, over the root mean square of these: float32 and bfloat16."""
SAME = 0.95
"""Share of samples that must keep their class in bfloat16."""


@dataclass(frozen=True)
class Way:
    """A net that should compute what the plain one does."""

    name: str
    net: nn.Module


@dataclass(frozen=True)
class Missing:
    """A way that cannot be gone here."""

    name: str
    why: str
    """One clause."""


@dataclass(frozen=True)
class Tried:
    """How a way did against the plain net on the same samples."""

    name: str
    seconds: float
    """The quickest pass; 0 where it was not timed."""
    difference: float
    """Largest of an output, over the root mean square of the plain net's."""
    same: float | None
    """Share of samples with the same class, where there are classes."""
    allowed: float
    """The largest difference that is allowed."""
    why: str = ""
    """Why it was refused, one clause; empty where it was not."""

    @property
    def told(self) -> str:
        """Return how far it is from the plain net, in words."""
        classes = "" if self.same is None or self.allowed == EXACT else f", {self.same:.0%} keep their class"
        return f"largest difference of an output {self.difference:.1e}{classes}"


@dataclass(frozen=True)
class Race:
    """The plain net and what was tried beside it; the winner is the fastest that passed."""

    net: nn.Module
    """The winner: maps the plain net's inputs to its outputs."""
    winner: str
    plain: Tried
    tried: tuple[Tried, ...]
    missing: tuple[Missing, ...]

    def sentences(self) -> list[str]:
        """Return what happened, a line each; the last one says what won."""
        lines = [f"no {way.name}: {way.why}" for way in self.missing]
        lines += [f"refused {way.name}: {way.why}" for way in self.tried if way.why]
        won = next((way for way in self.tried if way.name == self.winner), None)
        if won is None:
            return [*lines, "the plain net"]
        speed = f"{self.plain.seconds / won.seconds:.1f} x the plain net, " if won.seconds else ""
        return [*lines, f"{won.name}: {speed}{won.told}"]


def worth(speed: Speed, flops: float) -> tuple[bool, bool]:
    """Return whether samples that take so many operations together are worth a race, and a compilation."""
    if speed == "auto":
        return flops >= RACE, flops >= COMPILE
    return speed == "most", speed == "most"


def enough(x: Tensor, flops: float) -> Tensor:
    """Return as many of these samples as a race needs; `flops` are those of one."""
    return x[: max(SAMPLES, int(PASS / max(flops, 1.0)))]


@torch.no_grad()
def race(net: nn.Module, x: Tensor, number: Number, *, classes: bool, timed: bool, compiled: bool) -> Race:
    """Try the ways on inputs, batch first and placed as the net's are, and return the fastest that agrees with the net.

    `classes`: whether the outputs are logits. Without `timed` the first way that agrees is taken, and nothing that has
    to be built is tried; in float32 that is the plain net. With `compiled` torch's compiler is tried too, for batches
    of this size.
    """
    dtype = getattr(torch, number)
    plain = Tried("plain", 0.0, 0.0, None, 0.0)
    if not timed and dtype is torch.float32:
        return Race(net, plain.name, plain, (), ())
    said = net(x)
    running: list[Way] = []
    tried: dict[str, Tried] = {}
    missing: list[Missing] = []
    for way in ways(net, x, dtype, built=timed, compiled=compiled):
        if isinstance(way, Missing):
            missing.append(way)
            continue
        tried[way.name] = held = _held(way, x, said, ROUNDED if dtype is torch.bfloat16 else EXACT, classes)
        if not held.why:
            running.append(way)
            if not timed:
                break
    seconds = _seconds([Way(plain.name, net), *running], x) if timed else {}
    timed_ways = [_timed(one, seconds) for one in tried.values()]
    winner = Way(plain.name, net) if dtype is torch.float32 or not running else running[0]
    for way in running:
        if timed and seconds[way.name] * GAIN < seconds[winner.name]:
            winner = way
    return Race(winner.net, winner.name, _timed(plain, seconds), tuple(timed_ways), tuple(missing))


def ways(net: nn.Module, x: Tensor, dtype: torch.dtype, *, built: bool, compiled: bool) -> Iterator[Way | Missing]:
    """Yield the ways for a number type, the simplest first; `built` and `compiled` as those that take their time."""
    prefix = "bfloat16" if dtype is torch.bfloat16 else ""
    folded = fold(net, x[:1])
    last = _channels_last(folded.net)
    words = (prefix, "folded" if folded.count else "", "channels last" if last is not folded.net else "")
    said = [word for word in words if word]
    simple = best = _Cast(copy.deepcopy(last).to(dtype), dtype) if prefix else last
    if simple is not net:
        yield Way(", ".join(said), simple)
    if prefix:
        yield Way(", ".join([f"{prefix} by autocast", *said[1:]]), _Autocast(last, dtype))
    layers = [name for name, module in last.named_modules() if winograd.fits(module)]
    if built and layers:
        why = winograd.why_not(dtype)
        if why is None:
            said.append("Winograd")
            best = twin(last)
            for name in layers:
                best.set_submodule(name, winograd.Winograd(last.get_submodule(name), dtype))  # pyright: ignore[reportArgumentType]
            best = _Cast(copy.deepcopy(best).to(dtype), dtype) if prefix else best
            yield Way(", ".join(said), best)
        else:
            yield Missing("Winograd's convolution", why)
    if compiled:
        yield Way(", ".join([*said, "compiled"]), _Compiled(best, x))


class _Cast(nn.Module):
    """A net in another number type, for float32 inputs and outputs."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.to(self.dtype)).to(x.dtype)


class _Autocast(nn.Module):
    """A net of which matrix products and convolutions alone are in another number type."""

    def __init__(self, net: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.net, self.dtype = net, dtype

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, self.dtype):
            return self.net(x).to(x.dtype)


class _Compiled(nn.Module):
    """A net compiled, its weights frozen, for batches of one shape; others go through the net itself."""

    def __init__(self, net: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.net, self.shape = net, x.shape
        frozen: dict[str, Any] = {"freezing": True}
        self.run = torch.compile(net, dynamic=False, options=frozen)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x) if x.shape == self.shape else self.net(x)


def _channels_last(net: nn.Module) -> nn.Module:
    """Return the net with its convolutions' weights channels last; itself where they are."""
    kernels = [m.weight for m in net.modules() if isinstance(m, nn.Conv2d)]
    if all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels):
        return net
    return copy.deepcopy(net).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _held(way: Way, x: Tensor, plain: Tensor, allowed: float, classes: bool) -> Tried:
    """Return a way's outputs held against the plain net's."""
    try:
        said = way.net(x)
    except Exception as error:  # compilers and number types fail in many ways, and there is the plain net
        told = " ".join(str(error).split())[:120] or type(error).__name__
        return Tried(way.name, 0.0, float("inf"), None, allowed, f"it failed ({told})")
    scale = plain.double().square().mean().sqrt().clamp(min=1e-30)
    difference = ((said.double() - plain.double()).abs().max() / scale).item()
    same = (_classes(said) == _classes(plain)).double().mean().item() if classes else None
    why = ""
    if not difference <= allowed:  # one that is not a number is refused as well
        why = f"an output differs by {difference:.1e}, at most {allowed:.0e} is allowed"
    elif allowed > EXACT and same is not None and same < SAME:
        why = f"{same:.0%} of the samples keep their class, at least {SAME:.0%} must"
    return Tried(way.name, 0.0, difference, same, allowed, why)


def _classes(said: Tensor) -> Tensor:
    return said.argmax(1) if said.shape[1] > 1 else said > 0


def _seconds(running: list[Way], x: Tensor) -> dict[str, float]:
    """Return the quickest pass of each way, by name, over rounds in which each runs once."""
    quickest = {way.name: float("inf") for way in running}
    started = time.perf_counter()
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and time.perf_counter() - started > SECONDS:
            break
        for way in running:
            begun = time.perf_counter()
            way.net(x)
            if x.is_cuda:
                torch.cuda.synchronize(x.device)
            quickest[way.name] = min(quickest[way.name], time.perf_counter() - begun)
    return quickest


def _timed(one: Tried, seconds: dict[str, float]) -> Tried:
    return Tried(one.name, seconds.get(one.name, 0.0), one.difference, one.same, one.allowed, one.why)
