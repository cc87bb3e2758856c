"""Nets of pixels that begin with a run of a net that sorts images: what is taken, what is told, what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from hyperplane import api, nets, recipes
from hyperplane.engine import fine_tuning
from hyperplane.engine.model import build
from hyperplane.errors import UserError
from hyperplane.recipe import NetRecipe
from tests.data import makers
from tests.test_delineation import streets

RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnet": ("resnet", {"depths": [1, 2], "width": 8, "stem": "small"}),
    "cifar": ("resnet-cifar", {"depth": 14, "width": 4}),
    "vit": ("vit", {"width": 12, "depth": 2, "heads": 2, "patch": 4}),
    "post": ("vit", {"width": 12, "depth": 1, "heads": 2, "patch": 4, "norm": "post"}),
    "lenet": ("lenet", {}),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: streets with masks, and a run of each net on small pictures."""
    folder = tmp_path_factory.mktemp("dense")
    streets(folder / "streets", 6)
    makers.class_folders(folder / "pets", {"cat": 9, "dog": 9}, size=(20, 12))
    before = Path.cwd()
    os.chdir(folder)
    for name, (net, options) in RUNS.items():
        changes = {f"net.options.{option}": value for option, value in options.items()}
        api.train("pets", net=net, name=name, changes={"training.epochs": 1, **changes})
    yield folder
    os.chdir(before)


def begun(run: str, net: str | None = None, **options: Any) -> tuple[Any, str, dict[str, torch.Tensor]]:
    """Return a model for the streets that has just begun, what was said, and the run's weights."""
    recipe = recipes.start("streets", net=net, weights=f"runs/{run}")
    recipe = replace(recipe, net=replace(recipe.net, options={**recipe.net.options, **options}))
    source = fine_tuning.opened(recipe)
    whole = recipes.complete(recipe, source.description)
    model = build(whole, source.description)
    told = fine_tuning.begin(model, whole, source.description)
    held = safetensors.torch.load_file(Path("runs") / run / "model.safetensors")
    return model, told[0], {key.removeprefix("net."): tensor for key, tensor in held.items() if key.startswith("net.")}


@pytest.mark.parametrize("run", ["resnet", "cifar"])
def test_a_resnet_becomes_the_way_down(run: str, place: Path) -> None:
    model, told, theirs = begun(run)
    own = model.net.encoder.state_dict()
    assert own.keys() == {key for key in theirs if not key.startswith("fc.")}
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in own.items())
    assert f"{len(own)} of {len(model.net.state_dict())} tensors were taken; new from the seed: ups, head." in told
    assert model.net(torch.zeros(2, 3, 9, 30)).shape == (2, 1, 9, 30)


def test_a_vit_becomes_all_but_the_head_and_its_positions_are_interpolated(place: Path) -> None:
    model, told, theirs = begun("vit")
    own = model.net.state_dict()
    assert torch.equal(own["blocks.1.mlp.fc1.weight"], theirs["blocks.1.mlp.fc1.weight"])
    assert model.net.grid == (12, 14) and own["pos_embed"].shape == (1, 168, 12)
    place_1Dhw = theirs["pos_embed"][:, 1:].transpose(1, 2).unflatten(2, (3, 3))  # 12 x 12 pixels, in patches of 4
    wide_1Dhw = torch.nn.functional.interpolate(place_1Dhw, (12, 14), mode="bicubic", antialias=True)
    torch.testing.assert_close(own["pos_embed"].transpose(1, 2).unflatten(2, (12, 14)), wide_1Dhw)
    assert told.endswith("new from the seed: head.")


def test_what_is_named_decides_and_what_fits_is_taken(place: Path) -> None:
    model, told, theirs = begun("resnet", "unet", depths=[1, 1, 1])
    own = model.net.encoder.state_dict()
    assert torch.equal(own["layer2.0.conv1.weight"], theirs["layer2.0.conv1.weight"])
    assert "new from the seed: encoder.layer3, ups, head; not used: encoder.layer2.1." in told


@pytest.mark.parametrize(
    ("run", "net", "options", "says"),
    [
        ("resnet", "unet", {"width": 16}, r"of another shape; type: --net unet --net.block basic --net.depths 1 2"),
        (
            "resnet",
            "vit-dense",
            {},
            r"of resnet and has none of its tensors; name a run of vit-dense or vit, or leave --from out",
        ),
        (
            "vit",
            "unet",
            {},
            r"does not fit the weights of runs/vit, which is of vit and has none.*; name a run of unet, resnet or",
        ),
        ("vit", "vit-dense", {"width": 24}, r"of another shape; type: --net vit-dense --net.width 12 --net.depth 2"),
        ("lenet", None, {}, r"runs/lenet: holds lenet, but these data ask for a net that speaks of every pixel; begin"),
        ("post", None, {}, r"runs/post: holds vit, but these data ask for"),
        ("lenet", "unet", {}, r"which is of lenet and has .*; name a run of unet, resnet or resnet-cifar"),
    ],
)
def test_what_does_not_fit_is_told_with_what_does(
    run: str, net: str | None, options: dict[str, Any], says: str, place: Path
) -> None:
    with pytest.raises(UserError, match=says) as error:
        begun(run, net, **options)
    assert "\n" not in str(error.value)


def test_it_is_trained_and_begun_with_in_turn(place: Path) -> None:
    changes = {"training.steps": 2, "training.batch": 2}
    run = api.train("streets", start="runs/vit", name="dense", changes=changes)
    assert run.recipe.net.name == "vit-dense" and run.recipe.net.options["width"] == 12 and run.evaluate()
    recipe = recipes.start("streets", weights="runs/dense")
    recipe = replace(recipe, data=replace(recipe.data, options={"crop": 20}))
    source = fine_tuning.opened(recipe)
    whole = recipes.complete(recipe, source.description)
    model = build(whole, source.description)
    told = fine_tuning.begin(model, whole, source.description)
    assert model.net.grid == (5, 5) and "its head too" in told[0]  # pyright: ignore[reportAttributeAccessIssue]


def test_pre_trained_without_labels(place: Path) -> None:
    changes = {"net.options.width": 12, "net.options.depth": 1, "net.options.heads": 2, "net.options.patch": 4}
    api.train("pets", task="selfsup-mae", name="mae", changes={"training.epochs": 1, **changes})
    model, told, theirs = begun("mae")
    assert torch.equal(model.net.blocks[0].attn.qkv.weight, theirs["blocks.0.attn.qkv.weight"])
    assert "new from the seed: head" in told


def test_whole_images_are_read_though_the_run_read_the_middle(place: Path) -> None:
    torch.save(nets.build("vit-small-28", (3, 28, 28), 5).state_dict(), "net.pth")
    made = api.import_weights("net.pth", net="vit-small-28", out="runs/published", size=28)
    assert api.load("runs/published").trained.description.encoding["middle"] == 0.9, made
    recipe = recipes.start("streets", weights="runs/published")
    source = fine_tuning.opened(recipe)
    whole = recipes.complete(recipe, source.description)
    told = fine_tuning.begin(build(whole, source.description), whole, source.description)
    assert "3 x 48 x 56 (channels, height, width), less mean 0.5 0.5 0.5," in told[1]


def test_a_whole_recipe_names_its_net(place: Path) -> None:
    recipe = replace(recipes.find("streets"), net=NetRecipe(start="runs/resnet"))
    whole = recipes.complete(recipe, fine_tuning.opened(recipe).description)
    assert whole.net.name == "unet" and whole.net.options["depths"] == [1, 2]
