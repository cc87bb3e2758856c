"""Random road networks whose graph is known exactly: to test what finds graphs, never as evidence about real images.

Crossings lie near the points of a square lattice, and roads join neighbours, so that no two roads meet anywhere else as
long as they are narrower than a fifth of the lattice's spacing.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from hyperplane.data.blocks.graphs import Graph, joined

JITTER = 0.2
"""Share of the spacing that a crossing lies away from its lattice point at most, in each direction."""


def random_network(seed: int, side: int = 256, *, spacing: float = 48.0, kept: float = 0.7) -> Graph:
    """Return the graph of a random network within a square of `side` pixels.

    Arguments: the seed; the square; the spacing of the lattice in pixels; the share of roads that are there, in [0, 1].
    """
    chance = np.random.default_rng(seed)
    count = max(int(side / spacing), 1)
    lattice_RR2 = (np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1) + 0.5) * side / count
    node_N2 = (lattice_RR2 + chance.uniform(-JITTER, JITTER, lattice_RR2.shape) * spacing).reshape(-1, 2)
    place_RR = np.arange(count * count).reshape(count, count)
    pairs = np.concatenate(
        [
            np.stack([place_RR[:, :-1].ravel(), place_RR[:, 1:].ravel()], 1),
            np.stack([place_RR[:-1].ravel(), place_RR[1:].ravel()], 1),
        ]
    )
    pairs = pairs[chance.random(len(pairs)) < kept]
    whole = Graph.of_lines(node_N2, pairs.tolist(), [node_N2[pair] for pair in pairs])
    return joined(whole.without_nodes(whole.degree_N == 0))


def drawn(graph: Graph, size: tuple[int, int], width: int) -> np.ndarray:
    """Return the mask of a random network as `painted` does, with the topology of its graph."""
    mask_HW = painted(graph, size, width)
    place_HW, _ = cast(tuple[np.ndarray, int], ndimage.label(~mask_HW))
    chinks = np.bincount(place_HW.ravel()) < width**2  # beside a crossing, where two roads part
    return mask_HW | chinks[place_HW]


def painted(graph: Graph, size: tuple[int, int], width: int) -> np.ndarray:
    """Return the mask of a network, bool (H, W), of roads `width` pixels wide, round at their ends; `size` is H, W."""
    image = Image.new("L", (size[1], size[0]))
    pen, radius = ImageDraw.Draw(image), (width - 1) / 2
    for line in graph.lines():
        pen.line([tuple(point) for point in (line - 0.5).tolist()], fill=255, width=width)
    for x, y in (np.concatenate([graph.node_N2, graph.point_P2]) - 0.5).tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image) > 0


def photographed(mask_HW: np.ndarray, seed: int) -> np.ndarray:
    """Return a picture, uint8 (H, W, 3), in which the mask's roads are grey lines on a noisy ground."""
    chance = np.random.default_rng((seed, 1))
    ground_HW3 = chance.normal((95, 110, 85), 18.0, (*mask_HW.shape, 3))
    road_HW3 = chance.normal((135, 132, 130), 14.0, (*mask_HW.shape, 3))
    return np.clip(np.where(mask_HW[:, :, None], road_HW3, ground_HW3), 0, 255).astype(np.uint8)
