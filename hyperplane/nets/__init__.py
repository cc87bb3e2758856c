"""Nets: one file each, found by file name; a variant is a published form of one, with its options set."""

from __future__ import annotations

import inspect
import typing
from dataclasses import dataclass
from typing import Any

from torch import nn

from hyperplane import discovery
from hyperplane.errors import UserError, nearest
from hyperplane.recipe import parse


@dataclass(frozen=True)
class Option:
    """A keyword-only argument of a net's or a task's constructor."""

    kind: Any
    """Its type."""
    default: Any


def options(constructor: type) -> dict[str, Option]:
    """Return the options that a net or a task takes, by name; raises UserError for one without type or default."""
    hints = typing.get_type_hints(constructor.__init__)
    parameters = inspect.signature(constructor.__init__).parameters.values()
    found = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    for name, parameter in found.items():
        if name not in hints or parameter.default is parameter.empty or name in ("name", "options"):
            raise UserError(
                f"{constructor.__module__}: option '{name}' of {constructor.__name__} needs a type, a default and a "
                "name other than name and options; tell whoever wrote it"
            )
    return {name: Option(hints[name], parameter.default) for name, parameter in found.items()}


def check_options(given: dict[str, Any], constructor: type, where: str) -> dict[str, Any]:
    """Return `given` with its values parsed as the constructor's options; `where` names the owner in errors.

    Raises UserError for an option that does not exist or a value of the wrong type.
    """
    known = options(constructor)
    for name in given:
        if name not in known:
            raise UserError(f"{where}: has no option '{name}'; {nearest(name, known)}")
    return {name: parse(value, known[name].kind, f"{where}.{name}") for name, value in given.items()}


def all_options(constructor: type, given: dict[str, Any], where: str) -> dict[str, Any]:
    """Return every option of a constructor, JSON-able: the given ones checked, the others at their defaults."""
    checked = check_options(given, constructor, where)
    values = {name: checked.get(name, option.default) for name, option in options(constructor).items()}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def usual_shape(name: str) -> tuple[int, ...]:
    """Return the shape of one input that a net or a variant was published for, or that of the net's example."""
    module = discovery.load("nets", name)
    return getattr(module, "SHAPES", {}).get(name, tuple(module.EXAMPLE["shape"]))


def build(name: str, shape: tuple[int, ...], outputs: int, given: dict[str, Any] | None = None) -> nn.Module:
    """Return a new net.

    Arguments: a net's or variant's name; the shape of one input without the batch axis; the number of outputs; options.
    Raises UserError for an unknown net or option, or a shape that the net cannot read.
    """
    if outputs < 1:
        raise UserError(f"net {name}: found {outputs} outputs, expected 1 or more; correct it")
    module = discovery.load("nets", name)
    chosen = {**module.VARIANTS.get(name, {}), **(given or {})}
    return module.NET(shape, outputs, **check_options(chosen, module.NET, f"net {name}"))
