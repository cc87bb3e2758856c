"""Augmentation: what each change does to an image, that it depends on the step alone, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hyperplane import api
from hyperplane.contracts import Batch, Description
from hyperplane.engine.augmentation import (
    Augmentation,
    bent,
    flipped,
    grid,
    lit,
    quarter_turned,
    sampled,
    shifted,
    shrunk,
    turned,
    with_hole,
)
from hyperplane.engine.chance import generator
from hyperplane.errors import UserError
from hyperplane.recipe import AugmentRecipe


def described(*shape: int, samples: int = 1000) -> Description:
    shapes = {"image_BCHW" if len(shape) == 3 else "feature_BD": shape, "label_B": ()}
    return Description("some", "folder", "image", "image_BCHW", "label_B", shapes, {"train": samples}, ("a", "b"))


def chance(step: int = 0) -> torch.Generator:
    return generator(0, "test", step)


def test_a_shift_moves_whole_pixels_and_repeats_the_edge() -> None:
    image_BCHW = torch.arange(400 * 49.0).view(400, 1, 7, 7)
    moved_BCHW = shifted(image_BCHW, 2, chance())
    down, right = (moved_BCHW - image_BCHW)[:, 0, 3, 3].div(7).round(), None
    right = (moved_BCHW - image_BCHW)[:, 0, 3, 3] - 7 * down
    assert set(down.tolist()) == set(right.tolist()) == {-2, -1, 0, 1, 2}
    k = int(((down == 2) & (right == 0)).nonzero()[0])
    assert torch.equal(moved_BCHW[k, 0, :5], image_BCHW[k, 0, 2:])
    assert torch.equal(moved_BCHW[k, 0, 5], image_BCHW[k, 0, 6]) and torch.equal(
        moved_BCHW[k, 0, 6], image_BCHW[k, 0, 6]
    )


def test_half_of_the_images_are_mirrored_and_the_other_half_in_the_next_epoch() -> None:
    image_BCHW = torch.randn(1000, 3, 4, 5, generator=chance())
    augment = Augmentation(AugmentRecipe(flip=True), "image_BCHW", described(3, 4, 5), seed=0)
    batch = Batch({"image_BCHW": image_BCHW}, torch.arange(1000))
    seen = [augment(batch, chance(), epoch, 0.0)["image_BCHW"] for epoch in (0, 1, 2)]
    mirrored = [(seen_BCHW == image_BCHW.flip(3)).flatten(1).all(1) for seen_BCHW in seen]
    assert 430 < int(mirrored[0].sum()) < 570
    assert torch.equal(mirrored[0], ~mirrored[1]) and torch.equal(mirrored[0], mirrored[2])
    assert torch.equal(seen[0][~mirrored[0]], image_BCHW[~mirrored[0]])
    assert torch.equal(flipped(image_BCHW, mirrored[0]), seen[0])
    part = batch.take(torch.tensor([7, 3]))
    assert torch.equal(augment(part, chance(), 0, 0.0)["image_BCHW"], seen[0][[7, 3]]), "whatever the batch it is in"


def test_images_are_shrunk_to_each_size_in_turn() -> None:
    image_BCHW = torch.rand(2, 1, 8, 12)
    sizes = [tuple(shrunk(image_BCHW, (2, 4), done).shape[2:]) for done in (0.0, 0.32, 0.34, 0.66, 0.67, 0.99)]
    assert sizes == [(2, 3), (2, 3), (4, 6), (4, 6), (8, 12), (8, 12)]
    assert torch.allclose(shrunk(image_BCHW, (4,), 0.0).mean((2, 3)), image_BCHW.mean((2, 3)), atol=0.05)


def test_a_turn_of_nothing_changes_nothing_and_a_turned_disc_stays_where_it_is() -> None:
    image_BCHW = torch.randn(8, 2, 9, 13, generator=chance())
    assert torch.allclose(turned(image_BCHW, 0.0, 0.0, 0, chance(1)), image_BCHW, atol=1e-5)
    row_H, column_W = torch.arange(32.0) - 15.5, torch.arange(48.0) - 23.5
    disc_HW = ((row_H[:, None] ** 2 + column_W**2).sqrt() < 10).float()
    seen_BHW = turned(disc_HW.expand(64, 1, 32, 48), 180.0, 0.0, 0, chance(2))[:, 0]
    assert (seen_BHW - disc_HW).abs().mean() < 0.02, "in oblong images too, a turn keeps distances"


def test_a_turn_goes_both_ways_and_no_further() -> None:
    arrow_HW = torch.zeros(41, 41)
    arrow_HW[20, 20:] = 1
    seen_BHW = turned(arrow_HW.expand(300, 1, 41, 41), 30.0, 0.0, 0, chance())[:, 0]
    row_B = (seen_BHW[:, :, 38] * torch.arange(41.0)).sum(1) / seen_BHW[:, :, 38].sum(1).clamp_min(1e-6)
    angle_B = torch.atan2(row_B - 20, torch.tensor(18.0)).rad2deg()
    assert angle_B.min() < -20 and angle_B.max() > 20 and angle_B.abs().max() < 31


def test_an_elastic_deformation_moves_each_image_smoothly_by_pixels() -> None:
    column_W = torch.arange(40.0)
    ramp_BCHW = column_W.expand(200, 1, 30, 40)
    shift_BHW2 = bent(ramp_BCHW, 2.0, chance())
    still_BHW2 = grid(ramp_BCHW, 0.0, 0.0, 0, chance())
    moved_BHW = sampled(ramp_BCHW, still_BHW2 + shift_BHW2, "border")[:, 0] - column_W
    inside_BHW = moved_BHW[:, :, 4:-4]
    asked_BHW = shift_BHW2[:, :, 4:-4, 0] * 40 / 2
    assert torch.allclose(inside_BHW, asked_BHW, atol=1e-4), "pixels along a row are what the ramp tells"
    corner_B2 = shift_BHW2[:, 0, 0] * torch.tensor([40 / 2, 30 / 2])
    assert 1.9 < corner_B2.abs().max() <= 2 and corner_B2.mean(0).abs().max() < 0.25, "a knot moves by up to 2 pixels"
    assert inside_BHW.diff(dim=2).abs().max() < 0.7, "neighbours move nearly alike"
    assert inside_BHW.flatten(1).std(1).min() > 0.2, "and yet no image moves as a whole"


def test_a_hole_is_blanked_with_the_mean() -> None:
    image_BCHW = torch.randn(50, 1, 20, 20, generator=chance())
    seen_BCHW = with_hole(image_BCHW, 6, chance(1))
    changed_B = (seen_BCHW != image_BCHW).flatten(1).sum(1)
    assert 9 <= int(changed_B.min()) and int(changed_B.max()) <= 49
    blank = seen_BCHW[0][seen_BCHW[0] != image_BCHW[0]]
    assert torch.allclose(blank, image_BCHW[0].mean().expand_as(blank))


def test_depends_on_the_generator_alone_and_leaves_the_batch_alone() -> None:
    image_BCHW = torch.randn(16, 1, 8, 8, generator=chance())
    batch = Batch({"image_BCHW": image_BCHW.clone(), "label_B": torch.arange(16)}, torch.arange(16))
    recipe = AugmentRecipe(flip=True, shift=1, rotate=10.0, zoom=0.1, cutout=2)
    augment = Augmentation(recipe, "image_BCHW", described(1, 8, 8), seed=0)
    first, again, other = (augment(batch, chance(step), 0, 0.0) for step in (1, 1, 2))
    assert torch.equal(first["image_BCHW"], again["image_BCHW"])
    assert not torch.equal(first["image_BCHW"], other["image_BCHW"])
    assert torch.equal(batch["image_BCHW"], image_BCHW) and torch.equal(first["label_B"], batch["label_B"])


def test_refuses_what_it_cannot_change(tmp_path) -> None:
    with pytest.raises(UserError, match="no images"):
        Augmentation(AugmentRecipe(shift=1), "feature_BD", described(4), 0)
    with pytest.raises(UserError, match="expected less than the images' 8"):
        Augmentation(AugmentRecipe(shift=8), "image_BCHW", described(1, 8, 8), 0)
    with pytest.raises(UserError, match="elastic: found 1000 pixels"):
        Augmentation(AugmentRecipe(elastic=1000.0), "image_BCHW", described(1, 8, 8), 0)
    with pytest.raises(UserError, match="sizes: found 9 pixels, but the images have 8"):
        Augmentation(AugmentRecipe(sizes=(4, 9)), "image_BCHW", described(1, 8, 8), 0)
    with pytest.raises(UserError, match="no images"):
        api.train("points-separable", runs=tmp_path, changes={"augment.flip": True, "training.epochs": 1})


def test_trains_digits_with_it(tmp_path) -> None:
    changes = {"augment.shift": 1, "augment.sizes": [6], "training.epochs": 3}
    runs = [api.train("digits", runs=tmp_path, name=name, changes=changes) for name in ("first", "second")]
    assert runs[0].metrics["accuracy"].value > 0.8
    assert (tmp_path / "first/model.safetensors").read_bytes() == (tmp_path / "second/model.safetensors").read_bytes()


def test_a_mask_is_moved_with_its_image() -> None:
    image_BCHW = torch.randint(2, (64, 1, 12, 12), generator=chance()).float()
    described_mask = replace(
        described(1, 12, 12), shapes={"image_BCHW": (1, 12, 12), "mask_BHW": (12, 12)}, target="mask_BHW"
    )
    recipe = AugmentRecipe(flip=True, quarter=True, shift=3)
    augment = Augmentation(recipe, "image_BCHW", described_mask, seed=0)
    batch = Batch({"image_BCHW": image_BCHW, "mask_BHW": image_BCHW[:, 0].long()}, torch.arange(64))
    seen = augment(batch, chance(), 0, 0.0)
    assert torch.equal(seen["image_BCHW"][:, 0].long(), seen["mask_BHW"]) and seen["mask_BHW"].dtype == torch.int64
    assert not torch.equal(seen["mask_BHW"], batch["mask_BHW"])
    every = replace(recipe, rotate=45.0, zoom=0.2, elastic=1.0, sizes=(6,))
    turned_too = Augmentation(every, "image_BCHW", described_mask, seed=0)
    seen = turned_too(batch, chance(), 0, 0.9)
    alike = (seen["image_BCHW"][:, 0].round().long() == seen["mask_BHW"]).double().mean()
    assert 0.85 < alike and set(seen["mask_BHW"].unique().tolist()) == {0, 1}
    assert turned_too(batch, chance(), 0, 0.0)["mask_BHW"].shape == (64, 6, 6)
    marked = Batch({"image_BCHW": image_BCHW, "mask_BHW": torch.full((64, 12, 12), 255)}, torch.arange(64))
    assert (augment(marked, chance(), 0, 0.0)["mask_BHW"] == 255).all()


def test_outside_of_an_image_with_a_mask_is_its_mirror_image() -> None:
    frame_BCHW = torch.ones(32, 1, 40, 40)
    frame_BCHW[:, :, 1:-1, 1:-1] = 0
    shapes = {"image_BCHW": (1, 40, 40), "mask_BHW": (40, 40)}
    described_mask = replace(described(1, 40, 40), shapes=shapes, target="mask_BHW")
    batch = Batch({"image_BCHW": frame_BCHW, "mask_BHW": frame_BCHW[:, 0].long()}, torch.arange(32))
    turned_both = Augmentation(AugmentRecipe(rotate=45.0), "image_BCHW", described_mask, 0)(batch, chance(), 0, 0.0)
    share = turned_both["mask_BHW"].double().mean()
    assert 0.05 < share < 0.12, "the frame alone is a tenth; repeated beyond the edge it would be more"
    assert turned(frame_BCHW, 45.0, 0.0, 0, chance()).mean() > 0.14
    assert (turned_both["image_BCHW"][:, 0].round().long() == turned_both["mask_BHW"]).double().mean() > 0.9


def test_quarter_turns_are_all_four_and_of_oblongs_two() -> None:
    square, oblong = torch.randn(1, 2, 5, 5), torch.randn(1, 2, 5, 7)
    turned_BCHW = quarter_turned(square.expand(400, -1, -1, -1), chance())
    counts = [int((turned_BCHW == square.rot90(k, (2, 3))).flatten(1).all(1).sum()) for k in range(4)]
    assert sum(counts) == 400 and min(counts) > 60
    turned_BCHW = quarter_turned(oblong.expand(400, -1, -1, -1), chance())
    counts = [int((turned_BCHW == oblong.rot90(k, (2, 3))).flatten(1).all(1).sum()) for k in (0, 2)]
    assert sum(counts) == 400 and min(counts) > 140


def test_light_changes_an_image_as_a_whole_within_its_range() -> None:
    image_BCHW = torch.randn(300, 2, 4, 4, generator=chance())
    lit_BCHW = lit(image_BCHW, 0.5, 0.2, chance())
    scale_B = (lit_BCHW[:, 0, 0, 0] - lit_BCHW[:, 1, 2, 1]) / (image_BCHW[:, 0, 0, 0] - image_BCHW[:, 1, 2, 1])
    added_B = lit_BCHW[:, 0, 0, 0] - scale_B * image_BCHW[:, 0, 0, 0]
    assert 0.79 < scale_B.min() < 0.85 and 1.15 < scale_B.max() < 1.21
    assert -0.51 < added_B.min() < -0.4 and 0.4 < added_B.max() < 0.51
    torch.testing.assert_close(image_BCHW * scale_B[:, None, None, None] + added_B[:, None, None, None], lit_BCHW)
