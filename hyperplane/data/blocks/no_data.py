"""Which pixels of a TIFF file hold no data: an alpha band, a value, or a mask of its own says so.

In a GeoTIFF an alpha band is no opacity, over which something else shows, but says where there is a picture at all. Not
every band that is marked so is one: a fourth band that nobody described is marked as alpha by GDAL, and holds infrared.
So one whose values mostly lie between none and all is a band like others, and left out.

Shape suffixes: C channels, H and W pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

BETWEEN = 0.05
"""Share of an alpha band's pixels that may be neither none nor all: edges that were made smooth."""
VALUE_TAG = 42113
"""TIFF's tag of the value that means no data, a text (GDAL_NODATA)."""
WITH_ALPHA = frozenset({"RGBA", "RGBa", "LA", "La"})
"""Pillow's modes of images with an alpha band."""
SAMPLES, SIDE = 4, 128
"""Windows of a large alpha band along each side that are looked at, and their side in pixels."""


def says_where(alpha_HW: np.ndarray) -> bool:
    """Say whether a band's values are nearly all none or all, so that it may say where there are data."""
    between = (alpha_HW > alpha_HW.dtype.type(0)) & (alpha_HW < np.iinfo(alpha_HW.dtype).max)
    return bool(between.mean() <= BETWEEN)


def mask_band(raster: Any) -> int | None:
    """Return the band of an open raster, from 1, that is marked as alpha and says where there are data; else None."""
    marked = [band for band, meaning in enumerate(raster.colorinterp, 1) if meaning.name == "alpha"]
    if not marked or not np.issubdtype(raster.dtypes[marked[0] - 1], np.integer):
        return None
    rows, columns = (
        sorted({int(k * max(length - SIDE, 0) / (SAMPLES - 1)) for k in range(SAMPLES)})
        for length in (raster.height, raster.width)
    )
    seen = [
        raster.read(
            marked[0], window=((row, min(row + SIDE, raster.height)), (column, min(column + SIDE, raster.width)))
        )
        for row in rows
        for column in columns
    ]
    return marked[0] if says_where(np.concatenate([part.ravel() for part in seen])) else None


def in_raster(raster: Any, band: int | None, colours: list[int], **which: Any) -> np.ndarray | None:
    """Return which pixels of an open raster hold data, bool (H, W); None where all do.

    Arguments: the raster; its band that says where, if one does; the bands of its colours; window and size, as
    rasterio reads them.
    """
    if band is not None:
        return raster.read(band, **which) > np.iinfo(raster.dtypes[band - 1]).max // 2
    values, kind = [raster.nodatavals[colour - 1] for colour in colours], np.dtype(raster.dtypes[0])
    if all(value is not None and _can_be(value, kind) for value in values):
        return _other_than(raster.read(colours, **which), values)
    if any(flag.name == "per_dataset" for flag in raster.mask_flag_enums[0]) and "alpha" not in _names(raster):
        return raster.read_masks(1, **which) > 0
    return None


def in_image(image: Image.Image) -> np.ndarray | None:
    """Return which pixels of a TIFF file that Pillow opened hold data, bool (H, W); None where all do."""
    said = getattr(image, "tag_v2", {}).get(VALUE_TAG, "")
    if image.mode not in WITH_ALPHA and not said:
        return None
    turned = ImageOps.exif_transpose(image)
    alpha_HW = alpha(turned)
    if alpha_HW is not None:
        return alpha_HW > 127 if says_where(alpha_HW) else None
    try:
        value = float(said)
    except ValueError:
        return None
    number_CHW = np.atleast_3d(np.asarray(turned)).transpose(2, 0, 1)
    return _other_than(number_CHW, [value] * len(number_CHW)) if _can_be(value, number_CHW.dtype) else None


def alpha(image: Image.Image) -> np.ndarray | None:
    """Return the band of an image that is marked as alpha, uint8 (H, W)."""
    if image.mode not in WITH_ALPHA:
        return None
    return np.asarray(image.getchannel(len(image.getbands()) - 1))


def _other_than(number_CHW: np.ndarray, values: list[float]) -> np.ndarray:
    value_C11 = np.array(values)[:, None, None]
    return ~((number_CHW == value_C11) | (np.isnan(value_C11) & np.isnan(number_CHW))).all(0)


def _can_be(value: float, kind: np.dtype) -> bool:
    """Say whether a pixel of a kind can have a value."""
    if kind.kind == "f":
        return True
    least, most = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    return float(value).is_integer() and least <= value <= most


def _names(raster: Any) -> list[str]:
    return [meaning.name for meaning in raster.colorinterp]
