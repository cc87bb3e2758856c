"""Tables as CSV, TSV or Parquet: a target column, and columns of numbers and categories to predict it from.

The separator (comma, semicolon, tab or bar) is found from the header. The target is the recipe's, else the column named
target, label, class or y. It is a class where its values are text, or take two values 0 and 1 or -1 and 1, or are at
most 20 different whole numbers with at least five rows each on average; else it is a number. The notes say which rule
decided. Options: `kind` (class or number) forces it; `categories` and `leave_out` are lists of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hyperplane.contracts import Description, Problem, Sniff
from hyperplane.data.blocks import files, rows, tables
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.problems import options
from hyperplane.recipe import DataRecipe

OPTIONS: dict[str, tuple[Any, Any]] = {
    "kind": (Literal["class", "number"] | None, None),
    "categories": (tuple[str, ...], ()),
    "leave_out": (tuple[str, ...], ()),
}


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path is a table, and why."""
    if not path.is_file():
        return Sniff(0.0, "is not a file")
    if tables.has_parquet_magic(path):
        return Sniff(0.9, "a file that starts as Parquet does")
    suffix = path.suffix.lower()
    seen = tables.peek(path)
    if suffix in tables.SUFFIXES:
        return Sniff(
            0.9 if seen else 0.5,
            f"a file named {suffix}"
            + (f" with {len(seen.names)} column{'s' * (len(seen.names) != 1)}" if seen else ""),
        )
    if seen and len(seen.names) > 1 and len(seen):
        return Sniff(0.5, f"text with {len(seen.names)} columns")
    return Sniff(0.0, "is no text with columns")


def open(path: Path, recipe: DataRecipe) -> rows.RowSource:
    """Return the table as a source: feature_BD, and label_B or value_BK; raises UserError for what is wrong with it."""
    chosen = options(recipe.options, OPTIONS)
    table = rows.read(path)
    labels = rows.Labels(path.name, "table", "table", {path.name: files.sha256(path)})
    return rows.source(table, recipe, labels, chosen)


def check(path: Path, recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with the table."""
    return rows.check(path, recipe, options(recipe.options, OPTIONS))


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new rows as inputs of a net trained on a table: CSV, TSV or Parquet files, or the bytes of a CSV text."""
    return rows.encode(inputs, description)
