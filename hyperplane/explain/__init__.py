"""What a trained net learned, as pictures: where it decides, how sure it is, its hyperplanes, its linear regions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.errors import UserError
from hyperplane.explain import breakpoints, figures, levels
from hyperplane.explain.layers import Layers
from hyperplane.explain.planes import Window
from hyperplane.explain.regions import Regions, regions
from hyperplane.explain.subject import Subject, View, load, view
from hyperplane.runs import atomic
from hyperplane.tasks.blocks import figures as house

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_REGIONS = 20_000
"""In one figure; of a net that has more, a smaller part of the window is drawn."""


def explain(path: str | Path, png: bool = False) -> list[Path]:
    """Draw what the net of a run folder learned, into its folder `explain`, and return the files.

    Nets of two inputs are drawn on their plane, of one input along it, all others on a slice through three samples of
    the training data. Arguments: the run folder; whether to write each figure as PNG as well as SVG.
    Raises UserError for a folder that holds no finished run, and for nets whose slice needs data that are gone.
    """
    subject = load(path)
    folder = subject.folder.path / "explain"
    with atomic.explained(folder):
        folder.mkdir(exist_ok=True)
    written: list[Path] = []
    for name, figure in draw(subject, view(subject)).items():
        written.append(folder / f"{name}.svg")
        with atomic.explained(written[-1]):
            house.save(figure, written[-1])
            if png:
                written.append(folder / f"{name}.png")
                with house.style():
                    figure.savefig(written[-1], metadata={"Software": "hyperplane"})
    return written


def draw(subject: Subject, seen: View) -> dict[str, Figure]:
    """Return the figures that suit a net, by name."""
    if seen.dimensions == 1:
        return {"line": _line(subject, seen)}
    plane, classes = seen.plane, subject.description.classes
    value_HWK = levels.on_grid(seen.function, plane.window)
    found = _regions(seen.layers, plane.window)
    exact = found is not None and found.window == plane.window
    drawn: dict[str, Figure] = {}
    lines: list[np.ndarray] = []
    if classes:
        lines = list(levels.exact_boundary(found)) if exact and found else levels.boundary(value_HWK, plane.window)
        drawn["boundary"] = figures.boundary(plane, lines, value_HWK)
        if len(classes) == 2:
            share_HW = 0.5 + 0.5 * np.tanh(0.5 * value_HWK[..., 0])
            drawn["field"] = figures.field(plane, share_HW, lines, f"Probability of {classes[1]}", probability=True)
        else:
            drawn["field"] = figures.certainty(plane, value_HWK, lines)
    else:
        drawn["field"] = figures.field(plane, value_HWK[..., 0], lines, _output(subject), probability=False)
    if seen.layers is not None and seen.layers.hidden:
        drawn["hyperplanes"] = _hyperplanes(plane, seen.layers, found)
    if found is not None and found.widths:
        if value_HWK.shape[-1] == 1:
            drawn["regions"] = figures.regions(plane, found)
        drawn["regions-units"] = figures.regions(plane, found, "units")
    if value_HWK.shape[-1] == 1:
        shown = found if exact and found and found.widths else value_HWK[..., 0]
        drawn["surface"] = figures.surface(plane, shown, _output(subject), decision=lines if classes else None)
    return drawn


def _output(subject: Subject) -> str:
    classes = subject.description.classes
    return f"Log odds of {classes[1]}" if classes else subject.description.target_names[0]


def _regions(net: Layers | None, window: Window) -> Regions | None:
    """Return the regions of a ReLU net on the window, or on the largest part around its middle that has few enough."""
    if net is None or (net.hidden and net.activation != "relu"):
        return None
    for _ in range(30):
        try:
            return regions(net, window, MOST_REGIONS)
        except UserError:
            if not _finite(net):
                raise
        (low1, high1), (low2, high2) = window
        quarter1, quarter2 = (high1 - low1) / 4, (high2 - low2) / 4
        window = ((low1 + quarter1, high1 - quarter1), (low2 + quarter2, high2 - quarter2))
    return None


def _finite(net: Layers) -> bool:
    return all(np.isfinite(part).all() for layer in (*net.hidden, net.output) for part in vars(layer).values())


def _hyperplanes(plane: figures.Plane, net: Layers, found: Regions | None) -> Figure:
    if found is not None:
        lines = [found.bends.of(depth) for depth in range(len(net.hidden))]
        return figures.hyperplanes(replace(plane, window=found.window), lines, net.widths)
    levelled = levels.unit_levels(net, plane.window)
    return figures.hyperplanes(plane, [[line for unit in layer for line in unit] for layer in levelled], net.widths)


def _line(subject: Subject, seen: View) -> Figure:
    """Draw a net of one input over it."""
    low, high = seen.plane.window[0]
    names = (seen.plane.names[0], _output(subject))
    if seen.layers is not None and seen.layers.activation == "relu":
        found = breakpoints.pieces(seen.layers, np.array([low]), np.array([high]))
        told = f"{len(found):,} linear pieces" if len(found) > 1 else "One linear piece"
        return figures.along_line(low + found.edge_S * (high - low), found(found.edge_S)[:, 0], True, names, told)
    x_S = np.linspace(low, high, levels.GRID)
    return figures.along_line(x_S, seen.function(x_S[:, None])[:, 0], False, names, "The function learned")
