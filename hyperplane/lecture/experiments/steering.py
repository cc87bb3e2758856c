"""A language model goes on after its training: by answers that people give, by choices that they make, by rewards.

Shape suffixes: N prompts, G answers to each, T tokens.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch

from hyperplane import api, recipes, tasks
from hyperplane.contracts import Source
from hyperplane.data.blocks import exercises
from hyperplane.engine.chance import generator
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Spread, Table
from hyperplane.nets.gpt import GPT
from hyperplane.recipe import DataRecipe, NetRecipe, Recipe, TaskRecipe
from hyperplane.tasks.answer import Answer
from hyperplane.tasks.blocks.writing import answer, sampled

CHOOSING, BETA = 300, 3.0
"""Steps of learning from choices, and how strongly they hold the net near its beginning: at DPO's usual 0.1 it forgets
sums while it learns to tell its answers apart. Of seed 0, which tells 41.0% at first, 150 steps left 27.0% with 0.1,
46.4% with 1 and 45.8% with 3; 300 steps with 3 made it 52.8%."""
TRIED = 8
"""Answers of a net to a prompt, of which a right and a wrong one make a choice."""


def guided(budget: Budget) -> Outcome:
    """Fine-tune a net on a few sums that people worked out, then by their choices, by more of the same, by a check."""
    seeds = range(budget.choose(full=2, quick=1, least=1))
    exact: dict[str, list[float]] = {}
    for seed in seeds:
        first = budget.train(f"answers-{seed}", sized(budget, "addition", seed))
        source = budget.source(first.recipe.data)
        rewarded = sized(budget, "addition_reward", seed, first)
        more = longer(rewarded, first.recipe.data)
        place = budget.folder.of(budget.size, "data") / f"choices-{seed}.jsonl"
        place.parent.mkdir(parents=True, exist_ok=True)
        chosen = chosen_of(first, budget.source(rewarded.data), seed, place)
        runs = {
            "a few answers": first,
            "the same answers for longer": budget.train(f"more-{seed}", more),
            "choices between its answers": budget.train(f"choices-{seed}", choosing(rewarded, place)),
            "a check of its answers": budget.train(f"reward-{seed}", rewarded),
        }
        for name, run in runs.items():
            exact.setdefault(name, []).append(100 * right(run, source))
        exact.setdefault("choices", []).append(chosen)
    counts = exact.pop("choices")
    table = Table(
        "Sums answered rightly, of those that no net was trained on, in %",
        ("trained on", "mean", "least", "greatest"),
        tuple((name, *(f"{v:.1f}" for v in (Spread.of(f).mean, min(f), max(f)))) for name, f in exact.items()),
    )
    given, more_given, choices, check = (Spread.of(found) for found in exact.values())
    finding = Finding(
        "transformers-guided",
        budget.judged(choices.mean > given.mean and check.mean > choices.mean and check.mean > more_given.mean),
        f"A net that learned sums from a few worked-out answers gives {given.mean:.1f}% rightly, and going on with "
        f"these {more_given.mean:.1f}%. {sum(counts) / len(counts):,.0f} choices between two of its own answers, as "
        f"people would make them, bring it to {choices.mean:.1f}%; a program that checks its answers, and nobody, to "
        f"{check.mean:.1f}%.",
        check,
        "% of sums right, by reward alone",
        typed(rewarded),
    )
    return Outcome((finding,), tables=(table,))


def sized(budget: Budget, named: str, seed: int, start: api.Run | None = None) -> Recipe:
    """Return a recipe of ours with another seed and start, and smaller for a smaller budget."""
    recipe = recipes.named(named)
    training = recipe.training
    if budget.size == "least":
        recipe = replace(recipe, data=replace(recipe.data, options={"samples": 64, "held_out": 16, "digits": 2}))
        training = replace(training, steps=60 if start is None else 4, batch=16)
    elif start is not None:
        training = replace(training, steps=budget.choose(full=500, quick=150, least=4))
    recipe = replace(recipe, training=training, seed=seed)
    if start is None:
        return recipe
    return replace(recipe, net=NetRecipe(start=str(start.path)))


def longer(reward: Recipe, given: DataRecipe) -> Recipe:
    """Return how the net goes on with answers that it was given, as many of them as a recipe lets it try."""
    steps, prompts, answers = reward.training.steps or 0, reward.training.batch or 0, reward.task.options["answers"]
    batch = min(prompts * answers, given.options["samples"])
    training = replace(reward.training, batch=batch, steps=steps * prompts * answers // batch, evaluate_every=100)
    return replace(reward, task=TaskRecipe("answer"), data=given, training=training)


def choosing(reward: Recipe, choices: Path) -> Recipe:
    """Return how the net is tuned by a file of choices instead."""
    training = replace(reward.training, steps=min(CHOOSING, reward.training.steps or 0), batch=32)
    return replace(
        reward,
        data=DataRecipe(source=str(choices), validation=0.0, test=0.0),
        task=TaskRecipe("preference", {"beta": BETA}),
        training=training,
    )


@torch.no_grad()
def chosen_of(run: api.Run, source: Source, seed: int, place: Path) -> int:
    """Write a right and a wrong answer of a net to each prompt of the training split; return how many there are.

    Prompts whose answers are all right or all wrong are left out, and answers without an end.
    """
    net, task = run.net, run.trained.model.task
    assert isinstance(net, GPT) and isinstance(task, Answer), "a run that answers"
    batch = source.batch("train", range(source.description.splits["train"]))
    pick = sampled(generator(seed, "choices"))
    said = answer(net, batch["token_BT"], batch["prompt_B"], task.end, pick, TRIED)
    lines = []
    for prompt, known, answer_GT in zip(task.asked(batch), task.said(batch["answer_BT"]), said.answer_NGT, strict=True):
        by_worth: dict[bool, str] = {}
        ended_GT = answer_GT[(answer_GT == task.end).any(1)]  # one that fills the net's context has no room for its end
        for text in task.said(ended_GT):
            by_worth.setdefault(exercises.right(task.exercise, prompt, text, known), text)
        if len(by_worth) == 2:
            lines.append(json.dumps({"prompt": prompt, "chosen": by_worth[True], "rejected": by_worth[False]}) + "\n")
    place.write_text("".join(lines), "utf-8")
    return len(lines)


@torch.no_grad()
def right(run: api.Run, source: Source) -> float:
    """Return the share of a source's held-out prompts that a run answers rightly, whatever it was trained on."""
    task = tasks.build("answer", source.description)
    assert isinstance(task, Answer)
    batch = source.batch("test", range(source.description.splits["test"]))
    task.eval()
    statistics = task.statistics(task.forward(run.net.eval(), batch), batch)
    return task.measure(statistics)["exact"]
