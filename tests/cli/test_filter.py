"""A picture is filtered: what is written, what it shows, and that it is what the masks give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from hyperplane.cli.blocks import responses
from tests.cli.commands import Command


@pytest.fixture
def edge(empty_folder: Path) -> np.ndarray:
    """A picture, dark on the left and bright on the right, in edge.png; in [0, 1]."""
    pixels = np.zeros((40, 60), np.uint8)
    pixels[:, 30:] = 200
    Image.fromarray(pixels).save(empty_folder / "edge.png")
    return pixels / 255


def written(name: str) -> np.ndarray:
    return np.asarray(Image.open(name)).astype(int)


def test_sobels_magnitude_is_white_along_the_edge(edge: np.ndarray, hyperplane: Command) -> None:
    answer = hyperplane("filter", "edge.png")
    assert answer.status == 0 and answer.out == "edge-sobel.png\nedge-sobel.svg\n"
    said = written("edge-sobel.png")
    assert (
        said.shape == (40, 60) and (said[:, 29:31] == 255).all() and not said[:, :29].any() and not said[:, 31:].any()
    )
    drawn = Path("edge-sobel.svg").read_text()
    for text in ("Sobel", "Mask, 0° (x)", "Response, 90° (y)", "All directions", "−2"):
        assert text in drawn


@pytest.mark.parametrize(("operation", "sign"), [("correlation", 1), ("convolution", -1)])
def test_one_direction_keeps_its_sign(operation: str, sign: int, edge: np.ndarray, hyperplane: Command) -> None:
    typed = f"filter edge.png --mask prewitt --directions 0 --operation {operation}"
    assert hyperplane(*typed.split()).status == 0
    said = written("edge-prewitt.png")
    assert (said[:, 29:31] == (255 if sign > 0 else 0)).all() and (said[:, 0] == 128).all()


def test_a_gaussian_smoothes(edge: np.ndarray, hyperplane: Command) -> None:
    assert hyperplane("filter", "edge.png", "--mask", "gaussian", "--order", "0", "--sigma", "3").status == 0
    expected = scipy.ndimage.gaussian_filter(edge, 3, mode="nearest", truncate=3)
    np.testing.assert_allclose(written("edge-gaussian.png") / 255, expected, atol=1 / 255)


@pytest.mark.parametrize("typed", ["gaussian --order 2", "gabor --directions 0 45 90 135 --phase even", "gabor"])
def test_every_mask_sees_the_edge_where_it_is(typed: str, edge: np.ndarray, hyperplane: Command) -> None:
    assert hyperplane("filter", "edge.png", "--mask", *typed.split()).status == 0
    said = written(f"edge-{typed.split()[0]}.png")
    assert said[20, 20:40].max() == 255 and said[:, :10].max() <= 3


def test_colour_and_odd_sizes(empty_folder: Path, hyperplane: Command) -> None:
    Image.new("RGB", (300, 1), "red").save("line.png")
    assert hyperplane("filter", "line.png", "--mask", "gabor", "--sigma", "8").status == 0
    assert written("line-gabor.png").shape == (1, 300)
    before = Path("line-gabor.svg").read_bytes()
    assert hyperplane("filter", "line.png", "--mask", "gabor", "--sigma", "8").status == 2
    assert hyperplane("filter", "line.png", "--mask", "gabor", "--sigma", "8", "--overwrite").status == 0
    assert Path("line-gabor.svg").read_bytes() == before


def test_a_flat_picture_has_no_response() -> None:
    flat = np.zeros((5, 5))
    assert not responses.together([flat, flat], True).any()
    assert (responses.together([flat], True) == 0.5).all()
