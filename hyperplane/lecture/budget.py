"""How large an experiment is, and the folder that it trains, draws and writes its data in."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from hyperplane import api, data, recipes
from hyperplane.contracts import Description, Source
from hyperplane.errors import UserError
from hyperplane.explain import gallery
from hyperplane.explain.subject import load, view
from hyperplane.lecture.findings import Picture, Size, Skipped
from hyperplane.lecture.folder import LectureFolder
from hyperplane.recipe import DataRecipe, Recipe
from hyperplane.runs import atomic
from hyperplane.runs.folder import RunFolder
from hyperplane.tasks.blocks import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


@dataclass(frozen=True)
class Budget:
    """What one experiment may spend, and where it works."""

    experiment: str
    size: Size
    folder: LectureFolder
    say: Callable[[str], object] = lambda text: None
    """Told what is being computed, in a few words."""
    download: bool = False
    """Whether a known set may be fetched."""
    before: list[float] = field(default_factory=list)
    """Seconds that runs took which were trained before, and are not trained again."""

    def choose(self, *, full: T, quick: T, least: T) -> T:
        """Return what this size asks for."""
        return {"full": full, "quick": quick, "least": least}[self.size]

    def judged(self, holds: bool | np.bool_) -> bool | None:
        """Return a verdict that only a full run may deny: one of less found nothing where it found too little."""
        return True if holds else False if self.size == "full" else None

    def train(self, name: str, recipe: Recipe) -> api.Run:
        """Return the run of a recipe: the one that is there, gone on with where it is unfinished, or a new one.

        Raises Skipped where its data are not here.
        """
        self.say(name)
        runs = self.folder.runs(self.size, self.experiment)
        held = RunFolder(runs / name)
        if not _is_of(held, recipe, self.source(recipe.data).description):
            api.run_recipe(recipe, runs=runs, name=name, overwrite=held.path.exists(), explained=False)
        elif not held.manifest.is_file():
            api.resume(held.path, explained=False)
        else:
            self.before.append(float(held.read_metrics()[-1]["seconds"]))
        return api.load(held.path)

    def source(self, recipe: DataRecipe) -> Source:
        """Return data; raises Skipped where they are not here."""
        try:
            return data.open(recipe, download=self.download)
        except UserError as error:
            raise Skipped(str(error)) from error

    def draw(self, name: str, figure: Figure, caption: str, wide: bool = False) -> Picture:
        """Write a figure, and return it as a picture of the report."""
        file = self._figure(name)
        with atomic.explained(file):
            figures.save(figure, file)
        return Picture(file.relative_to(self.folder.path).as_posix(), caption, wide)

    def _figure(self, name: str) -> Path:
        """Return where a figure goes, in a folder that is there."""
        place = self.folder.of(self.size, "figures", self.experiment)
        with atomic.explained(place):
            place.mkdir(parents=True, exist_ok=True)
        return place / f"{name}.svg"

    def explained(self, name: str, run: api.Run, which: str, caption: str) -> Picture:
        """Draw one of the figures that `hyperplane explain` draws of a run, and return it as a picture."""
        subject = load(run.path)
        return self.draw(name, gallery.draw(subject, view(subject))[which].figure, caption)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
        """Write a table as CSV among the data of this size, and return where it is; numbers keep all their digits."""
        place = self.folder.of(self.size, "data")
        with atomic.explained(place):
            place.mkdir(parents=True, exist_ok=True)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([columns, *rows])
        atomic.write_text(place / f"{name}.csv", text.getvalue())
        return place / f"{name}.csv"


def _is_of(held: RunFolder, recipe: Recipe, now: Description) -> bool:
    """Say whether a folder holds a run of a recipe, finished or not, on the data as they are now, but for notes."""
    try:
        then = replace(held.read_description(), notes=now.notes)
        return then == now and held.read_recipe() == recipes.complete(recipe, now)
    except UserError:
        return False
