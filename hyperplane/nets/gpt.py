"""GPT, a transformer that says of every token of a text how likely each token is to follow it.

Radford et al. 2019, "Language models are unsupervised multitask learners" (GPT-2): learned positions, pre-norm layers,
GELU by its tanh approximation, and a last layer that is the embedding again. The variants gpt2 to gpt2-xl are the
published ones and take their checkpoints. `gpt-modern` is the form that small models train fastest in: rotary positions
(arXiv:2104.09864), queries and keys of length 1 (arXiv:2010.04245), squared ReLU (arXiv:2109.08668), norms without
weights (arXiv:1911.07013), no biases, each layer's last maps 0 at first (arXiv:2003.04887), a last layer of its own,
and logits that a tanh keeps below `soft_cap` (arXiv:2408.00118). Embeddings of several tokens in a row (`ngrams`,
arXiv:2501.16975) spare the layers what a look into a table can say. What differs from GPT-2 in training: dropout is 0
unless asked for, and never acts on the attention's weights.

Shape suffixes: B batch, T tokens (of keys: S), D features, H heads, K tokens of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hyperplane.errors import UserError
from hyperplane.nets.blocks.attention import Cache, Layer, Nonlinearity, Norm, Rotation, rotation
from hyperplane.nets.blocks.chance import Dropout
from hyperplane.nets.blocks.published import Published, differ

# Columns: layers, width, heads (table 2 of the paper; the heads are those of the published checkpoints).
VARIANTS: dict[str, dict] = {
    "gpt2": {"layers": 12, "width": 768, "heads": 12},
    "gpt2-medium": {"layers": 24, "width": 1024, "heads": 16},
    "gpt2-large": {"layers": 36, "width": 1280, "heads": 20},
    "gpt2-xl": {"layers": 48, "width": 1600, "heads": 25},
    "gpt-modern": {
        "positions": "rotary",
        "qk_norm": True,
        "nonlinearity": "relu-squared",
        "scales": False,
        "bias": False,
        "zero_init": True,
        "tied": False,
        "soft_cap": 15.0,
    },
}
EXAMPLE = {"shape": (1024,), "outputs": 50257, "options": {"layers": 2, "width": 12, "heads": 3}}

STD = 0.02
"""Standard deviation of the weights at first, as published; that of maps into the sum over layers is less."""
KEYS = (
    (".norm1.", ".ln_1."),
    (".norm2.", ".ln_2."),
    (".attn.qkv.", ".attn.c_attn."),
    (".attn.proj.", ".attn.c_proj."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
)
"""Parts of our state-dict keys and of the published ones."""
CONSTANT = (".attn.bias", ".attn.masked_bias")
"""Ends of the keys of published tensors that are no weights: the causal order."""


class GPT(Published):
    """Embeddings, layers of causal attention, and a logit for every token of the vocabulary at every position."""

    cos: Tensor
    sin: Tensor
    ACCEPTS = ("token_BT",)
    SAYS_OF: ClassVar[Literal["sample", "token"]] = "token"

    def __init__(
        self,
        shape: tuple[int, ...],
        outputs: int,
        *,
        layers: int = 4,
        width: int = 128,
        heads: int = 4,
        positions: Literal["learned", "rotary"] = "learned",
        norm: Norm = "pre",
        nonlinearity: Nonlinearity = "gelu-tanh",
        qk_norm: bool = False,
        scales: bool = True,
        bias: bool = True,
        zero_init: bool = False,
        tied: bool = True,
        soft_cap: float = 0.0,
        ngrams: int = 1,
        rows: int = 8191,
        dropout: float = 0.0,
    ) -> None:
        """Build it for texts of at most shape[0] tokens (its context) from a vocabulary of `outputs`.

        `norm` is post for the lecture's layer; `scales` gives the norms weights, `bias` gives the linear maps biases;
        `zero_init` starts each layer as nothing but its input; `tied` takes the embedding as the last layer; `soft_cap`
        bounds the logits (0: not at all); `ngrams` of 2 or more adds to each token an embedding of the two, three, ...
        tokens that end there, each in a table of at most `rows`; `dropout` in [0, 1) acts on the embedding and on what
        each layer adds.
        """
        super().__init__()
        if len(shape) != 1 or shape[0] < 1:
            raise UserError(
                f"net gpt: found inputs of shape {shape}, expected texts (tokens,); for images type: --net lenet"
            )
        if min(width, heads) < 1 or width % heads:
            fits = max(1, width // max(heads, 1)) * max(heads, 1)
            raise UserError(
                f"net gpt: found width {width} and heads {heads}, expected 1 or more of each, and a width that the "
                f"heads divide; type: --net.width {fits} --net.heads {max(heads, 1)}"
            )
        if min(ngrams, rows) < 1:
            raise UserError(
                f"net gpt: found ngrams {ngrams} and rows {rows}, expected 1 or more of each; type: --net.ngrams 3 "
                "--net.rows 8191"
            )
        if layers < 1 or not 0 <= soft_cap < math.inf:
            raise UserError(
                f"net gpt: found {layers} layer{'s' * (layers != 1)} and a soft cap of {soft_cap:g}, expected 1 layer "
                "or more and a cap of 0 or more; type: --net.layers 4 --net.soft-cap 15"
            )
        self.context, self.vocabulary, self.heads, self.soft_cap = shape[0], outputs, heads, soft_cap
        self.tied = tied
        normalisation = partial(nn.LayerNorm, elementwise_affine=scales)
        self.wte = nn.Embedding(outputs, width)
        self.wpe = nn.Embedding(self.context, width) if positions == "learned" else None
        self.rows = [min(rows, outputs * (outputs + 1) ** back) for back in range(1, ngrams)]
        self.grams = nn.ModuleList(nn.Embedding(count, width) for count in self.rows)
        self.norm_e = nn.Identity() if positions == "learned" else normalisation(width)
        self.dropout = Dropout(dropout)
        layer = partial(
            *(Layer, width, heads),
            causal=True,
            norm=norm,
            nonlinearity=nonlinearity,
            normalisation=normalisation,
            bias=bias,
            qk_norm=qk_norm,
            dropout=dropout,
        )
        made = [layer() for _ in range(layers)]
        self.h = nn.ModuleList(made)
        self.ln_f = normalisation(width) if norm == "pre" else nn.Identity()
        self.head = None if tied else nn.Linear(width, outputs, bias=False)
        if self.wpe is None:
            if width // heads % 2:
                raise UserError(
                    f"net gpt: found heads of {width // heads} features, expected an even number for rotary positions; "
                    f"type: --net.width {2 * heads * max(1, width // heads // 2)}"
                )
            for name, turn in zip(("cos", "sin"), rotation(torch.arange(self.context), width // heads), strict=True):
                self.register_buffer(name, turn, persistent=False)
        self._initialise(made, zero_init)

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return logits (B, T, K) for tokens (B, T), int64; taps `layer1`, `layer2`, ... are (B, T, D)."""
        return self.logits(self.features(x, taps))

    def features(
        self,
        token_BT: Tensor,
        taps: dict[str, Tensor] | None = None,
        *,
        caches: list[Cache] | None = None,
        before_BT: Tensor | None = None,
        position_BT: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return (B, T, D), which `logits` reads.

        Arguments: tokens, int64; what is tapped; for each layer, keys and values of the tokens before these; the last
        of these tokens, `lookback` or more, where there are any; the tokens' places in their text (None: they begin
        it); and the attention's mask.
        """
        x_BTD, turn = self._embedded(token_BT, before_BT, position_BT)
        for number, layer in enumerate(self.h):
            cache = None if caches is None else caches[number]
            x_BTD = layer(x_BTD, rotation=turn, mask=mask, cache=cache)
            if taps is not None:
                taps[f"layer{number + 1}"] = x_BTD
        return self.ln_f(x_BTD)

    def attention(self, token_BT: Tensor) -> Iterator[Tensor]:
        """Yield how much each token attends to each up to it, (B, H, T, T), layer by layer; every row sums to 1."""
        x_BTD, turn = self._embedded(token_BT, None, None)
        for layer in self.h:
            assert isinstance(layer, Layer)
            yield layer.maps(x_BTD, rotation=turn)
            x_BTD = layer(x_BTD, rotation=turn)

    def _embedded(
        self, token_BT: Tensor, before_BT: Tensor | None, position_BT: Tensor | None
    ) -> tuple[Tensor, Rotation | None]:
        """Return what the first layer reads, (B, T, D), and how queries and keys are turned, if they are."""
        if token_BT.ndim != 2 or not 1 <= token_BT.shape[1] <= self.context or token_BT.is_floating_point():
            raise UserError(
                f"net gpt: found {token_BT.dtype} of shape {tuple(token_BT.shape)}, expected whole numbers (B, T) with "
                f"T from 1 to {self.context}, its context; cut the text, or build the net for a longer one"
            )
        x_BTD, turn = self.wte(token_BT), None
        for gram, row_BT in zip(self.grams, self._rows(token_BT, before_BT, position_BT), strict=True):
            x_BTD = x_BTD + gram(row_BT)
        where = slice(token_BT.shape[1]) if position_BT is None else position_BT
        if self.wpe is not None:
            x_BTD = x_BTD + self.wpe.weight[where]
        else:
            turn = (self.cos[where], self.sin[where])
            turn = turn if position_BT is None else (turn[0].unsqueeze(1), turn[1].unsqueeze(1))
        return self.dropout(self.norm_e(x_BTD)), turn

    @property
    def lookback(self) -> int:
        """Return how many tokens before one its embedding depends on."""
        return len(self.grams)

    def _rows(self, token_BT: Tensor, before_BT: Tensor | None, position_BT: Tensor | None) -> Iterator[Tensor]:
        """Yield for each table the row of every token and those before it; K stands for those before the text.

        Where a table has fewer rows than there are combinations, some share one: their numbers in a base, modulo the
        rows.
        """
        count, tokens = token_BT.shape
        absent = self.vocabulary
        seen_BT = token_BT.new_full((count, self.lookback), absent) if before_BT is None else before_BT
        seen_BT = torch.cat([seen_BT, token_BT], dim=1)
        row_BT, base = token_BT, absent + 1
        place_BT = torch.arange(tokens, device=token_BT.device) if position_BT is None else position_BT
        for back, rows in enumerate(self.rows, 1):
            earlier_BT = seen_BT[:, seen_BT.shape[1] - tokens - back : seen_BT.shape[1] - back]
            earlier_BT = earlier_BT.masked_fill(place_BT < back, absent)
            row_BT = row_BT * base + earlier_BT
            yield row_BT % rows

    def logits(self, x_BTD: Tensor) -> Tensor:
        """Return (B, T, K) for what `features` gave, or for some of its tokens."""
        logit_BTK = F.linear(x_BTD, self.wte.weight) if self.head is None else self.head(x_BTD)
        return self.soft_cap * torch.tanh(logit_BTK / self.soft_cap) if self.soft_cap else logit_BTK

    def caches(self, batch: int) -> list[Cache]:
        """Return an empty cache for each layer, with room for so many texts of the whole context."""
        weight = self.wte.weight
        shape = (batch, self.heads, self.context, weight.shape[1] // self.heads)
        return [Cache(weight.new_empty(shape), weight.new_empty(shape)) for _ in self.h]

    def load_published(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load a published state dict; raises UserError that names what is missing, foreign or of another shape."""
        self.load_state_dict(self.of_published(state_dict))

    def of_published(self, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a published state dict, with or without `transformer.` before its keys, under our own keys.

        Published linear maps are (inputs, outputs) and are transposed; `lm_head.weight` may be there where it is the
        embedding again; of learned positions those of the context are taken. Raises UserError that names what is
        missing, foreign or of another shape.
        """
        prefix = "transformer." if any(key.startswith("transformer.") for key in state_dict) else ""
        found = {key: tensor for key, tensor in state_dict.items() if not key.endswith(CONSTANT)}
        own = {_published(key, prefix): (key, tensor) for key, tensor in self.state_dict().items()}
        expected = {key: _turned(mine, tensor) for key, (mine, tensor) in own.items()}
        if self.head is None and "lm_head.weight" in found:
            if not tied(found, prefix):
                raise UserError(
                    f"the state dict has an lm_head.weight that is not {prefix}wte.weight again, and the net reads "
                    "both off one; build it with tied=False"
                )
            found.pop("lm_head.weight")
        places = f"{prefix}wpe.weight"
        if self.wpe is not None and places in found and found[places].ndim == 2:
            found[places] = found[places][: self.context]
        difference = differ(found, expected)
        if difference:
            raise UserError(f"the state dict {difference}; name the net that it was saved from (hyperplane list nets)")
        return {mine: _turned(mine, found[key]) for key, (mine, _) in own.items()}

    def fitted(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a state dict under our keys with the first of its learned positions, as many as the context has.

        Raises UserError where it has fewer.
        """
        position_TD = state_dict.get("wpe.weight")
        if self.wpe is None or position_TD is None:
            return state_dict
        if len(position_TD) < self.context:
            raise UserError(
                f"net gpt: found a context of {self.context} tokens, expected at most {len(position_TD)}, the places "
                f"that its weights have learned; type: --data.context {len(position_TD)}"
            )
        return {**state_dict, "wpe.weight": position_TD[: self.context]}

    def _initialise(self, layers: list[Layer], zero_init: bool) -> None:
        """Draw the weights: GPT-2's, or for `zero_init` each map by its inputs, and layers that add nothing."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=module.in_features**-0.5 if zero_init else STD)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=STD)
        for layer in layers:
            for last in (layer.attn.proj, layer.mlp.fc2):
                with torch.no_grad():
                    last.weight.mul_(0.0 if zero_init else (2 * len(layers)) ** -0.5)


def tied(state_dict: Mapping[str, Tensor], prefix: str) -> bool:
    """Return whether the last layer of a published state dict, whose keys have this prefix, is its embedding again."""
    head, embedding = (state_dict.get(key) for key in ("lm_head.weight", f"{prefix}wte.weight"))
    return head is None or head is embedding or (embedding is not None and torch.equal(head, embedding))


def _published(key: str, prefix: str = "") -> str:
    """Return the published key of one of ours; the last layer's has no prefix."""
    for ours, theirs in KEYS:
        key = key.replace(ours, theirs)
    return "lm_head.weight" if key == "head.weight" else prefix + key


def _turned(key: str, tensor: Tensor) -> Tensor:
    """Return a tensor as the other side holds it: of a layer's linear maps, rows are columns there."""
    return tensor.T if key.startswith("h.") and tensor.ndim == 2 else tensor


NET = GPT
