"""Every published variant holds the published tensors in their order, and computes what its paper's table says."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hyperplane import discovery, nets
from hyperplane.nets.vit import ViT
from tests.nets import layouts, published, references

LAYOUTS = dict(layouts.published())
NOT_PUBLISHED = {
    "vgg11-small", "vgg16-small", "resnet18-small", "resnet50-small", "vit-small-28", "vit-small-32", "vit-small-64"
}  # fmt: skip
"""Variants of ours, of which there is no file to fit."""


def on_meta(name: str, shape: tuple[int, ...] = (3, 224, 224), **options: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return nets.build(name, shape, 1000, options)


@pytest.mark.parametrize("name", LAYOUTS)
def test_tensors_are_the_published_ones_in_their_order(name: str) -> None:
    net = on_meta(name)
    assert [(key, tuple(tensor.shape)) for key, tensor in net.state_dict().items()] == LAYOUTS[name]
    kept = ("running_mean", "running_var", "num_batches_tracked")
    buffers = {key for key, _ in LAYOUTS[name] if key.endswith(kept)}
    assert {key for key, _ in net.named_buffers()} == buffers
    numbers = {key: tensor.numel() for key, tensor in net.state_dict().items()}
    assert sum(p.numel() for p in net.parameters()) == sum(n for key, n in numbers.items() if key not in buffers)
    assert sum(b.numel() for b in net.buffers()) == sum(numbers[key] for key in buffers)


@pytest.mark.parametrize(
    ("name", "size", "patch"),
    [("vit_b_16", "base", 16), ("vit_b_32", "base", 32), ("vit_l_16", "large", 16), ("vit_l_32", "large", 32),
     ("vit_h_14", "huge", 14)],
)  # fmt: skip
def test_torchvisions_transformers_are_read_under_their_names(name: str, size: str, patch: int) -> None:
    net, layout = on_meta(name), dict(layouts.vit(size, patch, torchvision=True))
    assert isinstance(net, ViT)
    keys = net.published_keys({key: torch.empty(shape, device="meta") for key, shape in layout.items()})
    assert {keys[key]: tuple(tensor.shape) for key, tensor in net.state_dict().items()} == layout
    heads = {module.heads for module in net.modules() if hasattr(module, "heads")}
    assert heads == {layouts.VIT[size][2]}


def test_no_published_variant_is_forgotten() -> None:
    files = {"alexnet", "googlenet", "resnet", "resnet-cifar", "vgg", "vit"}
    known = {v for name, entry in discovery.entries("nets").items() if name in files for v in entry.variants}
    torchvision = {"vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"}
    assert known == LAYOUTS.keys() - {"alexnet", "googlenet"} | torchvision | NOT_PUBLISHED


SIZES = [(224, 224), (256, 256), (320, 288), (231, 289)]
"""Of images: the usual one, larger ones, and one that no stride divides."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg16_bn", "resnet18", "resnet50", "googlenet"])
def test_a_net_of_torchs_functions_says_the_same_of_images_of_any_size(name: str, size: tuple[int, int]) -> None:
    narrow = {"width": 8 if name != "vgg16_bn" else 4}
    narrow |= {"hidden": 16} if name.startswith(("alexnet", "vgg")) else {}
    net = nets.build(name, (3, 224, 224), 5, narrow).eval().double()
    state = {
        key: t.double() for key, t in published.weights({k: list(t.shape) for k, t in net.state_dict().items()}).items()
    }
    net.load_published(state)  # pyright: ignore[reportCallIssue]
    image_BCHW = published.images(2, 320, 1)[:, :, : size[0], : size[1]].double()
    stages = {"vgg11": (1, 1, 2, 2, 2), "vgg16_bn": (2, 2, 3, 3, 3), "resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
    with torch.no_grad():
        taps: dict[str, torch.Tensor] = {}
        said = [net(image_BCHW, taps)]
        if name == "googlenet":
            expected = references.googlenet(state, image_BCHW)
            said += [net.aux1(taps["inception4a"]), net.aux2(taps["inception4d"])]  # pyright: ignore[reportCallIssue]
        elif name == "alexnet":
            expected = [references.alexnet(state, image_BCHW)]
        else:
            kind = references.vgg if name.startswith("vgg") else references.resnet
            expected = [kind(state, image_BCHW, stages[name])]
    for own, reference in zip(said, expected, strict=True):
        assert reference.std() > 1e-3
        torch.testing.assert_close(own, reference, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("patch", "side"), [(8, 64), (14, 70), (16, 80), (32, 288)])
def test_a_transformer_of_torchs_functions_says_the_same(patch: int, side: int) -> None:
    options = {"width": 24, "depth": 3, "heads": 3, "patch": patch}
    net = nets.build("vit", (3, side, side), 5, options).eval().double()
    assert isinstance(net, ViT)
    shapes = {key: list(tensor.shape) for key, tensor in net.state_dict().items()}
    named = net.published_keys(dict.fromkeys(["conv_proj.weight"], torch.empty(0)))
    state = {key: t.double() for key, t in published.weights({named[k]: s for k, s in shapes.items()}).items()}
    net.load_published(state)
    image_BCHW = published.images(2, side, 1).double()
    with torch.no_grad():
        expected = references.vit(state, image_BCHW, 3)
        torch.testing.assert_close(net(image_BCHW), expected, rtol=1e-9, atol=1e-9)
    assert expected.std() > 1e-3
