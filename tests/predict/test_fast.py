"""Faster ways to a net's outputs: folded nets compute the same, wrong ways are refused, few samples stay plain."""

from __future__ import annotations

import subprocess

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane import discovery, nets
from hyperplane.engine.chance import seeded
from hyperplane.predict import fast, folding, winograd


def drawn(net: nn.Module, seed: int = 0) -> nn.Module:
    """Return the net with normalisations as training leaves them: every number of them random, variances positive."""
    chance = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight, module.bias):
                assert isinstance(tensor, Tensor)
                tensor.data.normal_(0.5, 0.5, generator=chance)
            assert isinstance(module.running_var, Tensor)
            module.running_var.uniform_(0.2, 3.0, generator=chance)
    return net.eval()


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def normalisations(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def apart(one: Tensor, other: Tensor) -> float:
    return ((one - other).abs().max() / other.square().mean().sqrt()).item()


EXAMPLES = list(discovery.entries("nets"))


@torch.no_grad()
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_net_folded_says_the_same(name: str) -> None:
    example = discovery.load("nets", name).EXAMPLE
    with seeded(0, "weights"):
        net = drawn(nets.build(name, example["shape"], example["outputs"], example["options"]))
    reads: tuple[str, ...] = discovery.load("nets", name).NET.ACCEPTS
    x = torch.arange(18).view(2, 9) if reads == ("token_BT",) else images(2, *example["shape"])
    said, before = net(x), {key: tensor.clone() for key, tensor in net.state_dict().items()}
    found = folding.fold(net, x[:1])
    assert apart(found.net(x), said) < 1e-5
    assert found.count == normalisations(net) - normalisations(found.net)
    assert (found.net is net) == (found.count == 0)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items()), "the net changed"


def test_residual_nets_lose_every_normalisation() -> None:
    net = drawn(nets.build("resnet20", (3, 32, 32), 10))
    assert normalisations(folding.fold(net, images(1, 3, 32, 32)).net) == 0


class Twice(nn.Module):
    """A convolution that is read twice, one that is called twice, and a normalisation without statistics."""

    def __init__(self, case: str) -> None:
        super().__init__()
        self.case = case
        self.conv, self.bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.other = nn.BatchNorm2d(3)
        if case == "no statistics":
            self.bn = nn.BatchNorm2d(3, track_running_stats=False)
        if case == "shared weights":
            self.tied = nn.Conv2d(3, 3, 3, padding=1)
            self.tied.weight = self.conv.weight

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        match self.case:
            case "read twice":
                return self.bn(y) + y
            case "two normalisations":
                return self.bn(y) + self.other(y)
            case "changed between":
                return self.bn(y.relu_())
            case "called twice":
                return self.bn(self.conv(self.bn(y)))
            case "shared weights":
                return self.bn(y) + self.tied(x)
            case _:
                return self.bn(y)


CASES = ["read twice", "two normalisations", "changed between", "called twice", "shared weights", "no statistics"]


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_folded_stays(case: str) -> None:
    net = Twice(case).eval()
    found = folding.fold(net, images(2, 3, 8, 8))
    assert found.net is net and found.count == 0


@torch.no_grad()
def test_without_scale_and_with_a_bias() -> None:
    for affine, bias in ((False, True), (True, False)):
        net = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=bias), nn.BatchNorm2d(6, affine=affine)).eval()
        net[1].running_var.fill_(0.3)  # pyright: ignore[reportCallIssue,reportOptionalMemberAccess]
        net[1].running_mean.fill_(2.0)  # pyright: ignore[reportCallIssue,reportOptionalMemberAccess]
        x = images(2, 4, 9, 7)
        found = folding.fold(net, x[:1])
        assert found.count == 1 and apart(found.net(x), net(x)) < 1e-5


compiles = pytest.mark.skipif(isinstance(winograd.library(), str), reason=f"needs a C++ compiler: {winograd.library()}")


@compiles
@torch.no_grad()
@pytest.mark.parametrize(
    ("batch", "channels", "outputs", "high", "wide", "padding"),
    [(1, 16, 16, 1, 1, 1), (2, 16, 48, 5, 9, 1), (3, 48, 32, 14, 14, 1), (2, 32, 80, 7, 4, 0), (10, 512, 256, 8, 8, 1)],
)
def test_winograd_is_the_convolution(
    batch: int, channels: int, outputs: int, high: int, wide: int, padding: int
) -> None:
    layer = nn.Conv2d(channels, outputs, 3, padding=padding, bias=batch != 2).eval()
    x = images(batch, channels, high, wide)
    bias = None if layer.bias is None else layer.bias.double()
    exact = F.conv2d(x.double(), layer.weight.double(), bias, padding=padding).float()
    assert winograd.fits(layer)
    said = winograd.Winograd(layer, torch.float32)(x)
    assert said.shape == exact.shape and apart(said, exact) < 5e-5
    assert said.is_contiguous(memory_format=torch.channels_last)
    if winograd.why_not(torch.bfloat16) is None:
        halved = winograd.Winograd(layer, torch.bfloat16)(x.bfloat16())
        assert halved.dtype is torch.bfloat16 and apart(halved.float(), exact) < 0.2


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.Conv2d(16, 16, 3, padding=2, dilation=2),
        nn.Conv2d(16, 16, 3, groups=2),
        nn.Conv2d(16, 16, 1),
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 10, 3),
        nn.Conv2d(16, 16, 3, padding=1, padding_mode="circular"),
        nn.Conv2d(16, 16, 3, padding="same"),
        nn.Conv2d(16, 16, 3, padding=2),
        nn.Conv2d(16, 16, 3).double(),
        nn.Linear(16, 16),
    ],
    ids=str,
)
def test_other_layers_stay(layer: nn.Module) -> None:
    assert not winograd.fits(layer)


def small() -> nn.Module:
    with seeded(0, "weights"):
        return drawn(nets.build("resnet8", (3, 16, 16), 10))


def test_ways_agree_with_the_plain_net() -> None:
    net, x = small(), images(8, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    found = fast.race(net, x, "float32", classes=True, timed=True, compiled=False)
    assert found.tried[0].name == "folded, channels last"
    assert all(way.seconds > 0 and way.difference <= fast.EXACT and not way.why for way in found.tried)
    with torch.no_grad():
        assert apart(found.net(x), net(x)) <= fast.EXACT
    assert found.winner in {"plain", *(way.name for way in found.tried)}


def test_bfloat16_is_used_when_asked_for_and_told() -> None:
    net, x = small(), images(8, 3, 16, 16)
    found = fast.race(net, x, "bfloat16", classes=True, timed=False, compiled=False)
    assert found.winner == "bfloat16, folded, channels last"
    (line,) = found.sentences()
    assert line.startswith("bfloat16, folded, channels last: largest difference") and "keep their class" in line
    with torch.no_grad():
        said = found.net(x)
        assert said.dtype is torch.float32 and 0 < apart(said, net(x)) <= fast.ROUNDED


class Off(nn.Module):
    """A net that is wrong by so much, or breaks."""

    def __init__(self, net: nn.Module, by: float | None) -> None:
        super().__init__()
        self.net, self.by = net, by

    def forward(self, x: Tensor) -> Tensor:
        if self.by is None:
            raise RuntimeError("no such operation")
        return self.net(x) + self.by


@pytest.mark.parametrize(
    ("by", "says"), [(0.01, "differs by"), (float("nan"), "differs by nan"), (None, "it failed (no such operation)")]
)
def test_a_wrong_way_is_refused_and_the_next_taken(
    by: float | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, x = small(), images(8, 3, 16, 16)
    offered = [fast.Way("wrong", Off(net, by)), fast.Way("right", Off(net, 0.0))]
    monkeypatch.setattr(fast, "ways", lambda *_, **__: iter(offered))
    monkeypatch.setattr(fast, "_seconds", lambda running, x: {way.name: 1.0 / len(way.name) for way in running})
    monkeypatch.setattr(fast, "GAIN", 0.0)
    found = fast.race(net, x, "float32", classes=True, timed=True, compiled=False)
    assert found.winner == "right" and found.net is offered[1].net
    refused, won = found.sentences()
    assert refused.startswith("refused wrong: ") and says in refused
    assert won.startswith("right: ") and "x the plain net, largest difference of an output 0.0e+00" in won
    offered.pop()
    found = fast.race(net, x, "bfloat16" if by != 0.01 else "float32", classes=True, timed=False, compiled=False)
    assert found.net is net and found.winner == "plain"


def test_bfloat16_must_keep_the_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = nn.Identity(), torch.tensor([[1.001, 1.0], [3.0, -3.0]])
    flipped = nn.Linear(2, 2)
    flipped.weight.data, flipped.bias.data = torch.eye(2), torch.tensor([-0.002, 0.0])
    monkeypatch.setattr(fast, "ways", lambda *_, **__: iter([fast.Way("flipped", flipped)]))
    found = fast.race(net, x, "bfloat16", classes=True, timed=False, compiled=False)
    assert found.winner == "plain" and "50% of the samples keep their class" in found.sentences()[0]
    assert fast.race(net, x, "bfloat16", classes=False, timed=False, compiled=False).winner == "flipped"


def test_few_samples_are_left_to_the_plain_net() -> None:
    assert fast.worth("auto", fast.RACE - 1) == (False, False)
    assert fast.worth("auto", fast.RACE) == (True, False)
    assert fast.worth("auto", fast.COMPILE) == (True, True)
    assert fast.worth("plain", fast.COMPILE) == (False, False)
    assert fast.worth("most", 0.0) == (True, True)
    net, x = small(), images(2, 3, 16, 16)
    found = fast.race(net, x, "float32", classes=True, timed=False, compiled=False)
    assert found.net is net and found.tried == ()
    assert len(fast.enough(images(64, 3), 1e9)) == 50 and len(fast.enough(images(64, 3), 1e12)) == fast.SAMPLES


def test_without_a_compiler_the_convolutions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "library", lambda: "there is no C++ compiler")
    found = fast.race(small(), images(4, 3, 16, 16), "float32", classes=True, timed=True, compiled=False)
    assert [way.name for way in found.tried] == ["folded, channels last"]
    assert found.sentences()[0] == "no Winograd's convolution: there is no C++ compiler"


def test_a_compiler_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for command, says in (("false", "false failed"), ("no-such-compiler", "no-such-compiler failed")):
        winograd.library.cache_clear()
        monkeypatch.setenv("CXX", command)
        said = winograd.library()
        assert isinstance(said, str) and says in said
    monkeypatch.setattr(subprocess, "run", None)
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", "")
    winograd.library.cache_clear()
    assert winograd.library() == "there is no C++ compiler"
    winograd.library.cache_clear()
