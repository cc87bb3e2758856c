"""A net with feedback in the manner of CORnet: V1, V2, V4 and IT, wired both ways and run in time.

Kubilius et al. 2018, "CORnet: modeling the neural mechanisms of core object recognition", and 2019, "Brain-like object
recognition with high-performing shallow recurrent ANNs" (arXiv:1909.06161): four areas, weights shared over time, a
linear decoder from IT. The wiring is that of the cortex (Felleman and Van Essen 1991): feed-forward connections from
the area below, horizontal ones within an area, feedback from the area above. With h_a(t) the activity of area a at
step t,

    h_a(t) = ReLU(norm(F_a h_{a-1}(t) + H_a h_a(t-1) + B_a h_{a+1}(t-1))),    h_0(t) the image.

The first step is one feed-forward sweep; each further step adds one pass of feedback. What differs from CORnet: it has
no feedback between areas, one block for each area rather than CORnet-S's bottlenecks with shortcuts, and group
normalisation (Wu and He 2018, arXiv:1803.08494), whose weights can be the same at every step.

A decision may be read after any step: the taps `output1`, `output2`, ... are the outputs so far. In training the task
adds the losses of the earlier ones by the weights of `auxiliary`, so that each is as good as it can be by then.

Shape suffixes: B batch, C channels, H and W pixels, K outputs.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.activations import initialise
from hyperplane.nets.blocks.images import expect_batch, expect_shape

VARIANTS: dict[str, dict] = {
    "cornet-feedforward": {"steps": 1},
    "cornet-horizontal": {"feedback": False},
    "cornet-imagenet": {"widths": (64, 128, 256, 512), "stem": "imagenet"},
}
EXAMPLE = {"shape": (3, 32, 32), "outputs": 10, "options": {"widths": (4, 6, 8, 10), "steps": 3}}

AREAS = ("V1", "V2", "V4", "IT")
GROUP = 16
"""Channels that are normalised together, at most."""


class CORnet(nn.Module):
    """Four areas with feed-forward, horizontal and feedback connections, unrolled in time, and a linear decoder."""

    ACCEPTS = ("image_BCHW",)

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        steps: int = 5,
        widths: tuple[int, int, int, int] = (32, 64, 128, 256),
        horizontal: bool = True,
        feedback: bool = True,
        early: float = 0.3,
        stem: Literal["small", "imagenet"] = "small",
    ) -> None:
        """Build it for images (C, H, W).

        `steps` is the time it has, at least 1; `widths` the channels of V1, V2, V4 and IT; `horizontal` and `feedback`
        say which recurrent connections there are; `early` weighs the loss of each output before the last, 0 trains the
        last alone. V1 keeps the size of small images, and has a quarter of it with the stem for ImageNet's.
        """
        super().__init__()
        if min(*widths, steps) < 1 or not 0 <= early < float("inf"):
            raise UserError(
                f"net cornet: found steps {steps}, widths {list(widths)} and early {early}, expected steps and widths "
                "of 1 or more and a weight of 0 or more; type: --net.steps 5 --net.widths 32 64 128 256 --net.early 0.3"
            )
        self.least = 32 if stem == "imagenet" else 8
        self.channels = expect_shape("cornet", shape, self.least)
        self.steps = steps
        self.auxiliary = {f"output{step}": early for step in range(1, steps)} if early else {}
        recurrent = steps > 1
        for number, area in enumerate(AREAS):
            below = widths[number - 1] if number else self.channels
            above = widths[number + 1] if feedback and recurrent and area != "IT" else 0
            kernel, stride = ((7, 4) if stem == "imagenet" else (5, 1)) if area == "V1" else (3, 2)
            self.add_module(area, Area(below, widths[number], above, horizontal and recurrent, kernel, stride))
        self.decoder = nn.Linear(widths[-1], outputs)
        initialise(self.decoder, None)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return what the last step says, (B, outputs).

        Taps: `V1.1` is the activity of V1 after the first step, and so on; `output1`, ... what each step says.
        """
        expect_batch("cornet", x, self.channels, self.least)
        areas = [cast(Area, self.get_submodule(name)) for name in AREAS]
        retina_BCHW = areas[0].feedforward(x)
        active: list[Any] = [None] * len(areas)
        for step in range(1, self.steps + 1):
            before = active
            active = []
            for number, area in enumerate(areas):
                driven_BCHW = area.feedforward(active[-1]) if number else retina_BCHW
                above_BCHW = before[number + 1] if number + 1 < len(areas) else None
                active.append(area(driven_BCHW, before[number], above_BCHW))
            if taps is not None or step == self.steps:
                output_BK = self.decoder(active[-1].mean((2, 3)))
            if taps is not None:
                taps |= {f"{name}.{step}": a_BCHW for name, a_BCHW in zip(AREAS, active, strict=True)}
                taps[f"output{step}"] = output_BK
        return output_BK


class Area(nn.Module):
    """One visual area: what drives it from below, from itself a step ago, and from the area above a step ago."""

    def __init__(self, below: int, width: int, above: int, horizontal: bool, kernel: int, stride: int) -> None:
        """Build an area of `width` channels; `above` is 0 where no feedback comes."""
        super().__init__()
        self.feedforward = nn.Conv2d(below, width, kernel, stride, padding=kernel // 2, bias=False)
        self.horizontal = nn.Conv2d(width, width, 3, padding=1, bias=False) if horizontal else None
        self.feedback = nn.Conv2d(above, width, 1, bias=False) if above else None
        self.norm = nn.GroupNorm(_groups(width), width)
        for layer in (self.feedforward, self.horizontal, self.feedback):
            if layer is not None:
                initialise(layer, "relu")

    def forward(self, driven_BCHW: Tensor, own_BCHW: Tensor | None, above_BCHW: Tensor | None) -> Tensor:
        """Return the area's activity at this step.

        Arguments: what its feed-forward connections bring; its own activity a step ago and that of the area above, None
        at the first step, and for the area above IT.
        """
        sum_BCHW = driven_BCHW
        if self.horizontal is not None and own_BCHW is not None:
            sum_BCHW = sum_BCHW + self.horizontal(own_BCHW)
        if self.feedback is not None and above_BCHW is not None:
            sum_BCHW = sum_BCHW + F.interpolate(self.feedback(above_BCHW), sum_BCHW.shape[-2:], mode="nearest")
        return self.norm(sum_BCHW).relu_()


def _groups(width: int) -> int:
    """Return the least number of equal groups of at most GROUP channels."""
    return next(groups for groups in range(1, width + 1) if width % groups == 0 and width // groups <= GROUP)


NET = CORnet
