"""Masked autoencoder: most patches of an image are hidden, and the net learns to tell them from the few shown.

He et al. 2022, "Masked autoencoders are scalable vision learners" (arXiv:2111.06377): the vision transformer encodes
the patches that are shown and no others, a narrow transformer puts a learned token in place of each hidden one and says
what its pixels are, and the loss is the squared error of the hidden pixels. Pixels are as the net reads them, less
their mean and over their standard deviation, so that 1 is the error of who knows nothing; they are not normalised patch
by patch, so that what is rebuilt can be seen. Only the net goes into fine-tuning.

Shape suffixes: B batch, C channels, H and W pixels, T patches, V patches that are shown, P numbers of a patch, D
features of the decoder, M masks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.contracts import Batch, Description, Metric, Output
from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import Layer
from hyperplane.tasks.blocks import feature_figures
from hyperplane.tasks.blocks.unlabelled import Unlabelled, fits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TASK", "MaskedAutoencoder", "fits"]

MASKS = 64
"""Different masks that samples are judged by: sample i has number i modulo this."""
SHOWN = 8
"""Images whose reconstruction is drawn: the first of the split that judges."""
HEAD = 16
"""Features of a head of the decoder."""
SPREAD = 0.02
"""Standard deviation of its first weights."""


class MaskedAutoencoder(Unlabelled):
    """Learn to rebuild the hidden patches of images."""

    LOSS = Metric("reconstruction_error", "", "lower", "mean squared error of hidden pixels, whose variance is 1")
    decoder: Decoder

    def __init__(self, description: Description, *, hidden: float = 0.75, width: int = 64, depth: int = 2) -> None:
        """Build it for images; `hidden` in (0, 1) is the share of the patches that is.

        `width` are the features of a token of the decoder, a multiple of 16, and `depth` its layers.
        """
        if not 0 < hidden < 1:
            raise UserError(
                f"task selfsup-mae.hidden: found {hidden}, expected a share in (0, 1); type: --task.hidden 0.75"
            )
        if width < 1 or width % HEAD or depth < 1:
            raise UserError(
                f"task selfsup-mae: found width {width} and depth {depth} of the decoder, expected a multiple of "
                f"{HEAD} and 1 or more; type: --task.width 64 --task.depth 2"
            )
        super().__init__(description)
        self.hidden, self.depth, self.outputs = hidden, depth, width
        self.channels = description.shapes[description.input][0]
        self.seen: list[tuple[Tensor, Tensor, Tensor]] = []

    def join(self, net: nn.Module) -> None:
        """Make the decoder for the net's patches; raises UserError for a net that cannot read a part of them."""
        if not hasattr(net, "visible"):
            raise UserError(
                f"task selfsup-mae: found the net {type(net).__name__}, which cannot leave out what is hidden, "
                "expected a vision transformer; type: --net vit-small-28 --net.stem patch"
            )
        self.patch, self.grid = _patches_of(net)
        count = math.prod(self.grid)
        self.kept = max(1, round((1 - self.hidden) * count))
        if self.kept == count:
            raise UserError(
                f"task selfsup-mae: found {count} patches, expected enough to hide {self.hidden:.0%} of them; "
                f"type: --net.patch {max(1, self.patch // 4)}"
            )
        self.decoder = Decoder(count, self.outputs, self.depth, self.channels * self.patch**2)
        fixed = torch.Generator().manual_seed(0)
        self.register_buffer("noise_MT", torch.rand(MASKS, count, generator=fixed, device="cpu"), persistent=False)

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the mean squared error of each image's hidden pixels.

        Prediction: in training the mean of what the net says of the shown patches, in evaluation of whole images.
        """
        image_BCHW = batch.fields[self.input]
        if (image_BCHW.shape[2] // self.patch, image_BCHW.shape[3] // self.patch) != self.grid:
            raise UserError(
                "task selfsup-mae: found images that shrink in training, expected one size, for which the decoder "
                "is made; leave out --augment.sizes"
            )
        order_BT = self._noise(batch).argsort(dim=1)
        kept_BV = order_BT[:, : self.kept]
        said_BVD = net.visible(image_BCHW, kept_BV)  # pyright: ignore[reportCallIssue]
        built_BTP = self.decoder(said_BVD, kept_BV)
        patch_BTP = cut(image_BCHW, self.patch, self.grid)
        error_BT = (built_BTP.to(patch_BTP.dtype) - patch_BTP).square().mean(2)
        loss_B = error_BT.gather(1, order_BT[:, self.kept :]).mean(1)
        if net.training:
            return Output(loss_B, said_BVD.mean(1), {}, taps or {})
        self._remember(batch, patch_BTP, built_BTP, kept_BV)
        return self.judged(net, batch, loss_B)

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return what was shown, rebuilt and hidden of the first images, beside what the features tell."""
        original, shown, rebuilt = [], [], []
        for patch_TP, built_TP, kept_V in self.seen:
            hidden_T1 = torch.ones(len(patch_TP), 1, dtype=torch.bool)
            hidden_T1[kept_V] = False
            original.append(self._picture(patch_TP))
            shown.append(self._picture(patch_TP.masked_fill(hidden_T1, math.nan)))
            rebuilt.append(self._picture(patch_TP.where(~hidden_T1, built_TP)))
        found = {"reconstructions": feature_figures.rebuilt(original, shown, rebuilt, self.hidden)} if shown else {}
        return {**found, **super().draw(statistics)}

    def _noise(self, batch: Batch) -> Tensor:
        """Return a number for every patch, (B, T), of which the least are shown: new in training, fixed otherwise."""
        noise_MT = self.get_buffer("noise_MT")
        if not self.training:
            return noise_MT[batch.index_B % MASKS]
        shape = (len(batch), noise_MT.shape[1])
        return torch.rand(shape, generator=self.generator, device=noise_MT.device)

    def _remember(self, batch: Batch, patch_BTP: Tensor, built_BTP: Tensor, kept_BV: Tensor) -> None:
        if not len(batch) or int(batch.index_B[0]) != 0:
            return
        parts = (t[:SHOWN].detach().cpu() for t in (patch_BTP.float(), built_BTP.float(), kept_BV))
        self.seen = list(zip(*parts, strict=True))

    def _picture(self, patch_TP: Tensor) -> np.ndarray:
        """Return patches as a picture, (H, W, 3) in [0, 1]."""
        rows, columns = self.grid
        image_CHW = F.fold(patch_TP.T[None], (rows * self.patch, columns * self.patch), self.patch, stride=self.patch)[
            0
        ]
        mean_C, std_C = (torch.tensor(self.encoding.get(n, d)).float() for n, d in (("mean", [0.0]), ("std", [1.0])))
        pixel_CHW = image_CHW * std_C[:, None, None] + mean_C[:, None, None]
        pixel_CHW = pixel_CHW if len(pixel_CHW) == 3 else pixel_CHW.mean(0, keepdim=True).expand(3, -1, -1)
        return pixel_CHW.permute(1, 2, 0).numpy()


class Decoder(nn.Module):
    """A narrow transformer that says what the pixels of every patch are, from what is said of those that are shown."""

    def __init__(self, patches: int, width: int, depth: int, numbers: int) -> None:
        super().__init__()
        self.hidden = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.zeros(1, patches, width))
        self.layers = nn.ModuleList(Layer(width, width // HEAD, causal=False) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.pixels = nn.Linear(width, numbers)
        for weight in (self.hidden, self.place, *(m.weight for m in self.modules() if isinstance(m, nn.Linear))):
            nn.init.trunc_normal_(weight, std=SPREAD)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    def forward(self, said_BVD: Tensor, kept_BV: Tensor) -> Tensor:
        """Return (B, T, P) of what is said of the patches at these positions, (B, V, D)."""
        count, shown, width = said_BVD.shape
        token_BTD = self.hidden.to(said_BVD.dtype).expand(count, self.place.shape[1], width)
        token_BTD = token_BTD.scatter(1, kept_BV[:, :, None].expand(count, shown, width), said_BVD) + self.place
        for layer in self.layers:
            token_BTD = layer(token_BTD)
        return self.pixels(self.norm(token_BTD))


def cut(image_BCHW: Tensor, patch: int, grid: tuple[int, int]) -> Tensor:
    """Return the patches of images, (B, T, P), row by row; what the last of a row or column does not fill is left."""
    rows, columns = grid
    return F.unfold(image_BCHW[:, :, : rows * patch, : columns * patch], patch, stride=patch).transpose(1, 2)


def _patches_of(net: nn.Module) -> tuple[int, tuple[int, int]]:
    """Return the side of a net's patches and how many rows and columns of them it reads."""
    return net.patch, net.grid  # pyright: ignore[reportReturnType]


TASK = MaskedAutoencoder
