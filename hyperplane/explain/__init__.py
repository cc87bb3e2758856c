"""What a trained net learned, as pictures: where it decides, how sure it is, its hyperplanes, its linear regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hyperplane.explain import attention, film, worked
from hyperplane.explain.gallery import draw
from hyperplane.explain.subject import load, view
from hyperplane.runs import atomic, report
from hyperplane.runs.records import Explained
from hyperplane.tasks.blocks import figures as house

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PNG_DOTS = 200


def explain(path: str | Path, png: bool = False) -> list[Path]:
    """Draw what the net of a run folder learned, into its folder `explain` and its report, and return the files.

    Nets of two inputs are drawn on their plane, of one input along it, with a film of their training where the run kept
    one; all others on a slice through three samples of the training data, and transformers by their attention as well.
    Arguments: the run folder; whether to write each figure as PNG as well as SVG.
    Raises UserError for a folder that holds no finished run, and for nets whose slice needs data that are gone.
    """
    subject = load(path)
    seen = view(subject)
    folder = subject.folder.explained
    with atomic.explained(folder):
        folder.mkdir(exist_ok=True)
    written: list[Path] = []
    told: list[Explained] = []
    if (shot := film.film(subject, seen)) is not None:
        written.append(folder / "film.webp")
        atomic.write_bytes(written[-1], shot.encoded)
        atomic.write_bytes(folder / "film-end.webp", shot.still)
        told.append(Explained("film.webp", shot.caption, "film-end.webp"))
    for name, drawn in (attention.draw(subject) | draw(subject, seen)).items():
        written += _save(drawn.figure, folder / name, png)
        told.append(Explained(f"{name}.svg", drawn.caption))
    subject.folder.write_explained(told)
    report.write(subject.folder.path)
    return written


def write_worked(folder: Path, png: bool = False) -> list[Path]:
    """Draw the lecture's worked figures into a folder, which is made where it is not there, and return the files."""
    with atomic.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return [file for name, figure in worked.figures().items() for file in _save(figure, folder / name, png)]


def _save(figure: Figure, place: Path, png: bool) -> list[Path]:
    """Write a figure as SVG, and as PNG where that is asked for; return the files."""
    files = [place.with_name(f"{place.name}.svg")]
    with atomic.explained(files[0]):
        house.save(figure, files[0])
        if png:
            files.append(place.with_name(f"{place.name}.png"))
            with house.style():
                figure.savefig(files[1], dpi=_PNG_DOTS, metadata={"Software": "hyperplane"})
    return files
