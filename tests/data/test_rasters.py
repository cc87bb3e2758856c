"""Rasters: windows of large ones, unusual kinds, and coordinates. Needs rasterio."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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
    assert held["coordinates"].startswith("longitude") and held["lengths"] == "metres"
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
