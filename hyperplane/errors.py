"""The one error that users see, and the nearest word to the one they typed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something the user can put right: says what was found, what was expected, and what to type next, on one line."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return a clause that suggests the choice nearest to `word`, or lists them all where none is near."""
    choices = sorted(set(choices))
    lowered = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{lowered[near[0]]}'?"
    return f"there is: {', '.join(choices)}" if choices else "there is none"
