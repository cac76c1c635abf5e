"""The operators that only move values: `vq.concat`, `vq.pad`, `vq.reshape`, `vq.slice`,
`vq.transpose`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.op import concat, pad, reshape, transpose
from vq_cortexm.op import slice as slice_op

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


@BACK_ENDS
@pytest.mark.parametrize("mode", ["reflect", "symmetric"])
def test_mirror_pad(run: Run, mode: str) -> None:
    attrs = pad.PadAttrs((0, 0, 2, 1, 0, 3, 0, 0), 0, mode)
    shape = pad.output_shape(X.shape, attrs)
    builder = TfliteBuilder()
    x, y = (builder.tensor(s, 0.1, -7) for s in (X.shape, shape))
    widths = builder.constant(np.array(attrs.pad_width, np.int32).reshape(4, 2))
    builder.add("MIRROR_PAD", [x, widths], [y], Mode=mode.upper())
    expected = run(builder.build([x], [y]), X)
    np.testing.assert_array_equal(pad.reference(X, attrs), expected)


def test_edge_pad_repeats_the_outermost_elements() -> None:
    attrs = pad.PadAttrs((0, 0, 0, 0, 0, 0, 1, 2), 0, "edge")
    padded = pad.reference(X, attrs)
    assert padded.shape == pad.output_shape(X.shape, attrs) == (1, 3, 4, 8)
    np.testing.assert_array_equal(padded[..., 0], X[..., 0])
    np.testing.assert_array_equal(padded[..., -1], X[..., -1])


def test_slice_takes_steps_in_either_direction() -> None:
    attrs = slice_op.SliceAttrs((0, 2, 1, 4), (1, -1, 2, -2), (1, 3, 2, 3))
    assert slice_op.output_shape(X.shape, attrs) == attrs.size
    np.testing.assert_array_equal(slice_op.reference(X, attrs), X[:, ::-1, 1::2, ::-2])


def test_concat_joins_in_its_order() -> None:
    attrs = concat.ConcatAttrs(1, (1, 0))
    joined = concat.reference(X, X[:, :1], attrs)
    assert joined.shape == concat.output_shape(X.shape, (1, 1, 4, 5), attrs)
    np.testing.assert_array_equal(joined, np.concatenate([X[:, :1], X], axis=1))


def test_errors_are_one_line() -> None:
    with pytest.raises(ValueError, match="mode 'wrap' must be one of"):
        pad.PadAttrs((0, 1), 0, "wrap")
    with pytest.raises(ValueError, match="exceed a shape"):
        pad.output_shape((3,), pad.PadAttrs((0, 3), 0, "reflect"))
    with pytest.raises(ValueError, match="leave an axis of 5"):
        slice_op.output_shape((5,), slice_op.SliceAttrs((1,), (2,), (3,)))
    with pytest.raises(ValueError, match="strides"):
        slice_op.SliceAttrs((1,), (0,), (3,))
    with pytest.raises(ValueError, match="each input once"):
        concat.ConcatAttrs(1, (1, 1))
    with pytest.raises(ValueError, match="does not fit 3 inputs"):
        concat.output_shape((1,), (2,), (3,), concat.ConcatAttrs(0, (1, 0)))
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
