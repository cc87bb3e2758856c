"""What to train, as data: frozen dataclasses with a strict JSON round trip. Imports no torch.

A recipe says everything that decides the trained weights. What it leaves open (None, where the field's text says who
chooses), `hyperplane.recipes` fills in from the data; the recipe in a run folder holds the choice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from hyperplane.errors import UserError, nearest

VERSION = 1
SOLVERS = ("levenberg-marquardt", "newton", "l-bfgs")
"""Optimizers that see the whole training split at once."""


@dataclass(frozen=True)
class DataRecipe:
    """Which samples to learn from, and how they are split and read."""

    source: str = ""
    """A path, or the name of a known set (`hyperplane list data`)."""
    format: str = "auto"
    """The data format (a file of `hyperplane/data`), or auto to look at the path."""
    target: str | None = None
    """The column to predict; for tables."""
    validation: float = 0.1
    """The share of samples kept for validation, in [0, 1), where the data bring no split of their own; of MNIST and
    CIFAR-10 a fixed part is kept, and 0 keeps none."""
    test: float = 0.2
    """The share of samples kept for the final test, in [0, 1), where the data bring no split of their own."""
    size: int | None = None
    """Side of the square that images are resized to, in pixels; None takes the commonest size in the folder, or that
    of the run that the net starts from."""
    memory_gb: float = 4.0
    """A split that decodes to more than this, in GiB, is read batch by batch; a smaller one lives on the device."""
    workers: int = 0
    """Processes that read data beside the training."""
    labels_per_class: int | None = None
    """Training samples of each class to keep, chosen by the seed; None keeps all."""
    skip_bad: bool = False
    """Leave out files that cannot be read, naming them, instead of stopping."""
    seed: int = 0
    """Seed of the split and of generated points."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the format itself, such as `samples` of the generated points."""


@dataclass(frozen=True)
class TaskRecipe:
    """The kind of problem: loss, metrics, decoding."""

    name: str | None = None
    """A file of `hyperplane/tasks`; None takes the one that fits the target."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the task, such as `label_smoothing` of classification."""


@dataclass(frozen=True)
class NetRecipe:
    """The net and its options."""

    name: str | None = None
    """A net or a variant (`hyperplane list nets`); None takes the start's, or the one that fits the data."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the net, such as `hidden` of the MLP."""
    start: str | None = None
    """A run folder whose weights the net begins with and whose inputs it reads alike, with a head of its own; the
    learning rate is then a tenth where it is left open. None draws the weights from the seed."""
    start_sha256: str | None = None
    """SHA-256 of those weights; None takes what is there."""
    frozen: bool = False
    """Leave all of the start's weights as they are, and train the head alone, at the whole learning rate."""


@dataclass(frozen=True)
class OptimizerRecipe:
    """How a gradient becomes a step."""

    name: Literal["sgd", "adamw", "muon", "levenberg-marquardt", "newton", "l-bfgs"] | None = None
    """SGD with momentum, AdamW or Muon, batch by batch; or a solver on the whole split; None takes what fits data and
    net."""
    learning_rate: float | None = None
    """Peak learning rate; None takes 2e-3 for AdamW, 0.05 for SGD and 0.02 for Muon."""
    other_rate: float | None = None
    """Peak learning rate of the AdamW that serves what Muon leaves: vectors and the last layer. None: 2e-3."""
    momentum: float = 0.9
    """Momentum of SGD and Muon, in [0, 1), in Nesterov's form; the first moment's decay for AdamW."""
    weight_decay: float | None = None
    """Decoupled for AdamW and Muon, else half of it times ‖W‖²; matrices only, never biases or norms. None: 0.01, for
    solvers 0, and for Newton where it was chosen and not asked for 1 / N, at most 0.001."""
    clip: float | None = None
    """The gradient's norm is scaled down to this; None leaves it."""
    restarts: int | None = None
    """Nets that a solver fits, each from weights of its own, to keep the best; None: 64 (Levenberg-Marquardt) or 1."""
    halving: int | None = None
    """Iterations after which Levenberg-Marquardt drops the worse half of the restarts, and again after 2, 4, 8, ...
    times as many, down to one; None drops none."""


@dataclass(frozen=True)
class ScheduleRecipe:
    """The learning rate over the steps, as a multiple of its peak."""

    name: Literal["constant", "cosine", "one-cycle", "trapezoid"] = "one-cycle"
    """Constant; warm-up then half a cosine; up and down linearly; or the same with a time at the peak between."""
    warmup: float = 0.2
    """Share of the steps that rise to the peak, in [0, 1], whatever follows."""
    hold: float = 0.3
    """Share of the steps, those of the rise among them, after which the trapezoid falls, in [0, 1]."""
    final: float = 0.0
    """The multiple of the peak that the fall ends at, one step after the last, in [0, 1]."""


@dataclass(frozen=True)
class AugmentRecipe:
    """How training images are changed at every step, each in its own way; others than images have none of it."""

    flip: bool = False
    """Mirror left and right, half of them."""
    quarter: bool = False
    """Turn by 0 to 3 quarter turns; images that are not square by 0 or 2."""
    shift: int = 0
    """Pixels that an image is moved by at most, in each direction."""
    rotate: float = 0.0
    """Degrees that it is turned by at most, either way."""
    zoom: float = 0.0
    """Share that each of its axes is stretched or shrunk by at most, in [0, 1)."""
    elastic: float = 0.0
    """Pixels that knots of a mesh of 4 × 4 are moved by at most, each its own way, and smoothly what is between."""
    brightness: float = 0.0
    """Standard deviations of the training pixels that an image is made lighter or darker by at most."""
    contrast: float = 0.0
    """Share that differences from the mean grow or shrink by at most, in [0, 1)."""
    cutout: int = 0
    """Side of a square that is blanked, in pixels."""
    sizes: tuple[int, ...] = ()
    """Sides, in pixels, that images are shrunk to, one after the other and at last none, each for as many steps."""
    views: Literal["one", "mirrored", "moved", "mirrored-moved", "turned"] = "one"
    """What a prediction is the mean of: the image, with its mirror image, moved by a pixel both ways, or all of it; or
    turned by quarters, each with its mirror image."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How long, how much at a time, and which weights are kept."""

    epochs: int | None = None
    """Passes over the training split, for solvers their most iterations; None chooses by its size, or by `steps`."""
    steps: int | None = None
    """Steps at most, where that is fewer than the epochs have; None: all of them."""
    batch: int | None = None
    """Samples a step, over all processes together; None chooses by the split's size."""
    ema: float | None = None
    """Decay of the weights' exponential moving average, in (0, 1), which is then kept; None keeps the weights."""
    hardest: float = 1.0
    """The share of each batch that a step learns from, those with the greatest loss, in (0, 1]."""
    patience: int | None = None
    """Epochs without a better validation loss after which to stop, keeping the best weights; None never stops."""
    evaluate_every: int = 1
    """Epochs between two looks at the validation split."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints; 0 writes one after every step."""


@dataclass(frozen=True)
class HardwareRecipe:
    """Where and in which numbers to compute; auto is chosen by rule, printed, and written down."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """The CPU or a CUDA device."""
    precision: Literal["auto", "float32", "bfloat16", "float64"] = "auto"
    """float32, bfloat16 autocast, or float64 throughout."""
    channels_last: Literal["auto", "yes", "no"] = "auto"
    """Memory order of images."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run."""

    data: DataRecipe = DataRecipe()
    task: TaskRecipe = TaskRecipe()
    net: NetRecipe = NetRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    schedule: ScheduleRecipe = ScheduleRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    training: TrainingRecipe = TrainingRecipe()
    hardware: HardwareRecipe = HardwareRecipe()
    seed: int = 0
    """Seed of the weights, the order of samples and all else that chance decides."""
    version: int = VERSION
    """Version of this file's layout."""

    def __post_init__(self) -> None:
        """Raise UserError for a number outside of its range, or one that is not finite."""
        for dotted, (inside, expected, example) in _RANGES.items():
            room, _, name = dotted.partition(".")
            value = getattr(getattr(self, room), name)
            if value is not None and not inside(value):
                option = f"--{dotted.replace('_', '-')} {example}"
                raise UserError(f"{dotted}: found {value}, expected {expected}; type: {option}")


_RANGES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "data.validation": (lambda x: 0 <= x < 1, "a share in [0, 1)", "0.1"),
    "data.test": (lambda x: 0 <= x < 1, "a share in [0, 1)", "0.2"),
    "data.size": (lambda x: 1 <= x <= 4096, "1 to 4096 pixels", "64"),
    "data.labels_per_class": (lambda x: x >= 1, "1 or more", "60"),
    "data.memory_gb": (lambda x: 0 <= x < math.inf, "a number of GiB, 0 or more", "4"),
    "data.workers": (lambda x: x >= 0, "0 or more", "0"),
    "optimizer.learning_rate": (lambda x: 0 < x < math.inf, "a number above 0", "0.002"),
    "optimizer.other_rate": (lambda x: 0 < x < math.inf, "a number above 0", "0.002"),
    "optimizer.momentum": (lambda x: 0 <= x < 1, "a number in [0, 1)", "0.9"),
    "optimizer.weight_decay": (lambda x: 0 <= x < math.inf, "a number, 0 or more", "0.01"),
    "optimizer.restarts": (lambda x: 1 <= x <= 10_000, "1 to 10,000", "64"),
    "optimizer.halving": (lambda x: x >= 1, "1 or more", "50"),
    "optimizer.clip": (lambda x: 0 < x < math.inf, "a number above 0", "1"),
    "schedule.warmup": (lambda x: 0 <= x <= 1, "a share in [0, 1]", "0.2"),
    "schedule.hold": (lambda x: 0 <= x <= 1, "a share in [0, 1]", "0.3"),
    "schedule.final": (lambda x: 0 <= x <= 1, "a share in [0, 1]", "0"),
    "augment.shift": (lambda x: 0 <= x <= 4096, "0 or more pixels", "2"),
    "augment.rotate": (lambda x: 0 <= x <= 180, "0 to 180 degrees", "10"),
    "augment.zoom": (lambda x: 0 <= x < 1, "a share in [0, 1)", "0.1"),
    "augment.elastic": (lambda x: 0 <= x < 4096, "a number of pixels, 0 or more", "1.5"),
    "augment.brightness": (lambda x: 0 <= x < 100, "a number of standard deviations, 0 or more", "0.2"),
    "augment.contrast": (lambda x: 0 <= x < 1, "a share in [0, 1)", "0.2"),
    "augment.cutout": (lambda x: 0 <= x <= 4096, "0 or more pixels", "8"),
    "augment.sizes": (lambda x: all(1 <= side <= 4096 for side in x), "1 to 4096 pixels each", "16 24"),
    "training.hardest": (lambda x: 0 < x <= 1, "a share in (0, 1]", "0.5"),
    "training.epochs": (lambda x: 1 <= x <= 10**7, "1 to 10,000,000", "10"),
    "training.steps": (lambda x: 1 <= x <= 10**9, "1 to 1,000,000,000", "2000"),
    "training.batch": (lambda x: 1 <= x <= 10**7, "1 to 10,000,000", "64"),
    "training.ema": (lambda x: 0 < x < 1, "a number in (0, 1)", "0.99"),
    "training.patience": (lambda x: x >= 1, "1 or more", "10"),
    "training.evaluate_every": (lambda x: x >= 1, "1 or more", "1"),
    "training.checkpoint_seconds": (lambda x: 0 <= x < math.inf, "a number of seconds, 0 or more", "30"),
}
"""Of each number with a range: whether a value is inside (nan never is), how people say it, and a good one."""


def to_json(recipe: Recipe) -> str:
    """Return the recipe as indented JSON."""
    return json.dumps(dataclasses.asdict(recipe), indent=2) + "\n"


def from_json(text: str, where: str = "recipe") -> Recipe:
    """Return the recipe that `text` holds; `where` names the file in errors.

    Raises UserError for broken JSON, an unknown field, a value of the wrong type, or a newer version.
    """
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
        raise UserError(f"{where}: is not JSON ({error}); copy it again from where it came") from error
    if not isinstance(found, dict):
        raise UserError(f"{where}: holds {_say(found)}, expected an object with the fields of a recipe; copy it again")
    version = found.get("version", VERSION)
    if isinstance(version, int) and version > VERSION:
        raise UserError(
            f"{where}: has version {version}, this hyperplane reads up to {VERSION}; "
            "type: pip install --upgrade hyperplane"
        )
    return parse(found, Recipe, where)


def replace(recipe: Recipe, changes: dict[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe with dotted fields replaced: `{"optimizer.learning_rate": 0.01, "net.options.hidden": [8]}`.

    Raises UserError for an unknown field or a value of the wrong type.
    """
    tree = dataclasses.asdict(recipe)
    for dotted, value in changes.items():
        *parents, leaf = dotted.split(".")
        branch = tree
        for parent in parents:
            if not isinstance(branch.get(parent), dict):
                raise UserError(f"{where}: has no field '{dotted}'; {nearest(parent, branch)}")
            branch = branch[parent]
        if isinstance(value, list | tuple):
            value = list(value)
        branch[leaf] = value
    return parse(tree, Recipe, where)


def parse(value: Any, kind: Any, where: str) -> Any:
    """Return a JSON value as `kind`, a dataclass or the type of a field, strictly; `where` names it in errors.

    Raises UserError where the value is not of that kind or names a field that does not exist.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _parse_fields(value, typing.cast(type, kind), where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        kinds = [a for a in arguments if a is not type(None)]
        for kind in kinds[:-1]:
            with contextlib.suppress(UserError):
                return parse(value, kind, where)
        return parse(value, kinds[-1], where)
    if origin is Literal:
        if not any(value == a and type(value) is type(a) for a in arguments):
            hint = nearest(str(value), [str(a) for a in arguments])
            raise UserError(f"{where}: found {_say(value)}, expected one of {', '.join(map(str, arguments))}; {hint}")
        return value
    if origin is tuple and isinstance(value, list | tuple):
        kinds = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        if len(kinds) != len(value):
            raise UserError(f"{where}: found {len(value)} items, expected {len(kinds)}; correct it")
        return tuple(parse(v, k, f"{where}[{i}]") for i, (v, k) in enumerate(zip(value, kinds, strict=True)))
    if origin is dict and isinstance(value, dict):
        return {str(k): parse(v, arguments[1], f"{where}.{k}") for k, v in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    if isinstance(kind, type) and isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise UserError(f"{where}: found {_say(value)}, expected {_name(kind)}; correct it")


def _parse_fields(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{where}: found {_say(value)}, expected an object of fields; correct it")
    hints = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]
    for name in value:
        if name not in known:
            raise UserError(f"{where}: has no field '{name}'; {nearest(str(name), known)}")
    for f in dataclasses.fields(kind):
        if f.name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise UserError(f"{where}: lacks the field '{f.name}'; copy it again from where it came")
    return kind(**{name: parse(value[name], hints[name], f"{where}.{name}") for name in known if name in value})


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's fields; raises ValueError where one is there twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in {n for n, _ in pairs[:i]})
        raise ValueError(f"field '{twice}' is there twice")
    return fields


def _refuse(constant: str) -> None:
    raise ValueError(f"found {constant}, which JSON has not")


def _say(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _name(kind: Any) -> str:
    plain = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if kind in plain:
        return plain[kind]
    if typing.get_origin(kind) is tuple:
        return "a list, each of them " + _name(typing.get_args(kind)[0])
    return str(kind)
