"""Rows of a table as a source: what tables and labelled points share.

Shape suffixes: N rows, B batch, D features, K numbers to predict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Batch, Description, Problem, Split
from hyperplane.data.blocks import columns, splits, tables
from hyperplane.data.blocks.encoded import Encoded, described_alike, described_as, relabelled
from hyperplane.data.blocks.problems import Refusal, name, quote, stop
from hyperplane.data.blocks.tables import Table
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

NO_OPTIONS: dict[str, Any] = {"kind": None, "categories": [], "leave_out": []}


@dataclass(frozen=True)
class RowSource:
    """A table's rows, encoded, in memory."""

    description: Description
    feature_ND: Tensor
    """float32, over all rows."""
    target_N: Tensor
    """Labels, int64 (N,), or numbers, float64 (N, 1), over all rows."""
    splits: dict[Split, Tensor]
    """Which rows each split holds, int64."""
    table: Table

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples: feature_BD and label_B or value_BK; nothing is left to chance."""
        index_B = torch.as_tensor(indices, dtype=torch.int64)
        row_B = self.splits[split][index_B]
        fields = {self.description.input: self.feature_ND[row_B], self.description.target: self.target_N[row_B]}
        return Batch(fields, index_B)

    def read_as(self, like: Description) -> RowSource:
        """Return the same rows with the columns of `like` and their encoding, and targets of their own."""
        description, notes = described_alike(self.description, like), list(self.description.notes)
        feature_ND = torch.from_numpy(columns.encode_new(self.table, description.encoding, notes))
        return replace(self, description=replace(description, notes=tuple(notes)), feature_ND=feature_ND)

    def encoded_as(self, like: Description) -> RowSource:
        """Return the same rows with the columns, their encoding and the labels of `like`."""
        description = described_as(self.description, like)
        target = like.encoding["target"]
        if self.description.encoding["target"] != target:
            what = f"predicts {quote(self.description.encoding['target'])}, but the net was trained on {quote(target)}"
            raise Refusal(self.table.where, what, f"type --data.target {target}")
        read = self.read_as(like)
        target_N = relabelled(self.target_N, self.description, like) if like.classes else self.target_N
        return replace(read, description=replace(description, notes=read.description.notes), target_N=target_N)

    def sample_name(self, split: Split, index: int) -> str:
        """Return the line, or for Parquet the row, that the sample comes from."""
        return f"{self.table.unit} {self.table.lines[self.splits[split][index]]}"

    def show(self, split: Split, index: int) -> dict[str, str]:
        """Return the row's columns and their cells, as they were written."""
        row = int(self.splits[split][index])
        return {column: cells[row] or "" for column, cells in zip(self.table.names, self.table.columns, strict=True)}


@dataclass(frozen=True)
class Labels:
    """What a source of rows is called, and how it is looked at."""

    name: str
    format: str
    kind: Literal["table", "points"]
    hashes: dict[str, str]
    notes: tuple[str, ...] = ()


def source(table: Table, recipe: DataRecipe, labels: Labels, chosen: dict[str, Any] = NO_OPTIONS) -> RowSource:
    """Return a table as a source; raises UserError for the first thing that is wrong with its cells."""
    problems: list[Problem] = []
    plan = columns.plan(table, recipe, chosen, problems)
    stop(problems)
    assert plan is not None
    target = plan.target
    parts = splits.split(recipe, len(target.row_N), target.value_N if target.classes else None, table.where)
    row_N: dict[Split, np.ndarray] = {part: target.row_N[which_N] for part, which_N in parts.items()}
    encoding = columns.fit(plan, row_N["train"])
    feature_ND = columns.encode(plan.numbers, plan.categories, encoding, len(table))
    train_N = target.value_N[parts["train"]]
    target_N = torch.zeros(len(table), dtype=torch.int64)
    if target.classes:
        target_N[target.row_N] = torch.from_numpy(target.value_N)
    else:
        target_N = torch.zeros(len(table), 1, dtype=torch.float64)  # float32 is too coarse for years or prices
        target_N[target.row_N, 0] = torch.from_numpy(target.value_N)
    name_of_target = "label_B" if target.classes else "value_BK"
    label_N: dict[Split, np.ndarray] = {part: target.value_N[which_N] for part, which_N in parts.items()}
    untested = splits.untested(label_N, target.classes) if target.classes else ()
    description = Description(
        name=labels.name,
        format=labels.format,
        kind=labels.kind,
        input="feature_BD",
        target=name_of_target,
        shapes={"feature_BD": (feature_ND.shape[1],), name_of_target: tuple(target_N.shape[1:])},
        splits={part: len(which_N) for part, which_N in parts.items()},
        classes=target.classes,
        class_counts=splits.class_counts(train_N, target.classes) if target.classes else (),
        target_names=() if target.classes else (target.name,),
        target_mean=() if target.classes else (float(train_N.mean()),),
        target_std=() if target.classes else (float(train_N.std()) or 1.0,),
        encoding=encoding,
        hashes=labels.hashes,
        notes=(*plan.notes, *untested, *labels.notes),
    )
    held: dict[Split, Tensor] = {part: torch.from_numpy(row_N[part]) for part in row_N}
    return RowSource(description, torch.from_numpy(feature_ND), target_N, held, table)


def read(path: Path) -> Table:
    """Return the table in a file; raises UserError for the first thing that is wrong with it."""
    problems: list[Problem] = []
    table = tables.read(path, problems)
    stop(problems)
    assert table is not None
    return table


def check(path: Path, recipe: DataRecipe, chosen: dict[str, Any] = NO_OPTIONS) -> list[Problem]:
    """Return everything that is wrong with the table in a file, and with what the recipe asks of it."""
    problems: list[Problem] = []
    table = tables.read(path, problems)
    plan = columns.plan(table, recipe, chosen, problems) if table is not None else None
    if plan is not None and table is not None:
        labels = plan.target.value_N if plan.target.classes else None
        try:
            splits.split(recipe, len(plan.target.row_N), labels, table.where)
        except Refusal as refusal:
            problems.append(refusal.problem)
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new rows as inputs of a net trained on what `description` describes.

    `inputs`: CSV, TSV or Parquet files, or the bytes of a CSV text; each with the header trained on, the target
    optional. Raises UserError for a file that cannot be read or lacks a column.
    """
    places = [inputs] if isinstance(inputs, bytes) else list(inputs)
    if not places:
        raise UserError("the inputs: there is none, expected CSV, TSV or Parquet files; name one")
    held: list[Table] = []
    features: list[np.ndarray] = []
    names: list[str] = []
    notes: list[str] = []
    for place in places:
        if isinstance(place, Path) and place.is_dir():
            raise Refusal(place, "is a folder, expected a CSV, TSV or Parquet file", "name the files in it")
        problems: list[Problem] = []
        table = tables.read(place, problems)
        stop(problems)
        assert table is not None
        features.append(columns.encode_new(table, description.encoding, notes))
        called = name(place) if isinstance(place, Path) else "stdin"
        names += [f"{called} {table.unit} {line}" for line in table.lines]
        held.append(table)
    feature_BD = torch.from_numpy(np.concatenate(features))

    def show(index: int) -> dict[str, str]:
        for table in held:
            if index < len(table):
                return {c: cells[index] or "" for c, cells in zip(table.names, table.columns, strict=True)}
            index -= len(table)
        raise IndexError(index)

    def read_some(first: int, last: int) -> Batch:
        return Batch({description.input: feature_BD[first:last]}, torch.arange(first, last))

    return Encoded(tuple(names), tuple(notes), read_some, show)
