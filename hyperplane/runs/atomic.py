"""Files that are either whole or as they were before, even when the machine stops or the disk is full."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from hyperplane.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_bytes(path: Path, data: bytes, hint: str = "repeat the command") -> None:
    """Replace the content of `path` with `data` in one step, on disk when this returns.

    Where anything fails, the old file is untouched and nothing else is left behind. `hint` is what to do once there is
    space again. Raises UserError for a full disk or a place that may not be written, OSError for anything else.
    """
    with replacing(path, hint) as temporary, temporary.open("xb") as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path, hint: str = "repeat the command") -> Iterator[Path]:
    """Give another path, which the caller writes to; when that is done it takes the place of `path` in one step."""
    temporary = path.with_name(f".{path.name}.part")
    with explained(path, hint):
        try:
            temporary.unlink(missing_ok=True)
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _flush_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, hint: str = "repeat the command") -> None:
    """Replace the content of `path` with `text` in UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"), hint)


@contextlib.contextmanager
def explained(path: Path, hint: str = "repeat the command") -> Iterator[None]:
    """Turn a full disk, or a place that may not be written, into a UserError that names `path` and ends with `hint`."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(f"{path}: no space left to write it ({error.strerror}); free some, then {hint}") from error
        if error.errno in _FORBIDDEN:
            raise UserError(f"{path}: cannot be written ({error.strerror}); make it writable, then {hint}") from error
        raise


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut; Windows has no such call, and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
