"""The vision transformer: published layouts, positions of other sizes, maps for dense tasks, layers left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

import hyperplane
from hyperplane import nets
from hyperplane.engine.muon import split
from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import Layer
from hyperplane.nets.blocks.chance import StochasticDepth
from hyperplane.nets.blocks.patches import resized
from hyperplane.nets.vit import OLDER, TORCHVISION, ViT, _renamed


def small(shape: tuple[int, ...] = (3, 16, 16), seed: int = 0, **options: Any) -> ViT:
    torch.manual_seed(seed)
    net = nets.build("vit", shape, 5, {"width": 12, "depth": 2, "heads": 2, "patch": 4, **options})
    assert isinstance(net, ViT)
    return net.eval()


def torchvision(net: ViT, *, older: bool = False) -> dict[str, Tensor]:
    named = {_renamed(key, TORCHVISION): tensor for key, tensor in net.state_dict().items()}
    return {_renamed(key, OLDER, part=True): tensor for key, tensor in named.items()} if older else named


@pytest.mark.parametrize("older", [False, True])
def test_both_published_layouts_load(older: bool) -> None:
    net, image = small(), torch.randn(2, 3, 16, 16)
    held = torchvision(net, older=older)
    assert "encoder.layers.encoder_layer_1.self_attention.in_proj_weight" in held
    assert ("encoder.layers.encoder_layer_0.mlp.linear_2.bias" in held) is older
    for state_dict in (net.state_dict(), held):
        other = small(seed=1)
        assert not torch.equal(other(image), net(image))
        other.load_published(state_dict)
        assert torch.equal(other(image), net(image))


def test_what_does_not_fit_is_named_in_the_words_of_the_file() -> None:
    held = torchvision(small())
    del held["conv_proj.bias"]
    held |= {"heads.head.weight": torch.zeros(7, 12), "heads.pre_logits.weight": torch.zeros(3, 12)}
    with pytest.raises(UserError) as told:
        small().load_published(held)
    said = str(told.value)
    assert "lacks 1 tensor (conv_proj.bias)" in said and "1 tensor (heads.pre_logits.weight) that" in said
    assert "heads.head.weight (7, 12) for (5, 12)" in said


def test_positions_of_another_size_are_interpolated_and_the_class_token_is_kept() -> None:
    row_T = torch.arange(4.0).repeat_interleave(4)
    position_1TD = torch.cat([torch.tensor([99.0]), row_T])[None, :, None]
    assert resized(position_1TD, (4, 4), (4, 4)) is position_1TD
    large_1TD = resized(position_1TD, (4, 4), (8, 6))
    assert large_1TD.shape == (1, 49, 1) and large_1TD[0, 0, 0] == 99
    place_hw = large_1TD[0, 1:, 0].view(8, 6)
    torch.testing.assert_close(place_hw, place_hw[:, :1].expand(8, 6), rtol=0, atol=1e-5)
    assert (place_hw[:, 0].diff() > 0).all() and place_hw[:, 0].mean().item() == pytest.approx(1.5, abs=1e-4)


def test_a_net_for_other_images_takes_the_weights_and_reads_as_the_first_does() -> None:
    one, other = small((3, 16, 16)), small((3, 32, 24), seed=1)
    assert one.published_side(one.state_dict()) == 16
    other.load_published(torchvision(one))
    image = torch.randn(2, 3, 32, 24)
    torch.testing.assert_close(one(image), other(image))
    broken = torchvision(one) | {"encoder.pos_embedding": torch.zeros(1, 12, 12)}
    with pytest.raises(UserError, match=r"encoder.pos_embedding \(1, 12, 12\) for \(1, 49, 12\)"):
        other.load_published(broken)


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_layers_are_maps_where_their_patches_are(pool: str) -> None:
    net = small((3, 16, 24), pool=pool)
    image = torch.randn(2, 3, 16, 24)
    taps: dict[str, Tensor] = {}
    net(image, taps)
    assert {name: tuple(tap.shape) for name, tap in taps.items()} == {
        "patches": (2, 12, 4, 6), "layer1": (2, 12, 4, 6), "layer2": (2, 12, 4, 6), "features": (2, 12)
    }  # fmt: skip
    said_BK = net(image, slopes := {})
    assert torch.equal(said_BK, net(image))
    slope_BDhw = torch.autograd.grad(said_BK.sum(), [slopes["layer1"]])[0]
    assert (slope_BDhw.abs().amax((0, 1)) > 0).all()
    second, first = net.features(image, [2, 1])
    assert torch.equal(first, taps["layer1"]) and torch.equal(second, taps["layer2"])
    place_BD = net.patch_embed(image)[:, :, 2, 3] + net.pos_embed[:, 2 * 6 + 3 + (pool == "class")]
    torch.testing.assert_close(taps["patches"][:, :, 2, 3], place_BD)
    with pytest.raises(UserError, match=r"found layers \[3\], expected some of 1 to 2"):
        net.features(image, [3])


def test_attention_of_every_layer_is_what_the_layer_does() -> None:
    net, image = small(norm="post"), torch.randn(2, 3, 16, 16)
    found = list(net.attention(image))
    assert [tuple(map_BNTT.shape) for map_BNTT in found] == [(2, 2, 17, 17)] * 2
    torch.testing.assert_close(found[1].sum(3), torch.ones(2, 2, 17))
    token_BTD, _ = net.tokens(image)
    first = net.blocks[0]
    assert isinstance(first, Layer)
    mixed = found[0] @ first.attn.split(token_BTD)[2]
    torch.testing.assert_close(first.attn.join(mixed), first.attn(token_BTD))


def test_a_branch_is_left_out_for_whole_samples_as_often_as_it_should() -> None:
    layer = StochasticDepth(0.25)
    layer.generator = torch.Generator().manual_seed(0)
    x = torch.ones(4000, 2, 3)
    dropped = layer(x)
    assert torch.equal(dropped.amin((1, 2)), dropped.amax((1, 2)))
    assert (dropped[:, 0, 0] == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert layer.eval()(x) is x
    rates = [m.rate for m in small(depth=3, stochastic_depth=0.2).modules() if isinstance(m, StochasticDepth)]
    assert rates == [0.0, pytest.approx(0.1), pytest.approx(0.2)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"heads": 5}, "a width that the heads divide"),
        ({"depth": 0}, "depth 0"),
        ({"stochastic_depth": 1.0}, r"expected a rate in \[0, 1\)"),
        ({"stem": "convolutions", "patch": 6}, "expected a power of 2"),
    ],
)
def test_options_that_make_no_net_are_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        small(**options)


def test_muon_moves_maps_and_leaves_tokens_and_positions_to_adamw() -> None:
    net = small(stem="convolutions")
    hidden, others = split(net)
    names = {id(p): name for name, p in net.named_parameters()}
    left = {names[id(p)] for p in others}
    assert {"cls_token", "pos_embed", "head.weight", "blocks.0.norm1.weight", "patch_embed.proj.bias"} <= left
    assert {"patch_embed.proj.weight", "blocks.1.mlp.fc2.weight"} <= {names[id(p)] for p in hidden}


def test_larger_images_of_timms_are_read_whole() -> None:
    for side, middle in ((16, 0.9), (224, 0.9), (384, 1.0)):
        net = small((3, side, side), patch=16)
        reading = net.published_reading(net.state_dict())
        assert reading is not None and reading.middle == middle and reading.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("pool", ["class", "mean"])
def test_a_checkpoint_of_a_size_that_has_no_name_becomes_a_run(pool: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nets.build("vit", (3, 42, 42), 3, {"depth": 12, "patch": 14, "pool": pool}).eval()
    (tmp_path / "net.safetensors").write_bytes(safetensors.torch.save(net.state_dict()))
    made = hyperplane.import_weights(tmp_path / "net.safetensors", out=tmp_path / "run")
    run = hyperplane.load(made.path)
    assert made.net == "vit" and run.recipe.net.options["patch"] == 14 and run.recipe.net.options["pool"] == pool
    image = torch.randn(1, 3, 42, 42)
    assert torch.equal(run.net(image), net(image))


@pytest.mark.parametrize("layout", ["timm", "torchvision"])
def test_a_checkpoint_of_larger_images_becomes_a_run(layout: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nets.build("vit_tiny_patch16_224", (3, 48, 48), 4)
    assert isinstance(net, ViT)
    held = torchvision(net) if layout == "torchvision" else net.state_dict()
    (tmp_path / "net.safetensors").write_bytes(safetensors.torch.save(dict(held)))
    made = hyperplane.import_weights(tmp_path / "net.safetensors", out=tmp_path / "run")
    run = hyperplane.load(made.path)
    told = run.trained.description
    assert made.net == "vit_tiny_patch16_224" and told.shapes["image_BCHW"] == (3, 48, 48) and len(run.classes) == 4
    assert told.encoding["mean"] == ([0.5] * 3 if layout == "timm" else [0.485, 0.456, 0.406])
    image = torch.randn(1, 3, 48, 48)
    assert torch.equal(run.net(image), net.eval()(image))
