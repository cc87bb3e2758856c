"""Which mask belongs to which image, by their names; `hyperplane.data.blocks.layouts` says where they lie.

Of several ways to compare names, the one that finds the most pairs is taken, the plainest first: the same name;
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
from hyperplane.data.blocks import files, layouts, pictures, truths


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


def pair(root: Path) -> Paired:
    """Return the pairs below a folder, and what has no partner."""
    paired = Paired()
    found = layouts.folders(root)
    if not found and (alone := layouts.lone_masks(root)) is not None:
        paired.lone_masks = _pictures(alone, paired)
    for part, (image_folder, mask_folder) in found.items():
        if image_folder == mask_folder:
            held = [file for file in _pictures(image_folder, paired) if file.parent == image_folder]
            images = [file for file in held if not layouts.is_mask(file.stem)]
            masks = [file for file in held if layouts.is_mask(file.stem)]
        else:
            images, masks = _pictures(image_folder, paired), _pictures(mask_folder, paired, truths.is_truth)
        way, pairs = _match(images, masks, image_folder, mask_folder)
        paired.pairs[part] = pairs
        if way is not None and pairs:
            paired.ways.add(way)
        with_mask, with_image = {image for image, _ in pairs}, {mask for _, mask in pairs}
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
        "names without words such as 'mask' and 'gt'": (layouts.bare, layouts.bare),
        "what differs in the names of each folder": (_differing(image_names), _differing(mask_names)),
        "the numbers in the names": (_numbers, _numbers),
    }


def counted(name: str) -> list[tuple[int, str]]:
    """Return what sorts names with the numbers in them counted: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts)]


def _names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix().lower() for path in paths]


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


def _pictures(folder: Path, paired: Paired, wanted: Callable[[Path], bool] = pictures.is_picture) -> list[Path]:
    held = list(files.walk(folder))
    paired.others += [file for file in held if not wanted(file)]
    return [file for file in held if wanted(file)]
