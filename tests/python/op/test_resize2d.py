"""`vq.resize2d` against TensorFlow Lite Micro, LiteRT and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_layers import check_against_runtime, qdq_model
from tflite_builder import TfliteBuilder, litert_outputs, tflm_outputs
from tflite_layers import LITERT, TFLM, check_against

from vq_cortexm.op.resize2d import Resize2dAttrs, output_shape, reference

SHAPE = (2, 5, 4, 3)
SIZES = [(10, 8), (5, 4), (3, 2), (7, 9), (1, 1), (13, 5), (2, 11)]
MODES = {
    "asymmetric": {},
    "half_pixel": {"HalfPixelCenters": True},
    "align_corners": {"AlignCorners": True},
}


def resizes(
    operator: str, shape: tuple[int, ...], sizes: list[tuple[int, int]], mode: str
) -> bytes:
    """One layer for each size, side by side."""
    builder = TfliteBuilder()
    x = builder.tensor(shape, 0.1, -7)
    outputs = []
    for size in sizes:
        outputs.append(builder.tensor((shape[0], *size, shape[3]), 0.1, -7))
        given = builder.constant(np.array(size, np.int32))
        builder.add(operator, [x, given], [outputs[-1]], **MODES[mode])
    return builder.build([x], outputs)


def attributes(operator: str, size: tuple[int, int], mode: str, rounding: str) -> Resize2dAttrs:
    """Of the operator that a TFLite layer becomes."""
    if operator == "RESIZE_BILINEAR":
        return Resize2dAttrs(size, "linear", mode, rounding=rounding)
    nearest = "round_prefer_ceil" if mode == "align_corners" else "floor"
    named = {"half_pixel": "tf_half_pixel_for_nn"}.get(mode, mode)
    return Resize2dAttrs(size, "nearest", named, nearest, rounding)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("operator", ["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])
@pytest.mark.parametrize(
    ("rounding", "interpret"),
    [("double", tflm_outputs), ("float", litert_outputs)],
    ids=["tflm", "litert"],
)
def test_reference_equals_the_interpreter(
    operator: str, mode: str, rounding: str, interpret: Any
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        shape = (1, *(int(n) for n in rng.integers(1, 20, 2)), 2)
        size = (int(rng.integers(1, 40)), int(rng.integers(1, 40)))
        x = rng.integers(-128, 128, shape).astype(np.int8)
        (expected,) = interpret(resizes(operator, shape, [size], mode), x)
        attrs = attributes(operator, size, mode, rounding)
        assert output_shape(shape, attrs) == expected.shape
        np.testing.assert_array_equal(reference(x, attrs), expected, f"{shape} to {size}")


@pytest.mark.parametrize("operator", ["RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"])
@pytest.mark.parametrize("back_end", [TFLM, LITERT], ids=["tflm", "litert"])
def test_layers_equal_the_interpreter(operator: str, back_end: Any) -> None:
    check_against(resizes(operator, SHAPE, SIZES, "half_pixel"), back_end, SHAPE)


def test_layers_equal_onnx_runtime() -> None:
    modes = ["asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"]
    nearest = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
    lines, outputs = [], {}
    for i, mode in enumerate(modes):
        given = f'coordinate_transformation_mode = "{mode}"'
        for method, size in (("linear", "up"), ("nearest", "down"), ("nearest", "up")):
            name = f"y{len(outputs)}"
            outputs[name] = (1, 3, 11, 8) if size == "up" else (1, 3, 3, 2)
            how = f'mode = "{method}", nearest_mode = "{nearest[i]}"'
            lines.append(f"r{name} = Resize <{given}, {how}> (rx, , , {size})")
    constants = {"up": np.array([1, 3, 11, 8]), "down": np.array([1, 3, 3, 2])}
    model = qdq_model("\n".join(lines), {"x": (1, 3, 5, 4)}, outputs, constants, {"y0": (0.2, 9)})
    check_against_runtime(model, within=1)


def test_errors_are_one_line() -> None:
    for values, message in (
        (((0, 3), "linear", "half_pixel"), "at least 1"),
        (((2, 3), "cubic", "half_pixel"), "linear, nearest work"),
        (((2, 3), "linear", "tf_crop_and_resize"), "align_corners, asymmetric"),
    ):
        with pytest.raises(ValueError, match=message):
            Resize2dAttrs(*values)
