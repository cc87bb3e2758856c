"""What the metrics of a network of lines are made of, image by image, and the metrics.

Pixels, patches and centre lines are counted over all images together; pieces and holes are compared in each.
Shape suffixes: B batch, H and W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hyperplane.contracts import Metric
from hyperplane.data.blocks.labels import IGNORED
from hyperplane.tasks.blocks import overlap, topology
from hyperplane.tasks.blocks.overlap import Counts, Matched

METRICS = (
    Metric("f1", "%", "higher", "harmonic mean of precision and recall of the pixels that are not background"),
    Metric(
        "patch_f1", "%", "higher", "the same of patches of 16 x 16 pixels, more than a quarter of each not background"
    ),
    Metric("iou", "%", "higher", "pixels of both masks over pixels of either"),
    Metric("near_f1", "%", "higher", "F1 of the pixels, where a pixel within 2 of the other mask is right"),
    Metric("centre_line_dice", "%", "higher", "harmonic mean of how much of each centre line lies in the other mask"),
    Metric("completeness", "%", "higher", "how much of the true centre lines lies within 5 pixels of those found"),
    Metric("correctness", "%", "higher", "how much of the centre lines found lies within 5 pixels of the true ones"),
    Metric("quality", "%", "higher", "centre lines in both, within 5 pixels, over centre lines in either"),
    Metric("betti0_error", "", "lower", "how many pieces too many or too few an image has, on average"),
    Metric("betti1_error", "", "lower", "how many holes too many or too few an image has, on average"),
)
NEAR, BUFFER = 2.0, 5.0
"""Pixels within which a pixel of a mask, and of a centre line, is right."""


def count(class_BHW: Tensor, mask_BHW: Tensor) -> dict[str, Tensor]:
    """Return the counts of each image, batch first, float64.

    Arguments: the class that each pixel was given, and its own, 255 where it is not judged. Of several classes a pixel
    is right where its class is.
    """
    found = [
        _count(said_HW, true_HW)
        for said_HW, true_HW in zip(class_BHW.cpu().numpy(), mask_BHW.cpu().numpy(), strict=True)
    ]
    return {name: torch.tensor(np.array([one[name] for one in found]), dtype=torch.float64) for name in found[0]}


def confusion(class_BHW: Tensor, mask_BHW: Tensor, classes: int) -> Tensor:
    """Return how many judged pixels of each class (row) were given each (column), int64 (B, K, K)."""
    found = []
    for said_HW, true_HW in zip(class_BHW.long(), mask_BHW, strict=True):
        judged_HW = true_HW != IGNORED
        both_N = true_HW[judged_HW] * classes + said_HW[judged_HW]
        found.append(torch.bincount(both_N, minlength=classes**2).view(classes, classes))
    return torch.stack(found)


def measure(statistics: dict[str, Tensor]) -> dict[str, float]:
    """Return every metric over the images whose counts these are."""
    total = {
        name: statistics[name].sum(0).tolist() for name in ("pixel_B3", "patch_B3", "near_B4", "line_B4", "buffer_B4")
    }
    pixels, patches = Counts(*total["pixel_B3"]), Counts(*total["patch_B3"])
    near, lines, buffered = (Matched(*total[name]) for name in ("near_B4", "line_B4", "buffer_B4"))
    betti0, betti1 = statistics["betti_error_B2"].mean(0).tolist()
    return {
        "f1": pixels.f1,
        "patch_f1": patches.f1,
        "iou": pixels.iou,
        "near_f1": near.f1,
        "centre_line_dice": lines.f1,
        "completeness": buffered.completeness,
        "correctness": buffered.correctness,
        "quality": buffered.quality,
        "betti0_error": betti0,
        "betti1_error": betti1,
    }


def covered(statistics: dict[str, Tensor], which: list[int]) -> list[tuple[tuple[float, int], tuple[float, int]]]:
    """Return the share of chosen images that is not background, and its pieces: in truth, and as it was said."""
    told = []
    for (hit, false, missed), judged, (said, true) in zip(
        *(statistics[name][which].tolist() for name in ("pixel_B3", "judged_B", "pieces_B2")), strict=True
    ):
        told.append((((hit + missed) / max(judged, 1), int(true)), ((hit + false) / max(judged, 1), int(said))))
    return told


def _count(said_HW: np.ndarray, true_HW: np.ndarray) -> dict[str, object]:
    judged_HW = true_HW != IGNORED
    line_HW, truth_HW = (said_HW > 0) & judged_HW, (true_HW > 0) & judged_HW
    wrong = int((line_HW & truth_HW & (said_HW != true_HW)).sum())  # of another class than its own
    pixels = overlap.pixels(line_HW, truth_HW, judged_HW)
    patches = overlap.patch_counts(line_HW, truth_HW, judged_HW)
    matched = {
        "near_B4": overlap.near(line_HW, truth_HW, NEAR),
        "line_B4": overlap.centre_lines(line_HW, truth_HW),
        "buffer_B4": overlap.buffered(line_HW, truth_HW, BUFFER),
    }
    error = topology.betti_error(line_HW, truth_HW)
    return {
        "pixel_B3": (pixels.hit - wrong, pixels.false + wrong, pixels.missed + wrong),
        "patch_B3": (patches.hit, patches.false, patches.missed),
        **{name: (m.said_near, m.said, m.true_near, m.true) for name, m in matched.items()},
        "betti_error_B2": (error.components, error.holes),
        "pieces_B2": (topology.betti(line_HW).components, topology.betti(truth_HW).components),
        "judged_B": int(judged_HW.sum()),
    }
