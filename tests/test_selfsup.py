"""Images without labels: what is hidden stays hidden, the teacher follows, neighbours vote, runs resume."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from hyperplane import api, data, explain, nets, recipes, tasks
from hyperplane.contracts import Batch, Description
from hyperplane.engine.chance import generator
from hyperplane.engine.events import Stepped
from hyperplane.engine.loop import Interrupted
from hyperplane.errors import UserError
from hyperplane.nets.vit import ViT
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, TaskRecipe, TrainingRecipe
from hyperplane.tasks.blocks.unlabelled import NEIGHBOURS, TEMPERATURE, plane, votes
from hyperplane.tasks.blocks.views import view
from hyperplane.tasks.selfsup_dino import Dino, balanced
from hyperplane.tasks.selfsup_mae import MaskedAutoencoder, cut
from tests.data import makers

TASKS = ("selfsup-mae", "selfsup-dino")
NET = {"width": 16, "depth": 1, "heads": 2, "patch": 2, "pool": "mean"}
OPTIONS: dict[str, dict[str, Any]] = {
    "selfsup-mae": {"width": 16, "depth": 1},
    "selfsup-dino": {"small": 1, "prototypes": 16, "embedding": 16},
}
SHAPES = {"image_BCHW": (1, 8, 8), "label_B": ()}
IMAGES = Description("d", "digits", "image", "image_BCHW", "label_B", SHAPES, {"train": 12}, tuple("abc"))


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyperplane.api._drawing", lambda watch: watch)


def joined(name: str, **options: Any) -> tuple[Any, ViT]:
    torch.manual_seed(0)
    task: Any = tasks.build(name, IMAGES, {**OPTIONS[name], **options})
    net = nets.build("vit", (1, 8, 8), task.outputs, NET)
    task.join(net)
    assert isinstance(net, ViT)
    return task, net


def batch(count: int = 12) -> Batch:
    chance = torch.Generator().manual_seed(1)
    fields = {"image_BCHW": torch.randn(count, 1, 8, 8, generator=chance), "label_B": torch.arange(count) % 3}
    return Batch(fields, torch.arange(count))


def recipe(name: str, source: str = "digits", **training: Any) -> Recipe:
    return Recipe(
        data=DataRecipe(source=source),
        task=TaskRecipe(name, OPTIONS[name]),
        net=NetRecipe("vit", NET),
        training=TrainingRecipe(**{"steps": 12, "batch": 64, "checkpoint_seconds": 0.0, **training}),
    )


def weights(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(path / "model.safetensors")


class TestMaskedAutoencoder:
    def test_the_net_sees_nothing_of_what_is_hidden(self) -> None:
        _, net = joined("selfsup-mae")
        image_BCHW, kept_BV = batch(2)["image_BCHW"], torch.tensor([[0, 5, 9], [3, 2, 15]])
        changed_BCHW = image_BCHW.clone()
        changed_BCHW[0, :, 2:4, 6:] += 1  # patch 7 is hidden
        assert torch.equal(net.visible(image_BCHW, kept_BV), net.visible(changed_BCHW, kept_BV))
        changed_BCHW[0, :, 4:6, 2:4] += 1  # patch 9 is shown
        assert not torch.equal(net.visible(image_BCHW, kept_BV)[0], net.visible(changed_BCHW, kept_BV)[0])

    def test_all_patches_in_order_are_the_whole_image(self) -> None:
        _, net = joined("selfsup-mae")
        image_BCHW = batch(3)["image_BCHW"]
        said_BVK = net.visible(image_BCHW, torch.arange(16).expand(3, -1))
        torch.testing.assert_close(said_BVK.mean(1), net(image_BCHW))  # the head is linear

    def test_the_loss_is_the_error_of_hidden_pixels_alone(self) -> None:
        task, net = joined("selfsup-mae")
        assert isinstance(task, MaskedAutoencoder)
        task.generator = torch.Generator().manual_seed(3)
        loss_B = task.forward(net, batch()).loss_B
        order_BT = torch.rand(12, 16, generator=torch.Generator().manual_seed(3)).argsort(1)
        kept_BV, hidden_BM = order_BT[:, :4], order_BT[:, 4:]
        built_BTP = task.decoder(net.visible(batch()["image_BCHW"], kept_BV), kept_BV)
        for one in range(12):
            image_HW = batch()["image_BCHW"][one, 0]
            errors = []
            for patch in hidden_BM[one].tolist():
                row, column = 2 * (patch // 4), 2 * (patch % 4)
                pixels_P = image_HW[row : row + 2, column : column + 2].flatten()
                errors.append((built_BTP[one, patch] - pixels_P).square().mean())
            torch.testing.assert_close(loss_B[one], torch.stack(errors).mean())

    def test_evaluation_hides_the_same_patches_every_time_whatever_the_batch(self) -> None:
        task, net = joined("selfsup-mae")
        task.eval()
        net.eval()
        whole = task.forward(net, batch()).loss_B
        alone = torch.cat([task.forward(net, batch().take(slice(i, i + 1))).loss_B for i in range(12)])
        torch.testing.assert_close(whole, alone)

    def test_what_is_drawn_of_shown_patches_is_the_image(self) -> None:
        task, net = joined("selfsup-mae")
        task.eval()
        net.eval()
        task.forward(net, batch())
        patch_TP, _, _ = task.seen[0]
        assert np.allclose(task._picture(patch_TP)[:, :, 0], batch()["image_BCHW"][0, 0].numpy())
        assert torch.equal(cut(batch()["image_BCHW"], 2, (4, 4))[0], patch_TP)


class TestDino:
    def test_the_teacher_follows_the_net_and_is_not_trained(self) -> None:
        task, net = joined("selfsup-dino", decay=0.5)
        assert isinstance(task, Dino)
        task.generator = torch.Generator().manual_seed(0)
        first = {name: weight.clone() for name, weight in net.named_parameters()}
        task.forward(net, batch()).loss_B.mean().backward()
        assert all(p.grad is None for p in task.teacher.parameters())
        assert all(p.grad is not None for p in [*net.parameters(), *task.projection.parameters()])
        with torch.no_grad():
            for weight in net.parameters():
                weight.add_(1)
        task.after_step(net, 0)
        decay = 2 / 11  # of the first update, the start being soon forgotten
        for name, weight in task.teacher[0].named_parameters():
            torch.testing.assert_close(weight, decay * first[name] + (1 - decay) * (first[name] + 1))

    def test_the_loss_is_the_papers(self) -> None:
        """Cross-entropy of each view of the student's with each other large view of the teacher's."""
        task, net = joined("selfsup-dino")
        task.eval()
        net.eval()
        found_B = task.forward(net, batch()).loss_B
        chance, image_BCHW = torch.Generator().manual_seed(0), batch()["image_BCHW"]
        views = [view(image_BCHW, 8, (0.4, 1.0), chance) for _ in range(2)]
        views.append(view(image_BCHW, 4, (0.1, 0.4), chance))
        large = task.projection(net(torch.cat(views[:2]))).chunk(2)  # standardised together
        student = [score_BK / 0.1 for score_BK in (*large, task.projection(net(views[2])))]
        share_NK = (task.teacher[1](task.teacher[0](torch.cat(views[:2]))) / 0.04).exp()
        for _ in range(3):
            share_NK = share_NK / share_NK.sum(0)
            share_NK = share_NK / share_NK.sum(1, keepdim=True)
        teacher = share_NK.chunk(2)
        pairs = [-(teacher[t] * student[s].log_softmax(1)).sum(1) for t in range(2) for s in range(3) if s != t]
        torch.testing.assert_close(found_B, torch.stack(pairs).mean(0))

    def test_every_prototype_is_named_as_often_and_every_image_says_one_thing(self) -> None:
        logit_NK = 3 * torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) + 2 * torch.arange(8.0)
        found_NK = balanced(logit_NK)
        torch.testing.assert_close(found_NK.sum(1), torch.ones(64))
        plain, most = ((share_NK.sum(0) - 8).abs().max() for share_NK in (logit_NK.softmax(1), found_NK))
        assert most < plain / 4

    def test_a_net_that_cannot_read_small_views_is_named(self) -> None:
        description = replace(IMAGES, shapes={"image_BCHW": (1, 28, 28), "label_B": ()})
        task: Any = tasks.build("selfsup-dino", description)
        with pytest.raises(UserError, match=r"reads no views of 14 x 14 pixels; .*--task\.small 0"):
            task.join(nets.build("mlp", (1, 28, 28), task.outputs))
        alone: Any = tasks.build("selfsup-dino", description, {"small": 0})
        alone.join(nets.build("mlp", (1, 28, 28), alone.outputs))


def test_views_depend_on_the_generator_alone_and_the_whole_area_is_the_image() -> None:
    image_BCHW = batch()["image_BCHW"]
    one, same, other = (view(image_BCHW, 6, (0.2, 0.6), torch.Generator().manual_seed(s)) for s in (0, 0, 1))
    assert one.shape == (12, 1, 6, 6) and torch.equal(one, same) and not torch.equal(one, other)
    smooth_BCHW = torch.linspace(-1, 1, 8).expand(1, 1, 8, 8)
    cut_BCHW = view(smooth_BCHW.expand(64, 1, 8, 8), 8, (0.3, 0.3), torch.Generator().manual_seed(0))
    slope_B = (cut_BCHW[:, 0, 4, 5] - cut_BCHW[:, 0, 4, 3]) / (smooth_BCHW[0, 0, 4, 5] - smooth_BCHW[0, 0, 4, 3])
    assert 0.2 < slope_B.abs().min() and slope_B.abs().max() < 1  # magnified
    assert (slope_B < 0).any() and (slope_B > 0).any()  # some in the mirror


def test_neighbours_vote_as_by_hand() -> None:
    chance = torch.Generator().manual_seed(0)
    feature_BD, label_B = torch.randn(50, 5, generator=chance), torch.randint(3, (50,), generator=chance)
    found_BK = votes(feature_BD, label_B, 3)
    unit_BD = (feature_BD - feature_BD.mean(0)).numpy()
    unit_BD /= np.linalg.norm(unit_BD, axis=1, keepdims=True)
    for b in range(50):
        cosines = [(float(unit_BD[b] @ unit_BD[o]), int(label_B[o])) for o in range(50) if o != b]
        nearest = sorted(cosines, reverse=True)[:NEIGHBOURS]
        weight = {k: sum(np.exp(c / TEMPERATURE) for c, label in nearest if label == k) for k in range(3)}
        share = [weight[k] / sum(weight.values()) for k in range(3)]
        assert found_BK[b].tolist() == pytest.approx(share, abs=1e-5)
    assert votes(feature_BD[:1], label_B[:1], 3).sum() == 0


def test_the_plane_is_that_of_the_principal_components() -> None:
    feature_BD = torch.randn(40, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([5, 3, 1, 1, 1, 1.0])
    found_B2 = plane(feature_BD).double()
    values = np.linalg.svd((feature_BD - feature_BD.mean(0)).numpy(), compute_uv=False)[:2]
    assert (found_B2.norm(dim=0) / found_B2[:, 0].norm()).tolist() == pytest.approx(
        (values / values[0]).tolist(), rel=1e-4
    )
    assert abs(float(found_B2[:, 0] @ found_B2[:, 1])) < 1e-4
    assert plane(torch.ones(1, 1)).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("name", TASKS)
def test_a_stopped_run_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    asked = replace(recipe(name), training=replace(recipe(name).training, ema=0.9))

    def stop(event: object) -> None:
        if isinstance(event, Stepped):
            os.kill(os.getpid(), signal.SIGINT)

    longer = replace(asked, training=replace(asked.training, steps=22))
    with pytest.raises(Interrupted):
        api.run_recipe(longer, runs=tmp_path, name="stopped", watch=stop)
    assert not (tmp_path / "stopped" / "manifest.json").exists()
    api.resume(tmp_path / "stopped")
    one, whole = weights(tmp_path / "stopped"), weights(api.run_recipe(longer, runs=tmp_path, name="whole"))
    assert one.keys() == whole.keys() and all(torch.equal(one[key], whole[key]) for key in one)


def test_a_net_without_attention_that_learned_without_labels_has_nothing_to_draw(tmp_path: Path) -> None:
    recipe = replace(recipes.start("digits", "lenet", "selfsup-dino"), training=TrainingRecipe(steps=1, batch=8))
    path = api.run_recipe(recipe, runs=tmp_path)
    picture = tmp_path / "one.png"
    Image.fromarray(makers.noise((8, 8))).save(picture)
    for pictures in ([], [picture]):
        with pytest.raises(UserError, match=r"learned without labels.*--from"):
            explain.explain(path, pictures)


@pytest.mark.parametrize("name", TASKS)
def test_from_a_flat_folder_to_a_classifier(name: str, tmp_path: Path) -> None:
    (tmp_path / "flat" / "deeper").mkdir(parents=True)
    for i in range(30):
        file = tmp_path / "flat" / ("deeper" if i % 5 == 0 else "") / f"{i}.png"
        Image.fromarray(makers.noise((8, 8), i)).save(file)
    begun = recipes.start(str(tmp_path / "flat"), "vit", name)
    assert begun.data.options == {"labels": "optional"}
    begun = replace(begun, net=NetRecipe("vit", NET), task=TaskRecipe(name, OPTIONS[name]))
    run = api.load(api.run_recipe(replace(begun, training=TrainingRecipe(steps=3, batch=8)), runs=tmp_path))
    assert run.trained.description.splits == {"train": 21, "validation": 3, "test": 6}
    assert [*run.metrics] == ["reconstruction_error" if name == "selfsup-mae" else "disagreement"]
    assert "no labels" in "".join(run.trained.description.notes)
    assert len(run.predict(tmp_path / "flat" / "1.png")["embedding"]) == 16

    assert "positions.svg" in {file.name for file in explain.explain(run.path)}
    drawn = explain.explain(run.path, [tmp_path / "flat" / "1.png"])
    assert [file.stem for file in drawn] == ["given-1-attention-heads", "given-1-attention-rollout"]

    makers.class_folders(tmp_path / "pets", {"cat": 8, "dog": 8})
    tuned = recipes.start(str(tmp_path / "pets"), weights=str(run.path))
    fine = api.load(api.run_recipe(replace(tuned, training=TrainingRecipe(epochs=1, batch=4)), runs=tmp_path))
    said = "".join(fine.trained.description.notes)
    assert "new from the seed: head.bias, head.weight" in said and fine.trained.recipe.task.name == "classification"


def test_labels_are_for_judging_and_the_head_is_not_taken_even_for_the_same_classes(tmp_path: Path) -> None:
    run = api.load(api.run_recipe(recipe("selfsup-mae"), runs=tmp_path))
    assert [*run.metrics] == ["neighbour_accuracy", "reconstruction_error"]
    assert {"reconstructions.svg", "features.svg", "neighbours.svg"} <= {
        f.name for f in run.trained.folder.plots.iterdir()
    }
    assert run.evaluate()["neighbour_accuracy"].value == pytest.approx(run.metrics["neighbour_accuracy"].value)
    tuned = recipes.start("digits", weights=str(run.path))
    tuned = replace(tuned, optimizer=OptimizerRecipe(), training=TrainingRecipe(steps=2, batch=64))
    fine = api.load(api.run_recipe(tuned, runs=tmp_path, name="fine"))
    assert "new from the seed: head.bias, head.weight" in "".join(fine.trained.description.notes)


@pytest.mark.parametrize(
    ("name", "options", "net", "message"),
    [
        ("selfsup-mae", {"hidden": 1.0}, NetRecipe("vit", NET), r"selfsup-mae\.hidden: found 1\.0"),
        ("selfsup-mae", {"width": 20}, NetRecipe("vit", NET), "a multiple of 16"),
        ("selfsup-mae", {}, NetRecipe("lenet"), "--net vit-small-28 --net.stem patch"),
        ("selfsup-mae", {}, NetRecipe("vit", {**NET, "stem": "convolutions"}), "--net.stem patch"),
        ("selfsup-mae", {}, NetRecipe("vit", {**NET, "patch": 8}), r"found 1 patches.*--net\.patch 2"),
        ("selfsup-dino", {"decay": 1.0}, NetRecipe("vit", NET), r"selfsup-dino\.decay: found 1\.0"),
        ("selfsup-dino", {"prototypes": 1}, NetRecipe("vit", NET), r"prototypes 1 "),
    ],
)
def test_what_does_not_fit_is_named(name: str, options: dict, net: NetRecipe, message: str, tmp_path: Path) -> None:
    asked = replace(recipe(name), net=net, task=TaskRecipe(name, options))
    with pytest.raises(UserError, match=message):
        api.run_recipe(asked, runs=tmp_path)
    assert not (tmp_path / "digits").exists()


def test_tables_have_no_patches(tmp_path: Path) -> None:
    made = makers.animals(tmp_path / "animals.csv")
    with pytest.raises(UserError, match="the samples are no images, but table"):
        api.train(made, target="animal", task="selfsup-mae", runs=tmp_path)


def test_images_that_shrink_are_refused(tmp_path: Path) -> None:
    asked = recipe("selfsup-mae")
    with pytest.raises(UserError, match=r"leave out --augment\.sizes"):
        api.run_recipe(replace(asked, augment=replace(asked.augment, sizes=(4,))), runs=tmp_path)


def test_several_views_of_an_answer_are_refused(tmp_path: Path) -> None:
    asked = recipe("selfsup-mae")
    with pytest.raises(UserError, match=r"--augment\.views one"):
        api.run_recipe(replace(asked, augment=replace(asked.augment, views="mirrored")), runs=tmp_path)


def test_recipes_are_found_by_their_task() -> None:
    usual = recipes.find("cifar-10", "vit-small-32")
    assert usual.task.name == "classification" and usual.augment.sizes
    assert api.run_name(recipes.start("digits", None, "selfsup-mae")) == "digits-selfsup-mae"
    assert recipes.find("fashion-mnist", None, "selfsup-mae").net.name == "vit-small-28"
    assert recipes.find("fashion-mnist").net.name == "compact"
    usual = recipes.find("fashion-mnist", "vit-small-28")
    assert usual.task.name == "classification" and usual.data.validation == 0 and usual.augment.sizes
    assert recipes.start("digits", None, "selfsup-mae").net.name is None, "the digits' recipe is for another task"
    assert recipes.start("digits", None, "classification").net.name == "lenet"


def test_few_labels_of_each_class_and_the_rest_stays(tmp_path: Path) -> None:
    whole = data.open(DataRecipe(source="digits"))
    few = data.open(DataRecipe(source="digits", labels_per_class=5))
    label_B = few.batch("train", range(50))["label_B"]
    assert few.description.splits == {**whole.description.splits, "train": 50}
    assert label_B.bincount().tolist() == list(few.description.class_counts) == [5] * 10
    assert few.description.encoding == whole.description.encoding
    assert torch.equal(few.batch("test", [3])["image_BCHW"], whole.batch("test", [3])["image_BCHW"])
    names = [few.sample_name("train", i) for i in range(50)]
    assert len(set(names)) == 50 and names != [whole.sample_name("train", i) for i in range(50)]
    other = data.open(DataRecipe(source="digits", labels_per_class=5, seed=1))
    assert names != [other.sample_name("train", i) for i in range(50)]
    everything = data.open(DataRecipe(source="digits", labels_per_class=10_000))
    assert everything.description.splits == whole.description.splits
    made = makers.animals(tmp_path / "animals.csv")
    with pytest.raises(UserError, match=r"does not tell the class of each sample.*leave --data\.labels-per-class out"):
        data.open(DataRecipe(source=str(made), target="animal", labels_per_class=5))


def test_chance_is_drawn_from_the_seed_and_the_step() -> None:
    task, net = joined("selfsup-mae")
    task.generator = generator(0, "layers", 7)
    one = task.forward(net, batch()).loss_B
    task.generator.manual_seed(generator(0, "layers", 7).initial_seed())
    assert torch.equal(one, task.forward(net, batch()).loss_B)
