"""Large and georeferenced pictures: windows of them, and where their pixels lie on the earth.

A picture that Pillow reads is read by it. Through rasterio (pip install 'hyperplane[geo]') go TIFF files that it does
not read, such as those of 16 bits and three bands, or of more than 64 megapixels, and where it is installed large
ones, of which it reads a window alone; and coordinates. Both ways give the same numbers: 8 bits over 255, 16 bits over
65,535, the first three bands of several; where a TIFF file holds no data (`hyperplane.data.blocks.no_data`), white or
what is asked for. Other pictures are white where they are transparent.

Shape suffixes: C channels, H and W pixels.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from hyperplane.data.blocks import no_data, pictures
from hyperplane.data.blocks.pictures import Header
from hyperplane.data.blocks.problems import Refusal, name, one_line
from hyperplane.data.blocks.projection import to_utm, zone_of
from hyperplane.errors import UserError

SUFFIXES = frozenset({".tif", ".tiff"})
LARGE = 2**22
"""Pixels from which on reading a window pays."""

BAND = 512
"""Rows that are written at once."""
MOST_SHOWN = 2048
"""Pixels a side of such a picture where a person sees it, at most."""
GEO_KEYS = 34735
"""TIFF's tag of a coordinate reference system (GeoKeyDirectory)."""
DARK = 8192
"""Level of 16 bits that one of usual brightness exceeds."""

Cut = tuple[slice, slice]
"""The rows and the columns of a window, both ends given."""


@dataclass(frozen=True)
class Coordinates:
    """Where a raster's pixels lie."""

    crs: str
    """The coordinate reference system, as EPSG:32611, or as WKT where it has no number."""
    degrees: bool
    """Whether its coordinates are longitude and latitude."""
    unit: float
    """Metres in one unit of it; 1 where it is in degrees."""
    transform: tuple[float, float, float, float, float, float]
    """x = a · column + b · row + c and y = d · column + e · row + f, from the corner of the first pixel."""
    height: int
    width: int

    def placed(self, pixel: np.ndarray) -> np.ndarray:
        """Return coordinates, (…, 2), of places in pixels, (x, y)."""
        a, b, c, d, e, f = self.transform
        x, y = pixel[..., 0], pixel[..., 1]
        return np.stack([a * x + b * y + c, d * x + e * y + f], -1)

    def pixels(self, degrees: np.ndarray) -> np.ndarray:
        """Return places in pixels, (…, 2), of longitude and latitude in degrees, WGS 84: what `geographic` undoes."""
        place = degrees
        if self.crs != "EPSG:4326":
            import rasterio.warp

            x, y, *_ = rasterio.warp.transform("EPSG:4326", self.crs, degrees[..., 0].ravel(), degrees[..., 1].ravel())
            place = np.stack([np.reshape(x, degrees.shape[:-1]), np.reshape(y, degrees.shape[:-1])], -1)
        a, b, c, d, e, f = self.transform
        return (place - (c, f)) @ np.linalg.inv(np.array([(a, b), (d, e)])).T

    @property
    def metres_per_pixel(self) -> float:
        """Return the side of a pixel in the raster's middle, in metres: the root of its area."""
        middle = np.array([self.width / 2, self.height / 2])
        corner = self.placed(middle + np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)]))
        corner = to_utm(corner) if self.degrees else corner * self.unit
        return float(np.sqrt(abs(np.linalg.det(corner[1:] - corner[0]))))

    @property
    def metric_crs(self) -> str:
        """Return the reference system of `metric`: the raster's own where its unit is the metre, else a UTM zone's."""
        if not self.degrees and self.unit == 1:
            return self.crs
        longitude, latitude = self.geographic(np.array([self.width / 2, self.height / 2])).tolist()
        return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone_of(longitude)}"

    def metric(self, pixel: np.ndarray) -> np.ndarray:
        """Return coordinates in metres, (…, 2), of places in pixels."""
        if not self.degrees and self.unit == 1:
            return self.placed(pixel)
        return to_utm(self.geographic(pixel), int(self.metric_crs[-2:]))

    def geographic(self, pixel: np.ndarray) -> np.ndarray:
        """Return longitude and latitude in degrees, WGS 84, of places in pixels, (…, 2)."""
        place = self.placed(pixel)
        if self.crs == "EPSG:4326":
            return place
        import rasterio.warp

        x, y, *_ = rasterio.warp.transform(self.crs, "EPSG:4326", place[..., 0].ravel(), place[..., 1].ravel())
        return np.stack([np.reshape(x, place.shape[:-1]), np.reshape(y, place.shape[:-1])], -1)


def header(path: Path) -> Header:
    """Return a picture's size and colour; raises UserError where nothing that is installed reads it."""
    if not windowed(path):
        return pictures.read_header(path)
    with _opened(path) as raster:
        return Header(raster.width, raster.height, len(_colours(raster)) == 1)


def read(path: Path, channels: int, cut: Cut | None = None, blank: Sequence[float] | None = None) -> np.ndarray:
    """Return a picture, or a window of it, as float32 (C, H, W) in [0, 1]; raises UserError where it cannot be read.

    Where it holds no data it has the levels `blank`, one for each channel, or without these white.
    """
    if not windowed(path):
        level_CHW = pictures.read_whole(path, channels, opaque=path.suffix.lower() in SUFFIXES)
        level_CHW = level_CHW if cut is None else level_CHW[:, *cut]
        known_HW = known(path, cut)
    else:
        with _opened(path) as raster:
            number_CHW = raster.read(_colours(raster), window=_window(cut))
            known_HW = no_data.in_raster(raster, _mask_band(path), _colours(raster), window=_window(cut))
        if known_HW is not None:
            number_CHW[:, ~known_HW] = 0
        level_CHW = _levels(number_CHW, path)
        if channels == 1 and len(level_CHW) > 1:
            level_CHW = np.tensordot((0.299, 0.587, 0.114), level_CHW, 1)[None].astype(np.float32)
        elif channels > len(level_CHW):
            level_CHW = np.repeat(level_CHW[:1], channels, 0)
    if known_HW is not None:
        level_CHW[:, ~known_HW] = 1.0 if blank is None else np.reshape(blank, (-1, 1))
    return level_CHW


def known(path: Path, cut: Cut | None = None) -> np.ndarray | None:
    """Return which pixels of a picture, or of a window of it, hold data, bool (H, W); None where all do."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    if windowed(path):
        with _opened(path) as raster:
            return no_data.in_raster(raster, _mask_band(path), _colours(raster), window=_window(cut))
    with pictures.opened(path) as image:
        known_HW = no_data.in_image(image)
    return known_HW if known_HW is None or cut is None else known_HW[cut]


def has_gaps(path: Path) -> bool:
    """Say whether a picture holds no data in places; of one that is read by windows, whether it says where it does."""
    if path.suffix.lower() in SUFFIXES and windowed(path):
        with _opened(path) as raster:
            small = ((0, min(raster.height, 1)), (0, min(raster.width, 1)))
            return no_data.in_raster(raster, _mask_band(path), _colours(raster), window=small) is not None
    known_HW = known(path)
    return known_HW is not None and not known_HW.all()


def show(path: Path, cut: Cut | None = None) -> Image.Image:
    """Return a picture, or a window of it, as a person sees it; one that is read by windows at `MOST_SHOWN` pixels."""
    if not windowed(path):
        levels_HWC = np.moveaxis(read(path, 1 if header(path).grey else 3, cut), 0, 2)
    else:
        with _opened(path) as raster:
            bands = _colours(raster)
            height, width = (
                (raster.height, raster.width)
                if cut is None
                else (cut[0].stop - cut[0].start, cut[1].stop - cut[1].start)
            )
            scale = min(1.0, MOST_SHOWN / max(height, width))
            size = (len(bands), max(1, round(height * scale)), max(1, round(width * scale)))
            levels_HWC = np.moveaxis(_levels(raster.read(bands, window=_window(cut), out_shape=size), path), 0, 2)
    levels_HWC = (levels_HWC * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(levels_HWC if levels_HWC.shape[2] == 3 else levels_HWC[..., 0])


def notes(path: Path) -> list[str]:
    """Return what should be known of a TIFF file: bands left out, and levels that are all dark."""
    if path.suffix.lower() not in SUFFIXES:
        return []
    if not windowed(path):
        with pictures.opened(path) as image:
            alpha_HW = no_data.alpha(image)
            more = len(image.getbands())
        unread = alpha_HW is not None and not no_data.says_where(alpha_HW)
        return [_left_out(path, more, more - 1)] if unread else []
    with _opened(path) as raster:
        told, bands = [], _colours(raster)
        more = raster.count - (_mask_band(path) is not None)
        if more > len(bands):
            told.append(_left_out(path, more, len(bands)))
        if raster.dtypes[0] == "uint16":
            small = (len(bands), min(raster.height, 256), min(raster.width, 256))
            most = int(raster.read(bands, out_shape=small).max(initial=0))
            if most < DARK:
                told.append(f"{name(path)} has 16 bits, but reaches {most:,} of 65,535: a net sees it nearly black.")
    return told


def _left_out(path: Path, more: int, read: int) -> str:
    which = "three are" if read == 3 else "one is"
    return f"{name(path)} has {more} bands, of which the first {which} read."


def numbers(path: Path, cut: Cut | None = None) -> np.ndarray:
    """Return the numbers in a windowed raster, (bands, H, W), one band or three, as they are."""
    with _opened(path) as raster:
        return raster.read(_colours(raster), window=_window(cut))


def makes_rasters(path: Path) -> bool:
    """Say whether what is made of a picture is written as a raster in its place: one large or georeferenced."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file() or importlib.util.find_spec("rasterio") is None:
        return False
    return windowed(path) or coordinates(path) is not None


def write(path: Path, level_HW: np.ndarray, like: Path, times: int = 1) -> None:
    """Write levels, uint8 (H, W), so many times as high, as a GeoTIFF that lies where another raster does.

    Raises UserError where it cannot be written.
    """
    import rasterio
    import rasterio.errors

    height, width = level_HW.shape
    with _opened(like) as raster:
        place = {"crs": raster.crs, "transform": raster.transform}
    kind = {"driver": "GTiff", "tiled": True, "compress": "deflate", "bigtiff": "if_safer"}
    try:
        with (
            warnings.catch_warnings(action="ignore", category=rasterio.errors.NotGeoreferencedWarning),
            rasterio.open(path, "w", count=1, dtype="uint8", height=height, width=width, **kind, **place) as made,
        ):
            for top in range(0, height, BAND):
                rows = times * level_HW[top : top + BAND]
                made.write(rows, 1, window=((top, top + len(rows)), (0, width)))
    except rasterio.errors.RasterioError as error:
        raise Refusal(path, f"cannot be written ({one_line(error.__cause__ or error)})", "free some space") from error


def coordinates(path: Path) -> Coordinates | None:
    """Return where a picture lies; None where it does not say. Raises UserError where rasterio is missing."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    if importlib.util.find_spec("rasterio") is None and not says_where(path):
        return None
    with _opened(path) as raster:
        if raster.crs is None or raster.transform.is_identity:
            return None
        number, degrees = raster.crs.to_epsg(), raster.crs.is_geographic
        unit = 1.0 if degrees else float(raster.crs.linear_units_factor[1])
        crs = f"EPSG:{number}" if number else raster.crs.to_wkt()
        a, b, c, d, e, f = tuple(raster.transform)[:6]
        return Coordinates(crs, degrees, unit, (a, b, c, d, e, f), raster.height, raster.width)


def says_where(path: Path) -> bool:
    """Say whether a TIFF file has coordinates; of one that Pillow does not read, that it may."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("TIFF",)) as image:
            return GEO_KEYS in cast(Any, image).tag_v2
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return True


def metres_per_pixel(path: Path) -> float:
    """Return the side of a picture's pixels in metres; raises UserError where it does not say where it lies."""
    found = coordinates(path)
    if found is None:
        raise Refusal(path, "says not where it lies, so its pixels have no size in metres", "give lengths in pixels")
    return found.metres_per_pixel


def windowed(path: Path) -> bool:
    """Say whether a picture is read through rasterio: a TIFF file that is large, or that Pillow does not read.

    Raises UserError where Pillow does not, and rasterio is not there.
    """
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    held = path.stat()
    return _windowed(path.absolute(), held.st_size, held.st_mtime_ns)


@lru_cache(4096)
def _windowed(path: Path, size: int, changed: int) -> bool:
    """Say the same of a file of this size, changed then."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=("TIFF",)) as image:
                pixels = image.size[0] * image.size[1]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pixels = pictures.MOST_PIXELS + 1
    if pixels <= LARGE:
        return False
    installed = importlib.util.find_spec("rasterio") is not None
    if pixels > pictures.MOST_PIXELS and not installed:
        what = "is a TIFF file that Pillow does not read (too large, or of an unusual kind)"
        raise Refusal(path, what, "type: pip install 'hyperplane[geo]'")
    return installed


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a raster; raises UserError where rasterio is missing, or does not read it."""
    try:
        import rasterio
        import rasterio.errors
    except ImportError as error:
        raise UserError(f"{name(path)}: its coordinates need rasterio; type: pip install 'hyperplane[geo]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as raster:
                yield raster
    except rasterio.errors.RasterioError as error:
        why = one_line(error.__cause__ or error)
        raise Refusal(path, f"cannot be read ({why})", "copy it again from where it came") from error


def _mask_band(path: Path) -> int | None:
    held = path.stat()
    return _mask_band_of(path.absolute(), held.st_size, held.st_mtime_ns)


@lru_cache(4096)
def _mask_band_of(path: Path, size: int, changed: int) -> int | None:
    """Return the band that says where a raster, of this size, changed then, holds data; None where none does."""
    with _opened(path) as raster:
        return no_data.mask_band(raster)


def _colours(raster: Any) -> list[int]:
    """Return the bands that are a picture's colours, counted from 1: three, or the first alone."""
    colours = [band for band, meaning in enumerate(raster.colorinterp, 1) if meaning.name != "alpha"]
    return colours[:3] if len(colours) >= 3 else colours[:1]


def _window(cut: Cut | None) -> tuple[tuple[int, int], tuple[int, int]] | None:
    return None if cut is None else ((cut[0].start, cut[0].stop), (cut[1].start, cut[1].stop))


def _levels(number_CHW: np.ndarray, path: Path) -> np.ndarray:
    """Return numbers as float32 in [0, 1]; raises UserError for those that are no levels."""
    most = {"uint8": 255.0, "uint16": 65535.0}.get(number_CHW.dtype.name, 1.0)
    low, high = float(number_CHW.min(initial=0)), float(number_CHW.max(initial=0))
    if not (low >= 0 and high <= most):
        what = f"has pixels from {low:g} to {high:g} of kind {number_CHW.dtype}, expected 0 to {most:g}"
        raise Refusal(path, what, "rescale it to 8 or 16 bits and save it again")
    return (number_CHW / most).astype(np.float32)
