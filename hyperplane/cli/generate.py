"""Write text with a trained language model."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import tyro

from hyperplane.cli.blocks.arguments import parse
from hyperplane.errors import UserError

DESCRIPTION = """Write text with a trained language model.

$ hyperplane generate runs/tiny-shakespeare --prompt "ROMEO:"
$ hyperplane generate runs/tiny-shakespeare --prompt "To be" --temperature 0 --tokens 100
$ hyperplane generate runs/tiny-shakespeare --prompt "KING:" "QUEEN:" --top-p 0.9 --stop "KING" --json
$ hyperplane generate runs/gpt2 --prompt "Once upon a time" --weights int8 --draft runs/small"""


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
    weights: Literal["float32", "bfloat16", "int8"] = "float32"
    """Of linear maps, in memory: fewer bytes take less time, and the text may differ; how much is told."""
    draft: Path | None = None
    """A run folder of a smaller model of the same vocabulary, which guesses ahead: greedily the text is the same, and
    what is drawn has the same probabilities."""
    json: bool = False
    """Write one JSON object a line: prompt, text, tokens, and whether it was stopped."""


def main(arguments: list[str]) -> int:
    """Generate, and return the exit status."""
    asked = parse(Generate, "generate", arguments, description=DESCRIPTION)

    from hyperplane import predict
    from hyperplane.cli.blocks.screen import write_line
    from hyperplane.predict import generate, smaller
    from hyperplane.predict.sampling import Sampling

    how = Sampling(asked.tokens, asked.temperature, asked.top_k, asked.top_p, asked.seed, asked.stop)
    trained = predict.load(asked.run)
    draft = predict.load(asked.draft) if asked.draft else None
    if not asked.prompt:
        raise UserError('generate --prompt: found no text; type: --prompt "Once", or leave it out')
    if draft is not None:
        generate.expect_alike(trained, draft)
    for note in generate.notes(trained, asked.prompt):
        print(f"note: {note}", file=sys.stderr)
    writes = smaller.smaller(trained, asked.weights)
    written: list[generate.Written] = []
    if asked.json or len(asked.prompt) != 1:
        written = generate.generate(writes, asked.prompt, how, draft)
        for number, one in enumerate(written, 1):
            said = {"prompt": one.prompt, "text": one.text, "tokens": one.tokens, "stopped": one.stopped}
            write_line(json.dumps(said) if asked.json else f"--- {number}\n{one.prompt}{one.text}")
    else:
        sys.stdout.write(asked.prompt[0])
        for one in generate.stream(writes, asked.prompt[0], how, draft):
            sys.stdout.write(one.text)
            sys.stdout.flush()
            written.append(replace(one, text=(written.pop().text if written else "") + one.text))
        write_line("")
    if draft is not None:
        guessed, tokens = sum(one.guessed for one in written), sum(one.tokens for one in written)
        print(f"note: Of {tokens:,} token{'s' * (tokens != 1)} the draft guessed {guessed:,} rightly.", file=sys.stderr)
    if asked.weights != "float32":
        found = smaller.compare(trained, writes, "".join(one.prompt + one.text for one in written))
        told = found or "not compared with float32: neither data nor text enough"
        print(f"note: {asked.weights} weights: {told}.", file=sys.stderr)
    return 0
