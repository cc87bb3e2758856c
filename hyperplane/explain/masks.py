"""What a net of pixels gets wrong, and what each loss would have it do: overlays, worst tiles, pulls.

Everything is drawn of the split that judged the run. Shape suffixes: N images or tiles, C channels, H and W pixels, K
logits, h and w of a tile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from hyperplane.contracts import Source, Split
from hyperplane.engine.training import judged
from hyperplane.explain import sheet
from hyperplane.explain.gallery import Drawn
from hyperplane.explain.images import Drawing, LeftOut, Watch
from hyperplane.explain.sheet import Cell
from hyperplane.explain.subject import Subject
from hyperplane.tasks.blocks import mask_errors, mask_figures, mask_losses, pieces
from hyperplane.tasks.blocks.figures import BLUE, ORANGE
from hyperplane.tasks.blocks.mask_errors import BROKEN, FALSE, HIT, MISSED
from hyperplane.tasks.blocks.mask_losses import Term
from hyperplane.tasks.delineation import Delineation

IMAGES = 40
"""Looked through at most, evenly spaced, for the worst of them."""
SHOWN, TILES, ACROSS = 3, 12, 4
"""Images that are shown; tiles, and how many in a row."""
SIDE = 96
"""Of a tile, in pixels."""
OF_ONE = 3
"""Tiles of one image, at most: one whose mask is wrong would fill the figure."""
FAINT = 0.05
"""Share of the strongest pull below which a pixel shows its neighbours'."""
ENLARGED = 3
"""Times that a tile is, so that rings are round."""
Place = tuple[slice, slice]
"""Rows and columns of a tile."""


@dataclass(frozen=True)
class Seen:
    """One image, what it holds, and what the net says of it."""

    name: str
    image_CHW: Tensor
    picture_HW3: np.ndarray
    """In [0, 1]."""
    mask_HW: Tensor
    logit_KHW: Tensor
    probability_HW: np.ndarray
    error_HW: np.ndarray
    """Codes of `tasks.blocks.mask_errors`."""

    @property
    def wrong(self) -> float:
        """Return the share of pixels that are wrong, over that of those that are not background."""
        counts = np.bincount(self.error_HW.ravel(), minlength=256)
        return float(counts[[MISSED, FALSE, BROKEN]].sum() / max(1, counts[[HIT, MISSED, BROKEN]].sum()))

    @property
    def breaks(self) -> int:
        """Return how many misses part what was found."""
        return pieces.label(self.error_HW == BROKEN)[1]


def draw(subject: Subject, watch: Watch) -> dict[str, Drawn]:
    """Return the figures of a run of delineation; none where its data are gone, which is told."""
    if subject.source is None:
        watch(LeftOut("what is missed and false", "the data are gone, or not as they were"))
        return {}
    split = judged(subject.description)
    seen = looked_through(subject, subject.source, split)
    seen.sort(key=lambda one: -one.wrong)
    middle = seen[len(seen) // 2]
    figures: tuple[tuple[str, str, Callable[[], Drawn]], ...] = (
        ("errors", "errors", lambda: errors(seen if len(seen) <= SHOWN else [*seen[: SHOWN - 1], middle])),
        ("tiles", "the worst tiles", lambda: tiles(seen)),
        (
            "pulls",
            "what each loss pulls at",
            lambda: pulls(max(seen, key=lambda one: one.breaks), cast(Delineation, subject.model.task)),
        ),
    )
    drawn = {}
    for name, what, make in figures:
        watch(Drawing(what))
        drawn[name] = make()
    return drawn


def looked_through(subject: Subject, source: Source, split: Split) -> list[Seen]:
    """Return what a net says of the images of a split, of many evenly spaced ones."""
    count = subject.description.splits[split]
    return [_see(subject, source, split, i) for i in sorted({k * count // IMAGES for k in range(IMAGES)})]


def errors(seen: list[Seen]) -> Drawn:
    """Draw images, what the net says, and what of that is missed, false and broken."""
    rows, names = [], []
    for one in seen:
        rows.append(
            [
                Cell(one.picture_HW3),
                Cell(_grey(one.probability_HW)),
                Cell(mask_figures.painted(one.picture_HW3, one.error_HW)),
            ]
        )
        names.append(f"{short(one.name)}\n{one.breaks} break{'s' * (one.breaks != 1)}")
    columns = ("image", "probability", "found, missed, false")
    figure = sheet.sheet("What is missed, false and broken", rows, columns, names, tall=_tall(seen), more=0.28)
    key(figure)
    return Drawn(
        figure.figure,
        "The worst images and one in the middle. What was found is blue, what was missed orange, what is false violet; "
        "a ring marks a miss that breaks a line in two.",
    )


def tiles(seen: list[Seen]) -> Drawn:
    """Draw the tiles of all images in which most pixels are wrong."""
    shown = worst_tiles(seen)
    rows: list[list[Cell | None]] = []
    for first in range(0, len(shown), ACROSS):
        some = shown[first : first + ACROSS]
        rows.append([Cell(one.picture_HW3[place]) for _, one, place in some])
        rows.append(
            [
                Cell(painted(one, one.picture_HW3, place), f"{short(one.name)}, {share:.0%} wrong")
                for share, one, place in some
            ]
        )
    figure = sheet.sheet("The worst tiles", rows, more=0.28)
    key(figure)
    return Drawn(
        figure.figure,
        f"Of all tiles of {SIDE} x {SIDE} pixels, those in which most are wrong, at most {OF_ONE} of an image, none "
        "over another: the image, and below it what was found, missed and false.",
    )


def worst_tiles(seen: list[Seen]) -> list[tuple[float, Seen, Place]]:
    """Return the tiles in which most is wrong, the worst first, with that share; few of an image, none over another."""
    found = [(wrong(one, place), one, place) for one in seen for place in tiles_of(one)]
    found.sort(key=lambda item: -item[0])
    kept: list[tuple[float, Seen, Place]] = []
    for share, one, place in found:
        others = [other for _, of, other in kept if of is one]
        if len(others) < OF_ONE and not any(_overlap(place, other) for other in others):
            kept.append((share, one, place))
    return kept[:TILES]


def _overlap(one: Place, other: Place) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def tiles_of(one: Seen) -> list[Place]:
    """Return the rows and columns of an image's tiles, of which the last ones may begin within those before."""
    height, width = one.error_HW.shape
    high, wide = min(SIDE, height), min(SIDE, width)
    tops, lefts = (
        sorted({*range(0, length - side + 1, side), length - side}) for length, side in ((height, high), (width, wide))
    )
    return [(slice(top, top + high), slice(left, left + wide)) for top in tops for left in lefts]


def painted(one: Seen, picture_HW3: np.ndarray, place: Place) -> np.ndarray:
    """Return a tile of a picture under the colours of what was found, missed and false there."""
    picture_hw3, error_hw = (
        value[place].repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1) for value in (picture_HW3, one.error_HW)
    )
    return mask_figures.painted(picture_hw3, error_hw)


def wrong(one: Seen, place: Place) -> float:
    """Return the share of a tile's pixels that are wrong."""
    return float(np.isin(one.error_HW[place], (MISSED, FALSE, BROKEN)).mean())


def pulls(one: Seen, task: Delineation) -> Drawn:
    """Draw, for one image, where each loss would raise the probability and where lower it."""
    cells: list[Cell | None] = [
        Cell(one.picture_HW3, "the image"),
        Cell(_grey(one.probability_HW), "what the net says"),
    ]
    cells.append(Cell(mask_figures.painted(one.picture_HW3, one.error_HW), "its errors"))
    for name in mask_losses.NAMES:
        pull_HW = pull(one.logit_KHW, one.mask_HW, name, task.width, task.window)
        most = float(np.quantile(np.abs(pull_HW), 0.999)) or float(np.abs(pull_HW).max()) or 1.0
        shown_HW = _thicker(np.sign(pull_HW) * np.sqrt(np.clip(np.abs(pull_HW) / most, 0, 1)))
        cells.append(Cell(sheet.for_and_against(shown_HW, one.picture_HW3, 1.0), name))
    rows = [cells[first : first + 3] for first in range(0, len(cells), 3)]
    made = sheet.sheet("What each loss pulls at", rows, tall=_tall([one]), more=0.28)
    key(made, (("would rise", BLUE), ("would fall", ORANGE)), ring=False)
    return Drawn(
        made.figure,
        "The same image under each loss: where a step down the loss would raise the probability of what is not "
        "background (blue) and where lower it (orange), each loss on a scale of its own, the root of the slope.",
    )


def pull(logit_KHW: Tensor, mask_HW: Tensor, name: str, width: int, window: int) -> np.ndarray:
    """Return by how much a loss would raise each pixel's logit of not being background, (H, W): minus its slope."""
    logit_1KHW = logit_KHW[None].detach().clone().requires_grad_()
    loss_B = mask_losses.losses((Term(1.0, name),), logit_1KHW, mask_HW[None], width, window)[name]
    (slope_1KHW,) = torch.autograd.grad(loss_B.sum(), logit_1KHW)
    slope_KHW = slope_1KHW[0]
    slope_HW = slope_KHW[0] if len(slope_KHW) == 1 else -slope_KHW[0]  # of several classes: the background's
    return -slope_HW.double().cpu().numpy()


def _see(subject: Subject, source: Source, split: Split, index: int) -> Seen:
    batch = source.batch(split, [index])
    like = next(subject.model.parameters())
    image_1CHW = batch[subject.description.input].to(like)
    task = cast(Delineation, subject.model.task)
    with torch.no_grad():
        logit_1KHW = subject.model.looking(subject.model.net)(image_1CHW).float().cpu()
    probability_1HW, class_1HW = task.classify(logit_1KHW)
    mask_1HW = batch[subject.description.target]
    error_1HW = mask_errors.errors(task.without_small(class_1HW), mask_1HW)
    how = subject.description.encoding
    mean_C, std_C = (np.asarray(how[name], np.float64)[:, None, None] for name in ("mean", "std"))
    pixel_CHW = np.clip(image_1CHW[0].double().cpu().numpy() * std_C + mean_C, 0, 1)
    if len(pixel_CHW) == 1:
        pixel_CHW = pixel_CHW.repeat(3, axis=0)
    return Seen(
        source.sample_name(split, index),
        image_1CHW[0].cpu(),
        pixel_CHW.transpose(1, 2, 0),
        mask_1HW[0],
        logit_1KHW[0],
        probability_1HW[0].numpy(),
        error_1HW[0].numpy(),
    )


def key(made: sheet.Sheet, colours: tuple[tuple[str, str], ...] = mask_figures.KEY, ring: bool = True) -> None:
    """Say below the pictures which colour is what, and what a ring is."""
    x, y = sheet.MARGIN, made.filled + 0.1
    for name, colour in colours:
        made.axes.plot([x + 0.06], [y], "s", color=colour, markersize=6, clip_on=False)
        made.axes.text(x + 0.17, y, name, fontsize=sheet.SMALL, color=sheet.SOFT, va="center")
        x += 0.35 + sheet.LETTER * sheet.SMALL * len(name)
    if ring:
        made.axes.plot([x + 0.06], [y], "o", mfc="none", mec=sheet.INK, mew=1.2, markersize=7, clip_on=False)
        made.axes.text(x + 0.17, y, "broken there", fontsize=sheet.SMALL, color=sheet.SOFT, va="center")


def _thicker(value_HW: np.ndarray) -> np.ndarray:
    """Return numbers in [-1, 1] where those near 0 are their neighbours' of greatest size: one pixel alone is seen."""
    high_HW, low_HW = (np.asarray(find(value_HW, 3)) for find in (ndimage.maximum_filter, ndimage.minimum_filter))
    return np.where(np.abs(value_HW) > FAINT, value_HW, np.where(high_HW >= -low_HW, high_HW, low_HW))


def _grey(value_HW: np.ndarray) -> np.ndarray:
    return np.repeat(value_HW[..., None].astype(float), 3, axis=2)


def _tall(seen: list[Seen]) -> float:
    return max(one.error_HW.shape[0] / one.error_HW.shape[1] for one in seen)


def short(name: str) -> str:
    """Return the last part of a sample's name."""
    return name.rpartition("/")[2]
