"""What a vision transformer attends to: its heads over the image, all layers together, how far, and where it is.

Shape suffixes: B images, C channels, H and W pixels, h and w patches, L layers, N heads, T tokens, P patches,
D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hyperplane.engine.training import judged
from hyperplane.explain import attention_figures as figures
from hyperplane.explain.gallery import Drawn
from hyperplane.explain.subject import Subject
from hyperplane.nets.blocks.attention import Layer
from hyperplane.nets.vit import ViT

SHOWN = 5
"""Images that all layers together are drawn of."""
AVERAGED, LEAST_AVERAGED, OPERATIONS = 64, 4, 3e11
"""Images over which distances are averaged, and the operations that this may take: a few seconds of two cores."""
PIECE, PIECE_NUMBERS = 8, 2**25
"""Images that are looked at together, of one layer so many numbers at most."""


@dataclass(frozen=True)
class Samples:
    """Images that attention is drawn over."""

    image_BCHW: Tensor
    """As the net reads them."""
    pictures: list[np.ndarray]
    """The first of them as people see them, (H, W, 3) in [0, 1]."""
    names: list[str]
    """The class of each, and what the net takes it for where that is another."""
    split: str
    """Where they are from."""


def draw(subject: Subject) -> dict[str, Drawn]:
    """Return the figures of a vision transformer, by name, in the order in which they are best looked at.

    None for other nets; without the data only what needs no image.
    """
    net = subject.model.net
    if not isinstance(net, ViT):
        return {}
    seen = _samples(subject, net)
    drawn: dict[str, Drawn] = {}
    if seen is not None:
        drawn = of_images(net, seen) | _distances(net, seen)
    if min(net.grid) > 1:
        similarity_PP = position_similarity(net)
        told = "Each small map stands where its patch is, and shows how alike its position is to all others': blue "
        told += "where the learned vectors point the same way, orange where they point apart."
        drawn["positions"] = Drawn(figures.positions(similarity_PP, net.grid), told)
    return drawn


def of_images(net: ViT, seen: Samples) -> dict[str, Drawn]:
    """Return what the net attends to in images: every head in the first, all heads together in those that are shown."""
    return _heads(net, seen) | _together(net, seen)


def given(subject: Subject, image_1CHW: Tensor, name: str) -> dict[str, Drawn]:
    """Return what a vision transformer attends to in a picture of that name, as its net reads it; none for other nets.

    By what the figures show, in order: each head of the layers, and all layers together.
    """
    net = subject.model.net
    if not isinstance(net, ViT):
        return {}
    image_1CHW = image_1CHW.to(net.pos_embed)
    drawn = of_images(net, Samples(image_1CHW, [_picture(image_1CHW[0].cpu(), *_scale(subject))], [name], "given"))
    return {
        what: Drawn(one.figure, f"{name}: {one.caption[:1].lower()}{one.caption[1:]}") for what, one in drawn.items()
    }


def rollout(attention_LTT: Sequence[Tensor]) -> Tensor:
    """Return how much of each token, (T, T), comes from each input token through all layers.

    Every layer passes on half of a token by its bypass and half by its attention, which the heads' mean stands for
    (Abnar and Zuidema 2020, "Quantifying attention flow in transformers", arXiv:2005.00928, section 3). Arguments: of
    each layer, (T, T) or (B, T, T), rows that sum to 1.
    """
    flow = torch.eye(attention_LTT[0].shape[-1], dtype=torch.float64)
    for attention_TT in attention_LTT:
        flow = (attention_TT.double() @ flow + flow) / 2
    return flow


def distances(attention_BNTT: Tensor, grid: tuple[int, int], patch: int) -> Tensor:
    """Return how far each head looks, (B, N), in pixels: between the middles of patches, weighted by attention.

    As in Dosovitskiy et al. 2021, appendix D.7; a class token has no place, and is left out.
    """
    own = attention_BNTT[..., -grid[0] * grid[1] :, -grid[0] * grid[1] :]
    own = own / own.sum(3, keepdim=True)
    return (own * between(grid, patch).to(own)).sum(3).mean(2)


def between(grid: tuple[int, int], patch: int) -> Tensor:
    """Return the distance between the middles of patches, (P, P), in pixels."""
    row_hw, column_hw = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    place_P2 = patch * torch.stack([row_hw, column_hw], dim=2).flatten(0, 1).double()
    return torch.cdist(place_P2, place_P2)


def looked_at(attention_BTT: Tensor, net: ViT) -> Tensor:
    """Return how much of what is classified each patch gives, (B, h, w), as shares of 1.

    That of the class token, or where the mean is classified that of all tokens' mean.
    """
    given_BT = attention_BTT[:, 0, 1:] if net.pool == "class" else attention_BTT.mean(1)
    return (given_BT / given_BT.sum(1, keepdim=True)).unflatten(1, net.grid)


def position_similarity(net: ViT) -> np.ndarray:
    """Return the cosine of the angle between every two patches' positions, (P, P)."""
    position_PD = net.pos_embed[0, -net.grid[0] * net.grid[1] :].detach().double().cpu()
    unit_PD = position_PD / position_PD.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (unit_PD @ unit_PD.T).numpy()


def _samples(subject: Subject, net: ViT) -> Samples | None:
    """Return samples that the net was judged by, one of each class before all others; None where they are gone."""
    if subject.source is None:
        return None
    described = subject.description
    split = judged(described)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, *described.shapes[described.input]).to(net.pos_embed))
    affordable = int(min(max(OPERATIONS // max(1, counter.get_total_flops()), LEAST_AVERAGED), AVERAGED))
    batch = subject.source.batch(split, range(min(10 * affordable, described.splits[split])))
    label_N = batch[described.target].numpy() if described.classes else np.zeros(len(batch), np.int64)
    earlier_N = np.array([np.sum(label_N[:n] == label_N[n]) for n in range(len(label_N))])
    chosen = torch.from_numpy(np.argsort(earlier_N, kind="stable")[:affordable])
    image_BCHW = batch[described.input][chosen].to(net.pos_embed)
    with torch.no_grad():
        logit_BK = torch.cat([net(part) for part in image_BCHW.split(PIECE)]).cpu()
    said_B = (logit_BK[:, 0] > 0).long() if logit_BK.shape[1] == 1 else logit_BK.argmax(1)
    answers = described.classes and subject.labels
    names = []
    for index, said in zip(chosen.tolist(), said_B.tolist(), strict=True):
        truth = int(label_N[index]) if described.classes else 0
        right = not answers or truth == said
        name = described.classes[truth] if described.classes else ""
        names.append(name if right else f"{name}, taken for {described.classes[said]}")
    pictures = [_picture(image_CHW, *_scale(subject)) for image_CHW in image_BCHW[:SHOWN].cpu()]
    return Samples(image_BCHW, pictures, names, split)


def _scale(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each channel, by which a picture was made an input."""
    return np.asarray(subject.description.encoding["mean"]), np.asarray(subject.description.encoding["std"])


def _picture(image_CHW: Tensor, mean_C: np.ndarray, std_C: np.ndarray) -> np.ndarray:
    pixel_CHW = image_CHW.double().numpy() * std_C[:, None, None] + mean_C[:, None, None]
    if len(pixel_CHW) != 3:
        pixel_CHW = np.repeat(pixel_CHW.mean(axis=0, keepdims=True), 3, axis=0)
    return np.clip(pixel_CHW, 0, 1).transpose(1, 2, 0)


@torch.no_grad()
def _heads(net: ViT, seen: Samples) -> dict[str, Drawn]:
    shown = figures.some(len(net.blocks), figures.MOST_LAYERS)
    maps = {
        f"layer {number + 1}": [looked_at(head_TT[None], net)[0].cpu().numpy() for head_TT in layer[0]]
        for number, layer in enumerate(net.attention(seen.image_BCHW[:1]))
        if number in shown
    }
    told = f"{_who(net)}, in each head, a row for each layer: the bluer a patch, the more it gives."
    return {"attention-heads": Drawn(figures.heads(seen.pictures[0], seen.names[0], maps), told)}


@torch.no_grad()
def _together(net: ViT, seen: Samples) -> dict[str, Drawn]:
    rows = []
    for number, picture in enumerate(seen.pictures):
        mean = [layer.mean(1).cpu() for layer in net.attention(seen.image_BCHW[number : number + 1])]
        columns = (mean[0], mean[-1], rollout(mean))
        rows.append((picture, seen.names[number], [looked_at(one, net)[0].double().numpy() for one in columns]))
    told = "Where what is classified comes from: by the first layer's attention alone, by the last one's, and through "
    told += "all layers and their bypasses (rollout). The mean of the heads, from the least (pale) to the most (blue)."
    return {"attention-rollout": Drawn(figures.together(rows), told)}


@torch.no_grad()
def _distances(net: ViT, seen: Samples) -> dict[str, Drawn]:
    if net.grid == (1, 1):
        return {}
    first = net.blocks[0]
    assert isinstance(first, Layer)
    piece = min(PIECE, max(1, PIECE_NUMBERS // (first.attn.heads * net.pos_embed.shape[1] ** 2)))
    parts = [
        torch.stack([distances(layer, net.grid, net.patch) for layer in net.attention(part)], dim=1).cpu()
        for part in seen.image_BCHW.split(piece)
    ]
    distance_LN = torch.cat(parts).mean(0).numpy()
    alike = float(between(net.grid, net.patch).mean())
    count = len(seen.image_BCHW)
    told = f"How far each head looks, over {count} {seen.split} image{'s' * (count != 1)}: the mean distance of the "
    told += "patches that it attends to. On the dashed line a head looks at all alike."
    return {"attention-distance": Drawn(figures.distances(distance_LN, alike), told)}


def _who(net: ViT) -> str:
    return "What the class token attends to" if net.pool == "class" else "What the patches attend to in the mean"
