"""The published nets once more, from their papers' tables and torch's functions alone.

Each takes a state dict and images, and returns logits in evaluation mode. Nothing of ours is used; widths are those of
the state dict.

Shape suffixes: B batch, C channels, H and W pixels, T tokens, D features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = Mapping[str, Tensor]


def alexnet(state: State, x: Tensor) -> Tensor:
    """Return the logits of AlexNet."""
    for place, stride, padding, pooled in ((0, 4, 2, True), (3, 1, 2, True), (6, 1, 1, False), (8, 1, 1, False),
                                           (10, 1, 1, True)):  # fmt: skip
        x = F.conv2d(x, *_affine(state, f"features.{place}"), stride, padding).relu()
        x = F.max_pool2d(x, 3, 2) if pooled else x
    x = F.adaptive_avg_pool2d(x, 6).flatten(1)
    for place in (1, 4):
        x = F.linear(x, *_affine(state, f"classifier.{place}")).relu()
    return F.linear(x, *_affine(state, "classifier.6"))


def vgg(state: State, x: Tensor, stages: Sequence[int]) -> Tensor:
    """Return the logits of a VGG with so many convolutions in each stage."""
    norm, place = "features.1.running_var" in state, 0
    for count in stages:
        for _ in range(count):
            x = F.conv2d(x, *_affine(state, f"features.{place}"), padding=1)
            x = (_norm(state, f"features.{place + 1}", x, 1e-5) if norm else x).relu()
            place += 2 + norm
        x, place = F.max_pool2d(x, 2, 2), place + 1
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    for dense in (0, 3):
        x = F.linear(x, *_affine(state, f"classifier.{dense}")).relu()
    return F.linear(x, *_affine(state, "classifier.6"))


def resnet(state: State, x: Tensor, stages: Sequence[int]) -> Tensor:
    """Return the logits of a ResNet, with the stride of a bottleneck in its 3×3 convolution (torchvision's v1.5)."""
    x = _norm(state, "bn1", F.conv2d(x, state["conv1.weight"], stride=2, padding=3), 1e-5).relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(stages, 1):
        for block in range(count):
            place, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            last = 3 if f"{place}.conv3.weight" in state else 2
            y = x
            for k in range(1, last + 1):
                weight = state[f"{place}.conv{k}.weight"]
                moves = stride if k == last - 1 else 1
                y = _norm(state, f"{place}.bn{k}", F.conv2d(y, weight, None, moves, weight.shape[2] // 2), 1e-5)
                y = y.relu() if k < last else y
            if f"{place}.downsample.0.weight" in state:
                x = F.conv2d(x, state[f"{place}.downsample.0.weight"], stride=stride)
                x = _norm(state, f"{place}.downsample.1", x, 1e-5)
            x = (x + y).relu()
    return F.linear(x.mean((2, 3)), *_affine(state, "fc"))


def googlenet(state: State, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the logits of GoogLeNet and of its two auxiliary heads, for inputs that are not transformed."""
    x = F.max_pool2d(_unit(state, "conv1", x, 2), 3, 2, ceil_mode=True)
    x = F.max_pool2d(_unit(state, "conv3", _unit(state, "conv2", x)), 3, 2, ceil_mode=True)
    heads = []
    for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        place = f"inception{name}"
        branches = [_unit(state, f"{place}.branch1", x)]
        for branch in (2, 3):
            branches.append(_unit(state, f"{place}.branch{branch}.1", _unit(state, f"{place}.branch{branch}.0", x)))
        branches.append(_unit(state, f"{place}.branch4.1", F.max_pool2d(x, 3, 1, 1, ceil_mode=True)))
        x = torch.cat(branches, 1)
        if name in ("4a", "4d"):
            head = f"aux{len(heads) + 1}"
            y = _unit(state, f"{head}.conv", F.adaptive_avg_pool2d(x, 4)).flatten(1)
            heads.append(F.linear(F.linear(y, *_affine(state, f"{head}.fc1")).relu(), *_affine(state, f"{head}.fc2")))
        if name in ("3b", "4e"):
            x = F.max_pool2d(x, 3 if name == "3b" else 2, 2, ceil_mode=True)
    return F.linear(x.mean((2, 3)), *_affine(state, "fc")), heads[0], heads[1]


def vit(state: State, x: Tensor, heads: int) -> Tensor:
    """Return the logits of a ViT, of a state dict under torchvision's names."""
    patches = state["conv_proj.weight"]
    width = len(patches)
    x_BTD = F.conv2d(x, *_affine(state, "conv_proj"), patches.shape[2]).flatten(2).transpose(1, 2)
    x_BTD = torch.cat([state["class_token"].expand(len(x), -1, -1), x_BTD], 1) + state["encoder.pos_embedding"]
    layer = 0
    while f"encoder.layers.encoder_layer_{layer}.ln_1.weight" in state:
        place = f"encoder.layers.encoder_layer_{layer}"
        attention = nn.MultiheadAttention(width, heads, batch_first=True, dtype=x.dtype)
        held = f"{place}.self_attention."
        attention.load_state_dict({k.removeprefix(held): v for k, v in state.items() if k.startswith(held)})
        y_BTD = F.layer_norm(x_BTD, (width,), *_affine(state, f"{place}.ln_1"), eps=1e-6)
        x_BTD = x_BTD + attention(y_BTD, y_BTD, y_BTD, need_weights=False)[0]
        y_BTD = F.layer_norm(x_BTD, (width,), *_affine(state, f"{place}.ln_2"), eps=1e-6)
        y_BTD = F.gelu(F.linear(y_BTD, *_affine(state, f"{place}.mlp.0")), approximate="none")
        x_BTD = x_BTD + F.linear(y_BTD, *_affine(state, f"{place}.mlp.3"))
        layer += 1
    x_BTD = F.layer_norm(x_BTD, (width,), *_affine(state, "encoder.ln"), eps=1e-6)
    return F.linear(x_BTD[:, 0], *_affine(state, "heads.head"))


def _affine(state: State, place: str) -> tuple[Tensor, Tensor]:
    return state[f"{place}.weight"], state[f"{place}.bias"]


def _norm(state: State, place: str, x: Tensor, eps: float) -> Tensor:
    mean, variance = state[f"{place}.running_mean"], state[f"{place}.running_var"]
    return F.batch_norm(x, mean, variance, *_affine(state, place), eps=eps)


def _unit(state: State, place: str, x: Tensor, stride: int = 1) -> Tensor:
    """Return what GoogLeNet's convolution with batch normalisation, whose ε is 0.001, and ReLU makes of maps."""
    weight = state[f"{place}.conv.weight"]
    return _norm(state, f"{place}.bn", F.conv2d(x, weight, None, stride, weight.shape[2] // 2), 1e-3).relu()
