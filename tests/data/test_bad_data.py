"""Bad data: each case ends in one line that names the file or field and says what to do; nothing else is raised."""

from __future__ import annotations

import gzip
import io
import re
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hyperplane import data
from hyperplane.contracts import Split
from hyperplane.data import idx
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers
from tests.nobody import as_nobody

GOOD_ROWS = "".join(f"{i},{i * 0.5},{'ab'[i % 2]}\n" for i in range(20))
HEADER = "a,b,target\n"
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def _jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(makers.noise((64, 64, 3))).save(stream, "JPEG")
    return stream.getvalue()


def _png(width: int, height: int) -> bytes:
    """Return a PNG whose header promises a size, and whose data are short."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def _table(content: str | bytes, **fields: object) -> Callable[[Path], DataRecipe]:
    def make(root: Path) -> DataRecipe:
        file = root / "bad.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return DataRecipe(source=str(file), **fields)  # type: ignore[arg-type]

    return make


def _picture(name: str, content: bytes, **fields: object) -> Callable[[Path], DataRecipe]:
    def make(root: Path) -> DataRecipe:
        makers.class_folders(root, {"cat": 8, "dog": 8})
        (root / "cat" / name).write_bytes(content)
        return DataRecipe(source=str(root), **fields)  # type: ignore[arg-type]

    return make


def _link(root: Path) -> DataRecipe:
    makers.class_folders(root, {"cat": 8, "dog": 8})
    (root / "cat" / "loop.png").symlink_to(root / "cat" / "loop.png")
    return DataRecipe(source=str(root))


def _gone(root: Path) -> DataRecipe:
    makers.class_folders(root, {"cat": 8, "dog": 8})
    (root / "cat" / "gone.png").symlink_to(root / "nowhere.png")
    return DataRecipe(source=str(root))


def _folders(*classes: str, **fields: object) -> Callable[[Path], DataRecipe]:
    def make(root: Path) -> DataRecipe:
        for name in classes:
            makers.class_folders(root / Path(name).parent, {Path(name).name: 6})
        return DataRecipe(source=str(root), **fields)  # type: ignore[arg-type]

    return make


def _flat(root: Path) -> DataRecipe:
    makers.class_folders(root, {"train": 3, "test": 3})
    return DataRecipe(source=str(root))


def _idx(file: str, content: bytes) -> Callable[[Path], DataRecipe]:
    def make(root: Path) -> DataRecipe:
        makers.idx_folder(root, packed=not file.endswith("ubyte"))
        (root / file).write_bytes(content)
        return DataRecipe(source=str(root))

    return make


def _idx_without(file: str) -> Callable[[Path], DataRecipe]:
    def make(root: Path) -> DataRecipe:
        (makers.idx_folder(root) / file).unlink()
        return DataRecipe(source=str(root))

    return make


def _one_idx_file(root: Path) -> DataRecipe:
    return DataRecipe(source=str(makers.idx_folder(root) / "train-images-idx3-ubyte.gz"))


def _cifar(content: bytes) -> Callable[[Path], DataRecipe]:
    def make(root: Path) -> DataRecipe:
        makers.cifar_folder(root)
        (root / "cifar-10-batches-bin" / "data_batch_2.bin").write_bytes(content)
        return DataRecipe(source=str(root))

    return make


def _cifar_without_a_batch(root: Path) -> DataRecipe:
    (makers.cifar_folder(root) / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    return DataRecipe(source=str(root))


def _parquet(root: Path) -> DataRecipe:
    (root / "bad.parquet").write_bytes(b"PAR1" + makers.noise((500,)).tobytes())
    return DataRecipe(source=str(root / "bad.parquet"))


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
FLOAT_TIFF = io.BytesIO()
Image.fromarray(np.linspace(-5, 300, 16, dtype=np.float32).reshape(4, 4)).save(FLOAT_TIFF, "TIFF")
CUT_GZIP = gzip.compress(makers.idx(makers.noise((60, 8, 8))), mtime=0)[:2000]
LONG_GZIP = gzip.compress(makers.idx(makers.noise((60, 8, 8))) + bytes(10**6), mtime=0)
ENORMOUS = gzip.compress(makers.idx(np.zeros((1, 8, 8), np.uint8), shape=(2**32 - 1, 2**32 - 1, 2**32 - 1)))

CASES: dict[str, tuple[Callable[[Path], DataRecipe], str]] = {
    # name: what makes it, and what the message must say
    "empty table": (_table(""), r"bad\.csv: is empty"),
    "table of blank lines": (_table("\n \n\n"), r"bad\.csv: is empty"),
    "header only": (_table(HEADER), r"bad\.csv: has a header and no rows"),
    "no header": (_table("1,2,3\n4,5,6\n"), r"bad\.csv: starts with numbers \('1'\)"),
    "ragged row": (_table(HEADER + GOOD_ROWS + "1,2\n"), r"bad\.csv: line 22: found 2 fields, expected 3"),
    "row too long": (_table(HEADER + "1,2,a,4\n" + GOOD_ROWS), r"bad\.csv: line 2: found 4 fields, expected 3"),
    "unclosed quote": (_table(HEADER + GOOD_ROWS + '"1,2,a\n3,4,b\n'), r"bad\.csv: line 22: has broken quotes"),
    "text after a quote": (_table(HEADER + '"1"x,2,a\n' + GOOD_ROWS), r"bad\.csv: line 2: has broken quotes"),
    "nan": (_table(HEADER + GOOD_ROWS + "nan,2,a\n"), r"line 22, column 'a': found 'nan', expected a finite.*empty"),
    "infinity": (_table(HEADER + GOOD_ROWS + "1,-inf,a\n"), r"line 22, column 'b': found '-inf'"),
    "overflow": (_table(HEADER + GOOD_ROWS + "1,1e999,a\n"), r"line 22, column 'b': found '1e999'"),
    "text among numbers": (_table(HEADER + GOOD_ROWS + "12o,2,a\n"), r"line 22, column 'a': found '12o'.*categories"),
    "missing target column": (
        _table(HEADER + GOOD_ROWS, target="targt"),
        r"bad\.csv: has no column 'targt'; did you mean 'target'\?",
    ),
    "no target named": (_table("a,b,c\n" + GOOD_ROWS), r"which column to predict.*'a', 'b', 'c'.*--data\.target NAME"),
    "duplicate column names": (_table("a,a,target\n" + GOOD_ROWS), r"bad\.csv: has 2 columns named 'a'"),
    "one class only": (_table(HEADER + "1,2,a\n" * 30), r"bad\.csv: has one class only, 'a'"),
    "constant target": (_table(HEADER + "1,2,3.5\n" * 30), r"has '3\.5' in every row of target column 'target'"),
    "no target value": (_table(HEADER + "1,2,\n" * 30), r"no value at all in target column 'target'"),
    "nan target": (_table(HEADER + "1,2,3.5\n2,3,4.5\n1,2,nan\n"), r"line 4, column 'target': found 'nan'"),
    "target of names": (_table(HEADER + "".join(f"1,2,n{i}\n" for i in range(30))), r"has 30 different .*expected cla"),
    "no feature column": (_table("target\n" + "a\nb\n" * 10), r"bad\.csv: has only the target"),
    "undecodable bytes": (_table(HEADER.encode() + b"1,2,\xe9\n"), r"is not UTF-8 text \(byte 0xe9 in line 2\)"),
    "UTF-16": (_table((HEADER + GOOD_ROWS).encode("utf-16")), r"bad\.csv: is not UTF-8"),
    "NUL bytes": (_table(HEADER + "1,2,\0\n"), r"bad\.csv: holds a NUL byte in line 2"),
    "spreadsheet": (_table(b"PK\x03\x04" + bytes(50)), r"bad\.csv: is a zip or spreadsheet file.*save it as CSV"),
    "too few rows": (_table(HEADER + "1,2,a\n2,3,b\n"), r"bad\.csv: has 2 samples in 2 classes, too few"),
    "damaged Parquet": (_parquet, r"bad\.parquet: cannot be read as Parquet"),
    "Parquet that is text": (
        lambda root: DataRecipe(source=str(_named(root / "bad.parquet", b"a,b\n1,2\n"))),
        r"bad\.parquet: is not a Parquet file",
    ),
    "misspelt option": (_table(HEADER + GOOD_ROWS, options={"catgories": ["a"]}), r"did you mean 'categories'\?"),
    "option that names no column": (
        _table(HEADER + GOOD_ROWS, options={"leave_out": ["bb"]}),
        r"data\.options\.leave_out: found 'bb', expected a column",
    ),
    "truncated JPEG": (_picture("cut.jpg", _jpeg()[:1500]), r"cut\.jpg: cannot be decoded .*truncated"),
    "text named .png": (_picture("text.png", b"hello"), r"text\.png: is not a picture, whatever its name says"),
    "picture of 0 bytes": (_picture("zero.jpg", b""), r"zero\.jpg: is empty \(0 bytes\)"),
    "100-megapixel bomb": (_picture("bomb.png", _png(10_000, 10_000)), r"bomb\.png: has 10000 x 10000 pixels"),
    "gigapixel bomb": (_picture("bomb.png", _png(60_000, 60_000)), r"bomb\.png: has more than 170 megapixels"),
    "PNG cut short": (_picture("cut.png", _png(100, 100)), r"cut\.png: cannot be decoded"),
    "PNG of no width": (_picture("none.png", _png(0, 10)), r"none\.png: (is not a picture|cannot be decoded)"),
    "PostScript named .png": (_picture("ps.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"), r"ps\.png: is not a picture"),
    "TIFF of strange numbers": (_picture("deep.tif", FLOAT_TIFF.getvalue()), r"deep\.tif: has pixels from -5 to 300"),
    "link to itself": (_link, r"loop\.png: (cannot be|does not)"),
    "link to nothing": (_gone, r"gone\.png: does not exist"),
    "images and masks read as classes": (
        _folders("images", "masks", format="folder"),
        r"these look like images with masks; .*folder of its own",
    ),
    "one class folder": (_folders("cat"), r"has one class only, 'cat'"),
    "pictures without class folders": (_flat, r"holds no class folders of pictures to train on"),
    "class that is never trained on": (
        _folders("train/cat", "train/dog", "val/cat", "val/fox"),
        r"val/fox: holds pictures of class 'fox', which the training folder lacks",
    ),
    "folder option": (_folders("cat", "dog", options={"size": 3}), r"data\.options: has no option 'size'"),
    "size of 0": (_folders("cat", "dog", size=0), r"data\.size: found 0"),
    "empty folder": (lambda root: DataRecipe(source=str(root)), r"is nothing that a data format reads"),
    "wrong magic": (
        _idx(IMAGES, makers.idx(makers.noise((60, 8, 8)), magic=b"\0\0\x0d\3")),
        r"starts with 00 00 0d 03",
    ),
    "labels given as images": (_idx(IMAGES, makers.idx(makers.noise((60,)))), r"starts with 00 00 08 01, expected"),
    "empty IDX file": (_idx(IMAGES, b""), r"train-images-idx3-ubyte: starts with nothing"),
    "images without labels": (_idx(LABELS, makers.idx(makers.noise((59,)))), r"has 59 labels, but there are 60 images"),
    "too few bytes": (_idx(IMAGES, makers.idx(makers.noise((60, 8, 8)))[:-1]), r"says that it holds 60 x 8 x 8 bytes"),
    "too many bytes": (_idx(IMAGES, makers.idx(makers.noise((60, 8, 8))) + b"x"), r"60 x 8 x 8 bytes, found more"),
    "gzip cut short": (_idx(IMAGES + ".gz", CUT_GZIP), r"train-images-idx3-ubyte\.gz: is cut short"),
    "gzip that holds more": (_idx(IMAGES + ".gz", LONG_GZIP), r"60 x 8 x 8 bytes, found more"),
    "not gzip": (_idx(IMAGES + ".gz", b"hello"), r"cannot be unpacked as gzip"),
    "absurd dimensions": (_idx(IMAGES + ".gz", ENORMOUS), r"4294967295 x 4294967295 x 4294967295 bytes, but it has"),
    "one class of digits": (_idx(LABELS, makers.idx(np.ones(60, np.uint8))), r"has one class only, 1, to train on"),
    "labels never trained on": (
        _idx("t10k-labels-idx1-ubyte", makers.idx(np.full(20, 77, np.uint8))),
        r"t10k-labels.* has labels that no training picture has: '77'",
    ),
    "missing IDX labels": (_idx_without(LABELS + ".gz"), r"train-labels-idx1-ubyte\.gz: does not exist"),
    "one IDX file": (_one_idx_file, r"is one IDX file, expected their folder; give "),
    "CIFAR cut short": (
        _cifar(bytes(3073 * 2 + 5)),
        r"data_batch_2\.bin: has 6,151 bytes, expected a multiple of 3,073",
    ),
    "CIFAR label": (_cifar(b"\x0b" + bytes(3072)), r"data_batch_2\.bin: has label 11 in record 0"),
    "CIFAR file missing": (_cifar_without_a_batch, r"data_batch_3\.bin: does not exist"),
    "no source": (lambda root: DataRecipe(), r"data\.source: names nothing"),
    "NUL in the source": (lambda root: DataRecipe(source="a\0b"), r"data\.source: names nothing"),
    "endless source": (lambda root: DataRecipe(source="a" * 5000), r"name too long"),
    "target of generated points": (
        lambda root: DataRecipe(source="points-region", target="x1"),
        r"data\.target: found 'x1'",
    ),
    "a folder read as a table": (
        lambda root: DataRecipe(source=str(root), format="table"),
        r"is a folder, expected a file",
    ),
    "a file read as a folder": (_table(HEADER + GOOD_ROWS, format="folder"), r"is not a folder, expected one"),
    "a table read as points": (_table(HEADER + GOOD_ROWS, format="points"), r"expected x, y \(or x1, x2\) and a class"),
    "a path read as digits": (_table(HEADER + GOOD_ROWS, format="digits"), r"give their name: digits"),
}


def _named(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("case", CASES)
def test_bad_data_is_named_on_one_line(case: str, tmp_path: Path) -> None:
    make, said = CASES[case]
    root = tmp_path / "set"
    root.mkdir()
    recipe = make(root)
    with pytest.raises(UserError) as caught:
        source = data.open(recipe)
        for split in SPLITS:  # as training and evaluation do
            source.batch(split, range(source.description.splits[split]))
    message = str(caught.value)
    assert re.search(said, message) and message.isprintable() and "; " in message
    try:
        problems = [str(problem) for problem in data.check(recipe)]
    except UserError as error:
        problems = [str(error)]
    assert any(re.search(said, problem) for problem in problems)
    assert all(problem.isprintable() for problem in problems)


def test_check_names_everything_that_is_wrong(tmp_path: Path) -> None:
    recipe = _table(HEADER + GOOD_ROWS + "1,2\n1,nan,a\n1,2,a,3\ninf,2,b\n")(tmp_path)
    assert [problem.where.partition("bad.csv: ")[2] for problem in data.check(recipe)] == [
        "line 22",
        "line 24",
        "line 25, column 'a'",
        "line 23, column 'b'",
    ]
    with pytest.raises(UserError, match=r"line 22.*\(1 more: type hyperplane check\)"):
        data.open(recipe)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.parametrize("closed", ["bad.csv", "pets/cat/00.png", "pets/cat", "pets", "pets/cat/nothing"])
def test_what_may_not_be_read_is_named(closed: str, open_folder: Path) -> None:
    makers.class_folders(open_folder / "pets", {"cat": 8, "dog": 8})
    _table(HEADER + GOOD_ROWS)(open_folder)
    source = open_folder / closed.partition("/")[0]
    data.open(DataRecipe(source=str(source)))  # before anything is closed, and so that all is imported
    if closed.endswith("nothing"):
        source, closed = open_folder / closed, "pets"
    mode = (open_folder / closed).stat().st_mode
    (open_folder / closed).chmod(0)
    try:
        with as_nobody(), pytest.raises(UserError) as caught:
            data.open(DataRecipe(source=str(source)))
    finally:
        (open_folder / closed).chmod(mode)
    message = str(caught.value)
    assert closed in message and "permission denied" in message and "chmod" in message and message.isprintable()


@pytest.mark.parametrize(
    "inputs, said",
    [
        ([], "the inputs: no picture found"),
        (b"", "standard input: is empty"),
        (b"hello", "standard input: is not a picture"),
        (["nowhere.png"], r"nowhere\.png: does not exist"),
        (["text.png"], r"text\.png: is not a picture"),
        (["."], "no picture found, expected"),
    ],
)
def test_bad_new_pictures(inputs: list[str] | bytes, said: str, empty_folder: Path) -> None:
    description = data.open(DataRecipe(source="digits")).description
    if inputs != ["."]:
        (empty_folder / "text.png").write_text("hello")
    given_inputs = inputs if isinstance(inputs, bytes) else [Path(path) for path in inputs]
    with pytest.raises(UserError, match=said) as caught:
        data.encode(given_inputs, description).batch()
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "inputs, said",
    [
        ([], "the inputs: there is none"),
        (b"", "standard input: is empty"),
        (b"x1,x2\n", "standard input: has a header and no rows"),
        (b"x1\n1\n", "standard input: lacks 'x2'"),
        (b"x1,x2\n1\n", "line 2: found 1 fields"),
        (b"x1,x2\n1,inf\n", "line 2, column 'x2': found 'inf'"),
        (["nowhere.csv"], r"nowhere\.csv: does not exist"),
        (["."], r"\.: is a folder, expected a CSV"),
    ],
)
def test_bad_new_rows(inputs: list[str] | bytes, said: str, empty_folder: Path) -> None:
    description = data.open(DataRecipe(source="points-separable", options={"samples": 50})).description
    given_inputs = inputs if isinstance(inputs, bytes) else [Path(path) for path in inputs]
    with pytest.raises(UserError, match=said) as caught:
        data.encode(given_inputs, description)
    assert str(caught.value).isprintable()


def test_a_file_that_breaks_while_training_is_named(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.class_folders(tmp_path, {"cat": 8, "dog": 8}))))
    file = source.sample_name("train", 3)
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(UserError, match=f"{file}: is empty"):
        source.batch("train", range(5))


def test_a_file_that_breaks_while_training_is_left_out_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = makers.class_folders(tmp_path, {"cat": 8, "dog": 8})
    source = data.open(DataRecipe(source=str(root), skip_bad=True))
    file, next_one = (source.sample_name("train", index) for index in (3, 4))
    whole = source.batch("train", range(6))
    (root / file).write_bytes((root / file).read_bytes()[:60])
    read = source.batch("train", range(6))
    assert f"{file}: " in capsys.readouterr().err
    assert torch.equal(read["image_BCHW"][3], whole["image_BCHW"][4]) and read.index_B.tolist() == list(range(6))
    others = [0, 1, 2, 4, 5]
    assert torch.equal(read["image_BCHW"][others], whole["image_BCHW"][others])
    assert source.sample_name("train", 3) == next_one and source.show("train", 3) == source.show("train", 4)
    for name in [source.files["train"][i] for i in range(len(source.files["train"]))]:  # pyright: ignore
        (root / name).write_bytes(b"")
    with pytest.raises(UserError, match="is empty"):
        source.batch("train", [0])


QUIET = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
TABLE_BYTES = st.one_of(
    st.binary(max_size=300),
    st.text('ab1,.;\t|"\n\r-?\0é', max_size=200).map(lambda text: text.encode()),
    st.text('ab1,"\n.-', max_size=100).map(lambda text: (HEADER + GOOD_ROWS + text).encode()),
    st.binary(max_size=300).map(lambda content: b"PAR1" + content + b"PAR1"),
)


@QUIET
@given(
    content=TABLE_BYTES, name=st.sampled_from(["t.csv", "t.parquet", "t"]), format=st.sampled_from(["table", "points"])
)
def test_any_bytes_as_a_table_raise_nothing_else(tmp_path: Path, content: bytes, name: str, format: str) -> None:
    (tmp_path / name).write_bytes(content)
    _open_and_check(DataRecipe(source=str(tmp_path / name), format=format))


@QUIET
@given(content=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: _jpeg()[:200] + b)))
def test_any_bytes_as_a_picture_raise_nothing_else(tmp_path: Path, content: bytes) -> None:
    if not (tmp_path / "cat").exists():
        makers.class_folders(tmp_path, {"cat": 4, "dog": 4})
    (tmp_path / "cat" / "x.jpg").write_bytes(content)
    _open_and_check(DataRecipe(source=str(tmp_path)))


@QUIET
@given(
    content=st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda b: b"\0\0\x08\3" + b)),
    packed=st.booleans(),
)
def test_any_bytes_as_idx_raise_nothing_else(tmp_path: Path, content: bytes, packed: bool) -> None:
    file = tmp_path / ("x.gz" if packed else "x")
    file.write_bytes(gzip.compress(content, mtime=0) if packed and len(content) % 2 else content)
    try:
        idx.read_idx(file, 3)
    except UserError as error:
        assert str(error).isprintable()


@QUIET
@given(content=st.binary(max_size=300).map(lambda b: b * 41), extra=st.binary(max_size=3))
def test_any_bytes_as_cifar_raise_nothing_else(tmp_path: Path, content: bytes, extra: bytes) -> None:
    if not (tmp_path / "cifar-10-batches-bin").exists():
        makers.cifar_folder(tmp_path, 3)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin").write_bytes(content[:3073] + extra)
    _open_and_check(DataRecipe(source=str(tmp_path)))


def _open_and_check(recipe: DataRecipe) -> None:
    for step in (data.open, data.check):
        try:
            step(recipe)
        except UserError as error:
            assert str(error).isprintable()
