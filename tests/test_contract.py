"""One suite over all that discovery finds: nets, tasks, data formats, recipes. An exception is an attribute there."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import pytest
import safetensors.torch
import torch

from hyperplane import discovery, nets, recipe, recipes, tasks
from hyperplane.contracts import Batch, Description
from hyperplane.engine.chance import seeded
from hyperplane.errors import UserError
from hyperplane.recipe import DataRecipe

NETS = [(e.name, None) for e in discovery.entries("nets").values()] + [
    (e.name, variant) for e in discovery.entries("nets").values() for variant in e.variants
]
IMAGES = [(3, 9, 7), (1, 8, 8), (2, 28, 28), (1, 33, 31), (3, 64, 48), (1, 70, 81)]
FEATURES = [(1,), (2,), (7,)]
TEXTS = [(1,), (4,), (9,)]
LARGE = 100_000
"""Weights from which on a variant is looked at on the meta device, which computes shapes alone. Its module passes the
whole suite with the options of its EXAMPLE."""


@cache
def shapes(name: str, variant: str | None) -> list[tuple[int, ...]]:
    """Return the odd input shapes that a net reads; images may be too small for it, if it says so."""
    by_field = {"image_BCHW": IMAGES, "feature_BD": FEATURES, "token_BT": TEXTS}
    read = []
    for shape in (shape for field in discovery.load("nets", name).NET.ACCEPTS for shape in by_field[field]):
        try:
            build(name, variant, shape, 2, device="meta")
            read.append(shape)
        except UserError as error:
            assert f"found images of {shape[1]} x {shape[2]} pixels, expected at least" in str(error)
    assert read
    return read


def build(name: str, variant: str | None, shape: tuple[int, ...], outputs: int, seed: int = 0, device: str = "cpu"):
    module = discovery.load("nets", name)
    with seeded(seed, "weights"), torch.device(device):
        return nets.build(variant or name, shape, outputs, None if variant else module.EXAMPLE["options"])


def inputs(name: str, shape: tuple[int, ...], batch: int, outputs: int = 2, device: str = "cpu") -> torch.Tensor:
    """Return inputs of a kind that the net reads."""
    if "token_BT" in discovery.load("nets", name).NET.ACCEPTS:
        return torch.randint(outputs, (batch, *shape), device=device)
    return torch.randn(batch, *shape, device=device)


def said_of(name: str, shape: tuple[int, ...], batch: int, outputs: int) -> tuple[int, ...]:
    """Return the shape of what the net says: of each sample, or of each of its tokens or pixels."""
    says_of = getattr(discovery.load("nets", name).NET, "SAYS_OF", "sample")
    return {"token": (batch, *shape, outputs), "pixel": (batch, outputs, *shape[1:])}.get(says_of, (batch, outputs))


@cache
def large(name: str, variant: str | None) -> bool:
    net = build(name, variant, shapes(name, variant)[0], 2, device="meta")
    return sum(p.numel() for p in net.parameters()) > LARGE


SMALL_NETS = [(name, variant) for name, variant in NETS if not large(name, variant)]


@pytest.mark.parametrize(("name", "variant"), NETS)
class TestEveryNet:
    def test_forward_and_backward_at_odd_sizes(self, name, variant):
        device, sizes = ("meta", shapes(name, variant)[-1:]) if large(name, variant) else ("cpu", shapes(name, variant))
        for shape in sizes:
            for outputs, batch in ((1, 2), (3, 5)):
                net = build(name, variant, shape, outputs, device=device)
                x = inputs(name, shape, batch, outputs, device)
                taps: dict[str, torch.Tensor] = {}
                said = [net(x, taps), *(taps[tap] for tap in getattr(net, "auxiliary", {}))]
                assert all(y.shape == said_of(name, shape, batch, outputs) for y in said)
                torch.stack([y.square().sum() for y in said]).sum().backward()
                for weight, p in ((n, p) for n, p in net.named_parameters() if p.requires_grad):
                    assert p.grad is not None and (device == "meta" or p.grad.isfinite().all()), weight
                assert net.eval()(x[:1]).shape == said_of(name, shape, 1, outputs)

    def test_the_least_image_is_the_one_that_it_names(self, name, variant):
        try:
            build(name, variant, (1, 1, 1), 2, device="meta")
        except UserError as error:
            said = re.search(r"found images of 1 x 1 pixels, expected at least (\d+) x \1", str(error))
            assert said or "image_BCHW" not in discovery.load("nets", name).NET.ACCEPTS, error
            least = int(said[1]) if said else 1
        else:
            least = 1
        if least > 1:
            net = build(name, variant, (1, least, least), 2, device="meta").eval()
            read = (1, least, least + 3)
            assert net(torch.empty(1, *read, device="meta")).shape == said_of(name, read, 1, 2)
            with pytest.raises(UserError, match=f"expected at least {least} x {least}"):
                build(name, variant, (1, least + 3, least - 1), 2, device="meta")

    def test_an_unknown_option_is_named(self, name, variant):
        with pytest.raises(UserError, match="has no option 'wrongly_spelt'"):
            nets.build(variant or name, shapes(name, variant)[0], 2, {"wrongly_spelt": 1})

    def test_says_what_it_is(self, name, variant):
        entry = discovery.entries("nets")[name]
        assert entry.summary and discovery.load("nets", name).EXAMPLE.keys() == {"shape", "outputs", "options"}


@pytest.mark.parametrize(("name", "variant"), SMALL_NETS)
class TestNet:
    def test_taps_are_named_batches_and_change_nothing(self, name, variant):
        shape = shapes(name, variant)[0]
        net = build(name, variant, shape, 2).eval()
        x = inputs(name, shape, 4)
        taps: dict[str, torch.Tensor] = {}
        assert torch.equal(net(x, taps), net(x))
        assert all(len(tap) == 4 for tap in taps.values())

    def test_saved_weights_load_and_compute_the_same(self, name, variant):
        shape = shapes(name, variant)[0]
        one, other = build(name, variant, shape, 2).eval(), build(name, variant, shape, 2, seed=1).eval()
        x = inputs(name, shape, 4)
        assert not torch.equal(one(x), other(x))
        other.load_state_dict(safetensors.torch.load(safetensors.torch.save(one.state_dict())))
        assert torch.equal(one(x), other(x))

    def test_same_seed_same_weights_and_the_global_generator_is_left_alone(self, name, variant):
        shape = shapes(name, variant)[0]
        before = torch.get_rng_state()
        one, other = build(name, variant, shape, 2), build(name, variant, shape, 2)
        assert torch.equal(before, torch.get_rng_state())
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(a, b)

    def test_exports_to_a_graph_that_computes_the_same(self, name, variant):
        shape = shapes(name, variant)[0]
        net = build(name, variant, shape, 2).eval()
        x = inputs(name, shape, 4)
        graph = torch.export.export(net, (x,)).module()
        torch.testing.assert_close(graph(x), net(x))


IMAGE, POINT, ROW, PIXEL, TEXT, PAIR, MASK = (
    {"image_BCHW": (1, 8, 8), "label_B": ()},
    {"feature_BD": (2,), "label_B": ()},
    {"feature_BD": (3,), "value_BK": (2,)},
    {"feature_BD": (2,), "value_BK": (1,)},
    {"token_BT": (5,), "target_BT": (5,)},
    {f"{kind}{field}_BT": (5,) for kind in ("", "rejected_") for field in ("token", "answer")} | {"prompt_B": ()},
    {"image_BCHW": (3, 21, 34), "mask_BHW": (21, 34)},
)
DESCRIPTIONS = {
    "two classes": Description("a", "points", "points", "feature_BD", "label_B", POINT, {"train": 6}, ("-1", "1")),
    "four classes": Description("b", "digits", "image", "image_BCHW", "label_B", IMAGE, {"train": 6}, tuple("abcd")),
    "two numbers": Description(
        *("c", "table", "table", "feature_BD", "value_BK", ROW, {"train": 6}),
        target_names=("u", "v"),
        target_mean=(5.0, -1.0),
        target_std=(2.0, 0.5),
    ),
    "pictures without labels": Description(
        *("f", "folder", "image", "image_BCHW", "", {"image_BCHW": (3, 12, 9)}, {"train": 6})
    ),
    "levels of a picture": Description(
        *("d", "picture", "points", "feature_BD", "value_BK", PIXEL, {"train": 6}),
        target_names=("grey level",),
        target_mean=(120.0,),
        target_std=(60.0,),
    ),
    "a book": Description(
        *("e", "text", "text", "token_BT", "target_BT", TEXT, {"train": 6}),
        encoding={"vocabulary": "character", "characters": "\n abé"},
    ),
    "pairs of answers": Description(
        *("f", "prompts", "text", "token_BT", "answer_BT", PAIR, {"train": 6}),
        encoding={"vocabulary": "character", "characters": "\n abé"},
    ),
    "roads": Description(
        *("g", "masks", "image", "image_BCHW", "mask_BHW", MASK, {"train": 6}, ("background", "road"), (9, 2)),
    ),
    "roads and rivers": Description(
        *("h", "masks", "image", "image_BCHW", "mask_BHW", MASK, {"train": 6}, ("background", "road", "river")),
    ),
}
READS = {"target_BT": "gpt", "answer_BT": "gpt", "mask_BHW": "unet"}
"""A net for each target that the perceptron does not speak of."""
PAIRS = [
    (task, kind)
    for task in discovery.entries("tasks")
    for kind, description in DESCRIPTIONS.items()
    if discovery.load("tasks", task).fits(description).score > 0
]


def a_batch(description: Description) -> Batch:
    chance = torch.Generator().manual_seed(0)
    fields = {}
    for name, shape in description.shapes.items():
        if name == "label_B":
            fields[name] = torch.arange(6) % len(description.classes)
        elif name == "mask_BHW":
            fields[name] = torch.randint(len(description.classes), (6, *shape), generator=chance)
            fields[name][:, :2, :2] = 255
        elif name.endswith("_BT"):
            fields[name] = torch.randint(5, (6, *shape), generator=chance)
        elif name == "prompt_B":
            fields[name] = torch.arange(6) % 2 + 1
        else:
            fields[name] = torch.randn(6, *shape, generator=chance)
    return Batch(fields, torch.arange(6))


def a_net(task: Any, description: Description) -> torch.nn.Module:
    """Return the task's usual net, if it has one, joined to it; else one that reads these inputs."""
    shape = description.shapes[description.input]
    if hasattr(task, "usual"):
        usual = task.usual(description)
        with seeded(0, "weights"):
            net = nets.build(usual.name, shape, task.outputs, usual.options)
    else:
        net = build(READS.get(description.target, "perceptron"), None, shape, task.outputs)
    if hasattr(task, "join"):
        task.join(net)
    return net


@pytest.mark.parametrize(("name", "kind"), PAIRS)
class TestTask:
    def test_loss_metrics_decoding_and_drawing_agree(self, name, kind):
        description = DESCRIPTIONS[kind]
        task: Any = tasks.build(name, description)
        net = a_net(task, description)
        if begin := getattr(task, "begin", None):
            begin(net)
        batch = a_batch(description)
        output = task.forward(net, batch)
        assert output.loss_B.shape == (6,) and (output.loss_B >= 0).all()
        output.loss_B.mean().backward()

        for module in (net, task):
            module.eval()
        with torch.no_grad():
            output = task.forward(net, batch)
            assert torch.equal(output.prediction, task.predict(net, batch))
            statistics = task.statistics(output, batch)
            statistics = task.relate(statistics) if hasattr(task, "relate") else statistics
        assert all(len(value) == 6 for value in statistics.values()) and "loss_B" in statistics
        measured = task.measure(statistics)
        assert list(measured) == [metric.name for metric in task.METRICS]
        assert all(math.isfinite(value) for value in measured.values())
        assert {m.share_of for m in task.METRICS} - {None} <= statistics.keys()

        assert len(task.decode(output.prediction.detach())) == len(task.tell(statistics, list(range(6)))) == 6
        assert task.draw(statistics)

    def test_refuses_data_that_do_not_suit_it(self, name, kind):
        fits = discovery.load("tasks", name).fits
        wrong = [d for d in DESCRIPTIONS.values() if fits(d).score == 0]
        assert wrong
        with pytest.raises(UserError, match="does not suit it"):
            tasks.build(name, wrong[0])


@pytest.mark.parametrize("name", discovery.entries("data"))
class TestFormat:
    def test_says_why_a_path_is_not_its_own(self, name, tmp_path):
        module = discovery.load("data", name)
        (tmp_path / "nothing").mkdir()
        for path in (tmp_path / "nothing", tmp_path / "absent"):
            seen = module.sniff(path)
            assert seen.score == 0 and seen.reason

    def test_has_what_data_room_calls(self, name, tmp_path):
        module = discovery.load("data", name)
        assert all(callable(getattr(module, verb)) for verb in ("sniff", "open", "check", "encode"))
        assert tuple(getattr(module, "KNOWN", {})) == discovery.entries("data")[name].variants


RECIPES = [name for entry in discovery.entries("recipes").values() for name in entry.variants]


@pytest.mark.parametrize("name", RECIPES)
class TestRecipe:
    def test_survives_json_and_names_what_exists(self, name):
        made = recipes.named(name)
        assert recipe.from_json(recipe.to_json(made)) == made
        if made.net.name is not None:
            discovery.find("nets", made.net.name)

    def test_says_what_it_reached(self, name):
        import importlib

        entry = discovery.find("recipes", name)
        doc = getattr(importlib.import_module(entry.module), name).__doc__
        assert "hyperplane train" in doc and "±" in doc and "seeds" in doc


def test_recipes_complete_themselves_for_every_kind_of_data():
    for task, kind in PAIRS:
        description = DESCRIPTIONS[kind]
        asked = recipe.Recipe(data=DataRecipe(source="x"), task=recipe.TaskRecipe(task))
        whole = recipes.complete(asked, description)
        assert None not in (whole.task.name, whole.net.name, whole.training.epochs, whole.training.batch)
        assert recipe.from_json(recipe.to_json(whole)) == whole
        assert whole.net.options.keys() == nets.options(discovery.load("nets", whole.net.name or "").NET).keys()


@pytest.mark.parametrize(
    "text",
    [
        '{"seed": 1, "seed": 2}',
        '{"seed": ' + "1" * 5000 + "}",
        '{"data": {"validation": NaN}}',
        '{"data": {"validation": 1.5}}',
        '{"optimizer": {"learning_rate": 1' + "0" * 400 + "}}",
        '{"schedule": {"name": true}}',
        '{"net": {"options": []}}',
    ],
)
def test_a_recipe_is_read_strictly(text):
    with pytest.raises(UserError) as told:
        recipe.from_json(text, "recipe.json")
    assert "\n" not in str(told.value)
