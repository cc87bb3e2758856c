"""How long it takes from a mask of 5,000 x 5,000 pixels to its network, step by step.

The mask is that of a random network (`hyperplane.data.blocks.road_networks`), 18% of it road; the quickest of three
runs counts, and the processor time says what it takes where nothing else runs. Type: python -m benchmarks.graphs
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any, TypeVar

from benchmarks.record import spread, write
from hyperplane.data.blocks.road_networks import drawn, random_network
from hyperplane.tasks.blocks.networks import network_of
from hyperplane.tasks.blocks.skeleton import thin
from hyperplane.tasks.blocks.tracing import trace

Made = TypeVar("Made")
RUNS = 3


def main() -> None:
    """Make the mask, and time each step on it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=5000, help="pixels a side")
    side = parser.parse_args().side
    truth = random_network(0, side, spacing=100.0, kept=0.75)
    mask_HW = drawn(truth, (side, side), 12)
    print(f"{side} x {side} pixels, {100 * mask_HW.mean():.1f}% road")
    skeleton_HW, thinning = timed("skeleton", lambda: thin(mask_HW))
    traced, tracing = timed("tracing", lambda: trace(skeleton_HW))
    network, whole = timed("all of it", lambda: network_of(mask_HW))
    made = network.graph
    print(
        f"{int(skeleton_HW.sum()):,} pixels of skeleton, {traced.edges:,} edges traced, {made.edges:,} in the network"
    )
    print(f"true: {truth.components} components, {truth.loops} loops; made: {made.components}, {made.loops}")
    write(
        "graphs",
        {
            "pixels a side": side,
            "share of road": float(mask_HW.mean()),
            "edges": made.edges,
            "true components and loops": [truth.components, truth.loops],
            "components and loops": [made.components, made.loops],
            "skeleton": thinning,
            "tracing": tracing,
            "all of it": whole,
        },
    )


def timed(name: str, make: Callable[[], Made]) -> tuple[Made, dict[str, Any]]:
    """Return what is made, and the times of a few runs in seconds: on the wall, and of the processor."""
    walls, processors, made = [], [], make()
    for _ in range(RUNS):
        begun = time.perf_counter(), time.process_time()
        made = make()
        walls.append(time.perf_counter() - begun[0])
        processors.append(time.process_time() - begun[1])
    print(f"{name:10} {min(walls):6.2f} s, {min(processors):6.2f} s of the processor", flush=True)
    return made, {"seconds": spread(walls), "seconds of the processor": spread(processors)}


if __name__ == "__main__":
    main()
