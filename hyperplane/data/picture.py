"""One picture as a function I = f(x, y): each pixel is a sample, its place the input and its grey level the target.

The middle square of the picture is averaged down to `side` x `side` pixels (51, as in the lecture; fewer where the
picture has fewer), grey (ITU-R 601 luma) or, with `colour` rgb, red, green and blue; levels go from 0 to 255. x runs to
the right and y upwards, as on the plane that `hyperplane explain` draws, and the middles of the outermost pixels lie at
-1 and 1. Every pixel trains and none is held out: the lecture's loss is the share of this picture's variance that is
left unexplained, 1 - R². `held_out` is the share of pixels, drawn by the seed of the data, that are kept for the test
instead: what a net says of these is what it draws between the others. `hyperplane.data.blocks.pictures` says how files
become pixels.

The known photographs come with packages that are installed, and are read without importing these:

- photo-china and photo-flower, with scikit-learn: by danielbuechele and (as its README links) vultilion on Flickr, both
  under Creative Commons BY 2.0;
- photo-hopper, with matplotlib: Grace Hopper, from Wikimedia Commons (File:Grace_Hopper.jpg, as the file itself says),
  a work of the US Navy and so in the public domain;
- with scikit-image, as its documentation says: photo-astronaut, Eileen Collins, NASA, public domain; photo-camera by
  Lav Varshney, photo-cat (Chelsea) by Stefan van der Walt and photo-coffee by Rachel Michetti, all CC0.

Shape suffixes: N pixels row by row from the top left, P those of one split, B batch, D = 2 coordinates, K levels to
predict, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Sniff, Split
from hyperplane.data.blocks import files, pictures, rows, splits
from hyperplane.data.blocks.encoded import Encoded, described_alike, described_as
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.problems import Refusal, name, options
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {
    "photo-china": Known("a temple in China, as I = f(x, y); with scikit-learn"),
    "photo-flower": Known("a flower, as I = f(x, y); with scikit-learn"),
    "photo-hopper": Known("Grace Hopper, as I = f(x, y); with matplotlib"),
    "photo-astronaut": Known("Eileen Collins, as I = f(x, y); with scikit-image"),
    "photo-camera": Known("a man with a camera, as I = f(x, y); with scikit-image"),
    "photo-cat": Known("the cat Chelsea, as I = f(x, y); with scikit-image"),
    "photo-coffee": Known("a cup of coffee, as I = f(x, y); with scikit-image"),
}
OPTIONS: dict[str, tuple[Any, Any]] = {
    "side": (int, 51),
    "colour": (Literal["grey", "rgb"], "grey"),
    "held_out": (float, 0.0),
}
TYPICAL = "photo-china"
SIDES = (8, 1024)
"""Least and most pixels along an edge of the square."""
WHITE = 255.0
LEVELS = {"grey": ("grey level",), "rgb": ("red", "green", "blue")}
"""What the numbers to predict are called."""

_SKLEARN, _MATPLOTLIB = ("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")
_SKIMAGE = ("skimage", "'hyperplane[photographs]'")
PHOTOGRAPHS = {
    "photo-china": (_SKLEARN, "datasets/images/china.jpg"),
    "photo-flower": (_SKLEARN, "datasets/images/flower.jpg"),
    "photo-hopper": (_MATPLOTLIB, "mpl-data/sample_data/grace_hopper.jpg"),
    "photo-astronaut": (_SKIMAGE, "data/astronaut.png"),
    "photo-camera": (_SKIMAGE, "data/camera.png"),
    "photo-cat": (_SKIMAGE, "data/chelsea.png"),
    "photo-coffee": (_SKIMAGE, "data/coffee.png"),
}
"""Of each known photograph its package (its module, and what pip installs it by) and its file there."""


@dataclass(frozen=True)
class PictureSource:
    """The pixels of one picture, all of them to train on, or some of them to test."""

    description: Description
    point_ND: Tensor
    """x and y of each pixel, float32 in [-1, 1]."""
    level_NK: Tensor
    """Levels, float64 in [0, 255]."""
    splits: dict[Split, Tensor]
    """Which pixels each split holds, int64 (P,)."""

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these pixels: feature_BD and value_BK; nothing is left to chance."""
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        pixel_B = self.splits[split][index_B]
        return Batch({"feature_BD": self.point_ND[pixel_B], "value_BK": self.level_NK[pixel_B]}, index_B)

    def read_as(self, like: Description) -> PictureSource:
        """Return the same pixels, for a net that begins with another picture's; raises UserError for other data."""
        if like.format != self.description.format:
            raise UserError(
                f"{self.description.name}: is one picture, but the net to begin with was trained on {like.name} "
                f"({like.format}); name a run on one picture"
            )
        return replace(self, description=described_alike(self.description, like))

    def encoded_as(self, like: Description) -> PictureSource:
        """Return the same pixels for a net trained on another picture; raises UserError where it is not one such."""
        if like.target_names != self.description.target_names:
            raise UserError(
                f"{self.description.name}: holds {', '.join(self.description.target_names)} of each point, but the net "
                f"was trained on {', '.join(like.target_names or like.classes)}; name data of that kind"
            )
        return replace(self, description=described_as(self.description, like))

    def sample_name(self, split: Split, index: int) -> str:
        """Return the pixel's row and column, from 0 at the top left."""
        return "row {}, column {}".format(*divmod(int(self.splits[split][index]), self._side))

    def show(self, split: Split, index: int) -> dict[str, str]:
        """Return the pixel's coordinates."""
        return {
            axis: f"{value:.3f}"
            for axis, value in zip("xy", self.point_ND[self.splits[split][index]].tolist(), strict=True)
        }

    @property
    def _side(self) -> int:
        return round(len(self.point_ND) ** 0.5)


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is one picture, and why."""
    if not path.is_file():
        return Sniff(0.0, "is not a file")
    if pictures.is_picture(path):
        return Sniff(0.9, "one picture, as a function of x and y")
    try:
        pictures.read_header(path)
    except UserError:
        return Sniff(0.0, "is no picture")
    return Sniff(0.9, "one picture by its first bytes, as a function of x and y")


def open(path: Path | None, recipe: DataRecipe) -> PictureSource:
    """Return a picture as a source: feature_BD with D = 2 and value_BK with K = 1, or 3 for red, green and blue.

    `path` is None for a known photograph. Raises UserError for a file that cannot be decoded, for options out of range,
    and for a picture that is too small or of one level.
    """
    chosen = options(recipe.options, OPTIONS)
    _expect_in_range(recipe, chosen["side"], chosen["held_out"])
    place, called = (photograph(recipe.source), recipe.source) if path is None else (path, path.name)
    header = pictures.read_header(place)
    shorter = min(header.width, header.height)
    if shorter < SIDES[0]:
        what = f"has {header.width} x {header.height} pixels, expected at least {SIDES[0]} along each edge"
        raise Refusal(place, what, "name a larger picture")
    side = min(chosen["side"], shorter)
    names = LEVELS[chosen["colour"]]
    level_CHW = pictures.average(place, len(names), side)
    level_NK = np.round(level_CHW.reshape(len(names), -1).T.astype(np.float64) * WHITE, 4)  # float32 adds more digits
    whole_std = float(np.sqrt(level_NK.var(axis=0).mean()))
    if whole_std == 0:
        told = ", ".join(f"{level:g}" for level in level_NK[0])
        what = f"has the same {' and '.join(names)} everywhere, {told}, at {side} x {side} pixels: nothing to learn"
        raise Refusal(place, what, "name another picture")
    parts = splits.split(replace(recipe, validation=0.0, test=chosen["held_out"]), side * side, None, name(place))
    train_PK = level_NK[parts["train"]]
    description = Description(
        name=called,
        format="picture",
        kind="points",
        input="feature_BD",
        target="value_BK",
        shapes={"feature_BD": (2,), "value_BK": (len(names),)},
        splits={part: len(pixel_P) for part, pixel_P in parts.items() if len(pixel_P)},
        target_names=names,
        target_mean=tuple(train_PK.mean(axis=0).tolist()),
        # One for all colours: the loss is then the share of the picture's variance, whatever its colours' own shares.
        target_std=(float(np.sqrt(train_PK.var(axis=0).mean())) or whole_std,) * len(names),
        encoding=_encoding(names),
        hashes={place.name: files.sha256(place)},
        notes=_notes(place, header, side, chosen, len(parts["test"])),
    )
    held: dict[Split, Tensor] = {part: torch.from_numpy(pixel_P) for part, pixel_P in parts.items()}
    return PictureSource(description, _points(side), torch.from_numpy(level_NK), held)


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return what is wrong with the picture, if anything."""
    open(path, recipe)
    return []


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new points as inputs of a net trained on a picture: CSV, TSV or Parquet with the columns x and y."""
    for path in [] if isinstance(inputs, bytes) else inputs:
        if path.is_file() and pictures.is_picture(path):
            raise Refusal(path, "is a picture, expected points of one", "name a CSV file with the columns x and y")
    return rows.encode(inputs, description)


def photograph(known: str) -> Path:
    """Return the file of a known photograph; raises UserError where the package that brings it is not installed."""
    (module, installed_by), file = PHOTOGRAPHS[known]
    spec = find_spec(module)
    path = Path(spec.origin).parent / file if spec is not None and spec.origin is not None else None
    if path is None or not path.is_file():
        found = f"{module} is not installed" if path is None else f"{name(path)} is not there"
        raise UserError(f"{known}: {found}, which brings it; type: pip install {installed_by}")
    return path


def _expect_in_range(recipe: DataRecipe, side: int, held_out: float) -> None:
    if recipe.size is not None:
        raise UserError(f"data.size: found {recipe.size}, but one picture has a side; type: --data.side {recipe.size}")
    if not SIDES[0] <= side <= SIDES[1]:
        raise UserError(f"data.options.side: found {side}, expected {SIDES[0]} to {SIDES[1]:,}; type: --data.side 51")
    if not 0 <= held_out < 1:
        found = f"data.options.held_out: found {held_out:g}, expected a share in [0, 1)"
        raise UserError(f"{found}; type: --data.held-out 0.2")


def _points(side: int) -> Tensor:
    """Return x and y of every pixel, row by row from the top left, float32 (N, 2)."""
    axis = np.linspace(-1, 1, side)
    y_HW, x_HW = np.meshgrid(axis[::-1], axis, indexing="ij")
    return torch.from_numpy(np.stack([x_HW.ravel(), y_HW.ravel()], axis=1).astype(np.float32))


def _encoding(names: tuple[str, ...]) -> dict[str, Any]:
    """Return how points are read, in the words of tables: x and y as they are."""
    columns = [{"name": axis, "kind": "number", "mean": 0.0, "std": 1.0, "missing": False} for axis in "xy"]
    return {"columns": columns, "features": ["x", "y"], "target": ", ".join(names), "left_out": []}


def _notes(place: Path, header: pictures.Header, side: int, chosen: dict[str, Any], held_out: int) -> tuple[str, ...]:
    """Return what was done to the picture, for people."""
    had, square = f"{header.width} x {header.height} pixels", min(header.width, header.height)
    notes = []
    if header.width != header.height:
        notes.append(f"Of {had}, the middle {square} x {square} were taken.")
    if square != side:
        notes.append(f"{square} x {square} pixels were averaged to {side} x {side}.")
    elif side < chosen["side"]:
        notes.append(f"The picture has {had}: the side is {side}, not {chosen['side']}.")
    if chosen["colour"] == "grey" and not header.grey:
        notes.append("Its colours were read as grey; --data.colour rgb keeps them.")
    if (count := pictures.frames(place)) > 1:
        notes.append(f"The first of its {count} frames was read.")
    if held_out:
        notes.append(f"{held_out:,} of {side * side:,} pixels, drawn by the seed, are held out for the test.")
    else:
        told = "Every pixel trains, none is held out: data.validation and data.test are not used; "
        notes.append(f"{told}--data.held-out 0.2 keeps a fifth of the pixels for the test.")
    return tuple(notes)
