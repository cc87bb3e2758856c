"""Which figures suit which net, and what to say of each: one line on what it shows and how to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hyperplane.explain import along, breakpoints, drawing, figures, levels, surfaces
from hyperplane.explain.drawing import Plane
from hyperplane.explain.layers import Layers
from hyperplane.explain.planes import Window
from hyperplane.explain.regions import Regions, TooMany, regions
from hyperplane.explain.subject import Subject, View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_REGIONS = 8_000
"""In one figure; of a net that has more, a smaller part of the window is drawn."""
MOST_UNITS = 1000
"""Whose level sets are drawn: of more, nobody sees one."""
MOST_OUTPUTS = 4
"""Of which each has its own figures."""


@dataclass(frozen=True)
class Drawn:
    """A figure, and what to say of it."""

    figure: Figure
    caption: str


def draw(subject: Subject, seen: View) -> dict[str, Drawn]:
    """Return the figures that suit a net, by name, in the order in which they are best looked at."""
    if seen.dimensions == 1:
        return _on_line(subject, seen)
    plane = seen.plane
    value_HWK = levels.on_grid(seen.function, plane.window, seen.grid)
    found, close = _close_up(seen.layers, plane.window)
    whole = found if found is not None and found.window == plane.window else None
    if subject.description.classes:
        drawn = _decisions(plane, value_HWK, whole)
    elif subject.description.format == "picture":
        drawn = {"picture": _picture(seen, value_HWK)}
    else:
        drawn = _fields(plane, value_HWK, subject.description.target_names)
    units = _units(_without_pixels(subject, plane), seen.layers, found, value_HWK.shape[-1])
    drawn |= {name: Drawn(one.figure, one.caption + close) for name, one in units.items()}
    if subject.description.format != "picture":
        drawn |= _surfaces(subject, plane, value_HWK, whole)
    if not seen.where:
        return drawn
    return {name: Drawn(one.figure, f"{one.caption} On {seen.where}.") for name, one in drawn.items()}


def _without_pixels(subject: Subject, plane: Plane) -> Plane:
    """Return the plane without samples where these are the pixels of a picture, all over it."""
    return replace(plane, point_NE=None) if subject.description.format == "picture" else plane


def regions_of(net: Layers | None, window: Window, most: int) -> Regions | None:
    """Return the regions on a window; None where they are more than `most`, or the net has no exact ones.

    Raises UserError for weights that are not finite.
    """
    if net is None or not net.hidden or net.activation != "relu":
        return None
    try:
        return regions(net, window, most)
    except TooMany:
        return None


def _close_up(net: Layers | None, window: Window) -> tuple[Regions | None, str]:
    """Return the regions on the window, or on the largest part around its middle that has few enough.

    And a sentence on that part, empty where it is all. Raises UserError for weights that are not finite.
    """
    if net is None or not net.hidden or net.activation != "relu":
        return None, ""
    least, told = 0, ""
    for halved in range(30):
        try:
            return regions(net, window, MOST_REGIONS), told
        except TooMany as error:
            least = least or error.least
        told = (
            f" The whole window has at least {least:,} regions, too many to see: this is its middle, "
            f"1/{2 ** (halved + 1)} as wide and as high."
        )
        (low1, high1), (low2, high2) = window
        quarter1, quarter2 = (high1 - low1) / 4, (high2 - low2) / 4
        window = ((low1 + quarter1, high1 - quarter1), (low2 + quarter2, high2 - quarter2))
    return None, ""


def boundary_of(value_HWK: np.ndarray, plane: Plane, whole: Regions | None) -> Sequence[np.ndarray]:
    """Return the decision boundary: exactly where the regions of the whole window are known, else from a grid."""
    return list(levels.exact_boundary(whole)) if whole is not None else levels.boundary(value_HWK, plane.window)


def _decisions(plane: Plane, value_HWK: np.ndarray, whole: Regions | None) -> dict[str, Drawn]:
    lines = boundary_of(value_HWK, plane, whole)
    if len(plane.classes) == 2:
        first, second = plane.classes
        name, share_HW = f"Probability of {second}", drawing.probability(value_HWK)[..., 0]
        return {
            "boundary": Drawn(
                figures.boundary(plane, lines, value_HWK),
                "Each side has the colour of the class that the net says there; on the line both are equally likely.",
            ),
            "field": Drawn(
                figures.field(plane, share_HW, lines, name, probability=True),
                f"How likely the net holds {second} rather than {first}; white lines at 10, 25, 75 and 90 %, "
                "close together where it is sure of the boundary.",
            ),
        }
    return {
        "boundary": Drawn(
            figures.boundary(plane, lines, value_HWK),
            "Each part has the colour of the class that the net says there; on the lines two are equally likely.",
        ),
        "field": Drawn(
            figures.certainty(plane, value_HWK, lines),
            "The colour is the likeliest class; white where the net does not know between several.",
        ),
        "classes": Drawn(
            figures.classes(plane, value_HWK),
            "Where the net sees each class, and the samples of it" + _among(len(plane.classes)) + ".",
        ),
    }


def _among(count: int) -> str:
    return f"; of {count:,} classes the {figures.MOST_CLASSES} it sees most" if count > figures.MOST_CLASSES else ""


def _fields(plane: Plane, value_HWK: np.ndarray, names: Sequence[str]) -> dict[str, Drawn]:
    """Return a field for each output; of many, the first few."""
    told = "What the net says at each place."
    if plane.point_NE is not None:
        told += " The points have the colour of what is true: one that is hard to see is predicted well."
    shown = _first(names)
    return {
        f"field{ending}": Drawn(
            figures.field(plane, value_HWK[..., k], [], name, probability=False, output=k),
            told + (rest(names) if k == len(shown) - 1 else ""),
        )
        for k, (ending, name) in enumerate(shown)
    }


def _first(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return what the file names of the outputs that are drawn end in, and their own names."""
    return [(f"-{k + 1}" if len(names) > 1 else "", name) for k, name in enumerate(names[:MOST_OUTPUTS])]


def rest(names: Sequence[str]) -> str:
    """Return what a caption says of outputs that are not drawn."""
    left = names[MOST_OUTPUTS:]
    return f" Not drawn: {', '.join(left[:12])}{' and more' * (len(left) > 12)}." if left else ""


def _picture(seen: View, value_HWK: np.ndarray) -> Drawn:
    told = "The net as a function of the place: beside the pixels that it was shown, what it draws between them too."
    true_HWK = pixels(seen.plane)
    if true_HWK is not None and np.isnan(true_HWK).any():
        told += " The blue ones were held out."
    return Drawn(figures.picture(value_HWK, true_HWK), told)


def pixels(plane: Plane) -> np.ndarray | None:
    """Return the picture whose pixels the samples are, (H, W, K), first row at the bottom; None where they are gone.

    A pixel that is none of them, held out from the training, is not a number.
    """
    if plane.point_NE is None or plane.value_NK is None:
        return None
    x_W, column_N = np.unique(plane.point_NE[:, 0], return_inverse=True)
    y_H, row_N = np.unique(plane.point_NE[:, 1], return_inverse=True)
    picture_HWK = np.full((len(y_H), len(x_W), plane.value_NK.shape[1]), np.nan)
    picture_HWK[row_N, column_N] = plane.value_NK
    return picture_HWK


def _units(plane: Plane, net: Layers | None, found: Regions | None, outputs: int) -> dict[str, Drawn]:
    """Return hyperplanes and regions, where the net has them."""
    if net is None or not net.hidden:
        return {}
    if found is None:
        if net.activation == "relu" or sum(net.widths) > MOST_UNITS:
            return {}
        points = levels.GRID if sum(net.widths) <= 300 else levels.GRID // 2
        half = "0.5" if net.activation == "sigmoid" else "0"
        levelled = [
            [line for unit in layer for line in unit] for layer in levels.unit_levels(net, plane.window, points)
        ]
        told = f"Where each unit says {half}, the middle of what it can: straight in the first layer, bent beyond it."
        return {"hyperplanes": Drawn(figures.hyperplanes(plane, levelled, net.widths, plane.window), told)}
    lines = [found.bends.of(depth) for depth in range(len(net.hidden))]
    told = "Each unit is on at one side of its line and off at the other: straight in the first layer, "
    told += "bent in further ones where they cross lines of the layers before."
    drawn = {"hyperplanes": Drawn(figures.hyperplanes(plane, lines, net.widths, found.window), told)}
    if outputs == 1:
        drawn["regions"] = Drawn(
            figures.regions(plane, found),
            "On each region the net is one plane; its colour says which way that rises, and how steeply.",
        )
    drawn["regions-units"] = Drawn(
        figures.regions(plane, found, "units"),
        "The same regions by how many units are on in them: what is on decides which plane the net is there.",
    )
    return drawn


def _surfaces(subject: Subject, plane: Plane, value_HWK: np.ndarray, whole: Regions | None) -> dict[str, Drawn]:
    """Return a surface for each output but those of several classes."""
    facets = " White edges are where its planes meet." if whole is not None else ""
    if len(plane.classes) > 2:
        return {}
    if len(plane.classes) == 2:
        lines = boundary_of(value_HWK, plane, whole)
        shown = whole if whole is not None else value_HWK[..., 0]
        told = f"What the net computes before it becomes a probability; it decides where this is 0, the line.{facets}"
        name = f"Log odds of {plane.classes[1]}"
        return {"surface": Drawn(surfaces.surface(plane, shown, name, decision=lines), told)}
    return {
        f"surface{ending}": Drawn(
            surfaces.surface(plane, whole if whole is not None else value_HWK[..., k], name, output=k),
            f"The function that the net is, its height the {name} it predicts.{facets}",
        )
        for k, (ending, name) in enumerate(_first(subject.description.target_names))
    }


def _on_line(subject: Subject, seen: View) -> dict[str, Drawn]:
    """Draw a net of one input over it."""
    x_S, value_SK, breaks = line_of(seen)
    told = " A dot is where a unit switches: the net is straight between two." if breaks else ""
    if seen.plane.classes:
        figure = along.classes(seen.plane, x_S, value_SK, breaks)
        told = "Above, how likely the net holds each class, and the samples as marks; below, the logits." + told
        return {"line": Drawn(figure, told)}
    names = subject.description.target_names
    shown = [name for _, name in _first(names)]
    figure = along.outputs(seen.plane, x_S, value_SK[:, : len(shown)], shown, breaks)
    return {"line": Drawn(figure, f"What the net says, the line, and the samples, the points.{told}{rest(names)}")}


def line_of(seen: View) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return positions along a net's one input, its outputs there, and whether each but the ends is a breakpoint."""
    low, high = seen.plane.window[0]
    if seen.layers is not None and seen.layers.activation == "relu":
        found = breakpoints.pieces(seen.layers, np.array([low]), np.array([high]))
        return low + found.edge_S * (high - low), found(found.edge_S), True
    x_S = np.linspace(low, high, levels.GRID)
    return x_S, seen.function(x_S[:, None]), False
