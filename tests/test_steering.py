"""Steering a language model: what each task learns from, to the number; from runs to runs; code that is named."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import hyperplane
from hyperplane import api, cli, data, nets, recipes, tasks
from hyperplane.cli import main
from hyperplane.data.prompts import PromptSource
from hyperplane.engine.chance import generator, seeded
from hyperplane.engine.events import Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TaskRecipe, TrainingRecipe
from hyperplane.tasks.blocks.rollouts import Rollouts
from hyperplane.tasks.blocks.writing import answer, likeliest, sampled

DATA = DataRecipe(source="addition", options={"samples": 64, "held_out": 12, "digits": 1 + 1})
NET = {"layers": 1, "width": 16, "heads": 2, "zero_init": False}


@pytest.fixture(scope="module")
def source() -> PromptSource:
    return opened(DATA)


def opened(recipe: DataRecipe) -> PromptSource:
    found = data.open(recipe)
    assert isinstance(found, PromptSource)
    return found


def task_of(name: str, source: PromptSource, **options: Any) -> Any:
    return tasks.build(name, source.description, options)


def made(source, outputs: int | None = None, seed: int = 0) -> Any:
    with seeded(seed, "weights"):
        context = source.description.shapes["token_BT"]
        return nets.build("gpt-modern", context, outputs or len(source.description.encoding["characters"]), NET)


@torch.no_grad()
def log_probability(net, source, prompt: str, said: str) -> float:
    """Return that of a text after a prompt, one token at a time."""
    known = source.description.encoding["characters"]
    tokens, total = [known.index(c) for c in prompt], 0.0
    for character in said:
        logit_K = net(torch.tensor([tokens]))[0, -1].double()
        total += float(torch.log_softmax(logit_K, 0)[known.index(character)])
        tokens.append(known.index(character))
    return total


def test_an_answer_is_what_is_likeliest_after_its_prompt(source):
    net = made(source).eval()
    task = task_of("answer", source).eval()
    batch = source.batch("train", range(4))
    known = source.description.encoding["characters"]
    for row, said in zip(source.rows["train"], task.said(task.predict(net, batch)), strict=False):
        tokens = [known.index(c) for c in row.prompt]
        while len(tokens) < net.context + 1:
            tokens.append(int(net(torch.tensor([tokens[-net.context :]]))[0, -1].argmax()))
            if known[tokens[-1]] == "\n":
                break
        assert said == "".join(known[t] for t in tokens[len(row.prompt) :]).removesuffix("\n")


def test_prompts_of_other_lengths_beside_it_change_no_answer(source):
    net = made(source).eval()
    token_NT = torch.randint(2, 20, (6, net.context), generator=generator(0, "test"))
    prompt_N = torch.tensor([3, 5, 3, 1, 5, 9])
    both = answer(net, token_NT, prompt_N, 0, likeliest, copies=2)
    assert torch.equal(both.answer_NGT[:, 0], both.answer_NGT[:, 1])
    for k in range(6):
        alone = answer(net, token_NT[k : k + 1], prompt_N[k : k + 1], 0, likeliest)
        assert torch.equal(alone.token_NGT[0, 0], both.token_NGT[k, 0])
        assert torch.equal(alone.answer_NGT[0, 0], both.answer_NGT[k, 0])
        prompt = int(prompt_N[k])
        assert (both.answer_NGT[k, :, : prompt - 1] == -100).all()
        assert torch.equal(both.token_NGT[k, 0, :prompt], token_NT[k, :prompt])


def test_answers_are_drawn_by_their_probability(source):
    net = made(source).eval()
    token_NT = source.batch("train", [0])["token_BT"]
    prompt = int(source.batch("train", [0])["prompt_B"])
    said = answer(net, token_NT, torch.tensor([prompt]), 0, sampled(generator(0, "drawn")), copies=4000)
    first_G = said.answer_NGT[0, :, prompt - 1]
    share_K = torch.softmax(net(token_NT[:, :prompt])[0, -1], 0)
    found_K = torch.bincount(first_G, minlength=len(share_K)) / 4000
    assert (found_K - share_K).abs().max() < 4 * 0.5 / math.sqrt(4000)
    again = answer(net, token_NT, torch.tensor([prompt]), 0, sampled(generator(0, "drawn")), copies=4000)
    assert torch.equal(again.answer_NGT, said.answer_NGT)


def test_the_loss_of_an_answer_is_of_its_tokens_alone(source):
    net, task = made(source), task_of("answer", source)
    loss_B = task.forward(net, source.batch("train", range(3))).loss_B
    for row, loss in zip(source.rows["train"], loss_B.tolist(), strict=False):
        said = row.answer + "\n"
        assert loss == pytest.approx(-log_probability(net, source, row.prompt, said) / len(said), rel=1e-4)


def test_the_loss_of_a_preference_is_that_of_its_equation(tmp_path):
    rows = [{"prompt": f"{k}+1=", "chosen": str(k + 1), "rejected": str(k)} for k in range(40)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = opened(DataRecipe(source=str(tmp_path / "pairs.jsonl")))
    before, net = made(source), made(source, seed=1)
    task = task_of("preference", source, beta=0.3)
    task.begin(before)
    output = task.forward(net, source.batch("train", range(3)))
    for row, loss in zip(source.rows["train"], output.loss_B.tolist(), strict=False):
        gains = [
            log_probability(net, source, row.prompt, said + "\n")
            - log_probability(before, source, row.prompt, said + "\n")
            for said in row.answers
        ]
        assert loss == pytest.approx(math.log1p(math.exp(-0.3 * (gains[0] - gains[1]))), rel=1e-4)
    output.loss_B.sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in task.reference.parameters())
    assert task.train().reference.training is False
    same = task_of("preference", source)
    same.begin(net)
    assert same.forward(net, source.batch("train", range(3))).loss_B.tolist() == pytest.approx([math.log(2)] * 3)


def test_the_gradient_of_a_reward_is_the_policy_gradient(source):
    net, task = made(source), task_of("reward", source, answers=6)
    known = source.description.encoding["characters"]
    task.score = lambda prompt, said, expected: float(sum(c.isdigit() for c in said)) / 4
    rollouts = Rollouts(source, known.index("\n"), 6)
    rollouts.refresh(net, 0)
    batch = rollouts.batch("train", [4, 9], generator(0, "samples"))
    assert batch["written_BGT"].shape == (2, 6, source.description.shapes["token_BT"][0])
    output = task.forward(net, batch)
    output.loss_B.mean().backward()
    found = [p.grad.clone() for p in net.parameters() if p.grad is not None]

    net.zero_grad()
    total = torch.zeros(())
    for prompt, wrote_GT, written_GT in zip((4, 9), batch["wrote_BGT"], batch["written_BGT"], strict=True):
        said = task.said(wrote_GT)
        reward_G = torch.tensor([task.score("", text, "") for text in said])
        loss = float(output.loss_B.detach()[(4, 9).index(prompt)])
        assert loss == pytest.approx(1 - float(reward_G.mean()), abs=1e-6)
        assert len(set(reward_G.tolist())) > 1
        for reward, wrote_T, written_T in zip(reward_G - reward_G.mean(), wrote_GT, written_GT, strict=True):
            log_TK = torch.log_softmax(net(written_T[None])[0], 1)
            judged_T = wrote_T >= 0
            total = total - reward * log_TK[judged_T, wrote_T[judged_T]].sum()
    (total / (batch["wrote_BGT"] >= 0).sum()).backward()
    own = [p.grad for p in net.parameters() if p.grad is not None]
    for one, other in zip(found, own, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_where_all_answers_are_worth_the_same_nothing_moves(source):
    net, task = made(source), task_of("reward", source, answers=3)
    task.score = lambda prompt, said, expected: 0.25
    rollouts = Rollouts(source, 0, 3)
    rollouts.refresh(net, 0)
    output = task.forward(net, rollouts.batch("train", [0, 1], generator(0, "samples")))
    assert output.loss_B.tolist() == [0.75, 0.75]
    output.loss_B.mean().backward()
    assert all(p.grad is None or not p.grad.any() for p in net.parameters())


# Runs


def begun(task: str, **options: Any) -> Recipe:
    return Recipe(
        data=DATA,
        task=TaskRecipe(task, {"answers": 4, **options} if task == "reward" else options),
        net=NetRecipe(start="start"),
        optimizer=OptimizerRecipe("adamw", learning_rate=1e-3),
        training=TrainingRecipe(steps=6, epochs=2, batch=8, checkpoint_seconds=0.0),
    )


def sha256(path: Path) -> str:
    return hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: a run of sums, in `start`; rewards of one's own; choices between answers."""
    folder = tmp_path_factory.mktemp("steering")
    before = Path.cwd()
    os.chdir(folder)
    scratch = Recipe(
        data=DATA,
        net=NetRecipe("gpt-modern", {k: v for k, v in NET.items() if k != "zero_init"}),
        optimizer=OptimizerRecipe("adamw", learning_rate=0.02),
        training=TrainingRecipe(steps=30, batch=16),
    )
    api.run_recipe(scratch, runs=".", name="start")
    Path("rewards.py").write_text(
        "from pathlib import Path\n"
        "Path('ran').touch()\n"
        "def digits(prompt, answer, expected):\n    return -sum(c.isdigit() for c in answer)\n"
        "def breaks(prompt, answer, expected):\n    return 1 / 0\n"
        "def nothing(prompt, answer, expected):\n    return float('nan')\n"
        "def word(prompt, answer, expected):\n    return 'good'\n"
        "def huge(prompt, answer, expected):\n    return 10**400\n"
        "def several(prompt, answer, expected):\n    return [0.0, 1.0]\n"
        "def leaves(prompt, answer, expected):\n    raise SystemExit(0)\n"
        "def forgets(prompt, answer, expected):\n    answer == expected\n"
        "def narrow(prompt, answer):\n    return 1.0\n"
        "number = 3\n"
    )
    Path("broken.py").write_text("import there_is_no_such_module\n")
    Path("leaves.py").write_text("import sys\nsys.exit()\n")
    rows = [{"prompt": f"{k}+10=", "chosen": str(k + 10), "rejected": "99"} for k in range(10, 60)]
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    yield folder
    os.chdir(before)


def test_a_run_answers_and_is_judged_by_its_answers(place):
    run = api.load("start")
    assert list(run.metrics) == ["exact", "loss"] and run.recipe.task.name == "answer"
    assert run.evaluate()["exact"].value == run.metrics["exact"].value
    Path("asked.txt").write_text("12+34=\n56+78=\n")
    assert main(["predict", "start", "asked.txt", "--json"]) == 0
    text = run.generate("12+34=", temperature=0)
    assert isinstance(text, str) and "\n" not in text and run.predict(b"12+34=") == {"answer": text[:4]}
    evaluation = api.load("start").trained
    right = hyperplane.predict.evaluate(evaluation).statistics
    known = [row.answer for row in opened(DATA).rows["test"]]
    told = evaluation.model.judge.tell(right, list(range(len(known))))
    assert [one.truth for one in told] == known
    assert right["right_B"].tolist() == [one.prediction == one.truth for one in told]


@pytest.mark.parametrize("task", ["answer", "reward"])
def test_stopped_and_resumed_it_is_the_same(task, place):
    whole = api.run_recipe(begun(task), runs=".", name=f"whole-{task}")

    def stop(event: Any) -> None:
        if isinstance(event, Stepped):
            os.kill(os.getpid(), signal.SIGINT)

    recipe = begun(task)
    with pytest.raises(Interrupted):
        api.run_recipe(recipe, runs=".", name=f"stopped-{task}", watch=stop)
    assert sha256(api.resume(f"stopped-{task}")) == sha256(whole)
    assert list(api.load(whole).metrics) == (["exact", "reward", "loss"] if task == "reward" else ["exact", "loss"])


def test_workers_change_nothing(place):
    one = api.run_recipe(begun("reward"), runs=".", name="workers-0")
    changed = hyperplane.recipe.replace(begun("reward"), {"data.workers": 2, "data.memory_gb": 0.0})
    assert sha256(api.run_recipe(changed, runs=".", name="workers-2")) == sha256(one)


def test_choices_make_the_chosen_likelier_and_the_frozen_copy_stays(place):
    path = Path("pairs.jsonl")
    changes = {"training.steps": 20, "training.batch": 8, "optimizer.learning_rate": 0.01}
    run = api.train(path, start="start", runs=".", name="pairs", recipe=Recipe(), changes=changes)
    assert run.recipe.task.name == "preference"
    assert run.metrics["preferred"].value > 0.8 and run.metrics["loss"].value < math.log(2)
    weights = run.trained.model.state_dict()
    first = api.load("start").trained.model.state_dict()
    for name, tensor in first.items():
        assert torch.equal(weights[name.replace("net.", "task.reference.", 1)], tensor)
    assert any(not torch.equal(weights[name], tensor) for name, tensor in first.items())
    assert run.evaluate()["preferred"].value == run.metrics["preferred"].value


def test_a_reward_of_ones_own_is_learned(place):
    run = api.train(
        "addition", recipe=begun("reward"), runs=".", name="own", changes={"task.options.reward": "rewards.py:digits"}
    )
    records = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert run.metrics["reward"].value <= 0 and run.metrics["loss"].value == pytest.approx(
        1 - run.metrics["reward"].value
    )
    assert all(math.isfinite(r["loss"]) for r in records if r["kind"] == "step")


def test_who_loads_a_run_runs_no_code(place, capsys):
    test_a_reward_of_ones_own_is_learned(place) if not Path("own").exists() else None
    Path("ran").unlink()
    run = api.load("own")
    run.generate("12+34=")
    run.predict(b"12+34=")
    with pytest.raises(
        UserError, match=r"rewards\.py:digits says what answers are worth, which is code that only training"
    ):
        run.evaluate()
    with pytest.raises(UserError, match=r"recipe names code, rewards\.py:digits.*--task\.reward rewards\.py:digits"):
        api.run_recipe(run.recipe, runs=".", name="again")
    assert main(["train", "--recipe", "own/recipe.json", "--name", "again"]) == 2
    (Path("own") / "manifest.json").unlink()
    assert main(["train", "--resume", "own"]) == 2
    assert "the recipe names code" in capsys.readouterr().err and not Path("ran").exists()
    assert main(["train", "--resume", "own", "--task.reward", "rewards.py:digits"]) == 0 and Path("ran").exists()


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (
            "rewards.py:breaks",
            r"rewards.py:breaks: for the prompt '\d\d\+\d\d=' and the answer .* raised ZeroDivisionError",
        ),
        ("rewards.py:nothing", "it returned nan, expected a finite number"),
        ("rewards.py:word", "it returned 'good', expected a finite number"),
        ("rewards.py:huge", "it returned 1000.*, expected a finite number"),
        ("rewards.py:several", r"it returned \[0.0, 1.0\], expected a finite number"),
        ("rewards.py:leaves", "it raised SystemExit: 0"),
        ("rewards.py:forgets", "it returned None, expected a finite number"),
        ("rewards.py:narrow", r"it raised TypeError: narrow\(\) takes 2 positional arguments"),
        ("leaves.py:score", r"leaves.py: cannot be run .SystemExit"),
        ("rewards.py:number", "has no function number"),
        ("rewards.py:absent", "has no function absent"),
        ("rewards.py", "found 'rewards.py', expected a Python file"),
        ("absent.py:score", "expected a Python file that is there"),
        ("broken.py:score", "broken.py: cannot be run .ModuleNotFoundError"),
    ],
)
def test_a_bad_reward_is_named(named, says, place):
    with pytest.raises(UserError, match=says) as told:
        api.run_recipe(begun("reward", reward=named), runs=".", name="bad", overwrite=True, code=named)
    assert "\n" not in str(told.value)


def test_predict_tells_answers_and_explain_what_they_cost(place, capsys):
    Path("asked.jsonl").write_text('{"prompt": "12+34=", "answer": "46"}\n')
    assert cli.main(["predict", "start", "asked.jsonl"]) == 0
    assert capsys.readouterr().out.startswith("asked.jsonl, line 1\tanswer ")
    run = api.load("start")
    names = ["text-loss", "text-alternatives", "attention-heads", "attention-rollout"]
    assert {file.stem for file in run.explain()} >= set(names)
    assert "the first test prompt with its answer" in run.report.read_text()
    Path("sum.txt").write_text("12+34=46\n")
    assert [file.stem for file in run.explain("sum.txt")] == [f"given-{name}" for name in names]


def test_with_a_draft_an_answer_ends_where_it_ends_without(place):
    run = api.load("start")
    for prompt in ("12+34=", "50+50="):
        assert run.generate(prompt, temperature=0, draft=run) == run.generate(prompt, temperature=0)
    assert "\n" not in run.generate("12+34=", seed=3, draft=run)


@pytest.mark.parametrize("task", ["reward", "preference"])
def test_what_steers_needs_a_start(task, place):
    source = "addition" if task == "reward" else "pairs.jsonl"
    with pytest.raises(
        UserError, match=f"task {task}: goes on with a trained net, and none is named; type: --from RUN"
    ):
        api.train(source, task=task, recipe=Recipe(), net="gpt", runs=".", name="none")
    assert not Path("none").exists()


def test_recipes_are_found_by_their_task():
    for kind in ("addition",):
        assert recipes.find(kind).task.name in (None, "answer")
        steered = recipes.find(kind, task="reward")
        assert steered.task.name == "reward" and steered.net.start is not None


def test_the_help_of_train_names_the_options_of_rewards():
    told = subprocess.run(
        [sys.executable, "-m", "hyperplane", "train", "addition", "--task", "reward", "--help"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "--task.answers" in told and "--data.digits" in told


def test_copies_of_a_cache_are_its_own(source):
    net = made(source).eval()
    caches = net.caches(2)
    with torch.no_grad():
        net.features(torch.tensor([[1, 2], [3, 4]]), caches=caches)
    twice = caches[0].repeated(3)
    assert twice.length == 2 and torch.equal(twice.key_BHSd[0], twice.key_BHSd[2])
    before = copy.deepcopy(caches[0].key_BHSd)
    twice.key_BHSd.zero_()
    assert torch.equal(caches[0].key_BHSd[:, :, :2], before[:, :, :2])
