"""Nets, data formats, tasks and recipes are found by file name. Listing them imports none of them, and no torch.

A third party adds its own through an entry point of the group `hyperplane.ROOM` (`hyperplane.nets`, `hyperplane.data`,
`hyperplane.tasks`, `hyperplane.recipes`) whose name is the thing's and whose value is the module.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from hyperplane.errors import UserError, nearest

ROOMS = ("nets", "data", "tasks", "recipes")


@dataclass(frozen=True)
class Entry:
    """One thing that was found, as its source text tells it."""

    name: str
    """What the user types."""
    module: str
    """Where it lives, as a dotted module name."""
    summary: str
    """The first line of its docstring."""
    variants: tuple[str, ...] = ()
    """Keys of its table of published forms (a net's `VARIANTS`), known sets (`KNOWN`), or recipe functions."""
    origin: str = "hyperplane"
    """The distribution that brings it."""


@cache
def entries(room: str) -> dict[str, Entry]:
    """Return what a room holds, by name; a third party's thing never hides one of ours."""
    found = {e.name: e for e in _own(room)}
    for point in importlib.metadata.entry_points(group=f"hyperplane.{room}"):
        origin = point.dist.name if point.dist else point.value
        summary, variants = _describe(_source_of(point.value))
        found.setdefault(point.name, Entry(point.name, point.value, summary, variants, origin))
    return dict(sorted(found.items()))


def find(room: str, name: str) -> Entry:
    """Return the entry called `name`, or the one that has a variant of that name.

    Raises UserError with the nearest name where there is none.
    """
    held = entries(room)
    for entry in held.values():
        if name == entry.name or name in entry.variants:
            return entry
    choices = [*held, *(variant for entry in held.values() for variant in entry.variants)]
    raise UserError(f"{room}: there is no '{name}'; {nearest(name, choices)} (hyperplane list {room})")


def load(room: str, name: str) -> ModuleType:
    """Import and return the module of the entry or variant called `name`; raises UserError as `find` does."""
    return importlib.import_module(find(room, name).module)


def _own(room: str) -> list[Entry]:
    folder = Path(__file__).parent / room
    files = sorted(f for f in folder.glob("*.py") if not f.stem.startswith("_"))
    return [
        Entry(f.stem.replace("_", "-"), f"hyperplane.{room}.{f.stem}", *_describe(f.read_text("utf-8"))) for f in files
    ]


def _source_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).read_text("utf-8") if spec and spec.origin else ""


def _describe(source: str) -> tuple[str, tuple[str, ...]]:
    """Return the first line of a module's docstring, and its variants: a table's keys, else its public functions."""
    tree = ast.parse(source)
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="VARIANTS" | "KNOWN")], value=ast.Dict(keys=keys)):
                return summary, _texts(keys)
            case ast.AnnAssign(target=ast.Name(id="VARIANTS" | "KNOWN"), value=ast.Dict(keys=keys)):
                return summary, _texts(keys)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    recipes = [f.name for f in functions if isinstance(f.returns, ast.Name) and f.returns.id == "Recipe"]
    return summary, tuple(recipes)


def _texts(keys: list[ast.expr | None]) -> tuple[str, ...]:
    return tuple(k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str))
