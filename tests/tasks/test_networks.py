"""Networks from masks: nothing lost in tracing, components and holes kept, spurs, junctions, gaps, detail."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy.spatial import KDTree

from hyperplane.data.blocks.graphs import Graph, joined
from hyperplane.data.blocks.road_networks import drawn as painted
from hyperplane.data.blocks.road_networks import random_network
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.bridging import bridged
from hyperplane.tasks.blocks.crossings import crossings
from hyperplane.tasks.blocks.networks import merge, network_of, prune, simplify
from hyperplane.tasks.blocks.skeleton import thin
from hyperplane.tasks.blocks.topology import betti
from hyperplane.tasks.blocks.tracing import trace
from tests.tasks.masks import random_mask


def drawn(*lines: list[tuple[float, float]], size: tuple[int, int] = (200, 120), width: int = 9) -> np.ndarray:
    """Return a mask with thick lines, bool (H, W)."""
    image = Image.new("L", size)
    for line in lines:
        ImageDraw.Draw(image).line(line, fill=255, width=width, joint="curve")
    return np.asarray(image) > 0


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_components_and_holes_of_1000_random_masks_are_the_graphs(first: int) -> None:
    for seed in range(first, first + 250):
        mask_HW = random_mask(seed)
        numbers, skeleton_HW = betti(mask_HW), thin(mask_HW)
        traced = trace(skeleton_HW)
        made = network_of(mask_HW, tolerance=1.5).graph
        for graph in (traced, made):
            assert (graph.components, graph.loops) == (numbers.components, numbers.holes), seed
            firsts, lasts = graph.first_E[:-1], graph.first_E[1:] - 1
            assert np.allclose(graph.point_P2[firsts], graph.node_N2[graph.end_E2[:, 0]]), seed
            assert np.allclose(graph.point_P2[lasts], graph.node_N2[graph.end_E2[:, 1]]), seed
        if skeleton_HW.any():
            places = np.concatenate([traced.node_N2, traced.point_P2])
            away = KDTree(places).query(np.argwhere(skeleton_HW)[:, ::-1] + 0.5)[0]
            assert away.max() < 1.2, (seed, "a pixel was dropped")


def test_a_cross_is_a_junction_and_four_arms_whose_spurs_are_gone() -> None:
    mask_HW = drawn([(20, 60), (180, 60)], [(100, 10), (100, 110)])
    made = network_of(mask_HW)
    assert sorted(made.graph.degree_N.tolist()) == [1, 1, 1, 1, 4] and made.graph.edges == 4
    middle = made.graph.node_N2[made.graph.degree_N.argmax()]
    assert np.hypot(*(middle - (100.5, 60.5))) < 2 and 8 < made.width < 11
    assert len(made.graph.point_P2) < 20 and 252 < made.graph.length_E.sum() < 270


def test_a_road_runs_to_where_it_leaves_the_picture_and_no_farther_than_its_mask() -> None:
    mask_HW = np.zeros((60, 100), bool)
    mask_HW[25:36, :80] = True
    (line,) = network_of(mask_HW).graph.lines()
    assert sorted(line[[0, -1], 0].tolist()) == pytest.approx([0.0, 80.0], abs=0.6)
    assert np.abs(line[:, 1] - 30.5).max() < 2


def test_two_junctions_nearer_than_a_road_is_wide_become_one_and_their_holes_stay() -> None:
    mask_HW = drawn([(20, 20), (180, 20), (180, 100), (20, 100), (20, 20)], [(98, 20), (102, 100)])
    graph = network_of(mask_HW).graph
    assert (graph.components, graph.loops) == (1, 2) and sorted(graph.degree_N.tolist()) == [3, 3]
    nodes = np.array([(0, 0), (4, 0), (8, 0), (4, 9), (0, 9)], float)
    lines = [(0, 1), (1, 2), (1, 3), (3, 0), (0, 4), (4, 3), (2, 3)]
    ladder = Graph.of_lines(nodes, lines, [nodes[list(pair)] for pair in lines])
    merged = merge(ladder, 5.0)
    assert (merged.components, merged.loops) == (ladder.components, ladder.loops) and len(merged.node_N2) < 5


def test_pruning_keeps_the_longest_and_every_component() -> None:
    nodes = np.array([(0, 0), (30, 0), (33, 3), (34, -4), (60, 60), (62, 60), (60, 63)], float)
    lines = [(0, 1), (1, 2), (1, 3)]
    fork = Graph.of_lines(nodes, [*lines, (4, 5), (4, 6)], [nodes[list(pair)] for pair in [*lines, (4, 5), (4, 6)]])
    pruned = joined(prune(fork, 10.0))
    assert pruned.edges == 2 and pruned.components == 2
    assert pruned.length_E.max() == pytest.approx(30 + 5 * 1.0, abs=0.7), "the road keeps the longer of the two tips"


def test_gaps_are_bridged_at_the_stated_cost() -> None:
    nodes = np.array([(0, 0), (40, 0), (50, 0), (90, 0), (70, 8), (70, 50)], float)
    lines = [(0, 1), (2, 3), (4, 5)]
    graph = Graph.of_lines(nodes, lines, [np.linspace(nodes[a], nodes[b], 41) for a, b in lines])
    whole = bridged(graph, 12.0)
    assert whole.components == 1 and sorted(whole.cost_E[whole.cost_E > 0].round(6)) == [8.0, 10.0]
    assert bridged(graph, 9.0).components == 2
    sure = np.zeros((60, 100))
    sure[0, 38:52] = 0.9
    made = bridged(graph, 9.0, sure)
    cost = made.cost_E[made.cost_E > 0]
    assert made.components == 2 and cost == pytest.approx([10 * 2 * 0.1])
    aside = Graph.of_lines(nodes[:2], [(0, 1)], [nodes[:2]])
    back = Graph.of_lines(np.array([(0, 6), (40, 6.0)]), [(0, 1)], [np.array([(0, 6), (40, 6.0)])])
    both = Graph.of_lines(
        np.concatenate([aside.node_N2, back.node_N2]), [(0, 1), (2, 3)], [aside.line(0), back.line(0)]
    )
    cost = bridged(both, 13.0).cost_E
    assert cost[cost > 0] == pytest.approx([12.0, 12.0]), "a quarter turn at both ends doubles the length"


def test_a_broken_road_is_one_again_only_where_it_is_asked_for() -> None:
    mask_HW = drawn([(20, 60), (90, 60)], [(104, 60), (180, 60)])
    assert network_of(mask_HW).graph.components == 2
    made = network_of(mask_HW, gap=25.0)
    assert made.graph.components == 1 and any("1 gaps were bridged" in note for note in made.notes)


def test_simplifying_stays_within_the_tolerance_and_keeps_loops_open() -> None:
    turn = np.linspace(0, 2 * np.pi, 200)
    ring = np.stack([50 + 40 * np.cos(turn), 50 + 40 * np.sin(turn)], 1)
    ring[-1] = ring[0]
    graph = Graph.of_lines(ring[:1], [(0, 0)], [ring])
    for tolerance in (0.5, 2.0, 1000.0):
        simple = simplify(graph, tolerance)
        assert simple.loops == 1 and len(simple.point_P2) >= 4
        fine = np.concatenate([np.linspace(a, b, 50) for a, b in zip(simple.line(0), simple.line(0)[1:], strict=False)])
        assert KDTree(fine).query(ring)[0].max() <= tolerance + 0.5
    assert len(simplify(graph, 2.0).point_P2) < len(simplify(graph, 0.5).point_P2) < 40
    nodes = np.array([(0, 0), (50, 0)], float)
    beside = Graph.of_lines(nodes, [(0, 1), (1, 0)], [nodes, np.array([(50, 0), (25, 9), (0, 0.0)])])
    assert len(simplify(beside, 20.0).point_P2) == 5, "two edges side by side stay two lines"


def test_nothing_gives_an_empty_network_and_a_length_below_0_is_refused() -> None:
    made = network_of(np.zeros((5, 6), bool), gap=3.0)
    assert made.graph.edges == 0 and made.graph.components == 0
    dot = network_of(np.ones((1, 1), bool)).graph
    assert dot.components == 1 and dot.edges == 0
    with pytest.raises(UserError, match=r"graph\.gap: found -1, expected 0 or more pixels"):
        network_of(np.zeros((5, 6), bool), gap=-1.0)


def met(graph: Graph) -> int:
    """Return how many pairs of straight pieces of a graph's lines have a point in common that is no end of both.

    Every pair is looked at, by the point where their lines meet (Cramer's rule), in whole millionths of a pixel.
    """
    pieces = [
        pair for line in graph.lines() for pair in itertools.pairwise(np.round(2**20 * line).astype(int).tolist())
    ]
    count = 0
    for ((ax, ay), (bx, by)), ((cx, cy), (dx, dy)) in itertools.combinations(pieces, 2):
        if {(ax, ay), (bx, by)} & {(cx, cy), (dx, dy)}:
            continue
        spread = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
        here = (cx - ax) * (dy - cy) - (cy - ay) * (dx - cx)
        there = (cx - ax) * (by - ay) - (cy - ay) * (bx - ax)
        if spread < 0:
            spread, here, there = -spread, -here, -there
        count += spread > 0 and 0 <= here <= spread and 0 <= there <= spread
    return count


@given(st.integers(0, 10_000), st.floats(0.5, 12))
@example(4039, 2.0)
@settings(max_examples=40, deadline=None)
def test_simplified_lines_do_not_cross_that_did_not(seed: int, tolerance: float) -> None:
    chance = np.random.default_rng(seed)
    lines, nodes, ends = [], [], []
    low = np.zeros(30)
    for _ in range(5):  # each above the last, wherever both are
        low = low + chance.uniform(0.3, 1.5) + 6 * chance.random(30) * (chance.random(30) < 0.3)
        line = np.stack([np.arange(30.0), low], 1)
        ends.append((len(nodes), len(nodes) + 1))
        nodes += [line[0], line[-1]]
        lines.append(line)
    graph = Graph.of_lines(np.array(nodes), ends, lines)
    made = simplify(graph, tolerance)
    assert met(graph) == met(made) == 0


@pytest.mark.parametrize("seed", range(6))
def test_simplified_networks_of_masks_cross_nowhere(seed: int) -> None:
    mask_HW = painted(random_network(seed, 160, spacing=24.0), (160, 160), 6)
    fine = network_of(mask_HW, tolerance=0.0).graph
    for tolerance in (1.0, 4.0, 12.0):
        made = network_of(mask_HW, tolerance=tolerance).graph
        assert met(made) <= met(fine) and (made.components, made.loops) == (fine.components, fine.loops)
        assert len(made.point_P2) < len(fine.point_P2)


def test_what_meets_is_found() -> None:
    start = np.array([(0, 0), (0, 10), (20, 0), (20, 0), (40, 0), (45, 0), (60, 0), (60, 0)], float)
    end = np.array([(10, 10), (10, 0), (30, 0), (20, 9), (50, 0), (55, 0), (66, 0), (63, 0)], float)
    assert crossings(start, end).tolist() == [[0, 1], [4, 5], [6, 7]]
