"""Networks in files, held against the true one: units, places, and what cannot be compared."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hyperplane
from hyperplane.data.blocks import graph_files
from hyperplane.data.blocks.graphs import of_polylines
from hyperplane.errors import UserError
from hyperplane.predict import networks

VEGAS = Path(os.environ.get("HYPERPLANE_DATA", "")) / "spacenet-vegas"
LINES = [np.array([(10.0, 10), (110, 10), (110, 90)]), np.array([(110.0, 10), (210, 10)])]


def written(file: Path, lines: list[np.ndarray], **members: Any) -> Path:
    """Write lines as GeoJSON in degrees, with more members if given."""
    shapes = [{"type": "LineString", "coordinates": line.tolist()} for line in lines]
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features, **members}), "utf-8")
    return file


def test_networks_in_pixels(tmp_path: Path) -> None:
    graph = of_polylines(LINES)
    for name, text in (
        ("truth.geojson", graph_files.geojson(graph)),
        ("same.wkt", graph_files.wkt_lines(graph)),
        ("same.csv", graph_files.submission(graph, "city")),
        ("less.wkt", graph_files.wkt_lines(of_polylines(LINES[:1]))),
    ):
        (tmp_path / name).write_text(text, "utf-8")
    names = ("truth.geojson", "same.wkt", "same.csv", "less.wkt")
    found = hyperplane.compare_networks(*(tmp_path / name for name in names), picture="city")
    truth, *same, less = found.networks
    assert found.unit == "pixels" and truth.length == pytest.approx(280) and truth.apls == pytest.approx(1)
    assert [(one.edges, one.pieces, one.loops) for one in (truth, *same)] == [(3, 1, 0)] * 3
    assert all(one.apls == pytest.approx(1) for one in same) and less.apls < 0.9 and less.it_on_truth > 0.99


def test_degrees_are_compared_in_metres(tmp_path: Path) -> None:
    lines = [line * 1e-5 + (3.0, 47.0) for line in LINES]
    truth = written(tmp_path / "truth.geojson", lines)
    (tmp_path / "same.wkt").write_text(graph_files.wkt_lines(of_polylines(lines)), "utf-8")
    found = networks.compare([truth, tmp_path / "same.wkt"])
    assert found.unit == "metres" and found.networks[1].apls == pytest.approx(1, abs=1e-3)
    expected = 200 * 1e-5 * 111_320 * np.cos(np.radians(47)) + 80 * 1e-5 * 111_180
    assert found.networks[0].length == pytest.approx(expected, rel=2e-3)


def test_what_cannot_be_compared_is_told(tmp_path: Path) -> None:
    truth = written(tmp_path / "truth.geojson", [line * 1e-5 for line in LINES])
    (tmp_path / "pixels.wkt").write_text(graph_files.wkt_lines(of_polylines(LINES)), "utf-8")
    metres = written(tmp_path / "metres.geojson", LINES, crs={"type": "name", "properties": {"name": "EPSG:32611"}})
    far = written(tmp_path / "far.geojson", LINES)
    long = tmp_path / "long.wkt"
    long.write_text("LINESTRING (0 0, 1e6 0)", "utf-8")
    for paths, told in (
        ([truth], "found 1 network, expected two or more"),
        ([truth, tmp_path / "pixels.wkt"], r"pixels\.wkt is in pixels, but others in degrees; .*--raster city\.tif"),
        ([truth, metres], "is in another reference system than longitude and latitude .*EPSG:32611.*; type: ogr2ogr"),
        ([truth, far], "has numbers beyond 180 and 90"),
        ([long, long], "20,002 control points, expected at most 5,000"),
        ([truth, tmp_path], "is a folder, expected a file"),
        ([truth, tmp_path / "none.wkt"], "does not exist"),
    ):
        with pytest.raises(UserError, match=told) as error:
            networks.compare(paths)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"city\.png: says not where it lies; name a GeoTIFF"):
        networks.compare([truth, truth.with_name("pixels.wkt")], raster=tmp_path / "city.png")


@pytest.mark.skipif(not VEGAS.is_dir(), reason="needs HYPERPLANE_DATA/spacenet-vegas")
@pytest.mark.skipif(importlib.util.find_spec("rasterio") is None, reason="needs rasterio")
def test_a_published_submission_is_placed_by_its_picture() -> None:
    folder = VEGAS / "gt_json_prop_wkt"
    truth = folder / "ground_truth_randomized" / "AOI_2_Vegas_img0.geojson"
    submission = folder / "proposal" / "sn3_sample_submission_albu.csv"
    raster = VEGAS / "images" / "RGB-PanSharpen_AOI_2_Vegas_img0.tif"
    found = networks.compare([truth, submission], "AOI_2_Vegas_img0", raster)
    assert found.unit == "metres" and found.networks[1].apls == pytest.approx(0.8231, abs=1e-4)
