"""The Python interface: the verbs of the command line, under the same names."""

from __future__ import annotations

import copy
import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from hyperplane import data as data_room
from hyperplane import discovery, explain, nets, predict, recipes
from hyperplane import recipe as recipe_file
from hyperplane.contracts import Measured, Problem, Split
from hyperplane.engine import fine_tuning, training
from hyperplane.engine.events import Event, Explaining, Finished, Unexplained, Watch
from hyperplane.engine.precision import choose
from hyperplane.errors import UserError
from hyperplane.explain.layers import layers
from hyperplane.explain.planes import Hyperplane, hyperplanes
from hyperplane.predict import generate as generation
from hyperplane.predict.cost import Cost, measure
from hyperplane.predict.delineating import Delineated, delineate, delineates
from hyperplane.predict.fast import Number, Race, Speed, race
from hyperplane.predict.imported import import_weights as import_weights
from hyperplane.predict.networks import NetworkComparison
from hyperplane.predict.networks import compare as compare_files
from hyperplane.predict.sampling import Sampling
from hyperplane.predict.smaller import Weights, smaller
from hyperplane.predict.tiles import Tiling
from hyperplane.recipe import DataRecipe, HardwareRecipe, Recipe
from hyperplane.runs.compare import Comparison
from hyperplane.runs.compare import compare as compare_folders
from hyperplane.runs.folder import RunFolder

Sample = str | Path | bytes | Image.Image | np.ndarray | Mapping[str, Any]


class Run:
    """A finished run folder: what was trained, how good it is, and what it says of new samples."""

    def __init__(self, path: str | Path) -> None:
        self.trained = predict.load(path)
        self.path = Path(path)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {m.value:.4g}" for name, m in self.metrics.items())
        return f"Run({str(self.path)!r}: {told})"

    @property
    def recipe(self) -> Recipe:
        """Return what was trained."""
        return self.trained.recipe

    @property
    def net(self) -> nn.Module:
        """Return the trained net, in evaluation mode."""
        return self.trained.model.net

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes; empty for regression."""
        return self.trained.description.classes

    @property
    def metrics(self) -> dict[str, Measured]:
        """Return each metric over the held-out samples, with its 95% interval; none where the weights were imported."""
        result = self.trained.folder.read_result()
        return result.metrics if result else {}

    @property
    def history(self) -> list[dict[str, Any]]:
        """Return the records of metrics.jsonl in order."""
        return self.trained.folder.read_metrics()

    @property
    def report(self) -> Path:
        """Return the path of the report."""
        return self.trained.folder.report

    def predict(
        self,
        x: Sample | Sequence[Sample],
        *,
        speed: Speed = "auto",
        precision: Number = "float32",
        tell: Callable[[str], None] = print,
    ) -> Any:
        """Return what the net says of a sample, or a list of it for several.

        A sample is a file, an encoded picture's bytes, a PIL image, an array of pixels (H, W) or (H, W, C) uint8, or a
        row as a mapping from column to value. A folder or a table holds several, and gives a list.

        `speed`: plain for the net as it was trained, most for the fastest way to the same outputs that this machine has
        (to 1e-4, or what bfloat16, a `precision`, keeps), auto for that where there are so many samples that it pays.
        `tell` is told of a way that is not the plain net.
        """
        how: dict[str, Any] = {"speed": speed, "precision": precision, "tell": tell}
        alone = self.trained.description.kind in ("image", "text")
        if isinstance(x, list | tuple):
            if not (x and alone and all(isinstance(one, str | Path) and Path(one).is_file() for one in x)):
                return [self.predict(one, **how) for one in x]
            inputs, several = [Path(cast(Any, one)) for one in x], True
        elif isinstance(x, str | Path):
            inputs, several = [Path(x)], not (Path(x).is_file() and alone)
        else:
            inputs, several = _as_bytes(cast(Any, x)), False
        said = [one.said for one in predict.predict(self.trained, predict.read(self.trained, inputs), **how)]
        return said if several else said[0]

    def delineate(self, *pictures: str | Path, tile: int | None = None) -> list[Delineated]:
        """Return what a net of pixels makes of pictures: of each pixel its class, its probability, how unsure it is.

        `tile` is the side of the tiles that large pictures are read in, in pixels. Raises UserError where the run's net
        does not speak of pixels, or a picture cannot be read.
        """
        if not delineates(self.trained):
            raise UserError(f"{self.path}: holds no net that speaks of pixels; call predict")
        encoded = predict.read(self.trained, [Path(picture) for picture in pictures])
        return list(delineate(self.trained, encoded, tiling=None if tile is None else Tiling(tile)))

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        *,
        tokens: int = 256,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
        stop: Sequence[str] = (),
        weights: Weights = "float32",
        draft: Run | str | Path | None = None,
    ) -> str | list[str]:
        """Return what a language model writes after a prompt, or a list of it for several.

        Arguments: how many tokens at most; what logits are divided by, 0 for the likeliest token always; from how many
        of the likeliest tokens is drawn, and up to which sum of their probabilities; the seed, further prompts counting
        on from it; texts before the first of which the text ends; the linear maps' weights in memory; a run of the same
        vocabulary that guesses ahead.
        """
        how = Sampling(tokens, temperature, top_k, top_p, seed, (stop,) if isinstance(stop, str) else tuple(stop))
        writes = smaller(self.trained, weights)
        guesses = draft.trained if isinstance(draft, Run) else predict.load(draft) if draft is not None else None
        written = generation.generate(writes, [prompt] if isinstance(prompt, str) else list(prompt), how, guesses)
        return written[0].text if isinstance(prompt, str) else [one.text for one in written]

    def explain(
        self, *pictures: str | Path, png: bool = False, watch: explain.Watch = lambda event: None
    ) -> list[Path]:
        """Draw what the net learned, into the run's folder `explain`, and return the files; `png` as well as SVG.

        With pictures, for a net that sorts images: why it says what of these; with other runs, for a net of pixels:
        what all of them get wrong on the same tiles. `watch` is told what is drawn, and what is left out and why.
        """
        return explain.explain(self.path, [Path(picture) for picture in pictures], png, watch)

    def hyperplanes(self) -> list[Hyperplane]:
        """Return the hyperplane of each unit of the first layer, of a perceptron that of each output.

        They are in the samples' own units, so that `signed_distance` of rows (B, D) is too. Raises UserError for nets
        that do not begin with a linear map of all inputs.
        """
        return hyperplanes(layers(self.net), self.trained.description)

    def evaluate(self, data: str | None = None, *, split: Split | None = None) -> dict[str, Measured]:
        """Return every metric over a split of the run's own data, or of other labelled data of the same kind."""
        return predict.evaluate(self.trained, split, data).metrics


def train(
    data: str | Path,
    *,
    net: str | None = None,
    task: str | None = None,
    target: str | None = None,
    recipe: Recipe | str | None = None,
    start: str | Path | None = None,
    seed: int | None = None,
    name: str | None = None,
    runs: str | Path = "runs",
    overwrite: bool = False,
    download: bool = False,
    explained: bool = True,
    changes: Mapping[str, Any] | None = None,
    watch: Watch = lambda event: None,
) -> Run:
    """Train a net and return its run.

    Arguments: a path or a known set; the net and the task (None: what fits); the column to predict; a recipe or its
    name to start from (None: the one for these data and this net, if there is one); a run folder whose weights the net
    begins with (None: drawn from the seed); the seed; the run folder's name and where it goes; whether it may replace a
    run of that name; whether a known set may be downloaded; whether what a net of one or two inputs learned is drawn;
    changed fields of the recipe by their dotted names; who is told.
    Raises UserError for anything that the user can put right.
    """
    given = recipes.named(recipe) if isinstance(recipe, str) else recipe
    fields = {"data.target": target, "seed": seed, **(changes or {})}
    fields = {name: value for name, value in fields.items() if value is not None}
    begins = None if start is None else str(start)
    frozen = bool(fields.get("net.frozen"))
    base = recipes.start(str(data), net, task, fields.get("optimizer.name"), given, begins, frozen)
    how: dict[str, Any] = {"overwrite": overwrite, "download": download, "explained": explained}
    how["code"] = fields.get("task.options.reward")
    return Run(run_recipe(recipe_file.replace(base, fields), runs=runs, name=name, watch=watch, **how))


def run_recipe(
    recipe: Recipe,
    *,
    runs: str | Path = "runs",
    name: str | None = None,
    overwrite: bool = False,
    download: bool = False,
    explained: bool = True,
    code: str | None = None,
    command: str = "hyperplane.train(...)",
    watch: Watch = lambda event: None,
) -> Path:
    """Train what a recipe says into a new run folder and return its path; raises UserError and Interrupted.

    With `explained`, what a net of one or two inputs learned is drawn at the end. `code` repeats the file and function
    of a reward that the recipe names: a recipe from elsewhere runs nothing of its own accord.
    """
    _expect_named(recipe, code)
    path = Path(runs) / (name or run_name(recipe))
    if recipe.net.start is not None and Path(recipe.net.start).resolve() == path.resolve():
        raise UserError(f"{path}: is the run to begin with, and would be replaced; type: --name {path.name}-2")
    RunFolder(path).expect_free(overwrite)  # before data are opened, which may take long
    source = fine_tuning.opened(recipe, download=download)
    recipe = recipes.complete(recipe, source.description)
    training.fit(recipe, source, path, command, overwrite=overwrite, watch=_drawing(watch) if explained else watch)
    return path


def resume(
    path: str | Path,
    *,
    skip_bad: bool = False,
    explained: bool = True,
    code: str | None = None,
    command: str = "hyperplane.resume(...)",
    watch: Watch = lambda event: None,
) -> Path:
    """Go on with an unfinished run and return its path; a finished one is left as it is. `code` as of `run_recipe`.

    With `skip_bad`, files that broke or are gone since it began are left out from here on. Raises UserError where it is
    no run, or its data have changed since it began.
    """
    folder = RunFolder(path)
    if folder.manifest.is_file():
        folder.verify()
        return folder.path
    recipe = folder.read_unfinished()
    _expect_named(recipe, code)
    if skip_bad:
        recipe = replace(recipe, data=replace(recipe.data, skip_bad=True))
    before = folder.read_description() if folder.data.is_file() else None
    source = fine_tuning.reopened(folder, recipe, before)
    if recipes.complete(recipe, source.description) != recipe:
        raise UserError(f"{folder.recipe}: is not as train wrote it; put it back, or start again with --overwrite")
    if before is not None and replace(before, notes=()) != replace(source.description, notes=()):
        left = f"to go on without files that broke or are gone {folder.resume} --skip-bad; "
        raise UserError(
            f"{recipe.data.source}: has changed since {path} began; {left if folder.listing.is_file() else ''}"
            "to start again add --overwrite"
        )
    training.fit(recipe, source, folder.path, command, resume=True, watch=_drawing(watch) if explained else watch)
    return folder.path


def _expect_named(recipe: Recipe, code: str | None) -> None:
    """Raise UserError where a recipe names code that its user did not."""
    named = recipe.task.options.get("reward")
    if named and named != code:
        raise UserError(
            f"task.reward: the recipe names code, {named}, which is run only for who names it as well; look at it, "
            f"then add --task.reward {named}"
        )


def _drawing(watch: Watch) -> Watch:
    """Return a watch that, when a run is complete, has drawn what a net of one or two inputs learned, and then tells.

    Whatever goes wrong in that is told and leaves the run as it is: it is complete.
    """

    def tell(event: Event) -> None:
        if isinstance(event, Finished):
            description = RunFolder(event.path).read_description()
            if description.kind != "text" and math.prod(description.shapes[description.input]) <= 2:
                watch(Explaining(event.path))
                try:
                    explain.explain(event.path)
                except Exception as error:  # whatever it is, the run is complete
                    watch(Unexplained(event.path, " ".join(f"{type(error).__name__}: {error}".split())[:200]))
        watch(event)

    return tell


def run_name(recipe: Recipe) -> str:
    """Return the name of a recipe's run folder: the data's, and the net's where it is not the usual one.

    In place of the net's it is the task's where that needs no labels (who fine-tunes next has the same data and net),
    and where it begins with another run and names its task.
    """
    path = Path(recipe.data.source).expanduser()
    base = (path.resolve().stem if path.is_file() else path.resolve().name) if path.exists() else recipe.data.source
    task = recipe.task.name
    if task is not None and (recipe.net.start is not None or not recipes.needs_labels(task)):
        return f"{base}-{task}"
    usual = recipes.find(recipe.data.source).net.name
    return base if recipe.net.name in (None, usual) else f"{base}-{recipe.net.name}"


def load(path: str | Path) -> Run:
    """Return a finished run; raises UserError for a folder that is none, unfinished, damaged, or holds a pickle."""
    return Run(path)


def net(name: str, *, classes: int | None = None, shape: tuple[int, ...] | None = None, **options: Any) -> nn.Module:
    """Return a new net by its name or its variant's, for inputs of `shape` without the batch axis.

    Where no shape is given, it is the one that the variant was published for or the net's example has; where no classes
    are, they are 10, or for language models the example's vocabulary. Raises UserError for an unknown net or option.
    """
    module = discovery.load("nets", name)
    usual = module.EXAMPLE["outputs"] if getattr(module.NET, "SAYS_OF", "sample") == "token" else 10
    return nets.build(name, shape or nets.usual_shape(name), usual if classes is None else classes, options)


def check(data: str | Path, *, target: str | None = None) -> list[Problem]:
    """Return every bad thing in a data set, named; empty where there is none. Tables: `target` is what to predict."""
    return data_room.check(DataRecipe(source=str(data), target=target))


def compare(*paths: str | Path) -> Comparison:
    """Return two or more runs side by side: their metrics, what differs in their recipes, and paired differences."""
    return compare_folders([Path(path) for path in paths])


def compare_networks(
    truth: str | Path, *others: str | Path, picture: str | None = None, raster: str | Path | None = None
) -> NetworkComparison:
    """Return how alike networks in files (GeoJSON, WKT, CSV) are to the true one: APLS, lengths, pieces, loops.

    `picture` names one of several in a CSV file, and `raster` is the GeoTIFF in whose pixels networks are that do not
    say where they lie.
    """
    return compare_files([Path(truth), *map(Path, others)], picture, None if raster is None else Path(raster))


def cost(
    net: nn.Module | str, shape: tuple[int, ...] | None = None, *, batch: int | None = None, device: str = "auto"
) -> Cost:
    """Return parameters, operations, memory and time of a net, or of the one of that name, on this machine.

    The shape is that of one input; a net that is named has its usual shape and the outputs of its example.
    The batch, for the times, is of 64 samples where it is left out, or of fewer where the net is large.
    """
    if isinstance(net, str):
        shape = shape or nets.usual_shape(net)
        net = nets.build(net, shape, discovery.load("nets", net).EXAMPLE["outputs"])
    if shape is None:
        raise UserError("cost: found no shape, which a net of your own needs; type: cost(net, (1, 28, 28))")
    return measure(net, shape, batch, choose(_hardware(device), net))


def ways(
    net: nn.Module, shape: tuple[int, ...], *, batch: int = 16, precision: Number = "float32", device: str = "auto"
) -> Race:
    """Return the ways to a net's outputs, timed and held against the plain net, for random inputs of this shape.

    The shape is that of one input; the batch the number of samples that are timed together.
    """
    placed = choose(_hardware(device), net)
    net = copy.deepcopy(net).eval()
    placed.settle(net)
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(batch, *shape, generator=chance).to(placed.device)
    x = x.contiguous(memory_format=placed.memory_format) if x.ndim == 4 else x
    return race(net, x, precision, classes=True, timed=True, compiled=True)


def _hardware(device: str) -> HardwareRecipe:
    return recipe_file.parse({"device": device}, HardwareRecipe, "hardware")


_PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")


def _as_bytes(sample: bytes | Image.Image | np.ndarray | Mapping[str, Any]) -> bytes:
    if isinstance(sample, bytes):
        return sample
    if not isinstance(sample, Mapping | np.ndarray | Image.Image):
        raise UserError(
            f"x: found {type(sample).__name__}, expected a path, bytes, a PIL image, an array of pixels as uint8, or a "
            "row as a mapping; convert it"
        )
    if isinstance(sample, Mapping):
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerows([list(sample), ["" if v is None else v for v in sample.values()]])
        return text.getvalue().encode()
    if isinstance(sample, np.ndarray):
        if sample.dtype != np.uint8:
            raise UserError(
                f"x: found an array of {sample.dtype}, expected pixels as uint8; type: (x * 255).astype('uint8')"
            )
        if sample.ndim not in (2, 3) or sample.shape[2:] not in ((), (1,), (2,), (3,), (4,)) or not sample.size:
            raise UserError(
                f"x: found an array of shape {sample.shape}, expected one picture, (H, W) or (H, W, C) with 1 to 4 "
                "channels; give several as a list"
            )
        sample = Image.fromarray(sample[:, :, 0] if sample.shape[2:] == (1,) else sample)
    held = io.BytesIO()
    upright = ImageOps.exif_transpose(sample)
    (upright if upright.mode in _PNG_MODES else upright.convert("RGB")).save(held, "png")
    return held.getvalue()
