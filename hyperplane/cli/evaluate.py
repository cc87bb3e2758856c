"""Measure a trained net on its held-out samples, or on other labelled data."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from hyperplane.cli.blocks.arguments import parse


@dataclass(frozen=True)
class Evaluate:
    """What is measured."""

    run: tyro.conf.Positional[Path]
    """A run folder."""
    data: str | None = None
    """Other labelled data of the same kind: a path or a known set."""
    split: Literal["train", "validation", "test"] | None = None
    """Which samples; the test split where there is one, if left out."""
    json: bool = False
    """Write one JSON object to standard output."""
    download: bool = False
    """Fetch a known set that is not here, and check its hash."""


def main(arguments: list[str]) -> int:
    """Evaluate, and return the exit status."""
    asked = parse(Evaluate, "evaluate", arguments, description=__doc__ or "")

    from rich.console import Console

    from hyperplane import predict
    from hyperplane.cli.blocks.screen import metrics_table, write_line
    from hyperplane.runs.records import finite

    found = predict.evaluate(predict.load(asked.run), asked.split, asked.data, asked.download)
    if asked.json:
        metrics = {name: dataclasses.asdict(m) for name, m in found.metrics.items()}
        write_line(json.dumps(finite({"split": found.split, "samples": found.samples, "metrics": metrics})))
    else:
        where = asked.run if asked.data is None else f"{asked.run} on {asked.data}"
        split = "labelled" if asked.data is not None and found.split == "train" != asked.split else found.split
        Console(highlight=False, markup=False).print(
            metrics_table(
                found.metrics, found.kinds, f"{where}: {found.samples:,} {split} sample{'s' * (found.samples != 1)}"
            )
        )
    return 0
