"""Random numbers that depend only on the seed and on what they are for: never on what was drawn before.

So a step draws the same numbers in a run that was never stopped, in one that was killed and resumed, in any process.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

MASK = (1 << 64) - 1


def mix(seed: int, purpose: str, *counters: int) -> int:
    """Return a 63-bit number that depends on the seed, what it is for, and counters such as the step.

    SplitMix64's output function over each word in turn (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
    number generators").
    """
    state = 0
    for word in (seed, zlib.crc32(purpose.encode()), *counters):
        state = (state ^ (word & MASK)) + 0x9E3779B97F4A7C15 & MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state >> 1


def generator(seed: int, purpose: str, *counters: int, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a generator that starts at `mix` of the arguments."""
    return torch.Generator(device).manual_seed(mix(seed, purpose, *counters))


@contextmanager
def seeded(seed: int, purpose: str) -> Iterator[None]:
    """Let the body draw from torch's global generator, seeded for `purpose`, and put it back as it was.

    For code that cannot be given a generator: the constructors of torch's layers.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(mix(seed, purpose))
        yield
