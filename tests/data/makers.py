"""Small data sets, made by the tests that need them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def noise(size: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return random bytes, uint8."""
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def class_folders(root: Path, classes: dict[str, int], size: tuple[int, int] = (10, 10)) -> Path:
    """Write PNGs of random colours into a folder for each class."""
    for k, (label, count) in enumerate(classes.items()):
        (root / label).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(noise((size[1], size[0], 3), 100 * k + i)).save(root / label / f"{i:02d}.png")
    return root


def idx(array: np.ndarray, magic: bytes | None = None, shape: tuple[int, ...] | None = None) -> bytes:
    """Return unsigned bytes as IDX, with another magic number or another shape in the header if given."""
    shape = shape or array.shape
    return (magic or bytes((0, 0, 8, array.ndim))) + struct.pack(f">{len(shape)}I", *shape) + array.tobytes()


def idx_folder(root: Path, train: int = 60, test: int = 20, *, packed: bool = True) -> Path:
    """Write the four files of a small MNIST of 8 x 8 pixels."""
    root.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        for what, content in (
            ("images-idx3", idx(noise((count, 8, 8)))),
            ("labels-idx1", idx(np.arange(count, dtype=np.uint8) % 10)),
        ):
            file = root / f"{part}-{what}-ubyte{'.gz' if packed else ''}"
            file.write_bytes(gzip.compress(content, mtime=0) if packed else content)
    return root


def cifar_folder(root: Path, records: int = 10) -> Path:
    """Write the six files of a small CIFAR-10."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for k, file in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
        record = noise((records, 3073), k)
        record[:, 0] = np.arange(records) % 10
        (folder / file).write_bytes(record.tobytes())
    (folder / "batches.meta.txt").write_text("\n".join("abcdefghij"))
    return root


def animals(path: Path, rows: int = 60) -> Path:
    """Write a table with numbers, a category, missing values and a class."""
    lines = ["legs,weight,colour,animal"]
    for i in range(rows):
        weight = "" if i % 10 == 3 else f"{i * 0.37 + 1:.2f}"
        colour = "NA" if i % 15 == 4 else ("red", "green", "blue")[i % 3]
        lines.append(f"{2 if i % 2 else 4},{weight},{colour},{'bird' if i % 2 else 'cat'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def image_and_mask(seed: int, height: int = 20, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of noise with a lighter line across, and the line, 0 and 255."""
    mask = np.zeros((height, width), np.uint8)
    mask[height // 2, :] = 255
    mask[: height // 2 + 1, seed % width] = 255
    picture = noise((height, width, 3), seed) // 2 + mask[:, :, None] // 3
    return picture.astype(np.uint8), mask


def mask_folders(root: Path, count: int = 12, image: str = "{:02d}.png", mask: str = "{:02d}.png", **size: int) -> Path:
    """Write images/ and masks/, named as the patterns say."""
    for k in range(count):
        pixels, classes = image_and_mask(k, **size)
        for folder, pattern, array in (("images", image, pixels), ("masks", mask, classes)):
            file = root / folder / pattern.format(k)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(file)
    return root
