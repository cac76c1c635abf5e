"""Drawers of TFLite's operators that move values; as in `tflite_layers`.

Their outputs have the quantization of their inputs. One with several outputs goes on with the last;
the others are outputs of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import draws
from .draws import Tensor
from .tflite_net import TfliteNet


def concatenation(net: TfliteNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    parts = [x]
    for _ in range(net.random.randint(1, 3)):
        parts.append(net.input_like(x, _with(x.shape, axis, net.random.randint(1, 6))))
    y = net.like(x, _with(x.shape, axis, sum(part.shape[axis] for part in parts)))
    net.add("CONCATENATION", [part.name for part in parts], [y.name], Axis=axis)
    return y


def pack(net: TfliteNet, x: Tensor) -> Tensor:
    parts = [x, *(net.input_like(x) for _ in range(net.random.randint(1, 2)))]
    axis = net.random.randint(0, len(x.shape))
    shape = (*x.shape[:axis], len(parts), *x.shape[axis:])
    y = net.like(x, shape)
    net.add("PACK", [p.name for p in parts], [y.name], Axis=axis, ValuesCount=len(parts))
    return y


def unpack(net: TfliteNet, x: Tensor) -> Tensor:
    axis = min(range(len(x.shape)), key=lambda a: (x.shape[a] == 1, x.shape[a]))
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    count = x.shape[axis]
    return _parts(net, x, "UNPACK", [x.name], [shape] * count, Axis=axis, Num=count)


def split(net: TfliteNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    count = net.random.choice([n for n in range(1, 5) if x.shape[axis] % n == 0])
    shape = _with(x.shape, axis, x.shape[axis] // count)
    constants = [net.constant(np.array(axis, np.int32)), x.name]
    return _parts(net, x, "SPLIT", constants, [shape] * count, NumSplits=count)


def split_v(net: TfliteNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    first = net.random.randint(1, x.shape[axis])
    lengths = [first, *([x.shape[axis] - first] if first < x.shape[axis] else [])]
    inputs = [x.name, net.ints(lengths), net.constant(np.array(axis, np.int32))]
    shapes = [_with(x.shape, axis, n) for n in lengths]
    return _parts(net, x, "SPLIT_V", inputs, shapes, NumSplits=len(lengths))


def pad(net: TfliteNet, x: Tensor) -> Tensor:
    widths = _widths(net, x)
    return _move(net, x, "PAD", [net.ints(widths)], _padded(x, widths))


def padv2(net: TfliteNet, x: Tensor) -> Tensor:
    widths = _widths(net, x)
    info = np.iinfo(x.dtype)
    value = np.array(net.random.randint(info.min, info.max), x.dtype)
    fill = net.constant(value, x.scale, zero_point=x.zero_point)
    return _move(net, x, "PADV2", [net.ints(widths), fill], _padded(x, widths))


def mirror_pad(net: TfliteNet, x: Tensor) -> Tensor:
    mode = net.random.choice(["REFLECT", "SYMMETRIC"])
    most = [min(3, n - (mode == "REFLECT")) for n in x.shape]
    widths = [[net.random.randint(0, n), net.random.randint(0, n)] for n in most]
    return _move(net, x, "MIRROR_PAD", [net.ints(widths)], _padded(x, widths), Mode=mode)


def reshape(net: TfliteNet, x: Tensor) -> Tensor:
    size = int(np.prod(x.shape[1:]))
    shapes = [(x.shape[0], size), (x.shape[0], 1, size, 1), (x.shape[0], 1, 1, size)]
    shape = net.random.choice(shapes)
    return _move(net, x, "RESHAPE", [net.ints(shape)], shape, NewShape=list(shape))


def expand_dims(net: TfliteNet, x: Tensor) -> Tensor:
    axis = net.random.randint(0, len(x.shape))
    return _move(net, x, "EXPAND_DIMS", [net.ints([axis])], np.expand_dims(_like(x), axis).shape)


def squeeze(net: TfliteNet, x: Tensor) -> Tensor:
    """None named are all."""
    axes = [axis for axis, size in enumerate(x.shape) if size == 1]
    axes = axes[1:] if draws.chance(net.random, 0.5) else axes
    axes = axes or [axis for axis, size in enumerate(x.shape) if size == 1]
    shape = [n for axis, n in enumerate(x.shape) if axis not in axes]
    return _move(net, x, "SQUEEZE", [], shape, SqueezeDims=axes)


def transpose(net: TfliteNet, x: Tensor) -> Tensor:
    axes = list(range(len(x.shape)))
    net.random.shuffle(axes)
    return _move(net, x, "TRANSPOSE", [net.ints(axes)], [x.shape[a] for a in axes])


def slice_(net: TfliteNet, x: Tensor) -> Tensor:
    begin = [net.random.randrange(n) for n in x.shape]
    size = [net.random.randint(1, n - b) for n, b in zip(x.shape, begin, strict=True)]
    given = [-1 if draws.chance(net.random, 0.2) else n for n in size]
    shape = [n - b if g == -1 else g for n, b, g in zip(x.shape, begin, given, strict=True)]
    return _move(net, x, "SLICE", [net.ints(begin), net.ints(given)], shape)


def strided_slice(net: TfliteNet, x: Tensor) -> Tensor:
    begin, end, strides, shape = [], [], [], []
    for n in x.shape:
        first, last = sorted((net.random.randrange(n), net.random.randrange(n)))
        step = net.random.choice([1, 1, 2, 3, -1, -2])
        # backwards, an end of -1 would be the last element
        before = -n - 1 if first == 0 else first - 1
        begin.append(first if step > 0 else last)
        end.append(last + 1 if step > 0 else before)
        strides.append(step)
        shape.append(len(range(last - first + 1)[::step]))
    return _move(net, x, "STRIDED_SLICE", [net.ints(v) for v in (begin, end, strides)], shape)


def gather(net: TfliteNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    indices = [net.random.randrange(x.shape[axis]) for _ in range(net.random.randint(1, 6))]
    shape = _with(x.shape, axis, len(indices))
    return _move(net, x, "GATHER", [net.ints(indices)], shape, Axis=axis)


def tile(net: TfliteNet, x: Tensor) -> Tensor:
    repeats = [net.random.choice([1, 1, 2, 3]) for _ in x.shape]
    return _move(net, x, "TILE", [net.ints(repeats)], np.array(x.shape) * repeats)


def reverse_v2(net: TfliteNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    return _move(net, x, "REVERSE_V2", [net.ints([axis])], x.shape)


def space_to_depth(net: TfliteNet, x: Tensor) -> Tensor:
    n, h, w, c = x.shape
    block = net.random.choice([b for b in (1, 2, 3) if h % b == w % b == 0])
    shape = (n, h // block, w // block, c * block * block)
    return _move(net, x, "SPACE_TO_DEPTH", [], shape, BlockSize=block)


def depth_to_space(net: TfliteNet, x: Tensor) -> Tensor:
    n, h, w, c = x.shape
    block = net.random.choice([b for b in (1, 2, 3) if c % (b * b) == 0])
    shape = (n, h * block, w * block, c // (block * block))
    return _move(net, x, "DEPTH_TO_SPACE", [], shape, BlockSize=block)


def space_to_batch_nd(net: TfliteNet, x: Tensor) -> Tensor:
    n, h, w, c = x.shape
    block = [net.random.choice([b for b in (1, 2, 3) if size % b == 0]) for size in (h, w)]
    shape = (n * block[0] * block[1], h // block[0], w // block[1], c)
    return _move(net, x, "SPACE_TO_BATCH_ND", [net.ints(block), net.ints([[0, 0]] * 2)], shape)


def batch_to_space_nd(net: TfliteNet, x: Tensor) -> Tensor:
    n, h, w, c = x.shape
    block = net.random.choice([b for b in ((1, 1), (1, 2), (2, 1), (3, 1)) if n % max(b) == 0])
    whole = (h * block[0], w * block[1])
    cut = [net.random.randint(0, min(2, size - 1)) for size in whole]
    shape = (n // max(block), whole[0] - cut[0], whole[1] - cut[1], c)
    crops = net.ints([[0, n] for n in cut])
    return _move(net, x, "BATCH_TO_SPACE_ND", [net.ints(block), crops], shape)


def resize(operator: str) -> Callable[[TfliteNet, Tensor], Tensor]:
    """RESIZE_NEAREST_NEIGHBOR or RESIZE_BILINEAR, to any size."""

    def draw(net: TfliteNet, x: Tensor) -> Tensor:
        size = [net.random.choice([n, 2 * n, net.random.randint(1, 14)]) for n in x.shape[1:3]]
        how = net.random.choice(["", "AlignCorners", "HalfPixelCenters"])
        options = {how: True} if how else {}
        return _move(net, x, operator, [net.ints(size)], (x.shape[0], *size, x.shape[3]), **options)

    return draw


def _move(
    net: TfliteNet,
    x: Tensor,
    operator: str,
    constants: list[int],
    shape: Sequence[int],
    **options: Any,
) -> Tensor:
    y = net.like(x, shape)
    net.add(operator, [x.name, *constants], [y.name], **options)
    return y


def _parts(
    net: TfliteNet,
    x: Tensor,
    operator: str,
    inputs: list[int],
    shapes: list[tuple[int, ...]],
    **options: Any,
) -> Tensor:
    *others, y = (net.like(x, shape) for shape in shapes)
    net.add(operator, inputs, [*(t.name for t in others), y.name], **options)
    net.outputs += others
    return y


def _widths(net: TfliteNet, x: Tensor) -> list[list[int]]:
    return [[0, 0], *([net.random.randint(0, 2) for _ in range(2)] for _ in x.shape[1:])]


def _padded(x: Tensor, widths: list[list[int]]) -> list[int]:
    return [n + sum(w) for n, w in zip(x.shape, widths, strict=True)]


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _like(x: Tensor) -> Any:
    return np.empty(x.shape, np.int8)
