"""From the pixels of a mask to the class of each: what its values mean, found from all masks of a set together.

Two values are two classes. A grey mask, blurred or compressed, is cut at half of its range. A few values are a class
each, and where these count from 0, 255 among them means that nobody knows, as in Pascal VOC (Everingham et al. 2010).
In a palette picture the position in the palette is the value.

Shape suffixes: H and W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from hyperplane.data.blocks import pictures, rasters
from hyperplane.data.blocks.pictures import Place
from hyperplane.data.blocks.problems import Refusal, some
from hyperplane.data.blocks.rasters import Cut
from hyperplane.errors import UserError

IGNORED = 255
"""The class of a pixel that is not judged."""
MOST_CLASSES = 32
RARE = 0.05
"""Share of the pixels up to which values between black and white are blur, not classes of their own."""
NEAR, MOST_SHARP = 16, 8
"""Of more than 8 values, those this near to black and white are black and white, compressed."""
COLOUR = 1 << 24
"""Added to red · 65,536 + green · 256 + blue: what a pixel that is not grey counts as."""

Meaning = Literal["auto", "grey", "classes"]
Foreground = Literal["light", "dark"]


@dataclass(frozen=True)
class Reading:
    """What the values of a set's masks mean."""

    classes: tuple[str, ...]
    """Their names, in order."""
    values: tuple[int, ...] = ()
    """The value of each class; empty where values are cut at `threshold`."""
    threshold: int = 0
    """The least value that is light."""
    foreground: Foreground = "light"
    ignored: bool = False
    """Whether 255 means that nobody knows."""
    notes: tuple[str, ...] = ()
    unexpected: tuple[int, ...] = ()
    """Values that are neither black nor white in masks of black and white."""

    def classes_of(self, value_HW: np.ndarray) -> np.ndarray:
        """Return the class of each pixel, uint8; 255 where it has none."""
        if not self.values:
            return ((_luma(value_HW) >= self.threshold) == (self.foreground == "light")).astype(np.uint8)
        order = np.argsort(self.values)
        rising = np.array(self.values)[order]
        place_HW = np.minimum(np.searchsorted(rising, value_HW), len(rising) - 1)
        return np.where(rising[place_HW] == value_HW, order[place_HW], IGNORED).astype(np.uint8)

    def counts(self, counts: Mapping[int, int]) -> list[int]:
        """Return how many pixels are of each class, from how many have each value."""
        held = np.fromiter(counts, np.int64)
        of_class = self.classes_of(held[None])[0]
        times = np.fromiter(counts.values(), np.int64)
        return [int(times[of_class == k].sum()) for k in range(len(self.classes))]

    def order(self, classes: tuple[str, ...], values: Sequence[int]) -> tuple[int, ...] | None:
        """Return which of other classes, of these values if any, each of its own is; None where one is none.

        They are those of the same name; else of two the background and the foreground; else those of the same value.
        """
        if set(self.classes) <= set(classes):
            return tuple(classes.index(name) for name in self.classes)
        if len(self.classes) == len(classes) == 2:
            return (0, 1)
        if self.values and set(self.values) <= set(values):
            return tuple(values.index(value) for value in self.values)
        return None

    def ordered(self, classes: tuple[str, ...], order: tuple[int, ...]) -> Reading:
        """Return the reading that gives these classes, of which each of its own is the one that `order` says."""
        if self.values:  # a class that is not here has a value that no pixel has
            values = tuple(self.values[order.index(k)] if k in order else -1 - k for k in range(len(classes)))
            return replace(self, classes=classes, values=values)
        assert set(order) == {0, 1}, "what is cut at half has two classes"
        other: Foreground = "dark" if self.foreground == "light" else "light"
        return replace(self, classes=classes, foreground=self.foreground if order == (0, 1) else other)

    def encoding(self) -> dict[str, Any]:
        """Return what is kept of it in a description."""
        return {
            "values": list(self.values),
            "threshold": self.threshold,
            "foreground": self.foreground,
            "ignored": self.ignored,
        }


def read(place: Place, cut: Cut | None = None) -> np.ndarray:
    """Return the values of a mask or a window of it, int64 (H, W): levels, palette positions, what a colour counts as.

    Raises UserError where it cannot be decoded whole.
    """
    if cut is not None or (isinstance(place, Path) and rasters.windowed(place)):
        assert isinstance(place, Path), "only files have windows"
        if rasters.windowed(place):
            number_CHW = rasters.numbers(place, cut)
            return coded(number_CHW) if len(number_CHW) == 3 else number_CHW[0].astype(np.int64)
        return read(place)[cut]
    with pictures.opened(place) as image:
        if image.mode == "F":
            level_HW = np.asarray(image)
            low, high = float(level_HW.min()), float(level_HW.max())
            if not (0 <= low and high <= 1):
                where = place if isinstance(place, Path) else "standard input"
                what = f"has values from {low:g} to {high:g}, expected 0 to 1"
                raise Refusal(where, what, "save it with whole numbers")
            return np.rint(level_HW * 255).astype(np.int64)
        return _values(image)


def _values(image: Image.Image) -> np.ndarray:
    if image.mode in ("1", "L", "P") or image.mode.startswith("I"):
        return np.asarray(image).astype(np.int64)
    if image.mode in ("LA", "La"):
        return np.asarray(image.convert("LA").split()[0]).astype(np.int64)
    return coded(np.moveaxis(np.asarray(image.convert("RGB")), 2, 0))


def coded(colour_3HW: np.ndarray) -> np.ndarray:
    """Return colours, of 8 bits, as values, int64 (H, W); a grey one is its level."""
    red_HW, green_HW, blue_HW = colour_3HW.astype(np.int64)
    grey_HW = (red_HW == green_HW) & (green_HW == blue_HW)
    return np.where(grey_HW, red_HW, COLOUR + (red_HW << 16) + (green_HW << 8) + blue_HW)


def count(value_HW: np.ndarray) -> dict[int, int]:
    """Return how many pixels have each value."""
    found, times = np.unique(value_HW, return_counts=True)
    return dict(zip(found.tolist(), times.tolist(), strict=True))


def expect_mask(counts: Mapping[int, int], path: Path) -> None:
    """Raise UserError where a mask has many values and most of its pixels are neither black nor white: a picture."""
    if len(counts) <= MOST_CLASSES:
        return
    luma_V = _luma(np.fromiter(counts, np.int64))
    times_V = np.fromiter(counts.values(), np.int64)
    white = 255 if luma_V.max() <= 255 else 65535
    near = NEAR * white // 255
    share = times_V[(luma_V > near) & (luma_V < white - near)].sum() / times_V.sum()
    if share > 0.5:
        what = f"looks like a picture, not a mask: {len(counts):,} values, {share:.0%} of the pixels not black or white"
        raise Refusal(path, what, "put its mask there, or if it is a soft one train with --data.mask grey")


def find(
    counts: Mapping[int, int], where: str, meaning: Meaning, foreground: Foreground, names: tuple[str, ...] = ()
) -> Reading:
    """Return what values mean, from how many pixels of all masks have each.

    Arguments: the counts; what their folder is called in errors; whether the user says that they are grey, or classes;
    which of two is the foreground; what the classes are called, where that is known.
    Raises UserError where the masks hold one value alone, or too many for classes.
    """
    total = sum(counts.values())
    held = sorted(counts)
    if not held:
        raise Refusal(where, "has no mask that can be read", "see what is wrong: type hyperplane check")
    if len(held) == 1:
        what = f"has masks that hold one value alone, {say(held[0])}, in all {total:,} pixels, expected two or more"
        raise Refusal(where, what, "name a folder whose masks show something")
    labels = [value for value in held if value != IGNORED]
    ignored = IGNORED in counts and len(labels) >= 2 and labels == list(range(len(labels)))
    between = {value: n for value, n in counts.items() if value not in (0, IGNORED)}
    near = NEAR if len(held) > MOST_SHARP else 0
    blurred = held[0] <= near and IGNORED - near <= held[-1] <= IGNORED and not ignored
    blurred = blurred and sum(n for v, n in counts.items() if near < v < IGNORED - near) <= RARE * total
    if meaning == "classes" and len(held) > MOST_CLASSES:
        raise UserError(
            f"{where}: has masks that hold {len(held)} values, expected at most {MOST_CLASSES} for classes; "
            "type: --data.mask grey"
        )
    if len(held) == 2 and (meaning != "grey" or held[-1] <= 1):
        order = held if foreground == "light" else held[::-1]
        note = f"Masks have two values: {say(order[0])} is background, {say(order[1])} foreground."
        return Reading(names or ("background", "foreground"), tuple(order), foreground=foreground, notes=(note,))
    grey = meaning == "grey" or len(held) > MOST_CLASSES or (meaning == "auto" and blurred)
    if grey:
        threshold = 128 if max(map(_luma_of, held)) <= 255 else 32768
        share = sum(n for value, n in counts.items() if value not in (held[0], held[-1])) / total
        told = f": {listed(between)}" if len(between) <= MOST_CLASSES else ""
        note = (
            f"Grey masks were cut at half: from {threshold} on a pixel is "
            f"{'foreground' if foreground == 'light' else 'background'}; "
            f"{100 * share:.3g}% of the pixels lie between black and white{told}."
        )
        unexpected = tuple(between) if len(between) <= MOST_CLASSES else ()
        return Reading(
            names or ("background", "foreground"), (), threshold, foreground, notes=(note,), unexpected=unexpected
        )
    order = labels if ignored else held
    note = f"Masks have {len(order)} values, a class each: {listed({value: counts[value] for value in order})}."
    notes = (note, f"Of value 255 are {counts[IGNORED]:,} pixels, which are not judged.") if ignored else (note,)
    named = names if len(names) == len(order) else tuple(say(value) for value in order)
    return Reading(named, tuple(order), ignored=ignored, notes=notes)


def listed(counts: Mapping[int, int]) -> str:
    """Return values and how many pixels have each, on one line."""
    return some((f"{say(value)}: {n:,}" for value, n in sorted(counts.items())), 12).replace("'", "")


def say(value: int) -> str:
    """Return a value as people write it: a level, or a colour."""
    return f"#{value - COLOUR:06x}" if value >= COLOUR else str(value)


def _luma(value_HW: np.ndarray) -> np.ndarray:
    """Return the level of each value; of a colour its luma (ITU-R BT.601)."""
    rgb_HW = value_HW - COLOUR
    luma_HW = (299 * (rgb_HW >> 16) + 587 * (rgb_HW >> 8 & 255) + 114 * (rgb_HW & 255)) // 1000
    return np.where(value_HW >= COLOUR, luma_HW, value_HW)


def _luma_of(value: int) -> int:
    return int(_luma(np.array([value]))[0])
