"""`vq.concat`: NumPy's concatenation, as the interpreters compute it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.op import concat
from vq_cortexm.op.concat import ConcatAttrs

Run = Callable[..., npt.NDArray[Any]]


@pytest.mark.parametrize("run", [run_tflm, run_litert], ids=["tflm", "litert"])
@pytest.mark.parametrize("axis", range(4))
def test_equals_the_interpreters(run: Run, axis: int) -> None:
    rng = np.random.default_rng(axis)
    shapes = [tuple(n if i == axis else 3 for i in range(4)) for n in (2, 1, 4)]
    arrays = [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    shape = concat.output_shape(*shapes, ConcatAttrs(axis))
    builder = TfliteBuilder()
    inputs = [builder.tensor(s, 0.1, -7) for s in shapes]
    y = builder.tensor(shape, 0.1, -7)
    builder.add("CONCATENATION", inputs, [y], Axis=axis)
    got = concat.reference(*arrays, ConcatAttrs(axis))
    assert got.shape == shape
    np.testing.assert_array_equal(got, run(builder.build(inputs, [y]), *arrays))


def test_one_input_is_itself() -> None:
    x = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(concat.reference(x, ConcatAttrs(1)), x)


def test_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        ConcatAttrs(-1)
    for shapes in (((2, 3), (2, 4)), ((2, 3), (2, 3, 1)), ((), ())):
        with pytest.raises(ValueError, match="do not fit along axis 0"):
            concat.output_shape(*shapes, ConcatAttrs(0))
    a, b = np.zeros(2, np.int8), np.zeros(2, np.uint8)
    with pytest.raises(ValueError, match="int8 and uint8"):
        concat.reference(a, b, ConcatAttrs(0))
