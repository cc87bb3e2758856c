"""Networks as files: GeoJSON and WKT read; GeoJSON, WKT, GraphML and SVG written.

GeoJSON: the LineStrings and MultiLineStrings of a file (RFC 7946); they meet where they share a point. WKT: a line of
text for each road, or a CSV file with a column of them, as SpaceNet's submissions have, one picture's or all pictures'.
What is written of a picture that says where it lies has the coordinates of the earth: GeoJSON longitude and latitude,
as it must, and so WKT; GraphML metres; lengths and costs are in metres in both. Else all is in pixels, and always in
SpaceNet's CSV. GeoJSON and GraphML say which.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image

from hyperplane.data.blocks import files
from hyperplane.data.blocks.graphs import Graph, of_polylines
from hyperplane.data.blocks.problems import Refusal, hint, name, one_line, quote, some
from hyperplane.data.blocks.rasters import Coordinates
from hyperplane.errors import UserError

Place = Literal["degrees", "pixels"]
READ = (".geojson", ".json", ".wkt", ".csv")
"""What the names of files that are read end with, usually."""
ROAD, BRIDGE, JUNCTION = "#d1495b", "#edae49", "#00798c"
"""Colours of an overlay: edges that were seen, those that bridge a gap, nodes."""
MOST_SHOWN = 2048
"""Pixels a side of the picture in an overlay, at most."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LINE = re.compile(
    r"\(\s*(" + _NUMBER + r"(?:\s+" + _NUMBER + r")+(?:\s*,\s*" + _NUMBER + r"(?:\s+" + _NUMBER + r")+)*)\s*\)"
)


def read(path: Path, picture: str | None = None) -> Graph:
    """Return the network in a GeoJSON or a WKT file; `picture` names one of several in a CSV file.

    Raises UserError for a file that is neither, and for a picture that it does not hold.
    """
    text = files.read(path).decode("utf-8-sig", "replace")
    if text.lstrip().startswith("{"):
        lines = _of_geojson(text, path)
    elif "LINESTRING" in text.upper():
        lines = _of_wkt(text, path, picture)
    else:
        raise Refusal(path, "is neither GeoJSON nor WKT, expected LineStrings", "name a .geojson, .wkt or .csv file")
    return of_polylines(lines)


def place_of(path: Path) -> Place | None:
    """Return what the numbers of a network's file are; None where it does not say, as WKT never does.

    Raises UserError for a GeoJSON file in another reference system than longitude and latitude.
    """
    text = files.read(path).decode("utf-8-sig", "replace")
    if not text.lstrip().startswith("{"):
        return None
    found = _parsed(text, path)
    if found.get("places") == "pixels":
        return "pixels"
    crs = json.dumps(found.get("crs") or {})
    if "name" in crs and not re.search(r"CRS84|EPSG:+4326\b", crs):
        what = f"is in another reference system than longitude and latitude ({quote(crs)})"
        raise Refusal(path, what, f"type: ogr2ogr -t_srs EPSG:4326 NEW.geojson {quote(name(path))}")
    return "degrees"


@dataclass(frozen=True)
class Edges:
    """What both kinds of file tell of a network's edges."""

    length_E: np.ndarray
    cost_E: np.ndarray
    unit: str
    """Of both: metres or pixels."""


def edges_of(graph: Graph, lies: Coordinates | None) -> Edges:
    """Return lengths and costs of a network in pixels, in metres where its picture says where it lies."""
    costs = graph.cost_E if len(graph.cost_E) else np.zeros(graph.edges)
    if lies is None:
        return Edges(graph.length_E, costs, "pixels")
    return Edges(graph.moved(lies.metric).length_E, costs * lies.metres_per_pixel, "metres")


def geojson(graph: Graph, lies: Coordinates | None = None, class_E: Sequence[str] | None = None) -> str:
    """Return a network in pixels as GeoJSON: a LineString for each edge, a Point for a lonely node.

    `lies` says where its picture does (None: nobody knows). An edge has its nodes, its length and its cost, and its
    class where these are given.
    """
    told = edges_of(graph, lies)
    placed = graph if lies is None else graph.moved(lies.geographic)
    features = [
        {
            "type": "Feature",
            "properties": {"start": start, "end": end, "length": round(length, 3), "cost": round(cost, 3)}
            | ({} if class_E is None else {"class": class_E[edge]}),
            "geometry": {"type": "LineString", "coordinates": line.tolist()},
        }
        for edge, ((start, end), length, cost, line) in enumerate(
            zip(graph.end_E2.tolist(), told.length_E.tolist(), told.cost_E.tolist(), placed.lines(), strict=True)
        )
    ]
    lonely = placed.node_N2[graph.degree_N == 0].tolist()
    features += [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": place}} for place in lonely
    ]
    places = "pixels" if lies is None else "longitude and latitude in degrees, WGS 84"
    whole = {"type": "FeatureCollection", "places": places, "lengths": told.unit, "features": features}
    return json.dumps(whole) + "\n"


def wkt_lines(graph: Graph, lies: Coordinates | None = None) -> str:
    """Return a network in pixels as WKT, a line of text for each edge; `lies` as for `geojson`."""
    placed = graph if lies is None else graph.moved(lies.geographic)
    return "".join(f"{wkt(line)}\n" for line in placed.lines())


def submission(graph: Graph, picture: str) -> str:
    """Return a network in pixels as CSV in the form of SpaceNet's submissions: the picture, and the WKT of an edge."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["ImageId", "WKT_Pix"])
    rows.writerows([picture, wkt(line)] for line in graph.lines())
    if not graph.edges:
        rows.writerow([picture, "LINESTRING EMPTY"])
    return out.getvalue()


def graphml(graph: Graph, lies: Coordinates | None = None, class_E: Sequence[str] | None = None) -> str:
    """Return a network in pixels as GraphML: nodes with x and y, edges with their length, their cost and their line.

    Lines are WKT; `lies` says where the picture does (None: nobody knows). The graph has the unit of all of it, and the
    coordinate reference system; an edge its class where these are given.
    """
    told = edges_of(graph, lies)
    placed = graph if lies is None else graph.moved(lies.metric)
    own = {"unit": told.unit, **({} if lies is None else {"crs": lies.metric_crs})}
    keys = [*((key, "graph", "string") for key in own), ("x", "node", "double"), ("y", "node", "double")]
    keys += [("length", "edge", "double"), ("cost", "edge", "double"), ("line", "edge", "string")]
    keys += [("class", "edge", "string")] if class_E is not None else []
    out = ['<?xml version="1.0" encoding="UTF-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">']
    out += [f'<key id="{key}" for="{of}" attr.name="{key}" attr.type="{kind}"/>' for key, of, kind in keys]
    out.append('<graph id="G" edgedefault="undirected">')
    out += [f'<data key="{key}">{escape(value)}</data>' for key, value in own.items()]
    for node, (x, y) in enumerate(placed.node_N2.tolist()):
        out.append(f'<node id="n{node}"><data key="x">{x!r}</data><data key="y">{y!r}</data></node>')
    for edge, (start, end) in enumerate(graph.end_E2.tolist()):
        out.append(
            f'<edge id="e{edge}" source="n{start}" target="n{end}"><data key="length">{float(told.length_E[edge])!r}'
            f'</data><data key="cost">{float(told.cost_E[edge])!r}</data>'
            f'<data key="line">{wkt(placed.line(edge))}</data>'
            + ("" if class_E is None else f'<data key="class">{escape(class_E[edge])}</data>')
            + "</edge>"
        )
    return "\n".join([*out, "</graph>", "</graphml>"]) + "\n"


def wkt(line: np.ndarray) -> str:
    """Return a line, (P, 2), as WKT."""
    return "LINESTRING (" + ", ".join(f"{x:.10g} {y:.10g}" for x, y in line.tolist()) + ")"


def overlay(graph: Graph, picture: Image.Image, title: str = "", size: tuple[int, int] | None = None) -> str:
    """Return an SVG picture of a network, in pixels, over the picture that it was found in.

    `size` is that picture's, width and height, where what is given of it is smaller. Roads are red, bridges over gaps
    yellow and dashed, nodes blue-green.
    """
    width, height = size or picture.size
    thick = max(width, height) / 300
    kept = io.BytesIO()
    picture = picture.convert("RGB")
    picture.thumbnail((MOST_SHOWN, MOST_SHOWN))
    picture.save(kept, "JPEG", quality=88)
    shown = base64.b64encode(kept.getvalue()).decode()
    bridges = graph.cost_E > 0 if len(graph.cost_E) else np.zeros(graph.edges, bool)

    def paths(which: np.ndarray) -> str:
        lines = (graph.line(int(edge)) for edge in np.flatnonzero(which))
        return "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line.tolist()) for line in lines)

    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{thick * 1.25:.2f}"/>' for x, y in graph.node_N2.tolist())
    line = f'fill="none" stroke-linejoin="round" stroke-linecap="round" stroke-width="{thick:.2f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<title>{escape(title)}</title>\n"
        f'<image href="data:image/jpeg;base64,{shown}" width="{width}" height="{height}"/>\n'
        f'<path d="{paths(~bridges)}" {line} stroke="white" stroke-opacity="0.55" '
        f'style="stroke-width:{thick * 1.9:.2f}"/>\n'
        f'<path d="{paths(~bridges)}" {line} stroke="{ROAD}"/>\n'
        f'<path d="{paths(bridges)}" {line} stroke="{BRIDGE}" stroke-dasharray="{thick * 2:.2f} {thick * 1.6:.2f}"/>\n'
        f'<g fill="{JUNCTION}" stroke="white" stroke-width="{thick * 0.4:.2f}">{dots}</g>\n</svg>\n'
    )


def _of_geojson(text: str, path: Path) -> list[np.ndarray]:
    found = _parsed(text, path)
    features = found.get("features", [found] if "geometry" in found else [{"geometry": found}])
    try:
        return [
            np.array([point[:2] for point in line], np.float64).reshape(-1, 2)
            for feature in features
            for line in _lines(feature.get("geometry") or {})
        ]
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        what = f"holds a geometry that is not a LineString's ({one_line(error)})"
        raise Refusal(path, what, "copy it again from where it came") from error


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(path, f"is not JSON ({one_line(error)})", "copy it again from where it came") from error


def _lines(geometry: dict[str, Any]) -> Iterator[list[list[float]]]:
    if geometry.get("type") == "LineString":
        yield geometry["coordinates"]
    elif geometry.get("type") == "MultiLineString":
        yield from geometry["coordinates"]
    elif geometry.get("type") == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from _lines(part)


def _of_wkt(text: str, path: Path, picture: str | None) -> list[np.ndarray]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    column = next(k for row in rows for k, cell in enumerate(row) if "LINESTRING" in cell.upper())
    if len(rows[0]) == 1 or column == 0:
        roads = text.splitlines()
    else:
        held = {row[0] for row in rows[1:]}
        if picture is None and len(held) > 1:
            raise UserError(
                f"{name(path)}: holds {len(held)} pictures ({some(sorted(held), 3)}), expected the name of one"
            )
        if picture is not None and picture not in held:
            raise UserError(f"{name(path)}: holds no picture {quote(picture)}; {hint(picture, held)}")
        roads = [row[column] for row in rows[1:] if len(row) > column and picture in (None, row[0])]
    lines = []
    for number, road in enumerate(roads, 1):
        if "LINESTRING" not in road.upper() or "EMPTY" in road.upper():
            continue
        found = _LINE.findall(road)
        if not found:
            raise Refusal(f"{name(path)}, road {number}", f"{quote(road)} is no WKT of a line", "correct it")
        lines += [np.array([point.split()[:2] for point in part.split(",")], np.float64) for part in found]
    return lines
