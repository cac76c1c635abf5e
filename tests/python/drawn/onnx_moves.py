"""Drawers of ONNX's operators that move values; as in `onnx_layers`.

Their outputs have the quantization of their inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .draws import Tensor
from .onnx_net import OnnxNet


def concat(net: OnnxNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    parts = [x]
    for _ in range(net.random.randint(1, 3)):
        parts.append(net.input_like(x, _with(x.shape, axis, net.random.randint(1, 6))))
    value = net.node("Concat", [part.name for part in parts], axis=axis)
    return net.like(x, value, _with(x.shape, axis, sum(p.shape[axis] for p in parts)))


def split(net: OnnxNet, x: Tensor) -> Tensor:
    """The second part is an output of the model."""
    axis = max(range(len(x.shape)), key=lambda a: x.shape[a])
    if x.shape[axis] == 1:
        return net.like(x, net.node("Identity", [x.name]), x.shape)
    first = net.random.randint(1, x.shape[axis] - 1)
    lengths = [first, x.shape[axis] - first]
    parts = net.nodes("Split", [x.name, net.ints(lengths)], 2, axis=axis)
    y, other = (
        net.like(x, value, _with(x.shape, axis, n)) for value, n in zip(parts, lengths, strict=True)
    )
    net.outputs.append(other)
    return y


def pad(net: OnnxNet, x: Tensor) -> Tensor:
    mode = net.random.choice(["constant", "constant", "reflect", "edge"])
    most = [min(2, n - (mode == "reflect")) for n in x.shape]
    before, after = ([0, *(net.random.randint(0, n) for n in most[1:])] for _ in range(2))
    value = net.node("Pad", [x.name, net.ints([*before, *after])], mode=mode)
    shape = [n + b + a for n, b, a in zip(x.shape, before, after, strict=True)]
    return net.like(x, value, shape)


def flatten(net: OnnxNet, x: Tensor) -> Tensor:
    shape = (x.shape[0], int(np.prod(x.shape[1:])))
    return net.like(x, net.node("Flatten", [x.name]), shape)


def reshape(net: OnnxNet, x: Tensor) -> Tensor:
    shape = (x.shape[0], int(np.prod(x.shape[1:])), 1, 1)[: net.random.choice([2, 4])]
    return _move(net, x, "Reshape", [net.ints(shape)], shape)


def squeeze(net: OnnxNet, x: Tensor) -> Tensor:
    axes = [axis for axis, n in enumerate(x.shape) if n == 1] or [0]
    if x.shape[axes[0]] != 1:
        return net.like(x, net.node("Identity", [x.name]), x.shape)
    shape = [n for axis, n in enumerate(x.shape) if axis not in axes]
    return _move(net, x, "Squeeze", [net.ints(axes)], shape or [1])


def unsqueeze(net: OnnxNet, x: Tensor) -> Tensor:
    axis = net.random.randint(0, len(x.shape))
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    return _move(net, x, "Unsqueeze", [net.ints([axis])], shape)


def transpose(net: OnnxNet, x: Tensor) -> Tensor:
    axes = list(range(len(x.shape)))
    net.random.shuffle(axes)
    return _move(net, x, "Transpose", [], [x.shape[a] for a in axes], perm=axes)


def slice_(net: OnnxNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    n = x.shape[axis]
    first, last = sorted((net.random.randrange(n), net.random.randrange(n)))
    step = net.random.choice([1, 1, 2, -1, -2])
    begin, end = (first, last + 1) if step > 0 else (last, first - 1 if first else -n - 1)
    size = len(range(last - first + 1)[::step])
    constants = [net.ints([value]) for value in (begin, end, axis, step)]
    return _move(net, x, "Slice", constants, _with(x.shape, axis, size))


def gather(net: OnnxNet, x: Tensor) -> Tensor:
    axis = net.random.randrange(len(x.shape))
    indices = [net.random.randrange(x.shape[axis]) for _ in range(net.random.randint(1, 6))]
    shape = _with(x.shape, axis, len(indices))
    return _move(net, x, "Gather", [net.ints(indices)], shape, axis=axis)


def tile(net: OnnxNet, x: Tensor) -> Tensor:
    repeats = [net.random.choice([1, 1, 2, 3]) for _ in x.shape]
    return _move(net, x, "Tile", [net.ints(repeats)], np.array(x.shape) * repeats)


def depth_to_space(net: OnnxNet, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    block = net.random.choice([b for b in (1, 2, 3) if c % (b * b) == 0])
    shape = (n, c // (block * block), h * block, w * block)
    mode = net.random.choice(["DCR", "CRD"])
    return _move(net, x, "DepthToSpace", [], shape, blocksize=block, mode=mode)


def space_to_depth(net: OnnxNet, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    block = net.random.choice([b for b in (1, 2, 3) if h % b == w % b == 0])
    shape = (n, c * block * block, h // block, w // block)
    return _move(net, x, "SpaceToDepth", [], shape, blocksize=block)


def resize(net: OnnxNet, x: Tensor) -> Tensor:
    size = [net.random.choice([n, 2 * n, net.random.randint(1, 14)]) for n in x.shape[2:]]
    shape = (*x.shape[:2], *size)
    kinds = ["half_pixel", "asymmetric", "align_corners"]
    attributes = {
        "mode": net.random.choice(["nearest", "linear"]),
        "nearest_mode": net.random.choice(["floor", "round_prefer_floor"]),
        "coordinate_transformation_mode": net.random.choice(kinds),
    }
    return _move(net, x, "Resize", ["", "", net.ints(shape)], shape, **attributes)


def _move(
    net: OnnxNet,
    x: Tensor,
    operator: str,
    constants: list[str],
    shape: Sequence[int],
    **attributes: Any,
) -> Tensor:
    return net.like(x, net.node(operator, [x.name, *constants], **attributes), shape)


def _with(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])
