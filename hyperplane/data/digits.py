"""The 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn.

They are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI, 1998). Their file is
read where scikit-learn is installed, without importing it.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from hyperplane.contracts import Description, Problem, Sniff
from hyperplane.data.blocks import arrays, files, pictures, splits
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.files import Known
from hyperplane.data.blocks.problems import Refusal, options
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

KNOWN: dict[str, Known] = {"digits": Known("1,797 handwritten digits, 8 x 8, embedded", classes=tuple("0123456789"))}
SIDE = 8
WHITE = 16.0


def sniff(path: Path) -> Sniff:
    """Say that no path is this set: it has a name."""
    return Sniff(0.0, "is opened by its name, digits")


def open(path: Path | None, recipe: DataRecipe) -> arrays.ArraySource:
    """Return the digits: image_BCHW of (1, 8, 8) and label_B, split class by class by the recipe's shares and seed."""
    if path is not None:
        raise Refusal(path, "is not how the digits are opened", "give their name: digits")
    options(recipe.options, {})
    file = _file()
    pixel_NCHW, label_N = _read(file)
    parts = splits.split(recipe, len(label_N), label_N, "digits")
    everything = arrays.Pixels(
        pixel_NCHW, label_N, ("digits",), np.zeros(len(label_N), np.int64), np.arange(len(label_N))
    )
    return arrays.source(
        recipe,
        {part: everything.take(which) for part, which in parts.items()},
        name="digits",
        format="digits",
        classes=KNOWN["digits"].classes,
        hashes={file.name: files.sha256(file)},
        white=WHITE,
    )


def check(path: Path | None, recipe: DataRecipe) -> list[Problem]:
    """Return what is wrong with scikit-learn's file, if anything."""
    try:
        open(path, recipe)
    except Refusal as refusal:
        return [refusal.problem]
    return []


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return pictures of digits, light on dark, as inputs of a net trained on these."""
    return pictures.encode(inputs, description)


def _file() -> Path:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise UserError("digits: scikit-learn is not installed; type: pip install scikit-learn")
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


def _read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 (N, 1, 8, 8) from 0 to 16, and labels, int64 (N,)."""
    try:
        text = gzip.decompress(files.read(file)).decode("ascii")
        rows_ND = np.array([line.split(",") for line in text.split()], np.float64)
        if rows_ND.shape[1] != SIDE * SIDE + 1 or rows_ND.min() < 0 or rows_ND.max() > WHITE:
            raise ValueError(f"a table of {rows_ND.shape[0]} x {rows_ND.shape[1]}")
    except (ValueError, EOFError, OSError) as error:
        raise Refusal(file, "is damaged", "type: pip install --force-reinstall scikit-learn") from error
    return rows_ND[:, :-1].astype(np.uint8).reshape(-1, 1, SIDE, SIDE), rows_ND[:, -1].astype(np.int64)
