"""Train a net on data, into a run folder with a report."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from hyperplane import recipe as recipe_file
from hyperplane import recipes
from hyperplane.cli import STOPPED
from hyperplane.cli.blocks.recipes import owners, parse_recipe, without_options
from hyperplane.errors import UserError
from hyperplane.recipe import Recipe

DESCRIPTION = """Train a net on data, into a run folder with a report.

$ hyperplane train digits
$ hyperplane train mnist --net lenet --training.epochs 5
$ hyperplane train table.csv --target price --net mlp --net.hidden 32 32
$ hyperplane train photos/ --from runs/resnet50
$ hyperplane train photos/ --from runs/resnet50 --frozen
$ hyperplane train pile/ --task selfsup-mae
$ hyperplane train photos/ --from runs/pile-selfsup-mae --data.labels-per-class 60
$ hyperplane train book.txt --data.vocabulary byte
$ hyperplane train addition --from runs/addition --task reward
$ hyperplane train prompts.jsonl --from runs/prompts --task reward --task.reward my_reward.py:score
$ hyperplane train --recipe runs/digits/recipe.json --name again
$ hyperplane train --resume runs/digits"""


Switch = tyro.conf.FlagCreatePairsOff[bool]


@dataclass(frozen=True)
class Train:
    """What is said beside the recipe's fields."""

    source: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="DATA")] = None
    """A file, a folder, a known set (hyperplane list data), or with --resume a run folder."""
    recipe: str | None = None
    """A recipe's name (hyperplane list recipes), or the recipe.json of another run."""
    name: str | None = None
    """Name of the run folder; the data's name where it is left out."""
    runs: Path = Path("runs")
    """Where run folders go."""
    resume: Switch = False
    """Go on with an unfinished run."""
    overwrite: Switch = False
    """Replace a run of the same name."""
    download: Switch = False
    """Fetch a known set that is not here, and check its hash."""
    explain: Switch = True
    """Leave out the pictures of what a net of one or two inputs learned, and the film of its training."""


def main(arguments: list[str]) -> int:
    """Train, and return the exit status."""
    asked, said = parse_recipe(Train, "train", without_options(arguments), Recipe(), DESCRIPTION)
    if not asked.resume:
        _expect_no_weights(asked.source or "", "data")
        _expect_no_weights(said.net.name or "", "a net's name")
        needed = owners(arguments) | ({"data"} if set(arguments) & {"--help", "-h"} else set())
        start = _base(asked, said)
        base = _with_names(start, said, needed)
        asked, recipe = parse_recipe(Train, "train", arguments, base, DESCRIPTION)
    elif set(arguments) & {"--help", "-h"}:
        parse_recipe(Train, "train", arguments, said, DESCRIPTION)
    else:
        _expect_no_changes(asked, said, _without_code(arguments))

    from hyperplane import api
    from hyperplane.cli.blocks.screen import TrainingScreen
    from hyperplane.engine.loop import Interrupted

    name = asked.name
    if asked.resume:
        path = _unfinished(asked)
    elif recipe.data.source:
        name = name or api.run_name(start)  # which an option of the usual net or task leaves as it is
        path = asked.runs / name
    else:
        raise UserError(
            "train: found no data; put a file, a folder or a known set first, as in: hyperplane train digits --net mlp"
        )
    screen, command = TrainingScreen(), shlex.join(["hyperplane", "train", *arguments])
    try:
        if asked.resume:
            finished = (path / "manifest.json").is_file()
            api.resume(
                path,
                skip_bad=said.data.skip_bad,
                command=command,
                explained=asked.explain,
                code=_code(arguments),
                watch=screen,
            )
            if finished:
                print(
                    f"{path}: is finished already; to train it again, add --overwrite to its command", file=sys.stderr
                )
        else:
            api.run_recipe(
                recipe,
                runs=asked.runs,
                name=name,
                overwrite=asked.overwrite,
                download=asked.download,
                explained=asked.explain,
                code=_code(arguments),
                command=command,
                watch=screen,
            )
    except Interrupted as stopped:
        screen.stop()
        print(stopped, file=sys.stderr)
        return STOPPED
    finally:
        screen.stop()
    return 0


CODE = "--task.reward"
"""The option that names code: what is not typed is not run."""


def _code(arguments: list[str]) -> str | None:
    """Return what the user typed as the code of a reward."""
    words = [word for argument in arguments for word in argument.split("=", 1)]
    return words[words.index(CODE) + 1] if CODE in words[:-1] else None


def _without_code(arguments: list[str]) -> list[str]:
    """Return the arguments without the code of a reward, which a run that is gone on with needs again."""
    where = arguments.index(CODE) if CODE in arguments else len(arguments)
    return [a for a in (*arguments[:where], *arguments[where + 2 :]) if not a.startswith(CODE + "=")]


def _base(asked: Train, said: Recipe) -> Recipe:
    """Return the recipe that the user starts from: a file's, a named one, or the one for these data and this net."""
    given = None
    if asked.recipe is not None and asked.recipe.endswith(".json"):
        try:
            given = recipe_file.from_json(Path(asked.recipe).read_text("utf-8"), asked.recipe)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UserError(f"{asked.recipe}: cannot be read ({why}); name a recipe.json") from error
    elif asked.recipe is not None:
        _expect_no_weights(asked.recipe, "a recipe")
        given = recipes.named(asked.recipe)
    net = said.net
    return recipes.start(asked.source, net.name, said.task.name, said.optimizer.name, given, net.start, net.frozen)


def _expect_no_weights(named: str, expected: str) -> None:
    if not Path(named).is_file():
        return

    from hyperplane.data.blocks.problems import expect_no_weights

    expect_no_weights(Path(named), expected)


def _with_names(base: Recipe, said: Recipe, needed: set[str]) -> Recipe:
    """Return the recipe with the names of the format, net and task whose options the user sets, chosen by the data."""
    if not needed or not base.data.source:
        return base

    from hyperplane import data

    if said.data.format == base.data.format == "auto":
        base = recipe_file.replace(base, {"data.format": data.look(base.data)[0]})
    if any(getattr(base, owner).name is None for owner in needed - {"data"}):
        settings = replace(said.data, source=base.data.source, format=base.data.format, options=base.data.options)
        whole = recipes.complete(base, data.open(settings).description)
        base = replace(base, net=whole.net, task=whole.task)
    return base


def _expect_no_changes(asked: Train, said: Recipe, arguments: list[str]) -> None:
    """Raise UserError for what a resumed run cannot take: it goes on with its recipe, but may leave out bad files."""
    if asked.overwrite:
        raise UserError("train: found --resume and --overwrite, which go on and start again; type one of them")
    allowed = replace(Recipe(), data=replace(Recipe().data, skip_bad=said.data.skip_bad))
    if said != allowed or owners(arguments) or asked.recipe is not None:
        raise UserError(
            "train --resume: found fields of a recipe, but a run goes on with its own; type --resume and the run "
            "folder, with --skip-bad to leave out bad files, or train again with --overwrite"
        )


def _unfinished(asked: Train) -> Path:
    """Return the run folder to go on with: the one that is named, or the one that the data's name leads to."""
    if asked.source is None and asked.name is None:
        raise UserError("train --resume: found no run; name its folder, such as: hyperplane train --resume runs/digits")
    if asked.name is None and asked.source is not None:
        _expect_no_weights(asked.source, "a run folder")
        if Path(asked.source).is_dir():
            return Path(asked.source)
    return asked.runs / (asked.name or Path(asked.source or "").stem)
