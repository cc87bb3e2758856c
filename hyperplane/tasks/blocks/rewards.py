"""Rewards: what an answer is worth, by the check of an exercise, or by a function of the user's own.

The function stands in a Python file that the user names, FILE.py:FUNCTION, and is called with the texts of the prompt,
of the answer, and of the answer that is known (or is empty); it returns a number. Its file is code: it is run by who
trains with it, and never by who loads a run.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path

from hyperplane.errors import UserError

Reward = Callable[[str, str, str], float]


def load(named: str) -> Reward:
    """Return a function that FILE.py:FUNCTION names, having run its file.

    What it then returns is checked: it raises UserError that names the sample where the function raises, or returns
    what is no finite number. Raises UserError where there is no such file or function.
    """
    file, _, function = named.rpartition(":")
    path = Path(file).expanduser()
    if not function.isidentifier() or path.suffix != ".py" or not path.is_file():
        raise UserError(
            f"task.reward: found '{named}', expected a Python file that is there and a function in it; type: "
            "--task.reward my_reward.py:score"
        )
    found = importlib.util.spec_from_file_location(f"reward_{path.stem}", path)
    assert found is not None and found.loader is not None, "it is a Python file"
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(f"{file}: cannot be run ({_told(error)}); correct it") from error
    score = getattr(module, function, None)
    if not callable(score):
        raise UserError(f"{file}: has no function {function}; name one of its own: --task.reward {file}:score")

    def checked(prompt: str, answer: str, expected: str) -> float:
        where = f"{named}: for the prompt {prompt!r} and the answer {answer!r}"
        try:
            value = score(prompt, answer, expected)
        except (Exception, SystemExit) as error:
            raise UserError(f"{where} it raised {_told(error)}; correct it, or let it return 0 there") from error
        try:
            number = float(value)  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError, RuntimeError, OverflowError):  # the last two: a tensor, a whole number too large
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"{where} it returned {value!r:.60}, expected a finite number; correct it")
        return number

    return checked


def _told(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]
