"""Several views of an image: what they are, that they are averaged, and that evaluation and prediction see them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hyperplane import api
from hyperplane.engine.model import SeveralViews
from hyperplane.errors import UserError


class Corner(nn.Module):
    """Says what stands in the upper left and the upper right corner."""

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        if taps is not None:
            taps["corner"] = x[:, 0, 0, 0]
        return torch.stack([x[:, 0, 0, 0], x[:, 0, 0, -1]], dim=1)


def test_views_are_the_mirror_image_and_the_moved_ones() -> None:
    image_BCHW = torch.arange(12.0).view(1, 1, 3, 4)
    looks = {
        "mirrored": [(0 + 3) / 2, (3 + 0) / 2],
        "moved": [(2 * 0 + 0 + 5) / 4, (2 * 3 + 2 + 7) / 4],
        "mirrored-moved": [(2 * 1.5 + (0 + 2) / 2 + (5 + 7) / 2) / 4] * 2,
    }
    for views, expected in looks.items():
        taps: dict[str, Tensor] = {}
        said_BK = SeveralViews(Corner(), views)(image_BCHW, taps)  # pyright: ignore[reportArgumentType]
        assert said_BK.tolist() == [expected], views
        assert taps["corner"].tolist() == [0.0], "the taps are those of the image itself"


def test_evaluation_and_prediction_see_the_same_views(tmp_path) -> None:
    changes = {"augment.views": "moved", "training.epochs": 2}
    run = api.train("digits", runs=tmp_path, changes=changes)
    assert run.trained.model.views == "moved"
    assert run.evaluate() == run.metrics
    source_one = api.train("digits", runs=tmp_path, name="one", changes={"training.epochs": 2})
    held = {name: tensor for name, tensor in run.net.state_dict().items()}
    assert all(torch.equal(held[n], t) for n, t in source_one.net.state_dict().items()), "training does not see them"
    assert source_one.metrics != run.metrics


def test_samples_that_are_no_images_have_one_view(tmp_path) -> None:
    with pytest.raises(UserError, match="views: found mirrored, but the samples are no images"):
        api.train("points-separable", runs=tmp_path, changes={"augment.views": "mirrored", "training.epochs": 1})
