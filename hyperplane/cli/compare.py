"""Put runs side by side: metrics, recipes, whether the difference is more than chance; or networks of roads."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

if TYPE_CHECKING:
    from hyperplane.runs.compare import Paired


@dataclass(frozen=True)
class Compare:
    """Which runs."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Two or more run folders; the others are compared with the first. Or files of networks (GeoJSON, WKT, CSV), of
    which the first is the truth."""
    picture: str | None = None
    """Which of several pictures' networks in a CSV file."""
    raster: Path | None = None
    """A GeoTIFF, in whose pixels networks are that do not say where they lie."""
    json: bool = False
    """Write one JSON object to standard output."""


def main(arguments: list[str]) -> int:
    """Compare, and return the exit status."""
    asked = parse(Compare, "compare", arguments, description=__doc__ or "")

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from hyperplane import discovery
    from hyperplane.cli.blocks.screen import shown, write_line
    from hyperplane.contracts import Metric
    from hyperplane.data.blocks import graph_files
    from hyperplane.runs.compare import compare
    from hyperplane.runs.folder import RunFolder

    elsewhere = [name for name in ("picture", "raster") if getattr(asked, name) is not None]
    if any(path.is_file() and path.suffix.lower() in graph_files.READ for path in asked.runs):
        return _networks(asked)
    if elsewhere:
        raise UserError(f"compare: found --{elsewhere[0]}, which is for files of networks; name some, or leave it out")
    found = compare(asked.runs)
    if asked.json:
        write_line(json.dumps(found.to_json()))
        return 0
    kinds: dict[str, Metric] = {}
    for path in asked.runs:
        task = RunFolder(path).read_recipe().task.name
        kinds |= {m.name: m for m in (discovery.load("tasks", task).TASK.METRICS if task else ())}
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for run in found.runs:
        table.add_column(run.name, justify="right")
    for kind in kinds.values():
        values = [run.metrics.get(kind.name) for run in found.runs]
        plain = kind if kind.unit == "%" else replace(kind, unit="")
        table.add_row(kind.name.replace("_", " "), *(shown(m.value, kind) if m else "" for m in values))
        intervals = (
            "" if not m else "–" if math.isnan(m.low) else f"{shown(m.low, plain)} – {shown(m.high, plain)}"
            for m in values
        )
        table.add_row("  95% interval", *intervals, style="dim")
    table.add_row("measured on", *(run.measured_on or "" for run in found.runs))
    table.add_row("parameters", *(f"{run.parameters:,}" if run.parameters else "" for run in found.runs))
    table.add_row("steps", *(f"{run.steps:,}" if run.steps else "" for run in found.runs))
    table.add_row("training", *(f"{run.seconds:.1f} s" if run.seconds else "" for run in found.runs))
    for field, values in found.differing.items():
        table.add_row(Text(field, style="dim"), *("" if v is None else str(v) for v in values))
    say = Console(highlight=False, markup=False).print
    say(table)
    for paired in found.paired:
        say(f"\n{_in_words(paired)}")
    return 0


def _networks(asked: Compare) -> int:
    """Compare networks with the first of them, and return the exit status."""
    from rich.console import Console
    from rich.table import Table

    from hyperplane.cli.blocks.screen import write_line
    from hyperplane.predict.networks import compare

    found = compare(asked.runs, asked.picture, asked.raster)
    if asked.json:
        write_line(json.dumps(found.to_json()))
        return 0
    others = found.networks[1:]
    table = Table(box=None, pad_edge=False)
    for column in ("", "truth", *(Path(one.file).name for one in others)):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("APLS", "", *(f"{one.apls:.2%}" for one in others))
    table.add_row("  the truth's ways on it", "", *(f"{one.truth_on_it:.2%}" for one in others), style="dim")
    table.add_row("  its ways on the truth", "", *(f"{one.it_on_truth:.2%}" for one in others), style="dim")
    table.add_row(f"{found.unit} in all", *(f"{one.length:,.0f}" for one in found.networks))
    for word in ("edges", "pieces", "loops"):
        table.add_row(word, *(f"{getattr(one, word):,}" for one in found.networks))
    Console(highlight=False, markup=False).print(table)
    return 0


def _in_words(paired: Paired) -> str:
    """Return the difference of two runs on the same samples, as sentences; the verdict comes first."""
    if paired.reason is not None:
        return f"{paired.name} against {paired.first}: {paired.reason}"
    told: list[str] = []
    chance = True
    if (test := paired.mcnemar) is not None and (share := paired.correct) is not None:
        chance = test.p >= 0.05
        told.append(f"right {100 * share.value:+.2f} points")
        told.append(
            f"{test.only_second} right that the first got wrong, {test.only_first} the other way "
            f"(McNemar p = {test.p:.2g})"
        )
    elif (error := paired.squared_error) is not None:
        chance = error.low <= 0 <= error.high
        told.append(f"mean squared error {error.value:+.4g} (95% interval {error.low:+.4g} to {error.high:+.4g})")
    if (loss := paired.loss) is not None:
        told.append(f"mean loss {loss.value:+.4g} (95% interval {loss.low:+.4g} to {loss.high:+.4g})")
    verdict = "no more different than chance would have it" if chance else "different, by more than chance"
    where = f"{paired.name} against {paired.first}, on the same {paired.samples:,} sample{'s' * (paired.samples != 1)}"
    return f"{where}: {verdict}; {'; '.join(told)}"
