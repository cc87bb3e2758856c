"""The compact net: that its first layer whitens, begins as the identity, and is saved as it was set from data."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from hyperplane import api, nets
from hyperplane.nets.compact import Compact


def made(**options) -> Compact:
    net = nets.build("compact", (3, 16, 16), 10, {"widths": [24, 30], "pools": 2, **options})
    assert isinstance(net, Compact)
    return net


def test_the_first_layer_whitens_the_patches_of_the_data() -> None:
    chance = torch.Generator().manual_seed(0)
    smooth_BCHW = F.avg_pool2d(torch.randn(200, 3, 18, 18, generator=chance), 3, stride=1)
    smooth_BCHW[:, 1] += 0.8 * smooth_BCHW[:, 0]
    net = made()
    net.prepare(smooth_BCHW)
    response_FN = F.conv2d(smooth_BCHW, net.get_buffer("whitening")).transpose(0, 1).flatten(1)
    assert torch.equal(response_FN[:12], -response_FN[12:])
    second_FF = response_FN[:12] @ response_FN[:12].T / response_FN.shape[1]
    assert (second_FF - torch.diag(second_FF.diagonal())).abs().max() < 1e-3, "the responses are not correlated"
    assert 0.9 < second_FF.diagonal().min() and second_FF.diagonal().max() < 1.001


def test_constant_images_leave_it_finite() -> None:
    net = made()
    net.prepare(torch.ones(4, 3, 16, 16))
    assert net.get_buffer("whitening").isfinite().all() and net.eval()(torch.ones(2, 3, 16, 16)).isfinite().all()


def test_a_group_begins_as_the_identity_on_the_channels_that_are_there() -> None:
    weight_OIhw = made().get_parameter("groups.1.convolutions.0.weight")
    assert weight_OIhw.shape == (30, 24, 3, 3)
    response = F.conv2d(torch.ones(1, 24, 3, 3).cumsum(1), weight_OIhw)[0, :24, 0, 0]
    assert torch.equal(response, torch.arange(1.0, 25.0))


def test_a_run_keeps_the_filters_of_its_data(tmp_path) -> None:
    changes = {"training.epochs": 2, "net.options": {"widths": [8], "pools": 1}, "training.ema": 0.9}
    run = api.train("digits", net="compact", runs=tmp_path, changes=changes)
    fresh = nets.build("compact", (1, 8, 8), 10, {"widths": [8], "pools": 1})
    assert not torch.equal(run.net.get_buffer("whitening"), fresh.get_buffer("whitening"))
    assert run.net.get_buffer("groups.0.norms.0.running_var").isfinite().all()
    assert api.load(run.path).evaluate() == run.metrics
