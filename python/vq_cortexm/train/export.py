"""A trained quantized model to a QONNX file."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from brevitas import nn as qnn
from brevitas.export import export_qonnx as brevitas_export
from torch import Tensor, nn

from ..errors import UsageError
from ..files import write_atomically
from .binary import BinaryConv2d, BinaryLinear, signs
from .compact import compact_weights

_OPSET = 17


def export_qonnx(model: nn.Module, x: Tensor, path: str | Path) -> None:
    """Writes a quantized or binary model for inputs of the shape of x (1, ...).

    Batch norms stay behind their convolutions: the importer folds them, in float64, and with
    factors below zero exactly too. Raises UsageError if the file cannot be written.
    """
    exported = copy.deepcopy(model).cpu().eval()
    for module in exported.modules():
        if isinstance(module, (qnn.QuantConv2d, qnn.QuantLinear)):
            # Quant nodes know bits only; weights on the grid keep their levels
            with torch.no_grad():
                module.weight.copy_(module.quant_weight().value)
        elif isinstance(module, (BinaryConv2d, BinaryLinear)):
            # in place of latent numbers
            with torch.no_grad():
                module.weight.copy_(signs(module.weight))
    with warnings.catch_warnings():
        # the exporter that Brevitas drives is one that PyTorch means to replace
        warnings.simplefilter("ignore")
        proto = brevitas_export(
            exported,
            args=x[:1],
            dynamo=False,
            opset_version=_OPSET,
            input_names=["x"],
            output_names=["y"],
        )
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constants]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    compact_weights(proto)
    try:
        write_atomically(Path(path), proto.SerializeToString(deterministic=True))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
