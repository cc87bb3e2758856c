"""hyperplane: deep nets for vision that one can trust, from one hyperplane to transformers.

    run = hyperplane.train("digits")            # a Run: metrics, predict(x), report, path
    run = hyperplane.load("runs/digits")        # also from a folder copied from another machine
    net = hyperplane.net("lenet", classes=10)   # a torch module

Importing this imports no torch: the names below are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyperplane.api import Run, check, compare, compare_networks, cost, import_weights, load, net, resume, train
    from hyperplane.engine.loop import Interrupted
    from hyperplane.errors import UserError
    from hyperplane.recipe import Recipe

__version__ = "0.1.0"
__all__ = [
    "Interrupted",
    "Recipe",
    "Run",
    "UserError",
    "check",
    "compare",
    "compare_networks",
    "cost",
    "import_weights",
    "load",
    "net",
    "resume",
    "train",
]

_HOMES = {
    "Interrupted": "hyperplane.engine.loop",
    "Recipe": "hyperplane.recipe",
    "UserError": "hyperplane.errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'hyperplane' has no attribute '{name}'")
    return getattr(import_module(_HOMES.get(name, "hyperplane.api")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
