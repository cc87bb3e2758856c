"""Hostile and damaged files of weights: how each is made, and what the one line about it says."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import safetensors.torch
import torch

from hyperplane import nets


def net_of(name: str = "lenet-1989", channels: int = 1, outputs: int = 10) -> torch.nn.Module:
    torch.manual_seed(0)
    return nets.build(name, (channels, 16, 16), outputs).eval()


def saved(value: Any, **how: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **how)
    return stream.getvalue()


class Trap:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("sprung",)


class Module(torch.nn.Linear):
    """A whole net, as people save it."""


def archive(compression: int = zipfile.ZIP_STORED, **parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, content in parts.items():
            file.writestr(f"archive/{name.replace('_', '.')}", content)
    return stream.getvalue()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            content = pickle.dumps(Trap())
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def whole_module() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return saved(Module(2, 2))


def itself() -> dict[str, object]:
    found: dict[str, object] = {"weight": torch.zeros(2)}
    found["state_dict"] = found
    return found


def doubles(deep: int) -> dict[str, object]:
    found: dict[str, object] = {"a": 1}
    for _ in range(deep):
        found = {"a": found, "b": found}
    return found


class Large:
    """Asks for a byte array that no file of this size needs."""

    def __reduce__(self) -> tuple[type, tuple[int]]:
        return bytearray, (10**11,)


GOOD = saved(net_of().state_dict())


def rezipped(change: Callable[[str, bytes], list[tuple[str, bytes]]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return what torch saved, with each part of the archive replaced by others."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(GOOD)) as held,
        zipfile.ZipFile(stream, "w", compression) as file,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # names that come twice
        for part in held.namelist():
            for name, content in change(part, held.read(part)):
                file.writestr(name, content)
    return stream.getvalue()


def renumbered(content: bytes) -> bytes:
    """Return a pickle of tensors in which one of 300 numbers is said to have about 2 ** 48."""
    assert b"M,\x01" in content
    return content.replace(b"M,\x01", b"\x8a\x06\xff\xff\xff\xff\xff\x00")


def as_safetensors(header: Any, numbers: bytes = b"", said: int | None = None) -> bytes:
    """Return a safetensors file of this header, which is said to have so many bytes."""
    text = json.dumps(header).encode()
    return (len(text) if said is None else said).to_bytes(8, "little") + text + numbers


def one_tensor(shape: list[int], end: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a trap": (lambda: pickle.dumps(Trap()), "nothing of it was run"),
    "an old trap": (lambda: pickle.dumps(Trap(), protocol=2), "posix.mkdir"),
    "a trap in an archive": (lambda: archive(data_pkl=pickle.dumps(Trap(), protocol=2), version=b"3"), "posix.mkdir"),
    "a trap beside tensors": (lambda: saved({"state_dict": net_of().state_dict(), "extra": Trap()}), "posix.mkdir"),
    "a trap in an old file": (lambda: saved(Trap(), _use_new_zipfile_serialization=False), "posix.mkdir"),
    "a trap by name": (
        lambda: b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch sprung\x85R.",
        "nothing of it was run",
    ),
    "a trap in a list of arguments": (
        lambda: b"\x80\x02cbuiltins\neval\nX\x0a\x00\x00\x00os.getcwd\x28\x85R.",
        "asks for eval, which is code",
    ),
    "a trap that builds": (lambda: b"\x80\x02cbuiltins\ngetattr\n.", "asks for getattr, which is code"),
    "a trap from an extension": (lambda: b"\x80\x02\x82\x01.", "nothing of it was run"),
    "a trap by its id": (lambda: b"\x80\x02X\x01\x00\x00\x00aQ.", "bad.pth"),
    "a library to load": (
        lambda: b"\x80\x02ctorch.ops\nload_library\nX\x04\x00\x00\x00x.so\x85R.",
        "torch.ops.load_library",
    ),
    "a trap for the tensors' maker": (
        lambda: b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(X\x01\x00\x00\x00xtR.",
        "bad.pth",
    ),
    "a whole module": (whole_module, "state_dict()"),
    "the oldest layout": (tar, "a tar"),
    "a program": (lambda: archive(data_pkl=b"", constants_pkl=b""), "TorchScript"),
    "another archive": (lambda: archive(hello_txt=b"hello"), "not one that torch.save wrote"),
    "compressed parts": (lambda: archive(zipfile.ZIP_DEFLATED, data_pkl=b"a" * 9999), "compressed"),
    "half a file": (lambda: GOOD[: len(GOOD) // 2], "cut off"),
    "half an old file": (lambda: saved(net_of().state_dict(), _use_new_zipfile_serialization=False)[:9000], "damaged"),
    "half a safetensors file": (lambda: safetensors.torch.save(net_of().state_dict())[:9000], "damaged"),
    "nothing": (lambda: b"", "neither safetensors nor"),
    "a text": (lambda: b"hello", "neither safetensors nor"),
    "a list": (lambda: saved([torch.zeros(2)]), "a list"),
    "one tensor": (lambda: saved(torch.zeros(2)), "a Tensor"),
    "no tensor": (lambda: saved({}), "an empty state dict"),
    "numbers": (lambda: saved({"a": 1, "b": 2.0}), "2 entries that are no tensors (a, b)"),
    "a name that a terminal obeys": (lambda: saved({"\x1b[2J": torch.zeros(2)}), "named '\\x1b[2J'"),
    "a number for a name": (lambda: saved({3: torch.zeros(2)}), "named 3"),
    "code that a terminal obeys": (lambda: b"\x80\x02cposix\nsys\x1b[2Jtem\nq\x00.", "posix.sys?[2Jtem"),
    "not a number": (lambda: saved({"a": torch.tensor([1.0, float("nan")])}), "not finite"),
    "a sparse tensor": (lambda: saved({"a": torch.eye(3).to_sparse()}), "a is no plain tensor"),
    "a tensor larger than its file": (lambda: saved({"a": torch.zeros(1).expand(10**12)}), "a is no plain tensor"),
    "a dictionary that holds itself": (lambda: saved(itself()), "state_dict"),
    "doubles of doubles": (lambda: saved({"state_dict": doubles(40)}), "state_dict"),
    "more memory than the file holds": (lambda: pickle.dumps({"a": Large()}, protocol=2), "memory"),
    "a bomb": (
        lambda: rezipped(lambda n, c: [(n, bytes(10**8) if n.endswith("/0") else c)], zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "a part that leads out": (
        lambda: rezipped(lambda n, c: [(n, c), ("../../sprung", b"x")] if n.endswith(".pkl") else [(n, c)]),
        "damaged",
    ),
    "parts that come twice": (lambda: rezipped(lambda n, c: [(n, c), (n, c)]), "two parts of one name"),
    "a lost part": (lambda: rezipped(lambda n, c: [] if n.endswith("data/0") else [(n, c)]), "damaged"),
    "parts cut short": (lambda: rezipped(lambda n, c: [(n, c[:10] if "data/" in n else c)]), "damaged"),
    "numbers that are not there": (
        lambda: rezipped(lambda n, c: [(n, renumbered(c) if n.endswith(".pkl") else c)]),
        "damaged",
    ),
    "numbers that are not there in an old file": (
        lambda: renumbered(saved(net_of().state_dict(), _use_new_zipfile_serialization=False)),
        "damaged",
    ),
    "lists in lists without end": (lambda: b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", "damaged"),
    "a long number": (lambda: b"\x80\x02\x8b\xff\xff\xff\x7f.", "nothing of it was run"),
    "a page that says it is not there": (lambda: b"<!DOCTYPE html><html>404</html>", "neither safetensors nor"),
    "a parameter": (lambda: saved(torch.nn.Parameter(torch.zeros(2))), "a Parameter"),
    "a name without end": (lambda: saved({"k" * 10**6: torch.zeros(1)}), "k..."),
    "a header larger than its file": (lambda: as_safetensors({}, said=2**62), "header too large"),
    "a shape larger than any memory": (
        lambda: as_safetensors({"a": one_tensor([2**40, 2**20], 4)}, bytes(4)),
        "damaged",
    ),
    "tensors over each other": (
        lambda: as_safetensors({"a": one_tensor([1], 4), "b": one_tensor([1], 4)}, bytes(4)),
        "damaged",
    ),
    "complex numbers": (lambda: saved({"a": torch.zeros(2, dtype=torch.complex64)}), "a is no plain tensor"),
}
