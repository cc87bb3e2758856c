"""Published state dicts: what is known of them, and what is said where one does not fit."""

from __future__ import annotations

import re

import pytest
import torch

from hyperplane import discovery, nets
from hyperplane.errors import UserError
from hyperplane.nets.blocks.published import Weights, differ


def test_known_files_name_nets_that_there_are() -> None:
    found = 0
    for name, module in discovery.loaded("nets").items():
        for digits, weights in getattr(module, "PUBLISHED", {}).items():
            assert re.fullmatch("[0-9a-f]{8}", digits) and isinstance(weights, Weights)
            assert discovery.find("nets", weights.variant).name == name
            assert 0.8 < weights.middle <= 1 and len(weights.mean) == len(weights.std) == 3
            found += 1
    assert found == 36


def test_the_address_of_each_published_file_names_its_hash_and_every_classical_net_has_one() -> None:
    addresses: dict[str, list[str]] = {}
    for module in discovery.loaded("nets").values():
        for digits, weights in getattr(module, "PUBLISHED", {}).items():
            addresses.setdefault(weights.variant, []).append(weights.address(digits))
    assert addresses["resnet50"][0] == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert addresses["alexnet"][0] == "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
    vggs = {f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn")}
    resnets = {f"resnet{depth}" for depth in (18, 34, 50, 101, 152)}
    assert {"alexnet", "googlenet"} | vggs | resnets <= addresses.keys()


def small(outputs: int = 4, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return nets.build("vgg11_bn", (3, 32, 32), outputs, {"width": 2, "hidden": 3})


def test_a_state_dict_loads_under_its_own_keys_even_without_counters_of_batches() -> None:
    one, other = small(seed=0).eval(), small(seed=1).eval()
    held = {key: value for key, value in one.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(held) < len(one.state_dict()) and not differ(held, other.state_dict())
    other.load_published(held)  # pyright: ignore[reportCallIssue]
    image = torch.randn(2, 3, 32, 32)
    assert torch.equal(one(image), other(image))


def test_what_does_not_fit_is_listed() -> None:
    net = small()
    held = dict(net.state_dict())
    removed = [key for key in held if key.startswith("features.0.") or key.startswith("features.1.")][:6]
    for key in removed:
        del held[key]
    held |= {"classifier.6.weight": torch.zeros(9, 3), "stranger": torch.zeros(1)}
    before = [p.clone() for p in net.parameters()]
    with pytest.raises(UserError) as told:
        net.load_published(held)  # pyright: ignore[reportCallIssue]
    said = str(told.value)
    assert "lacks 6 tensors (features.0.weight, features.0.bias, features.1.weight, features.1.bias, " in said
    assert "features.1.running_mean, ...)" in said and "1 tensor (stranger) that the net has not" in said
    assert "1 tensor (classifier.6.weight (9, 3) for (4, 3)) of another shape" in said and "\n" not in said
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize(
    "name", ["alexnet", "vgg11", "googlenet", "resnet18", "resnet20", "cornet", "lenet", "lenet-1989"]
)
def test_other_channels_than_the_net_was_built_for_are_named(name: str) -> None:
    with torch.device("meta"):
        net = nets.build(name, (3, 64, 64), 2).eval()
        with pytest.raises(UserError, match=r"found a batch of shape \(2, 1, 64, 64\), expected \(B, 3, H, W\)"):
            net(torch.empty(2, 1, 64, 64))
        with pytest.raises(UserError, match="found inputs of shape"):
            nets.build(name, (64, 64), 2)


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "googlenet"])
def test_one_image_that_shrinks_to_a_pixel_cannot_be_normalised(name: str) -> None:
    with torch.device("meta"):
        net = nets.build(name, (3, 32, 32), 2)
        least = 4 if name == "resnet20" else 32
        with pytest.raises(UserError, match=r"one image of .* in a training batch.*--batch 2"):
            net(torch.empty(1, 3, least, least))
        assert net(torch.empty(2, 3, least, least)).shape == net.eval()(torch.empty(2, 3, least, least)).shape
