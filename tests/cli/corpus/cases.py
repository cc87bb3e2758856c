"""The corpus of bad input: what a case is, and what puts something wrong into a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.data import makers


@dataclass(frozen=True)
class Case:
    """Something that is wrong, what is typed, and what the answer must name."""

    about: str
    typed: str
    says: tuple[str, ...]
    make: Callable[[Path], object] = lambda root: None


Step = Callable[[Path], object]
"""Puts something wrong into a folder."""


def csv(content: str) -> Step:
    """Write bad.csv."""
    return lambda root: (root / "bad.csv").write_text(content)


def picture(name: str, content: bytes) -> Step:
    """Put a file among the pictures of cats."""
    return lambda root: (root / "pets" / "cat" / name).write_bytes(content)


def encoded(kind: str, mode: str, size: tuple[int, int]) -> bytes:
    """Return a picture of one colour as a file's bytes."""
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, kind)
    return stream.getvalue()


def write(name: str, content: str | bytes) -> Step:
    """Write or replace a file."""
    data = content.encode() if isinstance(content, str) else content
    return lambda root: (root / name).write_bytes(data)


def without(*names: str) -> Step:
    """Delete files."""
    return lambda root: [(root / name).unlink() for name in names]


def flipped(name: str) -> Step:
    """Change one bit in the middle of each file of a pattern."""

    def make(root: Path) -> None:
        for file in root.glob(name):
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)

    return make


def with_field(name: str, **fields: object) -> Step:
    """Replace or add fields of a JSON file."""
    return lambda root: (root / name).write_text(json.dumps({**json.loads((root / name).read_text()), **fields}))


def each(*steps: Step) -> Step:
    """Do one after the other."""
    return lambda root: [step(root) for step in steps]


ROWS = "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(30))
PICKLE = b"cposix\nsystem\n(S'touch own'\ntR."
"""Unpickled, it runs `touch own`."""
TRAP = b"\x80\x02cposix\nsystem\nq\x00X\x09\x00\x00\x00touch ownq\x01\x85q\x02Rq\x03."
"""The same as torch's older files begin."""
BOMB = encoded("PNG", "1", (10_001, 10_001))
CUT = encoded("JPEG", "RGB", (90, 90))[:400]
UNFINISHED = without("runs/animals/manifest.json")
CHANGED = lambda root: makers.animals(root / "animals.csv", rows=70)  # noqa: E731
