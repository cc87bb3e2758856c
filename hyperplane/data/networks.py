"""Random road networks with their masks and exact graphs: to test nets and metrics of topology, not as evidence.

Grey roads on noise (`hyperplane.data.blocks.road_networks`), drawn from the recipe's seed. Options: `samples` (100),
`side` (128 pixels), `width` (6 pixels).

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Sniff, Split
from hyperplane.data import masks
from hyperplane.data.blocks import pictures, splits
from hyperplane.data.blocks.encoded import Encoded, described_alike, described_as
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.graphs import Graph
from hyperplane.data.blocks.problems import Refusal, options
from hyperplane.data.blocks.road_networks import drawn, photographed, random_network
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {
    "road-networks": Known(
        "pictures of random road networks whose graphs are known exactly", classes=("background", "road")
    ),
}
OPTIONS: dict[str, tuple[Any, Any]] = {"samples": (int, 100), "side": (int, 128), "width": (int, 6)}
SPACING = 6
"""Of the lattice, in roads' widths."""


@dataclass(frozen=True)
class NetworkSource:
    """Random networks, drawn when they are needed."""

    description: Description
    seeds: dict[Split, np.ndarray]
    side: int
    width: int

    def graph(self, split: Split, index: int) -> Graph:
        """Return a sample's network, in pixels."""
        return random_network(int(self.seeds[split][index]), self.side, spacing=SPACING * self.width)

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples: image_BCHW, float32, normalised, and mask_BHW, int64; nothing is left to chance."""
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        mask_BHW = np.stack([self._mask(split, index) for index in index_B.tolist()])
        how, channels = self.description.encoding, self.description.shapes["image_BCHW"][0]
        image_BCHW = torch.from_numpy(np.stack([self._levels(split, index, channels) for index in index_B.tolist()]))
        pictures.normalise(image_BCHW, how["mean"], how["std"])
        return Batch({"image_BCHW": image_BCHW, "mask_BHW": torch.from_numpy(mask_BHW).long()}, index_B)

    def read_as(self, like: Description) -> NetworkSource:
        """Return the same networks in the channels and the normalisation of `like`."""
        described = described_alike(self.description, like)
        return replace(self, description=self._shaped(replace(described, encoding=masks.whole(described))))

    def encoded_as(self, like: Description) -> NetworkSource:
        """Return the same networks in the channels and the normalisation of `like`, a net for two classes."""
        own = self.description
        if len(like.classes) == 2 and like.target == own.target:
            own = replace(own, classes=like.classes)
        return replace(self, description=self._shaped(described_as(own, like)))

    def sample_name(self, split: Split, index: int) -> str:
        """Return the network's number."""
        return f"network {self.seeds[split][index]}"

    def show(self, split: Split, index: int) -> Image.Image:
        """Return the picture."""
        return Image.fromarray(photographed(self._mask(split, index), int(self.seeds[split][index])))

    def _mask(self, split: Split, index: int) -> np.ndarray:
        return drawn(self.graph(split, index), (self.side, self.side), self.width)

    def _levels(self, split: Split, index: int, channels: int) -> np.ndarray:
        level_HWC = np.asarray(self.show(split, index), np.float32) / 255
        return pictures.convert(np.moveaxis(level_HWC, 2, 0), (channels, self.side, self.side))

    def _shaped(self, described: Description) -> Description:
        channels = described.shapes["image_BCHW"][0]
        shapes = {"image_BCHW": (channels, self.side, self.side), "mask_BHW": (self.side, self.side)}
        return replace(described, shapes=shapes)


def sniff(path: Path) -> Sniff:
    """Say that no path holds them."""
    return Sniff(0.0, "networks are generated, not read")


def open(path: Path | None, recipe: DataRecipe) -> NetworkSource:
    """Return random networks as a source; raises UserError for options out of range."""
    if path is not None:
        raise Refusal(path, "is a path, but random networks are generated", "give their name: road-networks")
    chosen = options(recipe.options, OPTIONS)
    samples, side, width = chosen["samples"], chosen["side"], chosen["width"]
    for option, least, most in (("samples", 10, 1_000_000), ("side", 32, 4096), ("width", 2, side // 12)):
        if not least <= chosen[option] <= most:
            found = chosen[option]
            raise UserError(
                f"data.options.{option}: found {found}, expected {least:,} to {most:,}; "
                f"the default is {OPTIONS[option][1]}"
            )
    if recipe.size is not None:
        raise UserError(f"data.size: found {recipe.size}, but networks have a side; type: --data.side {recipe.size}")
    parts = splits.split(recipe, samples, None, recipe.source)
    first = recipe.seed * 1_000_000
    seeds: dict[Split, np.ndarray] = {part: which + first for part, which in parts.items()}
    blank = Description(
        name="road-networks",
        format="networks",
        kind="image",
        input="image_BCHW",
        target="mask_BHW",
        shapes={"image_BCHW": (3, side, side), "mask_BHW": (side, side)},
        splits={part: len(which) for part, which in parts.items()},
        classes=KNOWN["road-networks"].classes,
        encoding=pictures.encoding((0.0,) * 3, (1.0,) * 3),
        notes=(f"{samples} networks were generated, from seed {recipe.seed}: for tests, not as evidence.",),
    )
    seen = NetworkSource(blank, seeds, side, width).batch("train", range(min(len(seeds["train"]), 200)))
    level_BCHW, road = seen["image_BCHW"].double(), float((seen["mask_BHW"] == 1).double().mean())
    pixels = len(seeds["train"]) * side**2
    described = replace(
        blank,
        class_counts=(round(pixels * (1 - road)), round(pixels * road)),
        encoding=pictures.encoding(level_BCHW.mean((0, 2, 3)).tolist(), level_BCHW.std((0, 2, 3)).tolist()),
    )
    return NetworkSource(described, seeds, side, width)


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return nothing: what is generated is right, once the options are."""
    open(path, recipe)
    return []


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return pictures at their own size as inputs of a net trained on networks."""
    return masks.encode(inputs, description)
