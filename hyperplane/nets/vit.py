"""ViT, the vision transformer: an image as a row of patches, each of them a token that looks at all others.

Dosovitskiy et al. 2021, "An image is worth 16×16 words: transformers for image recognition at scale"
(arXiv:2010.11929), table 1; the sizes Ti and S are those of Touvron et al. 2021 (arXiv:2012.12877), table 1. State-dict
keys are timm's; `load_published` takes timm's and torchvision's checkpoints under their own keys, of images of any
size. What differs from the paper: images of another size than the net was built for are read with interpolated
positions; the mean of the patches may stand for the class token (Zhai et al. 2022, arXiv:2106.04560); the variants for
small images begin with convolutions (Xiao et al. 2021, arXiv:2106.14881), and layers may be left out by chance (Huang
et al. 2016, arXiv:1603.09382). What the last patch of a row or a column does not fill is not read.

Shape suffixes: B batch, C channels, H and W pixels, h and w patches, T tokens, D features, N heads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.attention import Layer, Norm
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.patches import Patches, Stem, resized
from hyperplane.nets.blocks.published import Published, Weights

TINY = {"width": 192, "depth": 12, "heads": 3}
SMALL = {"width": 384, "depth": 12, "heads": 6}
BASE = {"width": 768, "depth": 12, "heads": 12}
LARGE = {"width": 1024, "depth": 24, "heads": 16}
HUGE = {"width": 1280, "depth": 32, "heads": 16}
SIZES = (TINY, SMALL, BASE, LARGE, HUGE)
"""Ti and S of DeiT's table 1; B, L and H of the paper's."""
COMPACT = {"width": 192, "depth": 6, "heads": 6, "stem": "convolutions", "pool": "mean"}
"""Ours, for images of few pixels and little time."""

VARIANTS: dict[str, dict] = {
    "vit_tiny_patch16_224": {**TINY, "patch": 16},
    "vit_tiny_patch16_384": {**TINY, "patch": 16},
    "vit_small_patch8_224": {**SMALL, "patch": 8},
    "vit_small_patch16_224": {**SMALL, "patch": 16},
    "vit_small_patch16_384": {**SMALL, "patch": 16},
    "vit_small_patch32_224": {**SMALL, "patch": 32},
    "vit_small_patch32_384": {**SMALL, "patch": 32},
    "vit_base_patch8_224": {**BASE, "patch": 8},
    "vit_base_patch16_224": {**BASE, "patch": 16},
    "vit_base_patch16_384": {**BASE, "patch": 16},
    "vit_base_patch32_224": {**BASE, "patch": 32},
    "vit_base_patch32_384": {**BASE, "patch": 32},
    "vit_large_patch14_224": {**LARGE, "patch": 14},
    "vit_large_patch16_224": {**LARGE, "patch": 16},
    "vit_large_patch16_384": {**LARGE, "patch": 16},
    "vit_large_patch32_224": {**LARGE, "patch": 32},
    "vit_large_patch32_384": {**LARGE, "patch": 32},
    "vit_huge_patch14_224": {**HUGE, "patch": 14},
    "vit_ti_16": {**TINY, "patch": 16},
    "vit_s_16": {**SMALL, "patch": 16},
    "vit_b_16": {**BASE, "patch": 16},
    "vit_b_32": {**BASE, "patch": 32},
    "vit_l_16": {**LARGE, "patch": 16},
    "vit_l_32": {**LARGE, "patch": 32},
    "vit_h_14": {**HUGE, "patch": 14},
    "vit-small-28": {**COMPACT, "width": 96, "heads": 3, "patch": 4},
    "vit-small-32": {**COMPACT, "patch": 4},
    "vit-small-64": {**COMPACT, "patch": 8},
}
EXAMPLE = {
    "shape": (3, 224, 224),
    "outputs": 1000,
    "options": {"width": 24, "depth": 2, "heads": 3, "patch": 4, "stochastic_depth": 0.1},
}

SHAPES = {name: (3, 384, 384) for name in VARIANTS if name.endswith("_384")}
"""Of the images that variants were published for, where those are not the example's."""

PUBLISHED = {
    "c867db91": Weights("vit_b_16"),
    "9ac1b537": Weights("vit_b_16", middle=1.0),
    "4e70ced5": Weights("vit_b_16", middle=1.0),
    "d86f8d99": Weights("vit_b_32"),
    "852ce7e3": Weights("vit_l_16", middle=224 / 242),
    "4f3808c9": Weights("vit_l_16", middle=1.0),
    "4d563306": Weights("vit_l_16", middle=1.0),
    "c7638314": Weights("vit_l_32"),
    "80465313": Weights("vit_h_14", middle=1.0),
    "c1eb923e": Weights("vit_h_14", middle=1.0),
}

TORCHVISION = {
    r"cls_token": "class_token",
    r"pos_embed": "encoder.pos_embedding",
    r"patch_embed\.proj\.(.+)": r"conv_proj.\1",
    r"blocks\.(\d+)\.norm(\d)\.(.+)": r"encoder.layers.encoder_layer_\1.ln_\2.\3",
    r"blocks\.(\d+)\.attn\.qkv\.(.+)": r"encoder.layers.encoder_layer_\1.self_attention.in_proj_\2",
    r"blocks\.(\d+)\.attn\.proj\.(.+)": r"encoder.layers.encoder_layer_\1.self_attention.out_proj.\2",
    r"blocks\.(\d+)\.mlp\.fc1\.(.+)": r"encoder.layers.encoder_layer_\1.mlp.0.\2",
    r"blocks\.(\d+)\.mlp\.fc2\.(.+)": r"encoder.layers.encoder_layer_\1.mlp.3.\2",
    r"norm\.(.+)": r"encoder.ln.\1",
    r"head\.(.+)": r"heads.head.\1",
}
"""What torchvision calls each of our keys, which are timm's."""
LAYER = re.compile(r"blocks\.\d+|encoder\.layers\.encoder_layer_\d+")
"""How the keys of a layer begin in either."""
OLDER = {r"mlp\.0\.": "mlp.linear_1.", r"mlp\.3\.": "mlp.linear_2."}
"""What files of torchvision before 0.13 call them."""
EPSILON = 1e-6
"""Of layer normalisation, as in every published checkpoint."""
SPREAD = 0.02
"""Standard deviation of the first weights, as in the paper's code."""


class ViT(Published):
    """Patches as tokens with their positions, layers of a transformer, and a linear layer on one token or the mean."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        width: int = 192,
        depth: int = 12,
        heads: int = 3,
        patch: int = 16,
        stem: Literal["patch", "convolutions"] = "patch",
        pool: Literal["class", "mean"] = "class",
        norm: Norm = "pre",
        stochastic_depth: float = 0.0,
    ) -> None:
        """Build it for images (C, H, W).

        `width` are the features of a token, shared by `heads`, and `depth` the layers; `patch` is the side of a patch,
        in pixels, which becomes a token at once or, if it is a power of 2, by convolutions that halve the image; what
        is classified is a token of its own (`class`) or the `mean` of the patches; `norm` is where a layer normalises;
        `stochastic_depth` in [0, 1) is how often the last layer is left out in training, the first never, those between
        in proportion.
        """
        super().__init__()
        if min(width, depth, heads, patch) < 1 or width % heads:
            raise UserError(
                f"net vit: found width {width}, depth {depth}, heads {heads} and patch {patch}, expected 1 or more of "
                "each, and a width that the heads divide; type: --net.width 192 --net.heads 3"
            )
        if not 0 <= stochastic_depth < 1:
            raise UserError(
                f"net vit.stochastic_depth: found {stochastic_depth}, expected a rate in [0, 1); "
                "type: --net.stochastic-depth 0.1"
            )
        self.channels = expect_shape("vit", shape, patch)
        self.patch, self.pool, self.stem = patch, pool, stem
        self.grid = (shape[1] // patch, shape[2] // patch)
        self.patch_embed = (
            Patches(self.channels, width, patch) if stem == "patch" else Stem(self.channels, width, patch)
        )
        if pool == "class":
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (pool == "class") + math.prod(self.grid), width))
        normalisation = partial(nn.LayerNorm, eps=EPSILON)
        self.blocks = nn.ModuleList(
            Layer(
                width,
                heads,
                causal=False,
                norm=norm,
                normalisation=normalisation,
                skipped=stochastic_depth * number / max(1, depth - 1),
            )
            for number in range(depth)
        )
        self.norm = normalisation(width) if norm == "pre" else nn.Identity()
        self.head = nn.Linear(width, outputs)
        self._initialise()

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps: `patches`, `layer1`, ... are maps (B, D, h, w), `features` what is classified."""
        token_BTD, grid = self.tokens(x)
        token_BTD = self._tapped(token_BTD, grid, "patches", taps)
        for number, layer in enumerate(self.blocks, 1):
            token_BTD = self._tapped(layer(token_BTD), grid, f"layer{number}", taps)
        token_BTD = self.norm(token_BTD)
        feature_BD = token_BTD[:, 0] if self.pool == "class" else token_BTD.mean(1)
        if taps is not None:
            taps["features"] = feature_BD
        return self.head(feature_BD)

    def tokens(self, image_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Return what the first layer reads, (B, T, D), the class token first if there is one, and the patches (h, w).

        Raises UserError for images of other channels or smaller than a patch.
        """
        expect_batch("vit", image_BCHW, self.channels, self.patch)
        if self.training and self.stem == "convolutions":
            expect_several("vit", image_BCHW, self.patch)
        map_BDhw = self.patch_embed(image_BCHW)
        grid = (map_BDhw.shape[2], map_BDhw.shape[3])
        token_BTD = map_BDhw.flatten(2).transpose(1, 2)
        if self.pool == "class":
            token_BTD = torch.cat([self.cls_token.expand(len(token_BTD), -1, -1), token_BTD], dim=1)
        return token_BTD + resized(self.pos_embed, self.grid, grid), grid

    def features(self, image_BCHW: Tensor, depths: Sequence[int]) -> list[Tensor]:
        """Return the patches' tokens after chosen layers, counted from 1, as maps (B, D, h, w): what dense tasks read.

        Nothing beyond the deepest is computed. Raises UserError for a layer that there is not.
        """
        if not depths or min(depths) < 1 or max(depths) > len(self.blocks):
            raise UserError(f"vit: found layers {list(depths)}, expected some of 1 to {len(self.blocks)}; correct them")
        token_BTD, grid = self.tokens(image_BCHW)
        after: dict[int, Tensor] = {}
        for number, layer in enumerate(self.blocks[: max(depths)], 1):
            token_BTD = after[number] = layer(token_BTD)
        return [self.as_map(after[number], grid) for number in depths]

    def visible(self, image_BCHW: Tensor, patch_BV: Tensor) -> Tensor:
        """Return what the net says of each of these patches, (B, V, outputs), which are all that it sees of the images.

        `patch_BV` are their positions, row by row from 0 (He et al. 2022, arXiv:2111.06377). Raises UserError where the
        stem is convolutions, which see over a patch's edge.
        """
        if self.stem != "patch":
            raise UserError(
                "net vit.stem: found convolutions, which see over the edge of a patch that is to be hidden; "
                "type: --net.stem patch"
            )
        token_BTD, _ = self.tokens(image_BCHW)
        own = int(self.pool == "class")
        shown_BVD = token_BTD.take_along_dim(patch_BV[:, :, None] + own, dim=1)
        token_BTD = torch.cat([token_BTD[:, :own], shown_BVD], dim=1)
        for layer in self.blocks:
            token_BTD = layer(token_BTD)
        return self.head(self.norm(token_BTD)[:, own:])

    def attention(self, image_BCHW: Tensor) -> Iterator[Tensor]:
        """Yield how much each token attends to each, (B, N, T, T), layer by layer; every row sums to 1."""
        token_BTD, _ = self.tokens(image_BCHW)
        for layer in self.blocks:
            assert isinstance(layer, Layer)
            yield layer.maps(token_BTD)
            token_BTD = layer(token_BTD)

    def as_map(self, token_BTD: Tensor, grid: tuple[int, int]) -> Tensor:
        """Return the patches' tokens where they belong, (B, D, h, w)."""
        patch_BTD = token_BTD[:, 1:] if self.pool == "class" else token_BTD
        return patch_BTD.transpose(1, 2).unflatten(2, grid)

    def _tapped(self, token_BTD: Tensor, grid: tuple[int, int], name: str, taps: dict[str, Tensor] | None) -> Tensor:
        """Keep the tokens as a map, and return them as made of it, so that slopes of the output are known there."""
        if taps is None:
            return token_BTD
        taps[name] = self.as_map(token_BTD, grid)
        patch_BTD = taps[name].flatten(2).transpose(1, 2)
        return torch.cat([token_BTD[:, :1], patch_BTD], dim=1) if self.pool == "class" else patch_BTD

    def published_keys(self, state_dict: Mapping[str, Tensor]) -> dict[str, str]:
        """Return the keys of a published state dict by ours: timm's, which are ours, or torchvision's."""
        own = self.state_dict()
        if not any(key.startswith(("encoder.", "conv_proj.", "heads.")) for key in state_dict):
            return dict(zip(own, own, strict=True))
        theirs = {key: _renamed(key, TORCHVISION) for key in own}
        if any(".mlp.linear_1." in key for key in state_dict):
            theirs = {key: _renamed(name, OLDER, part=True) for key, name in theirs.items()}
        return theirs

    @staticmethod
    def options_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any] | None:
        """Return the options of a published state dict of one of the papers' sizes, with patches of any side.

        How many heads there are its shapes do not tell, so None for another width and depth.
        """
        proj_DChw = state_dict.get("patch_embed.proj.weight", state_dict.get("conv_proj.weight"))
        if proj_DChw is None or proj_DChw.ndim != 4 or not 1 <= proj_DChw.shape[2] <= EXAMPLE["shape"][2]:
            return None
        width, _, patch, _ = proj_DChw.shape
        layers = {found[0] for found in map(LAYER.match, state_dict) if found}
        size = next((size for size in SIZES if (size["width"], size["depth"]) == (width, len(layers))), None)
        pool = "class" if state_dict.keys() & {"cls_token", "class_token"} else "mean"
        return None if size is None else {**size, "patch": patch, "pool": pool}

    def fitted(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a state dict with its positions brought to the net's own patches, if they are of square images."""
        key = self.published_keys(state_dict)["pos_embed"]
        side = self._patches_a_side(state_dict)
        if side is None or self.grid == (side, side):
            return state_dict
        return {**state_dict, key: resized(state_dict[key], (side, side), self.grid)}

    def published_reading(self, state_dict: Mapping[str, Tensor]) -> Weights | None:
        """Return how timm's files for ViT read images: the larger ones whole; None for torchvision's, the usual way."""
        if "pos_embed" not in state_dict:
            return None
        whole = (self.published_side(state_dict) or 0) > EXAMPLE["shape"][2]
        return Weights("vit", middle=1.0 if whole else 0.9, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

    def published_side(self, state_dict: Mapping[str, Tensor]) -> int | None:
        """Return the side of the square images that a state dict was trained on, as its positions tell."""
        side = self._patches_a_side(state_dict)
        return None if side is None else side * self.patch

    def _patches_a_side(self, state_dict: Mapping[str, Tensor]) -> int | None:
        position_1TD = state_dict.get(self.published_keys(state_dict)["pos_embed"])
        if position_1TD is None or position_1TD.ndim != 3 or len(position_1TD) != 1:
            return None
        patches = position_1TD.shape[1] - (self.pool == "class")
        side = math.isqrt(max(patches, 0))
        return side if side and side**2 == patches else None

    def _initialise(self) -> None:
        nn.init.trunc_normal_(self.pos_embed, std=SPREAD)
        if self.pool == "class":
            nn.init.trunc_normal_(self.cls_token, std=SPREAD)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=SPREAD)
                nn.init.zeros_(layer.bias)
        initialise(self.head, None)


def _renamed(key: str, table: Mapping[str, str], part: bool = False) -> str:
    """Return a key as a table of patterns has it: that of the whole key, or where `part` says so of any part."""
    for pattern, name in table.items():
        if re.search(pattern, key) if part else re.fullmatch(pattern, key):
            return re.sub(pattern, name, key)
    return key


NET = ViT
