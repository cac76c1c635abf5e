"""QUANTIZE and RELU of 8 bits as LiteRT computes them: not as ONNX Runtime, nor as each other.

Within one type QUANTIZE is XNNPACK's. RELU, and QUANTIZE to another type, are TensorFlow Lite's own
`double`; of the latter LiteRT's vector instructions round halves of negative numbers upwards, in as
many elements as fill a register, which is not followed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..compat import Expr
from ..op.lookup import BYTE_DTYPES
from ..op.quantization import dtype_range
from ..op.tables_tflite import rescaled_xnnpack
from .qdq_context import Folder, LayerContext, QuantParams
from .qdq_moves import rescaled
from .qdq_tables import emit_table


def rescaled_as_litert(
    folder: Folder, x: Expr, params: QuantParams, context: LayerContext, clips: bool
) -> Expr:
    """`x` with the layer's own parameters; it `clips` where an activation is in between."""
    if not {params.dtype, context.y.dtype} <= set(BYTE_DTYPES):
        return rescaled(folder, x, params, context)
    of_tflite = replace(context, rounding="double")
    if clips or params.dtype != context.y.dtype or params == context.y:
        return rescaled(folder, x, params, of_tflite)
    lowest, highest = dtype_range(params.dtype)
    centred = np.arange(lowest, highest + 1) - params.zero_point
    scaled = rescaled_xnnpack(centred, np.float32(params.scale), np.float32(context.y.scale))
    if scaled is None:
        return rescaled(folder, x, params, of_tflite)
    entries = np.clip(scaled + context.y.zero_point, context.y_min, context.y_max)
    return emit_table(folder, x, entries.astype(context.y.dtype), context)
