"""The command line in a process of its own, what it answers, and what it leaves in a folder."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    status: int
    out: str
    err: str


Command = Callable[..., Answer]


def in_a_process(*arguments: str, cwd: Path, stdin: bytes = b"", user: int | None = None) -> Answer:
    """Run the command line as a user does, as another user if given."""
    done = subprocess.run(
        [sys.executable, "-m", "hyperplane", *arguments],
        cwd=cwd, env=environment(), input=stdin, capture_output=True, timeout=60, check=False, user=user,
    )  # fmt: skip
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def environment() -> dict[str, str]:
    """Return the environment of a process that imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}


def tree(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
