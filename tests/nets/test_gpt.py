"""GPT: the published tensors and outputs, what it may not see, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hyperplane import nets
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.nets import gpt as gpt_net
from tests.nets import published

COUNTS = {"gpt2": 124_439_808, "gpt2-medium": 354_823_168, "gpt2-large": 774_030_080, "gpt2-xl": 1_557_611_200}
"""Parameters of the published checkpoints, the tied embedding counted once."""
MODERN = {**{"layers": 2, "width": 16, "heads": 2}, "dropout": 0.0}


def gpt(name: str = "gpt", context: int = 8, outputs: int = 7, **options) -> Any:
    with seeded(0, "weights"):
        return nets.build(name, (context,), outputs, {**MODERN, **options}).eval()


@pytest.mark.parametrize("name", list(COUNTS))
def test_published_numbers_of_parameters(name):
    with torch.device("meta"):
        net = nets.build(name, (1024,), 50257)
    assert sum(p.numel() for p in net.parameters()) == COUNTS[name]


def test_tensors_outputs_and_greedy_text_are_the_published_ones(shared_data: Path):
    file = shared_data.parent / "parity" / "gpt2.json"
    if not file.is_file():
        pytest.skip(f"needs {file}")
    told = json.loads(file.read_text())
    config = told["config"]
    with torch.device("meta"):
        net: Any = nets.build("gpt2", (config["n_positions"],), config["vocab_size"])
    net.to_empty(device="cpu").eval()
    assert sum(p.numel() for p in net.parameters()) == told["parameters"]
    state = published.weights({key: s for key, s in told["state_dict"].items() if key != "lm_head.weight"})
    published.forget()
    net.load_published({**state, "lm_head.weight": state["transformer.wte.weight"]})

    token_BT = torch.tensor(told["input"]["ids"]).view(told["input"]["batch"], -1)
    with torch.inference_mode():
        output = net(token_BT)
        assert list(output.shape) == told["output_shape"]
        tolerance, last, output = 1e-4 * told["output_std"], output[0, -1, :24].numpy(), output.double()
        np.testing.assert_allclose(last, told["output_last_head"], rtol=0, atol=tolerance)
        mean_std = [output.mean().item(), output.std().item()]
        np.testing.assert_allclose(mean_std, [told["output_mean"], told["output_std"]], rtol=0, atol=tolerance)

        caches, said = net.caches(1), []
        logit_K = net.logits(net.features(token_BT, caches=caches)[:, -1:])[0, 0]
        for position in range(token_BT.shape[1], token_BT.shape[1] + len(told["greedy_continuation"])):
            said.append(int(logit_K.argmax()))
            features = net.features(torch.tensor([said[-1:]]), caches=caches, position_BT=torch.tensor([[position]]))
            logit_K = net.logits(features)[0, 0]
    assert said == told["greedy_continuation"]


def _as_published(net: Any, prefix: str = "transformer.") -> dict[str, torch.Tensor]:
    """Return a small net's weights under the published keys, with the tensors that are none."""
    names: dict[str, str] = {
        "norm1": "ln_1",
        "norm2": "ln_2",
        "qkv": "c_attn",
        "proj": "c_proj",
        "fc1": "c_fc",
        "fc2": "c_proj",
    }
    state = {}
    for key, tensor in net.state_dict().items():
        renamed = ".".join(names.get(part, part) for part in str(key).split("."))
        state[prefix + renamed] = tensor.T.contiguous() if key.startswith("h.") and tensor.ndim == 2 else tensor
    state[f"{prefix}h.0.attn.bias"] = torch.ones(1, 1, 8, 8).tril()
    return state


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_published_keys_are_taken_and_what_is_wrong_is_named(prefix):
    one = gpt()
    with seeded(1, "weights"):
        other: Any = nets.build("gpt", (8,), 7, MODERN).eval()
    state = _as_published(one, prefix)
    tied = {"lm_head.weight": state[f"{prefix}wte.weight"]} if prefix else {}
    token_BT = torch.randint(0, 7, (2, 8))
    assert not torch.equal(one(token_BT), other(token_BT))
    other.load_published({**state, **tied})
    assert torch.equal(one(token_BT), other(token_BT))

    lacking = {key: tensor for key, tensor in state.items() if not key.endswith("h.1.mlp.c_fc.weight")}
    with pytest.raises(UserError, match=rf"lacks 1 tensor \({prefix}h.1.mlp.c_fc.weight\)"):
        other.load_published(lacking)
    with pytest.raises(UserError, match=r"h.0.attn.c_attn.weight \(48, 16\) for \(16, 48\)"):
        other.load_published({**state, f"{prefix}h.0.attn.c_attn.weight": torch.zeros(48, 16)})
    with pytest.raises(UserError, match=r"has 1 tensor \(extra\) that the net has not"):
        other.load_published({**state, "extra": torch.zeros(1)})


def test_a_last_layer_that_is_not_the_embedding_is_not_taken_for_it():
    state = _as_published(gpt())
    with pytest.raises(UserError, match=r"lm_head.weight that is not transformer.wte.weight again.*tied=False"):
        gpt().load_published({**state, "lm_head.weight": torch.ones(7, 16)})
    untied = gpt(tied=False)
    untied.load_published({**state, "lm_head.weight": torch.ones(7, 16)})
    assert torch.equal(untied.head.weight, torch.ones(7, 16))


def test_a_net_of_less_context_takes_the_first_of_the_places():
    one, shorter = gpt(), gpt(context=5)
    shorter.load_published(_as_published(one))
    token_BT = torch.randint(0, 7, (2, 5))
    assert torch.equal(shorter(token_BT), one(token_BT))
    with pytest.raises(UserError, match=r"transformer.wpe.weight \(8, 16\) for \(9, 16\)"):
        gpt(context=9).load_published(_as_published(one))


@pytest.mark.parametrize("prefix", ["", "transformer."])
@pytest.mark.parametrize("name", list(COUNTS))
def test_every_published_size_is_taken_as_it_is_published(name, prefix):
    layers, width = gpt_net.VARIANTS[name]["layers"], gpt_net.VARIANTS[name]["width"]
    parts = {"ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,)}
    for part, (wide, out) in {
        "attn.c_attn": (1, 3),
        "attn.c_proj": (1, 1),
        "mlp.c_fc": (1, 4),
        "mlp.c_proj": (4, 1),
    }.items():
        parts |= {f"{part}.weight": (wide * width, out * width), f"{part}.bias": (out * width,)}
    shapes = {"wte.weight": (50257, width), "wpe.weight": (1024, width), "ln_f.weight": (width,), "ln_f.bias": (width,)}
    shapes |= {f"h.{n}.{part}": shape for n in range(layers) for part, shape in parts.items()}
    shapes |= {f"h.{n}.attn.bias": (1, 1, 1024, 1024) for n in range(layers)}
    with torch.device("meta"):
        net: Any = nets.build(name, (1024,), 50257)
        state = {prefix + key: torch.empty(shape) for key, shape in shapes.items()}
    state |= {"lm_head.weight": state["transformer.wte.weight"]} if prefix else {}
    taken = net.of_published(state)
    assert {k: t.shape for k, t in taken.items()} == {k: t.shape for k, t in net.state_dict().items()}
    assert net.heads * 64 == width


@pytest.mark.parametrize("ngrams", [1, 3])
@pytest.mark.parametrize("name", ["gpt", "gpt-modern"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_no_token_sees_those_after_it(name, norm, ngrams):
    net = gpt(name, norm=norm, zero_init=False, ngrams=ngrams, rows=40)
    token_BT = torch.randint(0, 7, (3, 8))
    changed_BT = token_BT.clone()
    changed_BT[:, 5] = (changed_BT[:, 5] + 1) % 7
    before, after = net(token_BT), net(changed_BT)
    assert torch.equal(before[:, :5], after[:, :5]) and not torch.equal(before[:, 5:], after[:, 5:])
    torch.testing.assert_close(net(token_BT[:, :5]), before[:, :5])


@pytest.mark.parametrize("name", ["gpt", "gpt-modern"])
def test_a_cache_changes_nothing(name):
    net = gpt(name, zero_init=False)
    token_BT = torch.randint(0, 7, (3, 8))
    caches, said = net.caches(3), []
    for start, stop in ((0, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8)):
        position_BT = torch.arange(start, stop).expand(3, -1)
        said.append(net.logits(net.features(token_BT[:, start:stop], caches=caches, position_BT=position_BT)))
    torch.testing.assert_close(torch.cat(said, dim=1), net(token_BT))


def test_an_ngram_is_its_tokens_and_their_order():
    net = gpt(ngrams=3, rows=8 * 8 * 7)
    token_BT = torch.tensor([[1, 2, 1, 2, 1], [2, 1, 2, 1, 2]])
    pairs_BT, triples_BT = net._rows(token_BT, None, None)
    assert pairs_BT[0, 1] == pairs_BT[0, 3] == pairs_BT[1, 2] != pairs_BT[0, 2] == pairs_BT[1, 1]
    assert len(set(pairs_BT[:, 0].tolist()) | set(pairs_BT[:, 1:].flatten().tolist())) == 4  # the first have none
    assert triples_BT[0, 2] == triples_BT[0, 4] == triples_BT[1, 3] and triples_BT[0, 1] != triples_BT[0, 3]


def test_the_modern_form_starts_as_its_embedding_and_keeps_its_logits_bounded():
    net = gpt("gpt-modern", soft_cap=2.0)
    token_BT = torch.randint(0, 7, (2, 8))
    taps: dict[str, torch.Tensor] = {}
    logit_BTK = net(token_BT, taps)
    assert torch.equal(taps["layer1"], taps["layer2"])
    assert logit_BTK.abs().max() < 2
    with torch.no_grad():
        net.head.weight.mul_(1e6)
    assert net(token_BT).abs().max() <= 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"width": 10, "heads": 4}, "width 10 and heads 4.*--net.width 8 --net.heads 4"),
        ({"width": -8}, "width -8 and heads 2.*--net.width 2 --net.heads 2"),
        ({"heads": 0}, "heads 0.*--net.width 16 --net.heads 1"),
        ({"ngrams": 0}, "ngrams 0 and rows 8191"),
        ({"ngrams": 2, "rows": 0}, "ngrams 2 and rows 0"),
        ({"soft_cap": float("nan")}, "soft cap of nan"),
        ({"width": 6, "heads": 2, "positions": "rotary"}, "heads of 3 features"),
        ({"layers": 0}, "0 layers"),
        ({"soft_cap": -1.0}, "soft cap of -1"),
    ],
)
def test_sizes_that_do_not_go_together_are_told(options, told):
    with pytest.raises(UserError, match=told):
        gpt(**options)


def test_other_inputs_are_told():
    with pytest.raises(UserError, match="expected texts"):
        nets.build("gpt", (1, 8, 8), 7)
    for x in (torch.zeros(1, 9, dtype=torch.int64), torch.zeros(8, dtype=torch.int64), torch.zeros(1, 8)):
        with pytest.raises(UserError, match="with T from 1 to 8"):
            gpt()(x)
