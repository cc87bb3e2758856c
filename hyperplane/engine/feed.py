"""The batches of a run: which samples each step sees, and how they get to the device in time.

The order of an epoch depends on the seed and the epoch alone. Small data live on the device; larger data are read by
the step, by worker processes beside the training if there are any. Either way a step gets the same batch.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hyperplane.contracts import Batch, Source, Split
from hyperplane.engine.chance import generator
from hyperplane.engine.parallel import Processes
from hyperplane.engine.precision import Precision
from hyperplane.errors import UserError

BLOCK = 64
"""Steps whose samples are gathered at once from data that live on the device."""
PIECE_SAMPLES, PIECE_BYTES = 1024, 2**24
"""Most that is read at once when data are brought to the device, or a split is walked through in order: 27 images
of 224 pixels, whose pass through VGG-16 takes a gigabyte."""


class Feed:
    """Batches of one split for one process."""

    def __init__(
        self, source: Source, split: Split, precision: Precision, workers: int, memory_gb: float, processes: Processes
    ) -> None:
        self.source, self.precision = source, precision
        self.split: Split = split
        self.workers, self.processes = 0 if hasattr(source, "refresh") else workers, processes
        self.length = source.description.splits[split]
        sample_bytes = 4 * sum(math.prod(shape) for shape in source.description.shapes.values())
        drawn: tuple[Split, ...] = getattr(source, "drawn", ())
        self.lives_on_device = split not in drawn and self.length * sample_bytes <= memory_gb * 2**30
        self.piece: int = getattr(source, "piece", max(1, min(PIECE_SAMPLES, PIECE_BYTES // sample_bytes)))
        self._whole: Batch | None = None
        self._drawn: tuple[tuple[int, int], Tensor] | None = None

    def per_epoch(self, batch: int) -> int:
        """Return the number of steps in an epoch; the last samples of its order that fill no batch are left out."""
        return max(self.length // batch, 1)

    def indices(self, seed: int, batch: int, step: int) -> Tensor:
        """Return which samples of the split `step` sees, over all processes, int64."""
        epoch, position = divmod(step, self.per_epoch(batch))
        return self._order(seed, epoch)[position * batch : (position + 1) * batch]

    def steps(self, seed: int, batch: int, start: int, stop: int) -> Iterator[Batch]:
        """Yield this process' share of every step's batch from `start` up to `stop`."""
        if self.lives_on_device:
            yield from self._resident_steps(seed, min(batch, self.length), start, stop)
        else:
            yield from self._read(_Steps(self, seed, batch, start, stop))

    def walk(self) -> Iterator[Batch]:
        """Yield every sample once in order, in pieces; of many processes, each walks through its part of the split."""
        rank, world = self.processes.rank, self.processes.world
        part = -(-self.length // world)
        starts = range(rank * part, min((rank + 1) * part, self.length), self.piece)
        if self.lives_on_device:
            whole = self._resident()
            for start in starts:
                yield whole.take(slice(start, min(start + self.piece, starts.stop)))
        else:
            yield from self._read(_Pieces(self, starts))

    def _resident_steps(self, seed: int, batch: int, start: int, stop: int) -> Iterator[Batch]:
        whole, per_epoch = self._resident(), self.per_epoch(batch)
        share = batch // self.processes.world
        first = self.processes.rank * share
        step = start
        while step < stop:
            epoch, position = divmod(step, per_epoch)
            steps = min(BLOCK, per_epoch - position, stop - step)
            order = self._order(seed, epoch)[position * batch : (position + steps) * batch].view(steps, batch)
            block = whole.take(order[:, first : first + share].reshape(-1).to(self.precision.device))
            yield from block.split(share)
            step += steps

    def _order(self, seed: int, epoch: int) -> Tensor:
        if self._drawn is None or self._drawn[0] != (seed, epoch):
            chance = generator(seed, f"order of {self.split}", epoch)
            self._drawn = ((seed, epoch), torch.randperm(self.length, generator=chance))
        return self._drawn[1]

    def _resident(self) -> Batch:
        if self._whole is None:
            pieces = list(self._read(_Pieces(self, range(0, self.length, self.piece))))
            fields = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0].fields}
            self._whole = self.precision.place(Batch(fields, torch.arange(self.length)))
        return self._whole

    def _read(self, wanted: Dataset[Batch | UserError]) -> Iterator[Batch]:
        own = torch.Generator()  # the loader draws from the global one otherwise
        for read in DataLoader(
            wanted, batch_size=None, num_workers=self.workers, generator=own, worker_init_fn=_leave_signals_alone
        ):
            if isinstance(read, UserError):
                raise read
            yield self.precision.place(read)


class _Steps(Dataset[Batch | UserError]):
    """Item k is the k-th step's batch: workers may take them in any order."""

    def __init__(self, feed: Feed, seed: int, batch: int, start: int, stop: int) -> None:
        self.feed, self.seed, self.batch, self.start, self.stop = feed, seed, batch, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, k: int) -> Batch | UserError:
        feed, step, rank = self.feed, self.start + k, self.feed.processes.rank
        indices = feed.indices(self.seed, self.batch, step)
        share = len(indices) // feed.processes.world
        chance = generator(self.seed, f"samples of {feed.split}", step, rank)
        return _told(feed, indices[rank * share : (rank + 1) * share], chance)


class _Pieces(Dataset[Batch | UserError]):
    """Item k is the k-th piece of a split in order."""

    def __init__(self, feed: Feed, starts: range) -> None:
        self.feed, self.starts = feed, starts

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, k: int) -> Batch | UserError:
        start = self.starts[k]
        return _told(self.feed, torch.arange(start, min(start + self.starts.step, self.starts.stop)))


def _leave_signals_alone(worker: int) -> None:
    """Let Ctrl-C be the training process' affair, and a polite kill end the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _told(feed: Feed, indices: Tensor, chance: torch.Generator | None = None) -> Batch | UserError:
    """Read a batch; what the user must know is given back, since a worker's exception would come with its traceback."""
    try:
        return feed.source.batch(feed.split, indices, chance)
    except UserError as error:
        return error
