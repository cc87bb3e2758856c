"""Networks in files, held against the true one: are ways as long, is as much of it there, in as many pieces?

GeoJSON is in longitude and latitude (RFC 7946) unless it says that it is in pixels, as ours does of a picture that lies
nowhere. WKT says nothing, and is taken as what the other file is in where its numbers allow, else as pixels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hyperplane.data.blocks import graph_files, rasters
from hyperplane.data.blocks.graphs import Graph
from hyperplane.data.blocks.problems import name
from hyperplane.data.blocks.projection import to_utm, zone_of
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.apls import apls

SPACING = 50.0
"""Between APLS's control points, in metres or pixels."""
MOST = 5000
"""Control points of a network, at most: all ways between them are held."""


@dataclass(frozen=True)
class Held:
    """A network, and how it compares with the true one."""

    file: str
    apls: float
    """Average path length similarity, in [0, 1]."""
    truth_on_it: float
    """The score of the true network's control points on it, and of its own on the true one, in [0, 1]."""
    it_on_truth: float
    length: float
    """Of all edges, in `NetworkComparison.unit`."""
    edges: int
    pieces: int
    loops: int


@dataclass(frozen=True)
class NetworkComparison:
    """Networks side by side."""

    unit: str
    """Of lengths: metres or pixels."""
    networks: tuple[Held, ...]
    """In the order they were named; the first is the truth."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return dataclasses.asdict(self)


def compare(paths: Sequence[Path], picture: str | None = None, raster: Path | None = None) -> NetworkComparison:
    """Compare networks with the first of them, the truth.

    Arguments: files; which of several pictures' networks in a CSV file; a picture that says where it lies, in which
    networks in pixels do.
    Raises UserError for fewer than two, a file that is no network, networks in different coordinates, ones too large,
    and a picture that does not say where it lies.
    """
    if len(paths) < 2:
        raise UserError(
            "compare: found 1 network, expected two or more; type: hyperplane compare TRUTH.geojson ROADS.wkt"
        )
    graphs = [graph_files.read(path, picture) for path in paths]
    places = [graph_files.place_of(path) for path in paths]
    if raster is not None:
        graphs = [
            graph if at == "degrees" else _placed(graph, raster) for graph, at in zip(graphs, places, strict=True)
        ]
        places = ["degrees"] * len(paths)
    known = next((place for place in places if place is not None), "pixels")
    for path, graph, place in zip(paths, graphs, places, strict=True):
        told = f"compare: {name(path)} is in {place or 'pixels'}"
        if place not in (None, known) or (known == "degrees" and place is None and not _are_degrees(graph)):
            raise UserError(f"{told}, but others in {known}; for pixels name their picture: --raster city.tif")
        if known == "degrees" and not _are_degrees(graph):
            raise UserError(f"{told}, but has numbers beyond 180 and 90; write it in longitude and latitude")
    if known == "degrees":
        graphs = _in_metres(graphs)
    for path, graph in zip(paths, graphs, strict=True):
        points = len(graph.node_N2) + int(graph.length_E.sum() / SPACING)
        if points > MOST:
            raise UserError(
                f"compare: {name(path)} would have {points:,} control points, expected at most {MOST:,}; name a part"
            )
    return NetworkComparison(
        "metres" if known == "degrees" else "pixels",
        tuple(_held(path, graph, graphs[0]) for path, graph in zip(paths, graphs, strict=True)),
    )


def _held(path: Path, graph: Graph, truth: Graph) -> Held:
    score = apls(truth, graph, spacing=SPACING)
    return Held(
        name(path),
        score.total,
        score.truth_on_said,
        score.said_on_truth,
        float(graph.length_E.sum()),
        graph.edges,
        graph.components,
        graph.loops,
    )


def _placed(graph: Graph, raster: Path) -> Graph:
    lies = rasters.coordinates(raster)
    if lies is None:
        raise UserError(f"{name(raster)}: says not where it lies; name a GeoTIFF: --raster city.tif")
    return graph.moved(lies.geographic)


def _are_degrees(graph: Graph) -> bool:
    return bool((np.abs(graph.point_P2) <= (180.0, 90.0)).all())


def _in_metres(graphs: Sequence[Graph]) -> list[Graph]:
    """Return networks in degrees in metres, all in one UTM zone."""
    zone = zone_of(float(np.concatenate([np.zeros((0, 2)), *(graph.point_P2 for graph in graphs)]).mean(0)[0]))
    sizes = [len(part) for graph in graphs for part in (graph.node_N2, graph.point_P2)]
    metre_N2 = to_utm(np.concatenate([part for graph in graphs for part in (graph.node_N2, graph.point_P2)]), zone)
    parts = iter(np.split(metre_N2, np.cumsum(sizes)[:-1]))
    return [replace(graph, node_N2=next(parts), point_P2=next(parts)) for graph in graphs]
