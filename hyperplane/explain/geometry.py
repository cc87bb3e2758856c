"""Which pixels of the input each unit of a map can see, exactly, from what a net does to its input's geometry.

A unit at place i of a map sees the pixels from `start + i · jump` on, `size` of them, along either axis (Araujo, Norris
and Sim 2019, "Computing receptive fields of convolutional neural networks"). Every operation between the input and the
map is watched as the net runs, so that any net will do: convolutions, pooling, padding and resizing change the three
numbers; where several maps meet, their fields are joined. What acts on a whole map as one number, such as group
normalisation or a gate made of its mean, is left out of account.

Shape suffixes: B batch, C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

MOVING = ("permute", "transpose", "matmul", "linear", "flip", "roll", "reshape", "view", "scaled_dot_product_attention")
"""Operations that move places about even where they keep a map's size."""


@dataclass(frozen=True)
class Axis:
    """What units see along one axis, in pixels of the input, beyond its edges too."""

    start: float = 0.0
    """The first pixel that the first unit sees."""
    jump: float = 1.0
    """How far apart two neighbouring units look."""
    size: float = 1.0

    def span(self, place: int) -> tuple[float, float]:
        """Return the first pixel that a unit sees, and the one after its last."""
        first = self.start + place * self.jump
        return first, first + self.size

    def windowed(self, kernel: int, stride: int, before: int, dilation: int) -> Axis:
        """Return what units see after a window that moves over the map, `before` units of padding ahead of it."""
        reach = (kernel - 1) * dilation * self.jump
        return Axis(self.start - before * self.jump, self.jump * stride, self.size + reach)

    def resized(self, old: int, new: int, reach: float) -> Axis:
        """Return what units see after a map of `old` units is resized to `new`, each reading `reach` old ones around.

        `reach` counts from the middle of a new unit, in old ones.
        """
        step = old / new
        first, last = 0.5 * step - 0.5 - reach, 0.5 * step - 0.5 + reach
        return Axis(self.start + first * self.jump, self.jump * step, self.size + (last - first) * self.jump)

    def joined(self, other: Axis) -> Axis:
        """Return what units see that read both."""
        first = min(self.start, other.start)
        return Axis(first, self.jump, max(self.start + self.size, other.start + other.size) - first)


@dataclass(frozen=True)
class Field:
    """The receptive fields of a map."""

    rows: Axis
    columns: Axis

    def box(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Return top, left, bottom and right of what a unit sees, in pixels; the last two are after the last pixel."""
        (top, bottom), (left, right) = self.rows.span(row), self.columns.span(column)
        return top, left, bottom, right


class Watched(TorchFunctionMode):
    """While this is on, what is computed from an image is watched; `field` then tells of any map made of it."""

    def __init__(self, image_BCHW: Tensor) -> None:
        super().__init__()
        self._held: dict[int, tuple[Tensor, Field | None]] = {id(image_BCHW): (image_BCHW, Field(Axis(), Axis()))}

    def field(self, map_BCHW: Tensor) -> Field | None:
        """Return what a map's units see; None where the geometry was lost on the way, as through a dense layer."""
        return self._held[id(map_BCHW)][1] if id(map_BCHW) in self._held else None

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note what the units of its result see."""
        kwargs = kwargs or {}
        read = [value for value in _tensors((*args, *kwargs.values())) if id(value) in self._held]
        result = func(*args, **kwargs)
        if read and isinstance(result, Tensor):
            maps = [(value, self.field(value)) for value in read if value.ndim == 4 and value[0, 0].numel() > 1]
            known = [(value, field) for value, field in maps if field is not None]
            whole = result.ndim == 4 and known and len(known) == len(maps)
            name = getattr(func, "__name__", "")
            self._held[id(result)] = (result, _after(name, args, kwargs, known, result) if whole else None)
        return result


def _after(name: str, args: Any, kwargs: Any, fields: list[tuple[Tensor, Field]], result: Tensor) -> Field | None:
    """Return what the units of a result see, given the maps that it was computed from and their fields."""
    source, field = fields[0]
    if name == "conv2d":
        weight, stride, padding, dilation = (
            _given(args, kwargs, place, name, default)
            for place, name, default in ((1, "weight", None), (3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
        )
        kernel, dilation = _pair(weight.shape[-2:]), _pair(dilation)
        if padding == "same":
            padding = [dilation[axis] * (kernel[axis] - 1) // 2 for axis in (0, 1)]
        return _moved(field, kernel, _pair(stride), _pair(0 if padding == "valid" else padding), dilation)
    if name in ("max_pool2d", "avg_pool2d"):
        kernel = _pair(_given(args, kwargs, 1, "kernel_size", None))
        stride = _pair(_given(args, kwargs, 2, "stride", None) or kernel)
        dilation = _pair(_given(args, kwargs, 4, "dilation", 1)) if name == "max_pool2d" else (1, 1)
        return _moved(field, kernel, stride, _pair(_given(args, kwargs, 3, "padding", 0)), dilation)
    if name == "pad":
        amount = list(_given(args, kwargs, 1, "pad", ())) + [0] * 4
        return _moved(field, (1, 1), (1, 1), (amount[2], amount[0]), (1, 1))
    if name == "interpolate":
        mode = _given(args, kwargs, 3, "mode", "nearest")
        smooth = kwargs.get("antialias", False)
        axes = [
            axis.resized(old, new, 0.5 if mode.startswith("nearest") else max(1.0, old / new) if smooth else 1.0)
            for axis, old, new in zip(
                (field.rows, field.columns), source.shape[-2:], result.shape[-2:], strict=True
            )
        ]  # fmt: skip
        return Field(*axes)
    if name == "__getitem__" and isinstance(args[1], tuple) and len(args[1]) == 4:
        return _sliced(field, args[1][-2:], source.shape[-2:])
    same = [known for value, known in fields if value.shape[-2:] == result.shape[-2:]]
    if len(same) < len(fields) or name in MOVING:
        return None
    for other in same[1:]:
        field = Field(field.rows.joined(other.rows), field.columns.joined(other.columns))
    return field


def _moved(
    field: Field,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    dilation: tuple[int, int],
) -> Field:
    rows, columns = (
        axis.windowed(kernel[k], stride[k], before[k], dilation[k])
        for k, axis in enumerate((field.rows, field.columns))
    )
    return Field(rows, columns)


def _sliced(field: Field, which: Sequence[Any], sides: Sequence[int]) -> Field | None:
    """Return what units see after rows and columns are taken out by slices; None for any other way of taking them."""
    if not all(isinstance(one, slice) for one in which):
        return None
    axes = []
    for axis, one, side in zip((field.rows, field.columns), which, sides, strict=True):
        first, _, step = one.indices(side)
        axes.append(axis.windowed(1, step, -first, 1))
    return Field(*axes)


def _given(args: Sequence[Any], kwargs: dict[str, Any], place: int, name: str, default: Any) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, *rest = (int(part) for part in value)
    return first, rest[0] if rest else first


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors among an operation's arguments, those in lists too."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += [part for part in value if isinstance(part, Tensor)]
    return found
