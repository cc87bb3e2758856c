"""Language models, in small: the next token again and again, how far back one looks, and how much text it takes.

Shape suffixes: B texts, T tokens, D features, H heads.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane import api
from hyperplane.data.text import TextSource
from hyperplane.engine.chance import generator, seeded
from hyperplane.engine.muon import Muon
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.nets.gpt import GPT
from hyperplane.recipe import Recipe
from hyperplane.recipes.language import shakespeare_quick
from hyperplane.runs import atomic
from hyperplane.tasks.language import Language

DATA = "tiny-shakespeare"
PROMPTS = ("ROMEO:", "What is", "The ")
LETTERS = 10
"""Symbols of the rows whose marked one is asked for; one more marks it, and one more asks."""
SPAN = 48
"""Tokens of such a row, so that what is asked for lies 2 to 46 of them back."""
GROWTH = 8
"""How many times as much text each net of `corpus` learns from than the one before."""
NEVER = 10_000
"""Epochs between two looks at the held-out text that are more than any net here has: it is looked at in the end."""


def words(budget: Budget) -> Outcome:
    """Train small language models on Shakespeare's plays, and let them go on from a prompt."""
    seeds = range(budget.choose(full=2, quick=1, least=1))
    steps = budget.choose(full=600, quick=220, least=3)
    runs = [budget.train(f"plays-{seed}", _recipe(DATA, steps, seed)) for seed in seeds]
    source = budget.source(_recipe(DATA, steps, 0).data)
    assert isinstance(source, TextSource), "the recipe reads text"
    commonest = _commonest(source)
    right = [100 * run.metrics["accuracy"].value for run in runs]
    asked = budget.choose(full=400, quick=200, least=8)
    texts = [str(run.generate(PROMPTS[0], tokens=asked, temperature=0.5)) for run in runs]
    known = set(_words(source.vocabulary.decode(source.tokens["train"].tolist())))
    spelt = [100 * np.mean([word in known for word in _words(text)[1:-1]] or [0.0]) for text in texts]
    again = all(_iterated(run, prompt, 40) == run.generate(prompt, tokens=40, temperature=0) for run in runs
                for prompt in PROMPTS)  # fmt: skip
    told = [str(runs[0].generate(prompt, tokens=70, temperature=0.5)) for prompt in PROMPTS]
    said = tuple((prompt, " ".join(text.split())) for prompt, text in zip(PROMPTS, told, strict=True))
    finding = Finding(
        "transformers-next-word",
        budget.judged(again and min(right) > 2 * commonest and min(spelt) > 75),
        "What the command generates is, token for token, what a loop gives that feeds the net prompt and text so far, "
        f"and adds the token that it holds likeliest. Here a token is a character: of those held out it guesses "
        f"{np.mean(right):.1f}% rightly, where who always says the commonest is right in {commonest:.1f}%; of the "
        f"words that it writes {np.mean(spelt):.0f}% are words of the plays.",
        Spread.of(right),
        "% of held-out characters guessed rightly",
        typed(_recipe(DATA, steps, 0)),
    )
    return Outcome((finding,), tables=(Table("What follows a prompt", ("prompt", "the net goes on"), said),))


def back(budget: Budget) -> Outcome:
    """Ask for a symbol that was marked anywhere in a row, and see whether distance matters and where the net looks."""
    seeds = range(budget.choose(full=3, quick=1, least=1))
    steps = budget.choose(full=300, quick=250, least=5)
    found = [_asked(seed, steps) for seed in seeds]
    share_D = np.array([right for right, _ in found])
    looked = [looked for _, looked in found]
    distances = np.arange(2, SPAN - 1)
    quarter = len(distances) // 4
    far, near = (100 * share_D[:, part].mean(1) for part in (slice(-quarter, None), slice(quarter)))
    picture = budget.draw(
        "back",
        figures.series(
            {"the net": (distances.tolist(), 100 * share_D.T)},
            ("tokens back to what is asked for", "answered rightly (%)"),
            "What was the marked symbol?",
            reference=("chance", [2, SPAN - 2], [100 / LETTERS] * 2),
        ),
        f"Rows of {SPAN} tokens; one symbol of {LETTERS} is marked, anywhere, and asked for at the end",
    )
    finding = Finding(
        "transformers-look-back",
        budget.judged(min(far) > 95 and min(near) > 95 and min(looked) > 0.9),
        f"Of a row's symbols one is marked, and asked for at the end. From the nearest quarter of the places "
        f"{near.mean():.1f}% of the answers are right, from the farthest {far.mean():.1f}% (chance: "
        f"{100 / LETTERS:.0f}%); and the distance at which the head looks that looks there most goes with the distance "
        f"of the marked one, with a correlation of {np.mean(looked):.2f}.",
        Spread.of(far.tolist()),
        "% of answers right from the farthest quarter of the places",
    )
    return Outcome((finding,), pictures=(picture,))


def corpus(budget: Budget) -> Outcome:
    """Train the same net for as many steps on ever more of the same text, and judge it on the same held-out part."""
    seeds = range(budget.choose(full=2, quick=1, least=1))
    steps = budget.choose(full=600, quick=200, least=3)
    parts = [GROWTH**-k for k in range(budget.choose(full=2, quick=2, least=1), -1, -1)]
    source = budget.source(_recipe(DATA, steps, 0).data)
    assert isinstance(source, TextSource), "the recipe reads text"
    train, held = (source.vocabulary.decode(source.tokens[part].tolist()) for part in ("train", "validation"))
    loss_PS: list[list[float]] = []
    gap: list[float] = []
    for part in parts:
        text = train[: int(part * len(train))]
        place = _written(budget, f"plays-{part:.4f}.txt", text + held)
        made = [
            replace(
                one,
                data=replace(one.data, validation=len(held) / len(text + held)),
                training=replace(one.training, evaluate_every=NEVER),  # an epoch of little text has a few steps
            )
            for one in (_recipe(str(place), steps, seed) for seed in seeds)
        ]
        runs = [budget.train(f"part-{part:.4f}-{one.seed}", one) for one in made]
        loss_PS.append([run.metrics["loss"].value for run in runs])
        gap.append(float(np.mean([run.metrics["loss"].value - _last_loss(run) for run in runs])))
    sizes = [part * len(train) / 1000 for part in parts]
    gained = np.array(loss_PS[0]) - np.array(loss_PS[-1])
    falls = all(a > b for a, b in zip(np.mean(loss_PS, 1)[:-1], np.mean(loss_PS, 1)[1:], strict=True))
    picture = budget.draw(
        "corpus",
        figures.series(
            {"held out": (sizes, np.array(loss_PS))},
            ("text that it learns from (thousands of characters)", "loss (nats a character)"),
            "What more text is worth",
            ("log", "linear"),
            ticks=[round(size) for size in sizes],
        ),
        f"The same net, {steps} steps each, on the first part of the plays; always judged by the same last tenth",
    )
    told = ", ".join(f"{np.mean(loss):.2f} with {size:,.0f}" for loss, size in zip(loss_PS, sizes, strict=True))
    finding = Finding(
        "transformers-corpus",
        budget.judged(falls),
        f"The same net, trained for as many steps, has a loss held out of {told} thousand characters. With the least "
        f"it is {gap[0]:.2f} nats worse held out than on what it learned from, with all {gap[-1]:.2f}. What is huge is "
        "not asked of a million characters; that every growth helps, is.",
        Spread.of(gained.tolist()),
        f"nats of held-out loss less with {GROWTH ** (len(parts) - 1)} times as much text",
    )
    return Outcome((finding,), pictures=(picture,))


def _recipe(source: str, steps: int, seed: int) -> Recipe:
    quick = shakespeare_quick()
    data = replace(quick.data, source=source)
    return replace(quick, data=data, training=replace(quick.training, steps=steps), seed=seed)


def _commonest(source: TextSource) -> float:
    """Return how much of the held-out text, in %, is the character that is commonest in what trains."""
    counts_K = torch.bincount(source.tokens["train"].long(), minlength=len(source.vocabulary))
    return 100 * float((source.tokens["validation"].long() == counts_K.argmax()).double().mean())


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


@torch.inference_mode()
def _iterated(run: api.Run, prompt: str, count: int) -> str:
    """Return a text by feeding the net prompt and text so far, and adding what it holds likeliest, again and again."""
    net, task = run.net, run.trained.model.task
    assert isinstance(net, GPT) and isinstance(task, Language), "the recipe trains one"
    token_T = torch.from_numpy(task.vocabulary.encode(prompt))
    for _ in range(count):
        token_T = torch.cat([token_T, net(token_T[None, -net.context :])[0, -1:].argmax(1)])
    return task.vocabulary.decode(token_T[-count:].tolist())


def rows(count: int, chance: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows of symbols (B, T), int64, what each asks for, (B,), and how far back that is, (B,), in tokens.

    In each a mark stands before one symbol, and the last token asks.
    """
    row_BT = torch.randint(LETTERS, (count, SPAN), generator=chance)
    row_BT[:, -1] = LETTERS + 1
    place_B = torch.randint(1, SPAN - 2, (count,), generator=chance)  # of the symbol; the mark is before it
    row_BT.scatter_(1, place_B[:, None] - 1, LETTERS)
    return row_BT, row_BT.gather(1, place_B[:, None])[:, 0], SPAN - 1 - place_B


def _asked(seed: int, steps: int) -> tuple[np.ndarray, float]:
    """Train a net to answer; return the share that is right by distance from 2 on, and how its look goes with it."""
    with seeded(seed, "back"):
        net = GPT(
            (SPAN,), LETTERS + 2, layers=2, width=64, heads=4, positions="rotary", qk_norm=True, scales=False,
            bias=False, zero_init=True, tied=False, nonlinearity="relu-squared",
        )  # fmt: skip
    optimizer = Muon(net, 0.02, 4e-3, 0.95)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * group["share"] * min(1.0, 2 * (1 - step / steps))
        row_BT, answer_B, _ = rows(128, generator(seed, "back", step))
        F.cross_entropy(net.logits(net.features(row_BT)[:, -1]), answer_B).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        row_BT, answer_B, distance_B = rows(4000, generator(seed, "back held out"))
        right_B = net.logits(net.features(row_BT)[:, -1]).argmax(1) == answer_B
        looks = torch.cat([layer[:, :, -1] for layer in net.attention(row_BT)], dim=1)
        there_H = looks.gather(2, (SPAN - 1 - distance_B)[:, None, None].expand(-1, looks.shape[1], 1)).mean((0, 2))
        looked_B = SPAN - 1 - looks[:, int(there_H.argmax())].argmax(1)
    share_D = [right_B[distance_B == distance].double().mean().item() for distance in range(2, SPAN - 1)]
    return np.array(share_D), float(np.corrcoef(looked_B.numpy(), distance_B.numpy())[0, 1])


def _last_loss(run: api.Run) -> float:
    """Return the mean loss of the last steps that were logged, in nats."""
    return next(record["loss"] for record in reversed(run.history) if record["kind"] == "step")


def _written(budget: Budget, name: str, text: str) -> Path:
    """Write a text among the data of this size, and return where it is."""
    place = budget.folder.of(budget.size, "data")
    with atomic.explained(place):
        place.mkdir(parents=True, exist_ok=True)
    atomic.write_text(place / name, text)
    return place / name
