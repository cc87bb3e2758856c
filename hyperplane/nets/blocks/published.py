"""Published checkpoints: which files are known, how a state dict differs from a net, and loading one.

A net whose state-dict keys are the published ones is a `Published` module, and its file may hold a table `PUBLISHED`:
`Weights` by the first eight hex digits of a file's SHA-256, which are also in the names of torchvision's files. Of
several files for one net the first is fetched where no other is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from hyperplane.errors import UserError

MODELS = "https://download.pytorch.org/models/"
"""Where torchvision's files are published."""
NAMED = 5
"""Tensors of each kind that a message names."""
LONGEST = 100
"""Letters of a name in a message."""


@dataclass(frozen=True)
class Weights:
    """A published checkpoint: which net it is, and how its images were read."""

    variant: str
    """The net's or variant's name."""
    middle: float = 224 / 256
    """Share of a picture's shorter side that the square in its middle has, which the net was tested on."""
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Of each channel in [0, 1]: ImageNet's."""
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Of each channel."""
    stem: str = ""
    """What its file's name begins with, before the hash; empty where that is the variant's name."""

    def address(self, digits: str) -> str:
        """Return where the file of these hex digits is published."""
        return f"{MODELS}{self.stem or self.variant}-{digits}.pth"


@dataclass(frozen=True)
class Difference:
    """How a state dict differs from what a net holds."""

    missing: tuple[str, ...]
    """Keys of the net that the state dict lacks."""
    foreign: tuple[str, ...]
    """Keys of the state dict that the net has not."""
    reshaped: tuple[str, ...]
    """Tensors that both have in different shapes, each with both shapes."""

    def __len__(self) -> int:
        return len(self.missing) + len(self.foreign) + len(self.reshaped)

    def __str__(self) -> str:
        parts = []
        if self.missing:
            parts.append(f"lacks {_some(self.missing)}")
        if self.foreign:
            parts.append(f"has {_some(self.foreign)} that the net has not")
        if self.reshaped:
            parts.append(f"has {_some(self.reshaped)} of another shape")
        return " and ".join(parts) or "fits"


def differ(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Difference:
    """Return how a state dict differs from a net's own, whose tensors may be on the meta device.

    Batch normalisation's counters of batches may be missing: older files lack them, and nothing is computed from them.
    """
    return Difference(
        tuple(key for key in expected if key not in found and not key.endswith("num_batches_tracked")),
        tuple(key for key in found if key not in expected),
        tuple(
            f"{key} {tuple(found[key].shape)} for {tuple(tensor.shape)}"
            for key, tensor in expected.items()
            if key in found and found[key].shape != tensor.shape
        ),
    )


class Published(nn.Module):
    """A net that takes published checkpoints under their own keys."""

    def load_published(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load a published state dict; raises UserError that names what is missing, foreign or of another shape."""
        keys, own, held = self.published_keys(state_dict), self.state_dict(), self.fitted(state_dict)
        difference = differ(held, {keys[key]: tensor for key, tensor in own.items()})
        if difference:
            raise UserError(
                f"the state dict {difference}; name the net that it was saved from, with as many channels and classes"
            )
        self.load_state_dict({key: held[theirs] for key, theirs in keys.items() if theirs in held})

    def published_keys(self, state_dict: Mapping[str, Tensor]) -> dict[str, str]:
        """Return, by the net's own keys, those that a state dict of this layout has: the same, or others for some."""
        return {key: key for key in self.state_dict()}

    @staticmethod
    def options_of(state_dict: Mapping[str, Tensor]) -> dict[str, Any] | None:
        """Return the options that a state dict of this layout tells of its net; None where it tells too little."""
        return None

    def fitted(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a state dict, under its own keys, with what depends on the images' size brought to this net's."""
        return state_dict

    def published_reading(self, state_dict: Mapping[str, Tensor]) -> Weights | None:
        """Return how the images of files of this layout are usually read; None where nothing is known of it."""
        return None

    def published_side(self, state_dict: Mapping[str, Tensor]) -> int | None:
        """Return the side of the images that a state dict was trained on, in pixels; None where it does not tell."""
        return None


def _some(names: Sequence[str]) -> str:
    """Return a count with the first few names."""
    held = (name if len(name) <= LONGEST else name[: LONGEST - 3] + "..." for name in names[:NAMED])
    shown = ", ".join(held) + (", ..." if len(names) > NAMED else "")
    return f"{len(names)} tensor{'s' * (len(names) > 1)} ({shown})"
