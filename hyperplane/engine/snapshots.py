"""Weights along the way: what a small net was like at some 40 steps, kept in the run folder for the film of training.

Which steps are due depends on the number of steps alone, so that a resumed run keeps what an uninterrupted one does.
Each is one file, `history/step-N.safetensors`, there whole or not at all when a run is killed; they are no part of the
net, nor of the manifest, and not worth the wait until a disk has them: a power cut may cost the film a frame.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from hyperplane.contracts import Description
from hyperplane.engine.model import Model
from hyperplane.errors import UserError
from hyperplane.runs.atomic import explained

MOST = 40
"""Snapshots of one run."""
MOST_WEIGHTS, MOST_INPUTS = 5000, 2
"""Of nets that are kept: small ones on a line or on the plane, where everything can be seen."""
Weights = Callable[[], dict[str, Tensor]]
"""A function that gives the net's parameters by name."""


def due(steps: int, ends_early: bool = False) -> tuple[int, ...]:
    """Return the steps to keep of a run of so many at most, in order, from 0 to the last; no two are the same.

    They are dense at first, when most changes: at the squares of equal shares of the run, or where it is likely to end
    long before, at equal ratios, so that there are enough of them wherever it ends.
    """
    found: list[int] = []
    for k in range(min(MOST, steps + 1)):
        share = k / (MOST - 1)
        at = math.expm1(share * math.log1p(steps)) if ends_early else share**2 * steps
        found.append(max(round(at), found[-1] + 1 if found else 0))
    return (*found[:-1], steps)


def worth_keeping(model: Model, description: Description) -> bool:
    """Return whether a net is small enough, and has few enough inputs, to be filmed."""
    inputs, weights = math.prod(description.shapes[description.input]), sum(p.numel() for p in model.net.parameters())
    return inputs <= MOST_INPUTS and weights <= MOST_WEIGHTS


class Snapshots:
    """Keeps the weights of a run at the steps that are due; a loop calls it after every step."""

    def __init__(self, folder: Path, steps: int, ends_early: bool = False) -> None:
        """Set up for a run of so many steps (see `due`), into a folder that need not be there yet."""
        self.folder, self.due = folder, frozenset(due(steps, ends_early))

    def __call__(self, step: int, weights: Weights) -> None:
        """Keep the weights if this step is due; raises UserError on a full disk."""
        if step in self.due:
            alone = {name: tensor.detach().cpu().contiguous() for name, tensor in weights().items()}
            path = self.folder / f"step-{step:09d}.safetensors"
            part = path.with_name(f".{path.name}.part")
            with explained(path):
                self.folder.mkdir(exist_ok=True)
                part.write_bytes(safetensors.torch.save(alone))
                os.replace(part, path)

    def forget_after(self, step: int) -> None:
        """Remove what was kept after a step, for a run that goes on from there."""
        for later, path in _kept(self.folder):
            if later > step:
                path.unlink()


def read(folder: Path) -> list[tuple[int, dict[str, Tensor]]]:
    """Return the steps that a run kept and its weights there, on the CPU, in order; none where it kept none.

    Raises UserError for a file that is damaged.
    """
    found: list[tuple[int, dict[str, Tensor]]] = []
    for step, path in _kept(folder):
        try:
            found.append((step, safetensors.torch.load(path.read_bytes())))
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            told = " ".join(str(error).split())[:160]
            raise UserError(f"{path}: is damaged ({told}); delete it, and the film goes without it") from error
    return found


def _kept(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in sorted(folder.glob("step-*.safetensors")):
        step = path.stem.removeprefix("step-")
        if step.isdecimal():
            yield int(step), path
