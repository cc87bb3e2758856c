"""What is trained: a net and the task that judges it, as one module.

Shape suffixes: B batch, C channels, H and W pixels, K outputs.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane import nets, tasks
from hyperplane.contracts import Batch, Description, Output, Task
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe

Views = Literal["one", "mirrored", "moved", "mirrored-moved"]


class Model(nn.Module):
    """A net and its task; their weights are named `net. ...` and `task. ...`."""

    def __init__(self, net: nn.Module, task: Task, views: Views = "one") -> None:
        super().__init__()
        self.net = net
        self.task = cast(nn.Module, task)
        self.views: Views = views

    def forward(self, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return the task's output for a batch."""
        return self.task(self.net if self.training else self.looking(self.net), batch, taps)

    def looking(self, net: nn.Module) -> nn.Module:
        """Return what predicts with the net, or with another that computes the same: it, or its mean over the views."""
        return net if self.views == "one" else SeveralViews(net, self.views)

    @property
    def judge(self) -> Task:
        """Return the task, as a task."""
        return cast(Task, self.task)


class SeveralViews(nn.Module):
    """A net that looks at an image several times: in the mirror, and moved by a pixel up-left and down-right.

    Its outputs are averaged; those of the views that are not moved weigh half, as in Jordan 2024 (arXiv:2404.00498).
    """

    def __init__(self, net: nn.Module, views: Views) -> None:
        super().__init__()
        self.net, self.mirrored = net, "mirrored" in views
        self.moves = ((0, 0.5), (-1, 0.25), (1, 0.25)) if "moved" in views else ((0, 1.0),)
        self.training = net.training

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return the mean output, (B, K), for images (B, C, H, W); the taps are those of the image itself."""
        seen = [weight * self._look(_moved(x, by) if by else x, None if by else taps) for by, weight in self.moves]
        return torch.stack(seen).sum(0)

    def _look(self, image_BCHW: Tensor, taps: dict[str, Tensor] | None) -> Tensor:
        said_BK = self.net(image_BCHW, taps)
        return (said_BK + self.net(image_BCHW.flip(3))) / 2 if self.mirrored else said_BK


def _moved(image_BCHW: Tensor, pixels: int) -> Tensor:
    """Return images moved down and right (negative: up and left), their edges repeated."""
    before, after = max(pixels, 0), max(-pixels, 0)
    height, width = image_BCHW.shape[-2:]
    padded_BCHW = F.pad(image_BCHW, (before, after, before, after), mode="replicate")
    return padded_BCHW[:, :, after : after + height, after : after + width]


def build(recipe: Recipe, description: Description) -> Model:
    """Return a new model for data of this description, its weights drawn from the recipe's seed.

    Raises UserError for an unknown net, task or option, or a net that cannot read the data.
    """
    assert recipe.task.name is not None and recipe.net.name is not None, "the recipe was completed before"
    with seeded(recipe.seed, "weights"):
        task = tasks.build(recipe.task.name, description, recipe.task.options)
        shape = description.shapes[description.input]
        net = nets.build(recipe.net.name, shape, task.outputs, recipe.net.options)
    accepts: tuple[str, ...] = net.ACCEPTS  # pyright: ignore[reportAssignmentType]
    if description.input not in accepts:
        raise UserError(
            f"net {recipe.net.name}: reads {' or '.join(accepts)}, but {description.name} holds {description.input}; "
            "choose another with --net (hyperplane list nets)"
        )
    if recipe.augment.views != "one" and len(shape) != 3:
        raise UserError(f"augment.views: found {recipe.augment.views}, but the samples are no images; leave it out")
    return Model(net, task, recipe.augment.views)
