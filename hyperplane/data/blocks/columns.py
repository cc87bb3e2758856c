"""What the columns of a table are, and how their cells become numbers.

Shape suffixes: N rows, D features.

A number is standardised by the mean and standard deviation of the training rows. Where it is missing, the mean stands
in, and a further feature is 1. A category becomes one feature for each category of the training rows, and a last one
for missing and other. `encoding` holds all of that as JSON-able data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyperplane.contracts import Problem
from hyperplane.data.blocks.problems import Refusal, hint, quote, some
from hyperplane.data.blocks.tables import Cell, Table
from hyperplane.recipe import DataRecipe

TARGET_NAMES = ("target", "label", "class", "y")
COUNTER_NAMES = frozenset({"id", "index", "row", "no", "nr", "#"})
MOST_CLASSES = 20
MOST_CATEGORIES = 256
LARGEST = 1e30


@dataclass(frozen=True)
class Target:
    """The column to predict."""

    name: str
    classes: tuple[str, ...]
    """In the order of their labels; empty where it is a number."""
    value_N: np.ndarray
    """Labels, int64, or numbers, float64; one for each kept row."""
    row_N: np.ndarray
    """The rows that have a target."""


@dataclass(frozen=True)
class Plan:
    """What to learn from a table, and what to predict."""

    target: Target
    numbers: dict[str, np.ndarray]
    """Columns of numbers, float64 over all rows, nan where missing."""
    categories: dict[str, list[Cell]]
    left_out: tuple[str, ...]
    notes: list[str]


def target_name(table: Table, recipe: DataRecipe) -> str:
    """Return the column to predict: the recipe's, else the one named target, label, class or y.

    Raises UserError where there is none.
    """
    if recipe.target is not None:
        if recipe.target in table.names:
            return recipe.target
        raise Refusal(table.where, f"has no column {quote(recipe.target)}", hint(recipe.target, table.names))
    for wanted in TARGET_NAMES:
        for column in table.names:
            if column.lower() == wanted:
                return column
    columns = some(table.names, 12)
    raise Refusal(table.where, f"does not say which column to predict (there is {columns})", "type --data.target NAME")


def plan(table: Table, recipe: DataRecipe, chosen: dict[str, Any], problems: list[Problem]) -> Plan | None:
    """Return what the columns are; None where something is wrong, which is added to `problems`.

    `chosen` holds the options `kind` (class, number or None) and why, `categories` and `leave_out` (names of columns).
    """
    try:
        target_column = target_name(table, recipe)
        for option in ("categories", "leave_out"):
            for column in chosen[option]:
                if column not in table.names:
                    what = f"found {quote(column)}, expected a column"
                    raise Refusal(f"data.options.{option}", what, hint(column, table.names))
    except Refusal as refusal:
        problems.append(refusal.problem)
        return None
    before = len(problems)
    notes = list(table.notes)
    numbers: dict[str, np.ndarray] = {}
    categories: dict[str, list[Cell]] = {}
    left_out: list[str] = []
    for column in table.names:
        if column == target_column:
            continue
        if column in chosen["leave_out"]:
            left_out.append(column)
            continue
        reason = _read_column(table, column, column in chosen["categories"], numbers, categories, problems)
        if reason:
            left_out.append(column)
            notes.append(f"Column {quote(column)} was left out: {reason}.")
    target = _read_target(table, target_column, chosen, notes, problems)
    if not numbers and not categories and len(problems) == before:
        why = "only the target" if len(table.names) == 1 else "no column to learn from beside the target"
        problems.append(Problem(table.where, f"has {why} {quote(target_column)}", "add a column of numbers or text"))
    if target is None or len(problems) > before:
        return None
    for column, value_N in numbers.items():
        _note_missing(table, column, np.flatnonzero(np.isnan(value_N)), notes)
    for column, cells in categories.items():
        _note_missing(table, column, np.flatnonzero([cell is None for cell in cells]), notes)
    return Plan(target, numbers, categories, tuple(left_out), notes)


def fit(plan: Plan, train_N: np.ndarray) -> dict[str, Any]:
    """Return the encoding of a plan's columns, from the rows to train on, and note constant columns."""
    columns: list[dict[str, Any]] = []
    features: list[str] = []
    for column, value_N in plan.numbers.items():
        held = value_N[train_N][~np.isnan(value_N[train_N])]
        mean, std = (float(held.mean()), float(held.std())) if len(held) else (0.0, 0.0)
        if std <= 1e-9 * abs(mean) or std == 0:
            plan.notes.append(f"Column {quote(column)} has the same value {mean:g} in every training row.")
            std = 1.0
        missing = len(held) < len(train_N)
        columns.append({"name": column, "kind": "number", "mean": mean, "std": std, "missing": missing})
        features += [column, f"{column} is missing"] if missing else [column]
    for column, cells in plan.categories.items():
        seen = sorted({cell for cell in (cells[i] for i in train_N) if cell is not None}, key=_order)
        columns.append({"name": column, "kind": "category", "categories": seen})
        features += [f"{column} = {category}" for category in seen] + [f"{column} is missing or other"]
    return {"columns": columns, "features": features, "target": plan.target.name, "left_out": list(plan.left_out)}


def encode(
    numbers: dict[str, np.ndarray], categories: dict[str, list[Cell]], encoding: dict[str, Any], count: int
) -> np.ndarray:
    """Return cells as features, float32 (N, D)."""
    parts: list[np.ndarray] = []
    for column in encoding["columns"]:
        if column["kind"] == "number":
            value_N = numbers[column["name"]]
            lacks_N = np.isnan(value_N)
            parts.append(np.where(lacks_N, 0.0, (value_N - column["mean"]) / column["std"])[:, None])
            if column["missing"]:
                parts.append(lacks_N[:, None].astype(np.float64))
        else:
            place = {category: i for i, category in enumerate(column["categories"])}
            which_N = [place.get(cell or "", len(place)) for cell in categories[column["name"]]]
            part_ND = np.zeros((count, len(place) + 1))
            part_ND[np.arange(count), which_N] = 1.0
            parts.append(part_ND)
    return np.concatenate(parts, axis=1).astype(np.float32)


def encode_new(table: Table, encoding: dict[str, Any], notes: list[str]) -> np.ndarray:
    """Return a new table's rows as features, float32 (N, D), and note what is missing, other or ignored.

    Raises UserError for a column that is lacking, and for a cell that is no number where one is needed.
    """
    columns = encoding["columns"]
    lacking = [column["name"] for column in columns if column["name"] not in table.names]
    if lacking:
        what = f"lacks {some(lacking)}, expected the columns that the net was trained on"
        raise Refusal(table.where, what, f"add or rename them ({hint(lacking[0], table.names)})")
    used = {column["name"] for column in columns}
    extra = [column for column in table.names if column not in used | {encoding["target"], *encoding["left_out"]}]
    if extra:
        notes.append(f"{table.where}: columns that the net was not trained on were ignored: {some(extra)}.")
    numbers: dict[str, np.ndarray] = {}
    categories: dict[str, list[Cell]] = {}
    for column in columns:
        cells, problems = table[column["name"]], []
        if column["kind"] == "number":
            value_N = numbers[column["name"]] = _numbers(table, column["name"], problems)
            lacks_N = np.isnan(value_N)
        else:
            categories[column["name"]] = cells
            other = sorted({cell for cell in cells if cell is not None} - set(column["categories"]))
            if other:
                notes.append(
                    f"{table.where}: column {quote(column['name'])} has values never seen in training: {some(other)}."
                )
            lacks_N = np.array([cell is None for cell in cells])
        if problems:
            raise Refusal(problems[0].where, problems[0].what, problems[0].next)
        _note_missing(table, column["name"], np.flatnonzero(lacks_N), notes)
    return encode(numbers, categories, encoding, len(table))


def number(cell: str) -> float | None:
    """Return the number that a cell holds, which may be nan or infinite; None where it holds none."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _read_column(
    table: Table,
    column: str,
    as_category: bool,
    numbers: dict[str, np.ndarray],
    categories: dict[str, list[Cell]],
    problems: list[Problem],
) -> str | None:
    """Add a column to the numbers or the categories; returns the reason where it is to be left out."""
    cells = table[column]
    held = [cell for cell in cells if cell is not None]
    if not held:
        return "every cell is missing"
    numeric = sum(number(cell) is not None for cell in held)
    if not as_category and (numeric == len(held) or (len(held) >= 10 and numeric >= 0.9 * len(held))):
        value_N = _numbers(table, column, problems)
        whole = len(held) == len(cells) and bool((value_N == np.rint(value_N)).all())
        counts = whole and len(np.unique(value_N)) == len(value_N) > 10
        if counts and (column.lower() in COUNTER_NAMES or re.fullmatch(r"column \d+", column)):
            return "it numbers the rows"
        numbers[column] = value_N
        return None
    different = len(set(held))
    if different > 10 and different > 0.5 * len(held):
        return f"{different} different texts in {len(held)} cells look like names, not categories"
    if different > MOST_CATEGORIES:
        return f"it has {different} categories, more than {MOST_CATEGORIES}"
    categories[column] = cells
    return None


def _numbers(table: Table, column: str, problems: list[Problem]) -> np.ndarray:
    """Return a column's numbers, float64, nan where missing; cells that hold no finite number become problems."""
    value_N = np.full(len(table), np.nan)
    for row, cell in enumerate(table[column]):
        if cell is None:
            continue
        value = number(cell)
        if value is None:
            problems.append(
                Problem(
                    table.at(row, column),
                    f"found {quote(cell)}, expected a number as in the rest of the column",
                    "correct it, leave the cell empty, or list the column in --data.categories",
                )
            )
        elif not abs(value) <= LARGEST:
            problems.append(
                Problem(
                    table.at(row, column),
                    f"found {quote(cell)}, expected a finite number up to {LARGEST:g}",
                    "leave the cell empty if the value is missing",
                )
            )
        else:
            value_N[row] = value
    return value_N


def _read_target(
    table: Table, column: str, chosen: dict[str, Any], notes: list[str], problems: list[Problem]
) -> Target | None:
    cells = table[column]
    row_N = np.array([row for row, cell in enumerate(cells) if cell is not None], np.int64)
    held = [cells[row] or "" for row in row_N]
    if not held:
        problems.append(Problem(table.where, f"has no value at all in target column {quote(column)}", "fill it in"))
        return None
    lost = sorted(set(range(len(table))) - set(row_N.tolist()))
    if lost:
        rows = ", ".join(str(table.lines[row]) for row in lost[:5]) + (" and more" if len(lost) > 5 else "")
        notes.append(f"Rows without a target were left out: {len(lost)} ({table.unit} {rows}).")
    values = [number(cell) for cell in held]
    numeric = [value for value in values if value is not None]
    is_number = len(numeric) == len(held) or (
        len(held) >= 10 and len(numeric) >= 0.9 * len(held) and len(set(held)) > MOST_CLASSES
    )
    kind = chosen["kind"]
    if kind is None:
        kind, why = _target_kind(held, values if is_number else None)
    else:
        why = chosen.get("why", "as --data.kind says")
    if kind == "number":
        before = len(problems)
        value_N = _numbers(table, column, problems)[row_N]
        if len(problems) > before:
            return None
        if len(np.unique(value_N)) == 1:
            what = f"has {quote(held[0])} in every row of target column {quote(column)}, nothing to tell apart"
            problems.append(Problem(table.where, what, "choose another with --data.target NAME"))
            return None
        notes.append(f"Target {quote(column)} is a number: {why}.")
        return Target(column, (), value_N, row_N)
    return _classes(table, column, held, why, row_N, notes, problems)


def _target_kind(held: Sequence[str], values: list[float | None] | None) -> tuple[str, str]:
    """Return class or number, and the rule that decided it."""
    if values is None:
        return "class", "its values are text"
    different = {value for value in values if value is not None}
    if different <= {0.0, 1.0} or different <= {-1.0, 1.0}:
        return "class", "it takes two values"
    if not all(re.fullmatch(r"[+-]?\d+", cell) for cell in held):
        return "number", "its values have decimals"
    if len(different) <= MOST_CLASSES and len(held) >= 5 * len(different):
        return "class", f"it takes {len(different)} whole values; --data.kind number makes it a number"
    return (
        "number",
        f"it takes {len(different)} whole values in {len(held)} rows; --data.kind class makes it classes",
    )


def _classes(
    table: Table, column: str, held: list[str], why: str, row_N: np.ndarray, notes: list[str], problems: list[Problem]
) -> Target | None:
    named = [_class_name(cell) for cell in held]
    classes = sorted(set(named), key=_order)
    if len(classes) == 1:
        what = f"has one class only, {quote(classes[0])}, in target column {quote(column)}, expected two or more"
        problems.append(Problem(table.where, what, "add rows of another class, or choose another --data.target NAME"))
        return None
    if len(classes) > 10 and len(classes) > 0.5 * len(held):
        what = (
            f"has {len(classes)} different texts in {len(held)} rows of target column {quote(column)}, expected classes"
        )
        problems.append(Problem(table.where, what, "choose another with --data.target NAME"))
        return None
    notes.append(f"Target {quote(column)} is a class: {why}.")
    place = {name: i for i, name in enumerate(classes)}
    return Target(column, tuple(classes), np.array([place[name] for name in named], np.int64), row_N)


def _class_name(cell: str) -> str:
    """Return 1 for 1.0 and 1e0, so that a class is one however it is written."""
    value = number(cell)
    return str(int(value)) if value is not None and value.is_integer() and abs(value) < 1e9 else cell


def _order(text: str) -> tuple[bool, float, str]:
    """Sort numbers by value, before texts by letter."""
    value = number(text)
    return (value is None or value != value, value if value is not None and value == value else 0.0, text)


def _note_missing(table: Table, column: str, row_N: np.ndarray, notes: list[str]) -> None:
    if len(row_N):
        rows = ", ".join(str(table.lines[row]) for row in row_N[:5]) + (" and more" if len(row_N) > 5 else "")
        notes.append(f"Missing values in column {quote(column)}: {len(row_N)} ({table.unit} {rows}).")
