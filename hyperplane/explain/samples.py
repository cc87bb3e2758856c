"""Which samples explanations look at: right and most wrong ones of the split that judged the run, and training samples.

Shape suffixes: B and N samples, C channels, H and W pixels, D features, P patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Source, Split
from hyperplane.engine.training import judged
from hyperplane.explain.subject import Subject
from hyperplane.explain.vision import BATCH, Stage, Vision

ANSWERS = ("label_B", "probability_BK", "loss_B")


@dataclass(frozen=True)
class Answers:
    """What the net said of every sample of the split that judged it, as the run wrote it down."""

    split: Split
    label_N: np.ndarray
    said_N: np.ndarray
    """The likeliest class."""
    confidence_N: np.ndarray
    """Its probability."""
    loss_N: np.ndarray

    @classmethod
    def of(cls, subject: Subject) -> Answers | None:
        """Return a run's answers; None where it holds none, as one of imported weights."""
        if not any(subject.description.splits.values()):
            return None
        split = judged(subject.description)
        if not subject.folder.evaluation(split).is_file():
            return None
        held = subject.folder.read_evaluation(split)
        if not all(name in held for name in ANSWERS):
            return None
        label_N, probability_NK, loss_N = (held[name] for name in ANSWERS)
        return cls(split, label_N, probability_NK.argmax(axis=1), probability_NK.max(axis=1), loss_N)

    @property
    def right_N(self) -> np.ndarray:
        """Return whether each answer is right."""
        return self.label_N == self.said_N

    def some_right(self, most: int) -> list[int]:
        """Return right answers of as many classes as there are, the first of each."""
        right = np.flatnonzero(self.right_N)
        _, first = np.unique(self.label_N[right], return_index=True)
        order = [int(right[k]) for k in first]
        order += [int(index) for index in right[: most + len(order)] if int(index) not in order]
        step = max(1, len(first) // most)
        return (order[: len(first)][::step] + order[len(first) :])[:most]

    def most_wrong(self, most: int) -> list[int]:
        """Return the wrong answers of greatest loss, worst first."""
        wrong = np.flatnonzero(~self.right_N)
        return [int(index) for index in wrong[np.argsort(-self.loss_N[wrong], kind="stable")][:most]]

    def confused(self, most: int) -> list[tuple[int, int, np.ndarray]]:
        """Return the pairs of classes taken for each other most often: both, and which samples, (N,), at least one."""
        wrong = np.flatnonzero(~self.right_N)
        pair_N2 = np.sort(np.stack([self.label_N[wrong], self.said_N[wrong]], axis=1), axis=1)
        pairs, which_N, count = np.unique(pair_N2, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(-count, kind="stable")[:most]
        return [(int(pairs[k, 0]), int(pairs[k, 1]), wrong[which_N.ravel() == k]) for k in order]


@dataclass(frozen=True)
class Survey:
    """What the net makes of many training samples."""

    index_N: np.ndarray
    label_N: np.ndarray
    feature_ND: Tensor
    peak: dict[str, tuple[Tensor, Tensor]]
    """Of each stage: the greatest activation of each channel in each sample, (N, C), and its place in the map."""


def survey(vision: Vision, source: Source, stages: tuple[Stage, ...], count: int) -> Survey:
    """Return what the net makes of `count` training samples, evenly spaced."""
    total = source.description.splits["train"]
    index_N = np.arange(min(count, total)) * total // min(count, total)
    labels: list[Tensor] = []
    features: list[Tensor] = []
    values: dict[str, list[Tensor]] = {stage.name: [] for stage in stages}
    places: dict[str, list[Tensor]] = {stage.name: [] for stage in stages}
    with torch.no_grad():
        for part in np.array_split(index_N, -(-len(index_N) // BATCH)):
            batch = source.batch("train", part.tolist())
            seen = vision.see(batch[source.description.input].to(vision.like))
            labels.append(batch[source.description.target])
            features.append(seen.feature_BD.flatten(1).float().cpu())
            for stage in stages:
                value_BC, place_BC = seen.maps[stage.name].flatten(2).max(dim=2)
                values[stage.name].append(value_BC.float().cpu())
                places[stage.name].append(place_BC.cpu())
    peak = {name: (torch.cat(values[name]), torch.cat(places[name])) for name in values}
    return Survey(index_N, torch.cat(labels).numpy(), torch.cat(features), peak)


def nearest(feature_BD: Tensor, among_ND: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return which features point in the most similar direction, (B, most), and the cosines, greatest first."""
    unit_BD, unit_ND = (f / f.norm(dim=1, keepdim=True).clamp_min(1e-12) for f in (feature_BD, among_ND))
    cosine_BK, which_BK = (unit_BD @ unit_ND.T).topk(min(most, len(among_ND)), dim=1)
    return which_BK, cosine_BK


def inputs(vision: Vision, source: Source, split: Split, indices: list[int]) -> Tensor:
    """Return samples as inputs of the net, (B, C, H, W)."""
    return source.batch(split, indices)[source.description.input].to(vision.like)
