"""Several runs of nets of pixels on the same tiles, side by side: what each loss, or each net, gets wrong.

Shape suffixes: N tiles, R runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hyperplane.engine.training import judged
from hyperplane.errors import UserError
from hyperplane.explain import sheet
from hyperplane.explain.gallery import Drawn
from hyperplane.explain.images import Drawing, Watch
from hyperplane.explain.masks import SIDE, Seen, key, looked_through, painted, short, tiles_of, wrong
from hyperplane.explain.sheet import Cell
from hyperplane.explain.subject import Subject
from hyperplane.runs.records import flat
from hyperplane.tasks.blocks import figures as house
from hyperplane.tasks.blocks.mask_errors import BROKEN
from hyperplane.tasks.blocks.pieces import label

MOST, TILES = 5, 6
"""Runs and tiles that are shown."""
TOLD = (("f1", "F1 {:.1%}"), ("betti0_error", "pieces off by {:.2f}"))
"""Metrics that are told of each run."""


def beside(subjects: Sequence[Subject], watch: Watch = lambda event: None) -> Drawn:
    """Draw the tiles, one of an image, that all runs together get most wrong, and what each of them makes of these.

    Raises UserError for too many runs, for one that was judged on other data than the first, and where those are gone.
    """
    first = subjects[0]
    if len(subjects) > MOST:
        raise UserError(f"explain: found {len(subjects)} runs, expected at most {MOST}; name fewer of them")
    for one in subjects:
        _expect_alike(first, one)
    seen_R = []
    for one in subjects:
        watch(Drawing(f"what {one.folder.name} says"))
        assert one.source is not None, "it was looked at"
        split = judged(one.description)
        seen_R.append(looked_through(one, one.source, split))
    places = [(n, place) for n, one in enumerate(seen_R[0]) for place in tiles_of(one)]
    share_RN = np.array([[wrong(seen[n], place) for n, place in places] for seen in seen_R])
    worst: dict[int, int] = {}
    for which in np.argsort(-share_RN.mean(0), kind="stable").tolist():
        worst.setdefault(places[which][0], which)  # one of each image
    rows, names = [], []
    for n, which in list(worst.items())[:TILES]:
        place = places[which][1]
        cells = [Cell(seen_R[0][n].picture_HW3[place])]
        for seen, share_N in zip(seen_R, share_RN, strict=True):
            painted_hw3 = painted(seen[n], seen_R[0][n].picture_HW3, place)
            cells.append(Cell(painted_hw3, _said(seen[n], place, float(share_N[which]))))
        rows.append(cells)
        names.append(f"{short(seen_R[0][n].name)}\nrow {place[0].start},\ncolumn {place[1].start}")
    columns = ["image", *(house.shortened(one.folder.name, max(9, 42 // len(subjects))) for one in subjects)]
    figure = sheet.sheet("The same tiles, run by run", rows, columns, names, more=0.28)
    key(figure)
    return Drawn(figure.figure, _caption(subjects))


def _expect_alike(first: Subject, one: Subject) -> None:
    """Raise UserError unless a run was judged on the same images as the first, which are still there."""
    path = one.folder.path
    if one.description.target != "mask_BHW":
        raise UserError(f"{path}: holds no net of pixels, expected one beside {first.folder.path}; leave it out")
    if one.source is None:
        raise UserError(f"{path}: its data are gone, or not as they were; put them back, or leave it out")
    alike = [(s.description.hashes, s.description.classes, judged(s.description), _names(s)) for s in (first, one)]
    if alike[0] != alike[1]:
        raise UserError(
            f"{path}: was judged on other images than {first.folder.path}, expected the same; name runs of one set and "
            "split"
        )


def _names(one: Subject) -> list[str]:
    split = judged(one.description)
    assert one.source is not None, "it was looked at"
    return [one.source.sample_name(split, index) for index in range(one.description.splits[split])]


def _said(one: Seen, place: tuple[slice, slice], share: float) -> str:
    breaks = label(one.error_HW[place] == BROKEN)[1]
    return f"{share:.0%} wrong\n{breaks or 'no'} break{'s' * (breaks != 1)}"


def _caption(subjects: Sequence[Subject]) -> str:
    """Return what is shown, in which fields the runs' recipes differ, and how good each is over all its images."""
    fields_R = [flat(dataclasses.asdict(one.recipe)) for one in subjects]
    names = dict.fromkeys(name for fields in fields_R for name in fields)
    differing = [n for n in names if any(fields.get(n) != fields_R[0].get(n) for fields in fields_R)]
    told = []
    for one, fields in zip(subjects, fields_R, strict=True):
        result = one.folder.read_result()
        held = result.metrics if result is not None else {}
        good = [text.format(held[name].value) for name, text in TOLD if name in held]
        made = [f"{name.rpartition('.')[2]} {fields.get(name)}" for name in differing[:3]]
        told.append(f"{one.folder.name}: {', '.join([*made, *good])}")
    return (
        f"Of all tiles of {SIDE} x {SIDE} pixels, those that the runs together get most wrong, one of an image. Over "
        f"all images that judged them, {'; '.join(told)}."
    )
