"""Attention: maps that are what was computed, order, both forms of the layer, and the cache."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import Cache, Layer, SelfAttention, rotation


def attention(causal: bool, **options) -> SelfAttention:
    with seeded(0, "weights"):
        return SelfAttention(12, 3, causal=causal, **options)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("qk_norm", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_maps_are_the_attention_that_forward_uses(causal, qk_norm, turned):
    net = attention(causal, qk_norm=qk_norm)
    x_BTD = torch.randn(2, 7, 12, generator=torch.Generator().manual_seed(0))
    turn = rotation(torch.arange(7), 4) if turned else None
    map_BHTT = net.maps(x_BTD, rotation=turn)
    assert map_BHTT.shape == (2, 3, 7, 7)
    torch.testing.assert_close(map_BHTT.sum(3), torch.ones(2, 3, 7))
    assert not causal or not map_BHTT.triu(1).any()
    torch.testing.assert_close(net.join(map_BHTT @ net.split(x_BTD, turn)[2]), net(x_BTD, rotation=turn))


def test_one_head_is_the_formula():
    net = SelfAttention(5, 1, causal=False)
    x_TD = torch.randn(4, 5)
    q, k, v = net.qkv(x_TD).chunk(3, dim=1)
    expected = net.proj(torch.softmax(q @ k.T / 5**0.5, dim=1) @ v)
    torch.testing.assert_close(net(x_TD[None])[0], expected)


def test_what_is_causal_does_not_see_what_comes():
    net = attention(causal=True)
    x_BTD = torch.randn(1, 6, 12)
    torch.testing.assert_close(net(x_BTD)[:, :4], net(x_BTD[:, :4]))
    assert not torch.allclose(attention(causal=False)(x_BTD)[:, :4], attention(causal=False)(x_BTD[:, :4]))


def test_rotary_scores_depend_on_the_distance_alone():
    net = attention(causal=True, qk_norm=True)
    x_BTD = torch.randn(1, 6, 12)
    near, far = (net.maps(x_BTD, rotation=rotation(torch.arange(6) + start, 4)) for start in (0, 50))
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(near, net.maps(x_BTD), atol=1e-3)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_layer_is_the_lectures_equation(norm):
    with seeded(0, "weights"):
        layer = Layer(12, 3, causal=False, norm=norm, nonlinearity="relu")
    x = torch.randn(2, 5, 12)
    sa, mlp = layer.attn, layer.mlp
    one, two = (lambda t: F.layer_norm(t, (12,))), (lambda t: F.layer_norm(t, (12,)))
    if norm == "post":
        y = one(x + sa(x))
        expected = two(y + mlp(y))
    else:
        y = x + sa(one(x))
        expected = y + mlp(two(y))
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.maps(x), sa.maps(x if norm == "post" else one(x)))


def test_token_by_token_with_a_cache_is_all_at_once():
    layer = Layer(12, 3, causal=True)
    x_BTD = torch.randn(2, 6, 12)
    cache = Cache(torch.zeros(2, 3, 6, 4), torch.zeros(2, 3, 6, 4))
    parts = [layer(x_BTD[:, :3], cache=cache)] + [layer(x_BTD[:, t : t + 1], cache=cache) for t in range(3, 6)]
    torch.testing.assert_close(torch.cat(parts, dim=1), layer(x_BTD))


def test_a_width_that_the_heads_cannot_share_is_told():
    with pytest.raises(UserError, match=r"width of 10 and 3 heads.*--net.width 9 --net.heads 3"):
        SelfAttention(10, 3, causal=True)
