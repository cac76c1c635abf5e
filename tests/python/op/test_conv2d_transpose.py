"""`vq.conv2d_transpose` against TRANSPOSE_CONV of TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_builder import TfliteBuilder, run_litert, run_tflm
from tflite_layers import LITERT, TFLM, check_against

from vq_cortexm.op.conv2d_transpose import Conv2dTransposeAttrs, accumulate, macs, output_shape

# input, kernel (height, width, outputs), strides, padding, output's rows and columns, bias
CASES = [
    ((1, 5, 4, 6), (3, 3, 8), (2, 2), "SAME", (10, 8), True),
    ((2, 4, 5, 3), (2, 4, 5), (2, 2), "VALID", (8, 12), False),
    ((1, 6, 3, 9), (4, 1, 4), (1, 2), "SAME", (6, 6), True),
    ((1, 3, 3, 7), (2, 2, 2), (3, 3), "SAME", (9, 9), True),
    ((1, 4, 4, 5), (5, 3, 3), (1, 1), "VALID", (8, 6), False),
]


def transposed(case: Any, seed: int) -> bytes:
    """A model of one layer."""
    shape, kernel, strides, padding, extent, has_bias = case
    rng = np.random.default_rng(seed)
    *size, outputs = kernel
    x_scale = float(np.float32(rng.uniform(0.01, 0.1)))
    y_scale = float(np.float32(rng.uniform(0.02, 0.1)))
    taps = np.prod(size) * shape[3] / np.prod(strides)
    w_scale = (rng.uniform(0.3, 1.5, outputs) * y_scale / x_scale / np.sqrt(taps) / 70).astype("f4")
    builder = TfliteBuilder()
    x = builder.tensor(shape, x_scale, int(rng.integers(-128, 128)))
    weight = rng.integers(-127, 128, (outputs, *size, shape[3])).astype(np.int8)
    y_shape = (shape[0], *extent, outputs)
    y = builder.tensor(y_shape, y_scale, int(rng.integers(-40, 40)))
    inputs = [builder.constant(np.array(y_shape, np.int32)), builder.constant(weight, w_scale), x]
    if has_bias:
        bias = rng.integers(-2000, 2000, outputs).astype(np.int32)
        inputs.append(builder.constant(bias, w_scale * np.float32(x_scale)))
    options = {"StrideH": strides[0], "StrideW": strides[1], "Padding": padding}
    builder.add("TRANSPOSE_CONV", inputs, [y], **options)
    return builder.build([x], [y])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("back_end", [TFLM, LITERT], ids=["tflm", "litert"])
def test_layer_equals_the_interpreter(case: Any, back_end: Any) -> None:
    check_against(transposed(case, seed=1), back_end, case[0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_sums_are_those_of_a_convolution_over_a_spread_input(data: Any) -> None:
    """Zeros between the pixels and around them, and the kernel turned by 180 degrees."""
    draw = data.draw
    strides, kernel = ((draw(st.integers(1, n)), draw(st.integers(1, n))) for n in (3, 4))
    groups, depth, per_group = (draw(st.integers(1, n)) for n in (2, 3, 3))
    extent = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    padding = tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4))
    added = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    attrs = Conv2dTransposeAttrs(strides, padding, added, groups, 0.1, 3, 0.1, 0, -128, 127)
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    x = rng.integers(-128, 128, (1, *extent, groups * depth)).astype(np.int8)
    w = rng.integers(-127, 128, (groups * per_group, *kernel, depth)).astype(np.int8)
    bias = rng.integers(-99, 99, groups * per_group)
    try:
        shape = output_shape(x.shape, w.shape, attrs)
    except ValueError:
        return
    spread = np.zeros((40, 40, groups, depth), np.int64)
    centred = x[0].astype(np.int64).reshape(*extent, groups, depth) - 3
    rows, columns = (
        slice(10, 10 + (n - 1) * s + 1, s) for n, s in zip(extent, strides, strict=True)
    )
    spread[rows, columns] = centred
    turned = w[:, ::-1, ::-1].astype(np.int64).reshape(groups, per_group, *kernel, depth)
    expected = np.empty(shape, np.int64)
    for row, column in np.ndindex(*shape[1:3]):
        top, left = row + padding[0] + 11 - kernel[0], column + padding[1] + 11 - kernel[1]
        window = spread[top : top + kernel[0], left : left + kernel[1]]
        sums = np.einsum("hwgd,gohwd->go", window, turned).reshape(-1)
        expected[0, row, column] = bias + sums
    np.testing.assert_array_equal(accumulate(x, w, bias, attrs), expected)


def test_work_and_errors() -> None:
    attrs = Conv2dTransposeAttrs((2, 2), (1, 1, 1, 1), (0, 0), 1, 0.1, 0, 0.1, 0, -128, 127)
    assert output_shape((1, 4, 4, 8), (5, 3, 3, 8), attrs) == (1, 7, 7, 5)
    assert macs((1, 4, 4, 8), (5, 3, 3, 8), attrs) == 16 * 9 * 40
    with pytest.raises(ValueError, match="leaves nothing"):
        output_shape((1, 1, 1, 8), (5, 2, 2, 8), attrs)
    with pytest.raises(ValueError, match="do not fit"):
        output_shape((1, 4, 4, 8), (5, 3, 3, 7), attrs)
    with pytest.raises(ValueError, match="at least 1"):
        Conv2dTransposeAttrs((0, 2), (0, 0, 0, 0), (0, 0), 1, 0.1, 0, 0.1, 0, -128, 127)


def test_interpreters_differ() -> None:
    """So that each rounding has something of its own to be equal to."""
    model = transposed(CASES[0], seed=1)
    x = np.random.default_rng(0).integers(-128, 128, CASES[0][0]).astype(np.int8)
    assert np.any(run_tflm(model, x) != run_litert(model, x))
