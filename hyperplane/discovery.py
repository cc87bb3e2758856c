"""Nets, data formats, tasks and recipes are found by file name. Listing them imports none of them, and no torch.

A third party adds its own through an entry point of the group `hyperplane.ROOM` (`hyperplane.nets`, `hyperplane.data`,
`hyperplane.tasks`, `hyperplane.recipes`) whose name is the thing's and whose value is the module.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.metadata
import operator
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from hyperplane.errors import UserError, nearest

OURS = "hyperplane"
ROOMS = ("nets", "data", "tasks", "recipes")


HOLDS = {
    "nets": ("NET.ACCEPTS", "VARIANTS", "EXAMPLE"),
    "data": ("sniff", "open", "check", "encode"),
    "tasks": ("fits", "TASK.METRICS"),
    "recipes": (),
    "cli": ("main",),
}
"""What a module of a room must hold; ours are held to it by the contract suite."""


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
    origin: str = OURS
    """The distribution that brings it."""


@cache
def entries(room: str) -> dict[str, Entry]:
    """Return what a room holds, by name, ours first; a third party's thing never hides one of ours."""
    found = {e.name: e for e in _own(room)}
    for point in importlib.metadata.entry_points(group=f"hyperplane.{room}"):
        origin = point.dist.name if point.dist else point.value
        try:
            summary, variants = _describe(_source_of(point))
        except (OSError, SyntaxError, ValueError) as error:
            summary, variants = f"cannot be read ({type(error).__name__})", ()
        found.setdefault(point.name, Entry(point.name, point.value, summary, variants, origin))
    return dict(sorted(found.items(), key=lambda item: (item[1].origin != OURS, item[0])))


def find(room: str, name: str) -> Entry:
    """Return the entry called `name`, or the one that has a variant of that name.

    Raises UserError with the nearest name where there is none.
    """
    held = entries(room)
    if name in held:
        return held[name]
    for entry in held.values():
        if name in entry.variants:
            return entry
    choices = [*held, *(variant for entry in held.values() for variant in entry.variants)]
    raise UserError(f"{room}: there is no '{name}'; {nearest(name, choices)} (hyperplane list {room})")


def load(room: str, name: str) -> ModuleType:
    """Import and return the module of the entry or variant called `name`.

    Raises UserError as `find` does, and where a third party's module cannot be imported.
    """
    entry = find(room, name)
    try:
        module = importlib.import_module(entry.module)
        for dotted in HOLDS[room] if entry.origin != OURS else ():
            operator.attrgetter(dotted)(module)
        return module
    except Exception as error:
        if entry.origin == OURS:
            raise
        told = " ".join(str(error).split())
        raise UserError(
            f"{room}: '{name}' of {entry.origin} cannot be used ({type(error).__name__}: {told}); "
            f"update it, or type: pip uninstall {entry.origin}"
        ) from error


def loaded(room: str) -> dict[str, ModuleType]:
    """Import and return every module of a room by name, ours first, without those of third parties that cannot be."""
    modules = {}
    for name in entries(room):
        with contextlib.suppress(UserError):
            modules[name] = load(room, name)
    return modules


def _own(room: str) -> list[Entry]:
    folder = Path(__file__).parent / room
    files = sorted(f for f in folder.glob("*.py") if not f.stem.startswith("_"))
    return [
        Entry(f.stem.replace("_", "-"), f"hyperplane.{room}.{f.stem}", *_describe(f.read_text("utf-8"))) for f in files
    ]


def _source_of(point: importlib.metadata.EntryPoint) -> str:
    """Return the source of a third party's module; importlib's own search would import the packages above it."""
    place = point.module.replace(".", "/")
    for folder in ([point.dist.locate_file("")] if point.dist else []) + sys.path:
        for file in (Path(str(folder)) / f"{place}.py", Path(str(folder)) / place / "__init__.py"):
            if file.is_file():
                return file.read_text("utf-8")
    return ""


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
