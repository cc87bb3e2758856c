"""One picture as a function: which pixel is where, what its level is, and what is refused."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hyperplane import data
from hyperplane.contracts import Batch, Description
from hyperplane.data import picture
from hyperplane.data.blocks import pictures
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe
from tests.data import makers


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **how) -> Path:
    """Write pixels as a picture, converted to a mode where one is given."""
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **how)
    return path


def opened(path: Path | str, **options) -> picture.PictureSource:
    """Return a picture as the data room opens it."""
    source = data.open(DataRecipe(source=str(path), options=options))
    assert isinstance(source, picture.PictureSource)
    return source


def everything(source: picture.PictureSource) -> Batch:
    return source.batch("train", range(source.description.splits["train"]))


def test_every_pixel_is_a_sample_at_its_place(tmp_path: Path) -> None:
    pixels_HW = makers.noise((9, 9))
    source = opened(save(tmp_path / "nine.png", pixels_HW))
    batch = everything(source)
    assert batch["value_BK"].dtype is torch.float64 and batch["feature_BD"].dtype is torch.float32
    assert torch.equal(batch["value_BK"][:, 0], torch.from_numpy(pixels_HW.ravel()).double())
    point_HW2 = batch["feature_BD"].reshape(9, 9, 2)
    for (row, column), place in {(0, 0): (-1, 1), (0, 8): (1, 1), (8, 0): (-1, -1), (4, 4): (0, 0)}.items():
        assert point_HW2[row, column].tolist() == list(place)
    assert source.sample_name("train", 9 * 2 + 5) == "row 2, column 5"
    assert source.show("train", 9 * 2 + 5) == {"x": "0.250", "y": "0.500"}
    some = source.batch("train", [7, 3])
    assert torch.equal(some["value_BK"], batch["value_BK"][[7, 3]]) and some.index_B.tolist() == [7, 3]


def test_every_pixel_trains_and_the_statistics_are_theirs(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", makers.noise((20, 20)))
    description = data.open(DataRecipe(source=str(path), validation=0.3, test=0.3)).description
    assert description.splits == {"train": 400}
    level_B = np.asarray(Image.open(path), np.float64).ravel()
    assert description.target_mean == pytest.approx([level_B.mean()])
    assert description.target_std == pytest.approx([level_B.std()])
    assert any("none is held out" in note for note in description.notes)


def test_pixels_that_are_held_out(tmp_path: Path) -> None:
    pixels_HW = makers.noise((20, 20))
    path = save(tmp_path / "a.png", pixels_HW)
    source = opened(path, held_out=0.25)
    assert source.description.splits == {"train": 300, "test": 100}
    train, test = (source.batch(part, range(source.description.splits[part])) for part in ("train", "test"))
    everywhere = torch.cat([train["feature_BD"], test["feature_BD"]])
    assert len(everywhere.unique(dim=0)) == 400
    row, column = map(int, source.sample_name("test", 7).replace("row ", "").split(", column "))
    assert test["value_BK"][7].item() == pixels_HW[row, column]
    assert source.show("test", 7)["x"] == f"{test['feature_BD'][7, 0].item():.3f}"
    assert source.description.target_mean == pytest.approx([train["value_BK"].mean().item()])
    assert "100 of 400 pixels, drawn by the seed, are held out for the test." in source.description.notes
    again = data.open(DataRecipe(source=str(path), seed=1, options={"held_out": 0.25}))
    assert not torch.equal(again.batch("test", range(100))["feature_BD"], test["feature_BD"])


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_not_every_pixel_can_be_held_out(share: float, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", makers.noise((20, 20)))
    with pytest.raises(UserError, match=r"data.options.held_out: found .* expected a share .* --data.held-out 0.2"):
        opened(path, held_out=share)


def test_the_middle_square_is_averaged(tmp_path: Path) -> None:
    pixels_HW = np.zeros((16, 30), np.uint8)
    pixels_HW[:, 7:23] = makers.noise((16, 16))
    source = opened(save(tmp_path / "wide.png", pixels_HW), side=8)
    mean_HW = pixels_HW[:, 7:23].reshape(8, 2, 8, 2).mean((1, 3))
    assert np.abs(everything(source)["value_BK"].numpy().reshape(8, 8) - mean_HW).max() <= 1e-4
    assert source.description.notes[:2] == (
        "Of 30 x 16 pixels, the middle 16 x 16 were taken.",
        "16 x 16 pixels were averaged to 8 x 8.",
    )


def test_a_large_jpeg_is_averaged_over_all_of_its_pixels(tmp_path: Path) -> None:
    path = save(tmp_path / "large.jpg", makers.noise((400, 400)), quality=100)
    mean_HW = np.asarray(Image.open(path), np.float64).reshape(8, 50, 8, 50).mean((1, 3))
    found_HW = everything(opened(path, side=8))["value_BK"].numpy().reshape(8, 8)
    assert np.abs(found_HW - mean_HW).max() <= 1e-4


def test_a_small_picture_keeps_its_own_size_and_says_so(tmp_path: Path) -> None:
    source = opened(save(tmp_path / "small.png", makers.noise((12, 15))))
    assert source.description.splits == {"train": 144}
    assert "The picture has 15 x 12 pixels: the side is 12, not 51." in source.description.notes


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_pictures_of_every_mode(mode: str, colour: str, tmp_path: Path) -> None:
    pixels_HW = makers.noise((10, 10))
    if mode == "I;16":
        path = save(tmp_path / "a.png", pixels_HW.astype(np.uint16) * 257)
    else:
        path = save(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), pixels_HW, mode)
    with Image.open(path) as image:
        assert image.mode == mode
    level_BK = everything(opened(path, colour=colour))["value_BK"]
    assert level_BK.shape == (100, 1 if colour == "grey" else 3)
    if mode != "1":
        assert (level_BK - torch.from_numpy(pixels_HW.ravel()).double()[:, None]).abs().max() <= 1


def test_colours_are_three_targets_with_one_scale(tmp_path: Path) -> None:
    pixels_HW3 = makers.noise((10, 10, 3))
    pixels_HW3[..., 2] = 90  # blue is the same everywhere
    description = opened(save(tmp_path / "a.png", pixels_HW3), colour="rgb").description
    assert description.target_names == ("red", "green", "blue")
    assert description.shapes["value_BK"] == (3,)
    assert description.target_mean == pytest.approx(pixels_HW3.reshape(-1, 3).mean(0))
    assert description.target_std == pytest.approx([np.sqrt(pixels_HW3.reshape(-1, 3).var(0).mean())] * 3)


def test_the_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture's top is its right side
    pixels_HW = makers.noise((10, 10))
    path = save(tmp_path / "turned.png", pixels_HW, exif=exif)
    assert np.array_equal(
        everything(opened(path))["value_BK"].numpy().reshape(10, 10), np.rot90(pixels_HW, -1).astype(float)
    )


def test_the_first_of_several_frames_is_read(tmp_path: Path) -> None:
    first, second = (Image.fromarray(makers.noise((10, 10), seed)) for seed in (1, 2))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    source = opened(tmp_path / "a.gif")
    assert torch.equal(everything(source)["value_BK"][:, 0], torch.tensor(makers.noise((10, 10), 1)).ravel().double())
    assert "The first of its 2 frames was read." in source.description.notes


def _bytes(kind: str, pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


GREY = np.full((30, 30), 128, np.uint8)
FINE = np.indices((32, 32)).sum(0).astype(np.uint8) % 2 * 255


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (_bytes("JPEG", makers.noise((90, 90, 3)))[:900], {}, "cannot be decoded"),
        (b"", {}, "is empty"),
        (b"hello", {}, "is not a picture"),
        (_bytes("PNG", makers.noise((1, 1))), {}, "has 1 x 1 pixels, expected at least 8 along each edge; name a larg"),
        (_bytes("PNG", makers.noise((7, 200))), {}, "has 200 x 7 pixels"),
        (_bytes("PNG", GREY), {}, "has the same grey level everywhere, 128, at 30 x 30 pixels: nothing to learn; name"),
        (_bytes("PNG", FINE), {"side": 8}, "has the same grey level everywhere, 127.5, at 8 x 8 pixels"),
        (_bytes("PNG", np.zeros((10_001, 10_001), bool)), {}, "10001 x 10001 pixels, expected at most"),
    ],
    ids=["cut", "empty", "text", "one pixel", "too narrow", "constant", "constant once averaged", "bomb"],
)
def test_what_cannot_be_learned_is_refused(content: bytes, options: dict, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(content)
    recipe = DataRecipe(source=str(tmp_path / "bad.png"), options=options)
    with pytest.raises(UserError) as caught:
        data.open(recipe)
    assert str(caught.value).startswith(str(tmp_path / "bad.png")) and says in str(caught.value)
    assert [str(problem) for problem in data.check(recipe)] == [str(caught.value)]


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (DataRecipe(options={"side": 7}), r"data\.options\.side: found 7, expected 8 to 1,024; type: --data\.side 51"),
        (DataRecipe(options={"side": 1025}), r"found 1025"),
        (DataRecipe(options={"colour": "gray"}), r"data\.options\.colour: found \"gray\""),
        (DataRecipe(options={"sides": 9}), r"has no option 'sides'; did you mean 'side'"),
        (DataRecipe(size=64), r"data\.size: found 64, but one picture has a side; type: --data\.side 64"),
    ],
)
def test_options_out_of_range(recipe: DataRecipe, says: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", makers.noise((20, 20)))
    with pytest.raises(UserError, match=says):
        data.open(DataRecipe(source=str(path), options=recipe.options, size=recipe.size))


def test_a_picture_is_known_by_its_name_or_its_content(tmp_path: Path) -> None:
    pictured = save(tmp_path / "a.png", makers.noise((20, 20)))
    named_otherwise = tmp_path / "a.data"
    named_otherwise.write_bytes(pictured.read_bytes())
    table = makers.animals(tmp_path / "animals.csv")
    folder = makers.class_folders(tmp_path / "pets", {"cat": 4, "dog": 4})
    found = {path.name: data.sniff(path)[0][0] for path in (pictured, named_otherwise, table, folder)}
    assert found == {"a.png": "picture", "a.data": "picture", "animals.csv": "table", "pets": "folder"}


@pytest.mark.parametrize("known", picture.KNOWN)
def test_known_photographs(known: str) -> None:
    if find_spec(picture.PHOTOGRAPHS[known][0][0]) is None:
        pytest.skip(f"needs {picture.PHOTOGRAPHS[known][0][1]}")
    description = opened(known).description
    assert description.name == known and description.splits == {"train": 51 * 51}
    assert description.target_std[0] > 20 and len(description.hashes) == 1
    assert "51" in " ".join(description.notes)


def test_each_known_photograph_has_a_file() -> None:
    assert picture.PHOTOGRAPHS.keys() == picture.KNOWN.keys()


def test_a_photograph_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(picture, "find_spec", lambda module: None)
    with pytest.raises(UserError, match=r"^photo-cat: skimage is not installed, .* pip install 'hyperplane\[photo"):
        opened("photo-cat")
    bare = find_spec("json")
    monkeypatch.setattr(picture, "find_spec", lambda module: bare)
    with pytest.raises(UserError, match=r"^photo-hopper: .*grace_hopper.jpg is not there, .* pip install matplotlib"):
        opened("photo-hopper")


def test_photographs_are_read_without_importing_what_brings_them() -> None:
    code = (
        "import sys; from hyperplane import data; from hyperplane.recipe import DataRecipe\n"
        "for name in ('photo-china', 'photo-hopper'): data.open(DataRecipe(source=name))\n"
        "assert not {'sklearn', 'skimage', 'matplotlib'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_new_points_are_rows_with_x_and_y(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", makers.noise((10, 10)))
    description = opened(path).description
    encoded = data.encode(b"y,x\n0.5,-1\n2,0.25\n", description)
    assert encoded.batch()["feature_BD"].tolist() == [[-1, 0.5], [0.25, 2]]
    with pytest.raises(UserError, match=r"a\.png: is a picture, expected points of one; name a CSV file with"):
        data.encode([path], description)
    with pytest.raises(UserError, match="lacks 'y'"):
        data.encode(b"x\n1\n", description)


def test_another_picture_is_read_for_the_same_net(tmp_path: Path) -> None:
    one, other = (opened(save(tmp_path / f"{k}.png", makers.noise((9 + k, 9 + k), k))) for k in (0, 1))
    again = other.encoded_as(one.description)
    assert again.description.target_mean == one.description.target_mean
    assert (again.description.name, again.description.splits) == ("1.png", {"train": 100})
    assert torch.equal(everything(again)["value_BK"], everything(other)["value_BK"])
    colours = opened(tmp_path / "1.png", colour="rgb")
    with pytest.raises(UserError, match=r"1\.png: holds red, green, blue of each point, but the net .* grey level"):
        colours.encoded_as(one.description)
    table = Description("t", "table", "table", "feature_BD", "label_B", {}, {}, ("a", "b"))
    with pytest.raises(UserError, match="was trained on a, b"):
        one.encoded_as(table)


def test_pictures_of_folders_are_read_as_before(tmp_path: Path) -> None:
    """Averaging is this format's own: the inputs of nets trained on folders stay what they were."""
    path = save(tmp_path / "large.jpg", makers.noise((200, 200, 3)))
    with Image.open(path) as image:
        image.draft(None, (32, 32))
        drafted = image.convert("RGB")
    planes = [p.resize((16, 16), Image.Resampling.BILINEAR) for p in drafted.split()]
    expected_CHW = np.stack([np.asarray(p, np.float32) / 255 for p in planes])
    np.testing.assert_array_equal(pictures.read(path, 3, (16, 16)), expected_CHW)
