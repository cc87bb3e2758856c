"""A hyperplane as data: w·x + b = 0, its signed distance, and where it crosses a window of the plane.

As the lecture writes it: x̃ = [1 | x], w̃ = [w₀ | w] with w₀ = b, and h = w̃·x̃, which is the signed distance where
‖w‖ = 1: 0 on the hyperplane, above 0 on the side that the normal w points to. Shape suffixes: B points, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyperplane.contracts import Description
from hyperplane.errors import UserError
from hyperplane.explain.layers import Layers, in_units, units

Window = tuple[tuple[float, float], tuple[float, float]]
"""The least and the greatest x₁, and the least and the greatest x₂."""


@dataclass(frozen=True)
class Hyperplane:
    """The points where w·x + b = 0."""

    w_D: np.ndarray
    """The normal, of any length."""
    b: float

    @property
    def tilde(self) -> np.ndarray:
        """Return w̃ = [b | w], (1 + D,)."""
        return np.concatenate([[self.b], self.w_D])

    def value(self, x_BD: np.ndarray) -> np.ndarray:
        """Return w̃·x̃ of each point, (B,)."""
        x_BD = np.asarray(x_BD, np.float64)
        return np.concatenate([np.ones((len(x_BD), 1)), x_BD], axis=1) @ self.tilde

    def normalised(self) -> Hyperplane:
        """Return the same hyperplane with ‖w‖ = 1; raises UserError where w is 0, and there is none."""
        largest = np.max(np.abs(self.w_D), initial=0.0)
        if not 0 < largest < np.inf:
            found = "0" if largest == 0 else "not finite"
            raise UserError(
                f"hyperplane: its normal w is {found}, expected a direction; give another w, or train longer"
            )
        length = largest * np.linalg.norm(self.w_D / largest)  # w·w alone may overflow, or vanish
        return Hyperplane(self.w_D / length, float(self.b / length))

    def signed_distance(self, x_BD: np.ndarray) -> np.ndarray:
        """Return how far each point is, (B,): above 0 on the side that w points to; in the unit of x."""
        return self.normalised().value(x_BD)

    def nearest(self, x_BD: np.ndarray) -> np.ndarray:
        """Return the point of the hyperplane that is nearest to each point, (B, D)."""
        return x_BD - self.signed_distance(x_BD)[:, None] * self.normalised().w_D

    def segment(self, window: Window) -> np.ndarray | None:
        """Return both ends of the line inside a window, (2, 2), w on its left; None where it does not cross the window.

        Of two dimensions only. A line along the window's border lies in it.
        """
        assert self.w_D.shape == (2,), "a segment is that of a line in the plane"
        unit = self.normalised()
        along_2 = np.array([unit.w_D[1], -unit.w_D[0]])
        low_2, high_2 = np.array(window, np.float64).T
        middle_2 = unit.nearest((low_2 + high_2)[None] / 2)[0]
        touching = 1e-12 * float(np.max(np.abs([low_2, high_2])))
        first, last = -np.inf, np.inf
        for axis in range(2):
            if abs(along_2[axis]) < 1e-15:
                if not low_2[axis] - touching <= middle_2[axis] <= high_2[axis] + touching:
                    return None
                continue
            ends = sorted((edge - middle_2[axis]) / along_2[axis] for edge in (low_2[axis], high_2[axis]))
            first, last = max(first, ends[0]), min(last, ends[1])
        if last - first <= touching:
            return None
        return np.clip(np.stack([middle_2 + first * along_2, middle_2 + last * along_2]), low_2, high_2)


def hyperplanes(net: Layers, description: Description | None = None) -> list[Hyperplane]:
    """Return the hyperplane of each unit of the first layer; for a perceptron, of each output.

    Arguments: the net; the description of the data it was trained on, to have hyperplanes in the user's own units
    instead of standardised ones.
    """
    if description is not None:
        net = in_units(net, units(description))
    first = net.hidden[0] if net.hidden else net.output
    return [Hyperplane(w_D, float(b)) for w_D, b in zip(first.weight_HD, first.bias_H, strict=True)]
