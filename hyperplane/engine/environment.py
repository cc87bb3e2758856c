"""Where and with what a run is trained."""

from __future__ import annotations

import datetime
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from hyperplane.engine.precision import Precision
from hyperplane.runs import records


def describe(precision: Precision, command: str) -> records.Environment:
    """Return what environment.json holds for a run that computes with `precision`, started by `command`."""
    cuda = precision.device.type == "cuda"
    return records.Environment(
        hyperplane=version("hyperplane"),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        platform=platform.platform(),
        cpu=processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_gb=round(memory_gb(), 1),
        device=torch.cuda.get_device_name(precision.device) if cuda else "cpu",
        precision=records.Precision(
            str(precision.dtype).removeprefix("torch."), precision.channels_last, precision.why
        ),
        command=command,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def processor() -> str:
    """Return the processor's name, as the system tells it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def threads() -> str:
    """Return how many threads compute, in words."""
    count = torch.get_num_threads()
    return f"{count} thread{'s' * (count != 1)}"


def memory_gb() -> float:
    """Return the machine's memory in GiB, or 0 where the system does not tell."""
    if not hasattr(os, "sysconf"):
        return 0.0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
