"""Attention and vision transformers, in small: patches, what attention measures, context, and the layer's two forms.

Shape suffixes: B images, C channels, H and W pixels, h and w patches, N heads, T tokens, D features.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane import api
from hyperplane.engine.chance import generator, seeded
from hyperplane.explain import attention_figures
from hyperplane.explain.attention import looked_at
from hyperplane.lecture import figures
from hyperplane.lecture.budget import Budget
from hyperplane.lecture.commands import typed
from hyperplane.lecture.findings import Finding, Outcome, Picture, Spread, Table
from hyperplane.nets.blocks.attention import MLP, Layer, SelfAttention
from hyperplane.nets.blocks.patches import Patches
from hyperplane.nets.vit import ViT
from hyperplane.recipe import DataRecipe, NetRecipe, OptimizerRecipe, Recipe, ScheduleRecipe, TrainingRecipe

ROUNDING = 1e-5
"""By which two ways to compute the same in float32 may differ."""
COUNTED = {"ViT-Ti/16": (197, 192), "ViT-B/16": (197, 768), "ViT-L/16": (197, 1024), "GPT-2": (1024, 768)}
"""Tokens and features of published transformers."""
SYMBOLS, TOKENS = 10, 8
"""Of the rows in which each token is to say whether its symbol comes again."""
ASKED = 40
"""Images over which attention is compared with influence."""


def vision(budget: Budget) -> Outcome:
    """Train vision transformers on digits of 8 × 8 pixels, in both forms of the layer, and look at what they do."""
    depths = budget.choose(full=(4, 12), quick=(4,), least=(2,))
    seeds = range(budget.choose(full=2, quick=1, least=1))
    runs = {
        (norm, depth, warmup): [
            budget.train(
                f"{norm}-{depth}-{'with' if warmup else 'no'}-warmup-{seed}", recipe(budget, norm, depth, warmup, seed)
            )
            for seed in seeds
        ]
        for depth in depths
        for norm in ("post", "pre")
        for warmup in (0.2, 0.0)
    }
    nets = [net for run in runs["pre", depths[0], 0.2] if isinstance(net := run.net, ViT)]
    source = budget.source(DataRecipe(source="digits"))
    image_BCHW = source.batch("test", range(ASKED))["image_BCHW"]
    influence, picture = _influence(budget, nets, image_BCHW)
    table = Table(
        f"Accuracy on the digits' test images, mean of {len(seeds)}",
        ("layers", "norm", "with warm-up", "without"),
        tuple(
            (f"{depth}", norm, *(f"{100 * np.mean(_accuracies(runs[norm, depth, w])):.1f} %" for w in (0.2, 0.0)))
            for depth in depths
            for norm in ("post", "pre")
        ),
    )
    findings = (
        _patches(nets[0], image_BCHW),
        influence,
        _weights(),
        _layer(runs, depths[-1], recipe(budget, "post", depths[-1], 0.2, 0)),
    )
    return Outcome(findings, pictures=(picture,), tables=(table, _counts()))


def context(budget: Budget) -> Outcome:
    """Ask of each token whether its symbol comes again in the row: by attention and an MLP, and by an MLP alone."""
    seeds = range(budget.choose(full=5, quick=2, least=1))
    steps = budget.choose(full=600, quick=300, least=20)
    curves = {name: [_reading(attends, seed, steps) for seed in seeds] for name, attends in
              (("attention and MLP", True), ("MLP alone", False))}  # fmt: skip
    ends = {name: [100 * curve[-1] for curve in held] for name, held in curves.items()}
    blind = 100 * max(p := 1 - (1 - 1 / SYMBOLS) ** (TOKENS - 1), 1 - p)
    with_it, without = (Spread.of(held) for held in ends.values())
    step_N = np.linspace(0, steps, len(curves["MLP alone"][0]))
    picture = budget.draw(
        "context",
        figures.series(
            {name: (step_N.tolist(), 100 * np.array(held).T) for name, held in curves.items()},
            ("training steps", "tokens answered rightly (%)"),
            "Does my symbol come again?",
            reference=("who sees only itself", [0, steps], [blind, blind]),
        ),
        f"Rows of {TOKENS} tokens with one of {SYMBOLS} symbols each; each token answers for itself",
    )
    finding = Finding(
        "transformers-context",
        budget.judged(with_it.least > 95 and without.greatest < blind + 2),
        f"Whether a token's symbol comes again in its row only the other tokens tell. One layer without attention "
        f"answers {without.mean:.1f}% rightly, what a token can that sees only itself ({blind:.1f}%); with it "
        f"{with_it.mean:.1f}%.",
        with_it,
        "% of tokens answered rightly with attention",
    )
    return Outcome((finding,), pictures=(picture,))


def recipe(budget: Budget, norm: str, depth: int, warmup: float, seed: int) -> Recipe:
    """Return how a vision transformer is trained on the digits."""
    width, epochs = budget.choose(full=(48, 15), quick=(48, 10), least=(16, 1))
    options = {"width": width, "heads": 4, "patch": 2, "depth": depth, "norm": norm}
    return Recipe(
        data=DataRecipe(source="digits"),
        net=NetRecipe("vit", options),
        optimizer=OptimizerRecipe("adamw", learning_rate=2e-3),
        schedule=ScheduleRecipe(warmup=warmup),
        training=TrainingRecipe(epochs=epochs, batch=64),
        seed=seed,
    )


def _accuracies(runs: list[api.Run]) -> list[float]:
    return [run.metrics["accuracy"].value for run in runs]


# Patches


@torch.no_grad()
def _patches(net: ViT, image_BCHW: Tensor) -> Finding:
    """Cut the image by hand, and change one patch."""
    side = net.patch
    token_BTD, grid = net.tokens(image_BCHW)
    cut_BTD = F.unfold(image_BCHW, side, stride=side).transpose(1, 2)
    assert isinstance(net.patch_embed, Patches) and net.patch_embed.proj.bias is not None
    weight_DP = net.patch_embed.proj.weight.flatten(1)
    own_BTD = cut_BTD @ weight_DP.T + net.patch_embed.proj.bias + net.pos_embed[:, 1:]
    off = float((own_BTD - token_BTD[:, 1:]).abs().max())
    changed_BCHW = image_BCHW.clone()
    changed_BCHW[:, :, side : 2 * side, :side] += 1
    moved_T = (net.tokens(changed_BCHW)[0] - token_BTD).abs().amax((0, 2)) > 0
    alone = moved_T.nonzero().flatten().tolist() == [1 + grid[1]]
    return Finding(
        "transformers-patches",
        off <= ROUNDING and alone,
        f"An image of {side * grid[0]} × {side * grid[1]} pixels cut by hand into {grid[0] * grid[1]} squares, each "
        f"written as a vector and sent through one matrix, gives the net's feature vectors (to {off:.0e}); a change in "
        "one square changes that vector alone.",
        Spread.of([grid[0] * grid[1]]),
        "patches",
    )


# Influence


@torch.no_grad()
def _influence(budget: Budget, nets: list[ViT], image_BCHW: Tensor) -> tuple[Finding, Picture]:
    """Compare attention with how much a token changes where another is hidden from it."""
    correlations: list[float] = []
    greatest: list[float] = []
    together: list[float] = []
    for net in nets:
        token_BTD, _ = net.tokens(image_BCHW)
        for layer in net.blocks:
            assert isinstance(layer, Layer)
            read_BTD = layer.norm1(token_BTD)
            attention_BNTT, change_BNTT = layer.attn.maps(read_BTD), hidden_in_head(layer.attn, read_BTD)
            correlations.append(float(rank_correlation(attention_BNTT, change_BNTT).mean()))
            greatest.append(float((attention_BNTT.argmax(3) == change_BNTT.argmax(3)).double().mean()))
            together.append(float(rank_correlation(attention_BNTT.mean(1), hidden(layer.attn, read_BTD)).mean()))
            token_BTD = layer(token_BTD)
    found = Spread.of(correlations, "layers and nets")
    less = "less" if np.mean(together) < found.mean else "no less"
    net = nets[0]
    maps = {f"layer {k + 1}": [looked_at(one[:, n], net)[0].numpy() for n in range(one.shape[1])]
            for k, one in enumerate(net.attention(image_BCHW[:1]))}  # fmt: skip
    grey_HW = image_BCHW[0, 0].numpy()
    shown_HW3 = np.repeat(((grey_HW - grey_HW.min()) / np.ptp(grey_HW))[..., None], 3, axis=2)
    drawn = attention_figures.heads(shown_HW3, "a digit", maps)
    finding = Finding(
        "transformers-influence",
        budget.judged(found.mean > 0.5),
        "Each token was hidden from another, and the change of what a head gives that one was measured: it has the "
        f"order of a[xᵢ, xⱼ] with a rank correlation of {found.mean:.2f}, and the greatest weight is the greatest "
        f"influence in {100 * np.mean(greatest):.0f}% of cases: what a token passes on counts as well. Of all "
        f"heads together the mean weight tells {less}: {np.mean(together):.2f}.",
        found,
        "rank correlation of attention and influence",
    )
    return finding, budget.draw("heads", drawn, "What the class token of a trained net attends to, head by head", True)


def hidden_in_head(attention: SelfAttention, x_BTD: Tensor) -> Tensor:
    """Return how far what each head gives a token moves where it does not see one of them, (B, N, T, T).

    Without token j, the others' weights grow by 1 / (1 − aᵢⱼ), so the mean moves by aᵢⱼ / (1 − aᵢⱼ) of its distance
    from the value of j. The third axis are the tokens that are asked, the last those that are hidden.
    """
    map_BNTT, value_BNTd = attention.maps(x_BTD), attention.split(x_BTD)[2]
    return map_BNTT / (1 - map_BNTT).clamp(min=1e-6) * torch.cdist(map_BNTT @ value_BNTd, value_BNTd)


def hidden(attention: SelfAttention, x_BTD: Tensor) -> Tensor:
    """Return the same for all heads together, behind their last linear map, (B, T, T)."""
    tokens = x_BTD.shape[1]
    seen_BTD = attention(x_BTD)
    moved = []
    for token in range(tokens):
        mask_11TT = torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=x_BTD.device)
        mask_11TT[..., token] = False
        moved.append((attention(x_BTD, mask=mask_11TT) - seen_BTD).norm(dim=2))
    return torch.stack(moved, dim=2)


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return how far two sets of numbers have the same order along the last axis, in [-1, 1] (Spearman 1904)."""
    first, second = (t.argsort(dim=-1).argsort(dim=-1).double() for t in (a, b))
    first, second = (t - t.mean(-1, keepdim=True) for t in (first, second))
    return (first * second).sum(-1) / (first.square().sum(-1) * second.square().sum(-1)).sqrt()


# Weights


def _weights() -> Finding:
    rows = [_count(tokens, width) for tokens, width in COUNTED.values()]
    ratios = [dense / attends for attends, dense in rows]
    attends, dense = _count(*COUNTED["ViT-B/16"])
    return Finding(
        "transformers-fewer-weights",
        min(ratios) > 1,
        f"ViT-B/16 has {attends:,} weights in one attention, for any number of tokens; a fully connected layer from "
        f"its {COUNTED['ViT-B/16'][0]} tokens to as many would have {dense:,}, {dense / attends:,.0f} times as many.",
        Spread.of(ratios, "transformers"),
        "weights of a fully connected layer for each one of attention",
    )


def _counts() -> Table:
    return Table(
        "Weights of one attention, and of a fully connected layer between the same tokens",
        ("", "tokens", "features", "attention", "fully connected"),
        tuple(
            (name, f"{tokens:,}", f"{width:,}", *(f"{count:,}" for count in _count(tokens, width)))
            for name, (tokens, width) in COUNTED.items()
        ),
    )


def _count(tokens: int, width: int) -> tuple[int, int]:
    """Return the weights of attention and of a fully connected layer, counted in the layers themselves."""
    with torch.device("meta"):
        layers = SelfAttention(width, width // 64, causal=False), nn.Linear(tokens * width, tokens * width)
    attends, dense = (sum(p.numel() for p in layer.parameters()) for layer in layers)
    return attends, dense


# The layer


def _layer(runs: dict[tuple[str, int, float], list[api.Run]], deepest: int, typical: Recipe) -> Finding:
    """Compute the lecture's layer by hand, and compare its training with that of the form that normalises first."""
    with seeded(0, "layer"):
        layer = Layer(24, 3, causal=False, norm="post").eval()
        x_BTD = torch.randn(4, 9, 24)
    with torch.no_grad():
        normalised = partial(F.layer_norm, normalized_shape=(24,))
        value_BNTd = layer.attn.split(x_BTD)[2]
        y_BTD = normalised(x_BTD + layer.attn.join(layer.attn.maps(x_BTD) @ value_BNTd))
        each = [y_BTD[:, token] + layer.mlp(y_BTD[:, token]) for token in range(9)]
        off = float((normalised(torch.stack(each, dim=1)) - layer(x_BTD)).abs().max())
    post, pre = ([100 * np.mean(_accuracies(runs[norm, deepest, w])) for w in (0.2, 0.0)] for norm in ("post", "pre"))
    return Finding(
        "transformers-layer",
        off <= ROUNDING,
        f"Written out line by line, the lecture's layer gives what ours gives (to {off:.0e}). Trained on digits with "
        f"{deepest} layers, it reaches {post[0]:.1f}% with warm-up and {post[1]:.1f}% without; the form that "
        f"normalises before attention and MLP reaches {pre[0]:.1f}% and {pre[1]:.1f}%.",
        Spread.of([off]),
        "greatest difference",
        typed(typical),
    )


# Context


def _reading(attends: bool, seed: int, steps: int) -> list[float]:
    """Train a layer to say of each token whether its symbol comes again; return the share that is right, as it goes."""
    width = 32
    with seeded(seed, "context"):
        embedding, output = nn.Embedding(SYMBOLS, width), nn.Linear(width, 1)
        inner = Layer(width, 4, causal=False) if attends else _Alone(width)
        net = nn.Sequential(embedding, inner, output)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    held_BT = torch.randint(SYMBOLS, (1000, TOKENS), generator=generator(seed, "context held out"))
    right: list[float] = []
    for step in range(steps + 1):
        if step % max(1, steps // 12) == 0:
            with torch.no_grad():
                right.append(float(((net(held_BT)[..., 0] > 0) == again(held_BT)).double().mean()))
        symbol_BT = torch.randint(SYMBOLS, (256, TOKENS), generator=generator(seed, "context", step))
        loss = F.binary_cross_entropy_with_logits(net(symbol_BT)[..., 0], again(symbol_BT).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return right


def again(symbol_BT: Tensor) -> Tensor:
    """Return whether each symbol comes again in its row, (B, T)."""
    return (symbol_BT[:, :, None] == symbol_BT[:, None, :]).sum(2) > 1


class _Alone(nn.Module):
    """A transformer's layer without its attention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(width), MLP(width, 4 * width, "gelu")

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        return x + self.mlp(self.norm(x))
