"""Files of data sets: walking folders, hashing, and fetching known sets with their hashes."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from hyperplane.data.blocks.problems import Refusal, name, one_line, unreadable
from hyperplane.errors import UserError

LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True)
class Remote:
    """A published file."""

    url: str
    sha256: str
    """Of the file as published, in hexadecimal; its first eight digits or more where no more of it is published."""
    members: tuple[str, ...] = ()
    """The files to unpack, where it is a tar archive."""


@dataclass(frozen=True)
class Known:
    """A data set that has a name."""

    summary: str
    """What it is, one clause."""
    folder: str = ""
    """Its folder under HYPERPLANE_DATA or the cache; empty where it needs no files."""
    remotes: tuple[Remote, ...] = ()
    """Where its files are published."""
    classes: tuple[str, ...] = ()
    """Names of its classes in the order of their labels."""


def locate(known_name: str, known: Known, complete: Callable[[Path], bool], download: bool) -> Path:
    """Return the folder that holds a known set: under HYPERPLANE_DATA, else in the cache, else fetched into it.

    `complete` says whether a folder holds the whole set. Raises UserError where it is in neither and `download` is
    false, and where a download fails or has another hash than the published file.
    """
    roots = [Path(os.environ["HYPERPLANE_DATA"])] if os.environ.get("HYPERPLANE_DATA") else []
    folders = [root / known.folder for root in [*roots, cache()]]
    for folder in folders:
        if folder.is_dir() and complete(folder):
            return folder
    looked = " and ".join(name(folder) for folder in folders)
    if not known.remotes:
        raise UserError(
            f"{known_name}: its files are not in {looked}, and nothing fetches them; put them there by hand"
        )
    if not download:
        raise UserError(f"{known_name}: its files are not in {looked}; add --download to fetch them")
    for remote in known.remotes:
        fetch(remote, folders[-1])
    return folders[-1]


def cache() -> Path:
    """Return the folder that downloads fill: HYPERPLANE_CACHE, else the system's cache folder."""
    if os.environ.get("HYPERPLANE_CACHE"):
        return Path(os.environ["HYPERPLANE_CACHE"])
    import pooch

    return Path(pooch.os_cache("hyperplane"))


def fetch(remote: Remote, folder: Path) -> Path:
    """Download a published file into a folder, check its hash, and unpack the members that are expected of it.

    Returns the file. One that is there already is left as it is where its hash is right. Raises UserError where the
    download fails, or has another hash.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")  # it would advise to write the hash down
    file = remote.url.rpartition("/")[2]
    try:
        if not is_published(folder / file, remote.sha256):
            (folder / file).unlink(missing_ok=True)
            pooch.retrieve(remote.url, None, file, folder, downloader=cast(Any, partial(_download, remote.sha256)))
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"{remote.url}: cannot be fetched into {name(folder)} ({one_line(error)}); "
            f"check the network, or put {file} there by hand"
        ) from error
    except ValueError as error:
        raise UserError(
            f"{remote.url}: is not the published file (its SHA-256 differs from {remote.sha256[:12]}...), so it was "
            "not kept; try again, or fetch it from another mirror"
        ) from error
    if remote.members:
        _unpack(folder / file, remote.members)
    return folder / file


def is_published(path: Path, sha256_begins: str) -> bool:
    """Say whether a file is there, with a SHA-256 that begins so."""
    return path.is_file() and sha256(path).startswith(sha256_begins)


def _download(begins: str, url: str, file: str, caller: object) -> None:
    """Write what is at a URL to a file, whose SHA-256 must begin so; pooch calls this, then moves it into place."""
    print(f"fetching {url}", file=sys.stderr, flush=True)
    try:
        with urllib.request.urlopen(url, timeout=30) as response, Path(file).open("wb") as out:
            shutil.copyfileobj(response, out, 1 << 20)
    except urllib.error.HTTPError as error:
        with error:
            raise ConnectionError(f"the server says {error.code} {error.reason}") from None
    if not is_published(Path(file), begins):
        raise ValueError(f"another hash than {begins}")


def _unpack(archive: Path, members: tuple[str, ...]) -> None:
    """Write the expected members beside the archive: regular files of exactly these names, and nothing else."""
    try:
        with tarfile.open(archive) as tar:
            for member in members:
                stream = tar.extractfile(member) if tar.getmember(member).isreg() else None
                if stream is None:
                    raise Refusal(archive, f"holds {member} as a link or a folder, expected a file", "fetch it again")
                target = archive.parent / member
                target.parent.mkdir(parents=True, exist_ok=True)
                partial = target.with_name(target.name + ".partial")
                with partial.open("wb") as out:
                    while block := stream.read(1 << 20):
                        out.write(block)
                partial.replace(target)
    except KeyError as error:
        raise Refusal(archive, f"lacks a member ({one_line(error)})", "delete it and fetch it again") from error
    except (tarfile.TarError, EOFError) as error:
        raise Refusal(archive, f"cannot be unpacked ({one_line(error)})", "delete it and fetch it again") from error
    except OSError as error:
        raise unreadable(archive, error) from error


def read(path: Path) -> bytes:
    """Return a file's bytes; raises UserError where the system would not open it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def sha256_of_listing(listing: Iterable[tuple[str, int]]) -> str:
    """Return the SHA-256 of files' relative paths and sizes, sorted: cheap, and the same on every machine."""
    digest = hashlib.sha256()
    for path, size in sorted(listing):
        digest.update(f"{path}\0{size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, without hidden ones and litter."""
    try:
        return sorted(f for f in folder.iterdir() if f.is_dir() and not _ignored(f.name))
    except OSError as error:
        raise unreadable(folder, error) from error


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder by path, without hidden ones and litter.

    Follows links, but enters no folder twice, so a loop of links ends. Raises UserError for a folder that may not
    be read.
    """

    def fail(error: OSError) -> None:
        raise unreadable(Path(error.filename or folder), error) from error

    entered: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=fail):
        where = os.stat(parent)
        if (where.st_dev, where.st_ino) in entered:
            folders.clear()
            continue
        entered.add((where.st_dev, where.st_ino))
        folders[:] = sorted(f for f in folders if not _ignored(f))
        yield from (Path(parent, file) for file in sorted(files) if not _ignored(file))


def _ignored(file: str) -> bool:
    return file.startswith(".") or file.lower() in LITTER
