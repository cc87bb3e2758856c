"""Recipes for pictures: the lecture's weight counts, and what a picture without options gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from hyperplane import data, discovery, recipes
from hyperplane.engine import model
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe
from tests.data import makers

WEIGHTS = {
    "picture_50": 201,
    "picture_100": 401,
    "picture_125": 501,
    "picture_300": 1201,
    "picture_20_20": 501,
    "picture_14_14_14": 477,
    "picture_15_15_15": 541,
    "picture_19_19_19": 837,
    "picture_10_20_10": 471,
    "picture_10_20_10_10": 581,
    "picture_siren": 501,
    "picture_fourier": 501,
}
"""As the lecture counts them; the bypass adds none."""
BYPASS = {f"{name}_bypass": count for name, count in WEIGHTS.items() if name.count("_") > 1}


@pytest.mark.parametrize(("name", "weights"), [*WEIGHTS.items(), *BYPASS.items()])
def test_weights_are_as_many_as_in_the_lecture(name: str, weights: int) -> None:
    recipe = recipes.named(name)
    description = data.open(recipe.data).description
    assert (description.format, description.splits) == ("picture", {"train": 51 * 51})
    whole = recipes.complete(recipe, description)
    assert whole.task.name == "picture" and whole.optimizer.name == "l-bfgs"
    assert whole.net.options.get("bypass", False) == name.endswith("bypass")
    made = model.build(whole, description)
    assert sum(p.numel() for p in made.parameters()) == weights


def test_every_recipe_is_counted() -> None:
    assert set(discovery.entries("recipes")["pictures"].variants) == WEIGHTS.keys() | BYPASS.keys()


def test_the_photograph_is_drawn_by_two_layers_unless_another_net_is_named() -> None:
    assert recipes.find("photo-china") == recipes.named("picture_20_20")
    assert recipes.find("photo-china", "siren") == recipes.named("picture_siren")
    assert recipes.find("photo-china", "fourier") == recipes.named("picture_fourier")


def test_another_photograph_takes_the_place_of_the_recipes_own() -> None:
    started = recipes.start("photo-flower", given=recipes.named("picture_125"))
    assert started.data == DataRecipe(source="photo-flower")
    assert started.net == recipes.named("picture_125").net


def test_a_picture_of_ones_own_and_other_photographs_are_drawn_alike(tmp_path: Path) -> None:
    path = tmp_path / "mine.png"
    Image.fromarray(makers.noise((20, 20))).save(path)
    for source in (str(path), "photo-flower"):
        found = recipes.find(source)
        assert found == replace(recipes.named("picture_20_20"), data=DataRecipe(source=source))
        assert recipes.find(source, "siren").net == recipes.named("picture_siren").net
        assert recipes.find(source, "perceptron") == Recipe(DataRecipe(source), net=NetRecipe("perceptron"))
