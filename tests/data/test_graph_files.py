"""Networks as files: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hyperplane.data.blocks import graph_files
from hyperplane.data.blocks.graphs import EMPTY, Graph, joined, of_polylines
from hyperplane.data.blocks.road_networks import drawn, photographed, random_network
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.networks import network_of
from hyperplane.tasks.blocks.topology import betti

VEGAS = Path(os.environ.get("HYPERPLANE_DATA", "")) / "spacenet-vegas"


def test_geojson_is_read_as_it_was_written(tmp_path: Path) -> None:
    graph = random_network(3)
    (tmp_path / "roads.geojson").write_text(graph_files.geojson(graph), "utf-8")
    again = graph_files.read(tmp_path / "roads.geojson")
    assert (again.components, again.loops, again.edges) == (graph.components, graph.loops, graph.edges)
    assert again.length_E.sum() == pytest.approx(graph.length_E.sum())
    held = json.loads((tmp_path / "roads.geojson").read_text("utf-8"))
    assert held["features"][0]["properties"] == {
        "start": 0,
        "end": int(graph.end_E2[0, 1]),
        "length": pytest.approx(graph.length_E[0], abs=1e-3),
        "cost": 0.0,
    }
    assert held["places"] == held["lengths"] == "pixels"


def test_a_node_without_a_road_is_a_point() -> None:
    lonely = Graph.of_lines(np.array([(1.0, 2.0)]), (), ())
    (feature,) = json.loads(graph_files.geojson(lonely))["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [1.0, 2.0]}


def test_graphml_holds_every_node_and_edge() -> None:
    graph = random_network(4)
    space = "{http://graphml.graphdrawing.org/xmlns}"
    root = ET.fromstring(graph_files.graphml(graph))
    assert len(root.findall(f".//{space}node")) == len(graph.node_N2)
    assert [data.text for data in root.findall(f"{space}graph/{space}data")] == ["pixels"]
    edges = root.findall(f".//{space}edge")
    assert len(edges) == graph.edges
    told = {data.get("key"): data.text or "" for data in edges[0]}
    assert float(told["length"]) == pytest.approx(graph.length_E[0]) and told["line"].startswith("LINESTRING (")


def test_wkt_and_a_submission_are_read_back(tmp_path: Path) -> None:
    graph = random_network(6)
    (tmp_path / "roads.wkt").write_text(graph_files.wkt_lines(graph), "utf-8")
    (tmp_path / "roads.csv").write_text(graph_files.submission(graph, "a, b"), "utf-8")
    for read in (graph_files.read(tmp_path / "roads.wkt"), graph_files.read(tmp_path / "roads.csv", "a, b")):
        assert read.edges == graph.edges and read.length_E.sum() == pytest.approx(graph.length_E.sum())
    (tmp_path / "none.csv").write_text(graph_files.submission(EMPTY, "c"), "utf-8")
    assert graph_files.read(tmp_path / "none.csv", "c").edges == 0


def test_edges_have_classes_and_geojson_no_member_that_it_may_not_have() -> None:
    """RFC 7946, section 7.1: a FeatureCollection has no coordinates, geometries, geometry or properties."""
    graph = random_network(4)
    named = ["road", "a <river>"] * graph.edges
    held = json.loads(graph_files.geojson(graph, None, named))
    assert not held.keys() & {"coordinates", "geometries", "geometry", "properties"}
    assert [feature["properties"]["class"] for feature in held["features"]] == named[: graph.edges]
    space = "{http://graphml.graphdrawing.org/xmlns}"
    root = ET.fromstring(graph_files.graphml(graph, None, named))
    told = [data.text for data in root.iter(f"{space}data") if data.get("key") == "class"]
    assert told == named[: graph.edges]


def test_an_overlay_is_a_picture_with_every_edge() -> None:
    graph = random_network(5)
    svg = graph_files.overlay(graph, Image.new("RGB", (256, 256)), "a & b")
    root = ET.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    shown = root.findall(f"{space}path")[1].get("d") or ""
    assert shown.count("M") == graph.edges and len(root.findall(f".//{space}circle")) == len(graph.node_N2)
    assert "data:image/jpeg;base64," in svg and "a &amp; b" in svg


def test_wkt_of_one_picture_of_several(tmp_path: Path) -> None:
    file = tmp_path / "roads.csv"
    rows = [
        'a,"LINESTRING (0 0, 3.5 4e0)"',
        'b,"LINESTRING (1 1, 2 2, 3 1)"',
        'b,"LINESTRING (3 1, 9 9)"',
        "c,LINESTRING EMPTY",
    ]
    file.write_text("\n".join(["ImageId,WKT_Pix", *rows]), "utf-8")
    assert graph_files.read(file, "a").length_E.tolist() == [np.hypot(3.5, 4)]
    assert graph_files.read(file, "b").edges == 1 and graph_files.read(file, "c").edges == 0
    with pytest.raises(UserError, match=r"holds 3 pictures \('a', 'b', 'c'\)"):
        graph_files.read(file)
    with pytest.raises(UserError, match="holds no picture 'd'"):
        graph_files.read(file, "d")
    (tmp_path / "plain.wkt").write_text("LINESTRING (0 0, 1 0)\nMULTILINESTRING ((1 0, 1 1), (5 5, 6 6))\n", "utf-8")
    plain = graph_files.read(tmp_path / "plain.wkt")
    assert plain.components == 2 and plain.length_E.sum() == pytest.approx(2 + np.sqrt(2))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hello", "is neither GeoJSON nor WKT"),
        ("{", "is not JSON"),
        ('{"features": [{"geometry": {"type": "LineString", "coordinates": [["a", 1]]}}]}', "not a LineString's"),
        ("LINESTRING (0 0, one 1)", "is no WKT of a line"),
    ],
)
def test_what_is_no_network_is_named(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "roads.txt").write_text(text, "utf-8")
    with pytest.raises(UserError, match=told) as error:
        graph_files.read(tmp_path / "roads.txt")
    assert "roads.txt" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.skipif(not VEGAS.is_dir(), reason="needs HYPERPLANE_DATA/spacenet-vegas")
def test_the_published_networks_are_read() -> None:
    truth = graph_files.read(VEGAS / "gt_json_prop_wkt/ground_truth_randomized/AOI_2_Vegas_img0.geojson")
    said = graph_files.read(VEGAS / "gt_json_prop_wkt/proposal/sn3_sample_submission_albu.csv", "AOI_2_Vegas_img0")
    assert truth.edges == 91 and len(truth.node_N2) == 71 and said.edges > 60
    for file in sorted((VEGAS / "gt_json_prop_json").rglob("*.geojson")):
        assert graph_files.read(file).edges > 0


def test_lines_meet_where_they_share_a_point_and_repeats_count_once_or_never() -> None:
    cross = [np.array([(0, 0), (1, 0), (2, 0.0)]), np.array([(1, 1), (1, 0), (1, -1.0)]), np.array([(1, 0), (2, 0.0)])]
    assert sorted(of_polylines(cross).degree_N.tolist()) == [1, 1, 1, 1, 4]
    assert sorted(of_polylines(cross, "never").degree_N.tolist()) == [0, 1, 1, 1, 3]
    ring = of_polylines([np.array([(0, 0), (4, 0), (4, 4), (0, 0.0)])])
    assert (ring.edges, ring.loops, len(ring.node_N2)) == (1, 1, 1) and joined(ring).edges == 1


@pytest.mark.parametrize("seed", range(12))
def test_a_random_networks_mask_has_its_topology_and_gives_it_back(seed: int) -> None:
    graph = random_network(seed, kept=0.5 + 0.04 * seed)
    mask_HW = drawn(graph, (256, 256), 7)
    numbers = betti(mask_HW)
    assert (numbers.components, numbers.holes) == (graph.components, graph.loops)
    made = network_of(mask_HW).graph
    assert (made.components, made.loops, made.edges) == (graph.components, graph.loops, graph.edges)
    assert sorted(made.degree_N.tolist()) == sorted(graph.degree_N.tolist())
    assert made.length_E.sum() == pytest.approx(graph.length_E.sum(), rel=0.06)
    picture = photographed(mask_HW, seed)
    assert picture.shape == (256, 256, 3) and picture[mask_HW].mean() > picture[~mask_HW].mean() + 20
