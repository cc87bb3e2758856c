"""LeNet's ways of pooling, alike in all else, and the net of 1989."""

from __future__ import annotations

import pytest
import torch

from hyperplane import nets
from hyperplane.errors import UserError

ROWS = ["lenet5", "lenet5-1998", "lenet5-max2x3", "lenet5-strided", "lenet5-convolution", "lenet5-gaussian"]


@pytest.mark.parametrize("variant", ROWS)
def test_every_way_of_pooling_leaves_maps_of_5x5(variant: str) -> None:
    net = nets.build(variant, (1, 28, 28), 10)
    assert net.get_submodule("dense1").in_features == 16 * 5 * 5
    assert net(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    added = sum(p.numel() for n, p in net.named_parameters() if n.startswith("pool"))
    assert sum(p.numel() for p in net.parameters()) == 61_706 + added
    assert added == (6 * 6 * 9 + 6 + 16 * 16 * 9 + 16 if variant == "lenet5-convolution" else 0)


def test_max_pooling_sees_its_window() -> None:
    pool = nets.build("lenet5-max2x3", (1, 28, 28), 10).get_submodule("pool1")
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 5, 6] = 1  # rows 4 and 5 are one window's, columns 4 to 6 and 6 to 8 overlap there
    assert pool(image).nonzero()[:, 2:].tolist() == [[2, 2], [2, 3]]


def test_a_gaussian_pools_by_a_fixed_mean() -> None:
    pool = nets.build("lenet5-gaussian", (1, 28, 28), 10).get_submodule("pool1")
    assert not list(pool.parameters()) and not pool.state_dict()
    torch.testing.assert_close(pool(torch.full((1, 6, 28, 28), 3.0)), torch.full((1, 6, 14, 14), 3.0))
    image = torch.zeros(1, 6, 28, 28)
    image[0, 2, 10, 10] = 1
    said = pool(image)[0]
    assert said[2].argmax() == 5 * 14 + 5 and said[2].sum() == pytest.approx(0.25, abs=0.02) and not said[3].any()


def test_a_bad_window_is_refused() -> None:
    with pytest.raises(UserError, match=r"net lenet.window: found \[1, 2\]"):
        nets.build("lenet", (1, 28, 28), 10, {"window": [1, 2]})


def test_the_net_of_1989_has_the_papers_numbers() -> None:
    net = nets.build("lenet-1989", (1, 16, 16), 10)
    held = {name: p.numel() for name, p in net.named_parameters()}
    assert sum(held.values()) == 9760
    assert held["conv1.weight"] + held["bias1_CHW"] == 1068 and held["conv2.weight"] + held["bias2_CHW"] == 2592
    assert held["dense.weight"] + held["dense.bias"] == 5790
    image = torch.zeros(1, 1, 16, 16)
    taps: dict[str, torch.Tensor] = {}
    net(image, taps)
    assert taps["conv1"].shape == (1, 12, 8, 8) and taps["conv2"].shape == (1, 12, 4, 4)
