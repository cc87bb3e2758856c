"""Random networks as data: drawn from the seed, their graphs those of their masks."""

from __future__ import annotations

import pytest
import torch

from hyperplane import data
from hyperplane.data.networks import NetworkSource
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from hyperplane.tasks.blocks.topology import betti


def opened(seed: int = 0, **options: int) -> NetworkSource:
    source = data.open(DataRecipe(source="road-networks", seed=seed, options=options))
    assert isinstance(source, NetworkSource)
    return source


def test_masks_have_the_topology_of_their_graphs_and_images_show_them() -> None:
    source = opened(samples=20)
    assert source.description.splits == {"train": 14, "validation": 2, "test": 4}
    batch = source.batch("test", range(4))
    for index in range(4):
        graph, numbers = source.graph("test", index), betti(batch["mask_BHW"][index].numpy() == 1)
        assert (graph.components, graph.loops) == (numbers.components, numbers.holes)
    level_BHW, road_BHW = batch["image_BCHW"].mean(1), batch["mask_BHW"] == 1
    assert level_BHW[road_BHW].mean() > level_BHW[~road_BHW].mean() + 1
    share = source.description.class_counts[1] / sum(source.description.class_counts)
    assert 0.05 < share < 0.5 and sum(source.description.class_counts) == 14 * 128 * 128


def test_the_seed_decides_all_of_it() -> None:
    one, again, other = opened(samples=12), opened(samples=12), opened(seed=1, samples=12)
    assert torch.equal(one.batch("train", [0, 1])["image_BCHW"], again.batch("train", [0, 1])["image_BCHW"])
    assert not torch.equal(one.batch("train", [0])["mask_BHW"], other.batch("train", [0])["mask_BHW"])
    assert one.sample_name("train", 0) == f"network {one.seeds['train'][0]}" and one.show("train", 0).size == (128, 128)


def test_options_out_of_range_are_named() -> None:
    for options, told in (({"samples": 3}, "samples: found 3"), ({"width": 50}, "width: found 50, expected 2 to 10")):
        with pytest.raises(UserError, match=told):
            opened(**options)
