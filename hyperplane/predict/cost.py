"""What a net costs: parameters, floating-point operations, memory, and time on this machine."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hyperplane.engine.environment import threads
from hyperplane.engine.precision import Precision

REPEATS = 15
"""Timed passes at most, after a third as many to warm up; the median is told."""
SECONDS = 4.0
"""After which no further pass is begun, once one was timed."""
BATCH = 64
"""Samples that are timed at once where the caller leaves it open, or fewer for a large net."""
PASS_FLOPS = {"cpu": 2 * 10**11, "cuda": 2 * 10**13}
"""Operations of a forward pass at most, by device: a second or two."""
PASS_BYTES = {"cpu": 2**29, "cuda": 2**32}
"""Of the activations that a forward pass holds at once, at most."""
HELD = 4
"""Largest activations that are there at once: a layer's input and output, what goes around it, and room to work in."""


@dataclass(frozen=True)
class Cost:
    """One net at one batch size on one machine."""

    parameters: int
    """Trained numbers."""
    parameter_bytes: int
    """Their size."""
    flops: int
    """Floating-point operations of one sample's forward pass; a multiplication and an addition are two."""
    activation_bytes: int
    """Size of what a training step keeps of one sample for the backward pass."""
    batch: int
    """Samples in the timed passes."""
    forward_ms: float
    """Median time of a forward pass in evaluation mode, in milliseconds."""
    step_ms: float
    """Median time of a forward and a backward pass in training mode, in milliseconds."""
    hardware: str
    """Device and threads."""


@dataclass(frozen=True)
class Pass:
    """What one sample's forward pass takes."""

    flops: int
    """Floating-point operations, over matrix products and convolutions."""
    largest: int
    """Bytes of the largest activation."""

    def at_once(self, device: torch.device, most: int) -> int:
        """Return how many samples a forward pass may hold, by its operations and its memory; 1 to `most`."""
        by_time = PASS_FLOPS[device.type] // max(1, self.flops)
        by_memory = PASS_BYTES[device.type] // max(1, HELD * self.largest)
        return max(1, min(most, by_time, by_memory))


@torch.no_grad()
def look(net: nn.Module, shape: tuple[int, ...], precision: Precision) -> Pass:
    """Return what a forward pass takes of a net in evaluation mode that is in its place, for inputs of `shape`.

    Operations are counted by torch's own counter.
    """
    dtype = torch.float64 if precision.dtype is torch.float64 else torch.float32
    dtype = torch.int64 if _reads_tokens(net) else dtype
    x = torch.zeros(1, *shape, device=precision.device, dtype=dtype)
    largest = x.nbytes

    def seen(_module: nn.Module, _given: object, made: object) -> None:
        nonlocal largest
        largest = max(largest, made.nbytes) if isinstance(made, torch.Tensor) else largest

    hooks = [module.register_forward_hook(seen) for module in net.modules()]
    try:
        with FlopCounterMode(display=False) as counter:
            net(x)
    finally:
        for hook in hooks:
            hook.remove()
    return Pass(counter.get_total_flops(), largest)


def measure(net: nn.Module, shape: tuple[int, ...], batch: int | None, precision: Precision) -> Cost:
    """Return what a net costs for inputs of `shape` (without the batch axis) at a batch size; None chooses it."""
    net = copy.deepcopy(net)  # the caller's keeps its mode, its gradients and its place
    net.to(precision.device, memory_format=precision.memory_format)  # pyright: ignore[reportCallIssue]
    found = look(net.eval(), shape, precision)
    batch = batch or found.at_once(precision.device, BATCH)
    chance = torch.Generator(precision.device).manual_seed(0)
    x = torch.randn(batch, *shape, device=precision.device, generator=chance)
    if _reads_tokens(net):
        x = torch.zeros_like(x, dtype=torch.int64)
    if x.ndim == 4:
        x = x.contiguous(memory_format=precision.memory_format)
    weights = {p.untyped_storage().data_ptr() for p in net.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def forward() -> None:
        with torch.no_grad(), precision.autocast():
            net(x)

    def step() -> None:
        with precision.autocast():
            loss = net(x).float().square().mean()
        loss.backward()
        net.zero_grad(set_to_none=True)

    forward_ms = _median_ms(forward, precision.device)
    net.train()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(x).float().sum().backward()
    net.zero_grad(set_to_none=True)
    step_ms = _median_ms(step, precision.device)
    weights_list = [p for p in net.parameters() if p.requires_grad]
    return Cost(
        parameters=sum(p.numel() for p in weights_list),
        parameter_bytes=sum(p.numel() * p.element_size() for p in weights_list),
        flops=found.flops,
        activation_bytes=sum(kept.values()) // batch,
        batch=batch,
        forward_ms=forward_ms,
        step_ms=step_ms,
        hardware=f"{precision.device}, {threads()}, {precision}",
    )


def _reads_tokens(net: nn.Module) -> bool:
    return getattr(net, "ACCEPTS", ()) == ("token_BT",)


def _median_ms(work: Callable[[], None], device: torch.device) -> float:
    times: list[float] = []
    begun = time.perf_counter()
    for repeat in range(REPEATS + REPEATS // 3):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if repeat >= REPEATS // 3 or time.perf_counter() - begun > SECONDS / 4:  # warm enough
            times.append((time.perf_counter() - start) * 1000)
        if times and time.perf_counter() - begun > SECONDS:
            break
    return statistics.median(times)
