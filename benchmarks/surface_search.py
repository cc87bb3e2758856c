"""On which domain, and in which scaling, do the lecture's six losses of the surface hold?

The lecture states the losses of 2, 3 and 4 hidden nodes for two kinds of nets, and neither the domain of its surface,
nor how inputs and heights are scaled, nor which kind is which. Here ReLU, tanh and sigmoid are fitted
on domains that people plot this function over, 31 x 31 points each, standardised: 64 restarts of Levenberg-Marquardt,
halved after 50 iterations, at most 600, with each of three seeds, of which the best counts: the question is which
losses exist. The share of the variance that is left unexplained does not depend on how heights are scaled; times
`variance / greatest^2` it is the mean squared error of heights scaled to at most 1. One thread.
"""

from __future__ import annotations

import torch

from benchmarks.fits import problem
from benchmarks.record import write
from hyperplane.data.surface import height
from hyperplane.engine.second_order import LevenbergMarquardt
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe

DOMAINS = (
    ((-1.0, 1.0), (-1.0, 1.0)),
    ((0.0, 2.0), (0.0, 2.0)),
    ((0.0, 1.0), (0.0, 1.0)),
    ((0.5, 1.5), (0.5, 1.5)),
    ((0.0, 2.0), (-0.5, 3.5)),
    ((-0.5, 0.5), (-0.5, 0.5)),
    ((-1.5, 1.5), (-0.5, 2.0)),
    ((-2.0, 2.0), (-1.0, 3.0)),
    ((-2.0, 2.0), (-2.0, 2.0)),
    ((-1.0, 1.0), (0.0, 1.0)),
    ((0.0, 1.0), (-1.0, 1.0)),
    ((-3.0, 3.0), (-3.0, 3.0)),
)
LECTURE = ((3.02e-1, 2.08e-2, 8.27e-3), (2.61e-1, 2.51e-4, 3.07e-7))
NODES = (2, 3, 4)
SEEDS = range(3)


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    found = []
    for x1, x2 in DOMAINS:
        unexplained = {}
        for activation in ("relu", "tanh", "sigmoid"):
            unexplained[activation] = [min(_fit(x1, x2, activation, n, seed) for seed in SEEDS) for n in NODES]
        grid_N2 = torch.cartesian_prod(*(torch.linspace(*x, 31, dtype=torch.float64) for x in (x1, x2)))
        z = height(grid_N2[:, 0].numpy(), grid_N2[:, 1].numpy())
        pairs = zip(("relu", "tanh"), LECTURE, strict=True)
        reached = [all(a <= b for a, b in zip(unexplained[kind], theirs, strict=True)) for kind, theirs in pairs]
        told = {"x1": x1, "x2": x2, "variance": float(z.var()), "greatest": float(z.max()), "nodes": NODES}
        found.append({**told, "unexplained": unexplained, "the lecture's six reached by relu and tanh": all(reached)})
        print(x1, x2, {k: [f"{u:.2e}" for u in v] for k, v in unexplained.items()}, reached, flush=True)
    write("surface_search", {"lecture": LECTURE, "seeds": len(SEEDS), "domains": found})


def _fit(x1: tuple[float, float], x2: tuple[float, float], activation: str, nodes: int, seed: int) -> float:
    recipe = Recipe(
        DataRecipe("surface", validation=0.0, test=0.0, options={"x1": list(x1), "x2": list(x2)}),
        net=NetRecipe("mlp", {"hidden": [nodes], "activation": activation}),
        optimizer=OptimizerRecipe("levenberg-marquardt", restarts=64),
        seed=seed,
    )
    solver = LevenbergMarquardt(*problem(recipe), halving=50)
    while solver.going and solver.iterations < 600:
        solver.step()
    return solver.loss_R.min().item()


if __name__ == "__main__":
    main()
