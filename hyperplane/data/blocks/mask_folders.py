"""A folder of images and masks, looked at: pairs, sizes, tiles of what is large, and how often each value is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hyperplane.contracts import Problem, Split
from hyperplane.data.blocks import labels, pairs, pictures, rasters, truths
from hyperplane.data.blocks.pictures import Header
from hyperplane.data.blocks.problems import Refusal, name, some

LARGEST_WHOLE, TILE = 1024, 512
"""Pixels a side of the largest image that is one piece, and of the tiles of a larger one, about."""


@dataclass(frozen=True)
class Piece:
    """An image with its mask, or a tile of them."""

    image: str
    """Path below the root."""
    mask: str
    top: int
    left: int
    height: int
    width: int
    whole: bool = True

    @property
    def cut(self) -> rasters.Cut:
        """Return its rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass
class Found:
    """What a folder holds."""

    paired: pairs.Paired
    headers: dict[Path, Header] = field(default_factory=dict)
    pieces: dict[Split, list[Piece]] = field(default_factory=dict)
    counts: dict[Piece, dict[int, int]] = field(default_factory=dict)
    """Of each piece, how many pixels of the mask have each value."""
    gaps: list[Path] = field(default_factory=list)
    """Images that hold no data in places."""
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def look(path: Path, meaning: labels.Meaning, width: int) -> Found:
    """Pair images and masks, decode them, cut large ones into tiles, and count the masks' values.

    `meaning` is what the user says of these; where that is nothing, a mask that looks like a picture is a problem.
    Networks are drawn `width` pixels wide.
    """
    if not path.is_dir():
        raise Refusal(path, "is not a folder, expected one with images and masks in it", "name the folder")
    found = Found(pairs.pair(path))
    for part, both in found.paired.pairs.items():
        found.pieces[part] = []
        for image, mask in both:
            try:
                _look_at(path, part, image, mask, meaning, width, found)
            except Refusal as refusal:
                found.problems.append(refusal.problem)
    if any(found.paired.pairs.values()) and "train" not in found.paired.pairs:
        given = some(found.paired.pairs)
        raise Refusal(path, f"has images and masks for {given}, none to train on", "name one of these folders train")
    if not any(found.paired.pairs.values()):
        lone = found.paired
        held = f"images such as {some(f.name for f in lone.lone_images[:2])}" if lone.lone_images else "no images"
        masks = f"masks such as {some(f.name for f in lone.lone_masks[:2])}" if lone.lone_masks else "no masks"
        raise Refusal(
            path, f"holds {held} and {masks}, and no pair of them", "put them into images/ and masks/, named alike"
        )
    return found


def _look_at(
    path: Path, part: Split, image: Path, mask: Path, meaning: labels.Meaning, width: int, found: Found
) -> None:
    header = rasters.header(image)
    windowed = rasters.windowed(mask)
    value_HW = None if windowed else truths.read(image, mask, width)
    drawn = rasters.header(mask) if value_HW is None else Header(value_HW.shape[1], value_HW.shape[0], True)
    if (header.height, header.width) != (drawn.height, drawn.width):
        what = f"{header.width} x {header.height} pixels, but its mask {name(mask)} {drawn.width} x {drawn.height}"
        raise Refusal(image, f"has {what}", "bring them to one size")
    if not rasters.windowed(image):
        pictures.decode_fully(image)
    counts = {
        piece: labels.count(labels.read(mask, piece.cut) if value_HW is None else value_HW[piece.cut])
        for piece in _cut(below(path, image), below(path, mask), header)
    }
    if meaning == "auto":
        for held in counts.values():
            labels.expect_mask(held, mask)
    found.headers[image] = header
    found.pieces[part] += counts
    found.counts |= counts
    found.gaps += [image] if rasters.has_gaps(image) else []
    found.notes += [note for file in (image, mask) for note in rasters.notes(file)]


def _cut(image: str, mask: str, header: Header) -> list[Piece]:
    """Return an image as one piece, or as the tiles of a large one, of about 512 pixels a side."""
    if max(header.height, header.width) <= LARGEST_WHOLE:
        return [Piece(image, mask, 0, 0, header.height, header.width)]
    rows, columns = (_edges(length) for length in (header.height, header.width))
    return [
        Piece(image, mask, top, left, bottom - top, right - left, whole=False)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]


def _edges(length: int) -> list[int]:
    parts = -(-length // TILE)
    return [length * k // parts for k in range(parts + 1)]


def below(path: Path, file: Path) -> str:
    """Return a file's path below a folder."""
    return file.relative_to(path).as_posix()
