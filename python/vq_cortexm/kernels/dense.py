"""`vq.dense`: a 1×1 convolution whose pixels are the rows of the batch."""

from __future__ import annotations

import math
from dataclasses import replace

from ..op.conv2d import Conv2dAttrs
from ..op.dense import DenseAttrs, constants
from ..op.rounding import RequantizeConstants
from .conv2d import convolve
from .layer import Kernel, Layer, TensorSpec


def dense(layer: Layer) -> Kernel:
    """Kernel of a `vq.dense` layer; constants: weights, bias, requantization."""
    return convolve(*as_pointwise(layer))


def as_pointwise(layer: Layer) -> tuple[Layer, RequantizeConstants]:
    """A `vq.dense` layer as a `vq.conv2d` layer, with dense's own requantization constants."""
    attrs: DenseAttrs = layer.attrs
    weight, bias, w_scale = layer.constants
    outputs, depth = weight.shape
    rows = math.prod(layer.inputs[0].shape) // depth
    as_conv = Conv2dAttrs(
        strides=(1, 1),
        padding=(0, 0, 0, 0),
        dilation=(1, 1),
        groups=1,
        x_scale=attrs.x_scale,
        x_zero_point=attrs.x_zero_point,
        y_scale=attrs.y_scale,
        y_zero_point=attrs.y_zero_point,
        y_min=attrs.y_min,
        y_max=attrs.y_max,
        rounding=attrs.rounding,
        y_dtype=attrs.y_dtype,
    )
    x = TensorSpec((1, 1, rows, depth), layer.inputs[0].dtype)
    y = TensorSpec((1, 1, rows, outputs), layer.output.dtype)
    kernel = weight.reshape(outputs, 1, 1, depth)
    as_layer = replace(
        layer,
        op="vq.conv2d",
        attrs=as_conv,
        inputs=(x,),
        constants=(kernel, bias, w_scale),
        output=y,
    )
    return as_layer, constants(w_scale, attrs)
