"""Turn published weights (.safetensors, or torch's .pth) into a run folder, as tensors only."""

from __future__ import annotations

import dataclasses
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import tyro

from hyperplane.cli.blocks.arguments import parse


@dataclass(frozen=True)
class Import:
    """Which weights, and what is known of them."""

    file: tyro.conf.Positional[Path]
    """A state dict's file, or the name of a net with published weights: resnet50, or one of its files by the first
    digits of its hash, resnet50-11ad3fa6. Beside those of a language model (GPT-2) lies its vocabulary: tokenizer.json,
    or vocab.json and merges.txt."""
    net: str | None = None
    """The net or variant (hyperplane list nets); the one that fits where it is left out."""
    out: Path | None = None
    """The run folder; runs/ and the net's name where it is left out."""
    classes: Path | None = None
    """A text file with the name of a class on each line; their numbers where it is left out."""
    size: int | None = None
    """Side of the square that pictures are brought to, in pixels; the net's own where it is left out."""
    mean: tuple[float, ...] = ()
    """Mean of each channel in [0, 1]; the published one where it is left out."""
    std: tuple[float, ...] = ()
    """Standard deviation of each channel; the published one where it is left out."""
    overwrite: bool = False
    """Replace a run of the same name."""
    download: bool = False
    """Fetch published weights that are not here, and check their hash."""
    json: bool = False
    """Write one JSON object to standard output."""


def main(arguments: list[str]) -> int:
    """Import, and return the exit status."""
    asked = parse(Import, "import", arguments, description=__doc__ or "")

    from hyperplane import api
    from hyperplane.cli.blocks.screen import console, write_line

    made = api.import_weights(
        asked.file,
        net=asked.net,
        out=asked.out,
        classes=asked.classes,
        size=asked.size,
        mean=asked.mean,
        std=asked.std,
        overwrite=asked.overwrite,
        download=asked.download,
        command=shlex.join(["hyperplane", "import", *arguments]),
    )
    if asked.json:
        write_line(json.dumps({**dataclasses.asdict(made), "path": str(made.path)}))
        return 0
    say = console().print
    say(str(made.path), style="bold")
    text = made.kind == "text"
    say(f"  net       {made.net}, {made.parameters:,} weights, {made.classes:,} {'tokens' if text else 'classes'}")
    for note in made.notes:
        say(f"            {note}", style="yellow")
    say(f"report    {made.path / 'report.html'}")
    run = shlex.quote(str(made.path))
    say(f'next      hyperplane generate {run} --prompt "Once"' if text else f"next      hyperplane predict {run} FILE")
    say(str(made.path), style="bold")
    return 0
