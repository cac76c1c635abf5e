"""CopyOutputs: every output of a model has bytes of its own."""

from __future__ import annotations

import numpy as np
from tflite_builder import TfliteBuilder
from tflite_layers import LITERT, check_against
from tvm import relax

from vq_cortexm.compat import tensor_type
from vq_cortexm.transform import CopyOutputs


def test_inputs_and_equal_outputs_are_copied() -> None:
    """A reshaped input, and a maximum in two shapes."""
    builder = TfliteBuilder()
    x = builder.tensor((1, 4, 6, 3), 0.1, -7)
    flat, largest, again = (
        builder.tensor(shape, 0.1, -7) for shape in [(1, 72), (1, 2, 3, 3), (6, 3)]
    )
    options = {"Padding": "VALID", **dict.fromkeys(["StrideH", "StrideW"], 2)}
    options |= dict.fromkeys(["FilterHeight", "FilterWidth"], 2)
    builder.add("RESHAPE", [x, builder.constant(np.array([1, 72], np.int32))], [flat])
    builder.add("MAX_POOL_2D", [x], [largest], **options)
    builder.add("RESHAPE", [largest, builder.constant(np.array([6, 3], np.int32))], [again])
    model = builder.build([x], [flat, largest, again])
    compiled = check_against(model, LITERT, (1, 4, 6, 3))
    steps = [step.op for step in compiled.program.steps]
    assert sorted(steps) == ["max_pool2d", "slice", "slice"]
    assert len({output.storage for output in compiled.program.outputs}) == 3


def test_other_modules_stay_as_they_are() -> None:
    builder = relax.BlockBuilder()
    x = relax.Var("x", tensor_type((1, 4), "int8"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(builder.emit(relax.op.negative(x)))
        builder.emit_func_output(y)
    module = builder.get()
    assert CopyOutputs()(module).same_as(module)
