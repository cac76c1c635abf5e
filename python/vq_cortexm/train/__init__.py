"""Quantization-aware training: a float PyTorch model becomes an n-ary one, by way of QONNX.

    from vq_cortexm.train import Samples, Schedule, export_qonnx, train_quantized

    quantized = train_quantized(net, Samples(x, y), bits=4, schedule=Schedule(epochs=5))
    export_qonnx(quantized, x[:1], "net.onnx")
    compiled = vq_cortexm.build(vq_cortexm.frontend.load("net.onnx"))

convert      float model → the same with Brevitas' quantizers (`quantizers`)
binary       layers of weights and inputs of one bit
boost        trains an 8-bit net that helps a binary one
loop         trains any of these, repeatably, with checkpoints
export       → QONNX, which the importer reads

Needs the extra `train`: pip install 'vq-cortexm[train]'.
"""

from __future__ import annotations

import warnings

try:
    with warnings.catch_warnings():
        # Brevitas tells of an optional package that nothing here uses, and of its own old names
        warnings.simplefilter("ignore")
        from .binary import BinaryConv2d, BinaryLinear, Sign
        from .boost import Boosted, Factors, set_factors, train_boosted
        from .convert import quantize_model
        from .export import export_qonnx
        from .loop import Augment, Samples, Schedule, accuracy, fit, logits
        from .session import train_quantized
except ModuleNotFoundError as error:
    raise ImportError(
        f"vq_cortexm.train needs {error.name}; pip install 'vq-cortexm[train]' works"
    ) from error

__all__ = [
    "Augment",
    "BinaryConv2d",
    "BinaryLinear",
    "Boosted",
    "Factors",
    "Samples",
    "Schedule",
    "Sign",
    "accuracy",
    "export_qonnx",
    "fit",
    "logits",
    "quantize_model",
    "set_factors",
    "train_boosted",
    "train_quantized",
]
