"""Images as functions I = f(x, y): the lecture's ten nets on photographs of 51 × 51, by 3,000 iterations of L-BFGS.

The lecture names neither image nor activation; ours are photographs that come with packages, and tanh, beside which two
of the nets are shown with other activations. What it calls loss is taken to be the share of the grey values' variance
that is left unexplained. A fit that has used up its iterations has not found its net's limit: its loss is an upper
bound. Shapes: H and W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from hyperplane import api, recipes
from hyperplane.explain.layers import layers
from hyperplane.explain.regions import regions
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.claims import Claim, load
from hyperplane.lecture.commands import typed
from hyperplane.lecture.experiments.perceptrons import WINDOW, random_net
from hyperplane.lecture.findings import Finding, Outcome, Picture, Skipped, Spread, Table, meets
from hyperplane.recipe import DataRecipe, OptimizerRecipe, Recipe, TrainingRecipe
from hyperplane.runs.records import USED_UP

PHOTOGRAPHS = ("photo-china", "photo-flower", "photo-hopper", "photo-camera")
NETS: tuple[tuple[int, ...], ...] = (
    (50,), (100,), (125,), (300,), (20, 20), (14, 14, 14), (15, 15, 15), (19, 19, 19), (10, 20, 10), (10, 20, 10, 10),
)  # fmt: skip
WEIGHTS = ((125,), (20, 20), (14, 14, 14), (15, 15, 15), (19, 19, 19), (10, 20, 10), (10, 20, 10, 10))
WITH_BYPASS = tuple(hidden for hidden in NETS if len(hidden) > 1)
EQUAL: tuple[tuple[int, ...], ...] = ((125,), (20, 20))
"""Nets of 501 weights each, of one layer and of two."""
ACTIVATIONS = ("relu", "sigmoid")
LATER = {"picture_siren": "SIREN 20-20", "picture_fourier": "24 Fourier features, 10"}
"""What came after: recipes of nets of 501 weights."""
SHOWN = ((125,), (20, 20), (14, 14, 14), (19, 19, 19))
SIDE = 51
Runs = dict[tuple[int, ...], list[api.Run]]
"""Of each net, by its widths, the run of each photograph."""
Named = dict[str, list[api.Run]]
"""The same, by what the net is called."""


def weights(budget: Budget) -> Outcome:
    """Count weights and pixels."""
    claims = {claim.id: claim for claim in load().claims}
    findings: list[Finding] = []
    for hidden in WEIGHTS:
        net = api.net("mlp", shape=(2,), classes=1, hidden=hidden)
        count = sum(p.numel() for p in net.parameters())
        widths = (2, *hidden, 1)
        sums = " + ".join(f"{n}·{m} + {m}" for n, m in pairwise(widths))
        claim = claims[f"mlp-weights-{'-'.join(map(str, hidden))}"]
        findings.append(
            Finding(claim.id, meets(claim, count), f"Counted in the net itself: {sums}.", Spread.of([count]))
        )
    pixels = budget.source(DataRecipe(source=PHOTOGRAPHS[0])).description.splits["train"]
    findings.append(
        Finding(
            "mlp-image-pixels",
            meets(claims["mlp-image-pixels"], pixels),
            "Counted in the data that the nets below learn from.",
            Spread.of([pixels]),
            command=f"hyperplane check {PHOTOGRAPHS[0]}",
        )
    )
    return Outcome(tuple(findings))


def fits(budget: Budget) -> Outcome:
    """Fit each net to each photograph, those of several layers with a bypass too, and two in other ways."""
    photographs = _photographs(budget)
    runs: Runs = {hidden: [budget.train(*_fit(budget, p, hidden)) for p in photographs] for hidden in NETS}
    bypass: Runs = {h: [budget.train(*_fit(budget, p, h, bypass=True)) for p in photographs] for h in WITH_BYPASS}
    adam: Runs = {h: [budget.train(*_by_adam(budget, p, h)) for p in photographs] for h in EQUAL}
    others: Named = {
        f"{_name(hidden)}, {activation}": [budget.train(*_fit(budget, p, hidden, activation)) for p in photographs]
        for hidden in EQUAL for activation in ACTIVATIONS
    }  # fmt: skip
    others |= {told: [budget.train(*_later(budget, p, name)) for p in photographs] for name, told in LATER.items()}
    claims = {claim.id: claim for claim in load().claims}
    findings = [
        _against_lecture(budget, claims[f"mlp-image-{_name(hidden)}"], hidden, held, bypass.get(hidden))
        for hidden, held in runs.items()
    ]
    findings += [_at_equal_weights(budget, runs, adam), _deeper(budget, runs)]
    rows = [
        (
            _name(hidden), claims[f"mlp-image-{_name(hidden)}"].value,
            {"ours": _unexplained(held)} | ({"with bypass": _unexplained(bypass[hidden])} if hidden in bypass else {}),
        )
        for hidden, held in runs.items()
    ]  # fmt: skip
    drawn = figures.beside(rows, "loss: share of the variance left unexplained", "Ten nets, and those with bypass")
    pictures = (
        budget.draw("losses", drawn, "A point for each photograph, and their median"),
        _gallery(budget, photographs, runs),
    )
    solved = [run for held in (runs, bypass, others) for some in held.values() for run in some]
    about = (
        f"Each net of tanh nodes was fitted by L-BFGS, from one or two sets of weights, to {len(photographs)} "
        f"photograph{'s' * (len(photographs) > 1)} of {SIDE} × {SIDE}. {_ended(solved)} The lecture names neither "
        "image, activation nor optimizer; its loss is taken to be the share of the variance left unexplained."
    )
    return Outcome(tuple(findings), about, pictures, (_table(photographs, runs, bypass, adam, others),))


def _photographs(budget: Budget) -> list[str]:
    """Return the photographs to fit: those whose packages are installed."""
    found: list[str] = []
    for name in PHOTOGRAPHS[: budget.choose(full=4, quick=1, least=1)]:
        try:
            budget.source(DataRecipe(source=name))
        except Skipped:
            if name == PHOTOGRAPHS[0]:
                raise
        else:
            found.append(name)
    return found


def _fit(
    budget: Budget, photograph: str, hidden: tuple[int, ...], activation: str = "tanh", *, bypass: bool = False
) -> tuple[str, Recipe]:
    """Return the name and the recipe of a fit: the named one, and for small budgets less of it."""
    recipe = recipes.named(f"picture_{'_'.join(map(str, hidden))}{'_bypass' * bypass}")
    name = f"{_name(hidden)}{'-bypass' * bypass}"
    if activation != "tanh":
        options = {**recipe.net.options, "activation": activation}
        recipe, name = replace(recipe, net=replace(recipe.net, options=options)), f"{name}-{activation}"
    return f"{photograph}-{name}", _sized(budget, recipe, photograph)


def _later(budget: Budget, photograph: str, name: str) -> tuple[str, Recipe]:
    """Return the name and the recipe of a fit by what came after."""
    return f"{photograph}-{name.removeprefix('picture_')}", _sized(budget, recipes.named(name), photograph)


def _sized(budget: Budget, recipe: Recipe, photograph: str) -> Recipe:
    """Return a recipe for a photograph, and for small budgets less of it."""
    recipe = replace(recipe, data=replace(recipe.data, source=photograph))
    if budget.size == "full":
        return recipe
    restarts, iterations, side = budget.choose(full=(0, 0, {}), quick=(1, 200, {}), least=(1, 1, {"side": 8}))
    return replace(
        recipe,
        data=replace(recipe.data, options=side),
        optimizer=replace(recipe.optimizer, restarts=restarts),
        training=replace(recipe.training, epochs=iterations),
    )


def _by_adam(budget: Budget, photograph: str, hidden: tuple[int, ...]) -> tuple[str, Recipe]:
    """Return the name and the recipe of the same fit by AdamW, for 1,000 passes over the pixels."""
    recipe = replace(
        _fit(budget, photograph, hidden)[1],
        optimizer=OptimizerRecipe("adamw", learning_rate=0.01, weight_decay=0.0),
        training=TrainingRecipe(epochs=budget.choose(full=1000, quick=30, least=1)),
    )
    return f"{photograph}-{_name(hidden)}-adamw", recipe


def _against_lecture(
    budget: Budget, claim: Claim, hidden: tuple[int, ...], runs: list[api.Run], bypass: list[api.Run] | None
) -> Finding:
    ours = Spread.of(_unexplained(runs), "photographs")
    assert claim.value is not None
    ratio = claim.value / ours.median
    told = f"{ratio:.2g} times less than" if ratio > 1.05 else f"{1 / ratio:.2g} times" if ratio < 0.95 else "about"
    also = f" With a bypass {np.median(_unexplained(bypass)):.3g}." if bypass else ""
    return Finding(
        claim.id,
        budget.judged(meets(claim, ours.median)),
        f"In the median {told} the lecture's loss.{also}",
        ours,
        "of the variance",
        typed(_fit(budget, PHOTOGRAPHS[0], hidden)[1]),
    )


def _at_equal_weights(budget: Budget, runs: Runs, adam: Runs) -> Finding:
    """Say how much better 20–20 is than 125, both of 501 weights, when both are fitted alike."""
    alike = Spread.of(_ratios(runs[125,], runs[20, 20]), "photographs")
    trained = float(np.median(_ratios(adam[125,], adam[20, 20])))
    seconds = [np.mean([_seconds(run) for run in (*held[125,], *held[20, 20])]) for held in (runs, adam)]
    pieces = {
        h: np.mean([len(regions(layers(random_net(h, "relu", seed)), WINDOW)) for seed in range(5)])
        for h in ((125,), (20, 20))
    }
    return Finding(
        "mlp-power-equal",
        budget.judged(alike.median > 1),
        f"Both have 501 weights. In the lecture the shallow net's loss is 2.9 times the deep one's; after as many "
        f"iterations of L-BFGS it is {alike.median:.2g} times (of china from one start 2.3, and 2.6 after ten times as "
        f"many), with AdamW {trained:.2g} times ({seconds[0]:.0f} s and {seconds[1]:.0f} s a fit). Random ReLU nets of "
        f"these widths have {pieces[125,]:,.0f} and {pieces[20, 20]:,.0f} linear regions: depth is not more regions.",
        alike,
        "times the loss of 20–20 is that of 125 nodes, after as many iterations",
        typed(_fit(budget, PHOTOGRAPHS[0], (20, 20))[1]),
    )


def _deeper(budget: Budget, runs: Runs) -> Finding:
    shallow, two, three = (np.array(_unexplained(runs[h])) for h in ((125,), (20, 20), (14, 14, 14)))
    steps = [float(np.median(shallow)), float(np.median(two)), float(np.median(three))]
    return Finding(
        "mlp-deeper-better",
        budget.judged(steps[0] > steps[1] and steps[1] > steps[2]),
        f"One, two and three layers of 501, 501 and 477 weights leave {steps[0]:.3g}, {steps[1]:.3g} and "
        f"{steps[2]:.3g} of the variance in the median, after as many iterations.",
        Spread.of((two / three).tolist(), "photographs"),
        "times the loss of 14–14–14 is that of 20–20",
        typed(_fit(budget, PHOTOGRAPHS[0], (14, 14, 14))[1]),
    )


def _ended(runs: list[api.Run]) -> str:
    """Say how the fits ended, in a sentence or two."""
    outcomes = [outcome for run in runs if (outcome := run.trained.folder.read_outcome()) is not None]
    going = sum(outcome.reason == USED_UP for outcome in outcomes)
    if not going:
        return f"All {len(outcomes)} fits ended by themselves."
    which = "All" if going == len(outcomes) else f"{going} of"
    return (
        f"{which} {len(outcomes)} fits had used up their iterations and were still going down, so their losses are "
        "upper bounds of what the nets can do. Measured once, of china from one start: 30,000 iterations instead of "
        "3,000 leave 0.027 instead of 0.045 with 125 nodes, 0.024 instead of 0.048 with 300, and 0.010 instead of "
        "0.020 with 20–20 (benchmarks/pictures.py --longer)."
    )


def _table(photographs: list[str], runs: Runs, bypass: Runs, adam: Runs, others: Named) -> Table:
    held: Named = {
        f"{_name(hidden)}{kind}": some
        for kind, of_kind in (("", runs), (", bypass", bypass), (", AdamW", adam)) for hidden, some in of_kind.items()
    }  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for name, some in (held | others).items():
        loss, seconds = _unexplained(some), np.mean([_seconds(run) for run in some])
        rows.append((name, *(f"{v:.3g}" for v in loss), f"{np.median(loss):.3g}", f"{seconds:.0f} s"))
    names = (name.removeprefix("photo-") for name in photographs)
    return Table("Share of the variance left unexplained", ("net", *names, "median", "time of a fit"), tuple(rows))


def _gallery(budget: Budget, photographs: list[str], runs: Runs) -> Picture:
    """Draw each photograph and what some nets make of it."""
    rows: dict[str, list[tuple[str, np.ndarray]]] = {}
    for place, name in enumerate(photographs):
        said = [(_unexplained([runs[h][place]])[0], *_pixels(runs[h][place])) for h in SHOWN]
        rows[name.removeprefix("photo-")] = [("", said[0][1]), *((f"{loss:.3g}", drawn) for loss, _, drawn in said)]
    columns = [f"{SIDE} × {SIDE}", *(_name(hidden) for hidden in SHOWN)]
    return budget.draw("gallery", figures.photographs(rows, columns), "What the nets make of them", wide=True)


def _pixels(run: api.Run) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the net's grey levels, (H, W) each."""
    held = run.trained.folder.read_evaluation("train")
    side = round(len(held["value_BK"]) ** 0.5)
    true_HW, said_HW = (held[name].reshape(side, side) for name in ("value_BK", "prediction_BK"))
    return true_HW, said_HW


def _unexplained(runs: list[api.Run]) -> list[float]:
    return [run.metrics["unexplained"].value for run in runs]


def _ratios(shallow: list[api.Run], deep: list[api.Run]) -> list[float]:
    return [a / b for a, b in zip(_unexplained(shallow), _unexplained(deep), strict=True)]


def _seconds(run: api.Run) -> float:
    return float(run.history[-1]["seconds"])


def _name(hidden: tuple[int, ...]) -> str:
    return "-".join(map(str, hidden))
