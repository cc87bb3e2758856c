"""A compact net for small images that learns in few steps: whitened patches, groups of convolutions, a linear layer.

After Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv:2404.00498), section 3, and its newer forms
(airbench). The first layer is a fixed convolution of 2×2 patches whose filters are the eigenvectors of the patches that
the data hold, each brought to variance 1, and their negatives; only its bias is learned. Each group halves the image
after its first convolution, normalises without gains, and begins as the identity as far as there are channels. What
differs: the last map may have any size, and of it the greatest activation counts; the net for grey digits has patches
of 3×3, and moves by two pixels.

Shape suffixes: B batch, C channels, H and W pixels, D numbers of a patch or a feature, N patches, F filters.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.images import expect_batch, expect_several, expect_shape

VARIANTS: dict[str, dict] = {
    "compact-wide": {"widths": (128, 384, 512), "depth": 3, "bypass": True},
    "compact-digits": {"widths": (16, 32, 64), "patch": 3, "stride": 2, "pools": 2},
}
EXAMPLE = {"shape": (3, 32, 32), "outputs": 10, "options": {"widths": (8, 12, 16)}}

MOMENTUM = 0.4
"""Of batch normalisation's running statistics: there are few steps, each of many samples."""
FLOOR = 5e-4
"""Added to a patch direction's variance before it is brought to 1, so that noise is not."""


class Compact(nn.Module):
    """Whitening, groups of convolutions with batch normalisation and GELU, a maximum, and a linear layer."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        widths: tuple[int, ...] = (64, 256, 256),
        depth: int = 2,
        bypass: bool = False,
        patch: int = 2,
        stride: int = 1,
        pools: int = 3,
    ) -> None:
        """Build it for images (C, H, W).

        `widths` are the groups' channels and `depth` their convolutions; with `bypass` the output of a group's second
        skips the others; `patch` is the side of the whitened patches and `stride` the pixels between two of them; the
        first `pools` groups halve the image.
        """
        super().__init__()
        if not widths or min(*widths, depth, patch, stride, pools + 1) < 1 or pools > len(widths):
            raise UserError(
                f"net compact: found widths {list(widths)}, depth {depth}, patch {patch}, stride {stride}, pools "
                f"{pools}, expected 1 or more of each, and no more pools than widths; type: --net.widths 64 256 256"
            )
        self.least = stride * 2**pools + patch - 1
        self.channels = expect_shape("compact", shape, self.least)
        self.stride = stride
        inputs = self.channels * patch * patch
        draw_DD = torch.linalg.qr(torch.randn(inputs, inputs))[0] if not _on_meta() else torch.empty(inputs, inputs)
        self.register_buffer("whitening", _both_ways(draw_DD.view(inputs, self.channels, patch, patch)))
        self.bias = nn.Parameter(torch.zeros(2 * inputs))
        before = (2 * inputs, *widths)
        self.groups = nn.ModuleList(
            Group(before[k], width, depth, bypass, halves=k < pools) for k, width in enumerate(widths)
        )
        self.output = nn.Linear(widths[-1], outputs, bias=False)
        initialise(self.output, None)

    @torch.no_grad()
    def prepare(self, image_BCHW: Tensor) -> None:
        """Set the first layer's filters from images: the eigenvectors of their patches, each response of variance 1."""
        whitening = cast(Tensor, self.whitening)
        count, channels, patch, _ = whitening.shape
        step = 1 + image_BCHW.numel() // 2**24
        columns_BDN = F.unfold(image_BCHW[::step], patch)
        patch_ND = columns_BDN.transpose(1, 2).flatten(0, 1).double()
        variance_D, direction_DD = torch.linalg.eigh(patch_ND.T @ patch_ND / len(patch_ND))
        filter_FD = (direction_DD / (variance_D + FLOOR).sqrt()).T.flip(0)
        whitening.copy_(_both_ways(filter_FD.view(count // 2, channels, patch, patch)).to(whitening.dtype))

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); taps: `whitened`, `group1`, ... are maps, `features` the greatest of the last."""
        expect_batch("compact", x, self.channels, self.least)
        if self.training:
            expect_several("compact", x, self.least)
        a_BCHW = F.conv2d(x, cast(Tensor, self.whitening), self.bias, self.stride)
        a_BCHW = F.gelu(a_BCHW)
        seen = {"whitened": a_BCHW}
        for number, group in enumerate(self.groups, 1):
            a_BCHW = seen[f"group{number}"] = group(a_BCHW)
        feature_BD = seen["features"] = a_BCHW.amax((2, 3))
        if taps is not None:
            taps |= seen
        return self.output(feature_BD)


class Group(nn.Module):
    """Convolutions 3×3, each with batch normalisation and GELU; after the first, a maximum of 2×2."""

    def __init__(self, channels: int, width: int, depth: int, bypass: bool, halves: bool) -> None:
        super().__init__()
        self.halves, self.bypass = halves, bypass
        self.convolutions = nn.ModuleList(_convolution(channels if k == 0 else width, width) for k in range(depth))
        self.norms = nn.ModuleList(_norm(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H / 2, W / 2), rounded down, or of the size that it had."""
        early_BCHW = None
        last = len(self.convolutions) - 1
        for k, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = convolution(x)
            if k == 0 and self.halves:
                x = F.max_pool2d(x, 2)
            x = norm(x)
            if k == last and early_BCHW is not None:
                x = x + early_BCHW
            x = F.gelu(x)
            if k == 0 and self.bypass:
                early_BCHW = x
        return x


def _convolution(channels: int, width: int) -> nn.Conv2d:
    """Return a 3×3 convolution that begins as the identity on as many channels as both sides have."""
    layer = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight.data[: min(channels, width)])
    return layer


def _norm(width: int) -> nn.BatchNorm2d:
    """Return batch normalisation that has a bias but no gain."""
    layer = nn.BatchNorm2d(width, momentum=MOMENTUM)
    layer.weight.requires_grad_(False)
    return layer


def _both_ways(filter_FChw: Tensor) -> Tensor:
    return torch.cat([filter_FChw, -filter_FChw])


def _on_meta() -> bool:
    return torch.empty(0).device.type == "meta"


NET = Compact
