"""ResNets for small images such as CIFAR's, and plain nets of the same depth, which show what shortcuts are for.

He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition" (arXiv:1512.03385), section 4.2: three
stages of 16, 32 and 64 channels with n blocks of two 3×3 convolutions each, 6n + 2 layers in all. Shortcuts have no
weights (option A), so that a residual net and a plain one have exactly as many. What differs from the paper: nothing
but the first draw of the weights, which is that of He et al. 2015 by the number of inputs. There is no one published
layout of such nets, so that the keys are our own, and files by others are told as foreign.

Shape suffixes: B batch, C channels, H and W pixels, D features.
"""

from __future__ import annotations

from torch import Tensor, nn

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape
from hyperplane.nets.blocks.residual import BasicBlock, Shortcut, convolution

# Columns: layers with weights (table 6 of the paper; 8 is the least), shortcuts or none.
VARIANTS: dict[str, dict] = {
    "resnet8": {"depth": 8},
    "resnet20": {"depth": 20},
    "resnet32": {"depth": 32},
    "resnet44": {"depth": 44},
    "resnet56": {"depth": 56},
    "resnet110": {"depth": 110},
    "plain8": {"depth": 8, "residual": False},
    "plain20": {"depth": 20, "residual": False},
    "plain32": {"depth": 32, "residual": False},
    "plain44": {"depth": 44, "residual": False},
    "plain56": {"depth": 56, "residual": False},
    "plain110": {"depth": 110, "residual": False},
}
EXAMPLE = {"shape": (3, 32, 32), "outputs": 10, "options": {"depth": 14, "width": 4}}

LEAST = 4
"""The net's stride: the shortest side of an image, in pixels."""


class CifarResNet(nn.Module):
    """A 3×3 convolution, three stages of residual blocks, a mean, and a linear layer."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self, shape: tuple[int, ...], outputs: int, *, depth: int = 20, width: int = 16, residual: bool = True
    ) -> None:
        """Build it for images (C, H, W): `depth` layers with weights, the first stage of `width` channels."""
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if blocks < 1 or rest:
            raise UserError(
                f"net resnet-cifar.depth: found {depth}, expected 6n + 2 layers: 8, 14, 20, 26, ...; "
                "type: --net.depth 20"
            )
        if width < 1:
            raise UserError(f"net resnet-cifar.width: found {width}, expected 1 or more; type: --net.width 16")
        self.channels = expect_shape("resnet-cifar", shape, LEAST)
        shortcut: Shortcut = "padding" if residual else "none"
        self.conv1 = convolution(self.channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks, 1, shortcut)
        self.layer2 = _stage(width, 2 * width, blocks, 2, shortcut)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2, shortcut)
        self.fc = nn.Linear(4 * width, outputs)
        initialise(self.fc, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps `conv1`, `layer1`, ... are the stages' maps, `features` their mean."""
        expect_batch("resnet-cifar", x, self.channels, LEAST)
        if self.training:
            expect_several("resnet-cifar", x, LEAST)
        stem_BCHW = self.bn1(self.conv1(x)).relu_()
        a_BCHW = self.layer1(stem_BCHW)
        b_BCHW = self.layer2(a_BCHW)
        c_BCHW = self.layer3(b_BCHW)
        feature_BD = c_BCHW.mean((2, 3))
        if taps is not None:
            taps |= {"conv1": stem_BCHW, "layer1": a_BCHW, "layer2": b_BCHW, "layer3": c_BCHW, "features": feature_BD}
        return self.fc(feature_BD)


def _stage(channels: int, width: int, blocks: int, stride: int, shortcut: Shortcut) -> nn.Sequential:
    first = BasicBlock(channels, width, stride, shortcut)
    return nn.Sequential(first, *(BasicBlock(width, width, 1, shortcut) for _ in range(1, blocks)))


NET = CifarResNet
