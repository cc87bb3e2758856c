"""Writing faster: a draft that guesses ahead changes no probability, and smaller weights change little."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import hyperplane
from hyperplane import nets
from hyperplane.cli import main
from hyperplane.engine.chance import generator, seeded
from hyperplane.errors import UserError
from hyperplane.predict.decoding import speculate
from hyperplane.predict.sampling import Sampling, picker, shares
from hyperplane.predict.smaller import FEW, KINDS, Int8, compare, perplexity, smaller
from hyperplane.tasks.blocks.writing import follow

VERSE = "Shall I compare thee to a summer's day?\nThou art more lovely and more temperate:\n" * 12


def net(seed: int, name: str = "gpt", ngrams: int = 1, context: int = 16, outputs: int = 11, spread: float = 3) -> Any:
    options = {"layers": 2, "width": 16, "heads": 2, "zero_init": False, "ngrams": ngrams, "rows": 53}
    with seeded(seed, "weights"):
        made = nets.build(name, (context,), outputs, options).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(spread) if weight.ndim > 1 else None
    return made


def written(made: Any, draft: Any, prompt: list[int], how: Sampling, count: int) -> list[int]:
    following = speculate(made, draft, prompt, how, generator(how.seed, "text"))
    return [token for token, _ in itertools.islice(following, count)]


@pytest.mark.parametrize(("name", "ngrams"), [("gpt", 1), ("gpt-modern", 3)])
@pytest.mark.parametrize("context", [2, 7, 16, 40])
@pytest.mark.parametrize("prompt", [[3], [3, 1, 4, 1, 5], list(range(11)) * 4])
def test_greedily_a_draft_changes_nothing_also_beyond_both_contexts(name, ngrams, context, prompt):
    made, how = net(0, name, ngrams), Sampling(temperature=0)
    alone = [int(token_B) for token_B in itertools.islice(follow(made, [prompt], picker(how, 1)), 40)]
    assert written(made, net(1, context=context), prompt, how, 40) == alone
    assert written(made, made, prompt, how, 40) == alone


def test_its_own_guesses_are_all_kept():
    made = net(0)
    following = speculate(made, made, [1, 2], Sampling(), generator(0, "text"))
    kept = [guessed for _, guessed in itertools.islice(following, 10)]
    assert kept == [True] * 4 + [False] + [True] * 4 + [False]


@pytest.mark.parametrize("how", [Sampling(), Sampling(temperature=1.7, top_k=4), Sampling(top_p=0.8)])
def test_what_is_drawn_with_a_draft_has_the_probabilities_of_the_net_alone(how):
    """Chi-squared over all pairs of the first two tokens; a draft that is simply believed fails it."""
    made, draft, prompt, count = net(0, outputs=5), net(1, outputs=5), [1, 2, 3], 800
    with torch.inference_mode():
        first_K = shares(made(torch.tensor([prompt]))[0, -1], how)
        pair_BT = torch.tensor([[*prompt, k] for k in range(5)])
        expected_KK = first_K[:, None] * shares(made(pair_BT)[:, -1], how)
        guess_K = shares(draft(torch.tensor([prompt]))[0, -1], how)
        guessed_KK = guess_K[:, None] * shares(draft(pair_BT)[:, -1], how)
    chance = generator(0, "text")
    drawn = torch.zeros(5, 5)
    for _ in range(count):
        a, b = itertools.islice((t for t, _ in speculate(made, draft, prompt, how, chance)), 2)
        drawn[a, b] += 1
    assert drawn[expected_KK == 0].sum() == 0

    def misfit(seen: Tensor) -> float:
        held = expected_KK * count >= 5
        rest = torch.tensor([float(seen[~held].sum()), float(count * expected_KK[~held].sum())])
        total = ((seen - count * expected_KK) ** 2 / (count * expected_KK))[held].sum()
        total += (rest[0] - rest[1]) ** 2 / rest[1] if rest[1] > 5 else 0
        freedom = int(held.sum()) + int(rest[1] > 5) - 1
        return float((total - freedom) / (2 * freedom) ** 0.5)

    assert misfit(drawn) < 4 < misfit(count * guessed_KK)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("rows", [1, 5, FEW, FEW + 1])
@pytest.mark.parametrize(("inputs", "outputs"), [(64, 48), (96, 65), (32, 3), (50, 7)])
def test_a_map_with_smaller_weights_is_nearly_the_same(kind, rows, inputs, outputs):
    with seeded(0, "weights"):
        layer, x_BTD = nn.Linear(inputs, outputs), torch.randn(1, rows, inputs)
    with torch.inference_mode():
        said, exact = KINDS[kind](layer.weight, layer.bias)(x_BTD), layer(x_BTD)
    assert said.dtype is torch.float32 and said.shape == exact.shape
    assert (said - exact).std() < 0.012 * exact.std()


def test_rows_of_zeros_stay_zeros_and_the_greatest_weight_is_kept():
    weight_KD = torch.tensor([[0.0, 0.0], [1.0, -2.0]])
    kept = Int8(weight_KD, None)
    assert kept.weight_KD.tolist() == [[0, 0], [64, -127]] or kept.weight_KD.tolist() == [[0, 0], [63, -127]]
    assert kept(torch.ones(1, 2))[0, 0] == 0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> hyperplane.Run:
    folder = tmp_path_factory.mktemp("text")
    (folder / "book.txt").write_text(VERSE)
    changes = {
        "data.options": {"context": 16},
        "net.options": {"layers": 1, "width": 16, "heads": 2, "tied": True},
        "training.steps": 40,
        "training.batch": 8,
        "optimizer.learning_rate": 0.02,
    }
    return hyperplane.train(folder / "book.txt", recipe=hyperplane.Recipe(), runs=folder / "runs", changes=changes)


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_a_run_with_smaller_weights_foretells_as_well_and_is_not_changed(run, weights):
    before = {name: tensor.clone() for name, tensor in run.net.state_dict().items()}
    made = smaller(run.trained, weights)
    found = compare(run.trained, made, "")
    assert found is not None and found.perplexity != found.before
    assert found.perplexity == pytest.approx(found.before, rel=0.01)
    assert found.before == pytest.approx(run.metrics["perplexity"].value, rel=0.15)
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.net.state_dict().items())
    assert found.tokens > 50
    assert len(run.generate("Thou", tokens=12, weights=weights)) == 12


def test_perplexity_is_that_of_windows_side_by_side():
    made, token_T = net(0), torch.randint(0, 11, (40,))
    with torch.no_grad():
        losses = [
            nn.functional.cross_entropy(made(token_T[None, a:b])[0], token_T[a + 1 : b + 1], reduction="sum")
            for a, b in ((0, 16), (16, 32), (32, 39))
        ]
    assert perplexity(made, token_T) == pytest.approx(float((torch.stack(losses).sum() / 39).exp()), rel=1e-5)


def test_the_command_line_tells_what_changes(run, capsys):
    asked = ["generate", str(run.path), "--prompt", "Thou", "--tokens", "20", "--temperature", "0"]
    assert main([*asked, "--draft", str(run.path)]) == 0
    out, err = capsys.readouterr()
    assert out == f"Thou{run.generate('Thou', tokens=20, temperature=0)}\n"
    assert "Of 20 tokens the draft guessed 10 rightly" in err  # of the context's 16
    assert main([*asked, "--weights", "int8"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Thou") and "int8 weights: perplexity" in err and "in float32" in err
    with pytest.raises(UserError, match="expected a language model"):
        smaller(hyperplane.train("points-region", runs=run.path.parent, changes={"training.epochs": 1}).trained, "int8")


def test_a_draft_of_another_vocabulary_is_refused(run, tmp_path, capsys):
    (tmp_path / "other.txt").write_text(VERSE.replace("Thou", "Qou"))
    changes = {"data.options": {"context": 16}, "net.options": {"layers": 1, "width": 8, "heads": 2}}
    changes |= {"training.steps": 2, "training.batch": 4}
    other = hyperplane.train(tmp_path / "other.txt", recipe=hyperplane.Recipe(), runs=tmp_path, changes=changes)
    assert main(["generate", str(run.path), "--prompt", "To", "--draft", str(other.path)]) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1 and "knows" in err and "same vocabulary" in err
