"""U-Net: down to a coarse map that sees much, and up again beside the fine maps that know where.

Ronneberger, Fischer and Brox 2015, "U-Net: convolutional networks for biomedical image segmentation"
(arXiv:1505.04597), figure 1. What differs: the image is padded inside, so that every pixel of an image of any size is
spoken of; convolutions are normalised, and halve the map themselves; the way down may be a ResNet (He et al. 2016,
arXiv:1512.03385), whose published checkpoints then load into it; the small forms read the image at half its size and
learn the last step up; and at the coarsest map a transformer may look at all of it at once, with positions that are
interpolated to any size (the hybrid of Chen et al. 2021, "TransUNet", arXiv:2102.04306).

Shape suffixes: B batch, C channels, H and W pixels, h and w places of the coarsest map, T tokens, D features,
K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import Layer
from hyperplane.nets.blocks.dense import ToPixels, Up, padded
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.patches import resized
from hyperplane.nets.blocks.residual import Shortcut, Stem, Trunk, expect_stages

# Columns: blocks of each stage, channels of the first, kind of block, how images come in; the transformer's layers.
VARIANTS: dict[str, dict] = {
    "unet-2015": {"depths": (1, 1, 1, 1, 1), "width": 64, "block": "plain", "stem": "small"},
    "unet-resnet18": {"depths": (2, 2, 2, 2), "width": 64, "stem": "imagenet"},
    "unet-resnet34": {"depths": (3, 4, 6, 3), "width": 64, "stem": "imagenet"},
    "unet-resnet50": {"depths": (3, 4, 6, 3), "width": 64, "block": "bottleneck", "stem": "imagenet"},
    "unet-fine": {"depths": (1, 1, 1, 1, 1), "width": 16, "stem": "small"},
    "unet-quick": {"depths": (1, 1, 2), "width": 64, "stem": "quarter"},
    "unet-hybrid": {"depths": (1, 1, 1, 1), "layers": 3},
    "unet-hybrid-quick": {"depths": (1, 1, 1), "width": 64, "stem": "quarter", "layers": 3},
}
EXAMPLE = {"shape": (3, 256, 256), "outputs": 1, "options": {"depths": (1, 1), "width": 8, "layers": 1, "heads": 2}}

SHORTCUTS: dict[str, Shortcut] = {"plain": "none", "padded": "padding"}
"""Of blocks; all others project."""
SPREAD = 0.02
"""Standard deviation of the first positions and of the transformer's first weights, as in ViT."""


class UNet(nn.Module):
    """A ResNet's stages on the way down, maybe a transformer at the bottom, and two convolutions at each step up."""

    ACCEPTS = ("image_BCHW",)
    SAYS_OF = "pixel"
    HOLDS = ("resnet", "resnet-cifar")

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        depths: tuple[int, ...] = (1, 1, 1, 2),
        width: int = 32,
        block: Literal["plain", "basic", "padded", "bottleneck"] = "basic",
        stem: Stem = "half",
        most: int = 256,
        layers: int = 0,
        heads: int = 4,
    ) -> None:
        """Build it for images (C, H, W).

        `depths` are the blocks of each stage on the way down, the first of `width` channels, twice as many in each
        further one, on the way up at most `most`; `block` is plain (two convolutions) or a ResNet's, padded where its
        shortcuts have no weights; `stem` keeps every pixel (small), makes the image smaller at once (half, quarter), or
        does so as ResNets do (imagenet); `layers` of a transformer with so many `heads` read the coarsest map.
        """
        super().__init__()
        expect_stages("unet", depths, width)
        if most < 1 or layers < 0:
            raise UserError(
                f"net unet: found most {most} and layers {layers}, expected 1 or more channels and 0 or more layers; "
                "type: --net.most 256 --net.layers 3"
            )
        self.channels = expect_shape("unet", shape, 1)
        self.encoder = Trunk(
            self.channels,
            block="bottleneck" if block == "bottleneck" else "basic",
            depths=depths,
            width=width,
            stem=stem,
            shortcut=SHORTCUTS.get(block, "projection"),
        )
        self.first = {"small": 1, "half": 2, "quarter": 4, "imagenet": 4}[stem]
        self.stride = self.first * 2 ** (len(depths) - 1)
        widths = self.encoder.widths
        self.names = self.encoder.stages
        if stem == "imagenet":  # what is before its pooling is finer still
            widths, self.names, self.first = [width, *widths], ["conv1", *self.names], 2
        self.bottom = Bottom(widths[-1], shape, self.stride, layers, heads) if layers else None
        self.ups = nn.ModuleList()
        coarse = widths[-1]
        for level, fine in reversed(list(enumerate(widths[:-1]))):
            narrow = min(fine, width * 2**level, most)
            self.ups.append(Up(coarse, fine, narrow))
            coarse = narrow
        self.head = ToPixels(coarse, outputs, self.first)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, K, H, W); taps: maps on the way down (`layer1`, ...), `bottom`, and on the way up (`up1`, ...)."""
        expect_batch("unet", x, self.channels, 1)
        if self.training:
            expect_several("unet", x, self.stride)
        seen = self.encoder.maps(padded(x, self.stride))
        maps = [seen[name] for name in self.names]
        a_BCHW = maps.pop()
        if self.bottom is not None:
            a_BCHW = seen["bottom"] = self.bottom(a_BCHW)
        for number, up in enumerate(self.ups, 1):
            a_BCHW = seen[f"up{number}"] = up(a_BCHW, maps.pop())
        if taps is not None:
            taps |= seen
        return self.head(a_BCHW)[:, :, : x.shape[2], : x.shape[3]]

    @classmethod
    def around(cls, net: str, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the options with which the way down is another net; None where it cannot be."""
        if net == "resnet":
            return {name: options[name] for name in ("block", "depths", "width", "stem")}
        if net == "resnet-cifar":
            block = "padded" if options["residual"] else "plain"
            depths = [(options["depth"] - 2) // 6] * 3
            return {"block": block, "depths": depths, "width": options["width"], "stem": "small"}
        return None

    def taken(self, state_dict: Mapping[str, Tensor], net: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """Return the weights of a U-Net, or of a net that the way down may be without its last layer, under our keys.

        Arguments: weights; which file's net they are of, and for images of which shape that was built.
        """
        if net != "unet":
            return {f"encoder.{key}": t for key, t in state_dict.items() if not key.startswith("fc.")}
        held = dict(state_dict)
        if self.bottom is not None and "bottom.pos_embed" in held:
            grid = (math.ceil(shape[1] / self.stride), math.ceil(shape[2] / self.stride))
            held["bottom.pos_embed"] = resized(held["bottom.pos_embed"], grid, self.bottom.grid)
        return held

    def load_published(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load a published ResNet's state dict into the way down; raises UserError where it is of another one."""
        self.encoder.load_published({k: v for k, v in state_dict.items() if not k.startswith("fc.")})


class Bottom(nn.Module):
    """Layers of a transformer that read every place of the coarsest map as a token."""

    def __init__(self, width: int, shape: tuple[int, ...], stride: int, layers: int, heads: int) -> None:
        super().__init__()
        self.grid = (math.ceil(shape[1] / stride), math.ceil(shape[2] / stride))
        self.pos_embed = nn.Parameter(torch.zeros(1, math.prod(self.grid), width))
        self.blocks = nn.ModuleList(Layer(width, heads, causal=False, hidden=2 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.trunc_normal_(self.pos_embed, std=SPREAD)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=SPREAD)
                nn.init.zeros_(layer.bias)

    def forward(self, map_BDhw: Tensor) -> Tensor:
        """Return a map of the same shape."""
        grid = (map_BDhw.shape[2], map_BDhw.shape[3])
        token_BTD = map_BDhw.flatten(2).transpose(1, 2) + resized(self.pos_embed, self.grid, grid)
        for layer in self.blocks:
            token_BTD = layer(token_BTD)
        return self.norm(token_BTD).transpose(1, 2).unflatten(2, grid)


NET = UNet
