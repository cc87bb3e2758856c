"""Images with masks: pairing, what values mean, splits, crops, and what is named as wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import data
from hyperplane.data.blocks import graph_files, labels, pairs
from hyperplane.data.blocks.graphs import of_polylines
from hyperplane.data.masks import MaskSource
from hyperplane.engine.chance import generator
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers


def opened(root: Path, *, validation: float = 0.1, **options: Any) -> MaskSource:
    source = data.open(DataRecipe(source=str(root), validation=validation, options=options))
    assert isinstance(source, MaskSource)
    return source


def save(file: Path, pixels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def lay(root: Path, count: int, image: str, mask: str) -> None:
    """Write images and masks to where the patterns say."""
    for k in range(count):
        pixels, classes = makers.image_and_mask(k)
        save(root / image.format(f"{k:02d}"), pixels)
        save(root / mask.format(f"{k:02d}"), classes)


def test_whole_images_with_their_masks(tmp_path: Path) -> None:
    source = opened(makers.mask_folders(tmp_path / "roads"))
    described = source.description
    assert described.splits == {"train": 9, "validation": 1, "test": 2} and source.drawn == ()
    assert described.shapes == {"image_BCHW": (3, 20, 20), "mask_BHW": (20, 20)}
    assert described.classes == ("background", "foreground")
    assert sum(described.class_counts) == 9 * 400 and described.class_counts[1] == 9 * 30
    batch = source.batch("test", [1, 0])
    file = tmp_path / "roads" / source.sample_name("test", 1)
    _, mask = makers.image_and_mask(int(file.stem))
    assert torch.equal(batch["mask_BHW"][0], torch.from_numpy(mask // 255).long())
    assert source.show("test", 1).size == (20, 20)
    everything = source.batch("train", range(9))["image_BCHW"]
    assert float(everything.mean().abs()) < 1e-4 and abs(float(everything.std()) - 1) < 1e-2


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{:02d}.jpg", "{:02d}_mask.png"),
        ("{:02d}_sat.jpg", "{:02d}_gt.png"),
        ("satImage_{:03d}.png", "satImage_{:03d}.png"),
        ("img-{:d}.png", "label-{:d}.png"),
        ("city{:03d}.png", "plan of city{:03d} v2.tif"),
        ("area one/{:d}_image.png", "area one/{:d}_ground_truth.png"),
        ("photo{:d}of40.png", "drawn-{:03d}.png"),
        ("A_{:03d}x.png", "b{:04d}.png"),
    ],
)
def test_names_are_paired(tmp_path: Path, image: str, mask: str) -> None:
    makers.mask_folders(tmp_path, 12, image, mask)
    paired = pairs.pair(tmp_path)
    assert [(a.name, b.name) for a, b in paired.pairs["train"]] == [
        (Path(image.format(k)).name, Path(mask.format(k)).name) for k in range(12)
    ]
    assert not paired.lone_images and not paired.lone_masks


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.png", "labels/{}.png"),
        ("Images/{}.jpg", "Annotations/{}.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("img/{}.png", "ground truth/{}.png"),
        ("images/{}_training.png", "1st_manual/{}_manual1.gif"),
        ("data/{}.png", "masks/{}.png"),
        ("{}.jpg", "{}_mask.png"),
        ("{}_sat.jpg", "{}_gt.tif"),
        ("roads/images/{}.png", "roads/masks/{}.png"),
    ],
)
def test_folders_are_found_as_people_lay_them_out(tmp_path: Path, image: str, mask: str) -> None:
    lay(tmp_path, 12, image, mask)
    assert data.look(DataRecipe(source=str(tmp_path)))[0] == "masks"
    assert opened(tmp_path).description.splits == {"train": 9, "validation": 1, "test": 2}
    assert not data.check(DataRecipe(source=str(tmp_path)))
    both = [(a.stem[:2], b.stem[:2]) for a, b in pairs.pair(tmp_path).pairs["train"]]
    assert both == [(f"{k:02d}", f"{k:02d}") for k in range(12)]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{part}/images/{}.png", "{part}/masks/{}.png"),
        ("images/{part}/{}.png", "masks/{part}/{}.png"),
        ("{part}/{}.png", "{part}_labels/{}.png"),
        ("{part}_images/{}.png", "{part}_masks/{}.png"),
        ("{part}/{}.png", "{part}annot/{}.png"),
        ("{part}/{}_sat.jpg", "{part}/{}_mask.png"),
        ("set/{part}/images/{}.png", "set/{part}/gt/{}.png"),
    ],
)
def test_splits_are_found_as_people_lay_them_out(tmp_path: Path, image: str, mask: str) -> None:
    for part, count in (("train", 5), ("val", 3), ("test", 2)):
        lay(tmp_path, count, *(text.replace("{part}", part) for text in (image, mask)))
    assert opened(tmp_path).description.splits == {"train": 5, "validation": 3, "test": 2}


def test_masks_may_be_networks_that_are_drawn(tmp_path: Path) -> None:
    for k in range(8):
        save(tmp_path / "images" / f"{k}.png", makers.noise((40, 50, 3), k))
        roads = tmp_path / "roads" / f"{k}.wkt"
        roads.parent.mkdir(exist_ok=True)
        roads.write_text(f"LINESTRING (0 {10 + k}.5, 50 {10 + k}.5)\n", "utf-8")
    network = of_polylines([np.array([(0, 20.5), (50, 20.5)])])
    (tmp_path / "roads" / "7.wkt").unlink()
    (tmp_path / "roads" / "7.geojson").write_text(graph_files.geojson(network), "utf-8")
    assert data.look(DataRecipe(source=str(tmp_path)))[0] == "masks"
    source = opened(tmp_path, every=4, width=5, validation=0.0)
    assert source.description.notes[0].startswith("8 masks are networks, drawn 5 pixels wide; for another width")
    assert source.sample_name("test", 0) == "images/3.png" and source.sample_name("test", 1) == "images/7.png"
    for index, row in ((0, 13), (1, 20)):
        mask_HW = source.batch("test", [index])["mask_BHW"][0]
        assert torch.nonzero(mask_HW.any(1))[:, 0].tolist() == list(range(row - 2, row + 3)) and mask_HW[row].all()
    (tmp_path / "roads" / "7.geojson").write_text('{"type": "LineString", "coordinates": [[3.1, 47.2], [3.2, 47.2]]}')
    (problem,) = data.check(DataRecipe(source=str(tmp_path)))
    assert "7.geojson is in longitude and latitude" in problem.what and "put a GeoTIFF there" in problem.next
    with pytest.raises(UserError, match=r"data\.options\.width: found 0, expected 1 to 1024 pixels"):
        opened(tmp_path, width=0)


def test_class_folders_are_no_masks_whatever_they_are_called(tmp_path: Path) -> None:
    makers.class_folders(tmp_path, {"mask": 6, "no_mask": 6}, (48, 48))
    assert data.look(DataRecipe(source=str(tmp_path)))[0] == "folder"
    makers.class_folders(tmp_path / "signs", {"label": 4, "mask": 4, "target": 4}, (48, 48))
    assert data.look(DataRecipe(source=str(tmp_path / "signs")))[0] == "folder"
    pile = tmp_path / "no_mask"
    save(pile / "mask.png", makers.noise((5, 5)))
    assert data.sniff(pile)[0][0] == "folder" and data.sniff(pile)[0][1].score == 0.2


def test_folders_that_may_be_masks_are_told_and_two_folders_of_masks_refused(tmp_path: Path) -> None:
    lay(tmp_path / "a", 6, "input/{}.png", "output/{}.png")
    notes = " ".join(data.open(DataRecipe(source=str(tmp_path / "a"))).description.notes)
    assert "'input' and 'output' hold files of the same names, grey in the latter alone" in notes
    lay(tmp_path / "b", 6, "images/{}.png", "masks/{}.png")
    lay(tmp_path / "b", 6, "images/{}.png", "labels/{}.png")
    with pytest.raises(UserError, match=r"b: has several folders of masks, 'labels', 'masks', expected one; move the"):
        opened(tmp_path / "b")
    for file in (tmp_path / "b" / "labels").iterdir():
        file.rename(file.with_suffix(".txt"))
    assert opened(tmp_path / "b").description.splits["train"] == 4


def test_what_has_no_partner_is_left_out_and_named(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    save(root / "images" / "alone.png", makers.noise((20, 20, 3)))
    save(root / "masks" / "lonely.png", makers.noise((20, 20)))
    (root / "masks" / "readme.txt").write_text("hello")
    notes = " ".join(opened(root).description.notes)
    assert "without a mask were left out: 'images/alone.png'" in notes and "'masks/lonely.png'" in notes
    assert "'masks/readme.txt'" in notes
    told = [str(problem) for problem in data.check(DataRecipe(source=str(root)))]
    assert len(told) == 2 and "alone.png: has no mask" in told[0] and "lonely.png: has no image" in told[1]


def test_sizes_that_differ_are_refused_with_both_names(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    save(root / "masks" / "03.png", makers.image_and_mask(3, 20, 19)[1])
    with pytest.raises(UserError, match=r"images/03\.png: has 20 x 20 pixels, but its mask .*masks/03\.png 19 x 20"):
        opened(root)
    assert [Path(p.where).name for p in data.check(DataRecipe(source=str(root)))] == ["03.png"]


def test_folders_without_a_pair_say_what_they_hold(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.png", makers.noise((5, 5)))
    save(tmp_path / "masks" / "b.png", makers.noise((5, 5)))
    save(tmp_path / "masks" / "c.png", makers.noise((5, 5)))
    with pytest.raises(UserError, match=r"images such as 'a\.png' and masks such as 'b\.png', 'c\.png', and no pair"):
        opened(tmp_path)


def test_grey_masks_are_cut_at_half_and_it_is_said(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path, mask="{:02d}.jpg", height=40, width=40)
    source = opened(root)
    assert any("cut at half: from 128 on" in note for note in source.description.notes)
    mask_HW = source.batch("train", [0])["mask_BHW"][0]
    grey = np.asarray(Image.open(root / "masks" / (Path(source.sample_name("train", 0)).stem + ".jpg")))
    assert torch.equal(mask_HW, torch.from_numpy(grey >= 128).long())


def test_values_between_black_and_white_are_listed_with_counts(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    odd = makers.image_and_mask(3)[1]
    odd[0, :3], odd[1, 0] = 7, 200
    save(root / "masks" / "03.png", odd)
    source = opened(root)
    assert source.description.classes == ("background", "foreground")
    assert any("7: 3, 200: 1" in note for note in source.description.notes)
    (problem,) = data.check(DataRecipe(source=str(root)))
    assert problem.where.endswith("03.png") and "7: 3, 200: 1" in problem.what
    assert opened(root, mask="classes").description.classes == ("0", "7", "200", "255")


def test_few_values_are_classes_and_255_is_not_judged(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    for k in range(12):
        classes = makers.noise((20, 20), k) % 3
        classes[0] = 255
        save(root / "masks" / f"{k:02d}.png", classes)
    source = opened(root)
    assert source.description.classes == ("0", "1", "2") and sum(source.description.class_counts) == 9 * 380
    assert set(source.batch("train", [0])["mask_BHW"].unique().tolist()) == {0, 1, 2, 255}
    assert any("255 are 240 pixels" in note for note in source.description.notes)


def test_colours_and_palettes_are_classes(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 0, 255)], np.uint8)
    for k in range(12):
        save(root / "masks" / f"{k:02d}.png", colours[makers.noise((20, 20), k) % 3])
    assert opened(root).description.classes == ("0", "#0000ff", "#ff0000")
    for k in range(12):
        drawn = Image.fromarray(makers.noise((20, 20), k) % 3, "P")
        drawn.putpalette(colours.tobytes())
        drawn.save(root / "masks" / f"{k:02d}.png")
    assert opened(root).description.classes == ("0", "1", "2")


def test_the_foreground_may_be_dark(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    for k in range(12):
        save(root / "masks" / f"{k:02d}.png", 255 - makers.image_and_mask(k)[1])
    light, dark = opened(root), opened(root, foreground="dark")
    assert any("type: --data.foreground dark" in note for note in light.description.notes)
    assert torch.equal(light.batch("test", [0])["mask_BHW"], 1 - dark.batch("test", [0])["mask_BHW"])
    assert dark.description.class_counts == light.description.class_counts[::-1]


def test_empty_masks_are_named_and_masks_that_are_all_empty_refused(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path)
    save(root / "masks" / "03.png", np.zeros((20, 20), np.uint8))
    assert any("1 mask is empty: 'masks/03.png'" in note for note in opened(root).description.notes)
    for k in range(12):
        save(root / "masks" / f"{k:02d}.png", np.zeros((20, 20), np.uint8))
    with pytest.raises(UserError, match="hold one value alone, 0, in all 4,800 pixels"):
        opened(root)


def test_every_fourth_is_held_out_by_name(tmp_path: Path) -> None:
    source = opened(makers.mask_folders(tmp_path, 12, "{:d}.png", "{:d}.png"), every=4)
    assert [source.sample_name("test", k) for k in range(3)] == ["images/3.png", "images/7.png", "images/11.png"]
    assert source.description.splits == {"train": 8, "validation": 1, "test": 3}


def test_folders_of_splits_are_kept(tmp_path: Path) -> None:
    makers.mask_folders(tmp_path / "a" / "train", 6)
    makers.mask_folders(tmp_path / "a" / "test", 3)
    assert opened(tmp_path / "a").description.splits == {"train": 5, "validation": 1, "test": 3}
    for part, count in (("train", 5), ("val", 2)):
        makers.mask_folders(tmp_path / part, count)
        for folder in ("images", "masks"):
            (tmp_path / "b" / folder).mkdir(parents=True, exist_ok=True)
            (tmp_path / part / folder).rename(tmp_path / "b" / folder / part)
    assert opened(tmp_path / "b").description.splits == {"train": 5, "validation": 2, "test": 0}


def test_crops_depend_on_the_generator_alone_and_hold_image_and_mask_alike(tmp_path: Path) -> None:
    source = opened(makers.mask_folders(tmp_path, height=30, width=45), crop=20)
    assert source.drawn == ("train",) and source.description.splits["train"] == 9 * 6
    drawn = [source.batch("train", range(54), generator(0, "a step", step)) for step in (0, 0, 1)]
    assert torch.equal(drawn[0]["image_BCHW"], drawn[1]["image_BCHW"])
    assert not torch.equal(drawn[0]["image_BCHW"], drawn[2]["image_BCHW"])
    fixed = source.batch("train", range(6))
    assert source.sample_name("train", 0) == source.sample_name("train", 5) != source.sample_name("train", 6)
    number = int(Path(source.sample_name("train", 0)).stem)
    mask_HW = torch.from_numpy(makers.image_and_mask(number, 30, 45)[1] // 255).long()
    assert torch.equal(fixed["mask_BHW"][0], mask_HW[:20, :20])
    assert torch.equal(fixed["mask_BHW"][5], mask_HW[10:, 25:])
    line = drawn[0]["mask_BHW"].bool()
    level_BHW = drawn[0]["image_BCHW"].mean(1)
    assert level_BHW[line].min() > level_BHW[~line].mean(), "the mask lies where the image is lighter"
    whole = source.batch("validation", [0])
    assert whole["image_BCHW"].shape == (1, 3, 30, 45)


def test_images_of_differing_sizes_and_of_one_pixel(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path, 10, height=30, width=40)
    for k in (4, 7):
        pixels, classes = makers.image_and_mask(k, 50, 20)
        save(root / "images" / f"{k:02d}.png", pixels)
        save(root / "masks" / f"{k:02d}.png", classes)
    save(root / "images" / "09.png", np.full((1, 1, 3), 9, np.uint8))
    save(root / "masks" / "09.png", np.full((1, 1), 255, np.uint8))
    source = opened(root, every=5)
    assert source.description.shapes["mask_BHW"] == (50, 40) and source.drawn == ("train", "test") and source.piece == 1
    one = source.batch("test", [1])
    assert one["image_BCHW"].shape == (1, 3, 1, 1) and one["mask_BHW"].tolist() == [[[1]]]
    both = source.batch("test", [0, 1])
    assert both["mask_BHW"].shape == (2, 50, 20)
    assert (both["mask_BHW"][1] == labels.IGNORED).sum() == 999
    assert (both["image_BCHW"][1] == both["image_BCHW"][1, :, :1, :1]).all(), "the edge is repeated"
    crops = source.batch("train", range(source.description.splits["train"]), generator(0, "a step"))
    assert crops["image_BCHW"].shape[1:] == (3, 50, 40)


def test_large_images_are_cut_into_tiles(tmp_path: Path) -> None:
    root = makers.mask_folders(tmp_path, 1, height=400, width=1100)
    source = opened(root, crop=128, every=3, validation=0.0)
    pieces = [piece for part in source.pieces.values() for piece in part]
    assert len(pieces) == 3 and sum(piece.height * piece.width for piece in pieces) == 400 * 1100
    name = source.sample_name("test", 0)
    piece = source.pieces["test"][0]
    assert name == f"images/00.png (rows 0 to 400, columns {piece.left} to {piece.left + piece.width})"
    mask_HW = torch.from_numpy(makers.image_and_mask(0, 400, 1100)[1] // 255).long()
    assert torch.equal(source.batch("test", [0])["mask_BHW"][0], mask_HW[:, piece.left : piece.left + piece.width])


def test_new_pictures_keep_their_size(tmp_path: Path) -> None:
    source = opened(makers.mask_folders(tmp_path / "train"))
    save(tmp_path / "new" / "a.png", makers.noise((7, 9, 3)))
    save(tmp_path / "new" / "b.png", makers.noise((11, 5, 3)))
    batch = data.encode([tmp_path / "new"], source.description).batch()
    assert batch["image_BCHW"].shape == (2, 3, 11, 9) and batch["size_B2"].tolist() == [[7, 9], [11, 5]]


def test_other_data_are_evaluated_in_the_order_of_the_nets_classes(tmp_path: Path) -> None:
    one, other = makers.mask_folders(tmp_path / "one"), makers.mask_folders(tmp_path / "other", height=30)
    for k in range(12):
        save(one / "masks" / f"{k:02d}.png", np.array([0, 3, 7], np.uint8)[makers.noise((20, 20), k) % 3])
        save(other / "masks" / f"{k:02d}.png", np.array([3, 7], np.uint8)[makers.noise((30, 20), k) % 2])
    like, own = opened(one).description, opened(other)
    read = own.encoded_as(like)
    assert read.description.classes == ("0", "3", "7") and read.description.encoding == like.encoding
    assert torch.equal(read.batch("test", [0])["mask_BHW"], own.batch("test", [0])["mask_BHW"] + 1)
    with pytest.raises(UserError, match="classes that the net was not trained on: '0'"):
        opened(one).encoded_as(own.description)
    roads = replace(own.description, classes=("background", "road"))
    assert own.encoded_as(roads).description.classes == ("background", "road")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"crop": 0}, r"data\.options\.crop: found 0"),
        ({"every": 1}, r"data\.options\.every: found 1"),
        ({"every": 40}, "too few to hold out every 40th"),
        ({"foreground": "bright"}, "expected one of light, dark"),
    ],
)
def test_options_out_of_range(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        opened(makers.mask_folders(tmp_path), **options)


def test_a_known_set_that_nothing_fetches_says_where_it_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERPLANE_DATA", str(tmp_path))
    monkeypatch.setenv("HYPERPLANE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"roads-aerial: its files are not in .*put them there"):
        data.open(DataRecipe(source="roads-aerial"), download=True)
    makers.mask_folders(tmp_path / "membranes")
    dark = data.open(DataRecipe(source="membranes"))
    assert dark.description.classes == ("cell", "membrane") and dark.description.name == "membranes"
    light = opened(tmp_path / "membranes")
    assert dark.description.class_counts == light.description.class_counts[::-1]
