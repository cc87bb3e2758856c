"""L-BFGS on a whole training split: for nets whose Hessian would not fit, and for losses that are no sum of squares.

Nocedal 1980, "Updating quasi-Newton matrices with limited storage"; Liu and Nocedal 1989, "On the limited memory BFGS
method for large scale optimization". Steps meet the strong Wolfe conditions (`line_search.py`). Shape suffixes: P
weights, M pairs held.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from hyperplane.engine.line_search import Trial, search

Function = Callable[[Tensor], tuple[float, Tensor]]
"""From weights (P,) to the loss and its gradient (P,)."""

REASONS = (
    "is still going down",
    "the loss vanishes",
    "the gradient vanishes",
    "no step lowers the loss",
    "steps no longer change the loss",
)
"""Why it stopped, by its code; 0 has not."""
GOING, EXACT, FLAT, STUCK, SLOW = range(5)

MOST_PAIRS = 20
"""Steps whose change of the gradient is remembered."""
LOSS_FLOOR, GRADIENT_FLOOR = 1e-29, 0.75
"""The least loss, and the power of the numbers' rounding that the gradient's greatest component must reach."""
WINDOW, PROGRESS = 20, 1e-9
"""It is slow when so many steps together lower the loss by less than this share."""


class Memory:
    """Steps and how the gradient changed over each: what is known of the inverse Hessian."""

    def __init__(self, like_P: Tensor, most: int = MOST_PAIRS) -> None:
        """Begin with none; `like_P` gives size, number type and device."""
        self.most = most
        self.step_MP, self.change_MP = like_P.new_empty(0, len(like_P)), like_P.new_empty(0, len(like_P))

    def __len__(self) -> int:
        return len(self.step_MP)

    def add(self, step_P: Tensor, change_P: Tensor) -> None:
        """Remember a step, forgetting the oldest; one along which the gradient does not rise says nothing."""
        rise = (step_P @ change_P).item()
        if rise > torch.finfo(step_P.dtype).eps * change_P.square().sum().item():
            self.step_MP = torch.cat([self.step_MP, step_P[None]])[-self.most :]
            self.change_MP = torch.cat([self.change_MP, change_P[None]])[-self.most :]

    def clear(self) -> None:
        """Forget everything."""
        self.step_MP, self.change_MP = self.step_MP[:0], self.change_MP[:0]

    def times(self, gradient_P: Tensor, inverse: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the inverse Hessian times a gradient; `inverse` multiplies by what it is taken for without memory.

        Nocedal 1980's two loops.
        """
        left_P, pairs = gradient_P.clone(), list(zip(self.step_MP, self.change_MP, strict=True))
        shares = []
        for step_P, change_P in reversed(pairs):
            shares.append((step_P @ left_P) / (step_P @ change_P))
            left_P -= shares[-1] * change_P
        found_P = inverse(left_P)
        for (step_P, change_P), share in zip(pairs, reversed(shares), strict=True):
            found_P = found_P + (share - (change_P @ found_P) / (step_P @ change_P)) * step_P
        return found_P


class LBFGS:
    """One minimisation, a step at a time."""

    def __init__(self, function: Function, start_P: Tensor) -> None:
        """Begin at `start_P`; a loss that is not finite there is stuck from the beginning."""
        self.function = function
        loss, gradient_P = function(start_P)
        self.at = Trial(start_P.clone(), 0.0, loss, 0.0, gradient_P)
        self.memory = Memory(start_P)
        self.history: list[float] = []
        """The losses before the last WINDOW steps."""
        self.iterations, self.reason = 0, GOING if math.isfinite(loss) else STUCK

    @property
    def going(self) -> bool:
        """Return whether it has not stopped."""
        return self.reason == GOING

    def step(self) -> None:
        """Take one step that lowers the loss, and judge whether it was the last."""
        before, downhill_P = self.at, -self.memory.times(self.at.gradient_P, self._scaled)
        found = search(self.function, before, downhill_P, 1.0 if self.memory else self._first_rate())
        self.iterations += 1
        if found is not None:
            self.memory.add(found.weights_P - before.weights_P, found.gradient_P - before.gradient_P)
            self.history = [*self.history, before.loss][-WINDOW:]
            self.at = found
            self.reason = self._judge()
        elif self.memory:
            self.memory.clear()  # the next step goes straight down
        else:
            self.reason = STUCK

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that decides how it goes on, by name."""
        return {
            "weights_P": self.at.weights_P,
            "step_MP": self.memory.step_MP,
            "change_MP": self.memory.change_MP,
            "history": torch.tensor(self.history, dtype=torch.float64),
            "numbers": torch.tensor([self.iterations, self.reason, self.at.rate], dtype=torch.float64),
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `tensors` gave."""
        iterations, reason, rate = tensors["numbers"].tolist()
        self.iterations, self.reason, self.history = int(iterations), int(reason), tensors["history"].tolist()
        weights_P = tensors["weights_P"].to(self.at.weights_P).view_as(self.at.weights_P)
        loss, gradient_P = self.function(weights_P)
        self.at = Trial(weights_P, rate, loss, 0.0, gradient_P)
        self.memory.step_MP, self.memory.change_MP = (tensors[n].to(weights_P) for n in ("step_MP", "change_MP"))

    def _scaled(self, gradient_P: Tensor) -> Tensor:
        """Return the gradient times the inverse curvature along the last step (Liu and Nocedal 1989, equation 3.6)."""
        if not self.memory:
            return gradient_P
        step_P, change_P = self.memory.step_MP[-1], self.memory.change_MP[-1]
        return gradient_P * (step_P @ change_P) / change_P.square().sum()

    def _first_rate(self) -> float:
        return min(1.0, 1 / self.at.gradient_P.abs().sum().clamp_min(1e-300).item())

    def _judge(self) -> int:
        steepest = self.at.gradient_P.abs().max().item()
        if 0 <= self.at.loss <= LOSS_FLOOR:
            return EXACT
        if steepest <= torch.finfo(self.at.gradient_P.dtype).eps ** GRADIENT_FLOOR:
            return FLAT
        if len(self.history) == WINDOW and self.history[0] - self.at.loss < PROGRESS * abs(self.at.loss):
            return SLOW
        return GOING
