"""Picture files: looking at headers, decoding safely, and the one way from a picture to a net's input.

Shape suffixes: B batch, C channels, H and W pixels.

Whatever a file holds becomes float32 in [0, 1]: 8 bits are divided by 255, 16 bits by 65,535; a palette is looked up,
CMYK becomes RGB, and what is transparent shows white behind it. The EXIF orientation is applied. The picture is scaled
until its shorter side fills the square, and the middle of the longer one is kept.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from hyperplane.contracts import Batch, Description
from hyperplane.data.blocks import files
from hyperplane.data.blocks.encoded import Encoded
from hyperplane.data.blocks.problems import Refusal, expect_no_weights, name, one_line, some, unreadable
from hyperplane.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pnm"})
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""The decoders that may run; others, such as PostScript, would start programs."""
MOST_PIXELS = 64 * 2**20
GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})

Place = Path | bytes
"""A picture's file, or its bytes from standard input."""


@dataclass(frozen=True)
class Header:
    """What a picture's header says."""

    width: int
    """Pixels, after the EXIF orientation."""
    height: int
    grey: bool


def check_size(size: int | None) -> None:
    """Raise UserError unless a recipe's size is a number of pixels, or None."""
    if size is not None and not 1 <= size <= 4096:
        raise UserError(f"data.size: found {size}, expected 1 to 4096 pixels; type --data.size 64")


def is_picture(path: Path) -> bool:
    """Say whether a file's name is a picture's."""
    return path.suffix.lower() in SUFFIXES


def read_header(place: Place) -> Header:
    """Return size and colour without decoding; raises UserError where it is no picture, or too large a one."""
    with opened(place) as image:
        turned = _orientation(image) in (5, 6, 7, 8)
        width, height = image.size[::-1] if turned else image.size
        return Header(width, height, _is_grey(image))


def frames(place: Place) -> int:
    """Return how many pictures a file holds, of which the first is read; raises UserError where it is no picture."""
    with opened(place) as image:
        return getattr(image, "n_frames", 1)


def read(place: Place, channels: int, size: tuple[int, int], middle: float = 1.0) -> np.ndarray:
    """Return a picture as float32 (C, H, W) in [0, 1], of its square only the `middle`, a share of each side.

    Raises UserError where it cannot be decoded whole.
    """
    height, width = size
    with opened(place) as image:
        if image.format == "JPEG":
            image.draft(None, (2 * max(size), 2 * max(size)))
        planes = _as_planes(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB", place)
        return _stacked([fit(plane, width, height, middle=middle) for plane in planes], channels, _white(planes))


def read_whole(place: Place, channels: int, opaque: bool = False) -> np.ndarray:
    """Return a picture at its own size as float32 (C, H, W) in [0, 1]; raises UserError as `read` does.

    One that is taken as `opaque` shows its own colours where it is transparent, not white.
    """
    with opened(place) as image:
        planes = _as_planes(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB", place, opaque)
        return _stacked(planes, channels, _white(planes))


def average(place: Place, channels: int, side: int) -> np.ndarray:
    """Return the middle square as float32 (C, side, side) in [0, 1], each pixel the mean of those that it covers.

    Raises UserError where the picture cannot be decoded whole.
    """
    with opened(place) as image:
        planes = _as_planes(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB", place)
        means = [fit(plane.convert("F"), side, side, Image.Resampling.BOX) for plane in planes]  # 8 bits would round
        return _stacked(means, channels, _white(planes))


def convert(level_CHW: np.ndarray, shape: tuple[int, ...], middle: float = 1.0) -> np.ndarray:
    """Return the pixels of a picture, levels in [0, 1], as float32 of shape (C, H, W), as `read` does a file's.

    Grey of a coloured picture is its luma (ITU-R BT.601); in a coloured one of a grey picture all channels are alike.
    """
    channels, height, width = shape
    if channels == 1 and len(level_CHW) == 3:
        level_CHW = np.tensordot((0.299, 0.587, 0.114), level_CHW, 1)[None]
    planes = [Image.fromarray(np.float32(level_HW)) for level_HW in level_CHW]
    return _stacked([fit(plane, width, height, middle=middle) for plane in planes], channels, 1.0)


def show(place: Place) -> Image.Image:
    """Return a picture as a person sees it, grey or RGB at 8 bits, at its own size."""
    with opened(place) as image:
        planes = _as_planes(ImageOps.exif_transpose(image), "L" if _is_grey(image) else "RGB", place)
        if planes[0].mode == "F":
            return Image.fromarray(np.uint8(np.clip(np.asarray(planes[0]) * 255 + 0.5, 0, 255)))
        return planes[0].copy() if len(planes) == 1 else Image.merge("RGB", planes)


def decode_fully(place: Place) -> None:
    """Decode every pixel of a picture; raises UserError where it cannot be."""
    with opened(place) as image:
        _as_planes(image, "RGB", place)


def normalise(image_BCHW: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return images less each channel's mean, over its standard deviation; works in place."""
    shape = (1, -1, 1, 1)
    return image_BCHW.sub_(torch.tensor(mean).view(shape)).div_(torch.tensor(std).view(shape))


def read_batch(places: Sequence[Place], shape: tuple[int, ...], encoding: dict) -> Tensor:
    """Return pictures as a net's input, float32 (B, C, H, W), normalised as the encoding says."""
    channels, *size = shape
    image_BCHW = torch.empty((len(places), *shape))
    for i, place in enumerate(places):
        image_BCHW[i] = torch.from_numpy(read(place, channels, (size[0], size[1]), encoding.get("middle", 1.0)))
    return normalise(image_BCHW, encoding["mean"], encoding["std"])


def encoding(mean: Iterable[float], std: Iterable[float]) -> dict:
    """Return how a picture becomes an input, to be kept in a description; a standard deviation of 0 becomes 1."""
    return {"mean": [float(m) for m in mean], "std": [float(s) if s > 1e-6 else 1.0 for s in std]}


def encode(inputs: Sequence[Path] | bytes, description: Description) -> Encoded:
    """Return new pictures as inputs of a net trained on what `description` describes; they are read when asked for.

    `inputs`: picture files and folders of them, or the bytes of one picture. Raises UserError where there is none;
    reading raises it for a file that is no picture.
    """
    places, names, notes = gather(inputs)
    shape, how = description.shapes[description.input], description.encoding

    def read_some(first: int, last: int) -> Batch:
        image_BCHW = read_batch(places[first:last], shape, how)
        return Batch({description.input: image_BCHW}, torch.arange(first, last))

    return Encoded(tuple(names), tuple(notes), read_some, lambda index: show(places[index]))


def gather(inputs: Sequence[Path] | bytes) -> tuple[list[Place], list[str], list[str]]:
    """Return the pictures among files and folders, or one from standard input, their names, and notes.

    Raises UserError where there is none.
    """
    if isinstance(inputs, bytes):
        if not inputs:
            raise UserError(
                "standard input: is empty, expected a picture; pipe one in: hyperplane predict RUN - < FILE"
            )
        return [inputs], ["stdin"], []
    places: list[Place] = []
    others: list[Path] = []
    for path in inputs:
        if path.is_dir():
            found = list(files.walk(path))
            places += [f for f in found if is_picture(f)]
            others += [f for f in found if not is_picture(f)]
        else:
            places.append(path)
    if not places:
        where = ", ".join(name(path) for path in inputs) or "the inputs"
        raise Refusal(
            where, f"no picture found, expected {', '.join(sorted(SUFFIXES))}", "name a picture or its folder"
        )
    left = f"Files that are not pictures were left alone: {some(f.name for f in others)}."
    return places, [name(p) if isinstance(p, Path) else "stdin" for p in places], [left] if others else []


@contextmanager
def opened(place: Place) -> Iterator[Image.Image]:
    """Open a picture and turn whatever goes wrong with it, then or later, into a UserError that names it."""
    where = place if isinstance(place, Path) else "standard input"
    try:
        if isinstance(place, Path) and not place.stat().st_size:
            raise Refusal(where, "is empty (0 bytes)", _AGAIN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(place) if isinstance(place, bytes) else place, formats=FORMATS) as image:
                if image.size[0] * image.size[1] > MOST_PIXELS:
                    raise _too_large(where, f"{image.size[0]} x {image.size[1]} pixels")
                yield image
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(where, "more than 170 megapixels") from error
    except Image.UnidentifiedImageError as error:
        if isinstance(place, Path):
            expect_no_weights(place, "a picture")
        what = "is not a picture, whatever its name says" if isinstance(place, Path) else "is not a picture"
        raise Refusal(where, f"{what} (expected {', '.join(FORMATS)})", _AGAIN) from error
    except (PermissionError, FileNotFoundError, IsADirectoryError) as error:
        raise unreadable(place if isinstance(place, Path) else Path("stdin"), error) from error
    except Exception as error:  # decoders raise nearly anything at damaged files
        raise Refusal(where, f"cannot be decoded ({one_line(error)})", _AGAIN) from error


_AGAIN = "copy it again from where it came, or delete it"


def _too_large(where: Path | str, found: str) -> Refusal:
    return Refusal(where, f"has {found}, expected at most {MOST_PIXELS:,} in all", "make it smaller, or delete it")


def _orientation(image: Image.Image) -> int:
    # Asking a PNG for EXIF data that its header lacks would decode it.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    return image.getexif().get(0x0112, 1)


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = np.array(image.getpalette() or [0], np.uint8)
        colour_N3 = palette[: len(palette) // 3 * 3].reshape(-1, 3)
        return bool((colour_N3 == colour_N3[:, :1]).all())
    return image.mode in GREY_MODES


def _as_planes(image: Image.Image, mode: str, place: Place, opaque: bool = False) -> list[Image.Image]:
    """Return one plane (grey) or three (RGB): 8 bits in [0, 255], or float32 in [0, 1] for deeper pixels."""
    if image.mode.startswith("I") or image.mode == "F":
        return [_deep(image, place)]
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        if not opaque:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
    return list(image.convert(mode).split())


def _white(planes: list[Image.Image]) -> float:
    return 1.0 if planes[0].mode == "F" else 255.0


def _stacked(planes: list[Image.Image], channels: int, white: float) -> np.ndarray:
    """Return planes as float32 (C, H, W) in [0, 1], one of them for every channel where there is only one."""
    pixels_PHW = np.clip(np.stack([np.asarray(plane, np.float32) for plane in planes]) / white, 0.0, 1.0)
    return np.array(np.broadcast_to(pixels_PHW, (channels, *pixels_PHW.shape[1:])), np.float32, order="C")


def _deep(image: Image.Image, place: Place) -> Image.Image:
    pixels_HW = np.asarray(image)
    most = 1.0 if image.mode == "F" else 65535.0
    low, high = float(pixels_HW.min()), float(pixels_HW.max())
    if not (0 <= low and high <= most):
        where = place if isinstance(place, Path) else "standard input"
        raise Refusal(
            where, f"has pixels from {low:g} to {high:g}, expected 0 to {most:g}", "rescale it and save it again"
        )
    return Image.fromarray(np.asarray(pixels_HW / most, np.float32))


def fit(
    plane: Image.Image,
    width: int,
    height: int,
    kernel: Image.Resampling = Image.Resampling.BILINEAR,
    middle: float = 1.0,
) -> Image.Image:
    """Return a plane scaled until it covers width and height, its middle kept; of that a share of each side."""
    if plane.size == (width, height) and middle == 1:
        return plane
    scale = min(plane.width / width, plane.height / height) * middle
    wide, high = width * scale, height * scale
    left, top = max((plane.width - wide) / 2, 0.0), max((plane.height - high) / 2, 0.0)  # rounding may go below 0
    right, bottom = min(left + wide, plane.width), min(top + high, plane.height)
    return plane.resize((width, height), kernel, box=(left, top, right, bottom))
