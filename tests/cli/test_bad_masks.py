"""What users get wrong with masks, rasters and networks: one line and status 2, or what was made of it, said."""

from __future__ import annotations

import importlib.util
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hyperplane.cli import main
from hyperplane.data.blocks import rasters
from tests.cli.commands import Command, tree
from tests.cli.corpus.cases import Case, Step, each, without, write
from tests.data import makers
from tests.test_delineation import streets

GEO = importlib.util.find_spec("rasterio") is not None
TRAIN = "--net unet --net.depths 1 1 --net.width 4 --data.crop 24 --training.steps 1 --overwrite"
PREDICT = "predict runs/streets {} --to out --graph roads.geojson"
UTM = {"crs": "EPSG:32611", "west": 664_000.0, "north": 4_012_000.0, "side": 0.5}
DEGREES = {"crs": "EPSG:4326", "west": -115.2, "north": 36.2, "side": 2.7e-6}


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of streets with masks, and a run of them."""
    folder = tmp_path_factory.mktemp("yard")
    streets(folder / "streets")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "streets", *TRAIN.split()]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def place(yard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the yard, which is the current folder and may be damaged."""
    shutil.copytree(yard, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(name: str, pixels: np.ndarray) -> Step:
    """Write a picture."""
    return lambda root: Image.fromarray(pixels).save(root / name)


def raster(name: str, number_CHW: np.ndarray, lies: dict[str, Any] | None = None, share: float = 1.0) -> Step:
    """Write a TIFF file through rasterio, of which so much is kept."""

    def make(root: Path) -> None:
        import rasterio.transform

        count, height, width = number_CHW.shape
        profile: dict[str, Any] = {"count": count, "height": height, "width": width, "dtype": number_CHW.dtype.name}
        if lies is not None:
            where = rasterio.transform.from_origin(lies["west"], lies["north"], lies["side"], lies["side"])
            profile |= {"crs": lies["crs"], "transform": where}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(root / name, "w", driver="GTiff", **profile) as file:
                file.write(number_CHW)
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: round(share * len(content))])

    return make


def moved(name: str, into: str) -> Step:
    """Move a folder into another one, made if it is not there."""
    return lambda root: ((root / into).mkdir(exist_ok=True), (root / name).rename(root / into / Path(name).name))


def all_masks(make: Callable[[int], np.ndarray]) -> Step:
    """Replace every mask."""
    return each(*(saved(f"streets/masks/{k}.png", make(k)) for k in range(9)))


PICTURE, GREY = makers.noise((48, 56, 3)), makers.noise((48, 56))
ODD = np.zeros((48, 56), np.uint8)
ODD[:20], ODD[20, :7], ODD[21, :5] = 255, 3, 200
EDGE = np.zeros((1, 40, 60), np.uint8)
EDGE[..., 21:] = 255

WRONG = [
    Case(
        "images and masks alone",
        "check streets",
        ("images/3.png: has no mask; add one", "images/4.png: has no mask", "masks/5.png: has no image; add one"),
        without("streets/masks/3.png", "streets/masks/4.png", "streets/images/5.png"),
    ),
    Case(
        "no images",
        f"train streets {TRAIN}",
        ("streets: holds no images and masks such as '0.png', '1.png'",),
        without(*(f"streets/images/{k}.png" for k in range(9))),
    ),
    Case(
        "no masks",
        f"train streets {TRAIN}",
        ("streets: holds images such as '0.png', '1.png' and no masks", "named alike"),
        without(*(f"streets/masks/{k}.png" for k in range(9))),
    ),
    Case(
        "no folder of images",
        f"train streets {TRAIN}",
        ("streets: holds no images and masks such as '0.png', '1.png', and no pair", "images/ and masks/"),
        lambda root: shutil.rmtree(root / "streets/images"),
    ),
    Case(
        "no folder of masks",
        "check streets",
        ("streets: has one class only, 'images'", "or for a class of each pixel a folder masks beside it"),
        lambda root: shutil.rmtree(root / "streets/masks"),
    ),
    Case(
        "two folders of masks",
        f"train streets {TRAIN}",
        ("streets: has several folders of masks, 'labels', 'masks', expected one; move the others elsewhere",),
        lambda root: shutil.copytree(root / "streets/masks", root / "streets/labels"),
    ),
    Case(
        "nothing to train on",
        f"train streets {TRAIN}",
        ("streets: has images and masks for 'validation', none to train on; name one of these folders train",),
        each(moved("streets/images", "streets/val"), moved("streets/masks", "streets/val")),
    ),
    Case(
        "a mask that is no network",
        "check streets",
        ("masks/3.wkt, road 1: 'LINESTRING (0 0, one 1)' is no WKT of a line; correct it",),
        each(without("streets/masks/3.png"), write("streets/masks/3.wkt", "LINESTRING (0 0, one 1)")),
    ),
    Case(
        "a network that nobody can place",
        "check streets",
        ("images/3.png: says not where it lies, but its network", "put a GeoTIFF there, or a network in pixels"),
        each(
            without("streets/masks/3.png"),
            write("streets/masks/3.geojson", '{"type": "LineString", "coordinates": [[3.1, 47.2], [3.2, 47.2]]}'),
        ),
    ),
    Case(
        "sizes that differ",
        "check streets",
        ("images/3.png: has 56 x 48 pixels, but its mask", "3.png 9 x 9", "images/4.png"),
        each(saved("streets/masks/3.png", GREY[:9, :9]), saved("streets/masks/4.png", GREY[:40])),
    ),
    Case(
        "sizes that differ, and training",
        f"train streets {TRAIN}",
        ("images/3.png: has 56 x 48 pixels", "3.png 9 x 9; bring them to one size"),
        saved("streets/masks/3.png", GREY[:9, :9]),
    ),
    Case(
        "values that mean nothing",
        "check streets",
        ("masks/3.png", "neither black nor white (value: pixels): 3: 7, 200: 5; paint it"),
        saved("streets/masks/3.png", ODD),
    ),
    Case(
        "empty masks alone",
        f"train streets {TRAIN}",
        ("hold one value alone, 0, in all 24,192 pixels",),
        all_masks(lambda k: np.zeros((48, 56), np.uint8)),
    ),
    Case(
        "a mask that is a picture",
        f"train streets {TRAIN}",
        ("masks/3.png: looks like a picture, not a mask: 2,", "put its mask there"),
        saved("streets/masks/3.png", PICTURE),
    ),
    Case(
        "a mask that is a grey picture", "check streets", ("masks/3.png: looks like a picture",),
        saved("streets/masks/3.png", GREY),
    ),
    Case(
        "a held-out picture cut short",
        f"train streets {TRAIN}",
        ("images/3.png: cannot be decoded", "copy it again"),
        lambda root: (root / "streets/images/3.png").write_bytes((root / "streets/images/3.png").read_bytes()[:4000]),
    ),
    Case(
        "a mask cut short",
        "check streets",
        ("masks/3.png: cannot be decoded", "copy it again"),
        lambda root: (root / "streets/masks/3.png").write_bytes((root / "streets/masks/3.png").read_bytes()[:90]),
    ),
    Case(
        "a net that sorts pictures",
        f"train streets {TRAIN.replace('unet', 'resnet')}",
        ("net resnet: does not speak of every pixel, but streets asks for a class of every pixel", "--net"),
    ),
    Case(
        "a net of pixels for what is sorted",
        "train digits --net unet --name d",
        ("net unet: speaks of every pixel, but digits asks for one answer for each sample (label_B)", "--net"),
    ),
    Case("a picture that is not there", PREDICT.format("city.png"), ("city.png: does not exist; correct the path",)),
    Case("a TIFF file of nothing", PREDICT.format("city.tif"), ("city.tif: ",), write("city.tif", b"")),
    Case(
        "metres of a PNG",
        PREDICT.format("streets/images/2.png") + " --unit metres",
        ("2.png: says not where it lies", "give lengths in pixels"),
    ),
    Case(
        "metres without a network",
        "predict runs/streets streets/images/2.png --unit metres",
        ("--unit", "type: --graph roads.geojson"),
    ),
    Case(
        "a network into a folder that is not there",
        "predict runs/streets streets/images/2.png --graph there/roads.geojson",
        ("there is no folder; make it",),
    ),
    Case("a network into a root", "predict runs/streets streets/images/2.png --graph /", ("type: --graph /roads",)),
    Case(
        "a network of another kind",
        "predict runs/streets streets/images/2.png --graph roads.shp",
        ("found roads.shp, expected a file ending in .geojson, .json, .graphml", "type: --graph roads.geojson"),
    ),
    Case(
        "a gap below 0",
        PREDICT.format("streets/images/2.png") + " --gap -1",
        ("predict.gap: found -1", "type: --gap 1"),
    ),
    Case(
        "no tolerance at all",
        PREDICT.format("streets/images/2.png") + " --tolerance nan",
        ("predict.tolerance: found nan", "type: --tolerance 1"),
    ),
]  # fmt: skip
RASTERS = [
    Case(
        "metres of a raster that lies nowhere",
        PREDICT.format("city.tif") + " --unit metres",
        ("city.tif: says not where it lies", "give lengths in pixels"),
        raster("city.tif", makers.noise((3, 40, 60))),
    ),
    Case(
        "a raster cut short",
        PREDICT.format("city.tif"),
        ("city.tif: cannot be decoded", "copy it again"),
        raster("city.tif", makers.noise((3, 40, 60)), UTM, share=0.5),
    ),
    Case(
        "a raster whose header is cut short",
        PREDICT.format("city.tif"),
        ("city.tif: cannot be read", "copy it again"),
        raster("city.tif", makers.noise((3, 40, 60)), UTM, share=0.01),
    ),
    Case(
        "heights for a picture",
        PREDICT.format("city.tif"),
        ("city.tif: has pixels from", "rescale it"),
        raster("city.tif", makers.noise((1, 40, 60)).astype(np.float32), UTM),
    ),
]
READ = [
    ("alpha.png", saved("alpha.png", makers.noise((40, 60, 4))), ""),
    ("deep.png", saved("deep.png", makers.noise((40, 60)).astype(np.uint16) * 250), ""),
    ("dot.png", saved("dot.png", makers.noise((1, 1, 3))), ""),
]
READ_RASTERS = [
    (
        "bands.tif",
        raster("bands.tif", makers.noise((5, 40, 60))),
        "bands.tif has 5 bands, of which the first three are",
    ),
    ("dark.tif", raster("dark.tif", makers.noise((3, 40, 60)).astype(np.uint16)), "reaches 255 of 65,535: a net sees"),
    ("four.tif", raster("four.tif", makers.noise((4, 40, 60)).astype(np.uint16) * 250), "four.tif has 4 bands"),
    (
        "infrared.tif",
        raster("infrared.tif", makers.noise((4, 40, 60))),
        "has 4 bands, of which the first three are read",
    ),
    (
        "edge.tif",
        raster("edge.tif", np.concatenate([makers.noise((3, 40, 60)), EDGE])),
        "edge.tif holds no data in places, as its alpha band or a value says: nothing is said of these",
    ),
]


def answers(case: Case, place: Path, hyperplane: Command) -> None:
    case.make(place)
    before = tree(place)
    answer = hyperplane(*case.typed.split())
    assert answer.status == 2 and answer.err.startswith("error: ") and answer.err.count("\n") == 1, answer
    assert "Traceback" not in answer.err and "[Errno" not in answer.err
    for word in case.says:
        assert word in answer.out + answer.err, answer
    assert tree(place) == before


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.about)
def test_one_line_and_nothing_lost(case: Case, place: Path, hyperplane: Command) -> None:
    answers(case, place, hyperplane)


@pytest.mark.skipif(not GEO, reason="needs rasterio: pip install 'hyperplane[geo]'")
@pytest.mark.parametrize("case", RASTERS, ids=lambda case: case.about)
def test_one_line_for_rasters(case: Case, place: Path, hyperplane: Command) -> None:
    answers(case, place, hyperplane)


@pytest.mark.parametrize("kind", ["geojson", "svg"])
@pytest.mark.parametrize(
    ("name", "make", "told"),
    [*READ, *(READ_RASTERS if GEO else ())],
    ids=lambda value: value if isinstance(value, str) else "read",
)
def test_what_can_be_read_is_and_what_was_left_out_is_told(
    name: str, make: Step, told: str, kind: str, place: Path, hyperplane: Command
) -> None:
    make(place)
    answer = hyperplane("predict", "runs/streets", name, "--to", "out", "--graph", f"roads.{kind}")
    assert answer.status == 0 and (place / f"roads.{kind}").is_file(), answer
    assert told in answer.err and answer.err.count("note: ") == bool(told)
    assert "coordinates are in pixels: roads" in answer.err
    (file,) = (place / "out").glob(f"{Path(name).stem}-mask.*")
    with Image.open(file) as mask:
        assert mask.size == ((1, 1) if name == "dot.png" else (60, 40))


@pytest.mark.skipif(not GEO, reason="needs rasterio: pip install 'hyperplane[geo]'")
@pytest.mark.parametrize(("lies", "kind", "told"), [
    (UTM, "graphml", "coordinates are in metres (EPSG:32611)"),
    (DEGREES, "graphml", "coordinates are in metres (EPSG:32611)"),
    (DEGREES, "geojson", "coordinates are in degrees (WGS 84)"),
    (DEGREES, "wkt", "coordinates are in degrees (WGS 84)"),
    (DEGREES, "csv", "coordinates are in pixels"),
    (UTM, "svg", "coordinates are in pixels"),
])  # fmt: skip
def test_the_unit_is_told(lies: dict[str, Any], kind: str, told: str, place: Path, hyperplane: Command) -> None:
    raster("city.tif", makers.noise((3, 40, 60)), lies)(place)
    typed = f"predict runs/streets city.tif --to out --graph roads.{kind} --gap 2 --unit metres"
    answer = hyperplane(*typed.split())
    assert answer.status == 0 and told in answer.err
    assert "out/city-mask.tif" in answer.out
    made = rasters.coordinates(place / "out/city-mask.tif")
    assert made is not None and made.crs == lies["crs"]
    text = (place / f"roads.{kind}").read_text("utf-8")
    assert {"graphml": ">EPSG:32611<", "geojson": "WGS 84", "svg": "<svg", "wkt": "", "csv": "WKT_Pix"}[kind] in text


def test_one_pixel_is_enough_to_train_on(place: Path, hyperplane: Command) -> None:
    for folder, step in (("images", 40), ("masks", 255)):
        (place / "dots" / folder).mkdir(parents=True)
        for k in range(6):
            Image.new("L", (1, 1), (k % 2) * step).save(place / "dots" / folder / f"{k}.png")
    assert hyperplane("check", "dots").status == 0
    answer = hyperplane("train", "dots", *TRAIN.split())
    assert answer.status == 0 and (place / "runs/dots/report.html").is_file()


def test_what_is_bad_is_left_out_where_that_is_asked_for(place: Path, hyperplane: Command) -> None:
    saved("streets/masks/1.png", PICTURE)(place)
    file = place / "streets/images/3.png"
    file.write_bytes(file.read_bytes()[:4000])
    answer = hyperplane("train", "streets", *TRAIN.split(), "--skip-bad")
    assert answer.status == 0
    assert "streets/images/3.png" in answer.err and "streets/masks/1.png" in answer.err
