"""ResNet, the residual net: up to 152 layers, each block learning only what is to be added to its input.

He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition" (arXiv:1512.03385), table 1. State-dict keys
and outputs are torchvision's, whose checkpoints load. What differs from the paper there: the stride of a bottleneck is
in its 3×3 convolution ("v1.5"), and the last layer follows a mean over images of any size. The variant for small images
has a stem that keeps every pixel (a 3×3 convolution, no pooling), as is usual on CIFAR.

Shape suffixes: B batch, C channels, H and W pixels, D features.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.published import Weights
from hyperplane.nets.blocks.residual import Trunk, expect_stages

# Columns: kind of block, blocks in each stage (table 1 of the paper), stem.
VARIANTS: dict[str, dict] = {
    "resnet18": {"block": "basic", "depths": (2, 2, 2, 2)},
    "resnet34": {"block": "basic", "depths": (3, 4, 6, 3)},
    "resnet50": {"block": "bottleneck", "depths": (3, 4, 6, 3)},
    "resnet101": {"block": "bottleneck", "depths": (3, 4, 23, 3)},
    "resnet152": {"block": "bottleneck", "depths": (3, 8, 36, 3)},
    "resnet18-small": {"block": "basic", "depths": (2, 2, 2, 2), "stem": "small"},
    "resnet50-small": {"block": "bottleneck", "depths": (3, 4, 6, 3), "stem": "small"},
}
EXAMPLE = {"shape": (3, 224, 224), "outputs": 1000, "options": {"block": "bottleneck", "depths": (1, 2), "width": 8}}

PUBLISHED = {
    "f37072fd": Weights("resnet18"),
    "5c106cde": Weights("resnet18"),
    "b627a593": Weights("resnet34"),
    "333f7ec4": Weights("resnet34"),
    "0676ba61": Weights("resnet50"),
    "19c8e357": Weights("resnet50"),
    "11ad3fa6": Weights("resnet50", middle=224 / 232),
    "63fe2227": Weights("resnet101"),
    "5d3b4d8f": Weights("resnet101"),
    "cd907fc2": Weights("resnet101", middle=224 / 232),
    "394f9c45": Weights("resnet152"),
    "b121ed2d": Weights("resnet152"),
    "f82ba261": Weights("resnet152", middle=224 / 232),
}


class ResNet(Trunk):
    """A stem, stages of residual blocks that halve the image and double the channels, a mean, and a linear layer."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        block: Literal["basic", "bottleneck"] = "basic",
        depths: tuple[int, ...] = (2, 2, 2, 2),
        width: int = 64,
        stem: Literal["imagenet", "small"] = "imagenet",
    ) -> None:
        """Build it for images (C, H, W): `depths` blocks in each stage, the first of `width` channels."""
        expect_stages("resnet", depths, width)
        least = (4 if stem == "imagenet" else 1) * 2 ** (len(depths) - 1)
        channels = expect_shape("resnet", shape, least)
        super().__init__(channels, block=block, depths=depths, width=width, stem=stem)
        self.channels, self.least = channels, least
        self.fc = nn.Linear(self.widths[-1], outputs)
        initialise(self.fc, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `conv1`, `layer1`, ... are the stem's and stages' maps, `features` their mean."""
        expect_batch("resnet", x, self.channels, self.least)
        if self.training:
            expect_several("resnet", x, self.least)
        seen = self.maps(x)
        feature_BD = seen["features"] = seen[self.stages[-1]].mean((2, 3))
        if taps is not None:
            taps |= seen
        return self.fc(feature_BD)


NET = ResNet
