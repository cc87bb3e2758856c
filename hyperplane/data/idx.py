"""The IDX files of MNIST and Fashion-MNIST, gzipped or plain: pictures and labels of a training and a test set.

Shape suffixes: N records, H and W pixels.

The layout is LeCun's: two zero bytes, the type (8: unsigned byte), the number of axes, each axis' length as four bytes,
most significant first, then the values. The last sixth of the training file validates: of 60,000 the first 50,000
train and the last 10,000 validate; with `data.validation` 0 all train. The t10k files, where they are there, test.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hyperplane.contracts import Description, Problem, Sniff, Split
from hyperplane.data.blocks import arrays, files, pictures
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known, Remote
from hyperplane.data.blocks.problems import Refusal, name, one_line, options, some, stop, unreadable
from hyperplane.recipe import DataRecipe

MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"

KNOWN: dict[str, Known] = {
    "mnist": Known(
        "60,000 + 10,000 handwritten digits, 28 x 28 (LeCun, Cortes and Burges)",
        "mnist",
        (
            Remote(
                MNIST + "train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            Remote(
                MNIST + "train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            Remote(
                MNIST + "t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            Remote(
                MNIST + "t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        ),
        tuple("0123456789"),
    ),
    "fashion-mnist": Known(
        "60,000 + 10,000 pieces of clothing, 28 x 28 (Zalando)",
        "fashion-mnist",
        (
            Remote(
                FASHION + "train-images-idx3-ubyte.gz",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            Remote(
                FASHION + "train-labels-idx1-ubyte.gz",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            Remote(
                FASHION + "t10k-images-idx3-ubyte.gz",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            Remote(
                FASHION + "t10k-labels-idx1-ubyte.gz",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
}

AXES = {"images": 3, "labels": 1}
DEFLATE_MOST = 1032
"""No deflate stream holds more than this many times its own length."""


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path holds IDX files, and why."""
    if path.is_file() and "-ubyte" in path.name:
        return Sniff(0.3, "one of the IDX files, expected their folder")
    found = [f"{part}-{what}" for part in ("train", "t10k") for what in AXES if _file(path, part, what).is_file()]
    if len(found) == 4:
        return Sniff(1.0, "the four IDX files")
    return (
        Sniff(0.6, f"{' and '.join(found)} as IDX files") if found else Sniff(0.0, "holds no train-images-idx3-ubyte")
    )


def open(path: Path, recipe: DataRecipe) -> arrays.ArraySource:
    """Return the pictures: image_BCHW of (1, H, W) and label_B; raises UserError for a damaged file."""
    options(recipe.options, {})
    problems: list[Problem] = []
    parts = _read(path, recipe, problems)
    stop(problems)
    classes, parts = _named(path, recipe, parts)
    train, validation, note = arrays.held_back(parts["train"], 6, recipe)
    test = parts.get("t10k", train.take(slice(0, 0)))
    held: dict[Split, arrays.Pixels] = {"train": train, "validation": validation, "test": test}
    notes = [note]
    if "t10k" not in parts:
        notes.append("There are no t10k files, so there is no test split.")
    read = [_file(path, part, what) for part in parts for what in AXES]
    return arrays.source(
        recipe,
        held,
        name=recipe.source if recipe.source in KNOWN else path.resolve().name,
        format="idx",
        classes=classes,
        hashes={file.name: files.sha256(file) for file in read},
        notes=notes,
    )


def check(path: Path, recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with the IDX files."""
    options(recipe.options, {})
    problems: list[Problem] = []
    _read(path, recipe, problems)
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return pictures, light on dark as these are, as inputs of a net trained on these."""
    return pictures.encode(inputs, description)


def _file(path: Path, part: str, what: str) -> Path:
    """Return the file that holds a part's images or labels: the spelling that is there, or else the published one."""
    spellings = [f"{part}-{what}{dash}idx{AXES[what]}-ubyte{suffix}" for suffix in ("", ".gz") for dash in ("-", ".")]
    there = [path / spelling for spelling in spellings if (path / spelling).is_file()]
    return there[0] if there else path / f"{part}-{what}-idx{AXES[what]}-ubyte.gz"


def _read(path: Path, recipe: DataRecipe, problems: list[Problem]) -> dict[str, arrays.Pixels]:
    """Return the pictures of train and, where it is there, t10k; what is wrong is added to `problems`."""
    if path.is_file():
        problems.append(Problem(name(path), "is one IDX file, expected their folder", f"give {name(path.parent)}"))
        return {}
    parts: dict[str, arrays.Pixels] = {}
    for part in ("train", "t10k"):
        if part == "t10k" and not any(_file(path, part, what).is_file() for what in AXES):
            continue
        held: dict[str, np.ndarray] = {}
        for what, axes in AXES.items():
            try:
                held[what] = read_idx(_file(path, part, what), axes)
            except Refusal as refusal:
                problems.append(refusal.problem)
        if len(held) == 2:
            image_NHW, label_N = held["images"], held["labels"]
            if len(image_NHW) != len(label_N):
                what = f"has {len(label_N):,} labels, but there are {len(image_NHW):,} images"
                problems.append(Problem(name(_file(path, part, "labels")), what, "fetch both files again"))
            else:
                count = len(label_N)
                origin = (f"{part}-images",), np.zeros(count, np.int64), np.arange(count)
                parts[part] = arrays.Pixels(image_NHW[:, None], label_N.astype(np.int64), *origin)
    if not problems:
        _compare(path, recipe, parts, problems)
    return parts


def _compare(path: Path, recipe: DataRecipe, parts: dict[str, arrays.Pixels], problems: list[Problem]) -> None:
    train = parts["train"]
    seen = np.unique(arrays.held_back(train, 6, recipe)[0].label_N)
    if len(seen) < 2:
        found = f"one class only, {seen[0]}," if len(seen) else "no sample"
        what = f"has {found} to train on, expected two or more classes"
        problems.append(Problem(name(_file(path, "train", "labels")), what, "fetch it again"))
    for part, held in parts.items():
        if held.pixel_NCHW.shape[1:] != train.pixel_NCHW.shape[1:]:
            sizes = [" x ".join(map(str, p.pixel_NCHW.shape[:1:-1])) for p in (held, train)]
            what = f"has pictures of {sizes[0]} pixels, but those to train on have {sizes[1]}"
            problems.append(Problem(name(_file(path, part, "images")), what, "fetch both files again"))
        unseen = np.setdiff1d(held.label_N, seen)
        if len(seen) > 1 and len(unseen):
            what = f"has labels that no training picture has: {some(unseen)}"
            problems.append(Problem(name(_file(path, part, "labels")), what, "fetch it again"))


def _named(
    path: Path, recipe: DataRecipe, parts: dict[str, arrays.Pixels]
) -> tuple[tuple[str, ...], dict[str, arrays.Pixels]]:
    """Return the classes' names, and the parts with labels that count them from 0."""
    known = KNOWN.get(recipe.source) or KNOWN.get(path.resolve().name)
    label_K = np.unique(parts["train"].label_N)
    if known and label_K[-1] < len(known.classes):
        return known.classes, parts
    relabelled = {
        part: arrays.Pixels(
            held.pixel_NCHW, np.searchsorted(label_K, held.label_N), held.files, held.file_N, held.record_N
        )
        for part, held in parts.items()
    }
    return tuple(str(label) for label in label_K), relabelled


def read_idx(file: Path, axes: int) -> np.ndarray:
    """Return the unsigned bytes of an IDX file, uint8 with so many axes.

    Never takes more memory than the header says, and believes no header that the file is too small for. Raises
    UserError for another magic number, and for fewer or more bytes than the header says.
    """
    packed = file.suffix == ".gz"
    try:
        size = file.stat().st_size
        with gzip.open(file) if packed else file.open("rb") as stream:
            head = stream.read(4 + 4 * axes)
            if len(head) < 4 + 4 * axes or head[:4] != bytes((0, 0, 8, axes)):
                what = (
                    f"starts with {head[:4].hex(' ') or 'nothing'}, expected 00 00 08 {axes:02x} (an IDX file of bytes)"
                )
                raise Refusal(file, what, "fetch it again")
            shape = struct.unpack(f">{axes}I", head[4:])
            expected = int(np.prod(shape, dtype=object))
            most = size * DEFLATE_MOST if packed else size - len(head)
            said = " x ".join(map(str, shape))
            if not expected or expected > most:
                what = f"says that it holds {said} bytes, but it has {size:,}{' gzipped' if packed else ' in all'}"
                raise Refusal(file, what, "it is cut short or damaged: fetch it again")
            content = stream.read(expected + 1)
    except EOFError as error:
        raise Refusal(file, "is cut short (the gzip stream ends early)", "fetch it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise Refusal(file, f"cannot be unpacked as gzip ({one_line(error)})", "fetch it again") from error
    except OSError as error:
        raise unreadable(file, error) from error
    if len(content) != expected:
        found = f"{len(content):,}" if len(content) < expected else "more"
        raise Refusal(file, f"says that it holds {said} bytes, found {found}", "fetch it again")
    return np.frombuffer(content, np.uint8).reshape(shape)
