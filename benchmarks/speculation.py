"""How much faster a net writes with a draft that guesses ahead: `python -m benchmarks.speculation`.

A draft pays where a token of the net costs far more than one of the draft, and where the draft often guesses what the
net would write. Both depend on the nets, so weights drawn by chance would say nothing: two nets are trained on tiny
Shakespeare first, a large one for some minutes and a draft with a small part of its weights. Each prompt is a stretch
of the held-out text; with the draft and without take turns, text by text, through what `hyperplane generate` calls. The
same is measured for `small`, a net that the draft is hardly smaller than: there it can only cost.

Times are those of the processor on one thread (OMP_NUM_THREADS=1), which the results name: on a machine that does other
things besides, they tell what a text costs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import write
from hyperplane import api, data
from hyperplane.data.text import TextSource
from hyperplane.predict import generate
from hyperplane.predict.sampling import Sampling
from hyperplane.predict.smaller import Weights, smaller
from hyperplane.recipe import NetRecipe, Recipe, TrainingRecipe
from hyperplane.recipes.language import shakespeare

CONTEXT, PROMPT, TEXTS = 256, 32, 4
HELD_OUT = 0.02
"""Share of the plays: enough to tell the nets apart, and soon judged by the large one."""
NETS: dict[str, dict[str, int]] = {
    "draft": {"layers": 1, "width": 128, "heads": 4},
    "small": {"layers": 4, "width": 128, "heads": 4},
    "large": {"layers": 6, "width": 384, "heads": 6},
}
STEPS = {"draft": 600, "small": 400, "large": 200}
"""With 1,024 characters each."""
WRITERS: tuple[tuple[str, Weights], ...] = (("small", "float32"), ("large", "float32"), ("large", "int8"))
TEMPERATURES = (0.0, 0.8)


def recipe(name: str, steps: int) -> Recipe:
    """Return how a net is trained."""
    start = shakespeare()
    return replace(
        start,
        data=replace(start.data, validation=HELD_OUT, options={"context": CONTEXT}),
        net=NetRecipe("gpt-modern", {**NETS[name], "ngrams": 3}),
        training=TrainingRecipe(steps=steps, batch=4),
    )


def measured(run: api.Run, weights: Weights, draft: api.Run, prompts: list[str], how: Sampling) -> dict[str, Any]:
    """Return how fast a net writes alone and with a draft, and how many tokens the draft guessed."""
    writes = smaller(run.trained, weights)
    seconds, tokens = {"alone": 0.0, "with the draft": 0.0}, {"alone": 0, "with the draft": 0}
    guessed, same = 0, 0
    for number, prompt in enumerate(prompts):
        texts = []
        for way, guesses in (("alone", None), ("with the draft", draft.trained)):
            begun = time.process_time()
            (one,) = generate.generate(writes, [prompt], replace(how, seed=number), guesses)
            seconds[way] += time.process_time() - begun
            tokens[way] += one.tokens
            guessed += one.guessed
            texts.append(one.text)
        same += texts[0] == texts[1]
    return {
        "tokens per second": {way: tokens[way] / seconds[way] for way in seconds},
        "times as fast": tokens["with the draft"] / seconds["with the draft"] * seconds["alone"] / tokens["alone"],
        "share of the tokens that the draft guessed": guessed / tokens["with the draft"],
        **({"texts that are the same": f"{same} of {len(prompts)}"} if how.temperature == 0 else {}),
    }


def main() -> None:
    """Train, measure and write."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--share", type=float, default=1.0, help="of the steps of training")
    asked.add_argument("--tokens", type=int, default=CONTEXT - PROMPT)
    asked.add_argument("--runs", type=Path, help="where the nets are kept, to measure again")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: trained(name, given.share, given.runs or Path(folder)) for name in NETS}
        source = data.open(runs["large"].recipe.data)
        assert isinstance(source, TextSource), "the recipe reads text"
        count = source.description.splits["validation"]
        window_BT = source.batch("validation", [k * count // TEXTS for k in range(TEXTS)])["token_BT"]
        prompts = [source.vocabulary.decode(token_T[:PROMPT].tolist()) for token_T in window_BT]
        found: dict[str, Any] = {}
        for name, weights in WRITERS:
            for temperature in TEMPERATURES:
                how = Sampling(given.tokens, temperature)
                found[f"{name}, {weights}, temperature {temperature:g}"] = one = measured(
                    runs[name], weights, runs["draft"], prompts, how
                )
                print(name, weights, temperature, one, flush=True)
        nets = {
            name: {
                "weights": sum(p.numel() for p in run.net.parameters()),
                "weights beside tables of tokens": sum(p.numel() for p in run.net.parameters())
                - sum(part.weight.numel() for part in run.net.modules() if isinstance(part, torch.nn.Embedding)),
                "validation loss": run.metrics["loss"].value,
                "steps": run.recipe.training.steps,
            }
            for name, run in runs.items()
        }
    write("speculation", {"threads": torch.get_num_threads(), "nets": nets, "writing": found})


def trained(name: str, share: float, runs: Path) -> api.Run:
    """Return a trained net, the one that is there or a new one."""
    if not (runs / name / "manifest.json").is_file():
        api.run_recipe(recipe(name, max(1, round(share * STEPS[name]))), runs=runs, name=name, explained=False)
    return api.load(runs / name)


if __name__ == "__main__":
    main()
