"""TFLite's operators that move values: compiled they equal TensorFlow Lite Micro and LiteRT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder
from tflite_layers import LITERT, TFLM, check_against

import vq_cortexm
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend.tflite import from_tflite

SHAPE = (2, 6, 4, 8)
SCALE, ZERO_POINT = 0.1, -7

# operator, integer constants behind the input, output shapes, options
Case = tuple[str, list[Any], list[tuple[int, ...]], dict[str, Any]]
SLICES: list[Case] = [
    ("SLICE", [[0, 1, 0, 2], [2, 3, -1, 5]], [(2, 3, 4, 5)], {}),
    ("STRIDED_SLICE", [[0, 1, 0, 6], [2, 6, 4, 1], [1, 2, 3, -2]], [(2, 3, 2, 3)], {}),
    (
        "STRIDED_SLICE",
        [[1, 9, -3, 1], [0, 9, 9, 2], [1, 1, 1, 1]],
        [(6, 3)],
        {"BeginMask": 2, "EndMask": 2, "ShrinkAxisMask": 9},
    ),
    ("SPLIT_V", [[1, -1, 3], [-1]], [(2, 6, 4, 1), (2, 6, 4, 4), (2, 6, 4, 3)], {"NumSplits": 3}),
    ("UNPACK", [], [(2, 4, 8)] * 6, {"Axis": 1, "Num": 6}),
]
MOVES: list[Case] = [
    ("RESHAPE", [[2, 3, 2, 4, 8]], [(2, 3, 2, 4, 8)], {}),
    ("TRANSPOSE", [[3, 1, 0, 2]], [(8, 6, 2, 4)], {}),
    ("EXPAND_DIMS", [[2]], [(2, 6, 1, 4, 8)], {}),
    ("SPACE_TO_DEPTH", [], [(2, 3, 2, 32)], {"BlockSize": 2}),
    ("DEPTH_TO_SPACE", [], [(2, 12, 8, 2)], {"BlockSize": 2}),
    ("MIRROR_PAD", [[[0, 0], [2, 1], [0, 3], [0, 0]]], [(2, 9, 7, 8)], {"Mode": "REFLECT"}),
    ("MIRROR_PAD", [[[0, 0], [6, 1], [1, 3], [0, 2]]], [(2, 13, 8, 10)], {"Mode": "SYMMETRIC"}),
    ("BATCH_TO_SPACE_ND", [[2, 1], [[1, 2], [0, 1]]], [(1, 9, 3, 8)], {}),
    ("SPACE_TO_BATCH_ND", [[2, 2], [[0, 0], [0, 0]]], [(8, 3, 2, 8)], {}),
    ("GATHER", [[0, 2, 4, 5, 4, 0]], [(2, 6, 4, 6)], {"Axis": 3}),
]
ONLY_LITERT: list[Case] = [
    # TensorFlow Lite Micro fills with the integer 0, not with the real one
    ("SPACE_TO_BATCH_ND", [[2, 3], [[0, 2], [1, 1]]], [(12, 4, 2, 8)], {}),
    ("STRIDED_SLICE", [[-1, 0], [0, 0], [-1, 2]], [(1, 3, 4, 8)], {"EndMask": 2}),
    ("TILE", [[1, 2, 1, 3]], [(2, 12, 4, 24)], {}),
    ("REVERSE_V2", [[2]], [SHAPE], {}),
]


def model_of(cases: list[Case]) -> bytes:
    """All cases side by side on one input."""
    builder = TfliteBuilder()
    x = builder.tensor(SHAPE, SCALE, ZERO_POINT)
    outputs: list[int] = []
    for name, constants, shapes, options in cases:
        given = [x, *(builder.constant(np.array(c, np.int32)) for c in constants)]
        made = [builder.tensor(shape, SCALE, ZERO_POINT) for shape in shapes]
        builder.add(name, given, made, **options)
        outputs += made
    return builder.build([x], outputs)


@pytest.mark.parametrize(
    ("cases", "back_end"),
    [
        (SLICES, TFLM),
        (SLICES, LITERT),
        (MOVES, TFLM),
        (MOVES + ONLY_LITERT, LITERT),
    ],
    ids=["slices-tflm", "slices-litert", "moves-tflm", "moves-litert"],
)
def test_moves_equal_the_interpreter(cases: list[Case], back_end: Any) -> None:
    check_against(model_of(cases), back_end, SHAPE)


@pytest.mark.parametrize("back_end", [TFLM, LITERT], ids=["tflm", "litert"])
def test_moves_of_other_signatures(back_end: Any) -> None:
    """SPLIT's axis comes first, PACK and CONCATENATION take several tensors and constants, SQUEEZE
    undoes what a sum of ones made, PADV2 fills with a number."""
    rng = np.random.default_rng(1)
    builder = TfliteBuilder()
    a, b = (builder.tensor((1, 4, 6), SCALE, ZERO_POINT) for _ in range(2))
    numbers = rng.integers(-128, 128, (1, 2, 6)).astype(np.int8)
    known = builder.constant(numbers, SCALE, zero_point=ZERO_POINT)
    halves = [builder.tensor((1, 4, 3), SCALE, ZERO_POINT) for _ in range(2)]
    packed = builder.tensor((1, 2, 4, 6), SCALE, ZERO_POINT)
    joined = builder.tensor((1, 8, 6), SCALE, ZERO_POINT)
    squeezed = builder.tensor((4, 6), SCALE, ZERO_POINT)
    filled = builder.tensor((1, 4, 7), SCALE, ZERO_POINT)
    value = builder.constant(np.array(55, np.int8), SCALE, zero_point=ZERO_POINT)
    widths = builder.constant(np.array([[0, 0], [0, 0], [1, 0]], np.int32))
    builder.add("SPLIT", [builder.constant(np.array(2, np.int32)), a], halves, NumSplits=2)
    builder.add("PACK", [a, b], [packed], Axis=1, ValuesCount=2)
    builder.add("CONCATENATION", [known, a, known], [joined], Axis=1)
    builder.add("SQUEEZE", [b], [squeezed], SqueezeDims=[0])
    builder.add("PADV2", [b, widths, value], [filled])
    model = builder.build([a, b], [*halves, packed, joined, squeezed, filled])
    check_against(model, back_end, (1, 4, 6), (1, 4, 6))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (("SLICE", [[0, 9, 0, 0], [1, 1, 1, 1]], [(1, 1, 1, 1)], {}), "takes nothing of axis 1"),
        (("GATHER", [[9]], [(2, 6, 4, 1)], {"Axis": 3}), "outside of an axis of 8"),
        (("TILE", [[99, 1, 1, 1]], [(198, 6, 4, 8)], {}), "at most 64"),
        (("UNPACK", [], [(2, 4, 8)] * 5, {"Axis": 1, "Num": 5}), "must have 6"),
    ],
)
def test_what_cannot_be_moved_is_refused(case: Case, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        vq_cortexm.build(from_tflite(model_of([case])))
    assert "\n" not in str(caught.value)
