"""Folders of pictures: a folder for each class, with train, val and test folders above them or not.

Pictures of any size, grey or colour, 8 or 16 bits, are read when they are needed. A split that has no folder of its own
is taken from the training pictures where no split has one; where there is train but no val, validation is taken from
train. With `labels` optional, pictures that do not lie in two or more class folders are read without labels, all that
there are below the folder, or below each split's. Where all pictures have one size, nearly square and at most 512
pixels, that is the size; else 64 pixels, or less where the pictures are smaller. `hyperplane.data.blocks.pictures` says
how pixels become numbers.

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Sniff, Split
from hyperplane.data.blocks import files, layouts, pictures, splits
from hyperplane.data.blocks.encoded import Encoded, described_alike, described_as, relabelled
from hyperplane.data.blocks.pictures import Header
from hyperplane.data.blocks.problems import Refusal, name, options, quote, some, stop
from hyperplane.recipe import DataRecipe

DEFAULT_SIZE, LARGEST_DEFAULT = 64, 512
STATISTICS_PICTURES = 2000
OPTIONS: dict[str, tuple[Any, Any]] = {"labels": (Literal["needed", "optional"], "needed")}
"""Whether pictures without class folders are refused."""
SKIP = ", or leave bad files out with --data.skip-bad"

Listing = dict[Split, tuple[tuple[str, int, int], ...]]
"""Of each split, every picture's path below the folder, label, and size in bytes."""


@dataclass(frozen=True)
class FolderSource:
    """Pictures in class folders, read when they are needed."""

    description: Description
    root: Path
    files: dict[Split, list[str]]
    """Paths below the root."""
    labels: dict[Split, Tensor]
    """int64, positions in the description's classes; empty where there are none."""
    sizes: dict[Split, list[int]]
    """Of each file when the folder was first looked at, in bytes."""
    skip_bad: bool = False
    """Whether the next picture stands in for one that breaks after the folder was looked at."""

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples, decoded now: image_BCHW float32, normalised, and label_B; nothing is left to chance.

        Raises UserError for a file that cannot be decoded any more; with `skip_bad` it is named, and the next one that
        can be stands in for it.
        """
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        shape, how = self.description.shapes["image_BCHW"], self.description.encoding
        shown_B = index_B
        try:
            image_BCHW = pictures.read_batch([self._path(split, index) for index in shown_B.tolist()], shape, how)
        except Refusal as refusal:
            if not self.skip_bad:
                raise _with_hint(refusal) from refusal
            shown_B = torch.tensor([self._readable(split, index, say=True) for index in index_B.tolist()])
            image_BCHW = pictures.read_batch([self._path(split, index) for index in shown_B.tolist()], shape, how)
        labels = {"label_B": self.labels[split][shown_B]} if self.labels else {}
        return Batch({"image_BCHW": image_BCHW, **labels}, index_B)

    def read_as(self, like: Description) -> FolderSource:
        """Return the same pictures in the size, the channels and the normalisation of `like`, with their own labels."""
        return replace(self, description=described_alike(self.description, like))

    def encoded_as(self, like: Description) -> FolderSource:
        """Return the same pictures in the size, the channels and the normalisation of `like`, with its labels."""
        description = described_as(self.description, like)
        labels = {part: relabelled(label_N, self.description, like) for part, label_N in self.labels.items()}
        return replace(self, description=description, labels=labels)

    @property
    def train_labels(self) -> np.ndarray:
        """Return the label of each training picture."""
        return self.labels["train"].numpy()

    def sample_name(self, split: Split, index: int) -> str:
        """Return the picture's path below the folder."""
        return self.files[split][self._readable(split, index) if self.skip_bad else index]

    def show(self, split: Split, index: int) -> Image.Image:
        """Return the picture at its own size."""
        return pictures.show(self._path(split, self._readable(split, index) if self.skip_bad else index))

    @property
    def listing(self) -> Listing:
        """Return each split's pictures: path below the folder, label (0 where there are none), and size in bytes."""
        return {
            part: tuple(
                zip(held, self.labels[part].tolist() if self.labels else [0] * len(held), self.sizes[part], strict=True)
            )
            for part, held in self.files.items()
        }

    def _path(self, split: Split, index: int) -> Path:
        return self.root / self.files[split][index]

    def _readable(self, split: Split, index: int, *, say: bool = False) -> int:
        """Return the first position from `index` on, in a circle, whose picture can be decoded; `say` names the others.

        Raises UserError where there is none.
        """
        count, last = len(self.files[split]), None
        for place in (*range(index, count), *range(index)):
            try:
                pictures.decode_fully(self._path(split, place))
                return place
            except Refusal as refusal:
                last = refusal
                if say:
                    print(f"left out: {refusal.problem.where}: {refusal.problem.what}", file=sys.stderr, flush=True)
        assert last is not None, "a split that is read has pictures"
        raise last


@dataclass
class _Found:
    """What a folder holds."""

    classes: list[str] = field(default_factory=list)
    samples: dict[Split, list[tuple[Path, int]]] = field(default_factory=dict)
    headers: dict[Path, Header] = field(default_factory=dict)
    has_splits: bool = False
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is a folder of pictures, and why."""
    if not path.is_dir():
        return Sniff(0.0, "is not a folder")
    folders = files.subfolders(path)
    if layouts.folders(path):
        return Sniff(0.3, "folders of images and of masks")
    inner = [s for f in folders for s in files.subfolders(f)] if _split_folders(folders) else folders
    classes = sorted({f.name for f in inner if any(map(pictures.is_picture, files.walk(f)))})
    if classes:
        return Sniff(0.9, f"class folders of pictures: {some(classes, 3)}")
    if any(map(pictures.is_picture, files.walk(path))):
        return Sniff(0.2, "pictures without class folders")
    return Sniff(0.0, "holds no pictures")


def open(path: Path, recipe: DataRecipe) -> FolderSource:
    """Return the folder as a source; raises UserError for the first file or folder that is wrong.

    Every file's header is looked at; with `recipe.skip_bad` every file is decoded, and the bad ones are left out.
    """
    chosen = options(recipe.options, OPTIONS)
    found = _find(path)
    if chosen["labels"] == "optional" and len({label for _, label in found.samples["train"]}) < 2:
        found = _find_unlabelled(path)
    bad = _look(path, found, decode=recipe.skip_bad)
    if recipe.skip_bad and bad:
        left_out = [problem.where.removeprefix(f"{name(path)}/") for problem in bad]
        found.notes.append(f"Bad files were left out: {some(left_out, 50)}.")
    stop(found.problems if recipe.skip_bad else [*found.problems, *bad])
    if chosen["labels"] == "needed" or found.classes:
        _require_classes(path, found)
    held = _split(path, recipe, found)
    train = held["train"]
    label_N: dict[Split, np.ndarray] = {part: np.array([k for _, k in pairs], np.int64) for part, pairs in held.items()}
    labelled = bool(found.classes)
    if labelled:
        found.notes += splits.untested(label_N, found.classes)
    channels = _channels(found)
    side = recipe.size or _side(found)
    _note_sizes(found, side)
    mean_C, std_C = _statistics([file for file, _ in train], channels, side)
    if len(train) > STATISTICS_PICTURES:
        found.notes.append(f"Mean and deviation are those of {STATISTICS_PICTURES:,} training pictures, evenly spaced.")
    names: dict[Split, list[str]] = {part: [_below(path, file) for file, _ in pairs] for part, pairs in held.items()}
    sizes: dict[Split, list[int]] = {part: [file.stat().st_size for file, _ in pairs] for part, pairs in held.items()}
    listed = [pair for part in names for pair in zip(names[part], sizes[part], strict=True)]
    found.notes.append("The folder's hash is that of its files' paths and sizes.")
    description = Description(
        name=path.resolve().name,
        format="folder",
        kind="image",
        input="image_BCHW",
        target="label_B" if labelled else "",
        shapes={"image_BCHW": (channels, side, side), **({"label_B": ()} if labelled else {})},
        splits={part: len(samples) for part, samples in held.items()},
        classes=tuple(found.classes),
        class_counts=splits.class_counts(label_N["train"], found.classes) if labelled else (),
        encoding=pictures.encoding(mean_C, std_C),
        hashes={path.resolve().name: files.sha256_of_listing(listed)},
        notes=tuple(found.notes),
    )
    return FolderSource(
        description,
        path.absolute(),
        names,
        {part: torch.from_numpy(label_N[part]) for part in held} if labelled else {},
        sizes,
        recipe.skip_bad,
    )


def reopen(path: Path, description: Description, listing: Listing) -> FolderSource:
    """Return the folder as it was listed and described: the same pictures in the same splits, though some broke since.

    What cannot be read any more, or is gone, is left out of the batches, as with `skip_bad`. Raises UserError for a
    listing that is not the one described, and for a picture that is another now.
    """
    sizes = [(file, size) for part in listing.values() for file, _, size in part]
    known = files.sha256_of_listing(sizes) in description.hashes.values()
    counts = {part: len(held) for part, held in listing.items()}
    labels, classes = {label for part in listing.values() for _, label, _ in part}, range(len(description.classes))
    if not known or counts != description.splits or (description.classes and not labels <= set(classes)):
        raise Refusal(path, "was listed otherwise than the run's data.json says", "copy the run again, or train again")
    for file, size in sizes:
        if _is_another(path / file, size):
            raise Refusal(path / file, "is another picture than when the run began", "put that one back, or delete it")
    return FolderSource(
        description,
        path.absolute(),
        {part: [file for file, _, _ in held] for part, held in listing.items()},
        {part: torch.tensor([label for _, label, _ in held], dtype=torch.int64) for part, held in listing.items()}
        if description.classes
        else {},
        {part: [size for _, _, size in held] for part, held in listing.items()},
        skip_bad=True,
    )


def _is_another(file: Path, size: int) -> bool:
    """Say whether a file that had this size is a picture of another size now, not one that broke or is gone."""
    try:
        if file.stat().st_size == size:
            return False
        pictures.decode_fully(file)
    except (OSError, Refusal):
        return False
    return True


def check(path: Path, recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with the folder; decodes every picture."""
    options(recipe.options, OPTIONS)
    found = _find(path)
    problems = [*found.problems, *_look(path, found, decode=True)]
    try:
        _require_classes(path, found)
        _split(path, recipe, found)
    except Refusal as refusal:
        problems += [] if found.problems else [refusal.problem]
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return pictures as inputs of a net trained on a folder: files, folders of them, or one picture's bytes."""
    return pictures.encode(inputs, description)


def _find(path: Path) -> _Found:
    """List a folder's pictures by split and class; what is wrong with its layout becomes problems."""
    found = _Found()
    if not path.is_dir():
        raise Refusal(path, "is not a folder, expected one with a folder for each class", "name the folder")
    folders = files.subfolders(path)
    if layouts.folders(path):
        what = f"holds {some(f.name for f in folders)}: these look like images with masks"
        raise Refusal(path, what, "for classification, put each class's pictures into a folder of its own")
    parts = _split_folders(folders)
    found.has_splits = bool(parts)
    trees: dict[Split, Path] = parts or {"train": path}
    for part in ("train", "validation", "test"):
        found.samples[part] = []
    others: list[str] = []
    loose: list[str] = []
    for part, tree in sorted(trees.items(), key=lambda item: item[0] != "train"):
        loose += [_below(path, f) for f in sorted(tree.iterdir()) if f.is_file() and pictures.is_picture(f)]
        for folder in files.subfolders(tree):
            held = list(files.walk(folder))
            others += [_below(path, f) for f in held if not pictures.is_picture(f)]
            _add_class(path, folder, part, [f for f in held if pictures.is_picture(f)], found)
    if others:
        found.notes.append(f"Files that are not pictures were left alone: {some(others)}.")
    if loose and found.classes:
        found.notes.append(f"Pictures outside class folders were left out: {some(loose)}.")
    if parts:
        outside = [f.name for f in folders if f not in parts.values()]
        found.notes += [f"Folders beside train were left out: {some(outside)}."] if outside else []
    return found


def _find_unlabelled(path: Path) -> _Found:
    """List every picture below a folder, by split, whatever folder it lies in."""
    parts = _split_folders(files.subfolders(path))
    found = _Found(has_splits=bool(parts), notes=["The pictures have no labels: there are no two class folders."])
    trees: dict[Split, Path] = parts or {"train": path}
    found.samples = {"train": [], "validation": [], "test": []}
    for part, tree in trees.items():
        found.samples[part] = [(file, 0) for file in files.walk(tree) if pictures.is_picture(file)]
    if not found.samples["train"]:
        raise Refusal(path, "holds no picture to train on", f"put some there: {', '.join(sorted(pictures.SUFFIXES))}")
    return found


def _add_class(path: Path, folder: Path, part: Split, held: list[Path], found: _Found) -> None:
    if not held:
        found.notes.append(f"Folder {quote(_below(path, folder))} holds no picture and was left out.")
    elif part == "train" or folder.name in found.classes:
        if folder.name not in found.classes:
            found.classes.append(folder.name)
        label = found.classes.index(folder.name)
        found.samples[part] += [(file, label) for file in held]
    else:
        what = f"holds pictures of class {quote(folder.name)}, which the training folder lacks"
        found.problems.append(Problem(name(folder), what, "add the class to the training folder, or delete it here"))


def _look(path: Path, found: _Found, *, decode: bool) -> list[Problem]:
    """Fill in every picture's header, leave out the bad ones, and return what is wrong with them."""
    bad: list[Problem] = []
    for part, samples in found.samples.items():
        good: list[tuple[Path, int]] = []
        for file, label in samples:
            try:
                found.headers[file] = pictures.read_header(file)
                if decode:
                    pictures.decode_fully(file)
                good.append((file, label))
            except Refusal as refusal:
                found.headers.pop(file, None)
                bad.append(_with_hint(refusal).problem)
        found.samples[part] = good
    return bad


def _with_hint(refusal: Refusal) -> Refusal:
    """Return the refusal of a file with what else can be done about it."""
    problem = refusal.problem
    return Refusal(problem.where, problem.what, problem.next + SKIP)


def _require_classes(path: Path, found: _Found) -> None:
    seen = {found.classes[label] for _, label in found.samples["train"]}
    if not seen:
        what = "holds no class folders of pictures to train on"
        raise Refusal(
            path,
            what,
            "put each class's pictures into a folder of its own, such as cat/ and dog/, or learn without labels: "
            "--task selfsup-mae",
        )
    if len(seen) == 1:
        what = f"has one class only, {quote(*seen)}, expected two or more class folders"
        next = "add a folder of pictures of another class"
        if "".join(seen).lower() in layouts.IMAGE_NAMES:
            next += ", or for a class of each pixel a folder masks beside it"
        raise Refusal(path, what, next)
    empty = set(found.classes) - seen
    if empty:
        raise Refusal(
            path, f"has no readable picture to train on of {some(sorted(empty))}", "add some, or delete the folder"
        )


def _split(path: Path, recipe: DataRecipe, found: _Found) -> dict[Split, list[tuple[Path, int]]]:
    """Return each split's pictures: as the folders say, and the rest by the recipe's shares and seed."""
    given: list[Split] = [part for part in ("validation", "test") if found.samples[part]]
    shares = replace(
        recipe,
        validation=0.0 if "validation" in given else recipe.validation,
        test=0.0 if found.has_splits else recipe.test,
    )
    train = found.samples["train"]
    labels = np.array([label for _, label in train])
    parts = splits.split(shares, len(train), labels, name(path))
    held: dict[Split, list[tuple[Path, int]]] = {part: [train[i] for i in which] for part, which in parts.items()}
    for part in given:
        held[part] = found.samples[part]
    if found.has_splits and "validation" not in given:
        found.notes.append(f"There is no val folder: {len(held['validation'])} of the training pictures validate.")
    if found.has_splits and "test" not in given:
        found.notes.append("There is no test folder with class folders, so there is no test split.")
    return held


def _channels(found: _Found) -> int:
    """Return 1 where every picture is grey, else 3; notes a mixture."""
    grey = sum(header.grey for header in found.headers.values())
    if 0 < grey < len(found.headers):
        found.notes.append(f"{grey} of {len(found.headers)} pictures are grey; all are read as colour.")
        found.notes += _perhaps_masks(found)
    return 1 if grey == len(found.headers) else 3


def _perhaps_masks(found: _Found) -> list[str]:
    """Return a note where of two classes one is grey, the other in colour, and their files have the same names."""
    if len(found.classes) != 2:
        return []
    held = [(file, label) for samples in found.samples.values() for file, label in samples]
    names, grey = ([{x for x, of in pairs if of == k} for k in (0, 1)] for pairs in (
        [(file.stem, label) for file, label in held], [(found.headers[file].grey, label) for file, label in held]
    ))  # fmt: skip
    if names[0] != names[1] or grey not in ([{True}, {False}], [{False}, {True}]):
        return []
    image, mask = found.classes if grey[1] == {True} else found.classes[::-1]
    return [
        f"{quote(image)} and {quote(mask)} hold files of the same names, grey in the latter alone: if those are masks, "
        "name the folders images and masks."
    ]


def _side(found: _Found) -> int:
    """Return the side of the square that pictures are resized to."""
    sizes = {(header.width, header.height) for header in found.headers.values()}
    width, height = next(iter(sizes))
    short = min(width, height)
    if len(sizes) == 1 and short >= 0.8 * max(width, height) and short <= LARGEST_DEFAULT:
        return short
    shorts = sorted(min(header.width, header.height) for header in found.headers.values())
    return min(DEFAULT_SIZE, shorts[len(shorts) // 2])


def _note_sizes(found: _Found, side: int) -> None:
    sizes = {(header.width, header.height) for header in found.headers.values()}
    if sizes != {(side, side)}:
        had = (
            "Pictures of {} x {} pixels".format(*next(iter(sizes)))
            if len(sizes) == 1
            else f"Pictures of {len(sizes)} different sizes"
        )
        found.notes.append(f"{had} are scaled until the shorter side fills the square, and the middle is kept.")


def _statistics(train: list[Path], channels: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, over at most 2,000 evenly spaced pictures."""
    count = min(len(train), STATISTICS_PICTURES)
    sums_C, squares_C = np.zeros(channels), np.zeros(channels)
    for i in range(count):
        image_CHW = pictures.read(train[i * len(train) // count], channels, (side, side)).astype(np.float64)
        sums_C += image_CHW.mean((1, 2))
        squares_C += (image_CHW**2).mean((1, 2))
    mean_C = sums_C / count
    return mean_C, np.sqrt(np.maximum(squares_C / count - mean_C**2, 0.0))


def _split_folders(folders: list[Path]) -> dict[Split, Path]:
    """Return the folders of the splits; none where there is no folder to train on."""
    parts: dict[Split, Path] = {
        layouts.SPLIT_NAMES[f.name.lower()]: f for f in folders if f.name.lower() in layouts.SPLIT_NAMES
    }
    if "train" not in parts or not (files.subfolders(parts["train"]) or len(parts) == len(folders)):
        return {}  # where train holds pictures itself, beside folders of other names, it is a class
    return parts


def _below(path: Path, file: Path) -> str:
    return file.relative_to(path).as_posix()
