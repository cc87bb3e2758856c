"""What a net of pixels made of pictures, as files: masks, one line for each picture, and the network of one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from hyperplane.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from hyperplane.data.blocks.rasters import Coordinates
    from hyperplane.predict.delineating import Delineated

FOLDER = Path("predicted")
"""Where masks are written to where no folder is named."""
KINDS = (".geojson", ".json", ".graphml", ".wkt", ".csv", ".svg")
"""What the name of a network's file ends with."""


class Maps:
    """Writes what was made of each picture into a folder, and says so in a line."""

    def __init__(self, folder: Path, classes: tuple[str, ...], as_json: bool) -> None:
        """Make the folder; raises UserError where that cannot be."""
        self.folder, self.classes, self.as_json = folder, classes, as_json
        self.taken: set[str] = set()
        from hyperplane.runs import atomic

        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder}: is a file, expected a folder for the masks; name another with --to")
        with atomic.explained(folder, "name another folder with --to"):
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, one: Delineated) -> str:
        """Write mask, probability and uncertainty, and return the line: PNG, or of a large or placed raster GeoTIFF.

        The mask of two classes is black and white, that of more holds the number of each pixel's class.
        """
        from hyperplane.data.blocks import rasters

        like = Path(one.name) if rasters.makes_rasters(Path(one.name)) else None
        stem, suffix = self._free(Path(one.name).stem), "png" if like is None else "tif"
        white = 255 if len(self.classes) == 2 else 1
        files = {
            kind: self._save(level_HW, times, self.folder / f"{stem}-{kind}.{suffix}", like)
            for kind, level_HW, times in (
                ("mask", one.class_HW, white),
                ("probability", one.probability_HW, 1),
                ("uncertainty", one.uncertainty_HW, 1),
            )
        }
        if self.as_json:
            return json.dumps({"sample": one.name, **one.said, **{kind: str(file) for kind, file in files.items()}})
        shares = [f"{name} {one.said[name]:.1%}" for name in self.classes[1:]]
        pieces = one.said["pieces"]
        return "\t".join([one.name, *shares, f"{pieces} piece{'s' * (pieces != 1)}", str(files["mask"])])

    def _save(self, level_HW: np.ndarray, times: int, file: Path, like: Path | None) -> Path:
        """Write levels, so many times as high; as a raster that lies where another one does, if one is given."""
        from PIL import Image

        from hyperplane.data.blocks import rasters
        from hyperplane.runs import atomic

        with atomic.replacing(file) as part:
            if like is None:
                Image.fromarray(times * level_HW).save(part, "PNG")
            else:
                rasters.write(part, level_HW, like, times)
        return file

    def _free(self, stem: str) -> str:
        """Return a name that no other picture of this call has."""
        name, number = stem, 2
        while name in self.taken:
            name, number = f"{stem}-{number}", number + 1
        self.taken.add(name)
        return name


class Network:
    """Writes the network of lines that a mask shows."""

    def __init__(self, file: Path, gap: float, tolerance: float | None, metres: bool) -> None:
        """Say into which file, what a bridge over a gap may cost at most, and how far lines may lie from the pixels.

        Lengths are in pixels or in `metres`. Raises UserError for a file of another kind, for one in a folder that
        there is not, and for a length below 0.
        """
        self.file, self.kind = file, file.suffix.lower()
        self.gap, self.tolerance, self.metres = gap, tolerance, metres
        if self.kind not in KINDS:
            raise UserError(
                f"predict.graph: found {file.name}, expected a file ending in {', '.join(KINDS[:-1])} or {KINDS[-1]}; "
                f"type: --graph {file.parent / (file.stem or 'roads')}.geojson"
            )
        for option, value in (("gap", gap), ("tolerance", tolerance)):
            if value is not None and not 0 <= value < math.inf:
                raise UserError(f"predict.{option}: found {value:g}, expected 0 or more; type: --{option} 1")
        if not file.parent.is_dir():
            raise UserError(f"predict.graph: {file.parent} is no folder; make it, or name a file in another")

    def expect_place(self, picture: Path) -> None:
        """Raise UserError where lengths are in metres and the picture says not where it lies, or nobody can tell."""
        from hyperplane.data.blocks import rasters

        if self.metres:
            rasters.metres_per_pixel(picture)
        elif picture.is_file():
            rasters.coordinates(picture)

    def write(
        self, one: Delineated, picture: Image.Image | dict[str, str], classes: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Write the network of one picture, which an SVG shows below it; return what was done, a sentence each.

        Of a picture that says where it lies, GeoJSON and WKT hold longitude and latitude, and GraphML metres; all else
        holds pixels. Of several `classes` each edge has the one that most of its pixels have, and none over a gap.
        """
        from hyperplane.data.blocks import graph_files, rasters
        from hyperplane.runs import atomic
        from hyperplane.tasks.blocks.networks import classes_of, network_of

        source = Path(one.name)
        pixel = rasters.metres_per_pixel(source) if self.metres else 1.0
        tolerance = 1.0 if self.tolerance is None else self.tolerance / pixel
        found = network_of(
            one.class_HW > 0, gap=self.gap / pixel, tolerance=tolerance, probability_HW=one.probability_HW
        )
        graph, lies = found.graph, None if self.kind in (".svg", ".csv") else rasters.coordinates(source)
        named = None
        if len(classes) > 2:
            named = [classes[k] if k else "" for k in classes_of(graph, one.class_HW)]
        where = lies and "degrees (WGS 84)"
        match self.kind:
            case ".graphml":
                text, where = graph_files.graphml(graph, lies, named), lies and f"metres ({_crs(lies)})"
            case ".svg":
                assert not isinstance(picture, dict), "nets of pixels read pictures"
                text = graph_files.overlay(graph, picture, source.name, one.class_HW.shape[::-1])
            case ".wkt":
                text = graph_files.wkt_lines(graph, lies)
            case ".csv":
                text = graph_files.submission(graph, source.stem)
            case _:
                text = graph_files.geojson(graph, lies, named)
        atomic.write_text(self.file, text)
        told = graph_files.edges_of(graph, lies)
        pieces = f"{graph.components} piece{'s' * (graph.components != 1)}"
        whole = f"{graph.edges} edges, {told.length_E.sum():,.0f} {told.unit} in all, {pieces}"
        if told.cost_E.any():
            whole += f", bridges that cost {told.cost_E.sum():,.1f} {told.unit}"
        return (*found.notes, f"{whole}; coordinates are in {where or 'pixels'}: {self.file}")


def _crs(lies: Coordinates) -> str:
    """Return the name of a reference system in metres; of one without a number what its text begins with."""
    name = lies.metric_crs
    return name if len(name) <= 40 else name.partition(",")[0].replace("[", " ").replace('"', "")
