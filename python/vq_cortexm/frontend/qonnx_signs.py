"""Signs in a QONNX graph: what lies between a layer and its BipolarQuant, and what is written.

A sign is that of a whole number n: 2 n + 1, clipped to [-1, 1], is +1 where n >= 0, else -1. It is
written as a quantization of n, at scale 1, with scale 1/2 and zero point 1: exact in every
rounding. The sign of a pool's largest number is the largest sign; behind a factor below zero it is
the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from .qonnx_constants import Constants
from .qonnx_graph import SourceGraph, attributes, is_custom, where
from .qonnx_layers import Affine, affine_after
from .qonnx_target import Activation, TargetGraph
from .qonnx_values import Format, Quantizer


@dataclass(frozen=True, eq=False)
class Ending:
    """What follows a layer and joins it, up to the tensor `value`: an affine function for each
    channel and, where `sign` is a node, that quantizer to one bit and the MaxPool before it.

    `least` (O,) are the channels of which the pool chooses the smallest, by its number before the
    affine function; `joined` are the outputs of all that joins.
    """

    affine: Affine
    value: str
    joined: tuple[str, ...]
    sign: Any = None
    pool: Any = None
    least: npt.NDArray[np.bool_] | None = None


def layer_ending(
    source: SourceGraph, constants: Constants, value: str, affine: Affine, rank: int
) -> Ending:
    """The ending of a layer that gives `value`, of `rank` dimensions, and then `affine`."""
    affine, value, joined = _affine_run(source, constants, value, affine, rank)
    reader = source.only_reader(value)
    if reader is None or reader.op_type != "MaxPool" or len(reader.output) > 1:
        return Ending(affine, value, joined, _one_bit(constants, reader))
    same = Affine(np.ones_like(affine.gain), np.zeros_like(affine.gain))
    after, pooled, more = _affine_run(source, constants, reader.output[0], same, rank)
    sign = _one_bit(constants, source.only_reader(pooled))
    if sign is None:
        return Ending(affine, value, joined)
    joined = (*joined, reader.output[0], *more)
    both = affine.then(after.gain, after.offset)
    return Ending(both, value, joined, sign, reader, after.gain < 0)


def _affine_run(
    source: SourceGraph, constants: Constants, value: str, affine: Affine, rank: int
) -> tuple[Affine, str, tuple[str, ...]]:
    """`affine` and all that is affine behind `value`, the last tensor, and those in between."""
    joined: list[str] = []
    while (reader := source.only_reader(value)) is not None:
        after = affine_after(reader, affine, value, constants.value, rank)
        if after is None:
            break
        affine, value = after, reader.output[0]
        joined.append(value)
    return affine, value, tuple(joined)


def _one_bit(constants: Constants, node: Any) -> Any:
    """The node, if it is a quantizer to one bit with one scale."""
    if node is None or not is_custom(node) or node.op_type == "Trunc":
        return None
    return node if sign_format(constants.quantizer(node)) is not None else None


def sign_format(quantizer: Quantizer) -> Format | None:
    """The format of signs; None of another quantizer than one to one bit with one scale."""
    one_scale = quantizer.scale.size == 1 and not np.any(quantizer.zero_point)
    if not quantizer.is_bipolar or not one_scale:
        return None
    return Format(float(quantizer.scale.reshape(())), 0, -1, 1, "int8")


def write_sign(target: TargetGraph, real: str, format: Format, output: str = "") -> Activation:
    """The signs of whole numbers at scale 1."""
    doubled = replace(format, scale=0.5, zero_point=1)
    return target.quantize(real, format, output, written=doubled)


def write_sign_of(
    target: TargetGraph, x: Activation, format: Format, output: str = ""
) -> Activation:
    """The signs of an activation."""
    unscaled = target.dequantize(x.integer, replace(x.format, scale=1.0))
    return write_sign(target, unscaled.real, format, output)


def write_pooled_signs(
    target: TargetGraph, signs: Activation, pool: Any, least: npt.NDArray[np.bool_], output: str
) -> Activation:
    """A MaxPool of signs; of the channels `least` (O,) the smallest sign of each window."""
    if not least.any():
        pooled = target.copy(pool, [signs.real])
        moved = target.quantize(pooled, signs.format.unclipped, output)
        return replace(moved, format=signs.format)
    given = attributes(pool)
    automatic = given.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if any(given.get("pads", ())) or given.get("ceil_mode", 0) or automatic:
        raise ModelError(
            f"{where(pool)}: a batch norm behind it has factors below zero; a pool without "
            "padding works, or factors above zero"
        )
    # a window's sum of n signs is -n without a +1, and n without a -1
    size = tuple(given["kernel_shape"])
    reach = int(np.prod(size)) - 1
    ones = np.ones(len(least), np.float32)
    inputs = [
        target.dequantize(signs.integer, replace(signs.format, scale=1.0)).real,
        target.dequantized_constant(np.ones((len(least), 1, *size), np.int8), ones, "ones"),
        target.dequantized_constant(np.where(least, -reach, reach).astype(np.int32), ones, "reach"),
    ]
    strides, dilations = (given.get(name, [1, 1]) for name in ("strides", "dilations"))
    total = target.node(
        "Conv", inputs, "sum", group=len(least), strides=strides, dilations=dilations
    )
    return write_sign(target, total, signs.format, output)
