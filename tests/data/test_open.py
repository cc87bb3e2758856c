"""Finding data: paths, known sets, downloads, and which format reads what."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import pytest

from hyperplane import data, discovery
from hyperplane.contracts import Sniff
from hyperplane.data import cifar, idx
from hyperplane.data.blocks.files import Known, Remote
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no HYPERPLANE_DATA."""
    monkeypatch.delenv("HYPERPLANE_DATA", raising=False)
    monkeypatch.setenv("HYPERPLANE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _remotes(url: str, folder: Path) -> tuple[Remote, ...]:
    return tuple(Remote(url + f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in sorted(folder.iterdir()))


def test_a_known_set_is_downloaded_only_when_asked(
    cache: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    makers.idx_folder(folder)
    monkeypatch.setitem(idx.KNOWN, "mnist", Known("", "mnist", _remotes(url, folder), tuple("0123456789")))
    with pytest.raises(UserError, match="add --download") as caught:
        data.open(DataRecipe(source="mnist"))
    assert str(cache / "mnist") in str(caught.value)
    fetched = data.open(DataRecipe(source="mnist"), download=True)
    assert fetched.description.name == "mnist"
    assert data.open(DataRecipe(source="mnist")).description == fetched.description


def test_a_download_with_another_hash_is_refused_and_not_kept(
    cache: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    makers.idx_folder(folder)
    remotes = _remotes(url, folder)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"something else")
    monkeypatch.setitem(idx.KNOWN, "mnist", Known("", "mnist", remotes))
    with pytest.raises(UserError, match=r"t10k-labels.*is not the published file") as caught:
        data.open(DataRecipe(source="mnist"), download=True)
    assert "\n" not in str(caught.value)
    assert not (cache / "mnist" / "t10k-labels-idx1-ubyte.gz").exists()


def test_a_download_that_is_not_there_is_named(
    cache: Path, server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = server
    monkeypatch.setitem(idx.KNOWN, "mnist", Known("", "mnist", (Remote(url + "gone.gz", "0" * 64),)))
    with pytest.raises(UserError, match=r"gone\.gz: cannot be fetched") as caught:
        data.open(DataRecipe(source="mnist"), download=True)
    assert "\n" not in str(caught.value)


def test_an_archive_is_unpacked_by_the_expected_names_only(
    cache: Path, server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    made = makers.cifar_folder(tmp_path / "made")
    (made / "evil").write_text("evil")
    with tarfile.open(folder / "cifar.tar.gz", "w:gz") as tar:
        tar.add(made / cifar.FOLDER, cifar.FOLDER)
        tar.add(made / "evil", "../evil")
    members = cifar.KNOWN["cifar-10"].remotes[0].members
    digest = hashlib.sha256((folder / "cifar.tar.gz").read_bytes()).hexdigest()
    known = Known("", "cifar-10", (Remote(url + "cifar.tar.gz", digest, members),))
    monkeypatch.setitem(cifar.KNOWN, "cifar-10", known)
    source = data.open(DataRecipe(source="cifar-10"), download=True)
    assert source.description.splits == {"train": 45, "validation": 5, "test": 10}
    assert not (cache / "evil").exists() and not (cache / "cifar-10" / "evil").exists()


def test_an_archive_that_holds_a_link_is_refused(
    cache: Path, server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = server
    (tmp_path / "link").symlink_to("/etc/passwd")
    with tarfile.open(folder / "cifar.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "link", f"{cifar.FOLDER}/test_batch.bin")
    digest = hashlib.sha256((folder / "cifar.tar.gz").read_bytes()).hexdigest()
    remote = Remote(url + "cifar.tar.gz", digest, (f"{cifar.FOLDER}/test_batch.bin",))
    monkeypatch.setitem(cifar.KNOWN, "cifar-10", Known("", "cifar-10", (remote,)))
    with pytest.raises(UserError, match="as a link or a folder"):
        data.open(DataRecipe(source="cifar-10"), download=True)


def test_known_sets_are_found_under_hyperplane_data(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERPLANE_DATA", str(tmp_path / "sets"))
    makers.idx_folder(tmp_path / "sets" / "fashion-mnist")
    description = data.open(DataRecipe(source="fashion-mnist")).description
    assert description.classes[:2] == ("T-shirt/top", "Trouser")


def test_an_existing_path_wins_over_a_known_name(empty_folder: Path) -> None:
    makers.class_folders(empty_folder / "digits", {"a": 10, "b": 10})
    assert data.open(DataRecipe(source="digits")).description.format == "folder"


def test_a_misspelt_set_gets_the_nearest_name(empty_folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        data.open(DataRecipe(source="mnits"))
    assert str(caught.value) == "there is no file, folder or known set 'mnits'; did you mean 'mnist'?"


def test_a_misspelt_format_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'table'"):
        data.open(DataRecipe(source=str(tmp_path), format="tabel"))


def test_every_format_knows_its_own_and_says_why(tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text("x1,x2,label\n" + "0.5,1,a\n-0.5,2,b\n" * 10)
    examples = {
        "table": makers.animals(tmp_path / "animals.csv"),
        "folder": makers.class_folders(tmp_path / "folder", {"a": 4, "b": 4}),
        "idx": makers.idx_folder(tmp_path / "idx"),
        "cifar": makers.cifar_folder(tmp_path / "cifar"),
        "points": points,
    }
    for format, path in examples.items():
        (best, why), (_, second) = data.sniff(path)[:2]
        assert best == format and why.score > second.score and why.reason
        share = 0.1 if format in ("idx", "cifar") else 0.25
        recipe = DataRecipe(source=str(path), target="animal" if format == "table" else None, validation=share)
        assert data.open(recipe).description.format == format
        assert data.check(recipe) == []


def test_a_path_that_nothing_reads_is_refused_with_every_reason(tmp_path: Path) -> None:
    (tmp_path / "song.mp3").write_bytes(b"ID3\x04\x00" + bytes(100))
    (tmp_path / "resnet50.pth").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"resnet50\.pth: holds weights, expected data; type: hyperplane import"):
        data.open(DataRecipe(source=str(tmp_path / "resnet50.pth")))
    with pytest.raises(UserError, match=r"song\.mp3: is nothing that a data format reads .*folder: is not a folder"):
        data.open(DataRecipe(source=str(tmp_path / "song.mp3")))


def test_a_third_partys_format_is_asked_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_format.py").write_text(
        '"""Files that end in .theirs."""\n'
        "from hyperplane.contracts import Sniff\n"
        "def sniff(path):\n    return Sniff(float(path.suffix == '.theirs'), 'its name')\n"
        "def open(path, recipe):\n    return path.read_text()\n"
        "def check(path, recipe):\n    return []\n"
        "def encode(inputs, description):\n    raise OSError\n"
    )
    (tmp_path / "their.dist-info").mkdir()
    (tmp_path / "their.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: their\nVersion: 1\n")
    points = "[hyperplane.data]\ntheirs = their_format\nbroken = no_such_module\n"
    (tmp_path / "their.dist-info" / "entry_points.txt").write_text(points)
    (tmp_path / "x.theirs").write_text("found")
    monkeypatch.syspath_prepend(str(tmp_path))
    discovery.entries.cache_clear()
    try:
        assert data.sniff(tmp_path / "x.theirs")[0] == ("theirs", Sniff(1.0, "its name"))
        assert "broken" not in dict(data.sniff(tmp_path / "x.theirs"))
        opened: object = data.open(DataRecipe(source=str(tmp_path / "x.theirs")))
        assert opened == "found"
    finally:
        discovery.entries.cache_clear()
