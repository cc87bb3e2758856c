"""Perceptrons as functions: the equations, what each node defines, and whether the function is affine or smooth.

Shape suffixes: N points, D inputs, P regions, H units.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hyperplane import nets
from hyperplane.explain.layers import Layers, layers
from hyperplane.explain.regions import regions
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.findings import Finding, Outcome, Spread
from hyperplane.nets.mlp import MLP

ACTIVATIONS = ("relu", "tanh", "sigmoid")
WINDOW = ((-2.0, 2.0), (-2.0, 2.0))
DEPTHS = ((12,), (12, 12), (12, 12, 12))
STEPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def random_net(hidden: tuple[int, ...], activation: str = "relu", seed: int = 0, inputs: int = 2) -> MLP:
    """Return a net of random weights and biases, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nets.build("mlp", (inputs,), 1, {"hidden": list(hidden), "activation": activation})
        for parameter in net.parameters():
            if parameter.ndim == 1:
                torch.nn.init.normal_(parameter, std=0.5)
    assert isinstance(net, MLP)
    return net.double()


def formula(budget: Budget) -> Outcome:
    """Compare our nets with the lecture's equations written out, and their derivatives with differences."""
    off: list[float] = []
    slope_off: list[float] = []
    for seed in range(budget.choose(full=20, quick=20, least=2)):
        for activation in ACTIVATIONS:
            net = random_net((5, 7), activation, seed, inputs=4)
            x_ND = np.random.default_rng(seed).normal(size=(50, 4))
            said_N = net(torch.from_numpy(x_ND))[:, 0].detach().numpy()
            off.append(float(np.abs(said_N - _written_out(layers(net), x_ND)).max()))
            if activation != "relu":  # differences across a bend are no derivative
                slope_off.append(_slope_difference(net, torch.from_numpy(x_ND)))
    shapes = {
        k: tuple(nets.build("mlp", (4,), k, {"hidden": [7]}).get_parameter("output.weight").shape) for k in (1, 3)
    }
    return Outcome(
        (
            Finding(
                "mlp-repeat",
                max(off) <= 1e-12,
                f"{len(off)} nets of two hidden layers were compared with the equation written out, one w·x + b after "
                f"the other; they differ by at most {max(off):.0e}: rounding. The last σ is left to the loss.",
                Spread.of([max(off)]),
                "greatest difference",
            ),
            Finding(
                "mlp-differentiable",
                max(slope_off) <= 1e-6,
                "The derivative by every weight was compared with a difference quotient; they differ by at most "
                f"{max(slope_off):.0e} of the largest.",
                Spread.of([max(slope_off)]),
                "greatest difference, as a share of the largest derivative",
            ),
            Finding(
                "mlp-binary-output",
                shapes == {1: (1, 7), 3: (3, 7)},
                "Behind 7 hidden nodes, the weights of one output are 1 × 7, a vector, and those of three outputs "
                "3 × 7, a matrix. One output and a sigmoid tell two classes apart.",
            ),
        )
    )


def node_hyperplanes(budget: Budget) -> Outcome:
    """Find by bisection where each node of a first layer switches, and measure how far that is from w·x + b = 0."""
    lines = budget.choose(full=200, quick=200, least=5)
    off: list[float] = []
    for inputs in (2, 3, 10):
        net = layers(random_net((16,), "relu", seed=inputs, inputs=inputs))
        normal_HD, bias_H = net.hidden[0].weight_HD, net.hidden[0].bias_H
        x_ND, unit_N = crossings(net, lines, seed=inputs)
        height_N = np.einsum("nd,nd->n", x_ND, normal_HD[unit_N]) + bias_H[unit_N]
        off.append(float(np.abs(height_N / np.linalg.norm(normal_HD[unit_N], axis=1)).max()))
    return Outcome(
        (
            Finding(
                "mlp-node-hyperplane",
                max(off) <= 1e-12,
                "Along random lines in 2, 3 and 10 dimensions, every node switches on exactly where the line crosses "
                f"its own w·x + b = 0: to {max(off):.0e}. Nodes of later layers define hyperplanes too, in the space "
                "of the layer before; seen from the input they are bent.",
                Spread.of([max(off)]),
                "greatest distance from the hyperplane",
            ),
        )
    )


def continuity(budget: Budget) -> Outcome:
    """Step across the hyperplanes of nets of one to three layers: how much the value jumps, and how much the slope."""
    seeds = budget.choose(full=10, quick=3, least=1)
    value: dict[str, np.ndarray] = {}
    slope: dict[str, np.ndarray] = {}
    for activation in ACTIVATIONS:
        held = [
            _jumps(random_net(hidden, activation, seed), budget.choose(full=100, quick=40, least=5), seed)
            for hidden in DEPTHS
            for seed in range(seeds)
        ]
        value[activation], slope[activation] = (np.array([h[i] for h in held]).T for i in (0, 1))
    affine = max(_affine_off(hidden, seed) for hidden in DEPTHS for seed in range(seeds))
    step = STEPS[-1]
    at_last = {a: (float(value[a][-1].max()), float(np.median(slope[a][-1]))) for a in ACTIVATIONS}
    kinked, smooth = at_last["relu"][1], max(float(slope[a][-1].max()) for a in ("tanh", "sigmoid"))
    continuous = max(v for v, _ in at_last.values()) <= 100 * step
    picture = budget.draw(
        "jumps",
        figures.series(
            {a: (STEPS, slope[a]) for a in ACTIVATIONS},
            ("distance from the hyperplane on either side", "jump of the slope, as a share of it"),
            "Across a hyperplane, only ReLU bends",
            ("log", "log"),
        ),
        "How much the slope differs between both sides of a hyperplane",
    )
    nets_told = f"{3 * seeds} random nets of one, two and three layers of 12 nodes"
    findings = (
        Finding(
            "mlp-relu-affine",
            affine <= 1e-10 and continuous,
            f"On each of their regions, {nets_told} equal one affine map to {affine:.0e}; across a border the value "
            f"moves by no more than {at_last['relu'][0]:.0e} in a step of {2 * step:.0e}, while the slope jumps by "
            f"{100 * kinked:.0f}% in the median.",
            Spread.of([affine]),
            "greatest difference from affine, over all regions",
        ),
        Finding(
            "mlp-smooth",
            smooth <= 1e-3,
            f"Across a hyperplane, the slope of tanh and sigmoid nets changes in proportion to the step, down to "
            f"{smooth:.0e} in a step of {2 * step:.0e}; that of ReLU nets jumps however small the step is.",
            Spread.of([smooth]),
            "greatest jump of the slope in the smallest step",
        ),
        Finding(
            "mlp-any-depth",
            affine <= 1e-10 and continuous and smooth <= 1e-3,
            "The same was measured for one, two and three layers, at hyperplanes of nodes in all of them: ReLU nets "
            "are piecewise affine, the others smooth, and all are continuous.",
            Spread.of([max(v for v, _ in at_last.values())]),
            "greatest jump of the value in the smallest step",
        ),
    )
    return Outcome(findings, pictures=(picture,))


def crossings(net: Layers, lines: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points of random lines at which a unit is 0 before its activation, (N, D), and which unit it is, (N,).

    Units of all layers are counted one after the other. Found by bisection from signs alone, to rounding.
    """
    draw = np.random.default_rng(seed)
    start_LD, end_LD = (draw.normal(scale=2.0, size=(lines, net.inputs)) for _ in range(2))
    at_T = np.linspace(0, 1, 33)
    x_LTD = start_LD[:, None] + at_T[:, None] * (end_LD - start_LD)[:, None]
    on_LTH = (np.concatenate(net.before(x_LTD.reshape(-1, net.inputs)), axis=1) > 0).reshape(lines, len(at_T), -1)
    line_N, step_N, unit_N = np.nonzero(on_LTH[:, 1:] != on_LTH[:, :-1])
    low_N, high_N = at_T[step_N], at_T[step_N + 1]
    begins_on_N = on_LTH[line_N, step_N, unit_N]
    for _ in range(60):
        middle_N = (low_N + high_N) / 2
        x_ND = start_LD[line_N] + middle_N[:, None] * (end_LD - start_LD)[line_N]
        on_N = (np.concatenate(net.before(x_ND), axis=1) > 0)[np.arange(len(unit_N)), unit_N]
        low_N, high_N = np.where(on_N == begins_on_N, middle_N, low_N), np.where(on_N == begins_on_N, high_N, middle_N)
    return start_LD[line_N] + high_N[:, None] * (end_LD - start_LD)[line_N], unit_N


def _jumps(net: MLP, lines: int, seed: int) -> tuple[list[float], list[float]]:
    """Return by how much value (greatest) and slope (median share) differ on both sides of hyperplanes, by the step."""
    x_ND = torch.from_numpy(crossings(layers(net), lines, seed)[0])
    way_ND = torch.from_numpy(np.random.default_rng(seed).normal(size=x_ND.shape))
    way_ND /= way_ND.norm(dim=1, keepdim=True)
    value: list[float] = []
    slope: list[float] = []
    for step in STEPS:
        (high_N, up_ND), (low_N, down_ND) = (_value_and_slope(net, x_ND + s * step * way_ND) for s in (1, -1))
        value.append(float((high_N - low_N).abs().max()))
        slope.append(float(((up_ND - down_ND).norm(dim=1) / (up_ND.norm(dim=1) + down_ND.norm(dim=1))).nanmedian()))
    return value, slope


def _value_and_slope(net: MLP, x_ND: Tensor) -> tuple[Tensor, Tensor]:
    x_ND = x_ND.clone().requires_grad_()
    value_N = net(x_ND)[:, 0]
    (slope_ND,) = torch.autograd.grad(value_N.sum(), x_ND)
    return value_N.detach(), slope_ND


def _affine_off(hidden: tuple[int, ...], seed: int) -> float:
    """Return the greatest difference between a net and the affine map of each of its regions, at points inside them."""
    net = layers(random_net(hidden, "relu", seed))
    found = regions(net, WINDOW)
    draw = np.random.default_rng(seed)
    share_PV = draw.dirichlet(np.ones(found.vertex_PV2.shape[1]), len(found))
    x_P2 = np.einsum("pv,pvd->pd", share_PV, found.vertex_PV2)
    told_P = np.einsum("pd,pd->p", found.slope_PK2[:, 0], x_P2) + found.offset_PK[:, 0]
    return float(np.abs(net(x_P2)[:, 0] - told_P).max())


def _written_out(net: Layers, x_ND: np.ndarray) -> np.ndarray:
    """Return the lecture's y = w₂·σ(W₁ x + b₁) + b₂ for two hidden layers, node by node, (N,)."""
    sigma = {"relu": lambda a: max(a, 0.0), "tanh": np.tanh, "sigmoid": lambda a: 1 / (1 + np.exp(-a))}[net.activation]
    said: list[float] = []
    for x_D in x_ND:
        h = list(x_D)
        for layer in net.hidden:
            nodes = zip(layer.weight_HD, layer.bias_H, strict=True)
            h = [sigma(sum(w * v for w, v in zip(w_D, h, strict=True)) + b) for w_D, b in nodes]
        said.append(sum(w * v for w, v in zip(net.output.weight_HD[0], h, strict=True)) + net.output.bias_H[0])
    return np.array(said)


def _slope_difference(net: MLP, x_ND: Tensor) -> float:
    """Return how far the derivatives by the weights are from difference quotients, as a share of the largest."""
    weights = list(net.parameters())
    slopes = torch.autograd.grad(net(x_ND).sum(), weights)
    largest = max(float(slope.abs().max()) for slope in slopes)
    worst = 0.0
    with torch.no_grad():
        for weight, slope in zip(weights, slopes, strict=True):
            for place in range(weight.numel()):
                said: list[float] = []
                for step in (1e-5, -2e-5):
                    weight.view(-1)[place] += step
                    said.append(float(net(x_ND).sum()))
                weight.view(-1)[place] += 1e-5
                worst = max(worst, abs((said[0] - said[1]) / 2e-5 - float(slope.reshape(-1)[place])))
    return worst / largest
