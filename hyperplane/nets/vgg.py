"""VGG, the deep net of nothing but 3×3 convolutions: 11 to 19 layers, with and without batch normalisation.

Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image recognition" (arXiv:1409.1556),
table 1. State-dict keys and outputs are torchvision's, whose checkpoints load. What differs from the paper: an adaptive
mean before the dense layers, so that images of other sizes can be read; configuration C, with 1×1 convolutions, is not
here; and the `_bn` variants normalise after each convolution (Ioffe and Szegedy 2015, arXiv:1502.03167), which the
paper could not. The variants for small images normalise too, and end in one linear layer after a mean over the last
map: an image of 32 pixels leaves one place there, so that the dense layers would read the same numbers 49 times.

Shape suffixes: B batch, C channels, H and W pixels, D features, K outputs.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.chance import Dropout
from hyperplane.nets.blocks.images import expect_batch, expect_shape
from hyperplane.nets.blocks.published import Published, Weights
from hyperplane.nets.blocks.sequence import through

# Columns: layers with weights (configurations A, B, D and E of the paper's table 1), batch normalisation, head.
VARIANTS: dict[str, dict] = {
    "vgg11": {"depth": 11},
    "vgg11_bn": {"depth": 11, "batch_norm": True},
    "vgg13": {"depth": 13},
    "vgg13_bn": {"depth": 13, "batch_norm": True},
    "vgg16": {"depth": 16},
    "vgg16_bn": {"depth": 16, "batch_norm": True},
    "vgg19": {"depth": 19},
    "vgg19_bn": {"depth": 19, "batch_norm": True},
    "vgg11-small": {"depth": 11, "batch_norm": True, "head": "mean"},
    "vgg16-small": {"depth": 16, "batch_norm": True, "head": "mean"},
}
EXAMPLE = {
    "shape": (3, 224, 224),
    "outputs": 1000,
    "options": {"depth": 11, "batch_norm": True, "width": 4, "hidden": 16},
}

PUBLISHED = {
    "8a719046": Weights("vgg11"),
    "bbd30ac9": Weights("vgg11"),
    "6002323d": Weights("vgg11_bn"),
    "19584684": Weights("vgg13"),
    "c768596a": Weights("vgg13"),
    "abd245e5": Weights("vgg13_bn"),
    "397923af": Weights("vgg16"),
    "6c64b313": Weights("vgg16_bn"),
    "dcbb9e9d": Weights("vgg19"),
    "c79401a0": Weights("vgg19_bn"),
}

CONVOLUTIONS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""In each of the five stages, by the net's depth."""
LEAST = 32
"""The net's stride: the shortest side of an image, in pixels."""


class VGG(Published):
    """Five stages of 3×3 convolutions, each ended by pooling, and three dense layers, or a mean and one."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        depth: Literal[11, 13, 16, 19] = 16,
        batch_norm: bool = False,
        width: int = 64,
        hidden: int = 4096,
        dropout: float = 0.5,
        head: Literal["dense", "mean"] = "dense",
    ) -> None:
        """Build it for images (C, H, W).

        `depth` counts the layers with weights, three dense ones among them; `width` is the first stage's channels,
        which double up to eightfold; `hidden` the units of each hidden dense layer; `dropout` in [0, 1) acts after
        each. With the head `mean` there is no hidden dense layer.
        """
        super().__init__()
        if min(width, hidden) < 1:
            raise UserError(
                f"net vgg: found width {width} and hidden {hidden}, expected each of them 1 or more; "
                "type: --net.width 64 --net.hidden 4096"
            )
        self.channels = channels = expect_shape("vgg", shape, LEAST)
        layers: list[nn.Module] = []
        self.named: list[str] = []
        for stage, (count, growth) in enumerate(zip(CONVOLUTIONS[depth], (1, 2, 4, 8, 8), strict=True), 1):
            for number in range(1, count + 1):
                layers.append(nn.Conv2d(channels, width * growth, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(width * growth))
                layers.append(nn.ReLU(inplace=True))
                channels = width * growth
                self.named.append(f"conv{stage}_{number}")
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        dense: list[nn.Module] = []
        if head == "dense":
            self.named += ["dense1", "dense2"]
            dense = [
                nn.Linear(channels * 7 * 7, hidden),
                nn.ReLU(inplace=True),
                Dropout(dropout),
                nn.Linear(hidden, hidden),
                nn.ReLU(inplace=True),
                Dropout(dropout),
            ]
        self.avgpool = nn.AdaptiveAvgPool2d(7 if dense else 1)
        self.classifier = nn.Sequential(*dense, nn.Linear(hidden if dense else channels, outputs))
        for layer in (*self.features, *self.classifier):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                initialise(layer, None if layer is self.classifier[-1] else "relu")

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `conv1_1`, `conv1_2`, ... and `dense1`, `dense2` are the layers' activations."""
        expect_batch("vgg", x, self.channels, LEAST)
        seen: list[Tensor] = []
        feature_BD = self.avgpool(through(self.features, x, seen)).flatten(1)
        output_BK = through(self.classifier, feature_BD, seen)
        if taps is not None:
            taps |= dict(zip(self.named, seen, strict=True))
        return output_BK


NET = VGG
