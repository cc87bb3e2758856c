"""One hyperplane: what w̃·x̃ says of a point. Shape suffixes: N points, D dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain.planes import Hyperplane
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.findings import Finding, Outcome, Picture, Spread
from hyperplane.tasks.blocks import figures as house

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIMENSIONS = {"2": (2,), "3": (3,), "n": (10, 100, 1000)}
LENGTH = 7.0
"""Of the normals that are given, so that nothing holds by their being of length 1 already."""


def signed_distance(budget: Budget) -> Outcome:
    """Put points at known distances from random hyperplanes of 2, 3 and more dimensions, and ask for w̃·x̃."""
    count = budget.choose(full=2000, quick=2000, least=50)
    worst: dict[int, float] = {}
    wrong_sides, differing = 0, 0.0
    for dimensions in (d for held in DIMENSIONS.values() for d in held):
        plane, x_ND, distance_N = _points(dimensions, count)
        told_N = plane.signed_distance(x_ND)
        worst[dimensions] = float(np.abs(told_N - distance_N).max())
        wrong_sides += int(np.sum(np.sign(np.where(np.abs(told_N) < 1e-9, 0.0, told_N)) != np.sign(distance_N)))
        differing = max(differing, float(np.abs(plane.value(x_ND) - (x_ND @ plane.w_D + plane.b)).max()))
    findings = [
        Finding(
            f"linear-distance-{name}d",
            (off := max(worst[d] for d in held)) <= 1e-9,
            f"{count:,} points were put at known distances from a hyperplane whose normal has length {LENGTH:g}; with "
            f"w̃ divided by it, w̃·x̃ is their distance to {off:.0e}: rounding.",
            Spread.of([off]),
            "greatest difference from the distance",
        )
        for name, held in DIMENSIONS.items()
    ]
    findings += [
        Finding(
            "linear-sides",
            wrong_sides == 0,
            f"Of {len(worst) * count:,} points in 2 to 1,000 dimensions, a tenth of them on the hyperplane, "
            f"{wrong_sides or 'none'} {'are' if wrong_sides else 'is'} on another side than w̃·x̃ says.",
            Spread.of([wrong_sides]),
            "points on another side",
        ),
        Finding(
            "linear-bias",
            differing <= 1e-9,
            f"With w₀ = b, both were computed for the same points; they differ by at most {differing:.0e}: rounding.",
            Spread.of([differing]),
            "greatest difference",
        ),
    ]
    return Outcome(tuple(findings), pictures=(_picture(budget),))


def _points(dimensions: int, count: int) -> tuple[Hyperplane, np.ndarray, np.ndarray]:
    """Return a hyperplane, points (N, D), and how far each is from it by construction, (N,); a tenth are on it."""
    draw = np.random.default_rng(dimensions)
    normal_D = draw.normal(size=dimensions)
    normal_D /= np.linalg.norm(normal_D)
    foot_D = draw.normal(size=dimensions)
    along_ND = draw.normal(size=(count, dimensions))
    along_ND -= (along_ND @ normal_D)[:, None] * normal_D
    distance_N = draw.uniform(-5, 5, count)
    distance_N[: count // 10] = 0.0
    plane = Hyperplane(LENGTH * normal_D, -LENGTH * float(normal_D @ foot_D))
    return plane, foot_D + along_ND + distance_N[:, None] * normal_D, distance_N


def _picture(budget: Budget) -> Picture:
    """Draw a line, its normal, and points with their signed distances."""
    window = ((-2.0, 2.0), (-1.5, 1.5))
    plane = Hyperplane(np.array([1.0, 2.0]), -0.4)
    x_ND = np.array([[-1.2, 1.2], [0.9, 0.9], [1.5, -0.2], [-1.4, -0.3], [0.1, -1.0], [-0.4, 0.4]])
    return budget.draw("distance", _draw(window, plane, x_ND), "w̃·x̃ with ‖w‖ = 1: the distance, and its sign the side")


def _draw(window: tuple[tuple[float, float], tuple[float, float]], plane: Hyperplane, x_ND: np.ndarray) -> Figure:
    with house.style():
        from matplotlib.figure import Figure

        figure = Figure((5.6, 4.2), layout="constrained")
        ax = figure.add_subplot()
        ax.set(xlim=window[0], ylim=window[1], xlabel="x₁", ylabel="x₂", aspect="equal")
        ax.grid(False)
        ends = plane.segment(window)
        assert ends is not None
        ax.plot(ends[:, 0], ends[:, 1], color=house.INK, linewidth=2)
        foot_D, unit = ends.mean(axis=0), plane.normalised()
        ax.annotate("", foot_D + 0.55 * unit.w_D, foot_D,
                    arrowprops={"arrowstyle": "-|>", "color": house.INK, "linewidth": 1.6, "shrinkA": 0})  # fmt: skip
        x1, x2 = foot_D + 0.68 * unit.w_D
        ax.text(x1, x2, "w", ha="center", va="center", fontweight="bold")
        for x_D, near_D, h in zip(x_ND, unit.nearest(x_ND), unit.value(x_ND), strict=True):
            hue = house.BLUE if h > 1e-9 else house.ORANGE if h < -1e-9 else house.INK
            ax.plot(*zip(x_D, near_D, strict=True), color=hue, linewidth=1, linestyle=(0, (3, 2)))
            ax.plot(*x_D, "o", color=hue, markersize=6)
            ax.annotate(f"{h:+.2f}".replace("-", "−") if abs(h) > 1e-9 else "0", x_D, (8, 4), color=hue,
                        textcoords="offset points", fontweight="bold")  # fmt: skip
        ax.set_title("Signed distance")
    return figure
