"""A run folder's net, loaded and checked: what predicts and what explains begin with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hyperplane.contracts import Description
from hyperplane.engine.model import Model, build
from hyperplane.engine.precision import Precision, choose
from hyperplane.errors import UserError
from hyperplane.recipe import HardwareRecipe, Recipe
from hyperplane.runs.folder import RunFolder


@dataclass(frozen=True)
class Trained:
    """A run folder's net, loaded and checked."""

    folder: RunFolder
    recipe: Recipe
    description: Description
    model: Model
    precision: Precision


def load(path: str | Path) -> Trained:
    """Return the net of a finished run folder.

    Raises UserError for a folder that is none, unfinished, damaged, newer than this version, or holding a pickle.
    """
    folder = RunFolder(path)
    folder.verify()
    recipe, description = folder.read_recipe(), folder.read_description()
    model = build(recipe, description)
    weights, expected = folder.read_model(), model.state_dict()
    for name, tensor in expected.items():
        if name not in weights or weights[name].shape != tensor.shape:
            found = f"shape {tuple(weights[name].shape)}" if name in weights else "nothing"
            raise UserError(
                f"{folder.model}: {name} has {found}, expected shape {tuple(tensor.shape)}; "
                "copy the folder again from where it came"
            )
    for name in weights.keys() - expected.keys():
        raise UserError(f"{folder.model}: holds {name}, which the recipe's net has not; copy the folder again")
    numbers = "float64" if recipe.hardware.precision == "float64" else "float32"
    chosen = choose(HardwareRecipe(precision=numbers, channels_last=recipe.hardware.channels_last), model)
    chosen.settle(model)
    model.load_state_dict(weights)
    return Trained(folder, recipe, description, model.eval(), chosen)
