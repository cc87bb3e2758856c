"""Delineation from a folder of images and masks to files: train, evaluate, predict, explain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import api
from hyperplane.cli import main
from hyperplane.errors import UserError
from hyperplane.explain import masks
from hyperplane.predict import delineating
from hyperplane.runs.folder import RunFolder
from hyperplane.tasks.blocks import mask_errors, mask_figures

CHANGES = {
    "net.options.depths": [1, 1],
    "net.options.width": 8,
    "net.options.stem": "half",
    "data.options.every": 3,
    "data.options.crop": 40,
    "task.options.loss": "bce+0.5*cldice+0.1*connectivity",
    "task.options.smallest": 4,
    "training.steps": 40,
    "training.batch": 4,
    "optimizer.learning_rate": 0.02,
    "augment.views": "turned",
}


def streets(root: Path, count: int = 9) -> Path:
    """Write pictures with bright streets of four pixels on noise, and their masks."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number in range(count):
        chance = np.random.default_rng(number)
        mask_HW = np.zeros((48, 56), np.uint8)
        row, column = chance.integers(4, 40, 2)
        mask_HW[row : row + 4] = mask_HW[:, column : column + 4] = 255
        noise_HW3 = chance.integers(0, 90, (48, 56, 3))
        Image.fromarray((noise_HW3 + mask_HW[..., None] // 2).astype(np.uint8)).save(root / "images" / f"{number}.png")
        Image.fromarray(mask_HW).save(root / "masks" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    place = tmp_path_factory.mktemp("delineation")
    return api.train(streets(place / "streets"), net="unet", runs=place / "runs", changes=CHANGES)


def test_a_folder_of_masks_is_delineated_by_itself(run: api.Run) -> None:
    assert run.recipe.task.name == "delineation" and run.metrics["f1"].value > 0.9
    assert run.metrics["betti0_error"].value < 1.5
    assert run.evaluate() == run.metrics
    plots = RunFolder(run.path).plots
    assert (plots / "errors.svg").is_file() and (plots / "threshold.svg").is_file()
    worst = RunFolder(run.path).read_worst()
    assert len(worst) == 3 and "1 piece" in str(worst[0].truth)


def test_masks_are_written_as_they_are_given(run: api.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [str(run.path.parent.parent / "streets" / "images" / f"{k}.png") for k in (2, 5)]
    assert main(["predict", str(run.path), *pictures, "--to", str(tmp_path / "out"), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = run.delineate(*pictures)
    assert run.predict(pictures) == [one.said for one in found]
    for line, one in zip(told, found, strict=True):
        with Image.open(line["mask"]) as mask:
            mask_HW = np.asarray(mask)
        assert mask_HW.shape == (48, 56) and set(np.unique(mask_HW)) <= {0, 255}
        np.testing.assert_array_equal(mask_HW == 255, one.class_HW == 1)
        assert line["pieces"] == one.said["pieces"] and abs(line["foreground"] - one.class_HW.mean()) < 1e-6
        with Image.open(line["uncertainty"]) as unsure, Image.open(line["probability"]) as probable:
            unsure_HW, probable_HW = np.asarray(unsure), np.asarray(probable)
        assert unsure_HW[np.abs(probable_HW.astype(int) - 127) < 10].min(initial=255) > 245
        assert unsure_HW[probable_HW == 255].max(initial=0) < 20


def test_what_is_said_of_large_pictures_is_kept_in_files(run: api.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = run.path.parent.parent / "streets" / "images" / "2.png"
    (held,) = run.delineate(picture)
    monkeypatch.setattr(delineating, "LARGEST_HELD", 100)
    (filed,) = run.delineate(picture)
    for name in ("class_HW", "probability_HW", "uncertainty_HW"):
        assert isinstance(getattr(filed, name), np.memmap)
        np.testing.assert_array_equal(getattr(filed, name), getattr(held, name))
    assert filed.said == held.said


def test_pictures_of_one_name_do_not_overwrite_each_other(run: api.Run, tmp_path: Path) -> None:
    picture = str(run.path.parent.parent / "streets" / "images" / "2.png")
    assert main(["predict", str(run.path), picture, picture, "--to", str(tmp_path)]) == 0
    assert sorted(file.name for file in tmp_path.glob("*-mask.png")) == ["2-2-mask.png", "2-mask.png"]


def test_several_classes_are_told_apart_from_training_to_the_network(tmp_path: Path) -> None:
    place = streets(tmp_path / "ways", 6)
    for number in range(6):
        with Image.open(place / "masks" / f"{number}.png") as mask:
            white_HW = np.asarray(mask) > 0
        class_HW = white_HW.astype(np.uint8)
        class_HW[:, white_HW.all(0)] = 2
        Image.fromarray(class_HW).save(place / "masks" / f"{number}.png")
        with Image.open(place / "images" / f"{number}.png") as picture:
            level_HW3 = np.asarray(picture).copy()
        level_HW3[class_HW == 2, 0] = 0
        Image.fromarray(level_HW3).save(place / "images" / f"{number}.png")
    changes = {**CHANGES, "augment.views": "one", "task.options.loss": "bce", "training.steps": 30}
    run = api.train(place, net="unet", runs=tmp_path / "runs", changes=changes)
    assert run.metrics["f1"].value > 0.7 and (RunFolder(run.path).plots / "classes.svg").is_file()
    assert "errors.svg" in [file.name for file in run.explain()]
    file = tmp_path / "ways.geojson"
    picture = str(place / "images" / "2.png")
    assert main(["predict", str(run.path), picture, "--to", str(tmp_path), "--graph", str(file)]) == 0
    with Image.open(tmp_path / "2-mask.png") as mask:
        assert set(np.unique(np.asarray(mask))) == {0, 1, 2}
    longest: dict[str, float] = {}
    for feature in json.loads(file.read_text("utf-8"))["features"]:
        told, ((x, y), *_, (u, v)) = feature["properties"], feature["geometry"]["coordinates"]
        if told["length"] > longest.get(told["class"], 0.0):
            longest[told["class"]] = told["length"]
            assert (abs(x - u) < abs(y - v)) == (told["class"] == "2"), "what goes down is of class 2"
    assert set(longest) == {"1", "2"}


@pytest.mark.parametrize("kind", ["geojson", "graphml", "svg", "wkt", "csv"])
def test_the_network_of_a_picture_is_written(kind: str, run: api.Run, tmp_path: Path) -> None:
    picture = str(run.path.parent.parent / "streets" / "images" / "2.png")
    file = tmp_path / f"roads.{kind}"
    assert main(["predict", str(run.path), picture, "--to", str(tmp_path), "--graph", str(file), "--gap", "5"]) == 0
    text = file.read_text("utf-8")
    assert {"geojson": "LineString", "graphml": "<edge", "svg": "<svg", "wkt": "LINESTRING (", "csv": "\n2,"}[
        kind
    ] in text
    if kind == "geojson":
        (mask,) = run.delineate(picture)
        points = [p for f in json.loads(text)["features"] for p in f["geometry"]["coordinates"]]
        assert all(mask.class_HW[int(min(y, 47)), int(min(x, 55))] for x, y in points)


def test_errors_tiles_and_pulls_are_drawn(run: api.Run) -> None:
    names = [file.name for file in run.explain()]
    assert names == ["errors.svg", "tiles.svg", "pulls.svg"]
    with pytest.raises(UserError, match="type: hyperplane predict"):
        run.explain(run.path / "report.html")


def test_runs_are_drawn_side_by_side(run: api.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = run.path.parent.parent
    changes = {**CHANGES, "training.steps": 2, "task.options.loss": "bce"}
    other = api.train(place / "streets", net="unet", runs=place / "runs", name="other", changes=changes)
    run.explain()
    assert main(["explain", str(run.path), str(other.path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        str(run.path / "explain" / "beside.svg"),
        str(run.path / "report.html"),
    ]
    told = {one.file: one.caption for one in RunFolder(run.path).read_explained()}
    assert list(told) == ["errors.svg", "tiles.svg", "pulls.svg", "beside.svg"]
    assert "streets: loss bce+0.5*cldice+0.1*connectivity, epochs 7, steps 40, F1 " in told["beside.svg"]
    assert "other: loss bce, epochs 1, steps 2, F1 " in told["beside.svg"]
    strange = api.train(streets(tmp_path / "s", 6), net="unet", runs=tmp_path, name="strange", changes=changes)
    digits = api.train("digits", runs=tmp_path, changes={"training.epochs": 1})
    for more, says in (
        ([strange.path], "strange: was judged on other images than .*streets, expected the same; name runs of one set"),
        ([digits.path], "digits: holds no net of pixels, expected one beside"),
        ([other.path] * 5, "found 6 runs, expected at most 5; name fewer"),
    ):
        with pytest.raises(UserError, match=says):
            run.explain(*more)
    for file in (tmp_path / "s" / "images").iterdir():
        file.unlink()
    with pytest.raises(UserError, match="strange: its data are gone, or not as they were; put them back"):
        strange.explain(other.path)


def test_the_worst_tiles_of_an_image_do_not_overlap() -> None:
    """Of 150 pixels a side, tiles of 96 begin at 0 and at 54."""
    blank_HW = np.zeros((150, 150), np.float32)
    error_HW = np.full((150, 150), mask_errors.HIT, np.uint8)
    error_HW[60:90, 60:90] = mask_errors.MISSED
    image_CHW, mask_HW, logit_KHW = torch.zeros(3, 150, 150), torch.zeros(150, 150), torch.zeros(1, 150, 150)
    one = masks.Seen("a", image_CHW, np.zeros((150, 150, 3)), mask_HW, logit_KHW, blank_HW, error_HW)
    assert len(masks.tiles_of(one)) == 4
    ((share, of, place),) = masks.worst_tiles([one])
    assert of is one and place[0].start in (0, 54) and share == pytest.approx(900 / 96**2)
    large = replace(one, error_HW=np.pad(error_HW, ((0, 300), (0, 300))))
    kept = masks.worst_tiles([large, one])
    assert [sum(of is image for _, of, _ in kept) for image in (large, one)] == [masks.OF_ONE, 1]


def test_neighbouring_breaks_have_one_ring() -> None:
    error_HW = np.full((60, 60), mask_errors.HIT, np.uint8)
    error_HW[10:14, 10:13] = error_HW[10, 16] = error_HW[50, 50] = mask_errors.BROKEN
    rings = mask_figures.rings(error_HW, most=6, more=3)
    assert len(rings) == 2 and rings[0][2] == 5.0 and np.hypot(rings[0][0] - 11.5, rings[0][1] - 11) < 1
    assert rings[1][:2] == (50, 50)


def test_what_nets_of_pixels_have_not_is_told(run: api.Run, tmp_path: Path) -> None:
    picture = str(run.path.parent.parent / "streets" / "images" / "2.png")
    for more, told in (
        (["--speed", "most"], "found --speed most"),
        (["--probabilities"], "as a picture"),
        (["--tile", "10"], "expected 384 pixels or more"),
        (["--to", str(run.path / "recipe.json")], "is a file, expected a folder"),
        (["--graph", "roads.doc"], "found roads.doc"),
        (["--gap", "3"], "type: --graph roads.geojson"),
        ([picture, "--graph", "roads.geojson"], "found 2 pictures"),
        (["--graph", "roads.geojson", "--unit", "metres", "--to", str(tmp_path)], "says not where it lies"),
    ):
        with pytest.raises(UserError, match=told):
            from hyperplane.cli import predict

            predict.main([str(run.path), picture, *more])


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("threshold", 1.0, "a probability"), ("smallest", -1, "0 or"), ("window", 2, "8 or"), ("width", 0, "1 or")],
)
def test_options_out_of_range_are_told(option: str, value: float, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"task delineation.{option}: found .*{told}"):
        api.train(streets(tmp_path / "s"), runs=tmp_path / "runs", changes={f"task.options.{option}": value})
