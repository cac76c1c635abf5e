"""Small ONNX QDQ models written as text, and ONNX Runtime, which they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper, parser

import vq_cortexm
from vq_cortexm.frontend import from_onnx

SCALE, ZERO_POINT = 0.1, -7
Shapes = Mapping[str, tuple[int, ...]]


def qdq_model(
    body: str,
    inputs: Shapes,
    outputs: Shapes,
    constants: Mapping[str, NDArray[Any]] | None = None,
    scales: Mapping[str, tuple[float, int]] | None = None,
    opset: int = 18,
) -> onnx.ModelProto:
    """`body`, in ONNX's text form, between DequantizeLinear and QuantizeLinear: input `x` is the
    float `rx` in it, output `y` the float `ry`. All have one scale and zero point but for those
    in `scales`; what has an entry in `constants` is quantized int8 or plain."""
    given = {**dict.fromkeys([*inputs, *outputs], (SCALE, ZERO_POINT)), **(scales or {})}
    held = dict(constants or {})
    for name, (scale, zero_point) in given.items():
        held[f"s{name}"] = np.float32(scale)
        held[f"z{name}"] = np.int8(zero_point)
    before = [f"r{n} = DequantizeLinear({n}, s{n}, z{n})" for n in given if n not in outputs]
    after = [f"{n} = QuantizeLinear(r{n}, s{n}, z{n})" for n in outputs]
    text = f"""<ir_version: 8, opset_import: ["": {opset}]>
    net ({_declared(inputs)}) => ({_declared(outputs)}) {{
        {chr(10).join([*before, body, *after])}
    }}"""
    model = parser.parse_model(text)
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in held.items()]
    model.graph.initializer.extend(tensors)
    onnx.checker.check_model(model)
    return model


def _declared(shapes: Shapes) -> str:
    return ", ".join(f"int8[{','.join(map(str, shape))}] {name}" for name, shape in shapes.items())


def check_against_runtime(model: onnx.ModelProto, within: int = 0, rounding: Any = "float") -> Any:
    """The compiled model, whose outputs are ONNX Runtime's, or so many steps from it."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    rng = np.random.default_rng(0)
    sample = [rng.integers(-128, 128, x.shape).astype(np.int8) for x in session.get_inputs()]
    names = [x.name for x in session.get_inputs()]
    expected = session.run(None, dict(zip(names, sample, strict=True)))
    compiled = vq_cortexm.build(from_onnx(model), rounding=rounding)
    result = compiled.run([sample], "host", check=True, poison=True)
    assert result.bit_exact
    for i, (output, wanted) in enumerate(zip(result.outputs[0], expected, strict=True)):
        difference = np.abs(np.array(output).astype(int) - np.asarray(wanted).astype(int))
        assert difference.shape == np.asarray(wanted).shape
        assert difference.max() <= within, f"output {i}: {difference.max()} steps"
    return compiled
