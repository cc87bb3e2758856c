"""The run folder: where each piece of a run lies, read strictly and written atomically."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hyperplane.contracts import Description
from hyperplane.data.blocks.problems import weights_in
from hyperplane.errors import UserError, nearest
from hyperplane.recipe import Recipe, parse, to_json
from hyperplane.runs import atomic
from hyperplane.runs.records import VERSION, Environment, Explained, Manifest, Outcome, Result, Wrong, finite

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_UPGRADE = "type: pip install --upgrade hyperplane"
_PICKLES = ("model.pt", "model.pth", "model.pkl", "model.bin", "model.ckpt")
_STEP = {"step", "epoch", "loss", "learning_rate", "seconds"}
_VALIDATION = {"step", "epoch", "loss"}


class RunFolder:
    """One run on disk. Holds nothing but its path: every read looks at the files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    name = property(lambda self: self.path.resolve().name, doc="The run's name.")
    recipe = property(lambda self: self.path / "recipe.json", doc="What was trained.")
    environment = property(lambda self: self.path / "environment.json", doc="Where and with what.")
    data = property(lambda self: self.path / "data.json", doc="What the data hold.")
    listing = property(lambda self: self.path / "listing.json", doc="The files of each split, where they may break.")
    metrics = property(lambda self: self.path / "metrics.jsonl", doc="What happened, one record a line.")
    model = property(lambda self: self.path / "model.safetensors", doc="The weights that were kept.")
    plots = property(lambda self: self.path / "plots", doc="Figures, and pictures of the most wrong samples.")
    outcome = property(lambda self: self.path / "outcome.json", doc="How a fit to the whole training split ended.")
    worst = property(lambda self: self.path / "plots" / "worst.json", doc="The most wrong samples.")
    report = property(lambda self: self.path / "report.html", doc="All of it for people, in one file.")
    checkpoint = property(
        lambda self: self.path / "checkpoint", doc="What a resumed run starts from; the engine's own."
    )
    history = property(lambda self: self.path / "history", doc="Weights at some steps; the engine's own.")
    explained = property(lambda self: self.path / "explain", doc="Pictures of what the net learned.")
    manifest = property(lambda self: self.path / "manifest.json", doc="Hash of each file; written last.")

    def evaluation(self, split: str = "test") -> Path:
        """Return where the statistics of each sample of a split lie."""
        return self.path / "evaluation" / f"{split}.safetensors"

    @property
    def resume(self) -> str:
        """What to type to go on with this run."""
        return f"type: hyperplane train --resume {self.path}"

    # Life

    @classmethod
    def create(cls, path: str | Path, overwrite: bool = False) -> RunFolder:
        """Make an empty run folder; `overwrite` empties one that holds a run, and never any other folder.

        Raises UserError where something is in the way.
        """
        folder = cls(path)
        folder.expect_free(overwrite)
        with atomic.explained(folder.path):
            if folder.path.is_dir():
                folder._empty()
            folder.path.mkdir(parents=True, exist_ok=True)
        return folder

    def expect_free(self, overwrite: bool = False) -> None:
        """Check that a run may be put here; raises UserError where something is in the way."""
        path = self.path
        there = next((place for place in (path, *path.parents) if place.exists()), path)
        if not there.is_dir():
            raise UserError(f"{path}: {there} is a file, expected a new folder; choose another name with --name")
        if path.is_dir() and any(not child.name.endswith(".part") for child in path.iterdir()):
            if not _holds_recipe(self.recipe):
                raise UserError(
                    f"{path}: is not empty and holds no run, so it is left alone; choose another name with --name"
                )
            if not overwrite:
                raise UserError(f"{path}: holds a run; to go on with it {self.resume}; to replace it add --overwrite")

    def remove(self) -> None:
        """Delete the run; where its folder may not go, as a link may not, that is left empty."""
        with atomic.explained(self.path):
            self._empty()
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _empty(self) -> None:
        """Delete everything inside, manifest first and recipe last: cut short, it is still an unfinished run."""
        order = {self.manifest.name: 0, self.recipe.name: 2}
        for child in sorted(self.path.iterdir(), key=lambda child: order.get(child.name, 1)):
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child)
            else:
                child.unlink()

    def finish(self) -> None:
        """Write the manifest: the run is complete. Raises UserError where a piece is missing."""
        files = [self.recipe, self.data, self.environment, self.metrics, self.model]
        files += [file for file in (self.outcome, self.listing) if file.is_file()]
        files += sorted(self.evaluation().parent.glob("*.safetensors"))
        found = Manifest({file.relative_to(self.path).as_posix(): _sha256(file) for file in files})
        self._write(self.manifest, dataclasses.asdict(found))

    def verify(self) -> None:
        """Check that this is a whole run that this version can read, without running anything that it holds.

        Raises UserError where it is none: missing, unfinished, damaged, newer, or a pickle.
        """
        self._expect_run()
        self._expect_no_pickle()
        self.read_recipe()
        if not self.manifest.is_file():
            raise UserError(f"{self.path}: is unfinished, it has no manifest.json; to finish it {self.resume}")
        listed = _read(self.manifest, Manifest).files
        for file in (self.recipe, self.data, self.environment, self.metrics, self.model):
            if file.name not in listed:
                raise UserError(f"{self.manifest}: does not list {file.name}; copy the folder again from where it came")
        for name, expected in listed.items():
            if _sha256(self.inside(name)) != expected:
                raise UserError(
                    f"{self.path / name}: is damaged, its hash is not the one in manifest.json; "
                    "copy it again from where it came, or train again with --overwrite"
                )
        self.read_description()
        self.read_environment()
        self.read_metrics()

    def read_unfinished(self) -> Recipe:
        """Return the recipe of a run that was begun; raises UserError where this is none, or a newer version's."""
        self._expect_run()
        return self.read_recipe()

    def _expect_run(self) -> None:
        if not self.path.exists():
            parent = self.path.parent
            siblings = [f.parent.name for f in parent.glob("*/recipe.json")] if parent.is_dir() else []
            raise UserError(f"{self.path}: there is no such run folder; {nearest(self.path.name, siblings)}")
        if self.path.is_file():
            if _begins_as_pickle(_read_bytes(self.path, 16)):
                raise _pickle_found(self.path)
            raise UserError(
                f"{self.path}: is a file, expected a run folder; for weights type: hyperplane import {self.path}"
            )
        if not self.recipe.is_file():
            held = weights_in(self.path)
            make = f", or to make one of its weights type: hyperplane import {shlex.quote(str(held))}" if held else ""
            raise UserError(
                f"{self.path}: is not a run folder, it has no recipe.json; name one that hyperplane train wrote{make}"
            )

    def _expect_no_pickle(self) -> None:
        if self.model.is_file():
            _expect_safetensors(self.model)
            return
        for name in _PICKLES:
            if (self.path / name).is_file():
                raise _pickle_found(self.path / name)

    def inside(self, relative: str) -> Path:
        """Return the file at a path that a file of this folder names.

        Raises UserError where it leads out of the folder: absolute, through `..`, or through a link.
        """
        name = PurePosixPath(relative)
        plain = bool(relative) and relative.isprintable() and not name.is_absolute() and ".." not in name.parts
        if not plain or not (self.path / relative).resolve().is_relative_to(self.path.resolve()):
            raise UserError(
                f"{self.path}: names {relative!r}, which lies outside of it; copy it again from where it came"
            )
        return self.path / relative

    # Pieces

    def read_recipe(self) -> Recipe:
        """Return the recipe; raises UserError where it is not one."""
        return _read(self.recipe, Recipe)

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe."""
        atomic.write_text(self.recipe, to_json(recipe), self.resume)

    def read_description(self) -> Description:
        """Return what the data hold; raises UserError where it is not that."""
        return _read(self.data, Description)

    def write_description(self, description: Description) -> None:
        """Write what the data hold."""
        self._write(self.data, {"version": VERSION, **dataclasses.asdict(description)})

    def read_listing(self) -> dict[str, tuple[tuple[str, int, int], ...]]:
        """Return by split each file, its label and its size in bytes; raises UserError where it is not that."""
        return parse(_load(self.listing), dict[str, tuple[tuple[str, int, int], ...]], str(self.listing))

    def write_listing(self, listing: Mapping[Any, Any]) -> None:
        """Write by split each file, its label and its size in bytes."""
        atomic.write_text(self.listing, json.dumps(listing) + "\n", self.resume)

    def read_environment(self) -> Environment:
        """Return where and with what the run was trained; raises UserError where it is not that."""
        return _read(self.environment, Environment)

    def write_environment(self, environment: Environment) -> None:
        """Write where and with what the run is trained."""
        self._write(self.environment, dataclasses.asdict(environment))

    def read_worst(self) -> list[Wrong]:
        """Return the most wrong samples, worst first; none where the run kept none."""
        if not self.worst.is_file():
            return []
        return list(parse(_load(self.worst), tuple[Wrong, ...], str(self.worst)))

    def write_worst(self, samples: Sequence[Wrong]) -> None:
        """Write the most wrong samples, worst first; their pictures are the caller's."""
        self.plots.mkdir(exist_ok=True)
        self._write(self.worst, [dataclasses.asdict(sample) for sample in samples])

    def read_explained(self) -> list[Explained]:
        """Return the pictures of what the net learned, in order; none where none were drawn."""
        listed = self.explained / "figures.json"
        return list(parse(_load(listed), tuple[Explained, ...], str(listed))) if listed.is_file() else []

    def write_explained(self, pictures: Sequence[Explained]) -> None:
        """Write which pictures of what the net learned there are; the pictures are the caller's."""
        self._write(self.explained / "figures.json", [dataclasses.asdict(picture) for picture in pictures])

    def read_outcome(self) -> Outcome | None:
        """Return how a fit to the whole training split ended; None for a run that was trained batch by batch."""
        return _read(self.outcome, Outcome) if self.outcome.is_file() else None

    def write_outcome(self, outcome: Outcome) -> None:
        """Write how a fit to the whole training split ended."""
        self._write(self.outcome, dataclasses.asdict(outcome))

    def _write(self, path: Path, tree: Any) -> None:
        atomic.write_text(path, json.dumps(finite(tree), indent=2, allow_nan=False) + "\n", self.resume)

    # Metrics

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add one record, of a kind step, validation or result; a number that is not finite becomes null."""
        line = (json.dumps(finite(dict(record)), allow_nan=False) + "\n").encode()
        with atomic.explained(self.metrics, self.resume), self.metrics.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                while line:
                    line = line[file.write(line) :]
            except OSError:
                file.truncate(size)
                raise

    def truncate_metrics(self, step: int) -> None:
        """Forget what happened after `step`, the result, and a half-written last line, for a resumed run."""
        kept = [r for r in self.read_metrics() if r["kind"] != "result" and r["step"] <= step]
        lines = (json.dumps(finite(record), allow_nan=False) + "\n" for record in kept)
        atomic.write_text(self.metrics, "".join(lines), self.resume)

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the records in order, null as NaN; a last line that is still being written is left out.

        Raises UserError, with the line, for one that is not a record.
        """
        if not self.metrics.is_file():
            return []
        lines = _read_bytes(self.metrics).split(b"\n")[:-1]
        return [_record(line, f"{self.metrics}:{number}") for number, line in enumerate(lines, 1)]

    def read_result(self) -> Result | None:
        """Return how good the run's net is, or None before it was measured."""
        results = [record for record in self.read_metrics() if record["kind"] == "result"]
        return _result(results[-1], str(self.metrics)) if results else None

    # Tensors

    def write_model(self, state: Mapping[str, Tensor]) -> None:
        """Write the weights by name."""
        self._write_tensors(self.model, state)

    def read_model(self) -> dict[str, Tensor]:
        """Return the weights by name, on the CPU; raises UserError where the file is not safetensors."""
        import safetensors.torch

        return _tensors(self.model, safetensors.torch.load_file)

    def write_evaluation(self, statistics: Mapping[str, Tensor], split: str = "test") -> None:
        """Write the statistics of each sample of a split, batch first."""
        self.evaluation(split).parent.mkdir(exist_ok=True)
        self._write_tensors(self.evaluation(split), statistics)

    def read_evaluation(self, split: str = "test") -> dict[str, np.ndarray]:
        """Return the statistics of each sample of a split; raises UserError where there are none."""
        import safetensors.numpy

        return _tensors(self.evaluation(split), safetensors.numpy.load_file)

    def _write_tensors(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        import safetensors.torch

        alone = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
        atomic.write_bytes(path, safetensors.torch.save(alone), self.resume)


def _holds_recipe(path: Path) -> bool:
    """Say whether a file is a recipe of ours, however old, new or altered."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"data", "task", "net", "training"} <= found.keys()


def _read_bytes(path: Path, most: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except FileNotFoundError as error:
        raise UserError(f"{path}: is missing; copy the folder again from where it came") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it a readable file") from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(_read_bytes(path)).hexdigest()


def _load(path: Path) -> Any:
    try:
        return json.loads(_read_bytes(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: is not JSON ({error}); copy it again from where it came") from error


def _read(path: Path, kind: Any) -> Any:
    """Return the dataclass that a versioned JSON file holds."""
    tree = _load(path)
    if isinstance(tree, dict):
        version = tree.get("version", VERSION)
        if isinstance(version, int) and version > VERSION:
            raise UserError(f"{path}: has version {version}, this hyperplane reads up to {VERSION}; {_UPGRADE}")
        if kind is Description:
            parse(tree.pop("version", VERSION), int, f"{path}.version")
    return parse(tree, kind, str(path))


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: is not JSON ({error}); copy it again from where it came") from error
    if not isinstance(record, dict) or record.get("kind") not in ("step", "validation", "result"):
        raise UserError(f"{where}: is not a record, expected a kind of step, validation or result; copy it again")
    record = _with_nan(record)
    if record["kind"] == "result":
        _result(record, where)
        return record
    needed = _STEP if record["kind"] == "step" else _VALIDATION
    numbers = {name: value for name, value in record.items() if name != "kind"}
    for name in sorted(needed - numbers.keys()):
        raise UserError(f"{where}: lacks the field '{name}', which a {record['kind']} needs; copy it again")
    for name in numbers.keys() - needed if needed is _STEP else ():
        raise UserError(f"{where}: has no field '{name}'; {nearest(name, needed)}")
    for name, value in numbers.items():
        parse(value, int if name == "step" else float, f"{where}.{name}")
    return record


def _result(record: dict[str, Any], where: str) -> Result:
    return parse({name: value for name, value in record.items() if name != "kind"}, Result, where)


def _expect_safetensors(path: Path) -> None:
    """Refuse a pickle under a safetensors name by its first bytes: a safetensors file has `{` after its first eight."""
    head = _read_bytes(path, 16)
    if head[8:9] == b"{":
        return
    if _begins_as_pickle(head):
        raise _pickle_found(path)
    raise UserError(f"{path}: is damaged, it does not begin as safetensors; copy it again from where it came")


def _begins_as_pickle(head: bytes) -> bool:
    return (
        head[:4] == b"PK\x03\x04"
        or (head[:1] == b"\x80" and head[1:2] <= b"\x05")
        or head[:1] in (b"(", b"c", b"]", b"}")
    )


def _pickle_found(path: Path) -> UserError:
    return UserError(
        f"{path}: is a pickle, which can run code when read; to read its tensors alone, type: hyperplane import "
        f"{shlex.quote(str(path))}"
    )


def _tensors(path: Path, load: Any) -> Any:
    from safetensors import SafetensorError

    if not path.is_file():
        raise UserError(f"{path}: is missing; copy it again from where it came")
    _expect_safetensors(path)
    try:
        return load(path)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: is damaged ({error}); copy it again from where it came") from error


def _with_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_nan(v) for name, v in value.items()}
    return math.nan if value is None else value
