"""Data: what the formats hold, as sources of batches; one file per format.

`open` takes a path or a known set's name. A format is a module with

- `sniff(path) -> Sniff`: how sure it is that a path is its own, and why;
- `open(path, recipe) -> Source`; `path` is None for a known set that needs no files;
- `check(path, recipe) -> list[Problem]`: everything that is wrong;
- `encode(inputs, description) -> Encoded`: new samples for a net trained on such a source;
- `reopen(path, description, listing) -> Source`, for sources with a `listing`: it, as far as it is there;
- `KNOWN: dict[str, Known]`, optionally: sets that it knows by name, a literal with constant keys;
- `TYPICAL: str`, optionally: the known set whose recipes serve all data of the format.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from hyperplane import discovery
from hyperplane.contracts import Description, Problem, Sniff, Source
from hyperplane.data.blocks import files, pictures
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.fewer import fewer
from hyperplane.data.blocks.files import Known, Remote
from hyperplane.data.blocks.problems import Refusal, expect_no_weights, hint, quote, unreadable, weights_in
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

__all__ = ["Encoded", "Known", "Remote", "check", "encode", "look", "open", "reopen", "sniff"]


def open(recipe: DataRecipe, *, download: bool = False) -> Source:
    """Return the samples that a recipe names.

    An existing path wins over a known set's name. Known sets are looked for under HYPERPLANE_DATA, then in the cache
    (HYPERPLANE_CACHE, else the system's), and fetched into the cache only with `download`.

    Raises UserError where there is no such path or set, no format that reads it, or something wrong with it.
    """
    with _naming(recipe.source):
        module, path = _resolve(recipe, download)
        source = module.open(path, recipe)
        return source if recipe.labels_per_class is None else fewer(source, recipe.labels_per_class, recipe.seed)


def reopen(recipe: DataRecipe, description: Description, listing: dict[Any, Any]) -> Source:
    """Return the samples of an earlier source, which had this description and listing, as far as they can be read.

    Raises UserError where the data are gone, or others are in their place.
    """
    with _naming(recipe.source):
        module, path = _resolve(recipe, download=False)
        return module.reopen(path, description, listing)


def check(recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with the data that a recipe names; empty where nothing is.

    Raises UserError where there is no such path or set, or no format that reads it.
    """
    with _naming(recipe.source):
        module, path = _resolve(recipe, download=False)
        try:
            return module.check(path, recipe)
        except Refusal as refusal:
            return [refusal.problem]


def look(recipe: DataRecipe) -> tuple[str, str]:
    """Return the format that reads what a recipe names, and why.

    Raises UserError where there is no such path or set, or no format that reads it.
    """
    with _naming(recipe.source):
        module, path = _resolve(recipe, download=False, fetched=False)
        name = next(e.name for e in discovery.entries("data").values() if e.module == module.__name__)
        if recipe.format != "auto":
            return name, "asked for"
        return name, f"the known set {recipe.source}" if path is None else module.sniff(path).reason


def windowed(recipe: DataRecipe, like: Description) -> DataRecipe:
    """Return the recipe of other data, with the context of a net trained on what `like` describes, if that is text.

    So a text is refused as too short where it is too short for that net. Raises UserError as `look` does.
    """
    if like.kind != "text":
        return recipe
    known = getattr(discovery.load("data", look(recipe)[0]), "OPTIONS", {})
    context = {"context": like.shapes["token_BT"][0]} if "context" in known else {}
    return replace(recipe, options={**recipe.options, **context})


def sniff(path: Path) -> list[tuple[str, Sniff]]:
    """Return how sure each format is that a path is its own, and why, best first."""
    found: list[tuple[str, Sniff]] = []
    for entry, module in discovery.loaded("data").items():
        try:
            found.append((entry, module.sniff(path)))
        except Exception as error:
            if discovery.entries("data")[entry].origin == discovery.OURS:
                raise
            found.append((entry, Sniff(0.0, f"a third party's, failed ({type(error).__name__})")))
    return sorted(found, key=lambda item: -item[1].score)


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new samples as inputs of a net trained on what `description` describes.

    `inputs`: files (and for pictures, folders), or the bytes from standard input. Nothing is decoded before a batch is
    asked for. Raises UserError for an empty input, and for a file that cannot be read, which it names.
    """
    with _naming("the inputs"):
        return discovery.load("data", description.format).encode(inputs, description)


@contextmanager
def _naming(source: str) -> Iterator[None]:
    """Turn what the system refuses into a UserError that names the path."""
    try:
        yield
    except OSError as error:
        raise unreadable(Path(os.fsdecode(error.filename or source)), error) from error


def _resolve(recipe: DataRecipe, download: bool, fetched: bool = True) -> tuple[ModuleType, Path | None]:
    """Return the format and the path of what a recipe names; the path is None for a set that needs no files.

    A known set's files must be there, or be downloaded, where `fetched`; otherwise its path is left open.
    """
    forced = None if recipe.format == "auto" else discovery.load("data", recipe.format)
    if not recipe.source or "\0" in recipe.source:
        raise UserError("data.source: names nothing, expected a path or a known set; type: hyperplane list data")
    pictures.check_size(recipe.size)
    path = Path(os.path.expanduser(recipe.source))
    run = _exists(path / "recipe.json") and _exists(path / "environment.json")
    if _exists(path) and not (path.is_file() or path.is_dir()):
        raise Refusal(path, "is a pipe or a device, expected a file or a folder", "name one")
    if _exists(path) and not run:
        return forced or _format_of(path), path
    owners = {known: e.name for e in discovery.entries("data").values() for known in e.variants}
    if run and recipe.source not in owners:
        raise UserError(
            f"{recipe.source}: is a run folder, expected data; to go on with the run type: hyperplane train --resume "
            f"{recipe.source}"
        )
    if recipe.source not in owners:
        raise UserError(f"there is no file, folder or known set {quote(recipe.source)}; {hint(recipe.source, owners)}")
    module = discovery.load("data", owners[recipe.source])
    if forced not in (None, module):
        raise UserError(
            f"data.format: found {quote(recipe.format)}, but {recipe.source} is a known set of the format "
            f"'{owners[recipe.source]}'; leave --data.format out"
        )
    known: Known = module.KNOWN[recipe.source]
    if not known.folder or not fetched:
        return forced or module, None
    folder = files.locate(recipe.source, known, lambda held: module.sniff(held).score == 1.0, download)
    return forced or module, folder


def _exists(path: Path) -> bool:
    """Say whether a path leads anywhere; raises OSError where the system will not tell, unlike `Path.exists`."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _format_of(path: Path) -> ModuleType:
    expect_no_weights(path, "data")
    found = sniff(path)
    best, why = found[0]
    if why.score == 0:
        if path.is_dir() and (held := weights_in(path)) is not None:
            expect_no_weights(held, "data")
        said = "; ".join(f"{entry}: {seen.reason}" for entry, seen in found)
        raise Refusal(path, f"is nothing that a data format reads ({said})", "see hyperplane list data")
    return discovery.load("data", best)
