"""The words every room speaks: Batch, Output, Source, Net, Task, and what they tell each other.

Shape suffixes: B batch, C channels, H and W pixels, T tokens, D features, K classes or outputs.
A field's name ends in its shape: `image_BCHW`, `token_BT`, `feature_BD`, `label_B`, `value_BK`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure
    from PIL import Image
    from torch import Tensor, nn

Split = Literal["train", "validation", "test"]
JUDGES: tuple[Split, ...] = ("test", "validation", "train")
"""What may judge a net: the first of these splits that holds samples does."""


@dataclass(slots=True)
class Batch:
    """Named tensors of B samples, batch first."""

    fields: dict[str, Tensor]
    index_B: Tensor
    """Which samples of the split these are, int64."""

    def __getitem__(self, name: str) -> Tensor:
        return self.fields[name]

    def __len__(self) -> int:
        return len(self.index_B)

    def take(self, which: Any) -> Batch:
        """Return the samples at `which` (a slice, or a tensor of positions)."""
        return Batch({name: value[which] for name, value in self.fields.items()}, self.index_B[which])

    def split(self, size: int) -> Iterator[Batch]:
        """Yield the samples in order, `size` at a time."""
        parts = zip(*(value.split(size) for value in self.fields.values()), strict=True)
        for held, index_B in zip(parts, self.index_B.split(size), strict=True):
            yield Batch(dict(zip(self.fields, held, strict=True)), index_B)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(
            {name: value.to(device, non_blocking=True) for name, value in self.fields.items()}, self.index_B.to(device)
        )


@dataclass(slots=True)
class Output:
    """What a task's forward gives."""

    loss_B: Tensor
    """One number per sample; a step minimises their mean."""
    prediction: Tensor
    """What the net said, as it said it (logits, standardised values); the task's `decode` and `statistics` read it."""
    terms: dict[str, Tensor] = field(default_factory=dict)
    """Named parts of the loss, each of shape (B,)."""
    taps: dict[str, Tensor] = field(default_factory=dict)
    """Named intermediate activations, where they were asked for."""


@dataclass(frozen=True)
class Description:
    """What a source holds, as JSON-able data: enough to build a net for it and to read new samples of its kind."""

    name: str
    """What people call it: digits, or the file's or folder's name."""
    format: str
    """The file of `hyperplane/data` that opens it and reads further samples of its kind."""
    kind: Literal["image", "table", "points", "text"]
    """What one sample looks like to a person."""
    input: str
    """Name of the field that a net reads, such as image_BCHW."""
    target: str
    """Name of the field to predict, such as label_B or value_BK."""
    shapes: dict[str, tuple[int, ...]]
    """Shape of every field without its batch axis."""
    splits: dict[str, int]
    """Number of samples in train, validation and test."""
    classes: tuple[str, ...] = ()
    """Names of the classes in the order of their labels; empty where the target is a number."""
    class_counts: tuple[int, ...] = ()
    """Training samples of each class; empty where the target is a number, or nobody counted."""
    target_names: tuple[str, ...] = ()
    """Names of the numbers to predict, in order."""
    target_mean: tuple[float, ...] = ()
    """Mean of each number to predict, over the training split."""
    target_std: tuple[float, ...] = ()
    """Standard deviation of each number to predict, over the training split; never 0."""
    encoding: dict[str, Any] = field(default_factory=dict)
    """How a raw sample becomes the input field (mean and std per channel, columns and categories): the format's own."""
    hashes: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that was read, or of a folder's listing."""
    notes: tuple[str, ...] = ()
    """What was found and what was done about it, one sentence each, for people."""


class Source(Protocol):
    """Samples in splits.

    One whose samples differ each time that they are drawn with a generator has an attribute `drawn`, the splits where
    they do: these are read for every step anew. One whose samples make a net say much more than they hold has an
    attribute `piece`: how many are evaluated at once. One whose files may break or vanish while a run goes on has an
    attribute `listing`, JSON-able: by split, each file, its label and its size, by which its format reopens it. One
    whose samples come from the net that it trains has a method `refresh(net, step)`, which is called before a step's
    samples are read, with the net as it is then; its `batch` takes from that net what it needs, in this process, and
    its chance from the generator alone.
    """

    description: Description

    def batch(self, split: Split, indices: Sequence[int] | Tensor, generator: torch.Generator | None = None) -> Batch:
        """Return these samples, on the CPU, ready for a net.

        The same indices and a generator in the same state give the same batch, in any process.
        """
        ...

    def read_as(self, like: Description) -> Source:
        """Return the same samples, read as inputs of a net trained on what `like` describes; targets stay their own.

        Raises UserError where they cannot be read so.
        """
        ...

    def encoded_as(self, like: Description) -> Source:
        """Return the same samples as inputs of a net trained on what `like` describes.

        Raises UserError where they are of another kind, or hold a class that it has not.
        """
        ...

    def sample_name(self, split: Split, index: int) -> str:
        """Return what a person finds the sample by: a file, a row, a record number."""
        ...

    def show(self, split: Split, index: int) -> Image.Image | dict[str, str]:
        """Return the sample as a person sees it: a picture, or a row's columns and values."""
        ...


@dataclass(frozen=True)
class Sniff:
    """How sure a format is that a path is its own, and why."""

    score: float
    """In [0, 1]; 0 where it is not."""
    reason: str
    """What was seen, one clause."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with data."""

    where: str
    """File, with the row or field where there is one."""
    what: str
    """What was found, and what was expected."""
    next: str
    """What to do."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.next}"


class Net(Protocol):
    """A module from one input field to one output tensor; its file ends with `NET = ...`.

    The keyword-only arguments of its constructor are its options. One that says something of every token of a text,
    (B, T, outputs), has an attribute `SAYS_OF = "token"`; its tokens are numbers below `outputs`. One that speaks of
    every pixel of an image, (B, outputs, H, W), has `SAYS_OF = "pixel"`. One that may hold another net
    has the names of those files in `HOLDS`: `around(file, options)` gives the options with which it does (None: with
    none), and `taken(weights, file, shape)` that one's weights, or those of its own kind, under its own keys, from a
    net that was built for inputs of that shape. One whose last layer is an embedding again has an attribute `tied` that
    is true. One with outputs beside the last (auxiliary heads, or what it says at an earlier step) has an attribute
    `auxiliary` as well: by the name of each one's tap, the weight of its loss. In training, where taps are given, they
    are filled; prediction needs the last output alone. One that sets weights from data has a method `prepare(x)`, which
    is given the first training samples before the first step.
    """

    ACCEPTS: ClassVar[tuple[str, ...]]
    """Names of the input fields it can read."""

    def __init__(self, shape: tuple[int, ...], outputs: int) -> None: ...

    def forward(self, x: Tensor, taps: dict[str, Tensor] | None = None) -> Tensor:
        """Return (B, outputs); fills `taps` with named activations where it is given."""
        ...


@dataclass(frozen=True)
class Metric:
    """What a number that judges a net means."""

    name: str
    unit: str
    """% for a share in [0, 1], "target" for the target's own unit, or empty."""
    better: Literal["higher", "lower"]
    summary: str
    """What it says, one clause."""
    share_of: str | None = None
    """The statistic (true or false per sample) whose share it is, if it is one: its interval is then Wilson's."""
    rises_with_noise: bool = False
    """Whether resampling makes it greater than it is, as it does any mean distance: its interval is then mirrored."""


@dataclass(frozen=True)
class Measured:
    """A metric's value over a split, with its 95% confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Said:
    """One sample's truth and what the net said of it, for people."""

    truth: str
    prediction: str
    confidence: float | None = None
    """Probability of the prediction, in [0, 1], where the task gives one."""


class Task(Protocol):
    """A kind of problem: loss, metrics, decoding, drawing. A torch module, so that it may own weights of its own.

    One that keeps state besides (a teacher that follows the net) has a method `after_step(net, step)` as well; one
    whose loss is a sum of squares has `residuals(prediction, batch)`, which second-order solvers make small. One whose
    own weights depend on the net's shape makes them in `join(net)`, called once, before anything else; one that keeps
    the net as it was at first has `begin(net)`, called with the net when it is built, and again when it begins with
    another run's weights; one that judges samples by each other adds what comes of it in `relate(statistics)`, given
    those of a whole split. One that learns from what the net itself makes has `practice(source)`, which returns the
    source to train on, with `refresh`; one that only goes on with a trained net has `STEERS = True`; one that asks more
    of a net than its forward pass, to write, has `WRITES = True`, and `ends`, the texts that end it. One with a usual
    net and optimizer of its own has a static method `usual(description)`, which gives the net's recipe, and
    `OPTIMIZER`. One that needs no labels has `LABELS = False`, and is never chosen unasked. Its file ends with
    `TASK = ...`; the keyword-only arguments of its constructor are its options.
    """

    METRICS: ClassVar[tuple[Metric, ...]]
    """The first is the one that a run is known by."""
    input: str
    """Name of the field that the net reads."""
    outputs: int
    """How many numbers it asks of a net for each sample."""

    def __init__(self, description: Description) -> None: ...

    def forward(self, net: nn.Module, batch: Batch, taps: dict[str, Tensor] | None = None) -> Output:
        """Return loss and prediction for a batch."""
        ...

    def predict(self, net: nn.Module, batch: Batch) -> Tensor:
        """Return the prediction for a batch that has no target."""
        ...

    def statistics(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Return what the metrics need of each sample, batch first; `loss_B` among them."""
        ...

    def measure(self, statistics: dict[str, Tensor]) -> dict[str, float]:
        """Return every metric over the samples whose statistics these are."""
        ...

    def decode(self, prediction: Tensor) -> list[dict[str, Any]]:
        """Return what a person wants of each sample, as JSON-able data."""
        ...

    def tell(self, statistics: dict[str, Tensor], which: list[int]) -> list[Said]:
        """Return truth and prediction of the samples at these positions of the statistics."""
        ...

    def draw(self, statistics: dict[str, Tensor]) -> dict[str, Figure]:
        """Return named pictures of how the net does over a split."""
        ...
