"""Other weights for a TFLite file, everything else left as it is, byte for byte.

Weights and biases keep their sizes and are written over the old. Scales may grow from one to one a
channel: a table of them is put behind the file, and the tensor's offset, which in a flatbuffer
always points forward, is made to point to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
import tflite
from numpy.typing import NDArray

from ..errors import ModelError
from ..frontend.tflite_file import TfliteOperator, read_graph
from .product import Product

_PRODUCTS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_ALIGNMENT = 16
_BUFFER_DATA = 4
_TENSOR_QUANTIZATION = 12
"""Places of fields in the tables' directories (vtables), by the schema."""


def replace_tflite_weights(data: bytes, products: Sequence[Product | None], name: str) -> bytes:
    """The file with the constants of `products`: one for each convolution or dense operator, in
    order; None for one that stays. ModelError, naming the file, where tensors share what would
    have to differ."""
    graph = read_graph(data, name)
    patch = _Patch(data, name)
    operators = [o for o in graph.operators if o.name in _PRODUCTS]
    for operator, product in zip(operators, products, strict=True):
        if product is None:
            continue
        weight, bias = operator.inputs[1], (*operator.inputs, -1)[2]
        if graph.tensors[weight].dtype != "int8":
            raise ModelError(f"{name}: layer {product.layer}: only int8 weights have many scales")
        axis = 3 if operator.name == "DEPTHWISE_CONV_2D" else 0
        patch.write(weight, _stored(operator, product), product.weights.w_scale, axis)
        if bias != -1:
            patch.write(bias, product.weights.bias, product.bias_scale, 0)
    return patch.finish()


def _stored(operator: TfliteOperator, product: Product) -> NDArray[np.int8]:
    """Weights as the operator has them."""
    if operator.name == "DEPTHWISE_CONV_2D":
        return product.ohwi[..., 0].transpose(1, 2, 0)
    return product.ohwi


class _Patch:
    """A flatbuffer whose tensors get other contents and scales."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.data = bytearray(data)
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.tensors: dict[int, bytes] = {}
        self.scales: dict[int, bytes] = {}

    def write(
        self, tensor: int, value: NDArray[np.generic], scale: NDArray[np.float32], axis: int
    ) -> None:
        """Notes what a tensor will hold; `scale` along `axis`."""
        per_tensor = self.graph.Tensors(tensor).Quantization().ScaleLength() == 1
        scales = scale[:1] if per_tensor and np.all(scale == scale[0]) else scale
        content, parameters = value.tobytes(), _quantization(scales, axis)
        for notes, new in ((self.tensors, content), (self.scales, parameters)):
            if notes.setdefault(tensor, new) != new:
                raise ModelError(f"{self.name}: layers share the tensor {self._label(tensor)}")

    def finish(self) -> bytes:
        """The file with all that was noted."""
        for tensor, content in self.tensors.items():
            self._overwrite(tensor, content)
        for tensor, parameters in self.scales.items():
            self._point_to(tensor, parameters)
        return bytes(self.data)

    def _overwrite(self, tensor: int, content: bytes) -> None:
        number = self.graph.Tensors(tensor).Buffer()
        table = self.model.Buffers(number)._tab
        start = table.Vector(table.Offset(_BUFFER_DATA))
        old = bytes(table.Bytes[start : start + len(content)])
        for other in range(self.graph.TensorsLength()):
            shares = self.graph.Tensors(other).Buffer() == number
            if shares and self.tensors.get(other, old) != content:
                labels = f"{self._label(tensor)} and {self._label(other)}"
                raise ModelError(f"{self.name}: the tensors {labels} share their data")
        self.data[start : start + len(content)] = content

    def _point_to(self, tensor: int, parameters: bytes) -> None:
        table = self.graph.Tensors(tensor)._tab
        field = table.Pos + table.Offset(_TENSOR_QUANTIZATION)
        self.data += bytes(-len(self.data) % _ALIGNMENT)
        root = len(self.data) + int.from_bytes(parameters[:4], "little")
        self.data += parameters
        self.data[field : field + 4] = (root - field).to_bytes(4, "little")

    def _label(self, tensor: int) -> str:
        return repr((self.graph.Tensors(tensor).Name() or b"").decode("utf-8", "replace"))


def _quantization(scale: NDArray[np.float32], axis: int) -> bytes:
    """A flatbuffer whose root are quantization parameters with zero points of 0."""
    builder = flatbuffers.Builder()
    scales = builder.CreateNumpyVector(scale)
    zero_points = builder.CreateNumpyVector(np.zeros(scale.shape, np.int64))
    tflite.QuantizationParametersStart(builder)
    tflite.QuantizationParametersAddScale(builder, scales)
    tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
    tflite.QuantizationParametersAddQuantizedDimension(builder, axis)
    builder.Finish(tflite.QuantizationParametersEnd(builder))
    return bytes(builder.Output())
