"""The `vq.binary_*` operators against the 8-bit ones on the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.op import binary_conv2d, binary_max_pool2d, binary_pack, binary_unpack, conv2d
from vq_cortexm.op.binary_conv2d import BinaryConv2dAttrs
from vq_cortexm.op.binary_max_pool2d import BinaryMaxPool2dAttrs
from vq_cortexm.op.binary_unpack import BinaryUnpackAttrs
from vq_cortexm.op.bits import pack, unpack, words
from vq_cortexm.op.window import pad_spatial, windows


def signs(rng: np.random.Generator, *shape: int) -> Any:
    return (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)


@given(st.integers(1, 100), st.integers(0, 1 << 30))
def test_unpacking_undoes_packing(channels: int, seed: int) -> None:
    x = signs(np.random.default_rng(seed), 2, 3, channels)
    packed = binary_pack.reference(x, binary_pack.BinaryPackAttrs())
    assert packed.shape == (2, 3, words(channels))
    again = binary_unpack.reference(packed, BinaryUnpackAttrs(channels))
    np.testing.assert_array_equal(again, x)


def test_bits_lie_where_the_layout_says() -> None:
    x = np.full((1, 1, 1, 40), -1, np.int8)
    x[..., [0, 31, 33]] = 1
    # not negative is +1, also 0 and 127
    x[..., 1], x[..., 2] = 0, 127
    packed = binary_pack.reference(x, binary_pack.BinaryPackAttrs())
    assert packed.view(np.uint32).reshape(-1).tolist() == [0x80000007, 0x2]


@pytest.mark.parametrize("pad_value", [-1, 0, 1])
@pytest.mark.parametrize("channels", [5, 32, 70])
def test_sums_are_those_of_a_convolution(pad_value: int, channels: int) -> None:
    rng = np.random.default_rng(channels)
    x, w = signs(rng, 2, 6, 5, channels), signs(rng, 9, 3, 2, channels)
    padding = (1, 0, 2, 1)
    attrs = BinaryConv2dAttrs(channels, (2, 1), padding, pad_value, "int32")
    got = binary_conv2d.accumulate(pack(x > 0), pack(w > 0), attrs)
    view = windows(pad_spatial(x.astype(np.int64), padding, pad_value), (3, 2), (2, 1))
    expected = np.einsum("nhwklc,oklc->nhwo", view, w.astype(np.int64))
    np.testing.assert_array_equal(got, expected)


def test_a_tie_is_positive() -> None:
    x, w = np.ones((1, 1, 1, 4), np.int8), np.ones((3, 1, 1, 4), np.int8)
    attrs = BinaryConv2dAttrs(4, (1, 1), (0, 0, 0, 0), -1, "int32")
    threshold = np.array([4, 5, -9], np.int32)
    y = binary_conv2d.reference(pack(x > 0), pack(w > 0), threshold, attrs)
    np.testing.assert_array_equal(unpack(y, 3), [[[[1, -1, 1]]]])


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_eight_bits_equal_the_eight_bit_layer(rounding: str) -> None:
    rng = np.random.default_rng(3)
    x, w = signs(rng, 1, 5, 5, 33), signs(rng, 7, 3, 3, 33)
    bias = rng.integers(-20, 20, 7).astype(np.int32)
    scale = rng.uniform(0.01, 0.2, 7).astype(np.float32)
    grid = {"y_scale": 0.1, "y_zero_point": -7, "y_min": -100, "y_max": 90}
    binary = BinaryConv2dAttrs(
        33, (1, 1), (1, 1, 1, 1), 0, "int8", x_scale=0.5, rounding=rounding, **grid
    )
    plain = conv2d.Conv2dAttrs((1, 1), (1, 1, 1, 1), (1, 1), 1, 0.5, 0, **grid, rounding=rounding)
    got = binary_conv2d.reference(pack(x > 0), pack(w > 0), bias, scale, binary)
    np.testing.assert_array_equal(got, conv2d.reference(x, w, bias, scale, plain))


def test_pooling_is_an_or() -> None:
    rng = np.random.default_rng(4)
    x = signs(rng, 1, 5, 6, 40)
    attrs = BinaryMaxPool2dAttrs(40, (2, 3), (2, 1), (1, 0, 0, 2))
    got = unpack(binary_max_pool2d.reference(pack(x > 0), attrs), 40)
    view = windows(pad_spatial(x, attrs.padding, -1), (2, 3), (2, 1))
    np.testing.assert_array_equal(got, view.max(axis=(3, 4)))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="pad_value 2"):
        BinaryConv2dAttrs(4, (1, 1), (0, 0, 0, 0), 2, "int32")
    with pytest.raises(ValueError, match="padding"):
        BinaryMaxPool2dAttrs(4, (2, 2), (2, 2), (2, 0, 0, 0))
    with pytest.raises(ValueError, match="40 channels"):
        binary_conv2d.output_shape(
            (1, 4, 4, 1), (8, 3, 3, 2), BinaryConv2dAttrs(40, (1, 1), (0, 0, 0, 0), 1, "int32")
        )
    with pytest.raises(ValueError, match="must be int8"):
        binary_pack.reference(np.zeros((1, 2), np.uint8), binary_pack.BinaryPackAttrs())
