"""How fast GPT-2 (124M) writes, with a cache and without one: `python -m benchmarks.generation`.

One text of 512 tokens after a prompt of one, greedily, weights drawn by chance, with both cores. Without a cache every
token is computed from all those before it, as a plain loop does.
"""

from __future__ import annotations

import time

import torch

from benchmarks.record import write
from hyperplane import api
from hyperplane.engine.chance import seeded
from hyperplane.nets.gpt import GPT
from hyperplane.predict.generate import Sampling, follow, picker

TOKENS = 512


@torch.inference_mode()
def cacheless(net: GPT) -> list[int]:
    """Return a greedy text, each token computed from all before it."""
    token_1T = torch.zeros(1, 1, dtype=torch.int64)
    for _ in range(TOKENS):
        token_1T = torch.cat([token_1T, net(token_1T)[:, -1:].argmax(2)], dim=1)
    return token_1T[0, 1:].tolist()


def cached(net: GPT) -> list[int]:
    """Return the same text."""
    following = follow(net, [[0]], picker(Sampling(temperature=0), 1))
    return [int(token_B) for _, token_B in zip(range(TOKENS), following, strict=False)]


def main() -> None:
    """Measure and write."""
    with seeded(0, "weights"):
        net = api.net("gpt2").eval()
    assert isinstance(net, GPT)
    seconds, texts = {}, {}
    for name, writes in (("with the cache", cached), ("without a cache", cacheless)):
        begun = time.perf_counter()
        texts[name] = writes(net)
        seconds[name] = time.perf_counter() - begun
        print(f"{name}: {seconds[name]:.1f} s", flush=True)
    write(
        "generation",
        {
            "seconds for 512 tokens": seconds,
            "tokens per second with the cache": TOKENS / seconds["with the cache"],
            "times as fast": seconds["without a cache"] / seconds["with the cache"],
            "the same tokens": texts["with the cache"] == texts["without a cache"],
        },
    )


if __name__ == "__main__":
    main()
