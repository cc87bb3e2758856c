"""The verb that draws what a net learned."""

from __future__ import annotations

from pathlib import Path

from hyperplane import api
from hyperplane.cli import main
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TrainingRecipe


def test_draws_into_the_run_folder_and_names_the_files(empty_folder: Path, capsys):
    recipe = Recipe(
        data=DataRecipe(source="points-region", options={"samples": 100}),
        net=NetRecipe("mlp", {"hidden": [6, 4]}),
        training=TrainingRecipe(epochs=3),
    )
    path = api.run_recipe(recipe)
    assert main(["explain", str(path), "--png"]) == 0
    named = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert {f.stem for f in named} == {"boundary", "field", "hyperplanes", "regions", "regions-units", "surface"}
    assert all(f.stat().st_size > 2000 for f in named)
    api.load(path)  # is as whole as before


def test_a_folder_that_is_no_run_is_named(empty_folder: Path, capsys):
    assert main(["explain", "."]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1
