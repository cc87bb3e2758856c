"""CIFAR-10's binary files: 32 x 32 colour pictures of ten classes (Krizhevsky, 2009).

Shape suffixes: N records, C channels, H and W pixels.

A record is a label byte and 3,072 bytes of pixels: a red, a green and a blue plane, row by row. The last tenth of
data_batch_1 to data_batch_5 (5,000 of the published set) validates, or with `data.validation` 0 trains as well;
test_batch tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hyperplane.contracts import Description, Problem, Sniff, Split
from hyperplane.data.blocks import arrays, files, pictures
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known, Remote
from hyperplane.data.blocks.problems import Refusal, name, options, quote, stop
from hyperplane.recipe import DataRecipe

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHAPE = (3, 32, 32)
RECORD = 1 + 3072

KNOWN: dict[str, Known] = {
    "cifar-10": Known(
        "50,000 + 10,000 colour pictures of ten classes, 32 x 32",
        "cifar-10",
        (
            Remote(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                tuple(f"{FOLDER}/{file}" for file in (*TRAIN, TEST, "batches.meta.txt")),
            ),
        ),
        CLASSES,
    )
}


def sniff(path: Path) -> Sniff:
    """Say how sure it is that a path holds CIFAR-10's binary files, and why."""
    folder = _folder(path)
    found = [file for file in (*TRAIN, TEST) if (folder / file).is_file()]
    if len(found) == 6:
        return Sniff(1.0, "data_batch_1.bin to data_batch_5.bin and test_batch.bin")
    return Sniff(0.6, f"{len(found)} of CIFAR-10's six files") if found else Sniff(0.0, "holds no data_batch_1.bin")


def open(path: Path, recipe: DataRecipe) -> arrays.ArraySource:
    """Return the pictures: image_BCHW of (3, 32, 32) and label_B; raises UserError for a damaged file."""
    options(recipe.options, {})
    problems: list[Problem] = []
    batches = _read(path, problems)
    stop(problems)
    folder = _folder(path)
    train, validation, note = arrays.held_back(arrays.join([batches[file] for file in TRAIN]), 10, recipe)
    held: dict[Split, arrays.Pixels] = {"train": train, "validation": validation, "test": batches[TEST]}
    return arrays.source(
        recipe,
        held,
        name=recipe.source if recipe.source in KNOWN else path.resolve().name,
        format="cifar",
        classes=CLASSES,
        hashes={file: files.sha256(folder / file) for file in (*TRAIN, TEST)},
        notes=[note],
    )


def check(path: Path, recipe: DataRecipe) -> list[Problem]:
    """Return everything that is wrong with the six files."""
    options(recipe.options, {})
    problems: list[Problem] = []
    _read(path, problems)
    return problems


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return pictures as inputs of a net trained on these."""
    return pictures.encode(inputs, description)


def _folder(path: Path) -> Path:
    return path / FOLDER if (path / FOLDER).is_dir() else path


def _read(path: Path, problems: list[Problem]) -> dict[str, arrays.Pixels]:
    """Return each file's records; what is wrong is added to `problems`."""
    batches: dict[str, arrays.Pixels] = {}
    for file in (*TRAIN, TEST):
        try:
            batches[file] = _read_file(_folder(path) / file)
        except Refusal as refusal:
            problems.append(refusal.problem)
    if not problems and sum(len(batches[file].label_N) for file in TRAIN) < 2:
        problems.append(Problem(name(path), "has one record to train on, expected more", "fetch the files again"))
    return batches


def _read_file(file: Path) -> arrays.Pixels:
    content = np.frombuffer(files.read(file), np.uint8)
    if not len(content) or len(content) % RECORD:
        what = f"has {len(content):,} bytes, expected a multiple of {RECORD:,} (a label and 32 x 32 x 3 pixels)"
        raise Refusal(file, what, "fetch it again")
    record_ND = content.reshape(-1, RECORD)
    wrong = np.flatnonzero(record_ND[:, 0] >= len(CLASSES))
    if len(wrong):
        what = f"has label {record_ND[wrong[0], 0]} in record {wrong[0]}, expected {quote(0)} to {quote(9)}"
        raise Refusal(file, what, "fetch it again")
    count = len(record_ND)
    return arrays.Pixels(
        record_ND[:, 1:].reshape(count, *SHAPE),
        record_ND[:, 0].astype(np.int64),
        (file.name,),
        np.zeros(count, np.int64),
        np.arange(count),
    )
