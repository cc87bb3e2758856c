"""AlexNet, the net that won ImageNet in 2012 and began the race for depth.

Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional neural networks". This is the
form that is published: one tower, from Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
networks" (arXiv:1404.5997), in torchvision's layout, whose checkpoint loads. What differs from 2012: one tower of 64,
192, 384, 256 and 256 channels rather than two on two GPUs, no local response normalisation, and an adaptive mean before
the dense layers, so that images of other sizes can be read.

Shape suffixes: B batch, C channels, H and W pixels, D features, K outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.chance import Dropout
from hyperplane.nets.blocks.images import expect_batch, expect_shape
from hyperplane.nets.blocks.published import Published, Weights
from hyperplane.nets.blocks.sequence import through

VARIANTS: dict[str, dict] = {}
EXAMPLE = {"shape": (3, 224, 224), "outputs": 1000, "options": {"width": 8, "hidden": 16}}

PUBLISHED = {digits: Weights("alexnet", stem="alexnet-owt") for digits in ("7be5be79", "4df8aa71")}

LEAST = 63
"""The shortest side that leaves a pixel after the third pooling."""


class AlexNet(Published):
    """Five convolutions, three of them with pooling, and three dense layers: 61,100,840 weights for 1,000 classes."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, width: int = 64, hidden: int = 4096, dropout: float = 0.5
    ) -> None:
        """Build it for images (C, H, W).

        `width` is the first convolution's channels, to which the others keep their ratio; `hidden` the units of each
        hidden dense layer; `dropout` in [0, 1) acts before each.
        """
        super().__init__()
        if min(width, hidden) < 1:
            raise UserError(
                f"net alexnet: found width {width} and hidden {hidden}, expected each of them 1 or more; "
                "type: --net.width 64 --net.hidden 4096"
            )
        self.channels = expect_shape("alexnet", shape, LEAST)
        self.features = nn.Sequential(
            nn.Conv2d(self.channels, width, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(width, 3 * width, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(3 * width, 6 * width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(6 * width, 4 * width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            Dropout(dropout),
            nn.Linear(4 * width * 6 * 6, hidden),
            nn.ReLU(inplace=True),
            Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, outputs),
        )
        for layer in (*self.features, *self.classifier):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                initialise(layer, None if layer is self.classifier[-1] else "relu")

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `conv1` ... `conv5` and `dense1`, `dense2` are the layers' activations."""
        expect_batch("alexnet", x, self.channels, LEAST)
        seen: list[Tensor] = []
        feature_BD = self.avgpool(through(self.features, x, seen)).flatten(1)
        output_BK = through(self.classifier, feature_BD, seen)
        if taps is not None:
            names = (*(f"conv{n}" for n in range(1, 6)), "dense1", "dense2")
            taps |= dict(zip(names, seen, strict=True))
        return output_BK


NET = AlexNet
