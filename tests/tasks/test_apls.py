"""APLS: what the published programme gives, and what must hold of any network."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from hyperplane.data.blocks.graphs import EMPTY, Graph, of_polylines
from hyperplane.data.blocks.projection import arcs, to_utm
from hyperplane.tasks.blocks.apls import apls

VEGAS = Path(os.environ.get("HYPERPLANE_DATA", "")) / "spacenet-vegas"
PROPOSAL = VEGAS / "_sample_outputs" / "proposal.json"
"""What the stored output is of, a pickled network in the published programme's repository, written out as JSON: `nodes`
[x, y] in metres, and `edges` [start, end, length, [[x, y], ...]]."""


@pytest.mark.skipif(not PROPOSAL.is_file(), reason=f"needs {PROPOSAL}, which the published programme brings")
def test_the_published_programmes_output_is_reached_to_eleven_digits() -> None:
    """It was run without points along straight edges."""
    roads = json.loads((VEGAS / "gt_json_prop_wkt/ground_truth_randomized/AOI_2_Vegas_img0.geojson").read_text("utf-8"))
    lines = [np.array(road["geometry"]["coordinates"])[:, :2] for road in roads["features"]]
    degrees = of_polylines(lines, repeated="never")
    length_E = np.array([arcs(line).round(3).sum() for line in degrees.lines()])
    proposal = json.loads(PROPOSAL.read_text("utf-8"))
    said = Graph.of_lines(
        np.array(proposal["nodes"]),
        [(start, end) for start, end, _, _ in proposal["edges"]],
        [np.array(line) for *_, line in proposal["edges"]],
    )
    found = apls(
        degrees.moved(lambda degree: to_utm(degree, 11)),
        said,
        curved=1000.0,
        truth_length_E=length_E,
        said_length_E=np.array([length for _, _, length, _ in proposal["edges"]]),
    )
    stored = (VEGAS / "_sample_outputs" / "output__max_snap=4m_hole=4m.txt").read_text("utf-8")
    scores = [float(number) for number in re.findall(r"Score: (0\.\d+)", stored)]
    assert [found.truth_on_said, found.said_on_truth, found.total] == pytest.approx(scores, abs=1e-11, rel=0)


def grid(side: int = 4, step: float = 100.0) -> list[np.ndarray]:
    """Return the streets of a square grid."""
    stops = np.arange(side) * step
    rows = [np.stack([stops, np.full(side, y)], 1) for y in stops]
    return [*rows, *(line[:, ::-1] for line in rows)]


def test_a_network_is_like_itself_and_unlike_nothing() -> None:
    roads = of_polylines(grid())
    assert apls(roads, roads).total == pytest.approx(1.0)
    assert apls(roads, EMPTY).total == apls(EMPTY, roads).total == 0.0
    far = roads.moved(lambda place: place + 30.0)
    assert apls(roads, far).total == 0.0, "nothing is within four metres"
    near = roads.moved(lambda place: place + 2.0)
    assert apls(roads, near).total > 0.95


def test_a_missing_link_costs_detours_and_a_missing_part_all_of_its_ways() -> None:
    roads, lines = of_polylines(grid()), grid()
    cut = [line for line in lines if not (line[:, 1] == 100).all()] + [lines[1][:2], lines[1][2:]]
    broken = apls(roads, of_polylines(cut))
    assert 0.9 < broken.total < 1.0 and broken.truth_on_said < 1.0
    half = apls(roads, of_polylines([line[:2] for line in lines]))
    assert half.total < broken.total and half.truth_on_said < 0.5


def test_a_straight_road_by_hand() -> None:
    """Two nodes 100 m apart, and a point in the middle; the proposal goes round by 10% or has none."""
    road = of_polylines([np.array([(0, 0), (100.0, 0)])])
    assert apls(road, road, spacing=1000.0).total == pytest.approx(1.0)
    bend = np.sqrt(55.0**2 - 50.0**2)
    detour = of_polylines([np.array([(0, 0), (50.0, bend), (100.0, 0)])])
    found = apls(road, detour, spacing=1000.0)
    assert found.truth_on_said == pytest.approx(1 - 0.1) and found.said_on_truth == pytest.approx(1 - 10 / 110)


def test_utm_agrees_with_published_coordinates() -> None:
    """Toronto's CN tower (Snyder's example), and corners of the projection."""
    degrees = np.array([[-79.387139, 43.642567]])
    assert to_utm(degrees) == pytest.approx(np.array([[630084.3, 4833438.6]]), abs=0.5)
    assert to_utm(np.array([[-183 + 6 * 31, 0.0]]), 31) == pytest.approx(np.array([[500_000.0, 0.0]]))
    assert to_utm(np.array([[3.0, -1.0]]), 31)[0, 1] == pytest.approx(10_000_000 - 110_530, abs=50)
    assert arcs(np.array([[0.0, 0.0], [0.0, 1.0]])) == pytest.approx([2 * np.pi * 6_371_009 / 360])
