"""Prompts with the answers that the net itself gives them while it is trained.

Shape suffixes: B prompts, G answers to each, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from PIL import Image
from torch import Tensor, nn

from hyperplane.contracts import Batch, Description, Source, Split
from hyperplane.nets.gpt import GPT
from hyperplane.tasks.blocks.writing import answer, sampled


class Rollouts:
    """A source whose training samples have answers of the net as it is at the step that they are read for."""

    drawn: tuple[Split, ...] = ("train",)

    def __init__(self, source: Source, end: int, copies: int) -> None:
        """Take prompts from a source; each gets so many answers, which end with the token `end`."""
        self.source, self.end, self.copies = source, end, copies
        self.description: Description = source.description
        self.net: nn.Module | None = None

    def refresh(self, net: nn.Module, step: int) -> None:
        """Let this net answer from now on."""
        self.net = net

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return the source's samples, with written_BGT and wrote_BGT drawn from the net where there is a generator."""
        batch = self.source.batch(split, indices)
        if generator is None:
            return batch
        assert self.net is not None, "the loop calls refresh"
        was_training, device = self.net.training, next(self.net.parameters()).device
        asked = batch.to(device)
        self.net.eval()
        said = answer(
            cast(GPT, self.net), asked["token_BT"], asked["prompt_B"], self.end, sampled(generator), self.copies
        )
        self.net.train(was_training)
        asked.fields |= {"written_BGT": said.token_NGT, "wrote_BGT": said.answer_NGT}
        return asked

    def read_as(self, like: Description) -> Source:
        """Return the source, read so."""
        return self.source.read_as(like)

    def encoded_as(self, like: Description) -> Source:
        """Return the source, encoded so."""
        return self.source.encoded_as(like)

    def sample_name(self, split: Split, index: int) -> str:
        """Return the source's name of a sample."""
        return self.source.sample_name(split, index)

    def show(self, split: Split, index: int) -> Image.Image | dict[str, str]:
        """Return the source's sample as a person sees it."""
        return self.source.show(split, index)
