"""Animal or not: 60 images, one each second, and how many steps of feedback a net takes to decide.

The net is the one with feedback in the manner of CORnet (`nets/cornet.py`); its step of time is one pass of feedback.
It learns from the training pictures of tiny-imagenet-20, ten classes of animals and ten of other things, and is judged
on those that are held out. Where steps are told as milliseconds, it is assumed that one step is one loop of the 60 ms
that the lecture quotes for the brain's recurrent circuit; nothing here measures that.

Shape suffixes: N images, T steps of time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from hyperplane import api
from hyperplane.contracts import Source
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Picture, Skipped, Spread, Table
from hyperplane.recipe import AugmentRecipe, DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TrainingRecipe
from hyperplane.runs import atomic

DATA = "tiny-imagenet-20"
ANIMALS = (
    "african-elephant", "bison", "bullfrog", "golden-retriever", "goldfish", "king-penguin", "ladybug", "lion",
    "monarch-butterfly", "tabby-cat",
)  # fmt: skip
OTHERS = (
    "banana", "computer-keyboard", "lighthouse", "pizza", "school-bus", "seashore", "sports-car", "steel-arch-bridge",
    "teapot", "umbrella",
)  # fmt: skip
SHOWN, EVERY = 60, 1.0
"""Images of the protocol, half of them with an animal, and seconds between two."""
DRAWS = 200
LOOP = 0.06
"""Seconds of the brain's recurrent circuit, as the lecture quotes them; assumed to be one step of the net."""
SURE = 0.9
"""Probability at which the net decides."""
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
STEPS = 5
SIDE = 32
FULL, HORIZONTAL, FEEDBACK, SWEEP, WIDE = (
    "all pathways", "no feedback", "no horizontal", "one sweep", "one sweep, wider",
)  # fmt: skip


@dataclass(frozen=True)
class Decisions:
    """What a net says of the held-out images after each step."""

    probability_TN: np.ndarray
    """That it is an animal."""
    animal_N: np.ndarray

    @property
    def right_T(self) -> np.ndarray:
        """Return the share that is right where it must decide after each step, in %."""
        return 100 * ((self.probability_TN > 0.5) == self.animal_N).mean(axis=1)

    def step_N(self, sure: float) -> np.ndarray:
        """Return the step, from 1, at which the net is sure of each image, or the last."""
        sure_TN = np.maximum(self.probability_TN, 1 - self.probability_TN) >= sure
        sure_TN[-1] = True
        return 1 + sure_TN.argmax(axis=0)

    def right_N(self, sure: float) -> np.ndarray:
        """Return whether the decision that is taken at that step is right."""
        said_N = self.probability_TN[self.step_N(sure) - 1, np.arange(len(self.animal_N))] > 0.5
        return said_N == self.animal_N


def decide(budget: Budget) -> Outcome:
    """Train nets with all pathways, with some, and with feed-forward ones alone, and let them decide step by step."""
    place = _linked(budget)
    nets = _nets(budget)
    recipes = {name: [_recipe(budget, place, net, s) for s in range(budget.choose(full=3, quick=1, least=1))]
               for name, net in nets.items()}  # fmt: skip
    runs = {
        name: [budget.train(f"{name.replace(', ', '-').replace(' ', '-')}-{s}", r) for s, r in enumerate(held)]
        for name, held in recipes.items()
    }
    source = budget.source(recipes[FULL][0].data)
    said = {name: [_decisions(run.net, source) for run in held] for name, held in runs.items()}
    right = {name: np.array([d.right_T for d in held]).T for name, held in said.items()}
    full, last = said[FULL], {name: value_TS[-1] for name, value_TS in right.items()}
    sixty = np.array([_sixty(d, seed) for seed, d in enumerate(full)])
    step = [d.step_N(SURE) for d in full]
    correct = [d.right_N(SURE) for d in full]
    mean_step = float(np.mean(step))
    slow = np.array([s[~r].mean() - s[r].mean() if (~r).any() else 0.0 for s, r in zip(step, correct, strict=True)])
    of_correct, of_wrong = (
        float(np.mean(np.concatenate([s[r == wanted] for s, r in zip(step, correct, strict=True)])))
        for wanted in (True, False)
    )
    cut = {part: [_cut(run.net, source, part) for run in runs[FULL]] for part in ("horizontal", "feedback")}
    held_out, taken = len(full[0].animal_N), _taken(runs[FULL][0].net, source)
    command = typed(recipes[FULL][0])
    gained = last[FULL] - np.maximum(last[SWEEP].mean(), last[WIDE].mean())
    findings = (
        Finding(
            "brains-pathways",
            budget.judged(min(changed for held in cut.values() for changed, _ in held) > 0),
            "The net has all three, and they matter to it: without its horizontal connections a trained net changes "
            f"its mind about {np.mean([c for c, _ in cut['horizontal']]):.0f}% of the images and is right for "
            f"{np.mean([r for _, r in cut['horizontal']]):.0f}%, without feedback {_percent(cut['feedback'], 0)} and "
            f"{_percent(cut['feedback'], 1)}; whole, {last[FULL].mean():.0f}%. Of the monkey nothing was measured.",
            Spread.of([changed for changed, _ in cut["feedback"]]),
            "% of decisions that change without feedback",
            command,
        ),
        Finding(
            "brains-images",
            budget.judged(float(np.quantile(sixty, 0.05)) > SHOWN / 2),
            f"{SHOWN // 2} with an animal and {SHOWN // 2} without, drawn {DRAWS} times from {held_out:,} that are "
            f"held out: the net is right for {np.mean(sixty):.1f} of {SHOWN} in the mean, {_ends(sixty)} in nine of "
            f"ten draws; by guessing, {SHOWN // 2}.",
            Spread.of([SHOWN]),
        ),
        Finding(
            "brains-rate",
            budget.judged(taken < EVERY),
            f"One image is shown each second. The net's {STEPS} steps take {1000 * taken:.0f} ms on this machine; if "
            f"a step is a loop of {1000 * LOOP:.0f} ms, which we assume and do not measure, "
            f"{1000 * STEPS * LOOP:.0f} ms.",
            Spread.of([1 / EVERY]),
        ),
        Finding(
            "brains-reaction",
            budget.judged(slow.mean() > 0),
            f"Deciding when it is {100 * SURE:.0f}% sure, or after {STEPS} steps, the net takes {mean_step:.2f} steps "
            f"in the mean ({1000 * LOOP * mean_step:.0f} ms if a step is {1000 * LOOP:.0f} ms), {of_correct:.2f} where "
            f"it is right and {of_wrong:.2f} where it is wrong; {100 * np.mean(np.concatenate(step) == 1):.0f}% are "
            "decided at once.",
            Spread.of([float(s.mean()) for s in step]),
            "steps to a decision",
            command,
        ),
        Finding(
            "brains-recurrent",
            budget.judged(gained.mean() > 0 and right[FULL][-1].mean() > right[FULL][0].mean()),
            f"After 1 to {STEPS} steps the nets with all pathways are right for "
            f"{', '.join(f'{v:.1f}' for v in right[FULL].mean(axis=1))}% of the images. Nets of a single feed-forward "
            f"sweep reach {last[SWEEP].mean():.1f}%, wider ones of as many weights {last[WIDE].mean():.1f}%; "
            f"horizontal connections without feedback {last[HORIZONTAL].mean():.1f}%, feedback without them "
            f"{last[FEEDBACK].mean():.1f}%.",
            Spread.of(gained.tolist()),
            "percentage points ahead of the better feed-forward net",
            command,
        ),
    )
    about = (
        f"Nets in the manner of CORnet, {STEPS} steps of time, learn animal or not from "
        f"{source.description.splits['train']:,} pictures of {SIDE} × {SIDE} pixels; {held_out:,} are held out, half "
        "of them with an animal."
    )
    pictures = (_by_steps(budget, right), _by_time(budget, said), _gallery(budget, source, full[0]))
    return Outcome(findings, about, pictures, (_table(said, runs),))


def _linked(budget: Budget) -> Path:
    """Return a folder of two classes, animal and other, made of links to the pictures; raises Skipped without them."""
    held = os.environ.get("HYPERPLANE_DATA")
    root = Path(held or ".", DATA)
    if not held or not all((root / part / name).is_dir() for part in ("train", "val") for name in (*ANIMALS, *OTHERS)):
        raise Skipped(f"{DATA}: its class folders are not there; put them into the folder that HYPERPLANE_DATA names")
    most = budget.choose(full=(None, None), quick=(60, 25), least=(8, 4))
    folder = budget.folder.of(budget.size, "data") / "animals"
    for group, names in (("animal", ANIMALS), ("other", OTHERS)):
        for (part, called), count in zip((("train", "train"), ("val", "test")), most, strict=True):
            place = folder / called / group
            with atomic.explained(place):
                place.mkdir(parents=True, exist_ok=True)
                for name in names:
                    for file in sorted((root / part / name).iterdir())[:count]:
                        link = place / f"{name}-{file.name}"
                        if not link.exists():
                            link.unlink(missing_ok=True)
                            link.symlink_to(file.resolve())
    return folder


def _nets(budget: Budget) -> dict[str, NetRecipe]:
    """Return the nets: with all pathways, without one, and of one sweep, as wide and with about as many weights."""
    widths = budget.choose(full=(16, 32, 64, 128), quick=(8, 16, 32, 64), least=(4, 4, 4, 4))
    wide = budget.choose(full=(28, 56, 112, 226), quick=(14, 28, 56, 114), least=(8, 8, 8, 8))
    return {
        FULL: NetRecipe("cornet", {"widths": list(widths), "steps": STEPS}),
        HORIZONTAL: NetRecipe("cornet", {"widths": list(widths), "steps": STEPS, "feedback": False}),
        FEEDBACK: NetRecipe("cornet", {"widths": list(widths), "steps": STEPS, "horizontal": False}),
        SWEEP: NetRecipe("cornet", {"widths": list(widths), "steps": 1}),
        WIDE: NetRecipe("cornet", {"widths": list(wide), "steps": 1}),
    }


def _recipe(budget: Budget, place: Path, net: NetRecipe, seed: int) -> Recipe:
    return Recipe(
        data=DataRecipe(source=str(place), size=SIDE),
        net=net,
        optimizer=OptimizerRecipe("adamw", learning_rate=2e-3, weight_decay=0.05),
        augment=AugmentRecipe(flip=True, shift=3),
        training=TrainingRecipe(epochs=budget.choose(full=12, quick=4, least=1), batch=64),
        seed=seed,
    )


@torch.no_grad()
def _decisions(net: nn.Module, source: Source) -> Decisions:
    """Return what a net says of the test images after each of its steps."""
    count = source.description.splits["test"]
    sign = 1 if source.description.classes.index("animal") == 1 else -1
    probability: list[np.ndarray] = []
    animal: list[np.ndarray] = []
    for first in range(0, count, 100):
        batch, taps = source.batch("test", range(first, min(first + 100, count))), {}
        net(batch["image_BCHW"], taps)
        steps = sum(name.startswith("output") for name in taps)
        logit_TB = torch.stack([taps[f"output{t}"][:, 0] for t in range(1, steps + 1)])
        probability.append((sign * logit_TB).sigmoid().numpy())
        animal.append((batch["label_B"] == source.description.classes.index("animal")).numpy())
    return Decisions(np.concatenate(probability, axis=1), np.concatenate(animal))


@torch.no_grad()
def _taken(net: nn.Module, source: Source) -> float:
    """Return how many seconds a net takes for one image: the median of some."""
    times: list[float] = []
    for index in range(source.description.splits["test"])[:30]:
        image_BCHW, begun = source.batch("test", [index])["image_BCHW"], time.perf_counter()
        net(image_BCHW)
        times.append(time.perf_counter() - begun)
    return float(np.median(times))


def _sixty(decisions: Decisions, seed: int) -> np.ndarray:
    """Return how many of SHOWN images are right when it decides as it is sure, in each of DRAWS draws."""
    chance, right_N = np.random.default_rng(seed), decisions.right_N(SURE)
    groups = [np.flatnonzero(decisions.animal_N == wanted) for wanted in (True, False)]
    return np.array([
        sum(int(right_N[chance.choice(group, min(SHOWN // 2, len(group)), replace=False)].sum()) for group in groups)
        for _ in range(DRAWS)
    ])  # fmt: skip


@torch.no_grad()
def _cut(net: nn.Module, source: Source, pathway: str) -> tuple[float, float]:
    """Return the share of a net's last decisions that change without a pathway, and that are then right, in %."""
    whole = _decisions(net, source)
    weights = [p for name, p in net.named_parameters() if name.split(".")[1] == pathway]
    kept = [weight.clone() for weight in weights]
    for weight in weights:
        weight.zero_()
    without = _decisions(net, source)
    for weight, value in zip(weights, kept, strict=True):
        weight.copy_(value)
    changed = (whole.probability_TN[-1] > 0.5) != (without.probability_TN[-1] > 0.5)
    return 100 * float(changed.mean()), float(without.right_T[-1])


def _by_steps(budget: Budget, right: dict[str, np.ndarray]) -> Picture:
    steps = range(1, STEPS + 1)
    sweep = float(right[WIDE].mean())
    return budget.draw(
        "steps",
        figures.series(
            {name: (steps, right[name]) for name in (FULL, HORIZONTAL, FEEDBACK)},
            ("steps of time allowed", "images right, %"),
            "Animal or not, against the time allowed",
            reference=(WIDE, steps, [sweep] * STEPS),
            ticks=steps,
        ),
        "Accuracy against the steps allowed, the first being one feed-forward sweep: median and range over the seeds",
    )


def _by_time(budget: Budget, said: dict[str, list[Decisions]]) -> Picture:
    lines: dict[str, tuple[Sequence[float], np.ndarray]] = {}
    for name in (FULL, HORIZONTAL, FEEDBACK):
        waited = [float(np.mean([d.step_N(sure) for d in said[name]])) for sure in THRESHOLDS]
        lines[name] = (waited, 100 * np.array([[d.right_N(sure).mean() for d in said[name]] for sure in THRESHOLDS]))
    drawn = figures.series(lines, ("mean reaction time, steps", "images right, %"), "Speed against accuracy")
    return budget.draw("speed", drawn, "The surer the net must be before it decides, the later and the better")


def _gallery(budget: Budget, source: Source, decisions: Decisions) -> Picture:
    """Draw images that were decided at once, and images that took longest."""
    step_N, right_N = decisions.step_N(SURE), decisions.right_N(SURE)
    order_N = np.lexsort((-np.abs(decisions.probability_TN[-1] - 0.5), step_N))
    rows: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name, chosen in (("soonest", order_N), ("latest", order_N[::-1])):
        picked = [*chosen[decisions.animal_N[chosen]][:3], *chosen[~decisions.animal_N[chosen]][:3]]
        rows[name] = [
            (f"step {step_N[i]}, {'right' if right_N[i] else 'wrong'}",
             np.asarray(Image.fromarray(np.asarray(source.show("test", int(i)))).convert("L")))
            for i in picked
        ]  # fmt: skip
    columns = ("animal", "", "", "no animal", "", "")
    return budget.draw("images", figures.photographs(rows, columns), "Decided soonest, and latest", wide=True)


def _table(said: dict[str, list[Decisions]], runs: dict[str, list[api.Run]]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, held in said.items():
        right_T = np.mean([d.right_T for d in held], axis=0)
        seconds = np.mean([run.history[-1]["seconds"] for run in runs[name]])
        weights = sum(p.numel() for p in runs[name][0].net.parameters())
        steps = [f"{value:.1f}" for value in right_T] + ["–"] * (STEPS - len(right_T))
        rows.append((name, f"{weights:,}", *steps, f"{seconds:.0f} s"))
    columns = ("net", "weights", *(f"step {t}" for t in range(1, STEPS + 1)), "time")
    return Table(f"Images right after each step, % (mean of {len(said[FULL])})", columns, tuple(rows))


def _percent(cut: list[tuple[float, float]], which: int) -> str:
    return f"{np.mean([pair[which] for pair in cut]):.0f}%"


def _ends(counts: np.ndarray) -> str:
    low, high = np.quantile(counts, [0.05, 0.95])
    return f"{low:.0f} to {high:.0f}"
