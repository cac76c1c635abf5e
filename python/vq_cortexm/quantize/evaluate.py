"""The float network on a batch, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..op.window import windows
from .graph import FloatArray, Node, Window

_CHUNK = 1 << 23
"""Numbers in one matrix of patches, at most (32 MB)."""


def evaluate(node: Node, inputs: Sequence[FloatArray]) -> FloatArray:
    """The node's result, clamped, for inputs (N, ...)."""
    value = _RULES[node.op](node, inputs)
    return np.clip(value, node.low, node.high) if node.has_clamp else value


def product(node: Node, x: FloatArray, weight: FloatArray, bias: FloatArray | None) -> FloatArray:
    """The convolution or dense layer with other weights than its own, before its clamp."""
    rows = weight.reshape(node.groups, weight.shape[0] // node.groups, -1).transpose(0, 2, 1)
    parts = [(columns @ rows).transpose(1, 0, 2) for columns in patches(node, x)]
    y = np.concatenate(parts).reshape(-1, weight.shape[0])
    if bias is not None:
        y += bias
    if node.window is None:
        return y
    height, width = _windows(x[:1, :1], node.window).shape[1:3]
    return y.reshape(len(x), height, width, -1).transpose(0, 3, 1, 2)


def patches(node: Node, x: FloatArray) -> Iterator[FloatArray]:
    """What a layer's outputs are products of, (groups, rows, K), some samples at a time.

    A row is an output's position, samples first; K runs as the weights of one output do.
    """
    if node.window is None:
        yield x[np.newaxis]
        return
    view = _windows(x, node.window)
    step = max(1, _CHUNK // int(np.prod(view.shape[1:])))
    for first in range(0, len(x), step):
        part = view[first : first + step]
        n, height, width, kh, kw, channels = part.shape
        split = part.reshape(n * height * width, kh * kw, node.groups, channels // node.groups)
        yield split.transpose(2, 0, 1, 3).reshape(node.groups, n * height * width, -1)


def _windows(x: FloatArray, window: Window, fill: float = 0.0) -> FloatArray:
    """(N, OH, OW, KH, KW, C) of x (N, C, H, W)."""
    padded = x.transpose(0, 2, 3, 1)
    if any(window.padding):
        top, left, bottom, right = window.padding
        widths = ((0, 0), (top, bottom), (left, right), (0, 0))
        padded = np.pad(padded, widths, constant_values=fill)
    return windows(padded, window.size, window.strides, window.dilation)


def _product(node: Node, inputs: Sequence[FloatArray]) -> FloatArray:
    assert node.weight is not None
    return product(node, inputs[0], node.weight, node.bias)


def _avg_pool(node: Node, inputs: Sequence[FloatArray]) -> FloatArray:
    """Padding is not counted."""
    assert node.window is not None
    total = _windows(inputs[0], node.window).sum(axis=(3, 4))
    count = _windows(np.ones_like(inputs[0][:1, :1]), node.window).sum(axis=(3, 4))
    return np.asarray((total / count).transpose(0, 3, 1, 2))


def _max_pool(node: Node, inputs: Sequence[FloatArray]) -> FloatArray:
    assert node.window is not None
    highest = _windows(inputs[0], node.window, -np.inf).max(axis=(3, 4))
    return np.asarray(highest.transpose(0, 3, 1, 2))


def _softmax(_node: Node, inputs: Sequence[FloatArray]) -> FloatArray:
    exponential = np.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
    return np.asarray(exponential / exponential.sum(axis=-1, keepdims=True))


def _pad(node: Node, inputs: Sequence[FloatArray]) -> FloatArray:
    top, left, bottom, right = node.numbers
    return np.pad(inputs[0], ((0, 0), (0, 0), (top, bottom), (left, right)))


_RULES: dict[str, Callable[[Node, Sequence[FloatArray]], FloatArray]] = {
    "conv": _product,
    "dense": _product,
    "add": lambda _node, inputs: inputs[0] + inputs[1],
    "avg_pool": _avg_pool,
    "max_pool": _max_pool,
    "mean": lambda _node, inputs: inputs[0].mean(axis=(2, 3), keepdims=True),
    "softmax": _softmax,
    "concat": lambda _node, inputs: np.concatenate(inputs, axis=1),
    "pad": _pad,
    "reshape": lambda node, inputs: inputs[0].reshape(len(inputs[0]), *node.numbers),
    "transpose": lambda node, inputs: inputs[0].transpose(node.numbers),
    "identity": lambda _node, inputs: inputs[0],
}
