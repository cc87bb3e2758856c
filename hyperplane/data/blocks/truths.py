"""The mask of an image: a picture, or a network of lines in a file (GeoJSON, WKT) that is drawn.

GeoJSON is in longitude and latitude, of an image that says where it lies, or says that it is in pixels; WKT is in
pixels.

Shape suffixes: H and W pixels.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from hyperplane.data.blocks import graph_files, labels, pictures, rasters
from hyperplane.data.blocks.graphs import Graph
from hyperplane.data.blocks.problems import Refusal, name
from hyperplane.data.blocks.rasters import Cut
from hyperplane.data.blocks.road_networks import painted

SUFFIXES = frozenset({".geojson", ".wkt"})
WHITE = 255


def is_truth(path: Path) -> bool:
    """Say whether a file's name is that of a mask: a picture's, or a network's."""
    return pictures.is_picture(path) or is_network(path)


def is_network(path: Path) -> bool:
    """Say whether a file's name is that of a network."""
    return path.suffix.lower() in SUFFIXES


def read(image: Path, mask: Path, width: int, cut: Cut | None = None) -> np.ndarray:
    """Return the values of an image's mask or a window of it, int64 or uint8 (H, W).

    A network is drawn in white, so many pixels wide. Raises UserError where a file cannot be read, or nobody knows
    where in the image the network lies.
    """
    if not is_network(mask):
        return labels.read(mask, cut)
    header = rasters.header(image)
    rows, columns = cut or (slice(0, header.height), slice(0, header.width))
    held = mask.stat()
    graph = _network(image, mask, held.st_size, held.st_mtime_ns)
    size = (rows.stop - rows.start, columns.stop - columns.start)
    return WHITE * painted(graph.moved(lambda place: place - (columns.start, rows.start)), size, width).astype(np.uint8)


@lru_cache(256)
def _network(image: Path, mask: Path, size: int, changed: int) -> Graph:
    """Return a network, from a file of this size, changed then, in pixels of its image."""
    graph = graph_files.read(mask)
    if graph_files.place_of(mask) != "degrees":
        return graph
    lies = rasters.coordinates(image)
    if lies is None:
        what = f"says not where it lies, but its network {name(mask)} is in longitude and latitude"
        raise Refusal(image, what, "put a GeoTIFF there, or a network in pixels, as WKT")
    return graph.moved(lambda degrees: lies.pixels(degrees).round(2))  # a line along a row is drawn along it
