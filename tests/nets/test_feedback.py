"""The net with feedback: what flows when, and outputs beside the last in training."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hyperplane import nets, tasks
from hyperplane.contracts import Batch, Description
from hyperplane.errors import UserError

SMALL = {"widths": (4, 6, 8, 10)}
DIGITS = Description(
    *("d", "digits", "image", "image_BCHW", "label_B"),
    {"image_BCHW": (1, 32, 32), "label_B": ()},
    {"train": 6},
    tuple("abc"),
)


def taps_of(net: torch.nn.Module, image: Tensor) -> dict[str, Tensor]:
    taps: dict[str, Tensor] = {}
    net.eval()(image, taps)
    return taps


def test_each_step_has_an_output_and_the_areas_shrink() -> None:
    net = nets.build("cornet", (3, 32, 32), 7, {**SMALL, "steps": 4})
    taps = taps_of(net, torch.randn(2, 3, 32, 32))
    assert [taps[f"{area}.1"].shape[1:] for area in ("V1", "V2", "V4", "IT")] == [
        (4, 32, 32), (6, 16, 16), (8, 8, 8), (10, 4, 4)
    ]  # fmt: skip
    assert all(taps[f"output{step}"].shape == (2, 7) for step in range(1, 5)) and "output5" not in taps
    assert not torch.equal(taps["output1"], taps["output2"])


def test_fewer_steps_give_the_outputs_that_more_steps_begin_with() -> None:
    net = nets.build("cornet", (1, 32, 32), 3, {**SMALL, "steps": 4})
    image = torch.randn(2, 1, 32, 32)
    taps = taps_of(net, image)
    shorter = copy.deepcopy(net)
    for steps in (1, 2, 3):
        shorter.steps = steps  # pyright: ignore[reportArgumentType]
        torch.testing.assert_close(shorter(image), taps[f"output{steps}"])


def test_feedback_reaches_v1_one_step_later_for_each_area() -> None:
    """What IT says at the first step comes to V1 at the fourth; without feedback it never does."""
    image = torch.randn(1, 1, 32, 32)
    for feedback in (True, False):
        net = nets.build("cornet", (1, 32, 32), 3, {**SMALL, "steps": 5, "feedback": feedback})
        before = taps_of(net, image)
        with torch.no_grad():
            net.get_submodule("IT").get_parameter("norm.bias").add_(1.0)
        after = taps_of(net, image)
        changed = [step for step in range(1, 6) if not torch.equal(before[f"V1.{step}"], after[f"V1.{step}"])]
        assert changed == ([4, 5] if feedback else [])


def test_without_recurrence_there_are_no_recurrent_weights() -> None:
    names = [name for name, _ in nets.build("cornet-feedforward", (1, 28, 28), 3).named_parameters()]
    assert not [name for name in names if "horizontal" in name or "feedback" in name]
    names = [name for name, _ in nets.build("cornet-horizontal", (1, 28, 28), 3).named_parameters()]
    assert any("horizontal" in name for name in names) and not any("feedback." in name for name in names)


@pytest.mark.parametrize("options", [{"steps": 0}, {"widths": (1, 2, 3, 0)}, {"early": -0.1}, {"early": float("nan")}])
def test_what_makes_no_net_is_refused(options: dict) -> None:
    with pytest.raises(UserError, match="net cornet: found steps"):
        nets.build("cornet", (1, 32, 32), 3, options)


NETS = [("cornet", {**SMALL, "steps": 3}, ["output1", "output2"]), ("googlenet", {"width": 4}, ["aux1", "aux2"])]


@pytest.mark.parametrize(("name", "options", "outputs"), NETS)
def test_a_task_adds_the_losses_of_other_outputs_in_training_alone(name: str, options: dict, outputs: list) -> None:
    net = nets.build(name, (1, 32, 32), 3, options)
    task = tasks.build("classification", DIGITS)
    image, label = torch.randn(6, 1, 32, 32), torch.tensor([0, 1, 2, 0, 1, 2])
    batch = Batch({"image_BCHW": image, "label_B": label}, torch.arange(6))
    for layer in net.modules():
        if hasattr(layer, "rate"):
            layer.rate = 0.0  # dropout would draw anew  # pyright: ignore[reportArgumentType]

    learning, taps = task.forward(net.train(), batch), {}
    net(image, taps)
    assert list(learning.terms) == outputs and set(outputs) <= taps.keys()
    last = F.cross_entropy(learning.prediction, label, reduction="none")
    others = sum(0.3 * F.cross_entropy(taps[output], label, reduction="none") for output in outputs)
    torch.testing.assert_close(learning.loss_B, last + others)
    learning.loss_B.mean().backward()
    assert all(p.grad is not None for p in net.parameters())

    judged = task.forward(net.eval(), batch)
    assert not judged.terms
    torch.testing.assert_close(judged.loss_B, F.cross_entropy(judged.prediction, label, reduction="none"))
    asked: dict[str, Tensor] = {}
    assert task.forward(net, batch, asked).taps is asked and asked
