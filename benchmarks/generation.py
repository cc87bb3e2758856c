"""How fast GPT-2 (124M) writes, with a cache and without, in smaller weights: `python -m benchmarks.generation`.

One text of 512 tokens after a prompt of one, greedily, weights drawn by chance. The ways with a cache take turns, token
by token. Without a cache every token is computed from all those before it, as a plain loop does; that takes minutes, so
every 16th token of it is computed, in turn with the others, and stands for the 16 up to it. Times are those of the
processor, and the number of threads is told: on a machine that does other things besides, they tell what a run costs.
"""

from __future__ import annotations

import time

import torch

from benchmarks.record import write
from hyperplane import api
from hyperplane.engine.chance import seeded
from hyperplane.nets.gpt import GPT
from hyperplane.predict.sampling import Sampling, picker
from hyperplane.predict.smaller import Weights, of_net
from hyperplane.tasks.blocks.writing import follow

TOKENS, EVERY = 512, 16
WEIGHTS: tuple[Weights, ...] = ("float32", "bfloat16", "int8")


@torch.inference_mode()
def plain(net: GPT, text: list[int]) -> int:
    """Return the token after a text, computed from all of it."""
    return int(net(torch.tensor([text]))[0, -1].argmax())


def main() -> None:
    """Measure and write."""
    with seeded(0, "weights"):
        net = api.net("gpt2").eval()
    assert isinstance(net, GPT)
    ways = {weights: follow(of_net(net, weights), [[0]], picker(Sampling(temperature=0), 1)) for weights in WEIGHTS}
    seconds = {**dict.fromkeys(WEIGHTS, 0.0), "without a cache": 0.0}
    texts: dict[str, list[int]] = {weights: [0] for weights in WEIGHTS}
    same = []
    for token in range(1, TOKENS + 1):
        if token % EVERY == 0:
            begun = time.process_time()
            said = plain(net, texts["float32"])
            seconds["without a cache"] += EVERY * (time.process_time() - begun)
        for weights, following in ways.items():
            begun = time.process_time()
            texts[weights].append(int(next(following)))
            seconds[weights] += time.process_time() - begun
        if token % EVERY == 0:
            same.append(said == texts["float32"][-1])
            print(token, {way: f"{taken / token * 1000:.1f} ms" for way, taken in seconds.items()}, flush=True)
    write(
        "generation",
        {
            "threads": torch.get_num_threads(),
            "processor seconds for 512 tokens": seconds,
            "tokens per second": {way: TOKENS / taken for way, taken in seconds.items()},
            "times as fast with the cache, in float32": seconds["without a cache"] / seconds["float32"],
            "times as fast as float32": {w: seconds["float32"] / seconds[w] for w in WEIGHTS},
            "the same tokens with the cache as without": all(same),
        },
    )


if __name__ == "__main__":
    main()
