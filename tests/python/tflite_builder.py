"""Small TensorFlow Lite models, built in memory, and the interpreters they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite
from ai_edge_litert.interpreter import Interpreter
from tflite_micro.python.tflite_micro import runtime

from vq_cortexm.op.quantization import quantize_bound

_TENSOR_TYPES = {
    "float32": tflite.TensorType.FLOAT32,
    "int32": tflite.TensorType.INT32,
    "int64": tflite.TensorType.INT64,
    "int16": tflite.TensorType.INT16,
    "uint8": tflite.TensorType.UINT8,
    "int8": tflite.TensorType.INT8,
    "int4": tflite.TensorType.INT4,
    "string": tflite.TensorType.STRING,
}
_SCHEMA_VERSION = 3
_BOUNDS = {
    "NONE": (-np.inf, np.inf),
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
_ARENA_SIZE = 1 << 20
# Operator versions only steer checks of the interpreters; this one exists for all of these.
_OPERATOR_VERSION = 1


def quantize_clamp(
    activation: str,
    scale: float,
    zero_point: int,
    dtype: str = "int8",
    rounding: str = "single",
) -> tuple[int, int]:
    """[y_min, y_max] of a fused activation."""
    lower, upper = _BOUNDS[activation]
    return (
        quantize_bound(lower, scale, zero_point, dtype, rounding),
        quantize_bound(upper, scale, zero_point, dtype, rounding),
    )


def same_padding(
    extent: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of padding SAME."""
    totals = []
    for n, k, s, d in zip(extent, kernel, strides, dilation, strict=True):
        totals.append(max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0))
    (height, width) = totals
    return height // 2, width // 2, height - height // 2, width - width // 2


def run_litert(model: bytes, *inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The first output of LiteRT with its default back end, XNNPACK."""
    return litert_outputs(model, *inputs)[0]


def litert_outputs(model: bytes, *inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """All of them."""
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    details = interpreter.get_output_details()
    return [np.array(interpreter.get_tensor(detail["index"])) for detail in details]


def run_tflm(model: bytes, *inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The first output of TensorFlow Lite Micro with its reference kernels."""
    return tflm_outputs(model, *inputs)[0]


def tflm_outputs(model: bytes, *inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """All of them."""
    count = tflite.Model.GetRootAsModel(model, 0).Subgraphs(0).OutputsLength()
    interpreter = runtime.Interpreter.from_bytes(model, arena_size=_ARENA_SIZE)
    for index, value in enumerate(inputs):
        interpreter.set_input(value, index)
    interpreter.invoke()
    return [np.array(interpreter.get_output(i)) for i in range(count)]


class TfliteBuilder:
    """Adds tensors and operators; `build` returns the file's bytes.

    A tensor is named by the number that `tensor` or `constant` returned.
    """

    def __init__(self) -> None:
        self._tensors: list[_Tensor] = []
        self._operators: list[_Operator] = []

    def tensor(
        self,
        shape: Sequence[int],
        scale: float | None = None,
        zero_point: int = 0,
        dtype: str = "int8",
    ) -> int:
        """An activation: shape, dtype and, unless scale is None, its quantization."""
        quantization = None if scale is None else _Quantization([scale], [zero_point], 0)
        self._tensors.append(_Tensor(tuple(shape), dtype, quantization, None))
        return len(self._tensors) - 1

    def constant(
        self,
        value: npt.NDArray[Any],
        scale: float | Sequence[float] | npt.NDArray[np.float32] | None = None,
        axis: int = 0,
        zero_point: int = 0,
    ) -> int:
        """Weights or parameters; several scales lie along `axis`. Values of the
        dtype int4 are packed."""
        quantization = None
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            quantization = _Quantization(scales, [zero_point] * len(scales), axis)
        data = _packed(value) if value.dtype.name == "int4" else value.tobytes()
        self._tensors.append(_Tensor(value.shape, value.dtype.name, quantization, data))
        return len(self._tensors) - 1

    def add(
        self, operator: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any
    ) -> None:
        """An operator by its schema name ("CONV_2D").

        Options are fields of the operator's option table by their schema name in CamelCase;
        strings name members of the enum of that field ("SAME", "RELU"), and sequences become
        vectors of int32.
        """
        self._operators.append(_Operator(operator, list(inputs), list(outputs), options))

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The model's file, with one subgraph."""
        fb = flatbuffers.Builder(1 << 16)
        buffers = [_buffer(fb, None), *(_buffer(fb, t.data) for t in self._tensors)]
        tensors = [self._tensor(fb, i, t) for i, t in enumerate(self._tensors)]
        names = sorted({o.name for o in self._operators})
        operators = [_operator(fb, o, names.index(o.name)) for o in self._operators]
        subgraph = self._subgraph(fb, tensors, operators, inputs, outputs)
        codes = [_operator_code(fb, name) for name in names]
        description = fb.CreateString("test")
        vectors = [_offsets(fb, v) for v in (codes, [subgraph], buffers)]
        tflite.ModelStart(fb)
        tflite.ModelAddVersion(fb, _SCHEMA_VERSION)
        tflite.ModelAddOperatorCodes(fb, vectors[0])
        tflite.ModelAddSubgraphs(fb, vectors[1])
        tflite.ModelAddDescription(fb, description)
        tflite.ModelAddBuffers(fb, vectors[2])
        fb.Finish(tflite.ModelEnd(fb), b"TFL3")
        return bytes(fb.Output())

    def _tensor(self, fb: Any, index: int, tensor: _Tensor) -> int:
        name = fb.CreateString(f"t{index}")
        shape = _int32s(fb, tensor.shape)
        quantization = _quantization(fb, tensor.quantization)
        tflite.TensorStart(fb)
        tflite.TensorAddShape(fb, shape)
        tflite.TensorAddType(fb, _TENSOR_TYPES[tensor.dtype])
        tflite.TensorAddBuffer(fb, index + 1)
        tflite.TensorAddName(fb, name)
        if quantization is not None:
            tflite.TensorAddQuantization(fb, quantization)
        return int(tflite.TensorEnd(fb))

    def _subgraph(
        self,
        fb: Any,
        tensors: list[int],
        operators: list[int],
        inputs: Sequence[int],
        outputs: Sequence[int],
    ) -> int:
        name = fb.CreateString("main")
        vectors = [_offsets(fb, tensors), _offsets(fb, operators)]
        ends = [_int32s(fb, inputs), _int32s(fb, outputs)]
        tflite.SubGraphStart(fb)
        tflite.SubGraphAddTensors(fb, vectors[0])
        tflite.SubGraphAddInputs(fb, ends[0])
        tflite.SubGraphAddOutputs(fb, ends[1])
        tflite.SubGraphAddOperators(fb, vectors[1])
        tflite.SubGraphAddName(fb, name)
        return int(tflite.SubGraphEnd(fb))


@dataclass(frozen=True)
class _Quantization:
    scales: list[float]
    zero_points: list[int]
    axis: int


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    dtype: str
    quantization: _Quantization | None
    data: bytes | None


@dataclass(frozen=True)
class _Operator:
    name: str
    inputs: list[int]
    outputs: list[int]
    options: dict[str, Any]


_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "SOFTMAX": "SoftmaxOptions",
    "RESHAPE": "ReshapeOptions",
    "PAD": "PadOptions",
    "MEAN": "ReducerOptions",
    "QUANTIZE": "QuantizeOptions",
    "TRANSPOSE": "TransposeOptions",
    "CONCATENATION": "ConcatenationOptions",
    "MUL": "MulOptions",
    "ABS": "AbsOptions",
    "EXP": "ExpOptions",
    "GELU": "GeluOptions",
    "HARD_SWISH": "HardSwishOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "NEG": "NegOptions",
    "SUB": "SubOptions",
    "BATCH_TO_SPACE_ND": "BatchToSpaceNDOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "EXPAND_DIMS": "ExpandDimsOptions",
    "GATHER": "GatherOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "PACK": "PackOptions",
    "PADV2": "PadV2Options",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "REVERSE_V2": "ReverseV2Options",
    "SLICE": "SliceOptions",
    "SPACE_TO_BATCH_ND": "SpaceToBatchNDOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "SPLIT": "SplitOptions",
    "SPLIT_V": "SplitVOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUM": "ReducerOptions",
    "TILE": "TileOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
    "UNPACK": "UnpackOptions",
}
_ENUMS = {
    "Padding": tflite.Padding,
    "FusedActivationFunction": tflite.ActivationFunctionType,
    "Mode": tflite.MirrorPadMode,
}


def _packed(value: npt.NDArray[Any]) -> bytes:
    """Two numbers to a byte, the first in its low half."""
    halves = np.zeros((value.size + 1) // 2 * 2, np.uint8)
    halves[: value.size] = value.reshape(-1).astype(np.int8).view(np.uint8) & 15
    return bytes(halves[::2] | halves[1::2] << 4)


def _buffer(fb: Any, data: bytes | None) -> int:
    vector = fb.CreateByteVector(data) if data else None
    tflite.BufferStart(fb)
    if vector is not None:
        tflite.BufferAddData(fb, vector)
    return int(tflite.BufferEnd(fb))


def _quantization(fb: Any, quantization: _Quantization | None) -> int | None:
    if quantization is None:
        return None
    scales = fb.CreateNumpyVector(np.asarray(quantization.scales, np.float32))
    zero_points = fb.CreateNumpyVector(np.asarray(quantization.zero_points, np.int64))
    tflite.QuantizationParametersStart(fb)
    tflite.QuantizationParametersAddScale(fb, scales)
    tflite.QuantizationParametersAddZeroPoint(fb, zero_points)
    tflite.QuantizationParametersAddQuantizedDimension(fb, quantization.axis)
    return int(tflite.QuantizationParametersEnd(fb))


def _operator_code(fb: Any, name: str) -> int:
    code = getattr(tflite.BuiltinOperator, name)
    tflite.OperatorCodeStart(fb)
    # readers take the larger of the two fields; the old one holds at most 127
    tflite.OperatorCodeAddDeprecatedBuiltinCode(fb, min(code, 127))
    tflite.OperatorCodeAddVersion(fb, _OPERATOR_VERSION)
    tflite.OperatorCodeAddBuiltinCode(fb, code)
    return int(tflite.OperatorCodeEnd(fb))


def _operator(fb: Any, operator: _Operator, code_index: int) -> int:
    table = _OPTIONS.get(operator.name)
    options = None if table is None else _options(fb, table, operator.options)
    inputs, outputs = _int32s(fb, operator.inputs), _int32s(fb, operator.outputs)
    tflite.OperatorStart(fb)
    tflite.OperatorAddOpcodeIndex(fb, code_index)
    tflite.OperatorAddInputs(fb, inputs)
    tflite.OperatorAddOutputs(fb, outputs)
    if table is not None:
        tflite.OperatorAddBuiltinOptionsType(fb, getattr(tflite.BuiltinOptions, table))
        tflite.OperatorAddBuiltinOptions(fb, options)
    return int(tflite.OperatorEnd(fb))


def _options(fb: Any, table: str, options: dict[str, Any]) -> int:
    fields: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, str):
            fields[name] = getattr(_ENUMS[name], value)
        elif isinstance(value, list | tuple):
            fields[name] = _int32s(fb, value)
        else:
            fields[name] = value
    getattr(tflite, f"{table}Start")(fb)
    for name, value in fields.items():
        getattr(tflite, f"{table}Add{name}")(fb, value)
    return int(getattr(tflite, f"{table}End")(fb))


def _int32s(fb: Any, values: Sequence[int]) -> int:
    return int(fb.CreateNumpyVector(np.asarray(list(values), np.int32)))


def _offsets(fb: Any, offsets: Sequence[int]) -> int:
    fb.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        fb.PrependUOffsetTRelative(offset)
    return int(fb.EndVector())
