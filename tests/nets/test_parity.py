"""The classical nets hold the published tensors and compute what the published implementations compute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hyperplane import nets
from tests.nets import published

NAMES = ["alexnet", "googlenet", "resnet18", "resnet50", "vgg19", "vgg19_bn"]
TRANSFORMERS = ["vit_b_16", "vit_base_patch16_224", "vit_tiny_patch16_224"]

COUNTS = {
    "alexnet": 61_100_840,
    "googlenet": 13_004_888,
    "googlenet-one-head": 6_624_904,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "vit_b_16": 86_567_656,
    "vit_b_32": 88_224_232,
    "vit_l_16": 304_326_632,
    "vit_l_32": 306_535_400,
    "vit_h_14": 632_045_800,
}
"""Parameters for 1,000 classes, as torchvision's documentation states them."""
CIFAR = {8: 0.08, 20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}
"""Millions of parameters by depth (He et al. 2016, table 6; 8 layers counted here)."""


def on_meta(name: str, shape: tuple[int, ...] = (3, 224, 224), outputs: int = 1000) -> torch.nn.Module:
    with torch.device("meta"):
        return nets.build(name, shape, outputs)


def count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.fixture(scope="module", autouse=True)
def _memory() -> Iterator[None]:
    yield
    published.forget()


@pytest.mark.parametrize("name", NAMES + TRANSFORMERS)
def test_tensors_and_outputs_are_the_published_ones(name: str, shared_data: Path) -> None:
    file = shared_data.parent / "parity" / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    told = json.loads(file.read_text())
    net = on_meta(name)
    keys = net.published_keys(told["state_dict"])  # pyright: ignore[reportCallIssue]
    assert {keys[key]: list(tensor.shape) for key, tensor in net.state_dict().items()} == told["state_dict"]
    assert count(net) == told["parameters"]

    net.to_empty(device="cpu")
    net.load_published(published.weights(told["state_dict"]))  # pyright: ignore[reportCallIssue]
    given = told["input"]
    with torch.inference_mode():
        output = net.eval()(published.images(given["batch"], given["size"], given["seed"])).double().numpy()
    assert list(output.shape) == told["output_shape"]
    tolerance = 1e-4 * told["output_std"]
    np.testing.assert_allclose(output.ravel()[: len(told["output_head"])], told["output_head"], rtol=0, atol=tolerance)
    np.testing.assert_allclose([output.mean(), output.std()], [told["output_mean"], told["output_std"]], atol=tolerance)


@pytest.mark.parametrize("name", COUNTS)
def test_published_numbers_of_parameters(name: str) -> None:
    assert count(on_meta(name)) == COUNTS[name]


@pytest.mark.parametrize(("depth", "weights"), [(11, 9_231_114), (16, 14_728_266)])
def test_vgg_for_small_images_is_its_convolutions_and_one_linear_layer(depth: int, weights: int) -> None:
    small, large = on_meta(f"vgg{depth}-small", (3, 32, 32), 10), on_meta(f"vgg{depth}_bn").state_dict()
    assert count(small) == weights
    held = {key: tensor.shape for key, tensor in small.state_dict().items() if key.startswith("features.")}
    assert held == {key: tensor.shape for key, tensor in large.items() if key.startswith("features.")}
    assert small.classifier[0].weight.shape == (10, 512)  # pyright: ignore
    taps: dict[str, torch.Tensor] = {}
    assert small(torch.empty(2, 3, 32, 32, device="meta"), taps).shape == (2, 10)
    assert taps["conv5_1"].shape == (2, 512, 2, 2) and "dense1" not in taps


@pytest.mark.parametrize("depth", CIFAR)
def test_residual_and_plain_nets_have_as_many_parameters_as_the_paper_says(depth: int) -> None:
    n = (depth - 2) // 6
    stages = [(16, 16), (16, 32), (32, 64)]
    blocks = sum(9 * c * w + 2 * w + (2 * n - 1) * (9 * w * w + 2 * w) for c, w in stages)
    expected = (9 * 3 * 16 + 2 * 16) + blocks + (64 * 10 + 10)
    assert round(expected / 1e6, 1 if depth == 110 else 2) == CIFAR[depth]
    assert count(on_meta(f"resnet{depth}", (3, 32, 32), 10)) == expected
    assert count(on_meta(f"plain{depth}", (3, 32, 32), 10)) == expected


def test_grey_images_and_other_numbers_of_classes() -> None:
    for name in NAMES:
        net = on_meta(name, (1, 96, 80), 7).eval()
        assert net(torch.empty(2, 1, 96, 80, device="meta")).shape == (2, 7)
        assert net(torch.empty(2, 1, 224, 64, device="meta")).shape == (2, 7)
