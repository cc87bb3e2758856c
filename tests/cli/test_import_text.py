"""Published language models become run folders that write; the vocabulary beside them is theirs, or is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import hyperplane as package
from hyperplane import nets
from hyperplane.data.blocks import vocabulary
from hyperplane.engine.chance import seeded
from hyperplane.nets import gpt
from tests.cli.commands import Answer, Command

TEXT = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate. "
OPTIONS = {"layers": 2, "width": 128, "heads": 2}
pytest.importorskip("tokenizers")


def published(net: Any) -> dict[str, torch.Tensor]:
    """Return a net's tensors as GPT-2's are published."""
    held = {}
    for key, tensor in net.state_dict().items():
        linear = key.startswith("h.") and tensor.ndim == 2
        held["transformer." + gpt._published(key)] = tensor.T.contiguous() if linear else tensor.clone()
    return held | {"lm_head.weight": held["transformer.wte.weight"].clone()}


@pytest.fixture
def known() -> vocabulary.Vocabulary:
    return vocabulary.choose("bpe", TEXT * 5, TEXT * 5, 280)


@pytest.fixture
def here(empty_folder: Path, known: vocabulary.Vocabulary) -> Path:
    """The current folder, with weights and the vocabulary beside them in two files."""
    with seeded(0, "weights"):
        net = nets.build("gpt", (16,), len(known), OPTIONS)
    safetensors.torch.save_file(published(net), empty_folder / "model.safetensors")
    model = known.encoding["tokenizer"]["model"]
    (empty_folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    (empty_folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return empty_folder


def test_weights_and_vocabulary_become_a_run_that_writes_what_the_net_says(here, known, hyperplane: Command):
    answer: Answer = hyperplane("import", "model.safetensors", "--out", "run", "--json")
    assert answer.status == 0, answer.err
    told = json.loads(answer.out)
    assert (told["net"], told["kind"], told["classes"]) == ("gpt", "text", len(known))
    assert any("2 heads of 64 features is a guess" in note for note in told["notes"])
    run = package.load("run")
    token_T = torch.from_numpy(known.encode(TEXT))[:9]
    with seeded(0, "weights"):
        net = nets.build("gpt", (16,), len(known), OPTIONS).eval()
    with torch.no_grad():
        torch.testing.assert_close(run.net(token_T[None]), net(token_T[None]))
    prompt = known.decode(token_T.tolist())
    text = []
    with torch.no_grad():
        for _ in range(5):
            token_T = torch.cat([token_T, net(token_T[None])[0, -1:].argmax(1)])
            text.append(int(token_T[-1]))
    assert run.generate(prompt, temperature=0, tokens=5) == known.decode(text)


def test_one_file_of_vocabulary_does_as_well_and_the_configuration_is_read(here, known, hyperplane: Command):
    (here / "tokenizer.json").write_text(json.dumps(known.encoding["tokenizer"]))
    (here / "vocab.json").unlink()
    (here / "config.json").write_text(json.dumps({"n_head": 4, "activation_function": "gelu_new"}))
    answer = hyperplane("import", "model.safetensors", "--out", "run")
    assert answer.status == 0 and "hyperplane generate run" in answer.out + answer.err, answer
    options = package.load("run").recipe.net.options
    assert options["heads"] == 4 and options["nonlinearity"] == "gelu-tanh" and options["bias"]


def test_rows_that_stand_for_no_token_are_left_out(here, known, hyperplane: Command):
    held = safetensors.torch.load_file(here / "model.safetensors")
    wider = torch.cat([held["transformer.wte.weight"], torch.ones(8, 128)])
    wide = {**held, "transformer.wte.weight": wider, "lm_head.weight": wider.clone()}
    safetensors.torch.save_file(wide, here / "wide.safetensors")
    assert hyperplane("import", "wide.safetensors", "--out", "run").status == 0
    assert package.load("run").net.wte.weight.shape == (len(known), 128)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("prefix", ["transformer.", ""])
@pytest.mark.parametrize("head", ["tied", "absent", "alone", "of its own"])
def test_every_layout_of_the_hub_says_what_the_net_says(prefix, head, here, known, hyperplane: Command):
    held = safetensors.torch.load_file(here / "model.safetensors")
    own = torch.randn(len(known), 128, generator=torch.Generator().manual_seed(1))
    last = {"tied": held["lm_head.weight"], "of its own": own}
    held = {key.replace("transformer.", prefix): t for key, t in held.items() if key != "lm_head.weight"}
    held |= {"lm_head.weight": last[head]} if head in last else {}
    if head == "alone":  # as safetensors' save_model writes what is tied
        held["lm_head.weight"] = held.pop(f"{prefix}wte.weight")
    order = torch.ones(1, 1, 16, 16, dtype=torch.uint8).tril()
    held |= {f"{prefix}h.{n}.attn.bias": order.clone() for n in (0, 1)}
    held |= {f"{prefix}h.{n}.attn.masked_bias": torch.tensor(-1e4) for n in (0, 1)}
    safetensors.torch.save_file(held, here / "hub.safetensors")
    assert hyperplane("import", "hub.safetensors", "--out", "run").status == 0
    run = package.load("run")
    with seeded(0, "weights"):
        net: Any = nets.build("gpt", (16,), len(known), OPTIONS).eval()
    token_BT = torch.arange(12)[None]
    with torch.no_grad():
        seen_BTD = net.features(token_BT)
        expected = seen_BTD @ own.T if head == "of its own" else net(token_BT)
        torch.testing.assert_close(run.net(token_BT), expected)
    assert run.recipe.net.options["tied"] is (head != "of its own")
    assert any("not the embedding again" in note for note in run.trained.description.notes) is (head == "of its own")


def _without_vocabulary(here: Path) -> None:
    (here / "merges.txt").unlink()


def _another_vocabulary(here: Path) -> None:
    known = json.loads((here / "vocab.json").read_text())
    (here / "vocab.json").write_text(json.dumps(known | {"zzz": len(known)}))


def _numbers_missing(here: Path) -> None:
    known = json.loads((here / "vocab.json").read_text())
    (here / "vocab.json").write_text(json.dumps({piece: number + (number > 40) for piece, number in known.items()}))


def _broken(here: Path) -> None:
    (here / "vocab.json").write_text("{")


def _writes(name: str, content: str) -> Callable[[Path], None]:
    def write(here: Path) -> None:
        (here / name).write_text(content)

    return write


def _of_other_shapes(here: Path) -> None:
    held = safetensors.torch.load_file(here / "model.safetensors")
    held["transformer.wte.weight"] = held["transformer.wte.weight"][0]
    safetensors.torch.save_file(held, here / "model.safetensors")


def _another_configuration(here: Path) -> None:
    (here / "config.json").write_text(json.dumps({"num_heads": 4}))


def _layer_lost(here: Path) -> None:
    held = safetensors.torch.load_file(here / "model.safetensors")
    held.pop("transformer.h.1.mlp.c_fc.weight")
    safetensors.torch.save_file(held, here / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "asked", "told"),
    [
        (_without_vocabulary, [], "has no merges.txt, expected the vocabulary beside the weights"),
        (_another_vocabulary, [], "tokens, but vocab.json and merges.txt beside it"),
        (_numbers_missing, [], "not numbered from 0 on"),
        (_broken, [], "vocab.json and merges.txt: no vocabulary that is read here"),
        (_writes("merges.txt", "#version\nabc\n"), [], "vocab.json and merges.txt: no vocabulary that is read here"),
        (_writes("tokenizer.json", "[" * 100_000), [], "tokenizer.json: no vocabulary that is read here"),
        (_writes("config.json", "[" * 100_000), [], "config.json: is no configuration of GPT-2"),
        (_writes("config.json", '{"n_head": 5}'), [], "config.json: is no configuration of GPT-2"),
        (
            _writes("config.json", '{"n_head": 2, "scale_attn_by_inverse_layer_idx": true}'),
            [],
            "has scale_attn_by_inverse_layer_idx true, expected false",
        ),
        (
            _writes("config.json", '{"n_head": 2, "layer_norm_epsilon": 1e-6}'),
            [],
            "has layer_norm_epsilon 1e-06, expected 1e-05",
        ),
        (_of_other_shapes, [], "expected two matrices and 1 layer or more"),
        (_another_configuration, [], "config.json: is no configuration of GPT-2"),
        (_layer_lost, [], "lacks 1 tensor (transformer.h.1.mlp.c_fc.weight)"),
        (lambda here: None, ["--net", "gpt2"], "does not fit gpt2"),
        (lambda here: None, ["--size", "3"], "is a language model, which reads no images"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    here: Path, hyperplane: Command, spoil: Callable[[Path], None], asked: list[str], told: str
):
    spoil(here)
    answer = hyperplane("import", "model.safetensors", "--out", "run", *asked)
    assert answer.status == 2 and told in answer.err and answer.err.count("\n") == 1, answer.err
    assert not (here / "run").exists()
