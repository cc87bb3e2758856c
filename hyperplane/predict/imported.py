"""Published weights as a run folder: which net they are, how its images were read, and all that prediction needs.

Nothing was trained here, so the folder has a net and a description of its data but no metrics. Prediction, explanation
and export take it as they take any other. Language models are looked at in imported_text.py.

Shape suffixes: C channels, H and W pixels, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hyperplane import discovery, nets
from hyperplane.contracts import Description
from hyperplane.data.blocks import files
from hyperplane.data.blocks.files import Remote
from hyperplane.engine import environment, model, precision
from hyperplane.errors import UserError, nearest
from hyperplane.nets.blocks.published import Difference, Published, Weights, differ
from hyperplane.predict import foreign, imported_text
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TaskRecipe
from hyperplane.runs import report
from hyperplane.runs.folder import RunFolder

Given = tuple[tuple[str, Any], ...]
"""Options of a net beside its variant's."""

MARKS = (3, 1000)
"""Channels and outputs of the net that stands in for one of unknown numbers."""


@dataclass(frozen=True)
class Imported:
    """A run folder made of published weights."""

    path: Path
    net: str
    kind: str
    """image or text: what it reads."""
    parameters: int
    classes: int
    """That it tells apart; of a language model, the tokens that it knows."""
    sha256: str
    notes: tuple[str, ...]
    """What was found, assumed and done, one sentence each, for people."""


@dataclass(frozen=True)
class Fit:
    """How a state dict goes with a net."""

    name: str
    """The net's or the variant's."""
    channels: int
    outputs: int
    difference: Difference
    """Empty where it fits."""
    side: int
    """Of the images that it was trained on, as far as it tells, else of the net's example."""
    reading: Weights | None
    """How files of its layout usually read images, if that is known."""
    given: Given = ()
    """Options that the file tells, where no variant has them."""

    @property
    def options(self) -> dict[str, Any]:
        """Return all options of the net."""
        return _options(self.name, self.given)


def import_weights(
    path: str | Path,
    *,
    net: str | None = None,
    out: str | Path | None = None,
    classes: str | Path | None = None,
    size: int | None = None,
    mean: tuple[float, ...] = (),
    std: tuple[float, ...] = (),
    overwrite: bool = False,
    download: bool = False,
    command: str = "hyperplane.import_weights(...)",
) -> Imported:
    """Turn published weights into a run folder.

    Arguments: a state dict's file, or the name of a net or variant with published weights, with the eight digits of one
    file's hash behind it where there are several (resnet50-11ad3fa6); the net or variant (None: the one that fits); the
    run folder (None: runs/ and the net's name); a text file with a class's name on each line (None: their numbers);
    the side of the square that pictures are brought to, in pixels; mean and standard deviation of each channel in
    [0, 1] (empty: those that the weights were published with, or ImageNet's); whether a run of that name may be
    replaced; whether published weights may be fetched into the cache; what the user typed.
    Raises UserError for a file that is damaged, hostile, or fits no net.
    """
    path = Path(path)
    if out is not None:
        RunFolder(out).expect_free(overwrite)  # before the file is read, which may take long
    if not path.exists():
        path = _published_file(path, download)
    found = foreign.read(path)
    if imported_text.is_text(found.tensors):
        given = {"classes": classes, "size": size, "mean": mean or None, "std": std or None}
        if unfit := next((name for name, value in given.items() if value is not None), None):
            raise UserError(f"import --{unfit}: {path} is a language model, which reads no images; leave it out")
        text = imported_text.look(path, found, net)
        folder = RunFolder(out or Path("runs") / text.name)
        folder.expect_free(overwrite)
        return _written(folder, text.recipe, text.description, text.tensors, found.sha256, overwrite, command)
    known = _published().get(found.sha256[:8])
    fit = _fit(path, found.tensors, net, known)
    folder = RunFolder(out or Path("runs") / fit.name)
    folder.expect_free(overwrite)
    notes = [f"The weights are those of {path.name}, SHA-256 {found.sha256}.", *found.notes]
    tensors = found.tensors
    side = fit.side if size is None else size
    _expect_size(fit, size)
    if fit.outputs == 2:
        tensors = _one_output(tensors, fit)
        notes.append(
            "Of two classes one output is kept, the second's less the first's: their probabilities are the same."
        )
    encoding = _encoding(fit, known, mean, std, notes)
    description = Description(
        name="ImageNet" if known else path.stem,
        format="folder",
        kind="image",
        input="image_BCHW",
        target="label_B",
        shapes={"image_BCHW": (fit.channels, side, side), "label_B": ()},
        splits={},
        classes=_classes(classes, fit),
        encoding=encoding,
        hashes={path.name: found.sha256},
        notes=tuple(notes),
    )
    recipe = Recipe(
        data=DataRecipe(source=description.name, format="folder", size=side),
        task=TaskRecipe("classification", {"label_smoothing": 0.0}),
        net=NetRecipe(fit.name, fit.options),
    )
    with torch.device("meta"):
        own = _under_own_keys(model.build(recipe, description).net, tensors)
    return _written(folder, recipe, description, own, found.sha256, overwrite, command)


def _written(
    folder: RunFolder,
    recipe: Recipe,
    description: Description,
    tensors: Mapping[str, Tensor],
    sha256: str,
    overwrite: bool,
    command: str,
) -> Imported:
    """Write the run folder of a net with these tensors under its own keys."""
    with torch.device("meta"):
        made = model.build(recipe, description)
    expected = made.net.state_dict()
    made.net.load_state_dict({key: t.to(expected[key].dtype) for key, t in tensors.items()}, assign=True)
    folder = RunFolder.create(folder.path, overwrite)
    folder.write_recipe(recipe)
    folder.write_description(description)
    folder.write_environment(environment.describe(precision.choose(recipe.hardware, made), command))
    folder.truncate_metrics(0)
    folder.write_model(made.state_dict())
    report.write(folder.path)
    folder.finish()
    parameters = sum(p.numel() for p in made.parameters())
    name, kind = recipe.net.name or "", description.kind
    says = made.judge.outputs if kind == "text" else len(description.classes)
    return Imported(folder.path, name, kind, parameters, says, sha256, description.notes)


def _expect_size(fit: Fit, size: int | None) -> None:
    """Raise UserError where a size was asked for that the net cannot read."""
    if size is None:
        return
    try:
        _net(fit.name, fit.given, (fit.channels, size, size), fit.channels, 1)
    except UserError as error:
        least = getattr(discovery.load("nets", fit.name), "LEAST", fit.side)
        raise UserError(
            f"import --size: found {size}, expected {least} or more for {fit.name}; type: --size {least}"
        ) from error


def _published() -> dict[str, Weights]:
    """Return what is known of published files, by the first eight hex digits of their SHA-256."""
    modules = discovery.loaded("nets").values()
    return {digits: weights for module in modules for digits, weights in getattr(module, "PUBLISHED", {}).items()}


def _published_file(name: Path, download: bool) -> Path:
    """Return the file of the published weights of that name, from the cache, or fetched into it; else the name itself.

    Raises UserError where it is not in the cache and may not be fetched, or cannot be.
    """
    names = {f"{weights.variant}-{digits}": (digits, weights) for digits, weights in _published().items()}
    for digits, weights in _published().items():
        names.setdefault(weights.variant, (digits, weights))
    if str(name) not in names:
        if any(str(name) in (entry.name, *entry.variants) for entry in discovery.entries("nets").values()):
            raise UserError(
                f"{name}: there is no such file, and of that net no address of published weights is known; name a file "
                "that you fetched yourself: hyperplane import FILE"
            )
        close = name.parent == Path() and nearest(str(name), names).startswith("did you mean")
        if download or (close and not name.suffix):
            raise UserError(f"{name}: names no published weights; {nearest(str(name), names)}")
        return name
    digits, weights = names[str(name)]
    folder, remote = files.cache() / "weights", Remote(weights.address(digits), digits)
    file = folder / remote.url.rpartition("/")[2]
    if not download and not files.is_published(file, digits):
        raise UserError(
            f"{name}: there is no such file, and the published weights are not in {folder}; add --download to fetch "
            f"{remote.url}"
        )
    return files.fetch(remote, folder)


# Which net


def _fit(path: Path, tensors: Mapping[str, Tensor], net: str | None, known: Weights | None) -> Fit:
    """Return the net that a state dict is of: the named one, the one of its hash, or the only one that fits."""
    if net is not None:
        fit = _try(net, tensors, _told(net, tensors) if discovery.find("nets", net).name == net else ())
        if fit is None or fit.difference:
            best = _nearest(tensors)
            why = f"it {fit.difference}" if fit else f"{net} reads no images"
            raise UserError(
                f"{path}: does not fit {net}: {why}; the net nearest to it is {best.name}"
                + (f", so type: --net {best.name}" if best.name != net else ", so name the file that belongs to it")
            )
        return fit
    fits = [fit for fit in ([_try(known.variant, tensors)] if known else _fits(tensors)) if fit and not fit.difference]
    if not fits:
        best = _nearest(tensors)
        raise UserError(
            f"{path}: fits no net; the nearest is {best.name}, but the file {best.difference}; name a file that holds "
            "all of a net, or the net with --net (hyperplane list nets)"
        )
    if len(fits) > 1:
        names = [fit.name for fit in fits]
        raise UserError(f"{path}: fits {', '.join(names)}, which compute differently; type: --net {names[0]}")
    return fits[0] if known else _of_its_size(fits[0])


def _of_its_size(fit: Fit) -> Fit:
    """Return a fit by the name of the variant of these options that was published for images of its size, if any."""
    variants = discovery.load("nets", fit.name).VARIANTS
    named = (name for name in variants if nets.usual_shape(name)[-1] == fit.side and _options(name) == fit.options)
    return replace(fit, name=next(named, fit.name))


def _fits(tensors: Mapping[str, Tensor]) -> list[Fit]:
    """Return how the nets whose keys differ least from a state dict's go with it; each net and set of options once."""
    distances: dict[tuple[str, Given], int] = {}
    for entry in discovery.entries("nets").values():
        seen: list[dict[str, Any]] = []
        known: list[tuple[str, Given]] = [(name, ()) for name in (*entry.variants, entry.name)]
        for name, given in (*known, (entry.name, _told(entry.name, tensors))):
            options = _options(name, given)
            if len(_example(name)) == 3 and options not in seen:
                seen.append(options)
                difference = differ(tensors, _expected(name, given, _example(name), *MARKS, tensors))
                distances[name, given] = len(difference.missing) + len(difference.foreign)
    least = min(distances.values())
    fits = [_try(name, tensors, given) for (name, given), distance in distances.items() if distance == least]
    return [fit for fit in fits if fit is not None]


def _told(net: str, tensors: Mapping[str, Tensor]) -> Given:
    """Return the options that a state dict tells of its net; none where it tells too little."""
    told = getattr(discovery.load("nets", net).NET, "options_of", lambda state_dict: None)(tensors)
    return tuple((told or {}).items())


def _options(name: str, given: Given = ()) -> dict[str, Any]:
    """Return all options of a net or variant."""
    module = discovery.load("nets", name)
    return nets.all_options(module.NET, {**module.VARIANTS.get(name, {}), **dict(given)}, f"net {name}")


def _nearest(tensors: Mapping[str, Tensor]) -> Fit:
    return min(_fits(tensors), key=lambda fit: len(fit.difference))


def _try(name: str, tensors: Mapping[str, Tensor], given: Given = ()) -> Fit | None:
    """Return how a state dict goes with a net, channels and outputs read off it; None for a net without images.

    Channels and outputs are the numbers that change in a net's shapes when it is built for others of them.
    """
    shape = _example(name)
    if len(shape) != 3:
        return None
    plain = _expected(name, given, shape, *MARKS, tensors)
    channels = _read_off(plain, _expected(name, given, shape, MARKS[0] + 1, MARKS[1], tensors), tensors, MARKS[0])
    outputs = _read_off(plain, _expected(name, given, shape, MARKS[0], MARKS[1] + 1, tensors), tensors, MARKS[1])
    net = _net(name, given, shape, channels, outputs)
    expected = _expected(name, given, shape, channels, outputs, tensors)
    if not isinstance(net, Published):
        return Fit(name, channels, outputs, differ(tensors, expected), shape[-1], None, given)
    side, reading = net.published_side(tensors) or shape[-1], net.published_reading(tensors)
    return Fit(name, channels, outputs, differ(net.fitted(tensors), expected), side, reading, given)


def _read_off(
    plain: Mapping[str, Tensor], other: Mapping[str, Tensor], tensors: Mapping[str, Tensor], mark: int
) -> int:
    """Return the size that a state dict has where one number changes a net's shapes; `mark` where that is not seen."""
    for key, tensor in plain.items():
        if key in tensors and tensors[key].ndim == tensor.ndim:
            for axis, size in enumerate(tensor.shape):
                if size == mark and other[key].shape[axis] == mark + 1 and tensors[key].shape[axis] > 0:
                    return tensors[key].shape[axis]
    return mark


def _example(name: str) -> tuple[int, ...]:
    return nets.usual_shape(name)


@lru_cache(maxsize=256)
def _net(name: str, given: Given, shape: tuple[int, ...], channels: int, outputs: int) -> nn.Module:
    """Return a net on the meta device: keys and shapes without numbers."""
    with torch.device("meta"):
        return nets.build(name, (channels, *shape[1:]), outputs, dict(given))


def _expected(
    name: str, given: Given, shape: tuple[int, ...], channels: int, outputs: int, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return a net's tensors under the keys that a state dict has for them, on the meta device."""
    net = _net(name, given, shape, channels, outputs)
    keys: dict[str, str] = net.published_keys(tensors) if isinstance(net, Published) else {}
    return {keys.get(key, key): tensor for key, tensor in net.state_dict().items()}


def _under_own_keys(net: nn.Module, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors of a state dict that fits a net under the net's keys, for images of the net's size."""
    if not isinstance(net, Published):
        return tensors
    fitted = net.fitted(tensors)
    return {key: fitted[theirs] for key, theirs in net.published_keys(tensors).items() if theirs in fitted}


def _one_output(tensors: Mapping[str, Tensor], fit: Fit) -> dict[str, Tensor]:
    """Return the tensors of a net with one output for two classes, its logit the difference of theirs."""
    two, one = (
        _expected(fit.name, fit.given, _example(fit.name), fit.channels, outputs, tensors) for outputs in (2, 1)
    )
    return {
        key: tensor[1:] - tensor[:1] if key in two and two[key].shape != one[key].shape else tensor
        for key, tensor in tensors.items()
    }


# How its images were read


def _encoding(
    fit: Fit, known: Weights | None, mean: tuple[float, ...], std: tuple[float, ...], notes: list[str]
) -> dict[str, Any]:
    """Return how a picture becomes an input, as far as that is known; `notes` says where it is a guess."""
    published: Mapping[str, Weights] = getattr(discovery.load("nets", fit.name), "PUBLISHED", {})
    of_net = min(published.values(), key=lambda w: w.variant != fit.name, default=Weights(fit.name, middle=1.0))
    weights = known or fit.reading or of_net
    encoding: dict[str, Any] = {"middle": weights.middle}
    for name, given, usual, neutral in (("mean", mean, weights.mean, 0.0), ("std", std, weights.std, 1.0)):
        value = given or (usual if len(usual) == fit.channels else (neutral,) * fit.channels)
        if len(value) != fit.channels or not all(0 <= v <= 1 for v in value) or (name == "std" and min(value) == 0):
            raise UserError(
                f"import --{name}: found {' '.join(map(str, value))}, expected {fit.channels} "
                f"number{'s' * (fit.channels != 1)} in [0, 1]{', none of them 0' * (name == 'std')}, one for each "
                f"channel; type: --{name}{' 0.5' * fit.channels}"
            )
        encoding[name] = list(value)
    if known is None and not (mean and std):
        told = ", ".join(f"{name} {' '.join(f'{v:g}' for v in encoding[name])}" for name in ("mean", "std"))
        cut = f", the middle {100 * weights.middle:.3g}% of each side," if weights.middle < 1 else ""
        notes.append(f"The file is not a known one; that its pictures were read{cut} with {told} is a guess.")
    return encoding


def _classes(path: str | Path | None, fit: Fit) -> tuple[str, ...]:
    """Return the names of the classes: a file's lines, or numbers; one that comes twice gets its number as well."""
    count = max(2, fit.outputs)
    if path is None:
        return tuple(map(str, range(count)))
    try:
        lines = [line.strip() for line in Path(path).read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"{path}: cannot be read ({why}); name a text file with a class on each line") from error
    if len(lines) != count or not all(lines):
        raise UserError(
            f"{path}: holds {sum(map(bool, lines))} names on {len(lines)} lines, but {fit.name} has {count} classes "
            "here; put one name on each line, in the order of the net's outputs"
        )
    return tuple(f"{name} [{k}]" if lines.count(name) > 1 else name for k, name in enumerate(lines))
