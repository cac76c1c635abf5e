"""A `.tflite` flatbuffer as plain records: tensors with their data, operators with their options.

Nothing is interpreted here beyond the schema; `tflite.py` gives the operators their meaning.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray
from tflite.utils import opcode2name

from ..errors import ModelError

_DTYPES = {
    tflite.TensorType.FLOAT32: "float32",
    tflite.TensorType.INT8: "int8",
    tflite.TensorType.UINT8: "uint8",
    tflite.TensorType.INT16: "int16",
    tflite.TensorType.INT32: "int32",
    tflite.TensorType.INT64: "int64",
    tflite.TensorType.BOOL: "bool",
}
_IDENTIFIER = b"TFL3"
_INT4 = tflite.TensorType.INT4
_TYPE_NAMES = {code: kind.lower() for kind, code in vars(tflite.TensorType).items()}


@dataclass(frozen=True)
class Quantization:
    """real = scale * (q - zero_point); one entry, or one per index of `axis`."""

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor; `data` is None for one that is computed or fed."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: NDArray[Any] | None
    quantization: Quantization | None


@dataclass(frozen=True)
class TfliteOperator:
    """An operator: its builtin name, tensor indices (-1: absent) and raw option table."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True)
class TfliteGraph:
    """The only subgraph of a model; operators are in execution order."""

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def tensor_names(self) -> tuple[str, ...]:
        """A name for each tensor; with its index where the file's own is empty or not the only
        one."""
        count = Counter(tensor.name for tensor in self.tensors)
        return tuple(
            tensor.name if tensor.name and count[tensor.name] == 1 else f"{tensor.name}#{index}"
            for index, tensor in enumerate(self.tensors)
        )


def read_graph(source: bytes | Any, name: str) -> TfliteGraph:
    """The graph of a flatbuffer (bytes) or of a parsed `tflite.Model`.

    Raises ModelError, naming the file `name`, if it is no TFLite model, damaged, or has more than
    one subgraph (control flow).
    """
    if isinstance(source, bytes) and source[4:8] != _IDENTIFIER:
        raise ModelError(f"{name}: not a TFLite model (no {_IDENTIFIER.decode()} identifier)")
    try:
        model = tflite.Model.GetRootAsModel(source, 0) if isinstance(source, bytes) else source
        if model.SubgraphsLength() != 1:
            raise ModelError(
                f"{name}: has {model.SubgraphsLength()} subgraphs (control flow); one works"
            )
        graph = model.Subgraphs(0)
        tensors = tuple(_tensor(model, graph.Tensors(i)) for i in range(graph.TensorsLength()))
        operators = tuple(_operator(model, graph, i) for i in range(graph.OperatorsLength()))
        inputs = tuple(int(i) for i in graph.InputsAsNumpy())
        outputs = tuple(int(i) for i in graph.OutputsAsNumpy())
        _check_indices(len(tensors), operators, inputs + outputs)
    except ModelError as error:
        raise ModelError(str(error) if name in str(error) else f"{name}: {error}") from None
    except Exception as error:  # the flatbuffer reader raises whatever the bytes lead it to
        raise ModelError(
            f"{name}: the TFLite file is truncated or damaged ({type(error).__name__})"
        ) from error
    return TfliteGraph(tensors, operators, inputs, outputs)


def parse_options(operator: TfliteOperator, options_type: Any) -> Any:
    """The operator's option table as the schema class `options_type`; its defaults if absent."""
    options = options_type()
    if operator.options is None:
        raise ModelError(f"{operator.name} (operator {operator.index}): has no options")
    options.Init(operator.options.Bytes, operator.options.Pos)
    return options


def _tensor(model: Any, tensor: Any) -> TfliteTensor:
    name = (tensor.Name() or b"").decode("utf-8", "replace")
    code = tensor.Type()
    if tensor.Sparsity() is not None:
        raise ModelError(f"tensor {name!r} is stored sparse; dense weights work")
    if code not in (*_DTYPES, _INT4):
        kind = _TYPE_NAMES.get(code, f"number {code}")
        known = ", ".join(_DTYPES.values())
        raise ModelError(f"tensor {name!r} has the type {kind}; int4 weights, {known} work")
    shape = tuple(int(n) for n in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    if any(n < 1 for n in shape):
        raise ModelError(f"tensor {name!r} has the shape {shape}; static positive sizes work")
    data = None
    buffer = model.Buffers(tensor.Buffer())
    if buffer is not None and buffer.DataLength():
        data = _data(name, np.asarray(buffer.DataAsNumpy()), shape, code)
    elif code == _INT4:
        raise ModelError(f"tensor {name!r} is computed in int4; weights may be int4, others int8")
    dtype = _DTYPES.get(code, "int8")
    return TfliteTensor(name, shape, dtype, data, _quantization(tensor.Quantization()))


def _data(name: str, raw: NDArray[Any], shape: tuple[int, ...], code: int) -> NDArray[Any]:
    """A constant of its type; int4, two to a byte with the first in the low half, as int8."""
    count = math.prod(shape)
    if code == _INT4:
        size, dtype = (count + 1) // 2, "int4"
    else:
        dtype = _DTYPES[code]
        size = count * np.dtype(dtype).itemsize
    if raw.nbytes != size:
        raise ModelError(f"tensor {name!r}: {raw.nbytes} bytes of data for {dtype}{shape}")
    if code == _INT4:
        signed = raw.view(np.int8)
        halves = np.stack([signed << 4, signed], axis=-1) >> 4
        return halves.reshape(-1)[:count].reshape(shape)
    return raw.view(dtype).reshape(shape).copy()


def _quantization(params: Any) -> Quantization | None:
    if params is None or params.ScaleLength() == 0:
        return None
    scale = np.asarray(params.ScaleAsNumpy(), np.float32)
    zero_point = (
        np.asarray(params.ZeroPointAsNumpy(), np.int64)
        if params.ZeroPointLength()
        else np.zeros(scale.shape, np.int64)
    )
    return Quantization(scale, zero_point, int(params.QuantizedDimension()))


def _operator(model: Any, graph: Any, index: int) -> TfliteOperator:
    operator = graph.Operators(index)
    code = model.OperatorCodes(operator.OpcodeIndex())
    # files before schema 3a keep the code in a byte-sized field; later ones in the larger of both
    builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if builtin == tflite.BuiltinOperator.CUSTOM:
        name = f"custom operator {(code.CustomCode() or b'').decode('utf-8', 'replace')!r}"
    else:
        name = opcode2name(builtin)
    return TfliteOperator(
        index,
        name,
        tuple(int(i) for i in operator.InputsAsNumpy()) if operator.InputsLength() else (),
        tuple(int(i) for i in operator.OutputsAsNumpy()) if operator.OutputsLength() else (),
        operator.BuiltinOptions(),
    )


def _check_indices(
    count: int, operators: tuple[TfliteOperator, ...], borders: tuple[int, ...]
) -> None:
    used = [*borders, *(i for op in operators for i in (*op.inputs, *op.outputs) if i != -1)]
    if any(not 0 <= i < count for i in used):
        raise ModelError("an operator refers to a tensor that is not in the file")
