"""The verb that draws what a net learned."""

from __future__ import annotations

from pathlib import Path

from hyperplane import api
from hyperplane.cli import main
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TrainingRecipe
from tests.cli.commands import Command


def test_draws_into_the_run_folder_and_names_the_files(empty_folder: Path, capsys):
    recipe = Recipe(
        data=DataRecipe(source="points-region", options={"samples": 100}),
        net=NetRecipe("mlp", {"hidden": [6, 4]}),
        training=TrainingRecipe(epochs=3),
    )
    path = api.run_recipe(recipe, explained=False)
    assert main(["explain", str(path), "--png"]) == 0
    *named, report = [Path(line) for line in capsys.readouterr().out.splitlines()]
    drawn = {"boundary", "field", "hyperplanes", "regions", "regions-units", "surface"}
    assert {f.stem for f in named} == drawn | {"film"}
    assert report == path / "report.html" and "What it learned" in report.read_text()
    assert all(f.stat().st_size > 2000 for f in named)
    api.load(path)  # is as whole as before


def test_the_lectures_worked_figures_need_no_run(empty_folder: Path, capsys):
    assert main(["explain", "--worked", "figures/worked"]) == 0
    named = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len(named) == 5 and all(f.parent == Path("figures/worked") and f.is_file() for f in named)


def test_train_draws_unless_told_not_to(empty_folder: Path, capsys):
    typed = ["train", "points-separable", "--data.samples", "60", "--epochs", "1"]
    assert main([*typed, "--no-explain"]) == 0
    assert not Path("runs/points-separable/explain").exists()
    assert main([*typed, "--overwrite"]) == 0
    assert Path("runs/points-separable/explain/film.webp").is_file()
    assert capsys.readouterr().err.rstrip().endswith("runs/points-separable")


def test_a_folder_that_is_no_run_is_named(empty_folder: Path, capsys):
    assert main(["explain", "."]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1


def test_a_run_of_images_and_given_pictures(place: Path, hyperplane: Command) -> None:
    answer = hyperplane("explain", "runs/pets", "one.png")
    assert answer.status == 0
    assert [Path(line).stem for line in answer.out.splitlines()] == ["given-one", "given-one-maps", "report"]
    assert "given-one" in Path("runs/pets/explain/figures.json").read_text()
    refused = hyperplane("explain", "runs/pets", "animals.csv")
    assert refused.status == 2 and "animals.csv" in refused.err and refused.err.count("\n") == 1
    refused = hyperplane("explain", "runs/animals", "one.png")
    assert refused.status == 2 and "expected one of images" in refused.err and refused.err.count("\n") == 1


def test_what_is_left_out_is_told(place: Path, hyperplane: Command) -> None:
    Path("pets").rename("elsewhere")
    answer = hyperplane("explain", "runs/pets")
    assert answer.status == 0 and "filters.svg" in answer.out and "neighbours" not in answer.out
    assert "without all that needs images: pets is gone or has changed" in answer.err
