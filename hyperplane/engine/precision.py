"""In which numbers, in which memory order and where to compute: a rule, so that the same machine chooses the same.

The rule's CPU half is measured by benchmarks/precision.py, for language models by benchmarks/precision_language.py.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import nn

from hyperplane.contracts import Batch
from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import SelfAttention
from hyperplane.recipe import HardwareRecipe

WIDE, WIDE_TOKENS = 32, 96
"""Channels that a convolution reads, and features of a token, from which on bfloat16 pays on a CPU that multiplies in
it."""


@dataclass(frozen=True)
class Precision:
    """What was chosen, and why."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    why: str

    def __str__(self) -> str:
        return str(self.dtype).removeprefix("torch.") + ", channels last" * self.channels_last

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass; a null one without bfloat16, since entering autocast costs time."""
        return torch.autocast(self.device.type, self.dtype) if self.dtype is torch.bfloat16 else nullcontext()

    def exact(self) -> Precision:
        """Return the same without bfloat16: what judges a net, so that whoever loads it computes the same."""
        return replace(self, dtype=torch.float32) if self.dtype is torch.bfloat16 else self

    @property
    def loss_dtype(self) -> torch.dtype:
        """Return the number type of losses: float32 under autocast as well."""
        return torch.float64 if self.dtype is torch.float64 else torch.float32

    def place(self, batch: Batch) -> Batch:
        """Return a batch on the device, its images in the memory order, its numbers in float64 if that is it."""
        batch = batch.to(self.device)
        for name, value in batch.fields.items():
            if self.dtype is torch.float64 and value.is_floating_point():
                batch.fields[name] = value.double()
            if value.ndim == 4:
                batch.fields[name] = batch.fields[name].contiguous(memory_format=self.memory_format)
        return batch

    def settle(self, module: nn.Module) -> None:
        """Move a module to the device, its convolutions into the memory order, its weights to float64 if that is it."""
        module.to(self.device, memory_format=self.memory_format)  # pyright: ignore[reportCallIssue]
        if self.dtype is torch.float64:
            module.double()

    @property
    def memory_format(self) -> torch.memory_format:
        """Return the memory order of images and convolutions."""
        return torch.channels_last if self.channels_last else torch.contiguous_format


def choose(hardware: HardwareRecipe, net: nn.Module, local_rank: int = 0) -> Precision:
    """Return device, number type and memory order for a net.

    Raises UserError where CUDA is asked for and absent.
    """
    cuda = torch.cuda.is_available()
    if hardware.device == "cuda" and not cuda:
        raise UserError("hardware.device: found cuda, but torch sees no CUDA device here; type: --hardware.device cpu")
    device = torch.device("cuda", local_rank) if cuda and hardware.device != "cpu" else torch.device("cpu")
    convolves = any(isinstance(m, nn.Conv2d) for m in net.modules())
    why = []
    if hardware.precision == "auto":
        dtype, reason = _numbers(device, net)
        why.append(reason)
    else:
        dtype = getattr(torch, hardware.precision)
        why.append(f"{hardware.precision} asked for")
    if hardware.channels_last == "auto":
        channels_last = convolves
        why.append("channels last, since it convolves" if convolves else "no convolution")
    else:
        channels_last = hardware.channels_last == "yes"
        why.append(f"channels last {hardware.channels_last}: asked for")
    return Precision(device, dtype, channels_last, "; ".join(why))


def _numbers(device: torch.device, net: nn.Module) -> tuple[torch.dtype, str]:
    """Return the number type that the rule chooses, and why."""
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported():
            return torch.bfloat16, "bfloat16 on CUDA"
        return torch.float32, "float32, since this CUDA device has no bfloat16"
    channels = max((m.in_channels for m in net.modules() if isinstance(m, nn.Conv2d)), default=0)
    features = max((m.qkv.in_features for m in net.modules() if isinstance(m, SelfAttention)), default=0)
    can = torch.cpu.get_capabilities()
    if (channels >= WIDE or features >= WIDE_TOKENS) and (can.get("avx512_bf16") or can.get("amx_bf16")):
        why = f"convolves {WIDE} channels" if channels >= WIDE else f"attends with {WIDE_TOKENS} features"
        return torch.bfloat16, f"bfloat16, since it {why} or more on a CPU with instructions for it"
    return torch.float32, "float32 on a CPU, where bfloat16 does not pay for nets this small"
