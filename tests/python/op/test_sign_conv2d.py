"""`vq.sign_conv2d` against a convolution written out."""

from __future__ import annotations

import numpy as np
import pytest

from vq_cortexm.op import sign_conv2d
from vq_cortexm.op.bits import unpack
from vq_cortexm.op.sign_conv2d import SignConv2dAttrs
from vq_cortexm.op.window import pad_spatial, windows


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_signs_are_those_of_sums_less_thresholds(dtype: str) -> None:
    rng = np.random.default_rng(1)
    info, zero_point, padding = np.iinfo(dtype), 17, (1, 0, 2, 1)
    x = rng.integers(info.min, info.max + 1, (2, 6, 5, 3)).astype(dtype)
    w = rng.integers(-128, 128, (40, 3, 2, 3)).astype(np.int8)
    threshold = rng.integers(-9000, 9000, 40).astype(np.int32)
    attrs = SignConv2dAttrs((2, 1), padding, zero_point)
    y = sign_conv2d.reference(x, w, threshold, attrs)
    assert y.shape == sign_conv2d.output_shape(x.shape, w.shape, attrs) == (2, 4, 5, 2)
    view = windows(pad_spatial(x.astype(np.int64) - zero_point, padding, 0), (3, 2), (2, 1))
    sums = np.einsum("nhwklc,oklc->nhwo", view, w.astype(np.int64))
    np.testing.assert_array_equal(unpack(y, 40), np.where(sums >= threshold, 1, -1))
    # nothing but zeros behind the last channel
    assert not np.any(y[..., 1].view(np.uint32) >> 8)


def test_a_tie_is_positive() -> None:
    x, w = np.full((1, 1, 1, 4), 3, np.int8), np.ones((3, 1, 1, 4), np.int8)
    attrs = SignConv2dAttrs((1, 1), (0, 0, 0, 0), 1)
    y = sign_conv2d.reference(x, w, np.array([8, 9, -(1 << 31)], np.int32), attrs)
    np.testing.assert_array_equal(unpack(y, 3), [[[[1, -1, 1]]]])


def test_bad_arguments_are_refused() -> None:
    x, w = np.zeros((1, 4, 4, 2), np.int8), np.zeros((3, 3, 3, 2), np.int8)
    attrs = SignConv2dAttrs((1, 1), (0, 0, 0, 0), 0)
    with pytest.raises(ValueError, match=r"thresholds \(2,\)"):
        sign_conv2d.reference(x, w, np.zeros(2, np.int32), attrs)
    with pytest.raises(ValueError, match="must be int8, uint8 or int16"):
        sign_conv2d.reference(x.astype(np.int32), w, np.zeros(3, np.int32), attrs)
    with pytest.raises(ValueError, match="do not fit"):
        sign_conv2d.output_shape((1, 4, 4, 3), w.shape, attrs)
