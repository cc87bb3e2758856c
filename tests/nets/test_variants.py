"""Every published variant holds the published tensors in their order, and computes what its paper's table says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import hyperplane
from hyperplane import discovery, nets
from hyperplane.errors import UserError
from hyperplane.nets.vit import ViT
from hyperplane.predict import imported
from tests.nets import layouts, published, references

LAYOUTS = dict(layouts.published())
NOT_PUBLISHED = {
    "vgg11-small", "vgg16-small", "resnet18-small", "resnet50-small", "vit-small-28", "vit-small-32", "vit-small-64"
}  # fmt: skip
"""Variants of ours, of which there is no file to fit."""


def on_meta(name: str, **options: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return nets.build(name, (3, 384, 384) if name.endswith("_384") else (3, 224, 224), 1000, options)


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


@pytest.mark.parametrize("torchvision", [False, True])
@pytest.mark.parametrize(
    ("size", "patch", "side", "name"),
    [
        ("tiny", 16, 384, "vit_tiny_patch16_384"),
        ("tiny", 14, 224, "vit"),
        ("small", 32, 224, "vit_small_patch32_224"),
        ("base", 14, 518, "vit"),
        ("base", 16, 384, "vit_base_patch16_384"),
        ("base", 32, 512, "vit_base_patch32_224"),
        ("large", 14, 336, "vit_large_patch14_224"),
        ("huge", 14, 518, "vit_huge_patch14_224"),
    ],
)  # fmt: skip
def test_a_file_of_any_of_the_papers_sizes_tells_what_net_it_is(
    size: str, patch: int, side: int, name: str, torchvision: bool
) -> None:
    layout = layouts.vit(size, patch, torchvision=torchvision, side=side)
    fit = imported._fit(Path("x.pth"), {key: torch.empty(shape, device="meta") for key, shape in layout}, None, None)
    width, layers, heads = layouts.VIT[size]
    held = {key: fit.options[key] for key in ("width", "depth", "heads", "patch", "pool")}
    assert held == {"width": width, "depth": layers, "heads": heads, "patch": patch, "pool": "class"}
    assert (fit.name, fit.side, fit.channels, fit.outputs) == (name, side, 3, 1000)


UNLIKE: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "registers": (lambda held: held.update(reg_token=empty(1, 4, 192)), r"1 tensor \(reg_token\) that the net has not"),
    "no bias of queries": (
        lambda held: [held.pop(f"blocks.{n}.attn.qkv.bias") for n in range(12)],
        r"lacks 12 tensors \(blocks.0.attn.qkv.bias, ",
    ),
    "layers scaled": (lambda held: held.update({"blocks.0.ls1.gamma": empty(192)}), r"blocks.0.ls1.gamma"),
    "a norm behind the mean": (
        lambda held: held.update({"fc_norm.weight": held.pop("norm.weight")}),
        r"fc_norm.weight",
    ),
    "a teacher's token": (lambda held: held.update(dist_token=empty(1, 1, 192)), r"dist_token"),
    "no place for the class token": (
        lambda held: held.update(pos_embed=empty(1, 196, 192)),
        r"pos_embed \(1, 196, 192\) for \(1, 197, 192\)",
    ),
    "images that are not square": (
        lambda held: held.update(pos_embed=empty(1, 169, 192)),
        r"pos_embed \(1, 169, 192\) for \(1, 197, 192\)",
    ),
    "patches that are not square": (
        lambda held: held.update({"patch_embed.proj.weight": empty(192, 3, 16, 8)}),
        r"patch_embed.proj.weight \(192, 3, 16, 8\)",
    ),
    "no head": (
        lambda held: [held.pop("head.weight"), held.pop("head.bias")],
        r"lacks 2 tensors \(head.weight, head.bias",
    ),
}
"""What else timm's files may hold, which would be computed otherwise."""


def empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


@pytest.mark.parametrize("what", UNLIKE)
def test_a_transformer_of_another_kind_is_refused_by_what_it_holds(what: str) -> None:
    held = {key: empty(*shape) for key, shape in layouts.vit("tiny", 16, torchvision=False)}
    change, told = UNLIKE[what]
    change(held)
    with pytest.raises(UserError, match=rf"^x.pth: fits no net; the nearest is vit_tiny_patch16_224.*{told}"):
        imported._fit(Path("x.pth"), held, None, None)


def test_no_published_variant_is_forgotten() -> None:
    files = {"alexnet", "googlenet", "resnet", "resnet-cifar", "vgg", "vit"}
    known = {v for name, entry in discovery.entries("nets").items() if name in files for v in entry.variants}
    torchvision = {"vit_ti_16", "vit_s_16", "vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"}
    assert known == LAYOUTS.keys() - {"alexnet", "googlenet"} | torchvision | NOT_PUBLISHED


def test_a_net_that_is_named_is_for_images_of_the_size_in_its_name() -> None:
    with torch.device("meta"):
        grids = {name: hyperplane.net(name).grid for name in ("vit_base_patch32_384", "vit_base_patch32_224")}  # pyright: ignore
    assert grids == {"vit_base_patch32_384": (12, 12), "vit_base_patch32_224": (7, 7)}


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
