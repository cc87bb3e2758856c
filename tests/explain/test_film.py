"""The film of training, and that a run draws what it learned by itself."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from hyperplane import api
from hyperplane.engine import snapshots
from hyperplane.engine.events import Event, Explaining, Finished, Unexplained
from hyperplane.errors import UserError
from hyperplane.explain import explain, film, moving, panels
from hyperplane.explain.subject import load, view
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TrainingRecipe

Train = Callable[..., Path]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train a net for a few steps, once, and return its run folder."""
    made: dict[str, Path] = {}

    def once(name: str, source: str, net: str = "mlp", **changes: Any) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            given = {"training.epochs": 2, **{k.replace("__", "."): v for k, v in changes.items()}}
            if source.startswith("points"):
                given["data.options.samples"] = 80
            if source.endswith(".csv"):
                source = _table(folder / source)
            made[name] = api.train(source, net=net, runs=folder, name=name, explained=False, changes=given).path
        return made[name]

    return once


def _table(path: Path) -> str:
    chance = np.random.default_rng(0)
    x_N2 = chance.normal(size=(90, 2))
    if path.name == "three.csv":
        kind_N = np.array(["low", "middle", "high"])[np.digitize(x_N2.sum(axis=1), [-1, 1])]
        path.write_text("a,b,target\n" + "".join(f"{a},{b},{k}\n" for (a, b), k in zip(x_N2, kind_N, strict=True)))
    elif path.name == "line.csv":
        path.write_text("a,target\n" + "".join(f"{a},{np.sin(2 * a)}\n" for a, _ in x_N2))
    else:
        path.write_text("a,target\n" + "".join(f"{a},{['no', 'yes'][int(a > 0)]}\n" for a, _ in x_N2))
    return str(path)


def _frames(encoded: bytes) -> list[Image.Image]:
    shown = Image.open(io.BytesIO(encoded))
    frames = []
    for k in range(shown.n_frames):  # pyright: ignore[reportAttributeAccessIssue]
        shown.seek(k)
        frames.append(shown.convert("RGB"))
    return frames


def test_a_frame_for_each_moment(train: Train) -> None:
    path = train("relu", "points-region", net__options__hidden=[6, 5], training__epochs=20)
    subject = load(path)
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    shot = film.film(subject, view(subject))
    assert shot is not None
    assert all(torch.equal(before[name], tensor) for name, tensor in subject.model.state_dict().items())
    kept = snapshots.read(path / "history")
    with Image.open(io.BytesIO(shot.encoded)) as shown:
        assert shown.format == "WEBP" and shown.info["loop"] == 0
    frames = _frames(shot.encoded)
    assert len(frames) == shot.frames == len(kept) <= snapshots.MOST
    assert all(frame.size == (960, 500) for frame in frames)
    assert len(shot.encoded) < moving.MOST_BYTES
    moved = np.abs(np.asarray(frames[0], float) - np.asarray(frames[-1], float)).mean()
    assert moved > 3, "nothing moves"
    still = Image.open(io.BytesIO(shot.still)).convert("RGB")
    assert np.abs(np.asarray(still, float) - np.asarray(frames[-1], float)).mean() < 3


def test_the_loss_of_a_moment_is_the_nets(train: Train) -> None:
    path = train("relu", "points-region", net__options__hidden=[6, 5], training__epochs=20)
    last = film._moments(load(path))[-1]
    assert last.loss == pytest.approx(api.load(path).evaluate(split="train")["log_loss"].value, rel=1e-5)
    assert not last.kept


def test_weights_that_were_kept_come_last(train: Train) -> None:
    path = train("ema", "points-region", net__options__hidden=[3], training__ema=0.9, training__epochs=60)
    moments = film._moments(load(path))
    assert moments[-1].kept and len(moments) == snapshots.MOST
    assert torch.equal(moments[-1].weights["output.bias"], api.load(path).net.state_dict()["output.bias"])


@pytest.mark.parametrize(
    ("name", "source", "net", "changes", "beside"),
    [
        ("tanh", "points-outliers", "mlp", {"net__options__activation": "tanh", "net__options__hidden": [4, 3]},
         "_Hyperplanes"),
        ("wide", "points-outliers", "mlp", {"net__options__hidden": [70]}, "_Active"),
        ("perceptron", "points-outliers", "perceptron", {}, "_Surface"),
        ("siren", "points-outliers", "siren", {"net__options__hidden": [5]}, "_Surface"),
        ("three", "three.csv", "mlp", {"net__options__hidden": [6]}, "_Hyperplanes"),
        ("three-siren", "three.csv", "siren", {"net__options__hidden": [6]}, "_Sides"),
        ("surface", "surface", "mlp", {"net__options__hidden": [6], "data__options__side": 9}, "_Surface"),
        ("photo", "photo-hopper", "mlp", {"net__options__hidden": [6], "data__options__side": 12}, "_Hyperplanes"),
        ("photo-siren", "photo-hopper", "siren",
         {"net__options__hidden": [6], "data__options__side": 40, "data__options__colour": "rgb"}, "_Still"),
        ("line", "line.csv", "mlp", {"net__options__hidden": [6]}, "_Line"),
        ("kinds", "kinds.csv", "mlp", {"net__options__hidden": [6]}, "_Line"),
    ],
)  # fmt: skip
def test_what_moves_for_which_net(train: Train, name: str, source: str, net: str, changes: dict, beside: str) -> None:
    subject = load(train(name, source, net, **changes))
    seen = view(subject)
    last_panel = panels.build(Figure(), subject, seen)[-1]
    assert type(last_panel).__name__ == beside
    assert beside != "_Still" or len(last_panel.ax.images) == 1
    shot = film.film(subject, seen)
    assert shot is not None and shot.frames >= 3
    first, last = (np.asarray(frame, float) for frame in (_frames(shot.encoded)[k] for k in (0, -1)))
    assert np.abs(first - last).max() > 30


def test_each_of_several_numbers_moves(train: Train) -> None:
    changes = {"net__options__hidden": [6], "data__options__side": 40, "data__options__colour": "rgb"}
    subject = load(train("rgb", "photo-hopper", "mlp", **changes))
    subject = replace(subject, description=replace(subject.description, format="table"))
    seen = view(subject)
    shown = panels.build(Figure(), subject, seen)
    assert [panel.ax.get_title() for panel in shown] == ["red", "green", "blue"]
    corner_K = seen.function(np.array([[low for low, _ in seen.plane.window]]))[0]
    for k, panel in enumerate(shown):
        assert panel.update(seen)[0].get_array()[0, 0] == pytest.approx(corner_K[k])
    shot = film.film(subject, seen)
    assert shot is not None and "Not drawn" not in shot.caption


def test_each_of_several_numbers_along_a_line(train: Train) -> None:
    subject = load(train("line", "line.csv", "mlp", net__options__hidden=[6]))
    names = ("one", "two", "three", "four", "five")
    subject = replace(subject, description=replace(subject.description, target_names=names))
    seen = view(subject)
    seen = replace(
        seen, layers=None, function=lambda x_B1: x_B1 * np.arange(5), plane=replace(seen.plane, value_NK=None)
    )
    shown = panels.build(Figure(), subject, seen)
    assert [panel.ax.get_ylabel() for panel in shown] == list(names[:4])
    for k, panel in enumerate(shown):
        x_S, value_S = panel.update(seen)[0].get_data()
        np.testing.assert_allclose(value_S, k * x_S)


def test_no_film_where_nothing_was_kept(train: Train, tmp_path: Path) -> None:
    digits = load(train("digits", "digits", "perceptron", training__epochs=1))
    assert film.film(digits, view(digits)) is None
    path = tmp_path / "run"
    shutil.copytree(train("relu", "points-region", net__options__hidden=[6, 5], training__epochs=20), path)
    shutil.rmtree(path / "history")
    assert "film.webp" not in {file.name for file in explain(path)}
    report = (path / "report.html").read_text()
    assert "What it learned" in report and "image/webp" not in report


def test_a_damaged_moment_is_named(train: Train, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(train("relu", "points-region", net__options__hidden=[6, 5], training__epochs=20), path)
    next((path / "history").iterdir()).write_bytes(b"")
    with pytest.raises(UserError, match=r"history/step-\d+\.safetensors: is damaged"):
        explain(path)


SHORT = Recipe(
    data=DataRecipe(source="points-separable", options={"samples": 60}),
    net=NetRecipe("perceptron"),
    training=TrainingRecipe(epochs=1),
)


def test_a_run_draws_what_it_learned_by_itself(tmp_path: Path) -> None:
    told: list[Event] = []
    path = api.run_recipe(SHORT, runs=tmp_path, watch=told.append)
    assert [type(event) for event in told[-2:]] == [Explaining, Finished]
    assert {f.name for f in (path / "explain").iterdir()} >= {"film.webp", "film-end.webp", "boundary.svg"}
    report = (path / "report.html").read_text()
    assert "What it learned" in report and report.count("data:image/webp;base64,") == 2
    assert "prefers-reduced-motion" in report
    assert "the line both are equally likely" in report
    api.load(path)


def test_or_does_not_where_it_is_not_wanted(tmp_path: Path) -> None:
    path = api.run_recipe(SHORT, runs=tmp_path, explained=False)
    assert not (path / "explain").exists() and "What it learned" not in (path / "report.html").read_text()


def test_a_failure_to_draw_leaves_the_run_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise ZeroDivisionError("no\nink")

    monkeypatch.setattr("hyperplane.explain.explain", fail)
    told: list[Event] = []
    path = api.run_recipe(SHORT, runs=tmp_path, watch=told.append)
    assert told[-2] == Unexplained(path, "ZeroDivisionError: no ink") and isinstance(told[-1], Finished)
    api.load(path)
