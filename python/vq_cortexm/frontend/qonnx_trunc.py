"""Average pools before a Trunc: the sum of a window's integers, divided by a power of two.

The quotient of sum / 2**shift, rounded half to even, is an average pooling whose scales make up for
the division by the number of elements. Rounded down, it is a depthwise convolution with weights 4:
(4 * sum + 2 - 2**(shift + 1)) / 2**(shift + 2) is never a tie, so every rounding yields the floor
(`double` too, which rounds half of it first: the numerator is even).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ModelError
from .qonnx_constants import Constants
from .qonnx_graph import attributes, where
from .qonnx_target import Activation, TargetGraph
from .qonnx_values import EXACT_ROUNDINGS, Format, integer_range

_LARGEST_SHIFT = 24


@dataclass(frozen=True)
class Mean:
    """What a Trunc reads: the output of an average pool on `source`, of `shape` (N, C, H, W),
    times `factor`; `source` itself where there is no pool."""

    pool: Any
    source: Activation
    shape: tuple[int, ...] = ()
    factor: float = 1.0


@dataclass(frozen=True)
class Window:
    """A pool's window: rows and columns, attributes as ONNX names them."""

    size: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, ...]
    counts_pads: bool

    @property
    def area(self) -> int:
        """Elements of a window."""
        return self.size[0] * self.size[1]


_NO_WINDOW = Window((1, 1), (1, 1), (0, 0, 0, 0), True)


def pool_window(node: Any, shape: tuple[int, ...]) -> Window:
    """The window of an AveragePool or GlobalAveragePool on a tensor of `shape`, NCHW."""
    if node.op_type == "GlobalAveragePool":
        if len(shape) != 4 or not all(shape[2:]):
            raise ModelError(f"{where(node)}: the shape of its input is not known, or not 2-D")
        return Window((shape[2], shape[3]), (1, 1), (0, 0, 0, 0), True)
    given = attributes(node)
    if given.get("ceil_mode", 0) or given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise ModelError(f"{where(node)}: a Trunc after ceil_mode or auto_pad; pads work")
    rows, columns = given["kernel_shape"]
    return Window(
        (rows, columns),
        tuple(given.get("strides", (1, 1))),
        tuple(given.get("pads", (0, 0, 0, 0))),
        bool(given.get("count_include_pad", 0)),
    )


def mean_step(area: int, shift: int) -> float:
    """The input scale with which a mean, quantized with scale 1, is sum / 2**shift: float32(step)
    times float32(1 / area) is 2**-shift itself where such a number exists."""
    wanted, share = np.float32(2.0**-shift), np.float32(1) / np.float32(area)
    first = wanted / share
    steps = (first, np.nextafter(first, np.float32(0)), np.nextafter(first, np.float32(np.inf)))
    return float(next((step for step in steps if np.float32(step * share) == wanted), first))


def truncate(target: TargetGraph, constants: Constants, node: Any, mean: Mean) -> Activation:
    """Writes a Trunc with the pool before it.

    Version 1 (5 inputs) keeps the scale and clips nothing; version 2 has an `output_scale`.
    """
    x, pool = mean.source, mean.pool
    window = pool_window(pool, mean.shape) if pool is not None else _NO_WINDOW
    names = ["scale", "zero point", "input bit width", "output scale", "output bit width"]
    if len(node.input) == 5:
        names.remove("output scale")
    numbers = {
        name: float(constants.parameter(node, i, name).reshape(()))
        for i, name in enumerate(names, 1)
    }
    if numbers["zero point"] != 0 or x.format.zero_point != 0:
        raise ModelError(f"{where(node)}: a zero point other than 0; 0 works")
    scale, area = numbers["scale"], window.area
    if abs(x.format.scale * mean.factor / (area * scale) - 1) > 1e-3:
        raise ModelError(f"{where(node)}: its scale is not that of its input's integers")
    shift, format = _truncated(node, numbers, x.format.low * area, x.format.high * area)
    rounding = str(attributes(node).get("rounding_mode", "FLOOR")).upper()
    if rounding in EXACT_ROUNDINGS:
        step = replace(x.format, scale=mean_step(area, shift))
        real = target.dequantize(x.integer, step).real
        if pool is not None:
            real = target.copy(pool, [real])
    elif rounding == "FLOOR" and pool is not None:
        real = _floored_sum(target, node, x, window, mean.shape[1], shift)
    else:
        raise ModelError(
            f"{where(node)}: rounding mode {rounding}; ROUND works, and after a pool FLOOR"
        )
    return target.quantize(real, format, node.output[0], written=replace(format, scale=1.0))


def _truncated(
    node: Any, numbers: dict[str, float], lowest: int, highest: int
) -> tuple[int, Format]:
    """The shift, and the format of its result for integers from lowest to highest."""
    given, bits = attributes(node), int(numbers["output bit width"])
    if "output scale" in numbers:
        shift = round(math.log2(numbers["output scale"] / numbers["scale"]))
        low, high = integer_range(bits, bool(given.get("signed", 1)), bool(given.get("narrow", 0)))
    else:
        shift = int(numbers["input bit width"]) - bits
        low, high = lowest >> max(shift, 0), -(-highest >> max(shift, 0))
    if not (0 <= shift <= _LARGEST_SHIFT and low >= -128 and high <= (127 if low < 0 else 255)):
        raise ModelError(
            f"{where(node)}: {bits} bits after a shift by {shift}; at most 8 bits work, and a "
            f"shift from 0 to {_LARGEST_SHIFT}"
        )
    dtype = "int8" if high <= 127 else "uint8"
    return shift, Format(numbers.get("output scale", numbers["scale"]), 0, low, high, dtype)


def _floored_sum(
    target: TargetGraph, node: Any, x: Activation, window: Window, channels: int, shift: int
) -> str:
    """A real number that rounds to the sum over 2**shift, rounded down."""
    if any(window.pads) and not window.counts_pads:
        raise ModelError(f"{where(node)}: FLOOR after a pool that does not count its pads")
    step = np.full(channels, 2.0 ** -(shift + 2), np.float32)
    weight = np.full((channels, 1, *window.size), 4, np.int8)
    bias = np.full(channels, 2 - (2 << shift), np.int32)
    inputs = [
        target.dequantize(x.integer, replace(x.format, scale=1.0)).real,
        target.dequantized_constant(weight, step, "fours"),
        target.dequantized_constant(bias, step, "half"),
    ]
    return target.node(
        "Conv", inputs, "sum", group=channels, strides=window.strides, pads=window.pads
    )
