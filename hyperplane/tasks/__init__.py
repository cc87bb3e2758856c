"""Tasks: one file per kind of problem, found by file name.

A file holds `fits(description) -> Sniff`, which says how well the task suits the data and why, and `TASK`.
"""

from __future__ import annotations

from typing import Any

from hyperplane import discovery
from hyperplane.contracts import Description, Task
from hyperplane.errors import UserError
from hyperplane.nets import check_options


def choose(description: Description) -> tuple[str, str]:
    """Return the name of the task that suits the data best, and why; raises UserError where none does.

    A task that needs no labels is not chosen: whoever wants that asks for it.
    """
    modules = discovery.loaded("tasks")
    fits = {n: module.fits(description) for n, module in modules.items() if getattr(module.TASK, "LABELS", True)}
    name = max(fits, key=lambda n: fits[n].score)
    if fits[name].score == 0:
        reasons = "; ".join(f"{n}: {fit.reason}" for n, fit in fits.items())
        raise UserError(
            f"task: none suits {description.name} ({reasons}); name one with --task (hyperplane list tasks)"
        )
    return name, fits[name].reason


def build(name: str, description: Description, given: dict[str, Any] | None = None) -> Task:
    """Return a new task for the data that `description` tells of.

    Raises UserError for an unknown task or option, or data that do not have what it needs.
    """
    module = discovery.load("tasks", name)
    fit = module.fits(description)
    if fit.score == 0:
        better, why = choose(description)
        raise UserError(
            f"task {name}: {description.name} does not suit it ({fit.reason}); type: --task {better} ({why})"
        )
    return module.TASK(description, **check_options(given or {}, module.TASK, f"task {name}"))
