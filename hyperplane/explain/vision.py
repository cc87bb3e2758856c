"""A net that sorts images, as explanations look at it: its pictures, its score of a class, its maps and its features.

Shape suffixes: B images, C channels, H and W pixels or places of a map, K outputs, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.explain.geometry import Field, Watched
from hyperplane.explain.subject import Subject, operations

BATCH = 64


@dataclass(frozen=True)
class Stage:
    """A map of the net."""

    name: str
    channels: int
    height: int
    width: int
    field: Field | None
    """What its units see of the input; None where the geometry is lost on the way."""


@dataclass(frozen=True)
class Seen:
    """What a net makes of images."""

    logit_BK: Tensor
    maps: dict[str, Tensor]
    """(B, C, H, W) by name, in order."""
    feature_BD: Tensor
    """What the last dense layer reads; of a net without one, the last map's mean."""


@dataclass(frozen=True)
class Vision:
    """A net for images, in evaluation mode."""

    net: nn.Module
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean_C: np.ndarray
    std_C: np.ndarray
    """Of each channel: a pixel in [0, 1] is mean + std · input."""

    @classmethod
    def of(cls, subject: Subject) -> Vision | None:
        """Return a run's net, or None where it does not sort images."""
        described = subject.description
        shape = described.shapes[described.input]
        if described.kind != "image" or not described.classes or len(shape) != 3:
            return None
        mean_C, std_C = (np.asarray(described.encoding[name], np.float64)[: shape[0]] for name in ("mean", "std"))
        return cls(subject.model.net, (shape[0], shape[1], shape[2]), described.classes, mean_C, std_C)

    @property
    def like(self) -> Tensor:
        """Return a weight, for its device and its numbers."""
        return next(self.net.parameters())

    def black(self) -> Tensor:
        """Return the input that is a black picture, (1, C, H, W)."""
        black_C = torch.from_numpy(-self.mean_C / self.std_C).to(self.like)
        return black_C[None, :, None, None].expand(1, *self.shape).clone()

    def picture(self, image_CHW: Tensor) -> np.ndarray:
        """Return an input as a picture, (H, W, 3) in [0, 1]; of other channels than 1 or 3, their mean."""
        pixel_CHW = image_CHW.detach().double().cpu().numpy() * self.std_C[:, None, None] + self.mean_C[:, None, None]
        if len(pixel_CHW) != 3:
            pixel_CHW = np.repeat(pixel_CHW.mean(axis=0, keepdims=True), 3, axis=0)
        return np.clip(pixel_CHW, 0, 1).transpose(1, 2, 0)

    @cached_property
    def operations(self) -> int:
        """Return how many operations one image takes."""
        return max(1, operations(self.net, self.shape))

    def afford(self, operations: float, least: int, most: int) -> int:
        """Return how many images so many operations are enough for, within bounds."""
        return int(min(max(operations // self.operations, least), most))

    def see(self, image_BCHW: Tensor) -> Seen:
        """Return logits, maps and features of images that are inputs of the net."""
        read: list[Tensor] = []
        convolved: dict[str, Tensor] = {}
        taps: dict[str, Tensor] = {}
        with _watching(self.net, read, convolved):
            logit_BK = self.net(image_BCHW, taps)
        maps = _spread(taps) or _spread(convolved)
        last = read[-1] if read else list(maps.values())[-1].mean((2, 3)) if maps else logit_BK
        return Seen(logit_BK, maps, last)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Return the net's maps in order; none of a net that has none."""
        image_BCHW = self.black()
        with torch.no_grad(), Watched(image_BCHW) as watched:
            maps = self.see(image_BCHW).maps
        return tuple(
            Stage(name, value.shape[1], value.shape[2], value.shape[3], watched.field(value))
            for name, value in maps.items()
        )

    def some_stages(self, most: int) -> tuple[Stage, ...]:
        """Return at most so many stages: the first, the last, and evenly some between."""
        count = len(self.stages)
        chosen = range(count) if count <= most else sorted({round(k * (count - 1) / (most - 1)) for k in range(most)})
        return tuple(self.stages[index] for index in chosen)

    @torch.no_grad()
    def logits(self, image_BCHW: Tensor) -> Tensor:
        """Return the logits of many images, (B, K)."""
        return torch.cat([self.net(part) for part in image_BCHW.split(BATCH)])


def log_odds(logit_BK: Tensor, class_B: Tensor) -> Tensor:
    """Return how strongly each image is held to be of a class, (B,): the logarithm of p / (1 − p).

    Of two classes with one output it is the logit or its negative; of more, the class' logit less the log-sum-exp of
    the others', so that what speaks for a rival speaks against the class.
    """
    if logit_BK.shape[1] == 1:
        return torch.where(class_B == 1, logit_BK[:, 0], -logit_BK[:, 0])
    own_BK = F.one_hot(class_B, logit_BK.shape[1]).bool()
    rivals_B = logit_BK.masked_fill(own_BK, -torch.inf).logsumexp(dim=1)
    return logit_BK.gather(1, class_B[:, None])[:, 0] - rivals_B


def probabilities(logit_BK: Tensor) -> np.ndarray:
    """Return the probability of each class, (B, K) float64; of two classes with one output, both."""
    logit_BK = logit_BK.detach().double().cpu()
    if logit_BK.shape[1] == 1:
        return torch.sigmoid(torch.cat([-logit_BK, logit_BK], dim=1)).numpy()
    return torch.softmax(logit_BK, dim=1).numpy()


def first_filters(net: nn.Module) -> Tensor | None:
    """Return the weights of the first convolution, (N, C, h, w); None where there is none."""
    state: Mapping[str, Tensor] = net.state_dict()
    return next((value.detach() for value in state.values() if value.ndim == 4 and value.shape[-1] > 1), None)


@contextmanager
def _watching(net: nn.Module, read: list[Tensor], convolved: dict[str, Tensor]) -> Iterator[None]:
    """Note what every dense layer reads, and what every convolution says, while the net runs."""

    def reads(module: nn.Module, given: Any) -> None:
        read.append(given[0])

    def says(name: str) -> Any:
        def note(module: nn.Module, given: Any, said: Tensor) -> None:
            again = sum(key.partition("@")[0] == name for key in convolved)
            convolved[f"{name}@{again + 1}" if again else name] = said

        return note

    handles = []
    for name, module in net.named_modules():
        if isinstance(module, nn.Linear):
            handles.append(module.register_forward_pre_hook(reads))
        elif isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(says(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _spread(maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those that are maps of more than one place."""
    return {name: value for name, value in maps.items() if value.ndim == 4 and value.shape[-2] * value.shape[-1] > 1}
