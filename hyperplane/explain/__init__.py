"""What a trained net learned, as pictures: where it decides, its hyperplanes and regions, what it sees in images."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from hyperplane import data
from hyperplane.data import Encoded
from hyperplane.data.blocks import vocabulary
from hyperplane.errors import UserError
from hyperplane.explain import attention, film, mask_runs, masks, text, worked
from hyperplane.explain.gallery import Drawn, draw
from hyperplane.explain.images import Drawing, Gallery, LeftOut, Watch, names
from hyperplane.explain.levels import GRID
from hyperplane.explain.moving import Film
from hyperplane.explain.subject import Subject, load, view
from hyperplane.explain.vision import Vision
from hyperplane.nets.vit import ViT
from hyperplane.runs import atomic, report
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import Explained
from hyperplane.tasks.blocks import figures as house

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "LeftOut", "Watch", "explain", "write_worked"]

MOST_GIVEN = 24
"""Pictures that one call explains."""
_PNG_DOTS = 200


def explain(
    path: str | Path, pictures: Sequence[Path] = (), png: bool = False, watch: Watch = lambda event: None
) -> list[Path]:
    """Draw what the net of a run folder learned, into its folder `explain` and its report, and return the files.

    Nets of two inputs are drawn on their plane, of one input along it, with a film of their training where the run kept
    one; nets that sort images by their filters, maps and samples, transformers by their attention as well; all others,
    and these too where that takes little, on a slice through three samples of the training data. Nets of pixels are
    drawn by their errors, and by what each loss pulls at. Arguments: the run folder; pictures, or folders of them, to
    explain instead, for a net that sorts images or a transformer, a text file for a language model, or for a net of
    pixels further runs on the same data, to see their errors on the same tiles; whether to write each figure as PNG as
    well as SVG; who is told of what is drawn and of what is left out. Raises UserError for a folder that holds no
    finished run, for pictures that cannot be read, and for nets whose slice needs data that are gone.
    """
    subject = load(path)
    if subject.description.kind == "text":
        return _explain_text(subject, pictures, png, watch)
    if not subject.labels:
        return _unlabelled(subject, pictures, png)
    if subject.description.target == "mask_BHW":
        if pictures and all(RunFolder(place).manifest.is_file() for place in pictures):
            drawn = mask_runs.beside([subject, *map(load, pictures)], watch)
            return _write(subject, "", None, {"beside": drawn}, png, added=True)
        if pictures:
            named = " ".join(shlex.quote(str(picture)) for picture in pictures[:3])
            raise UserError(
                f"{path}: holds a net of pixels, whose errors are drawn of its own data; for what it makes of pictures "
                f"type: hyperplane predict {shlex.quote(str(path))} {named}"
            )
        return _write(subject, "", None, masks.draw(subject, watch), png)
    vision = Vision.of(subject)
    if pictures:
        encoded = _read(subject, vision, pictures)
        assert vision is not None, "pictures of other nets are refused"
        return _write(subject, "", None, Gallery(subject, vision, watch).given(encoded).drawn, png, added=True)
    if vision is None:
        seen = view(subject)
        return _write(subject, "film", film.film(subject, seen), attention.draw(subject) | draw(subject, seen), png)
    gallery = Gallery(subject, vision, watch).all()
    drawn = attention.draw(subject) | gallery.drawn | _slice(subject, watch)
    return _write(subject, "walk", gallery.walk, drawn, png)


@torch.inference_mode()
def _explain_text(subject: Subject, files: Sequence[Path], png: bool, watch: Watch) -> list[Path]:
    """Draw what a language model makes of the text that judged it, or of the end of a text file that is given."""
    watch(Drawing("the text"))
    if len(files) > 1:
        raise UserError(f"explain: found {len(files)} files for a language model, expected one text; name one of them")
    if not files:
        return _write(subject, "", None, text.draw(subject), png)
    encoded = data.encode(list(files), replace(subject.description, format="text"))
    batch = next(encoded.batches(1, None))
    token_T = batch["token_BT"][0, : int(batch["length_B"][0])]
    if len(token_T) < 2:
        raise UserError(
            f"{files[0]}: has one token, expected two or more, since each is foretold by those "
            "before it; name a longer text"
        )
    known = vocabulary.read(subject.description.encoding)
    given = text.Text(token_T.to(next(subject.model.parameters()).device), known, files[0].name)
    drawn = {f"given-{name}": one for name, one in text.draw(subject, given).items()}
    return _write(subject, "", None, drawn, png, added=True)


def write_worked(folder: Path, png: bool = False) -> list[Path]:
    """Draw the lecture's worked figures into a folder, which is made where it is not there, and return the files."""
    with atomic.explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return [file for name, figure in worked.figures().items() for file in _save(figure, folder / name, png)]


def _unlabelled(subject: Subject, pictures: Sequence[Path], png: bool) -> list[Path]:
    """Draw what a net that learned without labels attends to, in given pictures or its own.

    Raises UserError where there is nothing to be drawn.
    """
    drawn: dict[str, Drawn] = {}
    if pictures and isinstance(subject.model.net, ViT):
        encoded = _encoded(subject, pictures)
        for position, (name, file) in enumerate(names(encoded)):
            image_1CHW = encoded.read(position, position + 1)[subject.description.input]
            drawn |= {f"{file}-{what}": one for what, one in attention.given(subject, image_1CHW, name).items()}
    elif not pictures:
        drawn = attention.draw(subject)
    if not drawn:
        path = subject.folder.path
        raise UserError(
            f"{path}: holds a net that learned without labels, whose outputs mean nothing by themselves, expected one "
            f"that sorts images; its report shows its features, and to teach it classes type: hyperplane train FOLDER "
            f"--from {path}"
        )
    return _write(subject, "", None, drawn, png, added=bool(pictures))


def _slice(subject: Subject, watch: Watch) -> dict[str, Drawn]:
    """Return the figures of a net for images on a slice through three samples; none where they would be coarse."""
    try:
        seen = view(subject)
    except UserError:
        return {}  # its samples are gone, which was told
    if seen.grid < GRID // 2:
        watch(LeftOut("the slice through three samples", "the net takes too long for a fine grid"))
        return {}
    watch(Drawing("a slice"))
    return draw(subject, seen)


def _read(subject: Subject, vision: Vision | None, pictures: Sequence[Path]) -> Encoded:
    """Return pictures as inputs of the net; raises UserError where they are none, too many, or not for this net."""
    if vision is None:
        described = subject.description
        raise UserError(
            f"{subject.folder.path}: was trained on {described.name} ({described.kind}), expected one of images "
            f"where pictures are given; type: hyperplane explain {subject.folder.path}"
        )
    return _encoded(subject, pictures)


def _encoded(subject: Subject, pictures: Sequence[Path]) -> Encoded:
    """Return pictures as inputs of the net; raises UserError where they are none, or too many."""
    encoded = data.encode(list(pictures), subject.description)
    if len(encoded) > MOST_GIVEN:
        raise UserError(f"explain: found {len(encoded):,} pictures, expected at most {MOST_GIVEN}; name fewer of them")
    return encoded


def _write(
    subject: Subject, name: str, moving: Film | None, drawn: Mapping[str, Drawn], png: bool, added: bool = False
) -> list[Path]:
    """Write figures into the run's folder and its report, in place of those that are listed or added to them."""
    folder = subject.folder.explained
    with atomic.explained(folder):
        folder.mkdir(exist_ok=True)
    written: list[Path] = []
    told: list[Explained] = []
    if moving is not None:
        written.append(folder / f"{name}.webp")
        atomic.write_bytes(written[-1], moving.encoded)
        atomic.write_bytes(folder / f"{name}-end.webp", moving.still)
        told.append(Explained(f"{name}.webp", moving.caption, f"{name}-end.webp"))
    for file, one in drawn.items():
        written += _save(one.figure, folder / file, png)
        told.append(Explained(f"{file}.svg", one.caption))
    new = {one.file for one in told}
    kept = [one for one in subject.folder.read_explained() if one.file not in new] if added else []
    subject.folder.write_explained([*kept, *told])
    report.write(subject.folder.path)
    return written


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
