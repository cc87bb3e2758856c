"""A published language model in GPT-2's layout: which net it is, and the vocabulary that lies beside its weights.

Shape suffixes: D features, K tokens of the vocabulary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hyperplane import nets
from hyperplane.contracts import Description
from hyperplane.data.blocks import files, vocabulary
from hyperplane.errors import UserError
from hyperplane.nets import gpt
from hyperplane.nets.gpt import GPT
from hyperplane.predict.foreign import Foreign
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TaskRecipe

HEAD = 64
"""Features of a head where nothing tells, as in all four published sizes."""
LAST = "lm_head.weight"
"""The last layer, whatever the other keys begin with. Of it and the embedding, where they are the same tensor, some
files hold one."""
NONLINEARITIES = {"gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "gelu": "gelu", "relu": "relu"}
"""What the published configurations call ours."""
COMPUTES = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "layer_norm_epsilon": 1e-5}
"""What else a configuration may say, and weights do not show, as GPT-2 has it."""


@dataclass(frozen=True)
class Text:
    """A language model as a run folder needs it."""

    name: str
    """Of the net or its variant."""
    recipe: Recipe
    description: Description
    tensors: dict[str, Tensor]
    """Under the net's own keys."""


def is_text(tensors: Mapping[str, Tensor]) -> bool:
    """Say whether a state dict is that of a language model in GPT-2's layout."""
    held = {key.removeprefix("transformer.") for key in tensors}
    return "wpe.weight" in held and bool({"wte.weight", LAST} & held)


def look(path: Path, found: Foreign, net: str | None) -> Text:
    """Return what a file of weights and the files beside it say.

    Raises UserError where there is no vocabulary beside it, where that is not the weights', and where they do not fit
    the net of that name, or any.
    """
    tensors, notes = dict(found.tensors), []
    prefix = "transformer." if "transformer.wpe.weight" in tensors else ""
    if f"{prefix}wte.weight" not in tensors:
        notes.append(f"The embedding is its last layer, {LAST}, which was kept of the two.")
        tensors[f"{prefix}wte.weight"] = tensors[LAST]
    known, read = vocabulary.published(path.parent)
    numbers = {int(m[1]) for key in tensors if (m := re.match(rf"{re.escape(prefix)}h\.(\d+)\.", key))}
    embeddings = [tensors[f"{prefix}{name}.weight"] for name in ("wte", "wpe")]
    if not numbers or any(one.ndim != 2 or not one.numel() for one in embeddings):
        shapes = " and ".join(str(tuple(one.shape)) for one in embeddings)
        raise UserError(
            f"{path}: has wte.weight and wpe.weight of shapes {shapes} and {len(numbers)} "
            f"layer{'s' * (len(numbers) != 1)}, expected two matrices and 1 layer or more; copy it again from "
            "where it came"
        )
    (tokens, width), context = embeddings[0].shape, len(embeddings[1])
    if tokens < len(known):
        raise UserError(
            f"{path}: has {tokens:,} tokens, but {' and '.join(file.name for file in read)} beside it "
            f"{len(known):,}; put the vocabulary there that belongs to it"
        )
    if tokens > len(known):
        notes.append(f"Of {tokens:,} rows of the embedding {len(known):,} stand for tokens, and were kept.")
        for key in (f"{prefix}wte.weight", LAST):
            if key in tensors:
                tensors[key] = tensors[key][: len(known)]
    options = _options(path, len(numbers), width, notes)
    if not gpt.tied(tensors, prefix):
        options = {**options, "tied": False}
        notes.append("Its last layer is not the embedding again, but one of its own.")
    variants = {name: nets.all_options(GPT, given, name) for name, given in gpt.VARIANTS.items()}
    own = nets.all_options(GPT, options, f"net {path}")
    name = next((name for name, variant in variants.items() if variant == own), "gpt")
    if net not in (None, name):
        told = f"the net of its {len(numbers)} layer{'s' * (len(numbers) != 1)} of {width} features is {name}"
        raise UserError(f"{path}: does not fit {net}: {told}; type: --net {name}, or leave it out")
    with torch.device("meta"):
        made = nets.build("gpt", (context,), len(known), options)
    assert isinstance(made, GPT)
    try:
        kept = made.of_published(tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    notes = [f"The weights are those of {path.name}, SHA-256 {found.sha256}.", *found.notes, *notes]
    notes.append(f"The vocabulary is that of {' and '.join(file.name for file in read)}: {len(known):,} tokens.")
    description = Description(
        name=path.stem,
        format="text",
        kind="text",
        input="token_BT",
        target="target_BT",
        shapes={"token_BT": (context,), "target_BT": (context,)},
        splits={},
        encoding=known.encoding,
        hashes={path.name: found.sha256, **{file.name: files.sha256(file) for file in read}},
        notes=tuple(notes),
    )
    recipe = Recipe(
        data=DataRecipe(source=description.name, format="text", options={"context": context}),
        task=TaskRecipe("language"),
        net=NetRecipe(name, own),
    )
    return Text(name, recipe, description, kept)


def _options(path: Path, layers: int, width: int, notes: list[str]) -> dict[str, Any]:
    """Return the options of the net, from the configuration beside the weights where there is one."""
    config: dict[str, Any] = {}
    place = path.parent / "config.json"
    if place.is_file():
        try:
            config = json.loads(place.read_text("utf-8"))
            heads, kind = int(config["n_head"]), str(config.get("activation_function", "gelu_new"))
            nonlinearity = NONLINEARITIES[kind]
            if heads < 1 or width % heads:
                raise ValueError(f"n_head {heads} does not divide a width of {width}")
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{place}: is no configuration of GPT-2 ({error!r}); copy it again, or take it away"
            ) from error
        for name, expected in COMPUTES.items():
            if config.get(name, expected) != expected:
                raise UserError(
                    f"{place}: has {name} {json.dumps(config[name])}, expected {json.dumps(expected)}, by which GPT-2 "
                    "computes and nothing else is read here; name other weights"
                )
        return {"layers": layers, "width": width, "heads": heads, "nonlinearity": nonlinearity}
    sizes = {(given["layers"], given["width"]): given for given in gpt.VARIANTS.values() if "layers" in given}
    if (layers, width) in sizes:
        return sizes[layers, width]
    heads = max(1, width // HEAD)
    several = f"{heads} head{'s' * (heads != 1)} of {width // heads} features"
    notes.append(f"There is no config.json beside it; that it has {several} is a guess.")
    return {"layers": layers, "width": width, "heads": heads}
