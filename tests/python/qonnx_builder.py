"""QONNX graphs in the form in which Brevitas 0.13 exports them, and their own execution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

DOMAIN = "qonnx.custom_op.general"


class QonnxNet:
    """A graph from one float input "x"; constants are initializers, weights' Quant on them."""

    def __init__(self, shape: Sequence[int], seed: int = 0, opset: int = 17) -> None:
        self.rng = np.random.default_rng(seed)
        self.shape, self.opset = list(shape), opset
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def node(
        self, operator: str, inputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> str:
        output = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                operator, list(inputs), [output], name=f"n_{output}", domain=domain, **attributes
            )
        )
        return output

    def quant(
        self,
        x: str,
        scale: Any,
        bits: float,
        signed: int = 1,
        narrow: int = 0,
        zero_point: Any = 0,
        rounding: str = "ROUND",
    ) -> str:
        inputs = [x, *map(self.constant, (scale, zero_point, bits))]
        attributes = {"signed": signed, "narrow": narrow, "rounding_mode": rounding}
        return self.node("Quant", inputs, DOMAIN, **attributes)

    def bipolar(self, x: str, scale: Any) -> str:
        return self.node("BipolarQuant", [x, self.constant(scale)], DOMAIN)

    def trunc(
        self, x: str, scale: float, bits: int, shift: int, out_bits: int, rounding: str, signed: int
    ) -> str:
        values = (scale, 0, bits, scale * 2**shift, out_bits)
        attributes = {"rounding_mode": rounding, "signed": signed, "narrow": 0}
        return self.node("Trunc", [x, *map(self.constant, values)], DOMAIN, **attributes)

    def scales(self, channels: int, powers: bool) -> npt.NDArray[np.float32]:
        """Scales of about 1/16, of powers of two or of any numbers."""
        if powers:
            return np.exp2(self.rng.integers(-5, -2, channels)).astype(np.float32)
        return self.rng.uniform(0.03, 0.12, channels).astype(np.float32)

    def weight(self, shape: tuple[int, ...], bits: int, powers: bool = True, axis: int = 0) -> str:
        """Quantized weights with a scale per output channel; of 1 bit bipolar."""
        view = [1] * len(shape)
        view[axis] = shape[axis]
        scale = self.scales(shape[axis], powers).reshape(view)
        reach = max(1, 2 ** (bits - 1) - 1)
        values = self.constant(self.rng.uniform(-1.2, 1.2, shape) * reach * scale)
        if bits == 1:
            return self.bipolar(values, scale)
        return self.quant(values, scale, bits, narrow=1)

    def bias(self, x_scale: float, w: str, channels: int) -> str:
        """A bias of 32 bits at the scale of the products."""
        quantizer = next(n for n in self.nodes if n.output[0] == w)
        (scale,) = (t for t in self.initializers if t.name == quantizer.input[1])
        scales = numpy_helper.to_array(scale).reshape(-1) * np.float32(x_scale)
        values = self.rng.integers(-60, 60, channels) * scales
        return self.quant(self.constant(values), scales, 32)

    def batch_norm(self, x: str, channels: int, powers: bool = False) -> str:
        rng = self.rng
        gamma = rng.uniform(0.3, 1.5, channels) * np.where(rng.random(channels) < 0.3, -1, 1)
        parameters = [gamma, rng.normal(0, 0.3, channels), rng.normal(0, 0.3, channels)]
        variance = rng.uniform(0.3, 2, channels)
        return self.node("BatchNormalization", [x, *map(self.constant, [*parameters, variance])])

    def model(self, *outputs: str, version: int = 2) -> onnx.ModelProto:
        """The model, with the version of QONNX's operators and all shapes."""
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, None) for y in outputs],
            self.initializers,
        )
        domains = sorted({node.domain for node in self.nodes if node.domain})
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(domain, version) for domain in domains]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return ModelWrapper(proto).transform(InferShapes()).model


def execute(proto: onnx.ModelProto, samples: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The float outputs of QONNX's executor, one after another, of the model's first output."""
    model = ModelWrapper(proto)
    (y, *_) = (value.name for value in model.graph.output)
    return np.stack([execute_onnx(model, {"x": x.astype(np.float32)})[y] for x in samples])
