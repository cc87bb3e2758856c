"""State dicts that others saved, read as tensors alone: safetensors, and the .pth files of torch, which are pickles.

This file is the one place where `torch.load` is allowed, and it reads with `weights_only=True`: what a pickle asks for
beyond tensors and plain containers is refused before anything of it runs. What is not worth reading (an archive whose
parts are compressed or cut off, a TorchScript program, torch's oldest tar layout) does not get that far.
"""

from __future__ import annotations

import hashlib
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from hyperplane.errors import UserError

NESTED = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
"""Names under which training scripts put the state dict, beside an optimizer's or an epoch's number."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
"""What wrappers (data-parallel, compiled, a trainer's) put before every key."""
AGAIN = "copy it again from where it came"
DEEPEST = 3
"""Wrappings that are looked through; a hostile file may hold itself, or doubles of doubles without end."""
ROOM = 2**28
"""Bytes that reading may take beside three times the file's own."""


@dataclass(frozen=True)
class Foreign:
    """A state dict as it was found."""

    tensors: dict[str, Tensor]
    """By key, dense and on the CPU; float32 where they are not whole numbers."""
    sha256: str
    """Of the file."""
    notes: tuple[str, ...]
    """What was done to get at it, one sentence each, for people."""


def read(path: Path) -> Foreign:
    """Return the state dict that a file holds; nothing in the file is run.

    Raises UserError for a file that is damaged, is not what its name's hash says, or holds anything but tensors.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # which might have no end
        raise UserError(f"{path}: is a pipe or a device, expected a file of weights; name one")
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            _expect_hash(path, sha256)
            file.seek(0)
            found = _load(path, file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a file of weights") from error
    state_dict, notes = _state_dict(path, found)
    return Foreign(_tensors(path, state_dict, notes), sha256, tuple(notes))


def _expect_hash(path: Path, sha256: str) -> None:
    """Check the eight hex digits that publishers put into a file's name."""
    said = re.search(r"-(?!20\d{6}\.)([0-9a-f]{8})\.(pth|pt|bin|safetensors)$", path.name)  # 20240115 is a date
    if said and not sha256.startswith(said[1]):
        raise UserError(
            f"{path}: its SHA-256 begins with {sha256[:8]}, expected {said[1]} as its name says; {AGAIN}, or rename it "
            "if those digits are no hash"
        )


def _load(path: Path, file: BinaryIO) -> Any:
    head = file.read(512)
    file.seek(0)
    if head[8:9] == b"{":
        return _load_safetensors(path)
    if head[257:262] == b"ustar":
        raise UserError(
            f"{path}: has torch's oldest layout (a tar), which is not read; save it again with a newer torch"
        )
    if head[:4] == b"PK\x03\x04":
        _expect_plain_archive(path, file)
        file.seek(0)
    elif head[:1] != b"\x80":
        raise UserError(f"{path}: is neither safetensors nor a file that torch saved; {AGAIN}, or name another")
    try:
        with warnings.catch_warnings(), _bounded(3 * path.stat().st_size + ROOM):
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)  # noqa: TID251 - tensors alone, only here
    except MemoryError as error:
        raise UserError(f"{path}: asks for more memory than its {path.stat().st_size:,} bytes need; {AGAIN}") from error
    except Exception as error:  # a hostile or damaged file may raise nearly anything
        told = _clean(str(error))
        if asked := re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", told):
            raise UserError(
                f"{path}: asks for {asked[1]}, which is code, and none of it was run; expected tensors alone, so save "
                "it again with torch.save(net.state_dict(), FILE)"
            ) from error
        if "Weights only load failed" in told:  # what follows would advise to let it run
            reason = re.search(r"WeightsUnpickler error: (.{1,60}?)(?: Check the documentation|$)", told)
            why = reason[1] if reason else type(error).__name__
            raise UserError(
                f"{path}: is damaged, or holds more than tensors ({why}), and nothing of it was run; {AGAIN}, or save "
                "it again with torch.save(net.state_dict(), FILE)"
            ) from error
        raise UserError(
            f"{path}: is damaged, torch cannot read it ({type(error).__name__}: {told[:60]}); {AGAIN}"
        ) from error


@contextmanager
def _bounded(bytes: int) -> Iterator[None]:
    """Let this process take so much more memory at most, where the system can hold it to that.

    torch lets a pickle make byte arrays and storages of any size, which are no code, but may take all that there is.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (ImportError, OSError):
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + bytes
    ends = [end for end in before if end != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(most, *ends) if ends else most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _clean(text: str) -> str:
    """Return a message on one line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    import safetensors.torch

    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path}: is damaged ({_clean(str(error))}); {AGAIN}") from error


def _expect_plain_archive(path: Path, file: BinaryIO) -> None:
    """Check that a zip is one that `torch.save` wrote: whole, uncompressed, and not a program."""
    try:
        parts = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is cut off or damaged, its archive has no end; {AGAIN}") from error
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise UserError(f"{path}: has compressed parts, which torch.save does not write; {AGAIN}")
    if len({part.filename for part in parts}) < len(parts):
        raise UserError(f"{path}: has two parts of one name, which torch.save does not write; {AGAIN}")
    names = {part.filename.rpartition("/")[2] for part in parts}
    if "constants.pkl" in names:
        raise UserError(f"{path}: is a TorchScript program; save its tensors with torch.save(net.state_dict(), FILE)")
    if "data.pkl" not in names:
        raise UserError(f"{path}: is an archive, but not one that torch.save wrote; {AGAIN}, or name another")


def _state_dict(path: Path, found: Any) -> tuple[Mapping[str, Any], list[str]]:
    """Return the tensors by key, out of what they are wrapped in, and a note on each wrapping."""
    notes: list[str] = []
    for _ in range(DEEPEST):
        name = next((n for n in NESTED if _holds_tensors(found.get(n))), None) if isinstance(found, Mapping) else None
        if name is None:
            break
        notes.append(f"The state dict was under '{name}'.")
        found = found[name]
    if not isinstance(found, Mapping) or not found:
        what = "an empty state dict" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise UserError(f"{path}: holds {what}, expected tensors by name; save net.state_dict() instead")
    while prefix := next((p for p in PREFIXES if all(str(key).startswith(p) for key in found)), None):
        notes.append(f"Every key began with '{prefix}', which was taken off.")
        found = {str(key).removeprefix(prefix): value for key, value in found.items()}
    return found, notes


def _holds_tensors(value: Any, deep: int = DEEPEST) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(inner, Tensor) or (deep > 1 and _holds_tensors(inner, deep - 1)) for inner in value.values()
    )


def _tensors(path: Path, state_dict: Mapping[str, Any], notes: list[str]) -> dict[str, Tensor]:
    """Return the tensors as float32 or whole numbers; raises UserError for what is none, or no plain and finite one."""
    strange = next((key for key in state_dict if not isinstance(key, str) or not key.isprintable()), None)
    if strange is not None:
        raise UserError(f"{path}: holds something named {ascii(strange)[:60]}, expected names of tensors; {AGAIN}")
    others = [key for key, value in state_dict.items() if not isinstance(value, Tensor)]
    if others:
        raise UserError(
            f"{path}: holds {len(others)} entries that are no tensors ({', '.join(others[:5])}), expected tensors by "
            "name; save net.state_dict() instead"
        )
    size = path.stat().st_size
    tensors: dict[str, Tensor] = {}
    halved = 0
    for key, tensor in state_dict.items():
        plain = tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
        if not plain or tensor.is_complex() or tensor.numel() * tensor.element_size() > size:
            raise UserError(f"{path}: {key} is no plain tensor of the file's own numbers; save net.state_dict() again")
        if tensor.is_floating_point():
            halved += tensor.dtype is not torch.float32
            tensor = tensor.detach().float()
            if not tensor.isfinite().all():
                raise UserError(f"{path}: {key} holds numbers that are not finite; {AGAIN}, or name an earlier one")
        tensors[key] = tensor
    if halved:
        notes.append(f"{halved} tensors were turned into float32.")
    return tensors
