"""Self-attention and the transformer layer, for text and for images.

Vaswani et al. 2017, "Attention is all you need" (arXiv:1706.03762). With queries Q, keys K and values V, all linear in
the input X, a head gives Sa(X) = softmax(Q Kᵀ / √d) V. The layer comes in the lecture's form, which is the paper's,

    X ← X + Sa(X);  X ← LayerNorm(X);  xᵢ ← xᵢ + mlp(xᵢ);  X ← LayerNorm(X)        (norm "post")

and in the one that trains without warm-up (Xiong et al. 2020, arXiv:2002.04745), X ← X + Sa(LayerNorm(X)) and
xᵢ ← xᵢ + mlp(LayerNorm(xᵢ)) (norm "pre"). Options: rotary positions (Su et al. 2021, arXiv:2104.09864), queries and
keys brought to one length (Henry et al. 2020, arXiv:2010.04245), and squared ReLU (So et al. 2021, arXiv:2109.08668).
Submodules have timm's names: norm1, attn.qkv, attn.proj, norm2, mlp.fc1, mlp.fc2.

Shape suffixes: B batch, T tokens (of keys: S), D features, H heads, d features of a head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.chance import Dropout, StochasticDepth

Norm = Literal["pre", "post"]
Nonlinearity = Literal["gelu", "gelu-tanh", "relu", "relu-squared"]

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "relu": torch.relu,
    "relu-squared": lambda x: torch.relu(x).square(),
}

Rotation = tuple[Tensor, Tensor]
"""Cosine and sine of each position's angles, of shape (T, d / 2) or (B, 1, T, d / 2)."""


@dataclass
class Cache:
    """Keys and values of the tokens that one attention has seen: room for S of them, the first `length` filled."""

    key_BHSd: Tensor
    value_BHSd: Tensor
    length: int = 0

    def add(self, key_BHTd: Tensor, value_BHTd: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of further tokens, and return those of all so far."""
        start, self.length = self.length, self.length + key_BHTd.shape[2]
        self.key_BHSd[:, :, start : self.length] = key_BHTd
        self.value_BHSd[:, :, start : self.length] = value_BHTd
        return self.key_BHSd[:, :, : self.length], self.value_BHSd[:, :, : self.length]

    def repeated(self, copies: int) -> Cache:
        """Return a cache that holds every text so many times, side by side."""
        key_BHSd, value_BHSd = (t.repeat_interleave(copies, dim=0) for t in (self.key_BHSd, self.value_BHSd))
        return Cache(key_BHSd, value_BHSd, self.length)


class SelfAttention(nn.Module):
    """Every token looks at every token, or where it is causal at itself and those before it, with several heads."""

    def __init__(
        self, width: int, heads: int, *, causal: bool, bias: bool = True, qk_norm: bool = False, dropout: float = 0.0
    ) -> None:
        """Build it for tokens of `width` features, which the heads share; `dropout` acts on what it returns."""
        super().__init__()
        if heads < 1 or width < 1 or width % heads:
            raise UserError(
                f"attention: found a width of {width} and {heads} heads, expected a multiple of the heads; "
                f"type: --net.width {max(1, width // max(heads, 1)) * max(heads, 1)} --net.heads {max(heads, 1)}"
            )
        self.heads, self.causal, self.qk_norm = heads, causal, qk_norm
        self.qkv = nn.Linear(width, 3 * width, bias)
        self.proj = nn.Linear(width, width, bias)
        self.dropout = Dropout(dropout)

    def forward(
        self,
        x_BTD: Tensor,
        *,
        rotation: Rotation | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return (B, T, D).

        Arguments: the rotation of the tokens' positions; which keys each query may see, true or false, of a shape that
        broadcasts to (B, 1, T, S), instead of the causal order; what it keeps between calls: with a cache that is not
        empty, the tokens follow those in it, and more than one of them needs a mask.
        """
        query_BHTd, key_BHTd, value_BHTd = self.split(x_BTD, rotation)
        ordered = self.causal and mask is None
        if cache is not None:
            ordered = ordered and cache.length == 0
            key_BHTd, value_BHTd = cache.add(key_BHTd, value_BHTd)
        return self.join(fused(query_BHTd, key_BHTd, value_BHTd, mask, ordered))

    def maps(self, x_BTD: Tensor, *, rotation: Rotation | None = None) -> Tensor:
        """Return how much each query attends to each key, (B, H, T, T); rows sum to 1.

        `join(maps(x) @ split(x)[2])` is what `forward` returns, which does not write the maps down.
        """
        query_BHTd, key_BHTd, _ = self.split(x_BTD, rotation)
        score_BHTT = query_BHTd @ key_BHTd.transpose(2, 3) * query_BHTd.shape[3] ** -0.5
        if self.causal:
            tokens = x_BTD.shape[1]
            later_TT = torch.ones(tokens, tokens, dtype=torch.bool, device=x_BTD.device).triu(1)
            score_BHTT = score_BHTT.masked_fill(later_TT, -torch.inf)
        return score_BHTT.softmax(3)

    def split(self, x_BTD: Tensor, rotation: Rotation | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of every head, (B, H, T, d) each."""
        count, tokens, width = x_BTD.shape
        qkv_3BHTd = self.qkv(x_BTD).view(count, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        both_2BHTd, value_BHTd = qkv_3BHTd[:2], qkv_3BHTd[2]
        if self.qk_norm:
            both_2BHTd = F.rms_norm(both_2BHTd, both_2BHTd.shape[-1:])
        if rotation is not None:
            both_2BHTd = rotate(both_2BHTd, rotation)
        return both_2BHTd[0], both_2BHTd[1], value_BHTd

    def join(self, mixed_BHTd: Tensor) -> Tensor:
        """Return the heads' results side by side, (B, T, D), through the last linear map."""
        return self.dropout(self.proj(mixed_BHTd.transpose(1, 2).flatten(2)))


class MLP(nn.Module):
    """Two linear maps with a nonlinearity between them, the same for every token."""

    def __init__(self, width: int, hidden: int, nonlinearity: Nonlinearity, bias: bool = True, dropout: float = 0.0):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden, bias)
        self.fc2 = nn.Linear(hidden, width, bias)
        self.nonlinearity, self.dropout = NONLINEARITIES[nonlinearity], Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return self.dropout(self.fc2(self.nonlinearity(self.fc1(x))))


class Layer(nn.Module):
    """One layer of a transformer: attention and an MLP, each added to what came in."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool,
        hidden: int | None = None,
        norm: Norm = "pre",
        nonlinearity: Nonlinearity = "gelu",
        normalisation: Callable[[int], nn.Module] = nn.LayerNorm,
        bias: bool = True,
        qk_norm: bool = False,
        dropout: float = 0.0,
        skipped: float = 0.0,
    ) -> None:
        """Build it; `hidden` are the units of the MLP (None: four times the width).

        `skipped` is how often, in training, a sample's attention is left out, and its MLP likewise.
        """
        super().__init__()
        self.before = norm == "pre"
        self.norm1 = normalisation(width)
        self.attn = SelfAttention(width, heads, causal=causal, bias=bias, qk_norm=qk_norm, dropout=dropout)
        self.norm2 = normalisation(width)
        self.mlp = MLP(width, hidden or 4 * width, nonlinearity, bias, dropout)
        self.skip = StochasticDepth(skipped)

    def forward(
        self,
        x_BTD: Tensor,
        *,
        rotation: Rotation | None = None,
        mask: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Return (B, T, D); the arguments are those of the attention."""
        if self.before:
            x_BTD = x_BTD + self.skip(self.attn(self.norm1(x_BTD), rotation=rotation, mask=mask, cache=cache))
            return x_BTD + self.skip(self.mlp(self.norm2(x_BTD)))
        x_BTD = self.norm1(x_BTD + self.skip(self.attn(x_BTD, rotation=rotation, mask=mask, cache=cache)))
        return self.norm2(x_BTD + self.skip(self.mlp(x_BTD)))

    def maps(self, x_BTD: Tensor, *, rotation: Rotation | None = None) -> Tensor:
        """Return the attention's maps, (B, H, T, T), for the tokens that come into the layer."""
        return self.attn.maps(self.norm1(x_BTD) if self.before else x_BTD, rotation=rotation)


def fused(query_BHTd: Tensor, key_BHSd: Tensor, value_BHSd: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Return softmax(Q Kᵀ / √d) V, (B, H, T, d), without writing the maps down.

    On a CPU in float32 whatever came in: its backward pass in bfloat16 takes three times as long.
    """
    if query_BHTd.is_cuda or torch.bfloat16 not in (query_BHTd.dtype, value_BHSd.dtype):
        return F.scaled_dot_product_attention(query_BHTd, key_BHSd, value_BHSd, attn_mask=mask, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        q, k, v = query_BHTd.float(), key_BHSd.float(), value_BHSd.float()
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)


def rotation(position: Tensor, features: int, base: float = 10_000.0) -> Rotation:
    """Return the cosine and the sine by which a head of so many features, an even number, turns at each position."""
    speed = base ** (torch.arange(0, features, 2, device=position.device) / -features)
    angle = position.unsqueeze(-1) * speed
    return angle.cos(), angle.sin()


def rotate(x_BHTd: Tensor, rotation: Rotation) -> Tensor:
    """Return features turned in pairs, the k-th of the first half with the k-th of the second; axes before B may be."""
    cos, sin = (t.to(x_BHTd.dtype) for t in rotation)
    a, b = x_BHTd.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
