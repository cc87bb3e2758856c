"""A recipe's fields as dotted options: --optimizer.learning-rate, and --net.hidden for the net's own options."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import typing
from typing import Annotated, Any

import tyro

from hyperplane import discovery, recipe
from hyperplane.cli.blocks.arguments import parse
from hyperplane.recipe import Recipe

SHORT = {
    "net.name": "--net",
    "net.start": "--from",
    "net.frozen": "--frozen",
    "task.name": "--task",
    "data.target": "--target",
    "data.workers": "--workers",
    "data.skip_bad": "--skip-bad",
    "training.epochs": "--epochs",
    "training.batch": "--batch",
    "hardware.device": "--device",
}
"""Fields that have a short option as well."""

OWNERS = {"data": "format", "net": "name", "task": "name"}
"""Fields of the recipe with `options` of a format, a net or a task, and the field of each that names it."""


METAVARS = {int | None: "INT", float | None: "FLOAT", str | None: "STR"}
"""How help shows the values of fields that may be left open."""


def fields_type(verb: type, base: Recipe) -> type:
    """Return a dataclass with the fields of `verb` and of a recipe, with the values of `base` as defaults.

    The options of the base's net and task are among them, with their own types and defaults.
    """
    rooms = [(f.name, *_field(f, getattr(base, f.name))) for f in dataclasses.fields(Recipe) if f.name != "version"]
    return dataclasses.make_dataclass(verb.__name__, rooms, bases=(verb,), frozen=True, kw_only=True)


def parse_recipe(kind: type, verb: str, arguments: list[str], base: Recipe, description: str) -> tuple[Any, Recipe]:
    """Return the verb's own arguments, and the base recipe with the fields that the user set.

    A switch of the recipe may be on in the base or off, so that it can be turned both ways: --net.frozen and
    --net.no-frozen.
    Raises UserError for an option that does not exist or a value that does not fit.
    """
    found = parse(fields_type(kind, base), verb, arguments, description=description, both_ways=True)
    tree = dataclasses.asdict(base)
    for room in dataclasses.fields(Recipe):
        value = getattr(found, room.name, tree[room.name])
        if not dataclasses.is_dataclass(value):
            tree[room.name] = value
            continue
        for field in dataclasses.fields(value):
            held = getattr(value, field.name)
            if field.name in tree[room.name]:
                tree[room.name][field.name] = held
            elif held != field.default:  # an option that the user set
                tree[room.name]["options"][field.name] = list(held) if isinstance(held, tuple) else held
    return found, recipe.parse(tree, Recipe, "options")


def without_options(arguments: list[str]) -> list[str]:
    """Return the arguments that can be read before format, net and task are known: without their options and --help."""
    kept, skipping = [], False
    for argument in arguments:
        if argument.startswith("--"):
            skipping = _owner(argument) is not None
        if not skipping and argument not in ("--help", "-h"):
            kept.append(argument)
        skipping = skipping and "=" not in argument
    return kept


def owners(arguments: list[str]) -> set[str]:
    """Return whose options the arguments set: those of the data's format, of the net, of the task."""
    return {owner for owner in map(_owner, arguments) if owner is not None}


def _owner(argument: str) -> str | None:
    owner, dot, name = argument.removeprefix("--").partition("=")[0].partition(".")
    if not argument.startswith("--") or not dot or owner not in OWNERS:
        return None
    fields = {f.name for f in dataclasses.fields(_hints(Recipe)[owner])}
    return None if name.removeprefix("no-").replace("-", "_") in fields else owner


def _field(field: dataclasses.Field[Any], value: Any) -> tuple[Any, Any]:
    """Return the type and default of one field of a recipe, as tyro reads them."""
    if not dataclasses.is_dataclass(value):
        hint = Annotated[_hints(Recipe)[field.name], tyro.conf.arg(help=_docs(Recipe)[field.name])]
        return hint, dataclasses.field(default=value)
    kind: type = type(value)
    inner: list[tuple[str, Any, Any]] = []
    for f in dataclasses.fields(kind):
        if f.name == "options" or (field.name, f.name) == ("data", "source"):  # the verb's own
            continue
        short = SHORT.get(f"{field.name}.{f.name}")
        hint, held = _hints(kind)[f.name], getattr(value, f.name)
        about = tyro.conf.arg(help=_docs(kind)[f.name], aliases=[short] if short else None, metavar=METAVARS.get(hint))
        inner.append((f.name, Annotated[hint, about], dataclasses.field(default=held)))
    if field.name in OWNERS and getattr(value, OWNERS[field.name]) not in (None, "auto"):
        inner += _options(field.name, value)
    made = dataclasses.make_dataclass(kind.__name__, inner, frozen=True)
    made.__doc__ = kind.__doc__
    return made, dataclasses.field(default=made())


def _options(owner: str, chosen: Any) -> list[tuple[str, Any, Any]]:
    """Return the options of the format, net or task that a recipe names, with its values as defaults."""
    from hyperplane import nets

    name = getattr(chosen, OWNERS[owner])
    if owner == "data":
        known: dict[str, tuple[Any, Any]] = getattr(discovery.load("data", name), "OPTIONS", {})
        given = chosen.options
    else:
        module = discovery.load(f"{owner}s", name)
        constructor = module.NET if owner == "net" else module.TASK
        known = {n: (option.kind, option.default) for n, option in nets.options(constructor).items()}
        given = {**getattr(module, "VARIANTS", {}).get(name, {}), **chosen.options}
        given = nets.check_options(given, constructor, f"{owner} {name}")
    return [
        (
            option,
            Annotated[kind, tyro.conf.arg(help=f"Option of {name}.")],
            dataclasses.field(default=given.get(option, default)),
        )
        for option, (kind, default) in known.items()
    ]


def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _docs(kind: type) -> dict[str, str]:
    """Return what stands under each field of a dataclass."""
    source = ast.parse(inspect.getsource(kind))
    body = next(node for node in ast.walk(source) if isinstance(node, ast.ClassDef)).body
    docs = {f.name: "" for f in dataclasses.fields(kind)}
    for pair in itertools.pairwise(body):
        match pair:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=text)):
                docs[name] = str(text)
    return docs
