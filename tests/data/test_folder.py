"""Folders of pictures, and from a picture to a net's input."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import data
from hyperplane.data.blocks import pictures
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers


def _read(path: Path, channels: int, size: tuple[int, int]) -> np.ndarray:
    return pictures.read(path, channels, size)


def test_classes_splits_and_names(tmp_path: Path) -> None:
    root = makers.class_folders(tmp_path / "pets", {"cat": 20, "dog": 10})
    source = data.open(DataRecipe(source=str(root)))
    assert source.description.name == "pets" and source.description.classes == ("cat", "dog")
    assert source.description.splits == {"train": 21, "validation": 3, "test": 6}
    assert source.description.shapes["image_BCHW"] == (3, 10, 10)
    batch = source.batch("train", torch.tensor([20, 0]))
    assert batch["label_B"].tolist() == [1, 0] and batch.index_B.tolist() == [20, 0]
    assert source.sample_name("train", 20).startswith("dog/")
    everything = source.batch("train", range(21))["image_BCHW"]
    assert float(everything.mean().abs()) < 1e-4 and abs(float(everything.std()) - 1) < 1e-2


def test_train_and_val_folders_are_kept_and_no_test_is_made_up(tmp_path: Path) -> None:
    makers.class_folders(tmp_path / "Train", {"a": 5, "b": 5})
    makers.class_folders(tmp_path / "valid", {"a": 2, "b": 2})
    description = data.open(DataRecipe(source=str(tmp_path))).description
    assert description.splits == {"train": 10, "validation": 4, "test": 0}
    assert any("no test folder" in note for note in description.notes)


def test_validation_comes_from_train_where_only_test_is_given(tmp_path: Path) -> None:
    makers.class_folders(tmp_path / "train", {"a": 10, "b": 10})
    makers.class_folders(tmp_path / "test", {"a": 2, "b": 2})
    splits = data.open(DataRecipe(source=str(tmp_path))).description.splits
    assert splits == {"train": 18, "validation": 2, "test": 4}


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    upright = np.zeros((40, 20), np.uint8)
    upright[:20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    for suffix in ("jpg", "png"):
        file = tmp_path / f"turned.{suffix}"
        Image.fromarray(np.rot90(upright)).save(file, exif=exif)
        assert pictures.read_header(file) == pictures.Header(20, 40, True)
        image_CHW = _read(file, 1, (40, 20))
        assert image_CHW[0, :16].min() > 0.95 and image_CHW[0, 24:].max() < 0.05
        assert pictures.show(file).size == (20, 40)


def test_the_middle_of_the_square_is_kept_where_the_encoding_says_so(tmp_path: Path) -> None:
    grey = np.zeros((60, 100), np.uint8)
    grey[10:50, 30:70] = 255  # two thirds of the middle square
    Image.fromarray(grey).save(tmp_path / "framed.png")
    described = {"mean": [0.0], "std": [1.0], "middle": 2 / 3}
    framed, whole = (
        pictures.read_batch([tmp_path / "framed.png"], (1, 20, 20), {**described, "middle": m}) for m in (2 / 3, 1.0)
    )
    assert framed[0, 0, 1:-1, 1:-1].min() == 1 and whole[0, 0, :2].max() == 0
    assert framed[0, 0].mean() > 0.9 > 0.6 > whole[0, 0].mean()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled_and_not_clipped(tmp_path: Path, suffix: str) -> None:
    deep = np.array([[0, 257, 32768], [65535, 1000, 40000]], np.uint16)
    Image.fromarray(deep).save(tmp_path / f"deep.{suffix}")
    assert np.allclose(_read(tmp_path / f"deep.{suffix}", 1, (2, 3))[0], deep / 65535, atol=1e-6)
    assert np.allclose(_read(tmp_path / f"deep.{suffix}", 3, (2, 3))[2], deep / 65535, atol=1e-6)
    assert np.asarray(pictures.show(tmp_path / f"deep.{suffix}")).tolist() == [[0, 1, 128], [255, 4, 156]]


def test_transparent_palette_and_cmyk_pictures(tmp_path: Path) -> None:
    clear = np.zeros((4, 4, 4), np.uint8)
    clear[:2] = (255, 0, 0, 255)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert _read(tmp_path / "clear.png", 3, (4, 4))[:, 3, 0].tolist() == [1, 1, 1]
    assert _read(tmp_path / "clear.png", 3, (4, 4))[:, 0, 0].tolist() == [1, 0, 0]
    Image.new("RGB", (4, 4), "red").quantize(4).save(tmp_path / "palette.png")
    assert _read(tmp_path / "palette.png", 3, (4, 4))[:, 0, 0].tolist() == [1, 0, 0]
    assert not pictures.read_header(tmp_path / "palette.png").grey
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "print.tif")
    assert _read(tmp_path / "print.tif", 3, (4, 4))[:, 0, 0].tolist() == [1, 0, 0]


def test_grey_and_colour_together_become_colour_and_are_noted(tmp_path: Path) -> None:
    root = makers.class_folders(tmp_path, {"a": 8, "b": 8})
    Image.fromarray(makers.noise((10, 10))).save(root / "a" / "grey.png")
    description = data.open(DataRecipe(source=str(root))).description
    assert description.shapes["image_BCHW"][0] == 3
    assert any("1 of 17 pictures are grey" in note for note in description.notes)


def test_mixed_sizes_are_cropped_to_the_middle_and_noted(tmp_path: Path) -> None:
    root = makers.class_folders(tmp_path, {"a": 8, "b": 8}, size=(100, 80))
    bars = np.zeros((50, 100), np.uint8)
    bars[:, 25:75] = 255
    Image.fromarray(bars).save(root / "a" / "bars.png")
    assert _read(root / "a" / "bars.png", 1, (50, 50)).min() == 1
    source = data.open(DataRecipe(source=str(root)))
    assert source.description.shapes["image_BCHW"] == (3, 64, 64)
    assert any("2 different sizes" in note for note in source.description.notes)
    assert data.open(DataRecipe(source=str(root), size=20)).description.shapes["image_BCHW"] == (3, 20, 20)


def test_what_is_no_picture_is_left_alone_and_loops_end(tmp_path: Path) -> None:
    root = makers.class_folders(tmp_path, {"a": 8, "b": 8})
    (root / "a" / "notes.txt").write_text("hello")
    (root / "a" / "Thumbs.db").write_bytes(b"litter")
    (root / ".hidden").mkdir()
    (root / "a" / "loop").symlink_to(root / "a")
    description = data.open(DataRecipe(source=str(root))).description
    assert sum(description.splits.values()) == 16
    assert any("a/notes.txt" in note for note in description.notes)
    assert not any("Thumbs" in note for note in description.notes)


def test_bad_files_are_left_out_and_named_where_asked(tmp_path: Path) -> None:
    root = makers.class_folders(tmp_path, {"a": 8, "b": 8})
    (root / "a" / "99.png").write_text("no picture")
    whole = io.BytesIO()
    Image.fromarray(makers.noise((60, 60, 3))).save(whole, "JPEG")
    (root / "b" / "98.jpg").write_bytes(whole.getvalue()[:1000])
    with pytest.raises(UserError, match=r"99\.png.*--data\.skip-bad"):
        data.open(DataRecipe(source=str(root)))
    assert [Path(p.where).name for p in data.check(DataRecipe(source=str(root)))] == ["99.png", "98.jpg"]
    description = data.open(DataRecipe(source=str(root), skip_bad=True)).description
    assert sum(description.splits.values()) == 16
    assert any("99.png" in note and "98.jpg" in note for note in description.notes)


def test_a_source_travels_to_worker_processes_and_gives_the_same(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.class_folders(tmp_path, {"a": 8, "b": 8}))))
    there = pickle.loads(pickle.dumps(source))
    again = there.batch("train", [1, 5])["image_BCHW"]
    assert torch.equal(again, source.batch("train", [1, 5])["image_BCHW"])


def test_new_pictures_are_read_batch_by_batch(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.class_folders(tmp_path / "train", {"a": 8, "b": 8}))))
    new = makers.class_folders(tmp_path / "new", {"x": 3, "y": 2}, size=(20, 30))
    encoded = data.encode([new, new / "x" / "00.png"], source.description)
    assert len(encoded) == 6 and encoded.names[0].endswith("x/00.png")
    sizes = [batch["image_BCHW"].shape for batch in encoded.batches(4)]
    assert sizes == [(4, 3, 10, 10), (2, 3, 10, 10)]
    assert torch.equal(encoded.batch()["image_BCHW"][0], encoded.batch()["image_BCHW"][5])
    picture = encoded.show(0)
    assert isinstance(picture, Image.Image) and picture.size == (20, 30)


def test_a_picture_from_standard_input_is_the_picture_of_its_file(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source=str(makers.class_folders(tmp_path, {"a": 8, "b": 8}))))
    file = tmp_path / source.sample_name("test", 0)
    encoded = data.encode(file.read_bytes(), source.description)
    assert encoded.names == ("stdin",)
    assert torch.equal(encoded.batch()["image_BCHW"], source.batch("test", [0])["image_BCHW"])


def test_pictures_reach_a_net_trained_on_digits(tmp_path: Path) -> None:
    source = data.open(DataRecipe(source="digits"))
    Image.fromarray(makers.noise((32, 32, 3))).save(tmp_path / "new.png")
    assert data.encode([tmp_path / "new.png"], source.description).batch()["image_BCHW"].shape == (1, 1, 8, 8)


def test_pictures_of_every_size_fit_every_square() -> None:
    """A box that rounding puts outside of the picture by 1e-15 is refused by Pillow."""
    planes = {(w, h): Image.new("L", (w, h)) for w in range(1, 60, 2) for h in range(1, 60, 3)}
    for side in (1, 8, 28, 47, 64):
        for plane in planes.values():
            assert pictures.fit(plane, side, side).size == (side, side)
