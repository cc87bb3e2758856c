"""Rasters: windows of large ones, unusual kinds, and coordinates. Needs rasterio."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import data
from hyperplane.data.blocks import graph_files, labels, rasters
from hyperplane.data.blocks.graphs import of_polylines
from hyperplane.data.blocks.projection import to_utm
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers

rasterio = pytest.importorskip("rasterio", reason="needs rasterio: pip install 'hyperplane[geo]'")


def save(file: Path, number_CHW: np.ndarray, **profile: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = number_CHW.shape
    shape = {"count": count, "height": height, "width": width, "dtype": number_CHW.dtype.name}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it lies nowhere
        with rasterio.open(file, "w", driver="GTiff", **shape, **profile) as raster:
            raster.write(number_CHW)
    return file


UTM = {"crs": "EPSG:32611", "transform": rasterio.transform.from_origin(664_000.0, 4_012_000.0, 0.5, 0.5)}


def test_coordinates_in_metres_and_in_degrees(tmp_path: Path) -> None:
    file = save(tmp_path / "city.tif", makers.noise((3, 40, 60)), **UTM)
    lies = rasters.coordinates(file)
    assert lies is not None and lies.crs == "EPSG:32611" and lies.metres_per_pixel == pytest.approx(0.5)
    assert lies.placed(np.array([10.0, 4.0])).tolist() == [664_005.0, 4_011_998.0]
    degrees = lies.geographic(np.array([[10.0, 4.0], [60.0, 40.0]]))
    assert to_utm(degrees, 11) == pytest.approx(lies.placed(np.array([[10.0, 4.0], [60.0, 40.0]])), abs=1e-3)
    west = rasterio.transform.from_origin(-115.2, 36.2, 2.7e-6, 2.7e-6)
    file = save(tmp_path / "vegas.tif", makers.noise((1, 30, 30)), crs="EPSG:4326", transform=west)
    assert rasters.metres_per_pixel(file) == pytest.approx(0.27, abs=0.01)
    plain = save(tmp_path / "plain.tif", makers.noise((1, 30, 30)))
    assert rasters.coordinates(plain) is None
    with pytest.raises(UserError, match=r"plain\.tif: says not where it lies.*; give lengths in pixels"):
        rasters.metres_per_pixel(plain)


def test_a_network_is_placed_where_it_lies(tmp_path: Path) -> None:
    lies = rasters.coordinates(save(tmp_path / "city.tif", makers.noise((3, 40, 60)), **UTM))
    assert lies is not None
    road = of_polylines([np.array([(10.0, 4.0), (50.0, 30.0)])])
    held = json.loads(graph_files.geojson(road, lies))
    (feature,) = held["features"]
    assert held["places"].startswith("longitude") and held["lengths"] == "metres"
    assert feature["properties"]["length"] == pytest.approx(np.hypot(40, 26) / 2, abs=1e-3)
    assert to_utm(np.array(feature["geometry"]["coordinates"]), 11)[0] == pytest.approx(
        np.array([664_005.0, 4_011_998.0]), abs=1e-3
    )
    text = graph_files.graphml(road, lies)
    assert "664005.0" in text and ">EPSG:32611<" in text and ">metres<" in text and ">23.85" in text


@pytest.mark.parametrize(("crs", "side"), [("EPSG:4326", 1e-5), ("EPSG:2263", 3.28084)])
def test_metres_of_rasters_in_degrees_and_in_feet_are_those_of_a_utm_zone(
    crs: str, side: float, tmp_path: Path
) -> None:
    west, north = (-73.9, 40.7) if crs == "EPSG:4326" else (1_000_000.0, 200_000.0)  # New York
    where = rasterio.transform.from_origin(west, north, side, side)
    lies = rasters.coordinates(save(tmp_path / "a.tif", makers.noise((1, 30, 30)), crs=crs, transform=where))
    assert lies is not None and lies.metric_crs == "EPSG:32618"
    road = of_polylines([np.array([(0.0, 10.0), (30.0, 10.0)])])
    text = graph_files.graphml(road, lies)
    assert ">EPSG:32618<" in text and ">metres<" in text
    length = graph_files.edges_of(road, lies).length_E.sum()
    assert length == pytest.approx(
        30 if side > 1 else 30 * 0.8454, rel=0.002
    )  # of an arc of 1e-5 degrees at 40.7 north
    assert lies.metric(np.array([0.0, 0.0]))[1] == pytest.approx(4_500_000, abs=30_000)


@pytest.mark.parametrize("crs", ["EPSG:32611", "EPSG:4326"])
def test_a_network_in_degrees_is_drawn_where_its_picture_lies(crs: str, tmp_path: Path) -> None:
    place = UTM if crs == "EPSG:32611" else {
        "crs": crs, "transform": rasterio.transform.from_origin(-115.2, 36.2, 2.7e-6, 2.7e-6)
    }  # fmt: skip
    road = of_polylines([np.array([(5.0, 8.5), (50.0, 8.5)]), np.array([(20.5, 8.5), (20.5, 36.0)])])
    for name in "abcd":
        lies = rasters.coordinates(save(tmp_path / "images" / f"{name}.tif", makers.noise((3, 40, 60)), **place))
        assert lies is not None
        assert lies.pixels(lies.geographic(road.node_N2)) == pytest.approx(road.node_N2, abs=1e-3)
        (tmp_path / "roads").mkdir(exist_ok=True)
        (tmp_path / "roads" / f"{name}.geojson").write_text(graph_files.geojson(road, lies), "utf-8")
    source = data.open(DataRecipe(source=str(tmp_path), validation=0.0, options={"width": 3}))
    mask_HW = source.batch("train", [0])["mask_BHW"][0]
    assert mask_HW[8, 6:50].all() and mask_HW[9:36, 20].all() and not mask_HW[:6].any() and not mask_HW[:, 55:].any()
    assert 3 * (45 + 26) - 15 < int(mask_HW.sum()) < 3 * (45 + 28) + 15


def test_16_bits_and_many_bands_are_levels(tmp_path: Path) -> None:
    deep = makers.noise((3, 20, 30)).astype(np.uint16) * 257
    level_CHW = rasters.read(save(tmp_path / "deep.tif", deep), 3)
    assert np.allclose(level_CHW, deep / 65535) and rasters.read(tmp_path / "deep.tif", 1).shape == (1, 20, 30)
    assert np.array_equal(rasters.read(tmp_path / "deep.tif", 3, (slice(5, 9), slice(2, 30))), level_CHW[:, 5:9, 2:])
    bands = makers.noise((5, 20, 30)).astype(np.uint16)
    assert np.allclose(rasters.read(save(tmp_path / "bands.tif", bands), 3), bands[:3] / 65535)
    below = save(tmp_path / "below.tif", np.full((2, 8, 8), -3, np.int16))
    with pytest.raises(UserError, match=r"below\.tif: has pixels from -3 to 0 of kind int16"):
        rasters.read(below, 1)


def test_a_large_raster_and_its_mask_are_read_by_windows(tmp_path: Path) -> None:
    pixels, mask = makers.image_and_mask(7, 1500, 3000)
    save(tmp_path / "images" / "city.tif", np.moveaxis(pixels, 2, 0), **UTM)
    save(tmp_path / "masks" / "city.tif", mask[None], **UTM)
    assert rasters.windowed(tmp_path / "images" / "city.tif")
    source = data.open(DataRecipe(source=str(tmp_path), validation=0.0, options={"every": 3, "crop": 64}))
    assert source.description.classes == ("background", "foreground") and source.description.splits["test"] == 6
    name = source.sample_name("test", 1)
    top, bottom, left, right = (
        int(number) for number in name.replace(",", "").replace(")", "").split() if number.isdigit()
    )
    batch = source.batch("test", [1])
    assert np.array_equal(batch["mask_BHW"][0].numpy(), mask[top:bottom, left:right] // 255)
    how = source.description.encoding
    level_CHW = batch["image_BCHW"][0].numpy() * np.reshape(how["std"], (3, 1, 1)) + np.reshape(how["mean"], (3, 1, 1))
    assert np.allclose(level_CHW, np.moveaxis(pixels, 2, 0)[:, top:bottom, left:right] / 255, atol=1e-5)
    assert np.array_equal(
        labels.read(tmp_path / "masks" / "city.tif", (slice(740, 760), slice(0, 9))), mask[740:760, :9]
    )


def test_both_ways_give_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = makers.noise((30, 20, 3))
    clear = np.concatenate([colours, np.repeat(makers.noise((30, 1)) // 128 * 255, 20, 1)[:, :, None]], 2)
    for number, pixels in enumerate((colours, colours[:, :, 0], clear)):
        file = tmp_path / f"{number}.tif"
        Image.fromarray(pixels).save(file)
        for channels in (1, 3):
            plain = rasters.read(file, channels)
            with monkeypatch.context() as patched:
                patched.setattr(rasters, "windowed", lambda path: True)
                assert np.allclose(rasters.read(file, channels), plain, atol=0.003), (number, channels)
                assert rasters.header(file).grey == (number == 1)
                assert rasters.has_gaps(file) == (number == 2)
            assert rasters.has_gaps(file) == (number == 2)


def in_two_ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read small files through Pillow, then through rasterio."""
    yield
    monkeypatch.setattr(rasters, "windowed", lambda path: path.suffix == ".tif")
    yield


def test_where_there_is_no_data_nothing_is_judged_and_the_net_sees_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    makers.mask_folders(tmp_path / "roads", image="{:02d}.tif")
    colours, _ = makers.image_and_mask(3)
    where = np.zeros((20, 20), bool)
    where[:, 5:] = True
    alpha_HW4 = np.dstack([colours, np.where(where, 255, 0).astype(np.uint8)])
    bare = np.moveaxis(np.where(where[..., None], np.maximum(colours, 1), 0), 2, 0)
    for make in (
        lambda file: Image.fromarray(alpha_HW4).save(file),
        lambda file: save(file, np.moveaxis(alpha_HW4, 2, 0), photometric="RGB", alpha="YES"),
        lambda file: save(file, bare.astype(np.uint8), photometric="RGB", nodata=0),
    ):
        file = tmp_path / "roads" / "images" / "03.tif"
        make(file)
        with monkeypatch.context() as patched:
            for _ in in_two_ways(patched):
                known_HW = rasters.known(file)
                assert known_HW is not None and np.array_equal(known_HW, where)
                assert (rasters.read(file, 3)[:, ~where] == 1).all(), "it is shown white"
                assert np.allclose(
                    rasters.read(file, 3)[:, where], np.moveaxis(colours, 2, 0)[:, where] / 255, atol=0.01
                )
                assert np.allclose(rasters.read(file, 3, blank=(0.1, 0.2, 0.3))[:, 0, 0], (0.1, 0.2, 0.3))
        source = data.open(DataRecipe(source=str(tmp_path / "roads"), validation=0.0, options={"every": 4}))
        batch = source.batch("test", [0])
        assert source.sample_name("test", 0) == "images/03.tif"
        assert np.array_equal(batch["mask_BHW"][0].numpy() != labels.IGNORED, where)
        assert batch["image_BCHW"][0][:, ~torch.from_numpy(where)].abs().max() < 1e-5
        assert any("nothing is judged: 'images/03.tif'" in note for note in source.description.notes)


@pytest.mark.parametrize("value", [-9999, 0.5, 300])
def test_a_value_that_no_pixel_can_have_leaves_no_gap(
    value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save(tmp_path / "city.tif", makers.noise((3, 20, 30)) // 2, photometric="RGB")
    with Image.open(file) as image:
        image.save(file, tiffinfo={42113: str(value)})
    for _ in in_two_ways(monkeypatch):
        assert rasters.known(file) is None and not rasters.has_gaps(file)


def test_infrared_that_is_marked_as_alpha_is_a_band_that_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bands = makers.noise((4, 30, 20))
    file = save(tmp_path / "four.tif", bands, **UTM)
    with rasterio.open(file) as raster:
        assert raster.colorinterp[3].name == "alpha", "as GDAL has it where nobody says what a fourth band is"
    for _ in in_two_ways(monkeypatch):
        assert np.allclose(rasters.read(file, 3), bands[:3] / 255) and not rasters.has_gaps(file)
        assert rasters.notes(file) == [f"{file} has 4 bands, of which the first three are read."]


def test_what_is_written_lies_where_the_picture_does(tmp_path: Path) -> None:
    picture = save(tmp_path / "city.tif", makers.noise((3, 40, 60)), **UTM)
    mask_HW = (makers.noise((40, 60)) > 200).astype(np.uint8)
    assert rasters.makes_rasters(picture) and not rasters.makes_rasters(tmp_path / "city.png")
    rasters.write(tmp_path / "mask.tif", mask_HW, picture, times=255)
    with rasterio.open(tmp_path / "mask.tif") as made:
        assert made.crs == UTM["crs"] and made.transform == UTM["transform"]
        assert np.array_equal(made.read(1), 255 * mask_HW)
    assert not rasters.makes_rasters(save(tmp_path / "plain.tif", makers.noise((3, 40, 60))))
    with pytest.raises(UserError, match=r"there/mask\.tif: cannot be written"):
        rasters.write(tmp_path / "there" / "mask.tif", mask_HW, picture)
