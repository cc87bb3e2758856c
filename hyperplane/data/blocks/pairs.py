"""Which mask belongs to which image, by their names.

The folders are `images` and `masks` or what people call them, side by side, in train, val and test or with those inside
them. Of several ways to compare names, the one that finds the most pairs is taken, the plainest first: the same name;
the same without words such as mask and gt; what is left when the beginning and the end that all names of a folder
share are taken away; the numbers in the names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hyperplane.contracts import Split
from hyperplane.data.blocks import files, pictures

IMAGE_NAMES = frozenset({"images", "image", "imgs", "img", "inputs", "sat", "satellite", "photos"})
MASK_NAMES = frozenset(
    {"masks", "mask", "labels", "label", "annotations", "segmentation", "segmentations", "groundtruth", "ground_truth"}
    | {"ground-truth", "gt", "targets"}
)
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_WORDS = re.compile(
    r"(?<![a-z])(images?|imgs?|sat|satellite|rgb|masks?|gt|ground[ _-]?truth|labels?|lbl|seg|segmentations?|"
    r"annotations?|anno|targets?|truth|manual\d*)(?![a-z])"
)


@dataclass
class Paired:
    """What was found."""

    pairs: dict[Split, list[tuple[Path, Path]]] = field(default_factory=dict)
    """Image and mask, in the order of the images' names with numbers counted as numbers."""
    lone_images: list[Path] = field(default_factory=list)
    lone_masks: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    """Files that are no pictures."""
    ways: set[str] = field(default_factory=set)
    """How names were compared, where they were not the same."""


def folders(root: Path) -> dict[Split, tuple[Path, Path]]:
    """Return the folders of images and of masks by split; empty where there are none.

    Where the layout names no splits, all is train. Raises UserError for a folder that may not be read.
    """
    if not root.is_dir():
        return {}
    inside = files.subfolders(root)
    if (both := _both(inside)) is not None:
        image_parts, mask_parts = (_by_split(files.subfolders(folder)) for folder in both)
        shared = image_parts.keys() & mask_parts.keys()
        split: dict[Split, tuple[Path, Path]] = {part: (image_parts[part], mask_parts[part]) for part in shared}
        whole: dict[Split, tuple[Path, Path]] = {"train": both}
        return split if "train" in split else whole
    found: dict[Split, tuple[Path, Path]] = {}
    for part, folder in _by_split(inside).items():
        if (both := _both(files.subfolders(folder))) is not None:
            found[part] = both
    return found if "train" in found else {}


def pair(root: Path) -> Paired:
    """Return the pairs below a folder, and what has no partner."""
    paired = Paired()
    for part, (image_folder, mask_folder) in folders(root).items():
        images, masks = _pictures(image_folder, paired), _pictures(mask_folder, paired)
        way, found = _match(images, masks, image_folder, mask_folder)
        paired.pairs[part] = found
        if way is not None and found:
            paired.ways.add(way)
        with_mask, with_image = {image for image, _ in found}, {mask for _, mask in found}
        paired.lone_images += [image for image in images if image not in with_mask]
        paired.lone_masks += [mask for mask in masks if mask not in with_image]
    return paired


def _match(
    images: list[Path], masks: list[Path], image_folder: Path, mask_folder: Path
) -> tuple[str | None, list[tuple[Path, Path]]]:
    """Return how names were compared (None: they are the same), and the pairs."""
    image_names, mask_names = _names(images, image_folder), _names(masks, mask_folder)
    best: tuple[str | None, list[tuple[Path, Path]]] = (None, [])
    for way, (image_key, mask_key) in _ways(image_names, mask_names).items():
        by_key: dict[object, Path | None] = {}
        for mask, name in zip(masks, mask_names, strict=True):
            by_key[mask_key(name)] = None if mask_key(name) in by_key else mask  # what is there twice says nothing
        taken: dict[object, list[Path]] = {}
        for image, name in zip(images, image_names, strict=True):
            taken.setdefault(image_key(name), []).append(image)
        found = [
            (claiming[0], mask)
            for key, claiming in taken.items()
            if len(claiming) == 1 and key and (mask := by_key.get(key)) is not None
        ]
        if len(found) > len(best[1]):
            best = (way or None, found)
    order = {image: i for i, image in enumerate(sorted(images, key=lambda path: counted(path.as_posix())))}
    return best[0], sorted(best[1], key=lambda both: order[both[0]])


Key = Callable[[str], object]


def _ways(image_names: Sequence[str], mask_names: Sequence[str]) -> dict[str, tuple[Key, Key]]:
    return {
        "": (str, str),
        "names without words such as 'mask' and 'gt'": (_bare, _bare),
        "what differs in the names of each folder": (_differing(image_names), _differing(mask_names)),
        "the numbers in the names": (_numbers, _numbers),
    }


def counted(name: str) -> list[tuple[int, str]]:
    """Return what sorts names with the numbers in them counted: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def _names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix().lower() for path in paths]


def _bare(name: str) -> str:
    return re.sub(r"[ _.-]+", "-", _WORDS.sub("", name)).strip("-")


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", name))


def _differing(names: Sequence[str]) -> Key:
    """Return what takes away the beginning and the end that all of these names share; of numbers, zeros before them."""
    if len(names) < 2:
        return lambda name: ""
    before = re.sub(r"\d+$", "", _shared(names))
    after = re.sub(r"^\d+", "", _shared([name[::-1] for name in names])[::-1])

    def key(name: str) -> str:
        rest = name[len(before) : max(len(name) - len(after), len(before))]
        return str(int(rest)) if rest.isdecimal() else rest

    return key


def _shared(names: Sequence[str]) -> str:
    """Return what all names begin with."""
    alike = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def _pictures(folder: Path, paired: Paired) -> list[Path]:
    held = list(files.walk(folder))
    paired.others += [file for file in held if not pictures.is_picture(file)]
    return [file for file in held if pictures.is_picture(file)]


def _both(inside: list[Path]) -> tuple[Path, Path] | None:
    images = [folder for folder in inside if folder.name.lower() in IMAGE_NAMES]
    masks = [folder for folder in inside if folder.name.lower() in MASK_NAMES]
    return (images[0], masks[0]) if images and masks else None


def _by_split(inside: list[Path]) -> dict[Split, Path]:
    return {SPLIT_NAMES[folder.name.lower()]: folder for folder in inside if folder.name.lower() in SPLIT_NAMES}
