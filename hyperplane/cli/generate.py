"""Write text with a trained language model."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from hyperplane.cli.blocks.arguments import parse

DESCRIPTION = """Write text with a trained language model.

$ hyperplane generate runs/tiny-shakespeare --prompt "ROMEO:"
$ hyperplane generate runs/tiny-shakespeare --prompt "To be" --temperature 0 --tokens 100
$ hyperplane generate runs/tiny-shakespeare --prompt "KING:" "QUEEN:" --top-p 0.9 --stop "KING" --json"""


@dataclass(frozen=True)
class Generate:
    """What goes on, and how."""

    run: tyro.conf.Positional[Path]
    """A run folder."""
    prompt: tuple[str, ...] = ("",)
    """What the text begins with; of several, each is gone on from. What the net cannot read at once, it reads the end
    of."""
    tokens: int = 256
    """How many tokens follow, at most."""
    temperature: float = 0.8
    """What logits are divided by: lower is surer, and 0 always takes the likeliest token."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens."""
    top_p: float | None = None
    """Draw from the fewest likeliest tokens whose probabilities sum to this, in (0, 1]."""
    seed: int = 0
    """Of what is drawn; further prompts count on from it."""
    stop: tuple[str, ...] = ()
    """Texts before the first of which the text ends."""
    json: bool = False
    """Write one JSON object a line: prompt, text, tokens, and whether it was stopped."""


def main(arguments: list[str]) -> int:
    """Generate, and return the exit status."""
    asked = parse(Generate, "generate", arguments, description=DESCRIPTION)

    from hyperplane import predict
    from hyperplane.cli.blocks.screen import write_line
    from hyperplane.predict import generate

    how = generate.Sampling(asked.tokens, asked.temperature, asked.top_k, asked.top_p, asked.seed, asked.stop)
    trained = predict.load(asked.run)
    for note in generate.notes(trained, asked.prompt):
        print(f"note: {note}", file=sys.stderr)
    if asked.json:
        for one in generate.generate(trained, asked.prompt, how):
            said = {"prompt": one.prompt, "text": one.text, "tokens": one.tokens, "stopped": one.stopped}
            write_line(json.dumps(said))
    elif len(asked.prompt) == 1:
        for piece in itertools.chain(asked.prompt, generate.stream(trained, asked.prompt[0], how)):
            sys.stdout.write(piece)
            sys.stdout.flush()
        write_line("")
    else:
        for number, one in enumerate(generate.generate(trained, asked.prompt, how), 1):
            write_line(f"--- {number}\n{one.prompt}{one.text}")
    return 0
