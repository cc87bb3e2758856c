"""Results as JSON: the numbers, their spread, and what is needed to measure them again."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hyperplane import __version__
from hyperplane.engine.environment import memory_gb, processor

RESULTS = Path(__file__).parent / "results"


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Return median, mean, standard deviation, least and greatest of repeated measurements, and these."""
    return {
        "median": statistics.median(values),
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else 0.0,
        "least": min(values),
        "greatest": max(values),
        "values": list(values),
    }


def write(name: str, results: dict[str, Any]) -> None:
    """Write results/NAME.json, with hardware and command, and say where it is."""
    import torch

    told = {
        "command": " ".join(["python -m", f"benchmarks.{name}", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "hardware": f"{processor()}, {len(os.sched_getaffinity(0))} cores, {memory_gb():.0f} GiB",
        "software": f"hyperplane {__version__}, Python {platform.python_version()}, torch {torch.__version__}",
        "results": results,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(told, indent=2) + "\n")
    print(f"written to {path}")
