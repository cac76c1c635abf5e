"""TFLite's operators that sum products, pooling and reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite as schema
from numpy.typing import NDArray
from tvm import relax

from ..compat import Expr, constant
from ..errors import ModelError
from .tflite_context import Converter, Importer, activate, dequantized, same_or_valid, where
from .tflite_file import Quantization, TfliteOperator, parse_options


def _conv(importer: Importer, operator: TfliteOperator, depthwise: bool) -> Expr:
    options = parse_options(
        operator, schema.DepthwiseConv2DOptions if depthwise else schema.Conv2DOptions
    )
    x, weight = importer.tensor(operator, 0), importer.tensor(operator, 1)
    if len(x.shape) != 4 or len(weight.shape) != 4 or weight.data is None:
        raise ModelError(f"{where(operator)}: needs a 4-D input and constant 4-D weights")
    stride = (options.StrideH(), options.StrideW())
    dilation = (options.DilationHFactor(), options.DilationWFactor())
    kernel_size = (weight.shape[1], weight.shape[2])
    padding = same_or_valid(options.Padding(), x.shape[1:3], kernel_size, stride, dilation)
    if depthwise:
        # (1, KH, KW, C * multiplier) → one input channel per output channel, OHWI
        data = weight.data.reshape(*kernel_size, -1).transpose(2, 0, 1)[..., None]
        quantization = weight.quantization
        if quantization is not None and quantization.scale.size > 1:
            quantization = Quantization(quantization.scale, quantization.zero_point, 0)
        groups = x.shape[3]
    else:
        data, quantization, groups = weight.data, weight.quantization, 1
        if x.shape[3] % weight.shape[3]:
            raise ModelError(
                f"{where(operator)}: {x.shape[3]} input channels do not divide into groups of "
                f"{weight.shape[3]}"
            )
        groups = x.shape[3] // weight.shape[3]
    kernel = _weights(importer, operator, data, quantization)
    value = relax.op.nn.conv2d(
        importer.real(operator, 0),
        kernel,
        strides=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        data_layout="NHWC",
        kernel_layout="OHWI",
    )
    value = _add_bias(importer, operator, value)
    return activate(importer, value, operator, options.FusedActivationFunction())


def _transpose_conv(importer: Importer, operator: TfliteOperator) -> Expr:
    """The output's size says how much is cut off, or added."""
    options = parse_options(operator, schema.TransposeConvOptions)
    weight, x = importer.tensor(operator, 1), importer.tensor(operator, 2)
    if len(x.shape) != 4 or len(weight.shape) != 4 or weight.data is None:
        raise ModelError(f"{where(operator)}: needs a 4-D input and constant 4-D weights")
    if weight.quantization is None:
        raise ModelError(f"{where(operator)}: its weights have no scale; quantize the model")
    strides = (options.StrideH(), options.StrideW())
    padding, added = [0, 0, 0, 0], [0, 0]
    for axis in range(2):
        given, kernel = x.shape[1 + axis], weight.shape[1 + axis]
        more = (given - 1) * strides[axis] + kernel - importer.result(operator).shape[1 + axis]
        before = max(more, 0) // 2 if options.Padding() == schema.Padding.SAME else 0
        padding[axis], padding[2 + axis] = before, max(more - before, 0)
        added[axis] = max(before - more, 0)
    # (O, KH, KW, I) → IOHW
    data, quantization = weight.data.transpose(3, 0, 1, 2), weight.quantization
    quantization = Quantization(quantization.scale, quantization.zero_point, 1)
    kernel_expr = importer.builder.emit(dequantized(constant(data), quantization))
    value = relax.op.nn.conv2d_transpose(
        importer.real(operator, 2),
        kernel_expr,
        strides=strides,
        padding=padding,
        output_padding=added,
        data_layout="NHWC",
        kernel_layout="IOHW",
    )
    value = _add_bias(importer, operator, value, 3)
    return activate(importer, value, operator, options.FusedActivationFunction())


def _weights(
    importer: Importer,
    operator: TfliteOperator,
    data: NDArray[Any],
    quantization: Quantization | None,
) -> Expr:
    """Constant weights as real numbers; ModelError for integers without a scale."""
    if quantization is not None:
        return importer.builder.emit(dequantized(constant(data), quantization))
    if data.dtype != np.float32:
        raise ModelError(f"{where(operator)}: its weights have no scale; quantize the model")
    return constant(data)


def _add_bias(importer: Importer, operator: TfliteOperator, value: Expr, position: int = 2) -> Expr:
    if not importer.has_input(operator, position):
        return value
    value = importer.builder.emit(value)
    return relax.op.add(value, importer.real(operator, position))


def _fully_connected(importer: Importer, operator: TfliteOperator) -> Expr:
    options = parse_options(operator, schema.FullyConnectedOptions)
    weight = importer.tensor(operator, 1)
    if weight.data is None or len(weight.shape) != 2:
        raise ModelError(f"{where(operator)}: needs constant 2-D weights")
    value = importer.real(operator, 0)
    shape = importer.tensor(operator, 0).shape
    if len(shape) != 2 and not options.KeepNumDims():
        value = importer.builder.emit(relax.op.reshape(value, (-1, weight.shape[1])))
    kernel = importer.builder.emit(relax.op.permute_dims(importer.real(operator, 1)))
    value = _add_bias(importer, operator, relax.op.matmul(value, kernel))
    return activate(importer, value, operator, options.FusedActivationFunction())


def _pool(importer: Importer, operator: TfliteOperator, average: bool) -> Expr:
    options = parse_options(operator, schema.Pool2DOptions)
    size = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    shape = importer.tensor(operator, 0).shape
    padding = same_or_valid(options.Padding(), (shape[1], shape[2]), size, stride)
    pool = relax.op.nn.avg_pool2d if average else relax.op.nn.max_pool2d
    keywords = {"count_include_pad": False} if average else {}
    value = pool(
        importer.real(operator, 0), size, strides=stride, padding=padding, layout="NHWC", **keywords
    )
    return activate(importer, value, operator, options.FusedActivationFunction())


_REDUCTIONS = {
    "MEAN": relax.op.mean,
    "REDUCE_MAX": relax.op.max,
    "REDUCE_MIN": relax.op.min,
    "SUM": relax.op.sum,
}


def _reduce(importer: Importer, operator: TfliteOperator) -> Expr:
    keep = bool(parse_options(operator, schema.ReducerOptions).KeepDims())
    axes = [int(a) for a in importer.constant_ints(operator, 1)]
    return _REDUCTIONS[operator.name](importer.real(operator, 0), axis=axes, keepdims=keep)


LAYERS: dict[str, Converter] = {
    "AVERAGE_POOL_2D": lambda importer, operator: _pool(importer, operator, average=True),
    "CONV_2D": lambda importer, operator: _conv(importer, operator, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda importer, operator: _conv(importer, operator, depthwise=True),
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": lambda importer, operator: _pool(importer, operator, average=False),
    "TRANSPOSE_CONV": _transpose_conv,
    **dict.fromkeys(_REDUCTIONS, _reduce),
}
