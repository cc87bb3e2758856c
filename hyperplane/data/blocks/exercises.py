"""Exercises that a program makes up, answers and checks: addition, sorting, and countdown with three numbers.

In countdown (the numbers round of the television game) the three numbers, each once, are to give the target by sums,
differences, products and quotients: `3 7 5=50:` is answered by `(3+7)*5`, among others. An exercise has a place in
[0, 1) that depends on what it asks alone: the same sum in the other order, the same digits to sort, the same numbers
and target have the same place. Who holds out a range of places holds out the same exercises in every run.
"""

from __future__ import annotations

import ast
import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

ALPHABET = "\n ()*+-/0123456789:=>"
"""Every character of any exercise, so that a net that was trained on one can go on with another."""
LONGEST = 64
"""Characters of an expression that is still read."""
SIGNS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


@dataclass(frozen=True)
class Exercise:
    """A question, and an answer that is right."""

    prompt: str
    answer: str
    asks: str
    """What is asked for, whatever the order in which it is said."""

    @property
    def place(self) -> float:
        """Return its place in [0, 1)."""
        return int.from_bytes(hashlib.blake2b(self.asks.encode(), digest_size=6).digest(), "big") / 2**48


@dataclass(frozen=True)
class Kind:
    """One kind of exercise."""

    digits: int
    """Where nothing is asked for: digits of each number; in sorting, how many there are to sort."""
    draw: Callable[[int, random.Random], Exercise]
    check: Callable[[str, str, str], bool]
    """Says of a prompt, an answer and the answer that is known to be right whether the answer is right."""


def drawn(kind: str, digits: int | None, seed: int) -> Iterator[Exercise]:
    """Yield exercises without end, drawn from a seed; the same one may come again."""
    made, chance = KINDS[kind], random.Random(seed)
    while True:
        yield made.draw(digits or made.digits, chance)


def right(kind: str | None, prompt: str, answer: str, expected: str) -> bool:
    """Say whether an answer is right: by the check of its kind of exercise, or where it is of none, as expected."""
    return answer == expected if kind is None else KINDS[kind].check(prompt, answer, expected)


def _addition(digits: int, chance: random.Random) -> Exercise:
    a, b = (chance.randrange(10 ** (digits - 1), 10**digits) for _ in range(2))
    return Exercise(f"{a}+{b}=", str(a + b), f"{min(a, b)}+{max(a, b)}")


def _sorting(digits: int, chance: random.Random) -> Exercise:
    found = [chance.choice("0123456789") for _ in range(digits)]
    answer = "".join(sorted(found))
    return Exercise("".join(found) + ">", answer, answer)


def _countdown(digits: int, chance: random.Random) -> Exercise:
    """Draw numbers and an expression of them, whole at each step, that is worth 1 to a digit more than they have."""
    most = 10 ** (digits + 1)
    while True:
        a, b, c = (chance.randrange(10 ** (digits - 1), 10**digits) for _ in range(3))
        inner, outer, first = chance.choice("+-*/"), chance.choice("+-*/"), chance.random() < 0.5
        value = _whole(_whole(a, inner, b), outer, c) if first else _whole(a, outer, _whole(b, inner, c))
        if value is not None and 0 < value < most:
            answer = f"({a}{inner}{b}){outer}{c}" if first else f"{a}{outer}({b}{inner}{c})"
            shown = [a, b, c]
            chance.shuffle(shown)
            prompt = f"{shown[0]} {shown[1]} {shown[2]}={value:0{digits + 1}d}:"
            return Exercise(prompt, answer, f"{sorted(shown)}={value}")


def _whole(a: int | None, sign: str, b: int | None) -> int | None:
    """Return a sum, difference, product or quotient; None where it is not whole, or a part of it is not."""
    if a is None or b is None:
        return None
    if sign == "/":
        return a // b if b and a % b == 0 else None
    return a + b if sign == "+" else a - b if sign == "-" else a * b


def _counts_down(prompt: str, answer: str, expected: str) -> bool:
    numbers, _, target = prompt.removesuffix(":").partition("=")
    value = _value(answer)
    if value is None or not target.isdecimal() or value != int(target):
        return False
    used = "".join(c if c.isdecimal() else " " for c in answer).split()
    return sorted(used) == sorted(numbers.split())


def _value(expression: str) -> Fraction | None:
    """Return what an expression of whole numbers, + - * / and brackets is worth; None where it is none, or has none."""
    if len(expression) > LONGEST or not set(expression) <= set("0123456789+-*/()"):
        return None
    try:
        return _worth(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError):
        return None


def _worth(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int(number)):
            return Fraction(number)
        case ast.BinOp(left, sign, right) if type(sign) in SIGNS:
            return SIGNS[type(sign)](_worth(left), _worth(right))
    raise ValueError("is no sum, difference, product or quotient")


def _as_expected(prompt: str, answer: str, expected: str) -> bool:
    return answer == expected


KINDS: dict[str, Kind] = {
    "addition": Kind(3, _addition, _as_expected),
    "sorting": Kind(8, _sorting, _as_expected),
    "countdown": Kind(1, _countdown, _counts_down),
}
