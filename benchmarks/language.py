"""Tiny Shakespeare beside a plain implementation of the small recipe: `python -m benchmarks.language`.

The small recipe for CPUs is well known: 4 layers, width 128, 4 heads, context 64, 12 sequences a step, 2,000 steps,
AdamW from 1e-3 to 1e-4 over a cosine with 100 steps of warm-up, decay 0.1, gradients clipped at 1. `Plain` is it as
people write it, in eager float32. Ours are the recipes `shakespeare_small` (the same net and budget),
`shakespeare_quick` (to 1.88) and `shakespeare` (in the small recipe's time). Every loss is that of the whole validation
part, each token judged once in windows of 64. Training is timed, one after another in turn, by the clock and by the
processor: on a machine that does other things besides, the ratios are those of the latter, and mean something with one
thread (OMP_NUM_THREADS=1), which the results name. Plain is trained with the first seed alone: its time is no chance.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.record import spread, write
from hyperplane import api, data, recipes
from hyperplane.contracts import Source
from hyperplane.engine.events import Event, Started, Validated
from hyperplane.recipe import DataRecipe, Recipe

SEEDS = {"plain": 1, "shakespeare_small": 1, "shakespeare_quick": 3, "shakespeare": 3}
LAYERS, WIDTH, HEADS, CONTEXT, BATCH, STEPS = 4, 128, 4, 64, 12, 2000
RATE, LEAST_RATE, WARMUP, DECAY, CLIP = 1e-3, 1e-4, 100, 0.1, 1.0
CLOCK, PROCESSOR, LOSS = "training, s", "training, processor s", "validation loss"


class PlainLayer(nn.Module):
    """Attention and an MLP, each behind a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Return (B, T, D)."""
        batch, tokens, _ = x_BTD.shape
        parts = self.qkv(self.norm1(x_BTD)).split(WIDTH, dim=2)
        q, k, v = (part.view(batch, tokens, HEADS, WIDTH // HEADS).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x_BTD = x_BTD + self.out(mixed.transpose(1, 2).reshape(batch, tokens, WIDTH))
        return x_BTD + self.narrow(F.gelu(self.wide(self.norm2(x_BTD))))


class Plain(nn.Module):
    """GPT-2 in small, as people write it."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        layers = [PlainLayer() for _ in range(LAYERS)]
        self.layers = nn.ModuleList(layers)
        self.norm, self.head = nn.LayerNorm(WIDTH, bias=False), nn.Linear(WIDTH, vocabulary, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        for last in (last for layer in layers for last in (layer.out, layer.narrow)):
            nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * LAYERS))
        self.head.weight = self.token.weight

    def forward(self, token_BT: Tensor) -> Tensor:
        """Return logits (B, T, K)."""
        x_BTD = self.token(token_BT) + self.place(torch.arange(token_BT.shape[1]))
        for layer in self.layers:
            x_BTD = layer(x_BTD)
        return self.head(self.norm(x_BTD))


def plain(seed: int, text_N: Tensor, vocabulary: int) -> tuple[Plain, dict[str, float]]:
    """Return a trained net and the seconds that it took."""
    torch.manual_seed(seed)
    net = Plain(vocabulary)
    groups = [
        {"params": [p for p in net.parameters() if p.ndim >= 2], "weight_decay": DECAY},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99))
    begun, used = time.perf_counter(), time.process_time()
    for step in range(STEPS):
        share = (step - WARMUP) / (STEPS - WARMUP)
        cosine = LEAST_RATE + 0.5 * (1 + math.cos(math.pi * share)) * (RATE - LEAST_RATE)
        for group in optimizer.param_groups:
            group["lr"] = RATE * (step + 1) / (WARMUP + 1) if step < WARMUP else cosine
        starts = torch.randint(len(text_N) - CONTEXT, (BATCH,)).tolist()
        token_BT = torch.stack([text_N[i : i + CONTEXT] for i in starts])
        target_BT = torch.stack([text_N[i + 1 : i + 1 + CONTEXT] for i in starts])
        loss = F.cross_entropy(net(token_BT).view(-1, vocabulary), target_BT.view(-1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
    return net, {CLOCK: time.perf_counter() - begun, PROCESSOR: time.process_time() - used}


def ours(recipe: Recipe) -> dict[str, float]:
    """Return the seconds that a recipe takes to train, its looks at the validation part among them, and its loss."""
    marks: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, Started | Validated):
            marks.append(time.process_time())

    with tempfile.TemporaryDirectory() as folder:
        run = api.load(api.run_recipe(recipe, runs=folder, explained=False, watch=watch))
        result = run.trained.folder.read_result()
    assert result is not None
    return {CLOCK: result.seconds, PROCESSOR: marks[-1] - marks[0], LOSS: result.metrics["loss"].value}


@torch.no_grad()
def judged(net: nn.Module, source: Source) -> float:
    """Return the mean loss of every token of the validation part, in nats."""
    whole = source.batch("validation", range(source.description.splits["validation"]))
    nats = tokens = 0.0
    for batch in whole.split(256):
        target_N = batch["target_BT"].flatten()
        nats += F.cross_entropy(net(batch["token_BT"]).flatten(0, 1), target_N, reduction="sum").item()
        tokens += (target_N >= 0).sum().item()
    return nats / tokens


def main() -> None:
    """Measure and write."""
    source = data.open(DataRecipe(source="tiny-shakespeare", options={"context": CONTEXT}))
    text_N = source.tokens["train"].long()  # pyright: ignore[reportAttributeAccessIssue]
    vocabulary = len(source.description.encoding["characters"])
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SEEDS}
    for seed in range(max(SEEDS.values())):
        for name, seeds in SEEDS.items():
            if seed >= seeds:
                continue
            if name == "plain":
                net, taken = plain(seed, text_N, vocabulary)
                found[name].append({**taken, LOSS: judged(net, source)})
            else:
                found[name].append(ours(replace(recipes.named(name), seed=seed)))
            print(name, found[name][-1], flush=True)
    times = {name: median(one[PROCESSOR] for one in held) for name, held in found.items()}
    results: dict[str, Any] = {
        name: {key: spread([one[key] for one in held]) for key in (CLOCK, PROCESSOR, LOSS)}
        for name, held in found.items()
    }
    results["threads"] = torch.get_num_threads()
    results["share of the small recipe's processor time, by the medians"] = {
        name: times[name] / times["plain"] for name in times
    }
    results["times the tokens per second with the same net"] = times["plain"] / times["shakespeare_small"]
    write("language", results)


if __name__ == "__main__":
    main()
