"""A run told to people: report.html, made from the run folder alone, one file that needs nothing else to open.

Names that came with the data are escaped, pictures are data URIs, figures are images (so that nothing in them can run),
and a content security policy forbids the page to load or run anything.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import shlex
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperplane import discovery
from hyperplane.contracts import Description, Measured, Metric
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe
from hyperplane.runs import atomic, curves
from hyperplane.runs.folder import RunFolder
from hyperplane.runs.records import Environment, Result, Wrong, flat
from hyperplane.tasks.blocks import figures

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_PNG = b"\x89PNG\r\n\x1a\n"
_ROWS = 12
_COLUMNS = 12
_NORMALISATION = (("Mean of each channel", "mean"), ("Deviation", "std"))


@dataclass(frozen=True)
class _Shown:
    """A metric as text."""

    name: str
    value: str
    interval: str
    unit: str
    better: str
    summary: str


@dataclass(frozen=True)
class _Picture:
    """An image as a data URI."""

    name: str
    uri: str
    small: bool = False
    caption: str = ""
    still: str | None = None
    """Another one, for those who want no motion."""


def write(path: Path) -> Path:
    """Write the report of a run folder, with `plots/curves.svg` where that is missing, and return where it is.

    Raises UserError where a piece of the folder cannot be read, or names a file outside of the folder.
    """
    import jinja2

    folder = RunFolder(path)
    recipe, environment, data = folder.read_recipe(), folder.read_environment(), folder.read_description()
    records, result = folder.read_metrics(), folder.read_result()
    metrics = _metrics(recipe)
    shown = _show_metrics(records, result, metrics, _unit(data))
    pictures = _figures(folder, records, metrics)
    engine = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    page = engine.from_string(_TEMPLATE.read_text("utf-8")).render(
        name=folder.name,
        recipe=recipe,
        environment=environment,
        data=data,
        result=result,
        headline=shown[0] if shown else None,
        metrics=shown,
        facts=_facts(records, result, recipe, environment) if data.splits else _imported_facts(recipe, data),
        curves=next((p for p in pictures if p.name == "Curves"), None),
        epochs=_epochs(records, metrics, _unit(data)),
        ended=outcome.sentences() if (outcome := folder.read_outcome()) is not None else (),
        figures=[p for p in pictures if p.name != "Curves"],
        explained=_explained(folder),
        worst=[_wrong(folder, sample) for sample in folder.read_worst()],
        columns=_columns(folder.read_worst()),
        splits=_splits(data),
        uses=_uses(folder) if not data.splits else [],
        read=_read_as(data),
        changed=_changed(recipe),
        whole=json.dumps(dataclasses.asdict(recipe), indent=2),
        environment_rows=_environment(environment),
        repeat=shlex.join(["hyperplane", "train", "--recipe", str(folder.recipe), "--name", f"{folder.name}-again"]),
    )
    atomic.write_bytes(folder.report, page.encode("utf-8", errors="replace"))
    return folder.report


def duration(seconds: float) -> str:
    """Return a time as people say it: 0.8 s, 14 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def number(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """Return a number to two digits of its 95% interval's half-width, or to four digits where it has none."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    half = (high - low) / 2
    if math.isfinite(half) and half > 0:
        return f"{value:,.{min(6, max(0, 1 - math.floor(math.log10(half))))}f}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def _metrics(recipe: Recipe) -> dict[str, Metric]:
    """Return what the task says about its metrics; nothing where the task is not installed here."""
    try:
        return {m.name: m for m in discovery.load("tasks", recipe.task.name or "").TASK.METRICS}
    except (UserError, ImportError):
        return {}


def _unit(data: Description) -> str:
    """Return the unit of the target, where its name brings one in brackets."""
    name = data.target_names[0] if len(data.target_names) == 1 else ""
    return name.rpartition("(")[2][:-1] if name.endswith(")") and "(" in name else ""


def _show(name: str, measured: Measured, metrics: Mapping[str, Metric], target_unit: str) -> _Shown:
    metric = metrics.get(name, Metric(name, "", "higher", ""))
    scale = 100 if metric.unit == "%" else 1
    value, low, high = (scale * v for v in (measured.value, measured.low, measured.high))
    bounds = f"{number(low, low, high)} to {number(high, low, high)}" if math.isfinite(high - low) else ""
    return _Shown(
        name=figures.words(name),
        value=number(value, low, high),
        interval=bounds,
        unit=target_unit if metric.unit == "target" else metric.unit,
        better=metric.better if name in metrics else "",
        summary=metric.summary,
    )


def _show_metrics(
    records: Sequence[Mapping[str, Any]], result: Result | None, metrics: Mapping[str, Metric], unit: str
) -> list[_Shown]:
    """Return the result's metrics, else those of the last look at the validation split."""
    if result:
        measured = result.metrics
    else:
        last = next((r for r in reversed(records) if r["kind"] == "validation"), {})
        values = {n: v for n, v in last.items() if n not in ("kind", "step", "epoch", "loss")}
        measured = {name: Measured(value, math.nan, math.nan) for name, value in values.items()}
    return [_show(name, m, metrics, unit) for name, m in measured.items()]


def _facts(
    records: Sequence[Mapping[str, Any]], result: Result | None, recipe: Recipe, environment: Environment
) -> list[tuple[str, str]]:
    """Return the few numbers beside the headline, as label and text."""
    facts = [("Net", recipe.net.name)] if recipe.net.name else []
    if result:
        facts += [
            ("Parameters", f"{result.parameters:,}"),
            ("Training time", duration(result.seconds)),
            ("Steps", f"{result.steps:,}"),
        ]
    epochs = max((record["epoch"] for record in records if record["kind"] != "result"), default=0.0)
    facts += [("Epochs", f"{epochs:,.0f}" if epochs >= 100 else f"{epochs:.3g}"), ("Device", environment.device)]
    return facts


def _imported_facts(recipe: Recipe, data: Description) -> list[tuple[str, str]]:
    """Return the few numbers of weights that were imported: nothing was trained or measured here."""
    import torch

    from hyperplane import nets, tasks

    with torch.device("meta"):
        outputs = tasks.build(recipe.task.name or "", data, recipe.task.options).outputs
        net = nets.build(recipe.net.name or "", data.shapes[data.input], outputs, recipe.net.options)
    return [
        ("Net", recipe.net.name or ""),
        ("Parameters", f"{sum(p.numel() for p in net.parameters()):,}"),
        ("Classes", f"{len(data.classes):,}"),
        ("Input", " × ".join(map(str, data.shapes[data.input]))),
    ]


def _uses(folder: RunFolder) -> list[tuple[str, str]]:
    """Return what one does with imported weights: a few words and what to type."""
    run = shlex.quote(str(folder.path))
    return [
        ("Ask it about pictures", f"hyperplane predict {run} FILE"),
        ("See why it says what of them", f"hyperplane explain {run} FILE"),
        ("Measure it on pictures in class folders of its own names", f"hyperplane evaluate {run} --data FOLDER"),
        ("Teach it other classes", f"hyperplane train FOLDER --from {run}"),
    ]


def _read_as(data: Description) -> list[tuple[str, str]]:
    """Return how a picture becomes an input, as rows of a table; none for other data."""
    if data.kind != "image":
        return []
    rows = [(name, " ".join(f"{v:.4g}" for v in data.encoding.get(key, ()))) for name, key in _NORMALISATION]
    middle = data.encoding.get("middle", 1.0)
    return [*rows, *([("Middle that is kept", f"{100 * middle:.3g} % of each side")] if middle != 1 else [])]


def _epochs(records: Sequence[Mapping[str, Any]], metrics: Mapping[str, Metric], unit: str) -> list[dict[str, str]]:
    """Return the looks at the validation split as a table's rows: all, or the first, the last and some between."""
    name = curves.metric_of(records)
    looks = [record for record in records if record["kind"] == "validation"]
    best = min(looks, key=lambda r: r["loss"] if math.isfinite(r["loss"]) else math.inf, default=None)
    chosen = (
        sorted({round(i * (len(looks) - 1) / (_ROWS - 1)) for i in range(_ROWS)})
        if len(looks) > _ROWS
        else range(len(looks))
    )
    rows = [r for i, r in enumerate(looks) if i in set(chosen) or r is best]
    table = []
    for row in rows:
        told = {"epoch": f"{row['epoch']:.4g}", "loss": f"{row['loss']:.4f}", "best": "best" if row is best else ""}
        if name is not None and name in row:
            metric = _show(name, Measured(row[name], math.nan, math.nan), metrics, unit)
            scaled = row[name] * (100 if metric.unit == "%" else 1)
            told |= {
                "name": metric.name,
                "metric": f"{scaled:.2f} {metric.unit}" if metric.unit == "%" else metric.value,
            }
        table.append(told)
    return table


def _figures(folder: RunFolder, records: Sequence[Mapping[str, Any]], metrics: Mapping[str, Metric]) -> list[_Picture]:
    """Return every SVG of `plots/`, after drawing the curves where they are missing."""
    drawn = folder.plots / "curves.svg"
    if not drawn.exists() and any(record["kind"] == "step" for record in records):
        folder.plots.mkdir(exist_ok=True)
        metric = metrics.get(curves.metric_of(records) or "")
        figures.save(curves.draw(records, metric.unit if metric else ""), drawn)
    found = sorted(folder.plots.glob("*.svg"))
    data = [(f.stem, folder.inside(f.relative_to(folder.path).as_posix()).read_bytes()) for f in found]
    return [_Picture(figures.words(name), _uri("image/svg+xml", content)) for name, content in data]


def _explained(folder: RunFolder) -> list[_Picture]:
    """Return the pictures of what the net learned; raises UserError where one that is listed is none."""
    return [
        _Picture(
            figures.words(Path(listed.file).stem),
            _explained_uri(folder, listed.file),
            caption=listed.caption,
            still=None if listed.still is None else _explained_uri(folder, listed.still),
        )
        for listed in folder.read_explained()
    ]


def _explained_uri(folder: RunFolder, name: str) -> str:
    file = folder.inside(f"explain/{name}")
    content = file.read_bytes() if file.is_file() else b""
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if not content or not (webp or file.suffix == ".svg"):
        raise UserError(f"{file}: is no picture of what the net learned; type: hyperplane explain {folder.path}")
    return _uri("image/webp" if webp else "image/svg+xml", content)


def _wrong(folder: RunFolder, sample: Wrong) -> dict[str, Any]:
    """Return one of the most wrong samples as texts and a picture."""
    picture = None
    if sample.picture is not None:
        file = folder.inside(sample.picture)
        content = file.read_bytes() if file.is_file() else b""
        if content[:8] != _PNG or len(content) < 24:
            raise UserError(f"{file}: is not a picture (PNG), which plots/worst.json expects; evaluate the run again")
        picture = _Picture(
            sample.name, _uri("image/png", content), small=max(struct.unpack(">II", content[16:24])) <= 96
        )
    return {
        "name": sample.name,
        "truth": _say(sample.truth),
        "prediction": _say(sample.prediction),
        "confidence": None if sample.confidence is None else f"{100 * sample.confidence:.1f} %",
        "loss": "infinite" if sample.loss is None else f"{sample.loss:.3g}",
        "picture": picture,
        "row": sample.row or {},
    }


def _columns(worst: Sequence[Wrong]) -> list[str]:
    """Return the columns to show of the most wrong rows."""
    return list(dict.fromkeys(name for sample in worst for name in sample.row or {}))[:_COLUMNS]


def _splits(data: Description) -> list[dict[str, Any]]:
    total = max(1, sum(data.splits.values()))
    return [{"name": n, "count": f"{c:,}", "share": f"{100 * c / total:.1f}"} for n, c in data.splits.items() if c]


def _changed(recipe: Recipe) -> list[tuple[str, str, str]]:
    """Return the fields that differ from the defaults: dotted name, value, default."""
    default, found = flat(dataclasses.asdict(Recipe())), flat(dataclasses.asdict(recipe))
    return [(n, _say(v), _say(default.get(n))) for n, v in found.items() if v != default.get(n)]


def _environment(environment: Environment) -> list[tuple[str, str]]:
    precision = environment.precision
    order = ", channels last" if precision.channels_last else ""
    return [
        ("hyperplane", environment.hyperplane),
        ("Python", environment.python),
        ("torch", environment.torch),
        ("NumPy", environment.numpy),
        ("Platform", environment.platform),
        ("Processor", environment.cpu),
        ("Cores, threads", f"{environment.cores}, {environment.threads}"),
        ("Memory", f"{environment.memory_gb:.1f} GiB"),
        ("Device", environment.device),
        ("Precision", f"{precision.dtype}{order} ({precision.why})"),
        ("Started", environment.started.replace("T", " ")),
    ]


def _say(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_say(v)}" for name, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_say, value))
    return "–" if value is None or value == "" else str(value)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
