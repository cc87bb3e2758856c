"""ViT with a dense head: a transformer over patches, and convolutions that bring its map back to the pixels.

Dosovitskiy et al. 2021 (arXiv:2010.11929) for the transformer; Zheng et al. 2021, "Rethinking semantic segmentation
from a sequence-to-sequence perspective with transformers" (arXiv:2012.15840), for the head that doubles the map step by
step (SETR-PUP), and Strudel et al. 2021, "Segmenter" (arXiv:2105.05633), for the one that reads each token's pixels off
it at once. What differs: the image is padded inside to whole patches, positions are interpolated to images of any size,
the last step up is learned (Shi et al. 2016, arXiv:1609.05158), and published weights of ViTs fit all but the head.

Shape suffixes: B batch, C channels, H and W pixels, h and w patches, T tokens, D features, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import Layer
from hyperplane.nets.blocks.dense import ToPixels, padded
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.patches import Patches, Stem, resized
from hyperplane.nets.blocks.published import differ
from hyperplane.nets.blocks.residual import convolution

# Columns: features of a token, layers, heads, side of a patch, how a patch becomes a token.
VARIANTS: dict[str, dict] = {
    "vit-dense-tiny16": {"width": 192, "depth": 12, "heads": 3, "patch": 16},
    "vit-dense-small16": {"width": 384, "depth": 12, "heads": 6, "patch": 16},
    "vit-dense-linear": {"head": "linear"},
}
EXAMPLE = {"shape": (3, 256, 256), "outputs": 1, "options": {"width": 16, "depth": 2, "heads": 2, "patch": 4}}

SPREAD, EPSILON = 0.02, 1e-6
"""Standard deviation of the first weights, and what layer normalisation adds, as in ViT."""


class DenseViT(nn.Module):
    """Patches as tokens with their positions, layers of a transformer, and a way up from their map to the pixels."""

    ACCEPTS = ("image_BCHW",)
    SAYS_OF = "pixel"
    HOLDS = ("vit",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        width: int = 192,
        depth: int = 6,
        heads: int = 6,
        patch: int = 8,
        stem: Literal["patch", "convolutions"] = "convolutions",
        head: Literal["convolutions", "linear"] = "convolutions",
    ) -> None:
        """Build it for images (C, H, W).

        `width` are the features of a token, shared by `heads`, and `depth` the layers; `patch`, a power of 2, is the
        side of a patch, which becomes a token at once or by convolutions that halve the image; the `head` doubles the
        map by convolutions, or reads the pixels off it at once.
        """
        super().__init__()
        if min(width, depth, heads) < 1 or width % heads:
            raise UserError(
                f"net vit-dense: found width {width}, depth {depth} and heads {heads}, expected 1 or more of each, and "
                "a width that the heads divide; type: --net.width 192 --net.heads 6"
            )
        if patch < 2 or patch & (patch - 1):
            raise UserError(f"net vit-dense.patch: found {patch}, expected a power of 2; type: --net.patch 8")
        self.channels = expect_shape("vit-dense", shape, 1)
        self.patch = self.stride = patch
        self.grid = (math.ceil(shape[1] / patch), math.ceil(shape[2] / patch))
        self.patch_embed = (
            Patches(self.channels, width, patch) if stem == "patch" else Stem(self.channels, width, patch)
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, math.prod(self.grid), width))
        normalisation = partial(nn.LayerNorm, eps=EPSILON)
        self.blocks = nn.ModuleList(
            Layer(width, heads, causal=False, normalisation=normalisation) for _ in range(depth)
        )
        self.norm = normalisation(width)
        nn.init.trunc_normal_(self.pos_embed, std=SPREAD)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=SPREAD)
                nn.init.zeros_(layer.bias)
        self.head = Steps(width, outputs, patch) if head == "convolutions" else ToPixels(width, outputs, patch)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, K, H, W); taps: `patches`, `layer1`, ... are maps (B, D, h, w)."""
        expect_batch("vit-dense", x, self.channels, 1)
        if self.training:
            expect_several("vit-dense", x, self.patch)
        map_BDhw = self.patch_embed(padded(x, self.patch))
        grid = (map_BDhw.shape[2], map_BDhw.shape[3])
        seen = {"patches": map_BDhw}
        token_BTD = map_BDhw.flatten(2).transpose(1, 2) + resized(self.pos_embed, self.grid, grid)
        for number, layer in enumerate(self.blocks, 1):
            token_BTD = layer(token_BTD)
            seen[f"layer{number}"] = token_BTD.transpose(1, 2).unflatten(2, grid)
        if taps is not None:
            taps |= seen
        map_BDhw = self.norm(token_BTD).transpose(1, 2).unflatten(2, grid)
        return self.head(map_BDhw)[:, :, : x.shape[2], : x.shape[3]]

    @classmethod
    def around(cls, net: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the options with which all but the head is another net; None where it cannot be."""
        patch = options.get("patch", 0)
        if net != "vit" or options["norm"] != "pre" or patch < 2 or patch & (patch - 1):
            return None
        return {name: options[name] for name in ("width", "depth", "heads", "patch", "stem")}

    def taken(self, state_dict: Mapping[str, Tensor], net: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Return the weights of a dense ViT, or those of a ViT without head and class token, under our keys.

        Arguments: weights; which file's net they are of, and for images of which shape that was built.
        """
        whole = math.ceil if net == "vit-dense" else math.floor
        return self._placed(
            state_dict, (whole(shape[1] / self.patch), whole(shape[2] / self.patch)), net != "vit-dense"
        )

    def _placed(self, state_dict: Mapping[str, Tensor], grid: tuple[int, int], headless: bool) -> dict[str, Tensor]:
        """Return weights with the positions of a grid of patches brought to the net's own."""
        held = {key: t for key, t in state_dict.items() if not (headless and key.startswith(("head.", "cls_token")))}
        if (position_1TD := held.get("pos_embed")) is not None:
            position_1TD = position_1TD[:, "cls_token" in state_dict :]
            if position_1TD.shape[1] == math.prod(grid):
                held["pos_embed"] = resized(position_1TD, grid, self.grid)
        return held

    def load_published(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load a ViT's state dict under timm's keys into all but the head; its class token has no place here.

        Positions are brought to the net's own patches. Raises UserError where it is of another ViT.
        """
        own = {key: tensor for key, tensor in self.state_dict().items() if not key.startswith("head.")}
        position_1TD = state_dict.get("pos_embed")
        side = 0 if position_1TD is None else math.isqrt(position_1TD.shape[1] - ("cls_token" in state_dict))
        held = self._placed(state_dict, (side, side), headless=True)
        if difference := differ(held, own):
            raise UserError(f"the state dict {difference}; build the net with the width, depth and patch that it is of")
        self.load_state_dict(held, strict=False)


class Steps(nn.Module):
    """Convolutions that double a map and halve its channels until a last step of two pixels is left."""

    def __init__(self, width: int, outputs: int, patch: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while patch > 2:
            narrow = max(32, width // 2)
            layers += [convolution(width, narrow, 3), nn.BatchNorm2d(narrow), nn.ReLU(), Double()]
            width, patch = narrow, patch // 2
        self.up = nn.Sequential(*layers, convolution(width, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.last = ToPixels(width, outputs, patch)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K, H, W)."""
        return self.last(self.up(x))


class Double(nn.Module):
    """A map made twice as fine, bilinear."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2H, 2W)."""
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


NET = DenseViT
