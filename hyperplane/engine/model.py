"""What is trained: a net and the task that judges it, as one module.

Shape suffixes: B batch, C channels, H and W pixels, K outputs.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane import discovery, nets, tasks
from hyperplane.contracts import Batch, Description, Output, Task
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe

READ = {"image_BCHW": "images", "token_BT": "text", "feature_BD": "rows of numbers"}
"""What people call the fields that nets read."""
USUAL = {"image": "lenet", "text": "gpt-modern"}
"""A net for each kind of samples; of others an MLP."""
Views = Literal["one", "mirrored", "moved", "mirrored-moved", "turned"]


class Model(nn.Module):
    """A net and its task; their weights are named `net. ...` and `task. ...`."""

    def __init__(self, net: nn.Module, task: Task, views: Views = "one") -> None:
        super().__init__()
        self.net = net
        self.task = cast(nn.Module, task)
        self.views: Views = views
        self.still: tuple[nn.Module, ...] = ()
        """Parts of the net that are frozen, which never train."""

    def freeze(self, trained: Collection[str]) -> None:
        """Keep every tensor of the net but those of these names as it is, in training too.

        Parts with no other tensors are in evaluation mode for good: batch normalisation goes by what it keeps. Dropout
        that is a layer of its own goes on. No gradient is computed for these parts, nor through them.
        """
        for name, weight in self.net.named_parameters():
            weight.requires_grad_(weight.requires_grad and name in trained)
        held: dict[nn.Module, set[str]] = {
            part: {f"{place}.{key}" for key in part.state_dict()} for place, part in self.net.named_modules() if place
        }
        self.still = tuple(part for part, keys in held.items() if keys and keys.isdisjoint(trained))

    def train(self, mode: bool = True) -> Model:
        """Go into training mode, but for what is frozen, or into evaluation mode."""
        super().train(mode)
        for part in self.still:
            part.eval()
        return self

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
    """A net that looks at an image several times: in the mirror, moved by a pixel up-left and down-right, or turned.

    Its outputs are averaged; those of the views that are not moved weigh half, as in Jordan 2024 (arXiv:2404.00498).
    What a net says of every pixel is brought back to where the pixel was.
    """

    def __init__(self, net: nn.Module, views: Views) -> None:
        super().__init__()
        self.net, self.dense = net, getattr(net, "SAYS_OF", "sample") == "pixel"
        self.training = net.training
        mirrors = (False, True) if views != "moved" else (False,)
        moves = ((0, 0.5), (-1, 0.25), (1, 0.25)) if "moved" in views else ((0, 1.0),)
        turns = range(4) if views == "turned" else range(1)
        share = 1 / (len(mirrors) * len(turns))
        self.looks = tuple((weight * share, turn, m, by) for turn in turns for m in mirrors for by, weight in moves)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return the mean output, (B, K) or (B, K, H, W), for images (B, C, H, W); taps are the image's own."""
        seen = [
            weight * self._look(x, turn, mirrored, by, taps if number == 0 else None)
            for number, (weight, turn, mirrored, by) in enumerate(self.looks)
        ]
        return torch.stack(seen).sum(0)

    def _look(self, image_BCHW: Tensor, turn: int, mirrored: bool, by: int, taps: dict[str, Tensor] | None) -> Tensor:
        image_BCHW = _moved(image_BCHW, by) if by else image_BCHW
        image_BCHW = image_BCHW.rot90(turn, (2, 3)) if turn else image_BCHW
        said = self.net(image_BCHW.flip(3) if mirrored else image_BCHW, taps)
        if not self.dense:
            return said
        said = said.flip(3) if mirrored else said
        said = said.rot90(-turn, (2, 3)) if turn else said
        return _moved(said, -by) if by else said


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
        _expect_readable(recipe.net.name, description)
        shape = description.shapes[description.input]
        net = nets.build(recipe.net.name, shape, task.outputs, recipe.net.options)
        join = getattr(task, "join", None)
        if join is not None:
            join(net)
    masks = description.target == "mask_BHW"
    if (getattr(net, "SAYS_OF", "sample") == "pixel") != masks:
        asked = "a class of every pixel" if masks else f"one answer for each sample ({description.target})"
        raise UserError(
            f"net {recipe.net.name}: {'does not speak' if masks else 'speaks'} of every pixel, but {description.name} "
            f"asks for {asked}; choose another with --net (hyperplane list nets)"
        )
    if recipe.augment.views != "one" and len(shape) != 3:
        raise UserError(f"augment.views: found {recipe.augment.views}, but the samples are no images; leave it out")
    if recipe.augment.views != "one" and join is not None:
        raise UserError(
            f"augment.views: found {recipe.augment.views}, but {recipe.task.name} learns what an image looks like, not "
            "an answer to average; type: --augment.views one"
        )
    if begin := getattr(task, "begin", None):
        begin(net)
    return Model(net, task, recipe.augment.views)


def _expect_readable(name: str, description: Description) -> None:
    accepts: tuple[str, ...] = discovery.load("nets", name).NET.ACCEPTS
    if description.input not in accepts:
        read = " or ".join(READ.get(field, field) for field in accepts)
        raise UserError(
            f"net {name}: reads {read}, but {description.name} holds {READ.get(description.input, description.input)}; "
            f"type: --net {USUAL.get(description.kind, 'mlp')}, or choose another (hyperplane list nets)"
        )
