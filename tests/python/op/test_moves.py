"""The operators that only move values: `vq.pad`, `vq.reshape`, `vq.transpose`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.op import pad, reshape, transpose

X = np.random.default_rng(0).integers(-128, 128, (1, 3, 4, 5)).astype(np.int8)
Run = Callable[..., npt.NDArray[Any]]
BACK_ENDS = pytest.mark.parametrize("run", [run_tflm, run_litert], ids=["tflm", "litert"])


def _run(
    run: Run, operator: str, parameter: npt.NDArray[np.int32], y_shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    builder = TfliteBuilder()
    x = builder.tensor(X.shape, 0.1, -7)
    p = builder.constant(parameter)
    y = builder.tensor(y_shape, 0.1, -7)
    builder.add(operator, [x, p], [y])
    return run(builder.build([x], [y]), X)


@BACK_ENDS
def test_pad(run: Run) -> None:
    attrs = pad.PadAttrs((0, 0, 1, 2, 0, 3, 1, 0), -7)
    shape = pad.output_shape(X.shape, attrs)
    widths = np.array(attrs.pad_width, np.int32).reshape(4, 2)
    np.testing.assert_array_equal(pad.reference(X, attrs), _run(run, "PAD", widths, shape))


@BACK_ENDS
def test_reshape(run: Run) -> None:
    attrs = reshape.ReshapeAttrs((5, -1))
    assert reshape.output_shape(X.shape, attrs) == (5, 12)
    y = _run(run, "RESHAPE", np.array([5, 12], np.int32), (5, 12))
    np.testing.assert_array_equal(reshape.reference(X, attrs), y)


@BACK_ENDS
def test_transpose(run: Run) -> None:
    attrs = transpose.TransposeAttrs((0, 3, 1, 2))
    shape = transpose.output_shape(X.shape, attrs)
    y = _run(run, "TRANSPOSE", np.array(attrs.axes, np.int32), shape)
    np.testing.assert_array_equal(transpose.reference(X, attrs), y)


def test_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match="pairs"):
        pad.PadAttrs((1, 2, 3), 0)
    with pytest.raises(ValueError, match="do not fit a shape"):
        pad.output_shape((3, 4), pad.PadAttrs((1, 2), 0))
    with pytest.raises(ValueError, match="not an int8"):
        pad.reference(X, pad.PadAttrs((0,) * 8, 200))
    with pytest.raises(ValueError, match="at most one"):
        reshape.ReshapeAttrs((-1, -1))
    with pytest.raises(ValueError, match="elements"):
        reshape.output_shape((3, 4), reshape.ReshapeAttrs((5, -1)))
    with pytest.raises(ValueError, match="once"):
        transpose.TransposeAttrs((0, 0))
    with pytest.raises(ValueError, match="do not fit"):
        transpose.output_shape((1, 2, 3), transpose.TransposeAttrs((0, 1)))
