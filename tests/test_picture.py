"""The task of drawing a picture: its arithmetic, the figure, and a run from a file to its report."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import sklearn.metrics
import torch
from PIL import Image

import hyperplane
from hyperplane import data, tasks
from hyperplane.contracts import Output
from hyperplane.recipe import DataRecipe
from hyperplane.tasks.blocks import figures, reconstruction
from hyperplane.tasks.picture import Picture
from tests.data import makers


def a_picture(tmp_path: Path, colour: str = "grey", side: int = 8):
    """Return a source of a small picture, its task, and all of its pixels."""
    Image.fromarray(makers.noise((side, side, 3))).save(tmp_path / "small.png")
    source = data.open(DataRecipe(source=str(tmp_path / "small.png"), options={"colour": colour}))
    task = tasks.build("picture", source.description)
    assert isinstance(task, Picture)
    return source, task, source.batch("train", range(side * side))


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_the_loss_is_the_share_of_variance_left(colour: str, tmp_path: Path) -> None:
    source, task, batch = a_picture(tmp_path, colour)
    assert tasks.choose(source.description)[0] == "picture"
    levels = batch["value_BK"]
    wrong = 30 * torch.randn(levels.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    standard_BK = (levels + wrong - task.mean_K) / task.std_K
    output = task.forward(lambda x, taps: standard_BK, batch)  # pyright: ignore[reportArgumentType]
    found = task.measure(task.statistics(output, batch))
    assert output.loss_B.mean().item() == pytest.approx(found["unexplained"])
    r2 = sklearn.metrics.r2_score(levels, levels + wrong, multioutput="variance_weighted")
    assert found["unexplained"] == pytest.approx(1 - r2)
    mean_square = wrong.square().mean().item()
    assert found["rmse"] == pytest.approx(mean_square**0.5)
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / mean_square))
    assert task.residuals(standard_BK, batch).square().mean().item() == pytest.approx(found["unexplained"])


def test_a_picture_drawn_without_error_has_finite_metrics(tmp_path: Path) -> None:
    _, task, batch = a_picture(tmp_path)
    perfect = Output(torch.zeros(64), (batch["value_BK"] - task.mean_K) / task.std_K)
    statistics = {**task.statistics(perfect, batch), "prediction_BK": batch["value_BK"]}
    found = task.measure(statistics)
    assert found["unexplained"] == found["rmse"] == 0 and 300 < found["psnr"] < 400
    assert {"picture", "predicted"} == task.draw(statistics).keys()


def test_pixels_are_found_in_any_order(tmp_path: Path) -> None:
    _, _, batch = a_picture(tmp_path)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    found_HW = reconstruction.on_grid(batch["feature_BD"][order].numpy())
    assert found_HW is not None and np.array_equal(order.numpy()[found_HW], np.arange(64).reshape(8, 8))
    some = batch["feature_BD"].numpy()
    for part in (some[:-1], some[:1], some[[0, 0, 1, 1]], np.random.default_rng(0).normal(size=(6, 2))):
        assert reconstruction.on_grid(part) is None


@pytest.mark.parametrize("levels", [1, 3])
def test_the_figure_shows_the_picture_beside_what_is_drawn(levels: int, tmp_path: Path) -> None:
    true_HWK = makers.noise((9, 9, levels)).astype(float)
    drawn_HWK = true_HWK + np.linspace(-400, 400, 81 * levels).reshape(true_HWK.shape)
    for turn in "ab":
        figures.save(reconstruction.draw(true_HWK, drawn_HWK, "0.5 is left"), tmp_path / f"{turn}.svg")
    content = (tmp_path / "a.svg").read_bytes()
    assert content == (tmp_path / "b.svg").read_bytes()
    text = [" ".join(e.itertext()) for e in ElementTree.fromstring(content).iter() if e.tag.endswith("text")]
    assert {"0.5 is left", "The picture, 9 × 9", "What the net draws", "levels of 255"} <= set(text)
    assert content.count(b"<image") == 4  # the picture, what is drawn, the error, and its scale
    assert len(content) < 200_000


@pytest.mark.parametrize(
    ("net", "options", "weights"),
    [
        ("mlp", {"hidden": (5, 5), "activation": "tanh", "bypass": True}, 51),
        ("siren", {"hidden": (5, 5), "omega_0": 3.0}, 51),
        ("fourier", {"features": 6, "hidden": (4,), "sigma": 0.2, "activation": "tanh"}, 57),
    ],
)
def test_a_run_from_a_picture_to_its_report(net: str, options: dict, weights: int, empty_folder: Path) -> None:
    wave_HW = 128 + 90 * np.sin(np.linspace(0, 4, 15))[:, None] * np.cos(np.linspace(0, 3, 15))
    Image.fromarray(wave_HW.astype(np.uint8)).save("wave.png")
    changes = {f"net.options.{name}": value for name, value in options.items()}
    changes |= {"optimizer.name": "levenberg-marquardt", "optimizer.restarts": 3, "training.epochs": 25}
    run = hyperplane.train("wave.png", net=net, changes=changes)
    assert run.recipe.task.name == "picture"
    assert run.metrics["unexplained"].value < 0.05
    assert sum(p.numel() for p in run.net.parameters()) == weights
    drawn = (run.path / "plots" / "picture.svg").read_text()
    assert f"{run.metrics['unexplained'].value:.3g} of the variance is left unexplained" in drawn
    report = run.report.read_text()
    assert "on 225 train samples" in report and "held back" not in report
    assert "held-out" not in report.replace("--data.held-out", "")
    (empty_folder / "points.csv").write_text("x,y\n-1,1\n0.5,-0.25\n")
    said = hyperplane.load(run.path).predict(empty_folder / "points.csv")
    assert said[0]["grey level"] == pytest.approx(128, abs=90)
    assert len(said) == 2
