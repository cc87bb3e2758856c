"""Linear regions of ReLU nets on a window: how many, how fast, how exact, over seeds: `python -m benchmarks.regions`.

One thread. Weights as the MLP draws them, biases normal with deviation 0.5, on [−1, 1]². Error: the greatest difference
between a region's affine map and a float64 copy of the net at the region's middle, over the greatest output. Area: of
all regions together over the window's, minus 1.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from benchmarks.record import spread, write
from hyperplane.explain.layers import Layers, layers
from hyperplane.explain.regions import regions
from hyperplane.nets.mlp import MLP

SEEDS, REPEATS = 5, 7
WINDOW = ((-1.0, 1.0), (-1.0, 1.0))
NETS = {
    "48-48": ((48, 48), False),
    "48-48, bypass": ((48, 48), True),
    "20-20": ((20, 20), False),
    "14-15-19": ((14, 15, 19), False),
    "10-20-10-10, bypass": ((10, 20, 10, 10), True),
    "300": ((300,), False),
    "100-100": ((100, 100), False),
}


def drawn(hidden: tuple[int, ...], bypass: bool, seed: int) -> tuple[Layers, MLP]:
    """Return a net of random weights, as arrays and as a float64 module."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = MLP((2,), 1, hidden=hidden, bypass=bypass)
    with torch.no_grad():
        for layer in net.hidden:
            layer.bias.normal_(std=0.5, generator=generator)  # pyright: ignore[reportCallIssue]
    return layers(net), net.double()


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    found = {}
    for name, (hidden, bypass) in NETS.items():
        count, seconds, rate, error, area = [], [], [], [], []
        for seed in range(SEEDS):
            net, module = drawn(hidden, bypass, seed)
            times = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                made = regions(net, WINDOW)
                times.append(time.perf_counter() - begun)
            with torch.no_grad():
                y_P = module(torch.from_numpy(made.centre_P2))[:, 0].numpy()
            own_P = np.sum(made.slope_PK2[:, 0] * made.centre_P2, axis=1) + made.offset_PK[:, 0]
            count.append(len(made))
            seconds.append(spread(times)["median"])
            rate.append(len(made) / seconds[-1])
            error.append(float(np.abs(own_P - y_P).max() / np.abs(y_P).max()))
            area.append(abs(float(made.area_P.sum()) / 4 - 1))
        found[name] = {
            "regions": spread(count),
            "seconds": spread(seconds),
            "regions a second": spread(rate),
            "greatest error of the maps": max(error),
            "greatest error of the area": max(area),
        }
        print(f"{name}: {spread(count)['median']:,} regions in {spread(seconds)['median'] * 1000:.1f} ms, "
              f"maps to {max(error):.1e}, area to {max(area):.1e}", flush=True)  # fmt: skip
    write("regions", found)


if __name__ == "__main__":
    main()
