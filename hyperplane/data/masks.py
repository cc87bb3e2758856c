"""Folders of images and of masks, a class for each pixel: roads, membranes, cracks.

Images lie in `images`, masks in `masks`, in train, val and test folders or not, or as people have them
(`hyperplane.data.blocks.layouts`), and are paired by name (`hyperplane.data.blocks.pairs`).
`hyperplane.data.blocks.labels` says what the masks' values mean; of black and white, white is the foreground, or with
`foreground` dark black is. Where no split is given, `every` (4, say) holds out every fourth image, by name, as the
test; else the recipe's shares and seed decide. Images of more than 1,024 pixels a side are cut into tiles, which are
then split as images are; `hyperplane.data.blocks.rasters` reads them, GeoTIFF too. A mask may be a network of lines in
a file, which is drawn `width` pixels wide (`hyperplane.data.blocks.truths`).

Training sees crops of `crop` pixels a side (whole images where all have one size of at most 512 pixels a side, else
256), each anywhere in its image, as many of an image in an epoch as cover it; evaluation sees whole images. What a crop
has beyond its image repeats the edge, and is not judged there.

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Sniff, Split
from hyperplane.data.blocks import files, labels, layouts, pictures, rasters, splits, truths
from hyperplane.data.blocks.encoded import Encoded, described_alike, described_as
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.labels import IGNORED, Reading
from hyperplane.data.blocks.mask_folders import LARGEST_WHOLE, TILE, Found, Piece, below, look
from hyperplane.data.blocks.problems import Refusal, name, options, some, stop
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {
    "roads-aerial": Known(
        "aerial images of 400 x 400 pixels with road masks (EPFL and ETH course data)",
        "roads-aerial",
        classes=("background", "road"),
    ),
    "membranes": Known(
        "electron microscopy of 512 x 512 pixels with the membranes between cells (ISBI 2012)",
        "membranes",
        classes=("cell", "membrane"),
    ),
    "cracks": Known(
        "pavement photographs of 480 x 320 pixels with crack masks (CrackForest)",
        "cracks",
        classes=("background", "crack"),
    ),
}
TYPICAL = "cracks"
DARK = frozenset({"membranes"})
"""Known sets whose foreground is black."""
OPTIONS: dict[str, tuple[Any, Any]] = {
    "crop": (int | None, None),
    "every": (int | None, None),
    "foreground": (labels.Foreground | None, None),
    "mask": (labels.Meaning, "auto"),
    "width": (int, 8),
}
DEFAULT_CROP, LARGEST_WHOLE_CROP = 256, 512
STATISTICS_PIECES = 1000
EVALUATED_PIXELS = 2**20
"""Of the images that are evaluated at once."""


@dataclass(frozen=True)
class MaskSource:
    """Images with masks, in splits."""

    description: Description
    root: Path
    pieces: dict[Split, list[Piece]]
    reading: Reading
    drawn: tuple[Split, ...]
    """The splits that are read for every step or piece anew: train where it is crops, and where sizes differ."""
    piece: int
    """How many images are evaluated at once."""
    tiles_N: Tensor | None
    """Where training sees crops: the number of crops of all training pieces up to each, int64."""
    width: int
    """Of lines, in pixels, where a mask is a network that is drawn."""
    most_held: float
    """Bytes of decoded training images that are kept."""
    held: dict[Piece, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, compare=False, repr=False)

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples: image_BCHW, float32, normalised, and mask_BHW, int64, 255 where it is not judged.

        Of training crops each lies anywhere in its image with a generator, else on a grid. Images of differing sizes
        are widened to the largest of the batch.
        """
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        if split != "train" or self.tiles_N is None:
            read = [self._read(self.pieces[split][index]) for index in index_B.tolist()]
            size = (max(m.shape[0] for _, m in read), max(m.shape[1] for _, m in read))
            return _joined([_widened(image, mask, size) for image, mask in read], index_B, self.description)
        _, *size = self.description.shapes["image_BCHW"]
        place_2B = torch.rand(2, len(index_B), generator=generator, dtype=torch.float64) if generator else None
        crops = []
        for b, index in enumerate(index_B.tolist()):
            which, tile = self._crop_of(index)
            piece = self.pieces["train"][which]
            image, mask = self._kept(piece)
            room = (max(piece.height - size[0], 0), max(piece.width - size[1], 0))
            if place_2B is not None:
                top, left = (int(place_2B[k, b] * (room[k] + 1)) for k in (0, 1))
            else:
                row, column = divmod(tile, -(-piece.width // size[1]))
                top, left = min(row * size[0], room[0]), min(column * size[1], room[1])
            cut = (slice(top, top + size[0]), slice(left, left + size[1]))
            crops.append(_widened(image[:, *cut], mask[cut], (size[0], size[1])))
        return _joined(crops, index_B, self.description)

    def read_as(self, like: Description) -> MaskSource:
        """Return the same images in the channels and the normalisation of `like`, with their own masks and crops."""
        own = self.description
        _, *size = own.shapes["image_BCHW"]
        shapes = {**own.shapes, "image_BCHW": (like.shapes[like.input][0], *size)}
        described = described_alike(own, like)
        return self._described(replace(described, shapes=shapes, encoding={**whole(described), **_kept_mask(own)}))

    def encoded_as(self, like: Description) -> MaskSource:
        """Return the same images in the channels and the normalisation of `like`, with its classes.

        Classes are those of the same name; else the same values; else of two the background and the foreground.
        """
        own = self.description
        order = self.reading.order(like.classes, like.encoding.get("mask", {}).get("values", ()))
        if order is not None and like.target == own.target:
            own = replace(own, classes=tuple(like.classes[k] for k in order))
        described = described_as(own, like)
        assert order is not None, "classes of other names were refused"
        shapes = {**own.shapes, "image_BCHW": (like.shapes["image_BCHW"][0], *own.shapes["image_BCHW"][1:])}
        return replace(
            self._described(replace(described, shapes=shapes)), reading=self.reading.ordered(like.classes, order)
        )

    def sample_name(self, split: Split, index: int) -> str:
        """Return the image's path below the folder, with the rows and columns of a tile."""
        which = self._crop_of(index)[0] if split == "train" and self.tiles_N is not None else index
        piece = self.pieces[split][which]
        if piece.whole:
            return piece.image
        rows = f"rows {piece.top} to {piece.top + piece.height}"
        return f"{piece.image} ({rows}, columns {piece.left} to {piece.left + piece.width})"

    def show(self, split: Split, index: int) -> Image.Image:
        """Return the image, or its tile, at its own size."""
        which = self._crop_of(index)[0] if split == "train" and self.tiles_N is not None else index
        piece = self.pieces[split][which]
        return rasters.show(self.root / piece.image, piece.cut)

    def _described(self, description: Description) -> MaskSource:
        return replace(self, description=description, held={})

    def _crop_of(self, index: int) -> tuple[int, int]:
        """Return which training piece a sample lies in, and which of its crops it is."""
        assert self.tiles_N is not None
        which = int(torch.searchsorted(self.tiles_N, index, right=True))
        return which, index - (int(self.tiles_N[which - 1]) if which else 0)

    def _kept(self, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
        if piece not in self.held:
            read = self._read(piece)
            taken = sum(image.nbytes + mask.nbytes for image, mask in self.held.values())
            if taken + read[0].nbytes + read[1].nbytes > self.most_held:
                return read
            self.held[piece] = read
        return self.held[piece]

    def _read(self, piece: Piece) -> tuple[np.ndarray, np.ndarray]:
        """Return image, float32 (C, H, W) in [0, 1], and classes, uint8 (H, W), not judged where it holds no data."""
        described, file = self.description, self.root / piece.image
        image = rasters.read(file, described.shapes["image_BCHW"][0], piece.cut, described.encoding["mean"])
        mask = self.reading.classes_of(truths.read(file, self.root / piece.mask, self.width, piece.cut))
        if image.shape[1:] != mask.shape:
            raise Refusal(file, "has changed its size since it was looked at", "train again")
        if (known_HW := rasters.known(file, piece.cut)) is not None:
            mask[~known_HW] = IGNORED
        return image, mask


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is a folder of images and masks, and why."""
    if not path.is_dir():
        return Sniff(0.0, "is not a folder")
    found = layouts.folders(path)
    for image_folder, mask_folder in found.values():
        if image_folder == mask_folder:
            return Sniff(1.0, f"images and their masks in one folder: {name(image_folder)}")
        full = [layouts.holds_pictures(folder) for folder in (image_folder, mask_folder)]
        if all(full):
            both = some(below(path, folder) for folder in (image_folder, mask_folder))
            return Sniff(1.0, f"folders of images and of masks: {both}")
        if any(full):
            return Sniff(0.95, f"folders of images and of masks, the {'latter' if full[0] else 'former'} empty")
    if (alone := layouts.lone_masks(path)) is not None:
        return Sniff(0.95, f"a folder of masks, without images: {some((alone.name,))}")
    return Sniff(0.1 if found else 0.0, "holds no folders of images and of masks")


def open(path: Path, recipe: DataRecipe) -> MaskSource:
    """Return the folder as a source; raises UserError for the first file that is wrong, and for options out of range.

    Every mask is decoded, to learn what its values mean. What has no partner is left out and named in a note.
    """
    chosen = _options(recipe)
    found = look(path, chosen["mask"], chosen["width"])
    if recipe.skip_bad and found.problems:
        found.notes.append(f"Bad files were left out: {some((problem.where for problem in found.problems), 50)}.")
    stop([] if recipe.skip_bad else found.problems)
    reading = _reading(path, recipe, chosen, found)
    held = _split(path, recipe, chosen["every"], found)
    channels = 1 if all(header.grey for header in found.headers.values()) else 3
    sizes: dict[Split, set[tuple[int, int]]] = {
        part: {(piece.height, piece.width) for piece in pieces} for part, pieces in held.items()
    }
    size = _crop(chosen["crop"], sizes["train"])
    crops = sizes["train"] != {size}
    tiles_N = torch.tensor([_tiles(piece, size) for piece in held["train"]]).cumsum(0) if crops else None
    _tell(path, found, held, reading, size if crops else None)
    drawn = {piece.mask for pieces in held.values() for piece in pieces if truths.is_network(Path(piece.mask))}
    if drawn:
        what = f"{len(drawn)} masks are networks, drawn {chosen['width']} pixels wide"
        found.notes.insert(0, f"{what}; for another width type: --data.width 12.")
    counts = np.zeros(len(reading.classes), np.int64)
    for piece in held["train"]:
        known = reading.counts(found.counts[piece])
        counts += known
    mean_C, std_C = _statistics(path, held["train"], channels)
    listing = [
        (file, (path / file).stat().st_size)
        for part in held.values()
        for file in {f for piece in part for f in (piece.image, piece.mask)}
    ]
    largest = max(height * width for part in sizes.values() for height, width in part)
    differing: list[Split] = [part for part, seen in sizes.items() if part != "train" and len(seen) > 1]
    lengths: dict[str, int] = {part: len(pieces) for part, pieces in held.items()}
    if tiles_N is not None:
        lengths["train"] = int(tiles_N[-1])
    description = Description(
        name=recipe.source if recipe.source in KNOWN else path.resolve().name,
        format="masks",
        kind="image",
        input="image_BCHW",
        target="mask_BHW",
        shapes={"image_BCHW": (channels, *size), "mask_BHW": size},
        splits=lengths,
        classes=reading.classes,
        class_counts=tuple(counts.tolist()),
        encoding={**pictures.encoding(mean_C, std_C), "mask": reading.encoding()},
        hashes={path.resolve().name: files.sha256_of_listing(listing)},
        notes=tuple(found.notes),
    )
    return MaskSource(
        description,
        path.absolute(),
        held,
        replace(reading, notes=()),
        (*(["train"] if crops else []), *differing),
        1 if differing else max(1, EVALUATED_PIXELS // largest),
        tiles_N,
        chosen["width"],
        recipe.memory_gb * 2**30,
    )


def check(path: Path, recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with the folder: files, partners, sizes, values."""
    chosen = _options(recipe)
    found = look(path, chosen["mask"], chosen["width"])
    paired = found.paired
    problems = [
        *found.problems,
        *(Problem(name(file), "has no mask", "add one of the same name, or delete it") for file in paired.lone_images),
        *(Problem(name(file), "has no image", "add one of the same name, or delete it") for file in paired.lone_masks),
    ]
    try:
        reading = _reading(path, recipe, chosen, found)
        for piece, counts in found.counts.items():
            odd = {value: n for value, n in counts.items() if value in reading.unexpected}
            if odd:
                what = f"has values that are neither black nor white (value: pixels): {labels.listed(odd)}"
                problems.append(
                    Problem(name(path / piece.mask), what, "paint it in two values, or train with --data.mask classes")
                )
        _split(path, recipe, chosen["every"], found)
    except Refusal as refusal:
        problems += [] if found.problems else [refusal.problem]
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return pictures at their own size as inputs of a net trained on images with masks.

    Where sizes differ within a batch, smaller ones are widened by repeating their edge; size_B2 has each one's own rows
    and columns.
    """
    places, names, notes = pictures.gather(inputs)
    channels, how = description.shapes[description.input][0], description.encoding

    def take(first: int, last: int) -> Batch:
        read = [
            rasters.read(place, channels, blank=how["mean"])
            if isinstance(place, Path)
            else pictures.read_whole(place, channels)
            for place in places[first:last]
        ]
        size_B2 = torch.tensor([image.shape[1:] for image in read])
        size = (int(size_B2[:, 0].max()), int(size_B2[:, 1].max()))
        image_BCHW = torch.from_numpy(np.stack([_repeated(image, size) for image in read]))
        pictures.normalise(image_BCHW, how["mean"], how["std"])
        return Batch({description.input: image_BCHW, "size_B2": size_B2}, torch.arange(first, last))

    def show(index: int) -> Image.Image:
        place = places[index]
        return rasters.show(place) if isinstance(place, Path) else pictures.show(place)

    notes += [note for place in places if isinstance(place, Path) for note in _notes(place)]
    return Encoded(tuple(names), tuple(notes), take, show)


def _notes(picture: Path) -> list[str]:
    """Return what should be known of a picture; nothing of one that is broken, which is named when it is read."""
    try:
        told, gaps = rasters.notes(picture), rasters.has_gaps(picture)
    except UserError:
        return []
    said = f"{name(picture)} holds no data in places, as its alpha band or a value says: nothing is said of these."
    return [*told, said] if gaps else told


def _options(recipe: DataRecipe) -> dict[str, Any]:
    """Return the format's options; raises UserError for one that is out of range."""
    chosen = options(recipe.options, OPTIONS)
    if recipe.size is not None:
        raise UserError(
            f"data.size: found {recipe.size}, but images with masks keep their size; type: --data.crop {recipe.size}"
        )
    if chosen["crop"] is not None and not 1 <= chosen["crop"] <= 4096:
        raise UserError(f"data.options.crop: found {chosen['crop']}, expected 1 to 4096 pixels; type: --data.crop 256")
    if not 1 <= chosen["width"] <= 1024:
        raise UserError(f"data.options.width: found {chosen['width']}, expected 1 to 1024 pixels; type: --data.width 8")
    if chosen["every"] is not None and chosen["every"] < 2:
        raise UserError(f"data.options.every: found {chosen['every']}, expected 2 or more; type: --data.every 4")
    return chosen


def _reading(path: Path, recipe: DataRecipe, chosen: dict[str, Any], found: Found) -> Reading:
    """Return what the masks' values mean; raises UserError where they mean nothing."""
    counts: dict[int, int] = {}
    for held in found.counts.values():
        for value, n in held.items():
            counts[value] = counts.get(value, 0) + n
    foreground = chosen["foreground"] or ("dark" if recipe.source in DARK else "light")
    names = KNOWN[recipe.source].classes if recipe.source in KNOWN else ()
    return labels.find(counts, name(path), chosen["mask"], foreground, names)


def _split(path: Path, recipe: DataRecipe, every: int | None, found: Found) -> dict[Split, list[Piece]]:
    """Return each split's pieces: as the folders say, else every so many, or by the recipe's shares."""
    train = found.pieces["train"]
    held: dict[Split, list[Piece]] = {"train": train, "validation": [], "test": [], **found.pieces}
    if len(found.pieces) > 1:
        if held["validation"] or not recipe.validation:
            return held
        parts = splits.split(replace(recipe, test=0.0), len(train), None, name(path))
        held["train"], held["validation"] = ([train[i] for i in parts[part]] for part in ("train", "validation"))
        found.notes.append(f"There is no val folder: {len(held['validation'])} of the training images validate.")
        return held
    if every is not None:
        if len(train) < every:
            raise Refusal(
                path,
                f"has {len(train)} image{'s' * (len(train) != 1)}, too few to hold out every {every}th",
                "type: --data.every 2",
            )
        held["test"] = train[every - 1 :: every]
        rest = [piece for i, piece in enumerate(train) if i % every != every - 1]
        parts = splits.split(replace(recipe, test=0.0), len(rest), None, name(path))
        held["train"], held["validation"] = ([rest[i] for i in parts[part]] for part in ("train", "validation"))
        found.notes.append(f"Of every {every} images, by name, the last is held out as the test.")
        return held
    parts = splits.split(recipe, len(train), None, name(path))
    return {part: [train[i] for i in which] for part, which in parts.items()}


def _crop(asked: int | None, sizes: set[tuple[int, int]]) -> tuple[int, int]:
    """Return rows and columns that training sees at once."""
    high, wide = max(height for height, _ in sizes), max(width for _, width in sizes)
    if asked is None and len(sizes) == 1 and max(high, wide) <= LARGEST_WHOLE_CROP:
        return high, wide
    side = asked or DEFAULT_CROP
    return min(side, high), min(side, wide)


def _tiles(piece: Piece, size: tuple[int, int]) -> int:
    """Return how many crops cover a piece."""
    return -(-piece.height // size[0]) * -(-piece.width // size[1])


def _tell(
    path: Path, found: Found, held: dict[Split, list[Piece]], reading: Reading, crop: tuple[int, int] | None
) -> None:
    """Note what was found and what was done about it."""
    paired, say = found.paired, found.notes.append
    found.notes[:0] = reading.notes
    found.notes += [f"Images and masks were paired by {way}." for way in sorted(paired.ways)]
    for what, lone in (("Images without a mask", paired.lone_images), ("Masks without an image", paired.lone_masks)):
        if lone:
            say(f"{what} were left out: {some((below(path, file) for file in lone), 50)}.")
    if paired.others:
        say(f"Files that are not pictures were left alone: {some(below(path, file) for file in paired.others)}.")
    if len(reading.classes) == 2:
        total = [sum(column) for column in zip(*(reading.counts(c) for c in found.counts.values()), strict=True)]
        if total[1] > total[0]:
            other = "dark" if reading.foreground == "light" else "light"
            share = 100 * total[1] / sum(total)
            what = f"{reading.classes[1].capitalize()} is {share:.0f}% of the pixels"
            say(f"{what}; for the other type: --data.foreground {other}.")
        empty = [piece.mask for piece, counts in found.counts.items() if piece.whole and not reading.counts(counts)[1]]
        if empty:
            say(f"{len(empty)} mask{'s are' if len(empty) > 1 else ' is'} empty: {some(empty, 50)}.")
    tiled = {piece.image for pieces in held.values() for piece in pieces if not piece.whole}
    if tiled:
        what = f"Images of more than {LARGEST_WHOLE} pixels a side were cut into tiles of about {TILE}"
        say(f"{what}: {some(sorted(tiled))}.")
    sizes = {(header.width, header.height) for header in found.headers.values()}
    if len(sizes) > 1:
        say(f"Images have {len(sizes)} different sizes.")
    if crop is not None:
        say(f"Training sees crops of {crop[1]} x {crop[0]} pixels, evaluation whole images.")
    if found.gaps:
        where = some(below(path, file) for file in found.gaps)
        say(f"Where images hold no data, as their alpha band or a value says, nothing is judged: {where}.")
    grey = sum(header.grey for header in found.headers.values())
    if 0 < grey < len(found.headers):
        say(f"{grey} of {len(found.headers)} images are grey; all are read as colour.")
    say("The folder's hash is that of its files' paths and sizes.")


def _statistics(path: Path, train: list[Piece], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, over at most 1,000 evenly spaced pieces."""
    count = min(len(train), STATISTICS_PIECES)
    pixels, sum_C, square_C = 0, np.zeros(channels), np.zeros(channels)
    for k in range(count):
        piece = train[k * len(train) // count]
        image = rasters.read(path / piece.image, channels, piece.cut).astype(np.float64)
        known_HW = rasters.known(path / piece.image, piece.cut)
        image_CN = image.reshape(channels, -1) if known_HW is None else image[:, known_HW]
        pixels += image_CN.shape[1]
        sum_C += image_CN.sum(1)
        square_C += (image_CN**2).sum(1)
    mean_C = sum_C / max(pixels, 1)
    return mean_C, np.sqrt(np.maximum(square_C / max(pixels, 1) - mean_C**2, 0.0))


def _joined(read: list[tuple[np.ndarray, np.ndarray]], index_B: Tensor, description: Description) -> Batch:
    """Return images and masks of one size as a batch."""
    how = description.encoding
    image_BCHW = torch.from_numpy(np.stack([image for image, _ in read]))
    pictures.normalise(image_BCHW, how["mean"], how["std"])
    mask_BHW = torch.from_numpy(np.stack([mask for _, mask in read])).long()
    return Batch({"image_BCHW": image_BCHW, "mask_BHW": mask_BHW}, index_B)


def _widened(image: np.ndarray, mask: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return image and mask with rows below and columns to the right, the edge repeated and not judged."""
    more = [(0, size[0] - mask.shape[0]), (0, size[1] - mask.shape[1])]
    return _repeated(image, size), np.pad(mask, more, constant_values=IGNORED)


def _repeated(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.pad(image, [(0, 0), (0, size[0] - image.shape[1]), (0, size[1] - image.shape[2])], mode="edge")


def whole(described: Description) -> dict[str, Any]:
    """Return an encoding of pictures of which all is read, not the middle alone."""
    return {name: value for name, value in described.encoding.items() if name != "middle"}


def _kept_mask(description: Description) -> dict[str, Any]:
    return {name: value for name, value in description.encoding.items() if name == "mask"}
