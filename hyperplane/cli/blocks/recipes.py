"""A recipe's fields as dotted options: --optimizer.learning-rate, and --net.hidden for the options of the net at hand."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import typing
from typing import Annotated, Any

import tyro

from hyperplane import discovery, recipe
from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe

SHORT = {
    "net.name": "--net",
    "task.name": "--task",
    "data.target": "--target",
    "data.workers": "--workers",
    "data.skip_bad": "--skip-bad",
    "training.epochs": "--epochs",
    "training.batch": "--batch",
    "hardware.device": "--device",
}
"""Fields that have a short option as well."""

OPTION_OWNERS = ("net", "task")
"""Fields of the recipe whose `options` are those of the net or the task that they name."""


def fields_type(verb: type, base: Recipe) -> type:
    """Return a dataclass with the fields of `verb` and of a recipe, with the values of `base` as defaults.

    The options of the base's net and task are among them, with their own types and defaults.
    """
    rooms = [(f.name, *_field("", f, getattr(base, f.name), base)) for f in dataclasses.fields(Recipe) if f.name != "version"]
    return dataclasses.make_dataclass(verb.__name__, rooms, bases=(verb,), frozen=True, kw_only=True)


def parse_recipe(kind: type, verb: str, arguments: list[str], base: Recipe, description: str) -> tuple[Any, Recipe]:
    """Return the verb's own arguments, and the base recipe with the fields that the user set.

    Raises UserError for an option that does not exist or a value that does not fit.
    """
    combined = fields_type(kind, base)
    try:
        found = parse(combined, verb, arguments, description=description)
    except UserError as error:
        for owner in OPTION_OWNERS:
            if f"--{owner}." in str(error) and getattr(base, owner).name is None:
                raise UserError(f"{error}; the options of a {owner} need its name: --{owner} NAME") from None
        raise
    tree = dataclasses.asdict(base)
    for room in dataclasses.fields(Recipe):
        value = getattr(found, room.name, tree[room.name])
        if not dataclasses.is_dataclass(value):
            tree[room.name] = value
            continue
        for field in dataclasses.fields(value):
            held = getattr(value, field.name)
            held = list(held) if isinstance(held, tuple) else held
            if field.name in tree[room.name]:
                tree[room.name][field.name] = held
            else:
                tree[room.name]["options"][field.name] = held
    return found, recipe.parse(tree, Recipe, "options")


def without_options(arguments: list[str]) -> list[str]:
    """Return the arguments without the options of nets and tasks and without --help: what can be read before these are known."""
    kept, skipping = [], False
    for argument in arguments:
        if argument.startswith("--"):
            owner, _, name = argument[2:].partition("=")[0].partition(".")
            skipping = owner in OPTION_OWNERS and name not in ("", "name")
        if not skipping and argument not in ("--help", "-h"):
            kept.append(argument)
    return kept


def _field(prefix: str, field: dataclasses.Field[Any], value: Any, base: Recipe) -> tuple[Any, Any]:
    """Return the type and default of one field of a recipe, as tyro reads them."""
    if not dataclasses.is_dataclass(value):
        hint = Annotated[_hints(Recipe)[field.name], tyro.conf.arg(help=_docs(Recipe)[field.name])]
        return hint, dataclasses.field(default=value)
    kind = type(value)
    inner: list[tuple[str, Any, Any]] = []
    for f in dataclasses.fields(kind):
        if f.name == "options" or (field.name, f.name) == ("data", "source"):  # the verb's own
            continue
        short = SHORT.get(f"{field.name}.{f.name}")
        about = tyro.conf.arg(help=_docs(kind)[f.name], aliases=[short] if short else None)
        inner.append((f.name, Annotated[_hints(kind)[f.name], about], dataclasses.field(default=getattr(value, f.name))))
    if field.name in OPTION_OWNERS and value.name is not None:
        inner += _options(field.name, value)
    made = dataclasses.make_dataclass(kind.__name__, inner, frozen=True)
    made.__doc__ = kind.__doc__
    return made, dataclasses.field(default=made())


def _options(owner: str, chosen: Any) -> list[tuple[str, Any, Any]]:
    """Return the options of the net or task that a recipe names, with its values as defaults."""
    from hyperplane import nets

    room = f"{owner}s"
    module = discovery.load(room, chosen.name)
    constructor = module.NET if owner == "net" else module.TASK
    given = {**getattr(module, "VARIANTS", {}).get(chosen.name, {}), **chosen.options}
    given = nets.check_options(given, constructor, f"{owner} {chosen.name}")
    return [
        (
            name,
            Annotated[option.kind, tyro.conf.arg(help=f"Option of {chosen.name}.")],
            dataclasses.field(default=given.get(name, option.default)),
        )
        for name, option in nets.options(constructor).items()
    ]


def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _docs(kind: type) -> dict[str, str]:
    """Return what stands under each field of a dataclass."""
    body = next(n for n in ast.parse(inspect.getsource(inspect.getmodule(kind))).body  # pyright: ignore[reportArgumentType]
                if isinstance(n, ast.ClassDef) and n.name == kind.__name__).body
    docs = {f.name: "" for f in dataclasses.fields(kind)}
    for node, after in zip(body, body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            if isinstance(after.value, ast.Constant):
                docs[node.target.id] = str(after.value.value)
    return docs
