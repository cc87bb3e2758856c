"""How hyperplanes split the plane, layer by layer: the lecture's worked figures, and nets of three layers, exactly."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from hyperplane.explain import figures as explained
from hyperplane.explain import worked
from hyperplane.explain.layers import Layer, Layers, layers
from hyperplane.explain.planes import hyperplanes
from hyperplane.explain.regions import Regions, regions
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.experiments.perceptrons import WINDOW, random_net
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table

WIDTHS = (8, 8, 8)


def worked_figures(budget: Budget) -> Outcome:
    """Count the parts of the plane in the lecture's worked figures."""
    names = {1: "one", 2: "two", 3: "three"}
    findings: list[Finding] = []
    for count, expected in {1: 2, 2: 4, 3: 7}.items():
        found = regions(worked.net(count), worked.WINDOW)
        maps_P3 = np.column_stack([found.slope_PK2[:, 0], found.offset_PK[:, 0]]).round(9)
        zero = " It is 0 where no node is on." if np.any(np.all(maps_P3 == 0, axis=1)) else ""
        told = f"{names[count].capitalize()} hyperplane{'s split' if count > 1 else ' splits'} the window into"
        findings.append(
            Finding(
                f"mlp-worked-{names[count]}",
                len(found) == expected == len(np.unique(maps_P3, axis=0)),
                f"{told} {len(found)} parts, on each of which y is another affine function.{zero}",
                Spread.of([len(found)]),
                "parts",
            )
        )
    flat, deep = regions(worked.net(2), worked.WINDOW), regions(worked.two_layers(), worked.WINDOW)
    bent = _bends_off(worked.two_layers(), deep)
    findings += [
        Finding(
            "mlp-worked-one-layer",
            len(flat) == 4,
            f"The two lines are straight, and the plane is in {len(flat)} parts.",
            Spread.of([len(flat)]),
            "parts",
        ),
        Finding(
            "mlp-worked-two-layers",
            len(deep) > len(flat) and bent <= 1e-9,
            f"The second layer's lines bend where they cross the first's, and nowhere else (to {bent:.0e}); the plane "
            f"is in {len(deep)} parts instead of {len(flat)}.",
            Spread.of([len(deep)]),
            "parts",
        ),
    ]
    drawn, captions = worked.figures(), ("One hyperplane", "Two", "Three", "Two layers of two")
    del drawn["one-layer-two-hyperplanes"]  # which is that of two
    pictures = tuple(
        budget.draw(name, figure, caption) for (name, figure), caption in zip(drawn.items(), captions, strict=True)
    )
    return Outcome(
        tuple(findings),
        "The lecture's figures have no numbers, so these are ours: h = max(W x + b, 0), and y adds up the nodes.",
        pictures,
    )


def levels(budget: Budget) -> Outcome:
    """Cut the plane by one layer after the other of random nets, and see what became of each region."""
    seeds = range(budget.choose(full=20, quick=5, least=1))
    nets = [layers(random_net(WIDTHS, "relu", seed)) for seed in seeds]
    found = [[regions(_first(net, depth), WINDOW) for depth in (1, 2, 3)] for net in nets]
    counts_SL = np.array([[len(r) for r in held] for held in found])
    followed = [pair for held in found for pair in pairwise(held)]
    whole = max(_area_off(before, after) for before, after in followed)
    split = [100 * _share_split(before, after) for before, after in followed]
    bend_off = max(_bends_off(net, held[1]) for net, held in zip(nets, found, strict=True))
    numbers = [3 * len(held[-1]) for held in found]
    weights = sum(w.weight_HD.size + w.bias_H.size for w in (*nets[0].hidden, nets[0].output))
    table = Table(
        f"Linear regions of {len(nets)} random nets after each layer of 8 nodes",
        ("after layer", "fewest", "mean", "most"),
        tuple((f"{d + 1}", *(f"{f(counts_SL[:, d]):.0f}" for f in (np.min, np.mean, np.max))) for d in range(3)),
    )
    plane = explained.Plane(WINDOW)
    pictures = (
        budget.draw("regions-1", explained.regions(plane, found[0][0]), "Regions after one layer"),
        budget.draw("regions-3", explained.regions(plane, found[0][2]), "Regions after three layers"),
    )
    added = int((np.diff(counts_SL, axis=1) > 0).all(axis=1).sum())
    findings = (
        Finding(
            "mlp-split-levels",
            added == len(nets),
            f"Three layers of 8 nodes with random weights: every layer adds regions in {added} of {len(nets)} nets.",
            Spread.of(counts_SL[:, -1].tolist()),
            "regions after the third layer",
        ),
        Finding(
            "mlp-split-regions",
            whole <= 1e-9 and min(split) == 100,
            f"Every region lies inside one of the layer before, and they fill it (to {whole:.0e} of area). Of "
            f"a layer's regions the next cuts {np.mean(split):.0f}% in two or more; no hyperplane reaches the others.",
            Spread.of(split, "nets and layers"),
            "% of a layer's regions that the next layer splits",
        ),
        Finding(
            "mlp-split-combined",
            bend_off <= 1e-9,
            "Inside each region of the first layer the second's hyperplanes are straight, and where they bend is at "
            f"most {bend_off:.0e} from a hyperplane of the first.",
            Spread.of([bend_off]),
            "greatest distance of a bend from the first layer's hyperplanes",
        ),
        Finding(
            "mlp-split-correlated",
            bool(np.mean(numbers) > 2 * weights),
            f"The affine maps of the regions hold {np.mean(numbers):,.0f} numbers in the mean, three for each region, "
            f"and all of them follow from {weights} weights: they cannot be chosen one by one.",
            Spread.of([n / weights for n in numbers]),
            "numbers in the regions' maps for each weight",
        ),
    )
    return Outcome(findings, pictures=pictures, tables=(table,))


def _first(net: Layers, depth: int) -> Layers:
    """Return the net of its first few layers, and an output that adds the last one's nodes."""
    width = len(net.hidden[depth - 1].bias_H)
    return replace(net, hidden=net.hidden[:depth], output=Layer(np.ones((1, width)), np.zeros(1)))


def _parents(before: Regions, after: Regions) -> np.ndarray:
    """Return which region of the layer before holds each region, (P,)."""
    units = before.active_PH.shape[1]
    places = {row.tobytes(): place for place, row in enumerate(before.active_PH)}
    return np.array([places[np.ascontiguousarray(row[:units]).tobytes()] for row in after.active_PH])


def _area_off(before: Regions, after: Regions) -> float:
    """Return by how much the regions inside a region fail to fill it, at worst."""
    filled_P = np.bincount(_parents(before, after), after.area_P, len(before))
    return float(np.abs(filled_P - before.area_P).max())


def _share_split(before: Regions, after: Regions) -> float:
    return float(np.mean(np.bincount(_parents(before, after), minlength=len(before)) > 1))


def _bends_off(net: Layers, found: Regions) -> float:
    """Return how far the ends of the second layer's segments are from the first layer's hyperplanes, or the window."""
    end_N2 = found.bends.of(1).reshape(-1, 2)
    inside_N = np.all(np.abs(end_N2) < 2 - 1e-9, axis=1)
    distance_HN = np.array([np.abs(plane.signed_distance(end_N2[inside_N])) for plane in hyperplanes(net)])
    return float(distance_HN.min(axis=0).max(initial=0.0))
