"""Generating text: with a cache as without, many prompts as one, how it is drawn, where it ends, bad input."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import hyperplane
from hyperplane import nets
from hyperplane.cli import main
from hyperplane.data.blocks import vocabulary
from hyperplane.engine.chance import seeded
from hyperplane.engine.model import Model
from hyperplane.errors import UserError
from hyperplane.predict.generate import _Writer, generate, notes, stream
from hyperplane.predict.sampling import Sampling, picker
from hyperplane.tasks.blocks.writing import follow
from hyperplane.tasks.language import Language

VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 12
PROMPTS = ["Thou", "Shall I com", "m", "", "Thou art more lo", "Thou art more lovely and"]


def net(name: str, ngrams: int, context: int = 16) -> Any:
    options = {"layers": 2, "width": 16, "heads": 2, "zero_init": False, "ngrams": ngrams, "rows": 53}
    with seeded(0, "weights"):
        made = nets.build(name, (context,), 11, options).eval()
    with torch.no_grad():  # further from even odds, so that no rounding decides
        for weight in made.parameters():
            weight.mul_(3) if weight.ndim > 1 else None
    return made


@torch.no_grad()
def cacheless(made, prompt: list[int], count: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(made(torch.tensor([tokens[-made.context :]]))[0, -1].argmax()))
    return tokens[len(prompt) :]


def greedy(made, prompts: list[list[int]], count: int) -> list[list[int]]:
    following = follow(made, prompts, picker(Sampling(temperature=0), len(prompts)))
    return torch.stack([token_B for _, token_B in zip(range(count), following, strict=False)], dim=1).tolist()


@pytest.mark.parametrize(("name", "ngrams"), [("gpt", 1), ("gpt-modern", 1), ("gpt-modern", 3)])
def test_with_a_cache_as_without_also_beyond_the_context(name, ngrams):
    made, prompt = net(name, ngrams), [3, 1, 4, 1, 5]
    expected = cacheless(made, prompt, 40)
    assert greedy(made, [prompt], 40) == [expected] and len(set(expected)) > 1


@pytest.mark.parametrize(("name", "ngrams"), [("gpt", 1), ("gpt-modern", 1), ("gpt-modern", 3)])
def test_prompts_of_different_length_as_one_at_a_time(name, ngrams):
    made, prompts = net(name, ngrams), [[3], [1, 4, 1, 5, 9, 2, 6], list(range(11)) * 3, [5, 3]]
    assert greedy(made, prompts, 30) == [cacheless(made, prompt, 30) for prompt in prompts]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> hyperplane.Run:
    folder = tmp_path_factory.mktemp("text")
    (folder / "book.txt").write_text(VERSE)
    changes = {
        "data.options": {"context": 16},
        "net.options": {"layers": 1, "width": 16, "heads": 2},
        "training.steps": 60,
        "training.batch": 8,
        "optimizer.learning_rate": 0.02,
    }
    return hyperplane.train(folder / "book.txt", recipe=hyperplane.Recipe(), runs=folder / "runs", changes=changes)


def test_the_run_learned_and_is_told_in_tokens(run):
    assert list(run.metrics) == ["loss", "bits_per_character", "perplexity", "accuracy"]
    assert run.metrics["loss"].low < run.metrics["loss"].value < 2.5 < 3.2  # ln 24 is 3.2
    assert run.evaluate()["loss"].value == pytest.approx(run.metrics["loss"].value, rel=1e-5)
    steps = [record["step"] for record in run.history if record["kind"] == "step"]
    assert steps[-1] == 60
    assert {plot.name for plot in (run.path / "plots").glob("*.svg")} >= {"context.svg", "tokens.svg"}


def test_a_text_shorter_than_the_usual_context_is_judged_in_windows_of_the_nets(run, tmp_path):
    (tmp_path / "short.txt").write_text("Thou art more lovely and more temperate")
    assert 0 < run.evaluate(str(tmp_path / "short.txt"))["loss"].value < 3.2


def test_many_are_as_one_with_seeds_that_count_on(run):
    how = {"tokens": 30, "temperature": 0.9, "top_k": 12, "top_p": 0.95}
    together = run.generate(PROMPTS, seed=5, **how)
    assert together == [run.generate(prompt, seed=5 + k, **how) for k, prompt in enumerate(PROMPTS)]
    assert run.generate("Thou", seed=5, **how) == together[0] != run.generate("Thou", seed=6, **how)
    assert run.generate(PROMPTS, temperature=0, tokens=30) == [
        run.generate(prompt, temperature=0, tokens=30) for prompt in PROMPTS
    ]


def test_what_is_streamed_is_what_is_returned_and_ends_before_a_stop(run):
    text = run.generate("Thou", temperature=0, tokens=40)
    pieces = [one.text for one in stream(run.trained, "Thou", Sampling(40, 0))]
    assert "".join(pieces) == text and len(text) == 40 and sum(map(bool, pieces)) > 30
    stop = text[10:13]
    how = Sampling(40, 0, stop=("never", stop))
    (written,) = generate(run.trained, ["Thou"], how)
    assert written.text == text[: text.index(stop)] and written.stopped
    assert "".join(one.text for one in stream(run.trained, "Thou", how)) == written.text


def test_a_stop_that_only_begins_is_given_back():
    known = vocabulary.choose("character", "abc", "abc", 0)
    writer = _Writer(known, ("abc",))
    for token in known.encode("aabab").tolist():
        writer.add(token)
    assert writer.text == "aab"
    writer.release()
    assert writer.text == "aabab"


def test_an_empty_prompt_is_told_as_what_it_is_read_as(run):
    (told,) = notes(run.trained, ["Thou", ""])
    assert told == "An empty prompt goes on as after a line end."
    characters = {"vocabulary": "character", "characters": " ab"}
    task: Any = Language(dataclasses.replace(run.trained.description, encoding=characters))
    flat = dataclasses.replace(run.trained, model=Model(run.net, task))
    assert notes(flat, [""]) == ["An empty prompt goes on as after '␣'."]


def test_drawing_is_from_the_likeliest():
    logit_BK = torch.tensor([[0.0, 3.0, 1.0, 2.0]]).expand(400, -1)
    drawn = {how: set(picker(how, 400)(logit_BK).tolist()) for how in (Sampling(), Sampling(top_k=2))}
    assert list(drawn.values()) == [{0, 1, 2, 3}, {1, 3}]
    share_K = torch.softmax(logit_BK[0], 0)
    for top_p, kept in ((0.1, {1}), (float(share_K[1]) + 1e-4, {1, 3}), (0.9, {1, 3, 2}), (1.0, {0, 1, 2, 3})):
        assert set(picker(Sampling(top_p=top_p), 400)(logit_BK).tolist()) == kept
    cold = picker(Sampling(temperature=0.05), 400)(logit_BK)
    assert set(cold.tolist()) == {1}


def test_what_comes_next_is_predicted(run, tmp_path):
    (path := tmp_path / "new.txt").write_text("Thou art more lovely and more temperat")
    said = run.predict(path)
    assert said["class"] in said["probabilities"] and said["probability"] == max(said["probabilities"].values())


def test_the_command_line(run, capsys):
    assert main(["generate", str(run.path), "--prompt", "Thou", "--tokens", "20", "--temperature", "0"]) == 0
    text = run.generate("Thou", tokens=20, temperature=0)
    assert capsys.readouterr().out == f"Thou{text}\n"
    assert main(["generate", str(run.path), "--prompt", "Thou" * 9, "", "--tokens", "5", "--json"]) == 0
    out, err = capsys.readouterr()
    first, second = map(json.loads, out.splitlines())
    assert first["prompt"] == "Thou" * 9 and first["tokens"] == 5 and second["prompt"] == ""
    assert "has 36 tokens; the net reads 16 at once" in err and "empty prompt goes on as after a line end" in err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["--prompt", "Zq"], "prompt 'Zq': holds 'Z', 'q', first at character 1"),
        (["--prompt", "Thou", "Z"], "prompt 'Z': holds 'Z'"),
        (["--prompt"], "--prompt: found no text; type: --prompt"),
        (["--weights", "int4"], "--weights: found 'int4'"),
        (["--draft", "nowhere"], "nowhere: there is no such run folder"),
        (["--top-p", "0"], "--top-p: found 0"),
        (["--tokens", "0"], "--tokens: found 0"),
        (["--temperature", "-1"], "--temperature: found -1"),
        (["--temperature", "nan"], "--temperature: found nan"),
        (["--top-k", "0"], "--top-k: found 0"),
        (["--top-p", "1.5"], "--top-p: found 1.5"),
        (["--stop", ""], "--stop: found"),
        (["--tokns", "3"], "did you mean --tokens"),
    ],
)
def test_bad_input_is_told_on_one_line(run, capsys, asked, told):
    assert main(["generate", str(run.path), *asked]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and told in err


def test_another_net_writes_nothing(tmp_path):
    made = hyperplane.train(
        "points-region", runs=tmp_path, changes={"training.epochs": 1, "data.options": {"samples": 60}}
    )
    with pytest.raises(UserError, match="expected a language model"):
        made.generate("a")


def test_the_same_recipe_gives_the_same_net(run, tmp_path: Path):
    again = hyperplane.train(run.recipe.data.source, recipe=run.recipe, runs=tmp_path)
    assert (again.path / "model.safetensors").read_bytes() == (run.path / "model.safetensors").read_bytes()
