"""`export_int8`: the plain 8-bit model that computes what a virtually quantized build computes.

The source file keeps its graph, names and activations; the weights of convolutions and dense
layers, their scales and their biases become the virtual ones. What is written is read again and
must fold to the very constants of the build.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..compat import IRModule, op_name
from ..errors import ModelError, UsageError, naming
from ..files import write_atomically
from ..frontend import from_onnx, from_tflite
from ..op.registry import attributes
from ..transform.pipeline import layer_pipeline
from ..transform.rewriting import bindings_of
from ..transform.virtual_quantize import CHANNEL_AXES, layer_weights
from ..transform.vq_config import VirtualQuantizeConfig, requested_quantization
from .onnx_weights import replace_onnx_weights
from .product import Product
from .tflite_weights import replace_tflite_weights

_FORMATS: dict[str, tuple[Callable[..., IRModule], Callable[..., bytes]]] = {
    ".tflite": (from_tflite, replace_tflite_weights),
    ".onnx": (from_onnx, replace_onnx_weights),
}


def export_int8(
    model: str | Path,
    output: str | Path,
    *,
    bits: int | None = None,
    levels: int | None = None,
    vq: VirtualQuantizeConfig | str | Path | None = None,
) -> Path:
    """Writes the plain 8-bit equivalent of `build(load(model), bits=…, levels=…, vq=…)`.

    `output` has the ending of `model`. Raises UsageError for bad options, ModelError for a model
    that is not supported or whose format cannot say what would have to change.
    """
    model, output = Path(model), Path(output)
    config = requested_quantization(bits, levels, vq) or VirtualQuantizeConfig()
    if model.suffix not in _FORMATS or not model.is_file():
        raise ModelError(f"{model}: export-int8 needs the model itself: {' or '.join(_FORMATS)}")
    if output.suffix != model.suffix:
        raise UsageError(f"{output}: the equivalent of a {model.suffix} file is a {model.suffix}")
    read, replace = _FORMATS[model.suffix]
    with naming(model):
        module, data = read(model), model.read_bytes()
        before = _products(layer_pipeline()(module))
        after = _products(layer_pipeline(quantization=config)(module))
    changed = [None if old.equals(new) else new for old, new in zip(before, after, strict=True)]
    if any(changed):
        data = replace(data, changed, model.name)
        written = _products(layer_pipeline()(read(data)))
        for product, again in zip(after, written, strict=True):
            if not product.equals(again):
                raise ModelError(f"{model}: layer {product.layer} cannot be expressed in the file")
    try:
        write_atomically(output, data)
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    return output


def _products(module: IRModule) -> list[Product]:
    """The convolutions and dense layers of a folded module, in order."""
    return [
        _product(str(var.name), call)
        for var, call in bindings_of(module["main"])
        if op_name(call) in CHANNEL_AXES
    ]


def _product(layer: str, call: Any) -> Product:
    x_scale = np.float32(attributes(call).x_scale)
    return Product(layer, op_name(call), layer_weights(call), x_scale)
