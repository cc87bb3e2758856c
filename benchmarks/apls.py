"""APLS on the road networks of SpaceNet's Las Vegas: OpenStreetMap's against SpaceNet's, and one submission.

Needs HYPERPLANE_DATA/spacenet-vegas; the submission, in pixels, needs rasterio too. The published programme's stored
output is for another proposal, which comes with that programme; tests/tasks/test_apls.py compares with it.
Type: python -m benchmarks.apls
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.record import write
from hyperplane.data.blocks import graph_files, rasters
from hyperplane.data.blocks.graphs import Graph
from hyperplane.data.blocks.projection import to_utm
from hyperplane.errors import UserError
from hyperplane.tasks.blocks.apls import apls

ZONE = 11


def main() -> None:
    """Compare, print and write down."""
    folder = Path(os.environ.get("HYPERPLANE_DATA", "")) / "spacenet-vegas"
    if not folder.is_dir():
        raise SystemExit("set HYPERPLANE_DATA to the folder that holds spacenet-vegas")
    found = {}
    roads = folder / "gt_json_prop_json" / "AOI_2_Vegas_Train"
    for truth in sorted((roads / "spacenetroads").glob("*.geojson")):
        found[f"{truth.stem}, OpenStreetMap"] = compared(metres(truth), metres(roads / "osm" / truth.name))
    truth = folder / "gt_json_prop_wkt" / "ground_truth_randomized" / "AOI_2_Vegas_img0.geojson"
    submission = folder / "gt_json_prop_wkt" / "proposal" / "sn3_sample_submission_albu.csv"
    try:
        lies = rasters.coordinates(folder / "images" / "RGB-PanSharpen_AOI_2_Vegas_img0.tif")
        assert lies is not None, "the published picture says where it lies"
        said = graph_files.read(submission, truth.stem).moved(lies.geographic)
        found[f"{truth.stem}, a submission"] = compared(metres(truth), said.moved(lambda place: to_utm(place, ZONE)))
    except UserError as error:
        print(error)
    write("apls", found)


def metres(path: Path) -> Graph:
    """Return the network of a GeoJSON file in metres."""
    return graph_files.read(path).moved(lambda place: to_utm(place, ZONE))


def compared(truth: Graph, said: Graph) -> dict[str, float]:
    """Return the scores of a proposal, and how long they took."""
    begun = time.process_time()
    score = apls(truth, said)
    seconds = time.process_time() - begun
    print(f"{score.total:.4f} ({score.truth_on_said:.4f}, {score.said_on_truth:.4f}) in {seconds:.2f} s", flush=True)
    return {
        "APLS": score.total,
        "truth on proposal": score.truth_on_said,
        "proposal on truth": score.said_on_truth,
        "seconds of the processor": seconds,
    }


if __name__ == "__main__":
    main()
