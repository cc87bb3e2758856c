"""The published state dicts, written out from the papers' tables: every key in its order, with its shape.

Facts: torchvision's names and order for the convolutional nets and its ViT, timm's for the other ViT; 1,000 classes.
"""

from __future__ import annotations

from collections.abc import Iterator

Entry = tuple[str, tuple[int, ...]]

VGG = {
    11: [[64], [128], [256] * 2, [512] * 2, [512] * 2],
    13: [[64] * 2, [128] * 2, [256] * 2, [512] * 2, [512] * 2],
    16: [[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3],
    19: [[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4],
}
"""Channels of each stage's convolutions (Simonyan and Zisserman 2015, table 1)."""
RESNET = {
    18: ((2, 2, 2, 2), 1),
    34: ((3, 4, 6, 3), 1),
    50: ((3, 4, 6, 3), 4),
    101: ((3, 4, 23, 3), 4),
    152: ((3, 8, 36, 3), 4),
}
"""Blocks of each stage, and how much wider a block ends (He et al. 2016, table 1)."""
INCEPTION = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
"""Channels that come in, and the columns of Szegedy et al. 2015, table 1."""
VIT = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
    "huge": (1280, 32, 16),
}
"""Width, layers, heads (Dosovitskiy et al. 2021, table 1; Touvron et al. 2021, table 1)."""


def alexnet() -> list[Entry]:
    """Return the layout of AlexNet."""
    channels = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    dense = {1: (4096, 9216), 4: (4096, 4096), 6: (1000, 4096)}
    layers = [(f"features.{k}", shape) for k, shape in channels.items()]
    layers += [(f"classifier.{k}", shape) for k, shape in dense.items()]
    return [entry for place, shape in layers for entry in _affine(place, shape)]


def vgg(depth: int, *, norm: bool) -> list[Entry]:
    """Return the layout of a VGG; layers are numbered with their ReLUs and poolings."""
    found: list[Entry] = []
    place, before = 0, 3
    for stage in VGG[depth]:
        for width in stage:
            found += _affine(f"features.{place}", (width, before, 3, 3))
            found += _norm(f"features.{place + 1}", width) if norm else []
            place, before = place + 2 + norm, width
        place += 1
    for place, shape in ((0, (4096, 512 * 49)), (3, (4096, 4096)), (6, (1000, 4096))):
        found += _affine(f"classifier.{place}", shape)
    return found


def resnet(depth: int) -> list[Entry]:
    """Return the layout of a ResNet for ImageNet."""
    blocks, wide = RESNET[depth]
    found = [("conv1.weight", (64, 3, 7, 7)), *_norm("bn1", 64)]
    before = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(count):
            place = f"layer{stage + 1}.{block}"
            inside = [(width, 3), (width, 3)] if wide == 1 else [(width, 1), (width, 3), (4 * width, 1)]
            channels = before
            for k, (out, side) in enumerate(inside, 1):
                found += [(f"{place}.conv{k}.weight", (out, channels, side, side)), *_norm(f"{place}.bn{k}", out)]
                channels = out
            if before != channels or (stage > 0 and block == 0):
                found.append((f"{place}.downsample.0.weight", (channels, before, 1, 1)))
                found += _norm(f"{place}.downsample.1", channels)
            before = channels
    return [*found, *_affine("fc", (1000, 512 * wide))]


def resnet_cifar(depth: int) -> list[Entry]:
    """Return what a ResNet for CIFAR holds: shortcuts have no weights (option A), so both kinds hold the same."""
    found = [("conv1.weight", (16, 3, 3, 3)), *_norm("bn1", 16)]
    before = 16
    for stage, width in enumerate((16, 32, 64), 1):
        for block in range((depth - 2) // 6):
            for k in (1, 2):
                found.append((f"layer{stage}.{block}.conv{k}.weight", (width, before, 3, 3)))
                found += _norm(f"layer{stage}.{block}.bn{k}", width)
                before = width
    return [*found, *_affine("fc", (1000, 64))]


def googlenet(*, heads: bool) -> list[Entry]:
    """Return the layout of GoogLeNet; the convolution that the paper has as 5×5 is 3×3 in the published files."""
    found = [*_convolution("conv1", 3, 64, 7), *_convolution("conv2", 64, 64, 1), *_convolution("conv3", 64, 192, 3)]
    for name, (channels, one, reduce_three, three, reduce_five, five, pooled) in INCEPTION.items():
        place = f"inception{name}"
        found += _convolution(f"{place}.branch1", channels, one, 1)
        found += _convolution(f"{place}.branch2.0", channels, reduce_three, 1)
        found += _convolution(f"{place}.branch2.1", reduce_three, three, 3)
        found += _convolution(f"{place}.branch3.0", channels, reduce_five, 1)
        found += _convolution(f"{place}.branch3.1", reduce_five, five, 3)
        found += _convolution(f"{place}.branch4.1", channels, pooled, 1)
    for place, channels in (("aux1", 512), ("aux2", 528)) if heads else ():
        found += _convolution(f"{place}.conv", channels, 128, 1)
        found += [*_affine(f"{place}.fc1", (1024, 2048)), *_affine(f"{place}.fc2", (1000, 1024))]
    return [*found, *_affine("fc", (1000, 1024))]


def vit(size: str, patch: int, *, torchvision: bool, side: int = 224) -> list[Entry]:
    """Return the layout of a ViT for square images, under timm's names or torchvision's."""
    width, layers, _ = VIT[size]
    token, position = (1, 1, width), (1, 1 + (side // patch) ** 2, width)
    patches = (width, 3, patch, patch)
    inside = ("ln_1", "self_attention.in_proj_", "self_attention.out_proj", "ln_2", "mlp.0", "mlp.3")
    if torchvision:
        found = [("class_token", token), *_affine("conv_proj", patches), ("encoder.pos_embedding", position)]
    else:
        inside = ("norm1", "attn.qkv.", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
        found = [("cls_token", token), ("pos_embed", position), *_affine("patch_embed.proj", patches)]
    for layer in range(layers):
        place = f"encoder.layers.encoder_layer_{layer}" if torchvision else f"blocks.{layer}"
        first, attends, joins, second, widens, narrows = (f"{place}.{part}" for part in inside)
        found += _affine(first, (width,))
        found += [(f"{attends}weight", (3 * width, width)), (f"{attends}bias", (3 * width,))]
        found += [*_affine(joins, (width, width)), *_affine(second, (width,))]
        found += [*_affine(widens, (4 * width, width)), *_affine(narrows, (width, 4 * width))]
    last, head = ("encoder.ln", "heads.head") if torchvision else ("norm", "head")
    return [*found, *_affine(last, (width,)), *_affine(head, (1000, width))]


def published() -> Iterator[tuple[str, list[Entry]]]:
    """Yield every published variant with its layout; of ViT under timm's names."""
    yield "alexnet", alexnet()
    for depth in VGG:
        yield f"vgg{depth}", vgg(depth, norm=False)
        yield f"vgg{depth}_bn", vgg(depth, norm=True)
    yield "googlenet", googlenet(heads=True)
    yield "googlenet-one-head", googlenet(heads=False)
    for depth in RESNET:
        yield f"resnet{depth}", resnet(depth)
    for depth in (8, 20, 32, 44, 56, 110):
        yield f"resnet{depth}", resnet_cifar(depth)
        yield f"plain{depth}", resnet_cifar(depth)
    for size, patches in {"tiny": (16,), "small": (8, 16, 32), "base": (8, 16, 32), "large": (14, 16, 32)}.items():
        for patch in patches:
            for side in (224, 384) if patch in (16, 32) else (224,):
                yield f"vit_{size}_patch{patch}_{side}", vit(size, patch, torchvision=False, side=side)
    yield "vit_huge_patch14_224", vit("huge", 14, torchvision=False)


def _affine(place: str, shape: tuple[int, ...]) -> list[Entry]:
    return [(f"{place}.weight", shape), (f"{place}.bias", shape[:1])]


def _norm(place: str, width: int) -> list[Entry]:
    held = [(f"{place}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var")]
    return [*held, (f"{place}.num_batches_tracked", ())]


def _convolution(place: str, channels: int, width: int, side: int) -> list[Entry]:
    return [(f"{place}.conv.weight", (width, channels, side, side)), *_norm(f"{place}.bn", width)]
