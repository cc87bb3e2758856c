"""Where the images of a folder lie and where their masks, however people lay them out.

    images/  masks/                     or other names of these: JPEGImages/ SegmentationClass/, img/ ann/
    train/images/  train/masks/  ...    images/train/  masks/train/  ...
    train/  train_labels/  ...          train_images/  train_masks/  ...
    anything/  masks/                   where the names pair, and the masks look like masks
    a_sat.jpg  a_mask.png  ...          in one folder, or in train/, val/ and test/
    images/  roads/                     networks of lines (.geojson, .wkt), which are drawn

Any of these may lie in a folder that holds nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal

from hyperplane.contracts import Split
from hyperplane.data.blocks import files, labels, pictures, truths
from hyperplane.data.blocks.problems import Refusal, some
from hyperplane.errors import UserError

IMAGE_NAMES = frozenset(
    {"images", "image", "imgs", "img", "inputs", "input", "sat", "satellite", "photos", "rgb", "pictures"}
    | {"jpegimages", "original", "originals", "leftimg8bit"}
)
MASK_NAMES = frozenset(
    {
        "masks",
        "mask",
        "labels",
        "label",
        "lbl",
        "annotations",
        "annotation",
        "annot",
        "ann",
        "anno",
        "targets",
        "target",
    }
    | {"segmentations", "segmentation", "segmentationclass", "seg", "groundtruth", "groundtruths", "gt", "gts", "truth"}
    | {"manual", "1stmanual", "gtfine", "graphs", "roads", "networks", "geojson", "geojsonroads"}
)
"""What people call the folders, in small letters and without what is neither letter nor digit."""
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
MASK_WORDS = r"masks?|gts?|ground[ _-]?truth|labels?|lbl|seg|segmentations?|annotations?|anno|targets?|truth|manual\d*"
_MASK = re.compile(rf"(?<![a-z])({MASK_WORDS})(?![a-z])")

Both = tuple[Path, Path]
"""A folder of images and that of their masks; the same one where they lie together."""
Kind = Literal["image", "mask", ""]


def folders(root: Path) -> dict[Split, Both]:
    """Return the folders of images and of masks by split; empty where there are none.

    Where the layout names no splits, all is train. Raises UserError for a folder that may not be read, and where
    several folders may be the masks'.
    """
    if not root.is_dir():
        return {}
    inside = files.subfolders(root)
    if (both := _within(root, inside)) is not None:
        image_parts, mask_parts = (_by_split(files.subfolders(folder)) for folder in both)
        shared = image_parts.keys() & mask_parts.keys() if both[0] != both[1] else frozenset()
        split: dict[Split, Both] = {part: (image_parts[part], mask_parts[part]) for part in shared}
        whole: dict[Split, Both] = {"train": both}
        return split if "train" in split else whole
    found = _beside(inside)
    if not found:
        for part, folder in _by_split(inside).items():
            if (both := _within(folder, files.subfolders(folder))) is not None:
                found[part] = both
    return folders(inside[0]) if not found and len(inside) == 1 else found


def lone_masks(root: Path) -> Path | None:
    """Return the folder of masks where a folder holds these and nothing else to see; else None."""
    inside = files.subfolders(root) if root.is_dir() else []
    if not any(_kind(folder)[1] == "mask" for folder in inside):
        return None
    full = [folder for folder in inside if holds_pictures(folder)]
    return full[0] if len(full) == 1 and _kind(full[0])[1] == "mask" else None


def is_mask(name: str) -> bool:
    """Say whether a picture's name says that it is a mask."""
    return bool(_MASK.search(name.lower()))


def holds_pictures(folder: Path) -> bool:
    """Say whether there is a picture in a folder, or below it, or a network to be drawn as a mask."""
    return any(map(truths.is_truth, files.walk(folder)))


def bare(name: str) -> str:
    """Return a name, in small letters, without words such as mask and image."""
    return re.sub(r"[ _.-]+", "-", _WORDS.sub("", name)).strip("-")


_WORDS = re.compile(rf"(?<![a-z])(images?|imgs?|sat|satellite|rgb|{MASK_WORDS})(?![a-z])")


def _within(folder: Path, inside: list[Path]) -> Both | None:
    """Return the images' and the masks' folder in a folder, or that folder twice where they lie in it together."""
    images, masks = ([f for f in inside if _kind(f) == (None, kind)] for kind in ("image", "mask"))
    if images and masks:
        return _one_of(folder, images, "images"), _one_of(folder, masks, "masks")
    if len(masks) == 1:
        others = [f for f in inside if f not in masks and holds_pictures(f)]
        return (others[0], masks[0]) if len(others) == 1 and _fit(others[0], masks[0]) else None
    return (folder, folder) if _together(folder) else None


def _beside(inside: list[Path]) -> dict[Split, Both]:
    """Return what lies in folders such as train and train_labels, or train_images and train_masks."""
    by_kind = {_kind(folder): folder for folder in inside}
    found: dict[Split, Both] = {}
    for part in ("train", "validation", "test"):
        image, mask = by_kind.get((part, "image")) or by_kind.get((part, "")), by_kind.get((part, "mask"))
        if image is not None and mask is not None:
            found[part] = (image, mask)
    return found


def _kind(folder: Path) -> tuple[Split | None, Kind | None]:
    """Return the split and the kind that a folder's name says; of a split alone the kind is empty."""
    plain = re.sub(r"[\W_]+", "", folder.name.lower())
    for split in (None, *sorted(SPLIT_NAMES, key=len, reverse=True)):
        part = SPLIT_NAMES[split] if split else None
        rests = {plain.removeprefix(split), plain.removesuffix(split)} - {plain} if split else {plain}
        for rest in rests:
            if rest in IMAGE_NAMES:
                return part, "image"
            if rest in MASK_NAMES:
                return part, "mask"
            if split and not rest:
                return part, ""
    return None, None


def _one_of(folder: Path, some_of: list[Path], what: str) -> Path:
    """Return the one folder of several that holds pictures; raises UserError where more than one does."""
    full = [f for f in some_of if holds_pictures(f)]
    if len(full) > 1:
        named = some(f.name for f in full)
        raise Refusal(folder, f"has several folders of {what}, {named}, expected one", "move the others elsewhere")
    return (full or some_of)[0]


def _fit(images: Path, masks: Path) -> bool:
    """Say whether most masks have the names of images, and the first does look like a mask; or they are networks."""
    if any(map(truths.is_network, files.walk(masks))):
        return True
    held = [sorted(filter(pictures.is_picture, files.walk(folder))) for folder in (images, masks)]
    if not all(held) or not _pair(_stems(held[0]), _stems(held[1])):
        return False
    try:
        labels.expect_mask(labels.count(labels.read(held[1][0])), held[1][0])
    except UserError:
        return False
    return True


def _together(folder: Path) -> bool:
    """Say whether most pictures in a folder that are masks by their names have the names of others there."""
    stems = _stems(file for file in folder.iterdir() if pictures.is_picture(file) and not file.name.startswith("."))
    masks = {stem for stem in stems if is_mask(stem)}
    return _pair(stems - masks, masks)


def _stems(held: Iterable[Path]) -> set[str]:
    return {file.stem.lower() for file in held}


def _pair(images: Collection[str], masks: Collection[str]) -> bool:
    known = {bare(stem) for stem in images} - {""}
    return bool(masks) and 2 * sum(bare(stem) in known for stem in masks) > len(masks)


def _by_split(inside: list[Path]) -> dict[Split, Path]:
    return {SPLIT_NAMES[folder.name.lower()]: folder for folder in inside if folder.name.lower() in SPLIT_NAMES}
