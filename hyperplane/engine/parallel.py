"""Many processes, one run: torchrun's environment, the wrapped module, sums over processes.

Every process takes its slice of each global batch; the mean of the slices' gradients is the global batch's gradient.
Small enough to be replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hyperplane.errors import UserError


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Return whether this process writes the run folder and talks to the user."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module with its gradients averaged over the processes."""
        return DistributedDataParallel(module) if self.world > 1 else module

    def mean(self, values: Tensor) -> Tensor:
        """Return the processes' mean of a tensor."""
        if self.world > 1:
            dist.all_reduce(values)
            values = values / self.world
        return values

    def any(self, flag: bool) -> bool:
        """Return whether any process says so."""
        if self.world == 1:
            return flag
        said = torch.tensor(float(flag))
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return bool(said.item())

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            dist.barrier()

    def concatenate(self, parts: dict[str, Tensor], order_B: Tensor) -> dict[str, Tensor]:
        """Return every process' samples joined, sorted by `order_B` (int64, each process' own)."""
        if self.world == 1:
            return parts
        gathered: list[Any] = [None] * self.world
        dist.all_gather_object(gathered, (parts, order_B))
        order = torch.cat([o for _, o in gathered]).argsort()
        held = [p for p, _ in gathered if p]  # fewer samples than processes leave some without
        return {name: torch.cat([p[name] for p in held])[order] for name in held[0]}


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the other processes that torchrun started, if it did, and leave them at the end.

    `device` is the recipe's: cpu, cuda or auto. Raises UserError where another process has stopped.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(local_rank)
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), local_rank)
    except RuntimeError as error:
        if "onnection" in str(error):  # gloo's and nccl's only word for it
            raise UserError("another process of this run has stopped; its own error says why: see above") from error
        raise
    finally:
        dist.destroy_process_group()
