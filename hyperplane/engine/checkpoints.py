"""Checkpoints: the whole state of a run at a step, written so that a kill at any moment loses none of it.

Tensors go to a new file; the manifest, replaced last and at once, names it with its SHA-256. Until then the one before
holds. Nothing but safetensors and JSON is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import safetensors.torch
from torch import Tensor

from hyperplane.errors import UserError
from hyperplane.recipe import Recipe, parse, to_json
from hyperplane.runs.atomic import write_bytes, write_text

MANIFEST = "manifest.json"


class State(Protocol):
    """What every loop's state tells a checkpoint; a dataclass."""

    recipe: str
    """The recipe's `digest`."""


S = TypeVar("S", bound=State)


def save(folder: Path, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    """Write a checkpoint: named tensors, and JSON-able state with the `step`; raises UserError on a full disk."""
    folder.mkdir(exist_ok=True)
    name = f"step-{state['step']:09d}.safetensors"
    data = safetensors.torch.save({n: t.detach().cpu().contiguous() for n, t in tensors.items()})
    write_bytes(folder / name, data)
    manifest = {"tensors": name, "sha256": hashlib.sha256(data).hexdigest(), "state": state}
    write_text(folder / MANIFEST, json.dumps(manifest))
    for old in folder.iterdir():
        if old.name not in (name, MANIFEST):
            old.unlink()


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the tensors and the state of the last checkpoint, or None where none was written.

    Raises UserError for a damaged one.
    """
    if not (folder / MANIFEST).exists():
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        name, digest, state = manifest["tensors"], manifest["sha256"], manifest["state"]
        data = (folder / Path(name).name).read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"{name} is not what its manifest says")
        return safetensors.torch.load(data), state
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise UserError(f"{folder}: is damaged ({error}); start again with --overwrite") from error


@contextmanager
def fitting(folder: Path) -> Iterator[None]:
    """Turn what breaks while a checkpoint's tensors are put back, since they are of other shapes, into a UserError."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        told = " ".join(str(error).split())[:160]
        raise UserError(f"{folder}: does not fit its recipe ({told}); start again with --overwrite") from error


def digest(recipe: Recipe) -> str:
    """Return a recipe's SHA-256, by which a checkpoint knows the recipe that it belongs to.

    Whether bad files are left out does not count: a run that began without may go on so.
    """
    return hashlib.sha256(to_json(replace(recipe, data=replace(recipe.data, skip_bad=False))).encode()).hexdigest()


def resume(folder: Path, state: S) -> tuple[dict[str, Tensor], S] | None:
    """Return the tensors and the state of the last checkpoint, as a state like the given one, of the same recipe.

    Raises UserError for a damaged one, or another recipe's; None where none was written.
    """
    found = load(folder)
    if found is None:
        return None
    held: S = parse(found[1], type(state), str(folder))
    if held.recipe != state.recipe:
        raise UserError(f"{folder}: was begun with another recipe; put it back, or start again with --overwrite")
    return found[0], held
