"""Apply the lecture's filters to a picture: Prewitt, Sobel, Gaussian derivatives, Gabor."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = """Apply the lecture's filters to a picture: Prewitt, Sobel, Gaussian derivatives, Gabor.

Writes NAME-MASK.png, what the filters say, and NAME-MASK.svg, with the masks and the response in each direction.

$ hyperplane filter photo.jpg
$ hyperplane filter photo.jpg --mask gaussian --order 2 --sigma 3
$ hyperplane filter photo.jpg --mask gabor --directions 0 45 90 135"""

MOST_SIGMA = 32.0


@dataclass(frozen=True)
class Filter:
    """Which picture, and which filters."""

    picture: tyro.conf.Positional[Path]
    """A picture, which is read as grey."""
    mask: Literal["sobel", "prewitt", "gaussian", "gabor"] = "sobel"
    """The derivatives of Sobel and Prewitt, those of a Gaussian, or Gabor functions."""
    order: Literal[0, 1, 2] = 1
    """Of the Gaussian's derivative; 0 smoothes."""
    sigma: float = 2.0
    """Standard deviation of the Gaussian, of Gabor functions as well, in pixels."""
    wavelength: float | None = None
    """Of Gabor functions, in pixels; four times sigma where it is left out."""
    phase: Literal["odd", "even"] = "odd"
    """Of Gabor functions: odd ones see edges, even ones bars."""
    directions: tuple[float, ...] = (0.0, 90.0)
    """In which the picture's changes are sought, in degrees: 0 to the right, 90 downwards."""
    operation: Literal["correlation", "convolution"] = "correlation"
    """Whether the mask is laid on as it is, so that a derivative is positive where the picture gets brighter along its
    direction, or turned around first, as in the formula of convolution."""
    out: Path = Path(".")
    """The folder for what is written."""
    overwrite: bool = False
    """Replace files of the same name."""


def main(arguments: list[str]) -> int:
    """Filter, and return the exit status."""
    asked = parse(Filter, "filter", arguments, description=DESCRIPTION)
    _expect_in_range(asked)
    files = [asked.out / f"{asked.picture.stem}-{asked.mask}{ending}" for ending in (".png", ".svg")]
    for file in files:
        if file.exists() and not asked.overwrite:
            raise UserError(f"{file}: is there already; to replace it add --overwrite, or choose another --out")
    if not asked.out.is_dir():
        raise UserError(
            f"{asked.out}: is no folder, expected one for what is written; make it, or choose another --out"
        )

    import io

    import numpy as np
    import torch
    from PIL import Image

    from hyperplane.cli.blocks import responses
    from hyperplane.cli.blocks.screen import write_line
    from hyperplane.data.blocks import pictures
    from hyperplane.nets.blocks import filters
    from hyperplane.runs import atomic
    from hyperplane.tasks.blocks import figures

    grey_HW = np.asarray(pictures.show(asked.picture).convert("L"), np.float64) / 255
    apply = filters.correlate if asked.operation == "correlation" else filters.convolve
    made = _masks(asked)
    found = [apply(torch.from_numpy(grey_HW), mask_hw, border="nearest").numpy() for _, mask_hw in made]
    signed = asked.mask != "gaussian" or asked.order > 0
    all_HW = responses.together(found, signed)
    stream = io.BytesIO()
    Image.fromarray(np.uint8(all_HW * 255 + 0.5)).save(stream, "png")
    atomic.write_bytes(files[0], stream.getvalue())
    panels = [
        responses.Panel(label, mask_hw.numpy(), found_HW)
        for (label, mask_hw), found_HW in zip(made, found, strict=True)
    ]
    figures.save(responses.draw(grey_HW, panels, all_HW, _title(asked), signed), files[1])
    for file in files:
        write_line(str(file))
    return 0


def _expect_in_range(asked: Filter) -> None:
    rules: list[tuple[str, float, Callable[[float], bool], str, str]] = [
        ("sigma", asked.sigma, lambda x: 0.3 <= x <= MOST_SIGMA, f"0.3 to {MOST_SIGMA:g} pixels", "2"),
        ("wavelength", asked.wavelength or 8.0, lambda x: 2 <= x <= 1000, "2 to 1000 pixels", "8"),
        *(("directions", d, lambda x: -360 <= x <= 360, "degrees in [-360, 360]", "0 90") for d in asked.directions),
    ]
    for name, value, inside, expected, example in rules:
        if not inside(value):  # nan never is
            raise UserError(f"filter --{name}: found {value:g}, expected {expected}; type: --{name} {example}")
    if not 1 <= len(asked.directions) <= 8:
        raise UserError(f"filter --directions: found {len(asked.directions)}, expected 1 to 8; type: --directions 0 90")


def _masks(asked: Filter) -> list[tuple[str, Tensor]]:
    """Return the masks, each with its direction in words; a Gaussian itself has none."""
    from hyperplane.nets.blocks import filters

    if asked.mask == "gaussian" and asked.order == 0:
        return [("", filters.gaussian(asked.sigma))]
    masks: list[tuple[str, Tensor]] = []
    for degrees in asked.directions:
        angle = math.radians(degrees)
        if asked.mask == "gaussian":
            mask_hw = filters.gaussian(asked.sigma, asked.order, angle)
        elif asked.mask == "gabor":
            phase = 0.0 if asked.phase == "even" else -math.pi / 2
            mask_hw = filters.gabor(asked.sigma, asked.wavelength or 4 * asked.sigma, angle, phase)
        else:
            x_hw, y_hw = filters.sobel() if asked.mask == "sobel" else filters.prewitt()
            mask_hw = round(math.cos(angle), 12) * x_hw + round(math.sin(angle), 12) * y_hw
        masks.append((f", {degrees:g}°" + {0.0: " (x)", 90.0: " (y)"}.get(degrees, ""), mask_hw))
    return masks


def _title(asked: Filter) -> str:
    return {
        "sobel": "Sobel",
        "prewitt": "Prewitt",
        "gaussian": f"Gaussian{('', ', first derivative', ', second derivative')[asked.order]}, σ = {asked.sigma:g}",
        "gabor": f"Gabor, {asked.phase}, σ = {asked.sigma:g}",
    }[asked.mask]
