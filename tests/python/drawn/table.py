"""Every operator of every format that is drawn: a new one gets a drawer and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import onnx_elementwise as onnx_single
from . import onnx_layers as onnx
from . import onnx_moves
from . import tflite_elementwise as single
from . import tflite_layers as tflite
from . import tflite_moves as moves
from .draws import Tensor

_ANY = (2, 3, 4)
_BYTES = ("int8", "uint8")
_WIDE = ("int8", "int8", "int16")
_LITERT = ("double",)
"""Unknown to TensorFlow Lite Micro."""
_NOT_FOLLOWED = ("float",)
"""Where LiteRT's results depend on an element's position."""


@dataclass(frozen=True)
class Layer:
    """A drawer and what it takes. `steps`: by how many steps of the output's scale it may differ
    from ONNX Runtime, which computes some layers in float. `unknown_to`: roundings whose runtime
    lacks the operator, or is not followed."""

    draw: Callable[[Any, Tensor], Tensor]
    ranks: tuple[int, ...] = _ANY
    dtypes: tuple[str, ...] = ("int8",)
    steps: int = 0
    has_weights: bool = False
    unknown_to: tuple[str, ...] = ()


LAYERS: dict[str, dict[str, Layer]] = {
    "tflite": {
        "ABS": Layer(single.curve("ABS")),
        "ADD": Layer(single.binary("ADD"), dtypes=_WIDE),
        "AVERAGE_POOL_2D": Layer(tflite.average_pool_2d, (4,), dtypes=_WIDE),
        "BATCH_TO_SPACE_ND": Layer(moves.batch_to_space_nd, (4,)),
        "CONCATENATION": Layer(moves.concatenation, dtypes=_WIDE),
        "CONV_2D": Layer(tflite.conv_2d, (4,), has_weights=True, dtypes=_WIDE),
        "DEPTHWISE_CONV_2D": Layer(tflite.depthwise_conv_2d, (4,), has_weights=True, dtypes=_WIDE),
        "DEPTH_TO_SPACE": Layer(moves.depth_to_space, (4,)),
        "ELU": Layer(single.curve("ELU")),
        "EXP": Layer(single.curve("EXP"), unknown_to=_LITERT),
        "EXPAND_DIMS": Layer(moves.expand_dims),
        "FULLY_CONNECTED": Layer(tflite.fully_connected, (2, 4), has_weights=True, dtypes=_WIDE),
        "GATHER": Layer(moves.gather),
        "GELU": Layer(single.curve("GELU"), unknown_to=_LITERT),
        "HARD_SWISH": Layer(single.curve("HARD_SWISH")),
        "LEAKY_RELU": Layer(single.leaky_relu),
        "LOGISTIC": Layer(single.curve("LOGISTIC", (1 / 256, -128)), dtypes=_WIDE),
        "MAXIMUM": Layer(single.extremum("MAXIMUM")),
        "MAX_POOL_2D": Layer(tflite.max_pool_2d, (4,), dtypes=_WIDE),
        "MEAN": Layer(tflite.reduction("MEAN"), dtypes=_WIDE),
        "MINIMUM": Layer(single.extremum("MINIMUM")),
        "MIRROR_PAD": Layer(moves.mirror_pad),
        "MUL": Layer(single.binary("MUL"), dtypes=_WIDE),
        "PACK": Layer(moves.pack),
        "PAD": Layer(moves.pad, dtypes=_WIDE),
        "PADV2": Layer(moves.padv2),
        "PRELU": Layer(single.prelu, (4,)),
        "QUANTIZE": Layer(single.quantize, dtypes=_WIDE),
        "QUANTIZE to uint8": Layer(single.quantize_to_uint8, unknown_to=_NOT_FOLLOWED),
        "REDUCE_MAX": Layer(tflite.reduction("REDUCE_MAX")),
        "REDUCE_MIN": Layer(tflite.reduction("REDUCE_MIN"), unknown_to=_LITERT),
        "RELU": Layer(single.relu, dtypes=_WIDE),
        "RELU6": Layer(single.clamp("RELU6")),
        "RELU_N1_TO_1": Layer(single.clamp("RELU_N1_TO_1"), unknown_to=_LITERT),
        "RESHAPE": Layer(moves.reshape, dtypes=_WIDE),
        "RESIZE_BILINEAR": Layer(moves.resize("RESIZE_BILINEAR"), (4,)),
        "RESIZE_NEAREST_NEIGHBOR": Layer(moves.resize("RESIZE_NEAREST_NEIGHBOR"), (4,)),
        "REVERSE_V2": Layer(moves.reverse_v2, unknown_to=_LITERT),
        "SLICE": Layer(moves.slice_),
        "SOFTMAX": Layer(single.softmax, dtypes=_WIDE),
        "SPACE_TO_BATCH_ND": Layer(moves.space_to_batch_nd, (4,)),
        "SPACE_TO_DEPTH": Layer(moves.space_to_depth, (4,)),
        "SPLIT": Layer(moves.split),
        "SPLIT_V": Layer(moves.split_v),
        "SQUEEZE": Layer(moves.squeeze),
        "STRIDED_SLICE": Layer(moves.strided_slice),
        "SUB": Layer(single.binary("SUB")),
        "SUM": Layer(tflite.reduction("SUM")),
        "TANH": Layer(single.curve("TANH", (1 / 128, 0)), dtypes=_WIDE),
        "TILE": Layer(moves.tile, unknown_to=_LITERT),
        "TRANSPOSE": Layer(moves.transpose, dtypes=_WIDE),
        "TRANSPOSE_CONV": Layer(tflite.transpose_conv, (4,), has_weights=True),
        "UNPACK": Layer(moves.unpack),
    },
    "onnx": {
        "Add": Layer(onnx_single.binary("Add"), dtypes=_BYTES, steps=1),
        "AveragePool": Layer(onnx.average_pool, (4,), _BYTES, steps=1),
        "Clip": Layer(onnx_single.clip, dtypes=_BYTES, steps=1),
        "Concat": Layer(onnx_moves.concat, dtypes=_BYTES),
        "Conv": Layer(onnx.conv, (4,), _BYTES, has_weights=True),
        "ConvTranspose": Layer(onnx.conv_transpose, (4,), _BYTES, steps=1, has_weights=True),
        "DepthToSpace": Layer(onnx_moves.depth_to_space, (4,), _BYTES),
        "DequantizeLinear": Layer(onnx_single.requantize, dtypes=_BYTES, steps=1),
        "Flatten": Layer(onnx_moves.flatten, (4,), _BYTES),
        "Gather": Layer(onnx_moves.gather, dtypes=_BYTES),
        "Gemm": Layer(onnx.gemm, (2,), _BYTES, has_weights=True),
        "GlobalAveragePool": Layer(onnx.global_average_pool, (4,), _BYTES, steps=1),
        "GlobalMaxPool": Layer(onnx.global_max_pool, (4,), _BYTES),
        "HardSwish": Layer(onnx_single.curve("HardSwish"), dtypes=_BYTES, steps=1),
        "LeakyRelu": Layer(onnx_single.curve("LeakyRelu", alpha=0.1), dtypes=_BYTES, steps=1),
        "MatMul": Layer(onnx.matmul, (2,), _BYTES, has_weights=True),
        "Max": Layer(onnx_single.binary("Max"), dtypes=_BYTES),
        "MaxPool": Layer(onnx.max_pool, (4,), _BYTES),
        "Min": Layer(onnx_single.binary("Min"), dtypes=_BYTES),
        "Mul": Layer(onnx_single.binary("Mul"), dtypes=_BYTES, steps=1),
        "Pad": Layer(onnx_moves.pad, (4,), _BYTES),
        "ReduceMax": Layer(onnx.reduction("ReduceMax"), dtypes=_BYTES),
        "ReduceMean": Layer(onnx.reduction("ReduceMean"), dtypes=_BYTES, steps=1),
        "ReduceMin": Layer(onnx.reduction("ReduceMin"), dtypes=_BYTES),
        "Relu": Layer(onnx_single.curve("Relu"), dtypes=_BYTES, steps=1),
        "Reshape": Layer(onnx_moves.reshape, (4,), _BYTES),
        "Resize": Layer(onnx_moves.resize, (4,), _BYTES, steps=1),
        "Sigmoid": Layer(onnx_single.curve("Sigmoid", 0.0, 1.0), dtypes=_BYTES, steps=1),
        "Slice": Layer(onnx_moves.slice_, dtypes=_BYTES),
        "Softmax": Layer(onnx_single.softmax, dtypes=_BYTES, steps=1),
        "SpaceToDepth": Layer(onnx_moves.space_to_depth, (4,), _BYTES),
        "Split": Layer(onnx_moves.split, dtypes=_BYTES),
        "Squeeze": Layer(onnx_moves.squeeze, dtypes=_BYTES),
        "Sub": Layer(onnx_single.binary("Sub"), dtypes=_BYTES, steps=1),
        "Tanh": Layer(onnx_single.curve("Tanh", -1.0, 1.0), dtypes=_BYTES, steps=1),
        "Tile": Layer(onnx_moves.tile, dtypes=_BYTES),
        "Transpose": Layer(onnx_moves.transpose, dtypes=_BYTES),
        "Unsqueeze": Layer(onnx_moves.unsqueeze, dtypes=_BYTES),
    },
}
