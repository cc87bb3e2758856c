"""Text from a trained language model: prompts in, texts out, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from hyperplane.data.blocks.problems import quote
from hyperplane.data.blocks.vocabulary import Vocabulary
from hyperplane.engine.chance import generator
from hyperplane.engine.trained import Trained
from hyperplane.errors import UserError
from hyperplane.nets.gpt import GPT
from hyperplane.predict.decoding import speculate
from hyperplane.predict.sampling import Sampling, picker
from hyperplane.tasks.blocks.answers import Answers
from hyperplane.tasks.blocks.writing import follow
from hyperplane.tasks.language import Language


@dataclass(frozen=True)
class Written:
    """One text that was generated."""

    prompt: str
    text: str
    """What follows the prompt."""
    tokens: int
    """How many were generated."""
    stopped: bool
    """Whether it ends before one of the texts to stop at."""
    guessed: int = 0
    """How many of them a draft had guessed."""


def generate(trained: Trained, prompts: Sequence[str], how: Sampling, draft: Trained | None = None) -> list[Written]:
    """Return what follows each prompt: the same as one by one with seeds that count on.

    They are computed together, or with a draft, a smaller model that guesses ahead (`decoding.speculate`), in turn.
    """
    if draft is not None:
        hows = [replace(how, seed=how.seed + number) for number in range(len(prompts))]
        writers = [list(_write_ahead(trained, draft, *one))[-1] for one in zip(prompts, hows, strict=True)]
    else:
        writers = list(_write(trained, prompts, how))[-1] if prompts else []
    return [w.written(prompt) for prompt, w in zip(prompts, writers, strict=True)]


def stream(trained: Trained, prompt: str, how: Sampling, draft: Trained | None = None) -> Iterator[Written]:
    """Yield what follows a prompt, piece by piece, each as soon as it is sure; its counts are those up to there."""
    told = 0
    writing = _write_ahead(trained, draft, prompt, how) if draft else (w for (w,) in _write(trained, [prompt], how))
    for writer in writing:
        yield replace(writer.written(prompt), text=writer.text[told:])
        told = len(writer.text)


def notes(trained: Trained, prompts: Sequence[str]) -> list[str]:
    """Return what is done about prompts that are not as the net needs them, one sentence each, for people."""
    known, net = language(trained)
    told = []
    longest = max((len(known.encode_of(_where(prompt), prompt)) for prompt in prompts), default=0)
    if longest > net.context:
        told.append(
            f"A prompt has {longest:,} tokens; the net reads {net.context} at once: it goes on from the last of them."
        )
    if "" in prompts:
        start = "a line end" if b"\n" in known.piece_K else f"'{known.shown(0)}'"
        told.append(f"An empty prompt goes on as after {start}.")
    return told


@dataclass
class _Writer:
    """One text as it grows; what may be the beginning of a text to stop at is held back."""

    known: Vocabulary
    stops: tuple[str, ...]
    text: str = ""
    tokens: int = 0
    stopped: bool = False
    guessed: int = 0
    held: str = ""
    decode: Callable[[int], str] = field(init=False)

    def __post_init__(self) -> None:
        self.decode = self.known.decoder()

    def written(self, prompt: str) -> Written:
        return Written(prompt, self.text, self.tokens, self.stopped, self.guessed)

    def add(self, token: int) -> None:
        if self.stopped:
            return
        self.tokens += 1
        self.held += self.decode(token)
        found = [self.held.index(stop) for stop in self.stops if stop in self.held]
        if found:
            self.text, self.held, self.stopped = self.text + self.held[: min(found)], "", True
            return
        kept = max((n for stop in self.stops for n in range(1, len(stop)) if self.held.endswith(stop[:n])), default=0)
        self.release(kept)

    def release(self, kept: int = 0) -> None:
        sure = len(self.held) - kept
        self.text, self.held = self.text + self.held[:sure], self.held[sure:]


def _write(trained: Trained, prompts: Sequence[str], how: Sampling) -> Iterator[list[_Writer]]:
    """Yield the texts after every token, and at last as they end."""
    known, net = language(trained)
    encoded = [encode(known, prompt) for prompt in prompts]
    writers = [_Writer(known, _ends(trained, how)) for _ in prompts]
    following = follow(net, encoded, picker(how, len(prompts)))
    for token_B, _ in zip(following, range(how.tokens), strict=False):
        for writer, token in zip(writers, token_B.tolist(), strict=True):
            writer.add(token)
        yield writers
        if all(writer.stopped for writer in writers):
            return
    for writer in writers:
        writer.release()
    yield writers


def _write_ahead(trained: Trained, draft: Trained, prompt: str, how: Sampling) -> Iterator[_Writer]:
    """Yield one text after every token, and at last as it ends; a draft guesses ahead."""
    known, net = language(trained)
    _, smaller = language(draft)
    expect_alike(trained, draft)
    writer = _Writer(known, _ends(trained, how))
    following = speculate(net, smaller, encode(known, prompt), how, generator(how.seed, "text"))
    for (token, guessed), _ in zip(following, range(how.tokens), strict=False):
        writer.add(token)
        writer.guessed += guessed
        yield writer
        if writer.stopped:
            return
    writer.release()
    yield writer


def _ends(trained: Trained, how: Sampling) -> tuple[str, ...]:
    """Return the texts before which a text ends: those that were asked for, and those of the task."""
    return (*how.stop, *getattr(trained.model.task, "ends", ()))


def expect_alike(trained: Trained, draft: Trained) -> None:
    """Raise UserError where a draft has another vocabulary."""
    (known, _), (other, _) = language(trained), language(draft)
    if other.piece_K != known.piece_K:
        raise UserError(
            f"generate --draft: {draft.folder.path} knows {len(other):,} tokens, and {trained.folder.path} "
            f"{len(known):,} that are not the same; name a run of the same vocabulary, such as one of the same text"
        )


def encode(known: Vocabulary, prompt: str) -> list[int]:
    """Return a prompt's tokens, one or more: an empty one is a line end, where the vocabulary has it."""
    start = known.piece_K.index(b"\n") if b"\n" in known.piece_K else 0
    return known.encode_of(_where(prompt), prompt).tolist() or [start]


def _where(prompt: str) -> str:
    return f"prompt {quote(prompt)}"


def language(trained: Trained) -> tuple[Vocabulary, GPT]:
    """Return a run's vocabulary and net; raises UserError where it is no language model."""
    task, net = trained.model.task, trained.model.net
    if not isinstance(task, Language | Answers) or not isinstance(net, GPT):
        raise UserError(
            f"{trained.folder.path}: holds {trained.recipe.net.name} for {trained.recipe.task.name}, expected a "
            "language model; to train one type: hyperplane train book.txt"
        )
    return task.vocabulary, net
