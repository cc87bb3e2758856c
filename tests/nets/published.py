"""Weights and images that a rule generates, so that published implementations can be compared without their weights."""

from __future__ import annotations

import math
import zlib
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def weights(shapes: dict[str, list[int]]) -> dict[str, Tensor]:
    """Return the rule's tensor for each key of a state dict."""
    return {key: _tensor(key, tuple(shape)) for key, shape in shapes.items()}


def images(batch: int, size: int, seed: int) -> Tensor:
    """Return the rule's images (B, 3, H, W)."""
    chance = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(chance.standard_normal((batch, 3, size, size)).astype(np.float32))


def _tensor(key: str, shape: tuple[int, ...]) -> Tensor:
    """Return a tensor; the largest ones are kept, since variants of a net share them."""
    return _kept(key, shape) if math.prod(shape) > 10_000_000 else _drawn(key, shape)


def _drawn(key: str, shape: tuple[int, ...]) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    x = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    if key.endswith("running_var"):
        x = 1 + 0.1 * np.abs(x)
    elif key.endswith("running_mean"):
        x = 0.1 * x
    elif len(shape) <= 1:
        x = 1 + 0.1 * x if key.endswith("weight") else 0.1 * x
    else:
        x /= math.sqrt(math.prod(shape[1:]))
    return torch.from_numpy(x.astype(np.float32))


_kept = lru_cache(maxsize=2)(_drawn)


def forget() -> None:
    """Free the memory of the tensors that were kept."""
    _kept.cache_clear()
