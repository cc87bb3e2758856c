"""Convolution from the ground: the layer's formula, discrete convolution, the masks for derivatives, and weights.

Shape suffixes: H and W pixels, h and w those of a mask, C channels, N masks, B batch, K outputs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from hyperplane import api
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.experiments.neighbours import grey_levels
from hyperplane.lecture.findings import Finding, Outcome, Picture, Spread, Table
from hyperplane.nets.blocks.filters import convolve, correlate, prewitt, sobel

PREWITT = (((-1, 0, 1), (-1, 0, 1), (-1, 0, 1)), ((-1, -1, -1), (0, 0, 0), (1, 1, 1)))
SOBEL = (((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)), ((-1, -2, -1), (0, 0, 0), (1, 2, 1)))
"""The lecture's masks, for the derivatives along x and y."""
SIDE = 24
"""Pixels along an edge of the patch on which sums are taken one by one."""
RAMP = (3.0, -2.0)
"""What a plane rises by along x and y, in grey levels for each pixel."""
LENETS = {"lenet5": torch.relu, "lenet5-1998": torch.tanh}


def formulas(budget: Budget) -> Outcome:
    """Compute a layer and a convolution sum by sum as the lecture writes them, and compare with ours."""
    grey_HW = grey_levels()["china"]
    patch_HW = torch.from_numpy(grey_HW[100 : 100 + SIDE, 200 : 200 + SIDE].astype(np.float64))
    layers = {name: _layer_off(name, patch_HW / 255) for name in LENETS}
    mask_hw = torch.arange(1.0, 10.0, dtype=torch.float64).view(3, 3)
    summed_HW = _convolved(patch_HW.numpy(), mask_hw.numpy())
    off = float(np.abs(summed_HW - convolve(patch_HW, mask_hw, extent="full").numpy()).max())
    flipped = float((convolve(patch_HW, mask_hw) - correlate(patch_HW, mask_hw.flip((0, 1)))).abs().max())
    unflipped = float((convolve(patch_HW, mask_hw) - correlate(patch_HW, mask_hw)).abs().max())
    findings = (
        Finding(
            "cnn-layer",
            max(layers.values()) < 1e-12,
            "The first layers of LeNet-5 with ReLU and with tanh, on a photograph, against the formula's sums taken "
            f"one by one: they differ by {max(layers.values()):.0e} at most.",
            Spread.of([max(layers.values())]),
            "greatest difference, in float64",
        ),
        Finding(
            "cnn-convolution",
            off == 0 and flipped == 0 and unflipped > 0,
            f"The sums, taken one by one on {SIDE} × {SIDE} pixels of a photograph, are what ours gives: both differ "
            f"by {off:g}. It is the correlation with the mask turned around, which is what a layer computes; with the "
            f"mask as it is, the two differ by up to {unflipped:,.0f}.",
            Spread.of([off]),
            "greatest difference",
        ),
    )
    return Outcome(findings)


def derivatives(budget: Budget) -> Outcome:
    """Apply Prewitt's and Sobel's masks to planes, parabolas, waves and a photograph."""
    rows: list[tuple[str, ...]] = []
    findings: list[Finding] = []
    for name, masks, written, gain in (("prewitt", prewitt(), PREWITT, 6), ("sobel", sobel(), SOBEL, 8)):
        as_written = all(m.tolist() == [list(map(float, r)) for r in w] for m, w in zip(masks, written, strict=True))
        plane = _plane_off(masks, gain)
        waves = [_wave_off(masks, gain, length) for length in (10, 20, 40)]
        rows.append((name.capitalize(), f"{gain}", f"{plane:g}", *(f"{100 * w:.1f} %" for w in waves)))
        findings.append(
            Finding(
                f"cnn-{name}",
                as_written and plane < 1e-9 and waves[0] > waves[1] > waves[2],
                f"Laid on the image as they are, the masks give {gain} times the derivative, exactly on planes and "
                f"parabolas; on waves of 10, 20 and 40 pixels they are off by {100 * waves[0]:.1f}, "
                f"{100 * waves[1]:.1f} and {100 * waves[2]:.2f}%. Convolved, which turns them around, they give the "
                "opposite sign.",
                Spread.of([100 * waves[1]]),
                "% off on a wave of 20 pixels",
            )
        )
    table = Table(
        "Masks for derivatives",
        ("mask", "gain", "off on planes", "on waves of 10 px", "20 px", "40 px"),
        tuple(rows),
    )
    return Outcome(tuple(findings), pictures=(_gallery(budget),), tables=(table,))


def weights(budget: Budget) -> Outcome:
    """Count the weights of convolutional layers and of dense ones between the same units, and see what reaches what."""
    net = api.net("lenet5", shape=(1, 28, 28), classes=10)
    sizes = _sizes(net)
    convolutions = [name for name, (layer, _, _) in sizes.items() if isinstance(layer, nn.Conv2d)]
    dense = {name: before * after + after for name, (_, before, after) in sizes.items()}
    own = {name: sum(p.numel() for p in layer.parameters()) for name, (layer, _, _) in sizes.items()}
    ratios = [dense[name] / own[name] for name in convolutions]
    total, equivalent = sum(p.numel() for p in net.parameters()), sum(dense.values())
    reached = {name: _reached(layer, shape) for name, layer, shape in _last_and_first(net)}
    table = Table(
        "Weights of LeNet-5, and of dense layers between the same units",
        ("layer", "units before", "units after", "weights", "dense", "times"),
        tuple(
            (name, f"{before:,}", f"{after:,}", f"{own[name]:,}", f"{dense[name]:,}", f"{dense[name] / own[name]:,.0f}")
            for name, (_, before, after) in sizes.items()
        ),
    )
    findings = (
        Finding(
            "cnn-fewer-weights",
            min(ratios) > 100,
            f"LeNet-5's convolutions have {own[convolutions[0]]:,} and {own[convolutions[1]]:,} weights; dense layers "
            f"between the same units would have {dense[convolutions[0]]:,} and {dense[convolutions[1]]:,}.",
            Spread.of(ratios, "layers"),
            "times as many weights in a dense layer",
        ),
        Finding(
            "cnn-fully-connected",
            reached["output"] == 100 and reached["conv1"] < 5,
            f"By its gradient, every output of the last layer depends on {reached['output']:.0f}% of the units before "
            f"it, of the first convolution on {reached['conv1']:.1f}%.",
            Spread.of([reached["output"]]),
            "% of the units before that an output of the last layer depends on",
        ),
        Finding(
            "cnn-fewer-parameters",
            equivalent > 10 * total,
            f"LeNet-5 has {total:,} parameters; with every layer fully connected between the same units it would have "
            f"{equivalent:,}. The lecture does not say what equivalent means; an MLP of {total:,} weights has "
            f"{total // (784 + 1 + 10)} hidden nodes.",
            Spread.of([equivalent / total]),
            "times as many parameters in the MLP",
        ),
    )
    return Outcome(findings, tables=(table,))


def _layer_off(name: str, patch_HW: Tensor) -> float:
    """Return how far LeNet-5's first layer is from σ(b + Σ Σ w a), summed one by one, at worst."""
    net = api.net(name, shape=(1, SIDE, SIDE), classes=10).double()
    layer = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        ours_CHW = LENETS[name](layer(patch_HW[None, None]))[0]
    weight_Chw, bias_C, a_HW = layer.weight.detach()[:, 0].numpy(), layer.bias, patch_HW.numpy()
    assert bias_C is not None
    rows, columns = weight_Chw.shape[1:]
    worst = 0.0
    for c, bias in enumerate(bias_C.tolist()):
        for i in range(ours_CHW.shape[1]):
            for j in range(ours_CHW.shape[2]):
                total = bias
                for x in range(rows):
                    for y in range(columns):
                        total += float(weight_Chw[c, x, y] * a_HW[i + x, j + y])
                said = max(total, 0.0) if name == "lenet5" else math.tanh(total)
                worst = max(worst, abs(said - float(ours_CHW[c, i, j])))
    return worst


def _convolved(f_HW: np.ndarray, m_hw: np.ndarray) -> np.ndarray:
    """Return Σ Σ m(i, j) f(x − i, y − j), taken one by one, wherever mask and image touch; 0 outside of the image."""
    (height, width), (h, w) = f_HW.shape, m_hw.shape
    found_HW = np.zeros((height + h - 1, width + w - 1))
    for x in range(found_HW.shape[0]):
        for y in range(found_HW.shape[1]):
            for i in range(h):
                for j in range(w):
                    if 0 <= x - i < height and 0 <= y - j < width:
                        found_HW[x, y] += m_hw[i, j] * f_HW[x - i, y - j]
    return found_HW


def _plane_off(masks: tuple[Tensor, Tensor], gain: int) -> float:
    """Return how far the masks are from the derivatives of a plane and of a parabola, at worst."""
    y_HW, x_HW = torch.meshgrid(*(torch.arange(32, dtype=torch.float64),) * 2, indexing="ij")
    worst = 0.0
    for image_HW, along_x, along_y in (
        (RAMP[0] * x_HW + RAMP[1] * y_HW + 7, torch.full_like(x_HW, RAMP[0]), torch.full_like(x_HW, RAMP[1])),
        (x_HW**2 - 3 * y_HW**2, 2 * x_HW, -6 * y_HW),
    ):
        for mask_hw, true_HW in zip(masks, (along_x, along_y), strict=True):
            said_HW = correlate(image_HW, mask_hw, extent="valid") / gain
            worst = max(worst, float((said_HW - true_HW[1:-1, 1:-1]).abs().max()))
    return worst


def _wave_off(masks: tuple[Tensor, Tensor], gain: int, length: int) -> float:
    """Return how far the masks are from the derivative of a wave of that length in pixels, as a share of its peak."""
    turn = 2 * math.pi / length
    x_W = torch.arange(4 * length + 1, dtype=torch.float64)
    image_HW = torch.sin(turn * x_W).expand(len(x_W), -1)
    true_HW = turn * torch.cos(turn * x_W).expand(len(x_W), -1)
    said = correlate(image_HW, masks[0], extent="valid"), correlate(image_HW.T, masks[1], extent="valid").T
    return max(float((one / gain - true_HW[1:-1, 1:-1]).abs().max()) / turn for one in said)


def _gallery(budget: Budget) -> Picture:
    """Draw photographs and what Sobel's masks make of them."""
    rows: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name, grey_HW in list(grey_levels().items())[:2]:
        side, (top, left) = min(grey_HW.shape), ((n - min(grey_HW.shape)) // 2 for n in grey_HW.shape)
        image_HW = torch.from_numpy(grey_HW[top : top + side, left : left + side].astype(np.float64))
        x_HW, y_HW = (correlate(image_HW, mask, border="nearest") / 8 for mask in sobel())
        size_HW = torch.hypot(x_HW, y_HW)
        rows[name] = [
            ("", image_HW.numpy()),
            *(("", (128 + 4 * d_HW).clamp(0, 255).numpy()) for d_HW in (x_HW, y_HW)),
            ("", (255 - 6 * size_HW).clamp(0, 255).numpy()),
        ]
    columns = ("photograph", "along x", "along y", "length of both")
    return budget.draw("sobel", figures.photographs(rows, columns), "Sobel's derivatives of photographs", wide=True)


def _sizes(net: nn.Module) -> dict[str, tuple[nn.Module, int, int]]:
    """Return each layer with weights, by name, and how many units it reads and gives."""
    found: dict[str, tuple[nn.Module, int, int]] = {}

    def see(name: str):
        def hook(layer: nn.Module, given: tuple[Tensor], gave: Tensor) -> None:
            found[name] = (layer, given[0].numel(), gave.numel())

        return hook

    named = [(name, layer) for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(see(name)) for name, layer in named]
    with torch.no_grad():
        net(torch.zeros(1, 1, 28, 28))
    for handle in handles:
        handle.remove()
    return found


def _last_and_first(net: nn.Module) -> list[tuple[str, nn.Module, tuple[int, ...]]]:
    """Return the last layer of a net and its first convolution, by name, and the shape of what each reads."""
    named = dict(net.named_modules())
    last = named["output"]
    assert isinstance(last, nn.Linear)
    return [("output", last, (last.in_features,)), ("conv1", named["conv1"], (1, 32, 32))]


def _reached(layer: nn.Module, shape: tuple[int, ...]) -> float:
    """Return the share of its inputs that a layer's outputs depend on, in %: the mean over some outputs."""
    x_1 = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    output_N = layer(x_1).flatten()
    shares = [
        (torch.autograd.grad(output_N[k], x_1, retain_graph=True)[0] != 0).double().mean().item()
        for k in range(0, len(output_N), max(1, len(output_N) // 20))
    ]
    return 100 * float(np.mean(shares))
