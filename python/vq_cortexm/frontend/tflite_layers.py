"""TFLite's operators that sum products, and pooling."""

from __future__ import annotations

from collections.abc import Callable

import tflite as schema
from tvm import relax

from ..compat import Expr, constant
from ..errors import ModelError
from .tflite_context import Importer, activate, dequantized, same_or_valid, where
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
    if quantization is None:
        raise ModelError(f"{where(operator)}: its weights have no scale; quantize the model")
    kernel = importer.builder.emit(dequantized(constant(data), quantization))
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


def _add_bias(importer: Importer, operator: TfliteOperator, value: Expr) -> Expr:
    if not importer.has_input(operator, 2):
        return value
    value = importer.builder.emit(value)
    return relax.op.add(value, importer.real(operator, 2))


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


LAYERS: dict[str, Callable[[Importer, TfliteOperator], Expr]] = {
    "AVERAGE_POOL_2D": lambda importer, operator: _pool(importer, operator, average=True),
    "CONV_2D": lambda importer, operator: _conv(importer, operator, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda importer, operator: _conv(importer, operator, depthwise=True),
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": lambda importer, operator: _pool(importer, operator, average=False),
}
