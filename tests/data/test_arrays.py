"""The binary formats, the digits, and the splits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import data
from hyperplane.contracts import Source, Split
from hyperplane.data.blocks import splits
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers

GOLDEN = {"train": [3, 5, 6, 7, 9, 10], "validation": [0, 1, 2], "test": [4, 8, 11]}


def _everything(source: Source, split: Split) -> torch.Tensor:
    return source.batch(split, range(source.description.splits[split]))["image_BCHW"]


@pytest.mark.parametrize("known", ["mnist", "fashion-mnist"])
def test_mnist_has_the_lectures_split(known: str, shared_data: Path) -> None:
    source = data.open(DataRecipe(source=known))
    assert source.description.splits == {"train": 50_000, "validation": 10_000, "test": 10_000}
    assert source.description.shapes == {"image_BCHW": (1, 28, 28), "label_B": ()}
    assert source.sample_name("validation", 0) == "train-images record 50000"
    train = _everything(source, "train")
    assert abs(float(train.mean())) < 1e-3 and abs(float(train.std()) - 1) < 1e-3


def test_tiny_imagenet_keeps_its_folders_splits(shared_data: Path) -> None:
    source = data.open(DataRecipe(source=str(shared_data / "tiny-imagenet-20")))
    assert source.description.splits == {"train": 7000, "validation": 1000, "test": 0}
    assert source.description.shapes["image_BCHW"] == (3, 64, 64)
    assert len(source.description.classes) == 20


def test_idx_gives_its_pixels_back(tmp_path: Path) -> None:
    for packed in (True, False):
        source = data.open(DataRecipe(source=str(makers.idx_folder(tmp_path / f"set{packed}", packed=packed))))
        assert source.description.splits == {"train": 50, "validation": 10, "test": 20}
        how = source.description.encoding
        restored = source.batch("validation", [3])["image_BCHW"] * how["std"][0] + how["mean"][0]
        expected = makers.noise((60, 8, 8))[53]
        assert np.array_equal(np.rint(restored.numpy()[0, 0] * 255), expected)
        picture = source.show("validation", 3)
        assert isinstance(picture, Image.Image) and np.array_equal(np.asarray(picture), expected)
        assert source.batch("validation", [3])["label_B"].tolist() == [3]


def test_idx_names_labels_that_do_not_start_at_0(tmp_path: Path) -> None:
    makers.idx_folder(tmp_path, packed=False)
    for part, count in (("train", 60), ("t10k", 20)):
        labels = (np.arange(count) % 3 + 7).astype(np.uint8)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(makers.idx(labels))
    source = data.open(DataRecipe(source=str(tmp_path)))
    assert source.description.classes == ("7", "8", "9")
    assert source.batch("train", range(4))["label_B"].tolist() == [0, 1, 2, 0]


def test_idx_spelled_with_a_dot_and_without_a_test_file(tmp_path: Path) -> None:
    makers.idx_folder(tmp_path, packed=False)
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "train-images.idx3-ubyte")
    for file in tmp_path.glob("t10k*"):
        file.unlink()
    assert data.open(DataRecipe(source=str(tmp_path))).description.splits["test"] == 0


def test_cifar_reads_planes_and_holds_the_last_tenth_back(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.cifar_folder(tmp_path))))
    assert source.description.splits == {"train": 45, "validation": 5, "test": 10}
    assert source.sample_name("validation", 1) == "data_batch_5.bin record 6"
    picture = source.show("test", 2)
    record = makers.noise((10, 3073), 5)[2, 1:].reshape(3, 32, 32)
    assert np.array_equal(np.asarray(picture), record.transpose(1, 2, 0))


def test_nothing_validates_where_nobody_asks_for_it(tmp_path: Path) -> None:
    idx, cifar = makers.idx_folder(tmp_path / "idx", packed=False), makers.cifar_folder(tmp_path / "cifar")
    for folder, count in ((idx, 60), (cifar, 50)):
        whole = data.open(DataRecipe(source=str(folder), validation=0.0))
        assert (whole.description.splits["train"], whole.description.splits["validation"]) == (count, 0)
        kept = data.open(DataRecipe(source=str(folder)))
        last, first = kept.sample_name("validation", 0), kept.description.splits["train"]
        assert whole.sample_name("train", first) == last
        assert "nothing validates" in " ".join(whole.description.notes)
        with pytest.raises(UserError, match=r"found 0\.5.*--data\.validation 0"):
            data.open(DataRecipe(source=str(folder), validation=0.5))
    labels = np.sort(np.arange(60) % 6).astype(np.uint8)
    (idx / "train-labels-idx1-ubyte").write_bytes(makers.idx(labels))
    (idx / "t10k-labels-idx1-ubyte").write_bytes(makers.idx(labels[:20]))
    with pytest.raises(UserError, match="labels that no training picture has"):
        data.open(DataRecipe(source=str(idx)))
    assert len(data.open(DataRecipe(source=str(idx), validation=0.0)).description.classes) == 6


def test_digits_are_read_without_importing_scikit_learn() -> None:
    code = (
        "import sys; from hyperplane import data; from hyperplane.recipe import DataRecipe\n"
        "s = data.open(DataRecipe(source='digits')).description\n"
        "print(s.splits, s.shapes['image_BCHW'], 'sklearn' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "{'train': 1258, 'validation': 180, 'test': 359} (1, 8, 8) False"


def test_digits_are_scikit_learns() -> None:
    from sklearn.datasets import load_digits

    source = data.open(DataRecipe(source="digits"))
    published: Any = load_digits()
    where = int(source.sample_name("test", 5).rsplit(" ", 1)[1])
    how = source.description.encoding
    restored = source.batch("test", [5])["image_BCHW"][0, 0].numpy() * how["std"][0] + how["mean"][0]
    assert np.allclose(restored * 16, published["images"][where], atol=1e-4)
    assert source.batch("test", [5])["label_B"].item() == published["target"][where]


def test_pictures_in_memory_are_resized_where_asked(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source="digits", size=16))
    assert source.batch("train", [0])["image_BCHW"].shape == (1, 1, 16, 16)
    with pytest.raises(UserError, match=r"data\.size: found 0"):
        data.open(DataRecipe(source="digits", size=0))


def test_a_split_is_the_same_on_every_machine() -> None:
    """The numbers are SplitMix64's, worked out once: another library version must not change them."""
    assert splits.shuffle_keys(0, 2).tolist() == [0xA706DD2F4D197E6F, 0xB382A305F4414F5E]
    label_N = np.arange(12) % 2
    held = splits.split(DataRecipe(validation=0.25, test=0.25, seed=3), 12, label_N, "test")
    assert {part: which.tolist() for part, which in held.items()} == GOLDEN
    assert sorted(i for which in held.values() for i in which) == list(range(12))


def test_a_split_keeps_every_classs_share_and_trains_on_every_class() -> None:
    label_N = np.repeat([0, 1, 2, 3], [900, 90, 9, 1])
    held = splits.split(DataRecipe(validation=0.1, test=0.2), 1000, label_N, "test")
    counts = {part: np.bincount(label_N[which], minlength=4).tolist() for part, which in held.items()}
    assert counts["test"][:3] == [180, 18, 2] and counts["validation"][:3] == [90, 9, 1]
    assert min(counts["train"]) >= 1
    other = splits.split(DataRecipe(validation=0.1, test=0.2, seed=1), 1000, label_N, "test")
    assert not np.array_equal(held["test"], other["test"])


@pytest.mark.parametrize("validation, test", [(1.0, 0.1), (-0.1, 0.1), (0.5, 0.5), (float("nan"), 0.1)])
def test_shares_that_leave_nothing_are_refused(validation: float, test: float) -> None:
    with pytest.raises(UserError, match=r"^data\.(validation|test): "):
        data.open(DataRecipe(source="digits", validation=validation, test=test))
