"""Animated pictures: WebP, which every browser shows, of the best quality that is small enough."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

QUALITIES, MOST_BYTES = (76, 66, 54, 40), 1_300_000
"""Of WebP, tried in order, and how large the file may become."""


@dataclass(frozen=True)
class Film:
    """An animated picture, and what to say of it."""

    encoded: bytes
    """WebP."""
    still: bytes
    """One frame of it, for those who want no motion; WebP as well."""
    caption: str
    frames: int


def film(frames: Sequence[Image.Image], milliseconds: Sequence[int], caption: str) -> Film:
    """Return frames as a film that begins again and again, its last one as the still.

    Arguments: the frames; how long each is seen; what to say of it.
    """
    still = io.BytesIO()
    frames[-1].save(still, "webp", quality=QUALITIES[0])
    file = io.BytesIO()
    for quality in QUALITIES:
        file = io.BytesIO()
        frames[0].save(file, "webp", save_all=True, append_images=frames[1:], loop=0, quality=quality, method=2,
                       duration=list(milliseconds))  # fmt: skip
        if file.tell() <= MOST_BYTES:
            break
    return Film(file.getvalue(), still.getvalue(), caption, len(frames))
