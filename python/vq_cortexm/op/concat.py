"""`vq.concat`: tensors one after another along one axis.

The values are only moved: all inputs have the output's scale and zero point, as TensorFlow Lite
demands of int8. Inputs with others are requantized before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


def output_shape(*shapes_and_attrs: Any) -> tuple[int, ...]:
    """The inputs' shape with the sum of their lengths on the axis; ValueError where the inputs
    differ on another one."""
    *shapes, attrs = shapes_and_attrs
    axis = attrs.axis
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if attrs.order and len(attrs.order) != len(shapes):
        raise ValueError(f"concat: order {attrs.order} does not fit {len(shapes)} inputs")
    if len(others) != 1 or any(len(shape) <= axis for shape in shapes):
        raise ValueError(f"concat: shapes {shapes} do not fit along axis {axis}")
    length = sum(shape[axis] for shape in shapes)
    return (*shapes[0][:axis], length, *shapes[0][axis + 1 :])


def reference(*arrays_and_attrs: Any) -> npt.NDArray[Any]:
    """The inputs, of one dtype, along the axis in attrs.order; ValueError where dtypes differ."""
    *arrays, attrs = arrays_and_attrs
    output_shape(*(x.shape for x in arrays), attrs)
    dtypes = sorted({x.dtype.name for x in arrays})
    if len(dtypes) != 1:
        raise ValueError(f"concat: inputs are {' and '.join(dtypes)}, must be of one dtype")
    return np.concatenate([arrays[i] for i in in_order(len(arrays), attrs)], attrs.axis)


def in_order(count: int, attrs: ConcatAttrs) -> tuple[int, ...]:
    """Which of `count` inputs come one after another."""
    return attrs.order or tuple(range(count))


@dataclass(frozen=True)
class ConcatAttrs:
    """axis counts from the front, from 0. order[i] is the input that comes i-th along it, as they
    are given if it is empty: constants are given last."""

    axis: int
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.axis < 0:
            raise ValueError(f"concat: axis {self.axis} must be at least 0")
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"concat: order {self.order} must hold each input once")
