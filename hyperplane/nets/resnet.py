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

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.published import Published, Weights
from hyperplane.nets.blocks.residual import BasicBlock, Bottleneck, convolution

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


class ResNet(Published):
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
        super().__init__()
        if not depths or min(*depths, width) < 1:
            raise UserError(
                f"net resnet: found depths {list(depths)} and width {width}, expected each of them 1 or more; "
                "type: --net.depths 2 2 2 2 --net.width 64"
            )
        large = stem == "imagenet"
        self.least = (4 if large else 1) * 2 ** (len(depths) - 1)
        self.channels = expect_shape("resnet", shape, self.least)
        kind = BasicBlock if block == "basic" else Bottleneck
        self.conv1 = convolution(self.channels, width, 7, 2) if large else convolution(self.channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        self.stages: list[str] = []
        channels = width
        for stage, depth in enumerate(depths):
            blocks = []
            for number in range(depth):
                stride = 2 if stage > 0 and number == 0 else 1
                blocks.append(kind(channels, width * 2**stage, stride, "projection"))
                channels = kind.expansion * width * 2**stage
            self.stages.append(f"layer{stage + 1}")
            self.add_module(self.stages[-1], nn.Sequential(*blocks))
        self.fc = nn.Linear(channels, outputs)
        initialise(self.fc, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `conv1`, `layer1`, ... are the stem's and stages' maps, `features` their mean."""
        expect_batch("resnet", x, self.channels, self.least)
        if self.training:
            expect_several("resnet", x, self.least)
        a_BCHW = self.bn1(self.conv1(x)).relu_()
        seen = {"conv1": a_BCHW}
        a_BCHW = self.maxpool(a_BCHW)
        for stage in self.stages:
            a_BCHW = seen[stage] = self.get_submodule(stage)(a_BCHW)
        feature_BD = seen["features"] = a_BCHW.mean((2, 3))
        if taps is not None:
            taps |= seen
        return self.fc(feature_BD)


NET = ResNet
