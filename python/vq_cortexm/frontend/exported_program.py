"""PyTorch → Relax QDQ: a PT2E-quantized `torch.export.ExportedProgram` by TVM's own importer.

PT2E marks what is quantized with operators of the library `quantized_decomposed`, which TVM's
importer does not know; the converters here make `relax.quantize` and `relax.dequantize` of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from ..c_names import c_identifier
from ..compat import Expr, IRModule, constant, constant_value, quiet, shape_of
from ..compat_importers import forget, import_exported_program
from ..errors import ModelError, UsageError, first_line

_DTYPES = {"torch.int8": "int8", "torch.uint8": "uint8", "torch.int16": "int16"}
_WIDE = "torch.int32"
"""Of biases, which are constants."""
_FORMS = ("default", "tensor")
"""Of those operators: scales are numbers, or tensors."""
_Converter = Callable[[Any, Any], Expr]
"""Of (node, importer), as TVM calls it."""
_ACTIVATIONS = {"relu", "relu_", "relu6", "relu6_", "hardtanh", "hardtanh_", "clamp", "clamp_min"}


def from_exported_program(program: Any, name: str = "exported program") -> IRModule:
    """Relax module (one function, `main`) of a `torch.export.ExportedProgram` whose module PT2E
    quantized (`convert_pt2e`): per tensor, weights also per channel, to int8, uint8 or int16.

    Shapes are static. The layouts are PyTorch's, NCHW; the build removes what transposes they
    need. Raises UsageError for anything else than an exported program, ModelError for operators
    and quantizations that are not supported, naming them.
    """
    if type(program).__name__ != "ExportedProgram":
        raise UsageError(
            f"{name}: a {type(program).__name__}; torch.export.export(module, inputs) works"
        )
    _check_shapes(program, name)
    quantizers = _quantizers(_tensors(program)).items()
    converters = {f"{kind}.{form}": made for kind, made in quantizers for form in _FORMS}
    converters["adaptive_avg_pool2d.default"] = _adaptive_avg_pool2d
    try:
        with quiet():
            return import_exported_program(program, converters)
    except Exception as error:  # TVM raises many types
        reason = str(error) if isinstance(error, ModelError) else first_line(error)
        forget(error)
        raise ModelError(f"{name}: cannot be imported: {reason}") from None


def _check_shapes(program: Any, name: str) -> None:
    for node in program.graph.find_nodes(op="placeholder"):
        shape = getattr(node.meta.get("val"), "shape", ())
        if not all(type(n) is int for n in shape):
            raise ModelError(
                f"{name}: input {node.name!r} has the open shape {tuple(map(str, shape))}; export "
                "the module without dynamic_shapes"
            )


def _tensors(program: Any) -> dict[str, NDArray[Any]]:
    """Weights and buffers by the names of the graph's placeholders."""
    known = {**program.state_dict, **program.constants}
    return {
        spec.arg.name: known[spec.target].detach().cpu().numpy()
        for spec in program.graph_signature.input_specs
        if spec.target in known
    }


def _quantizers(tensors: dict[str, NDArray[Any]]) -> dict[str, _Converter]:
    """Converters of `quantized_decomposed` by the operators' names."""

    def scales(node: Any, scale: Any, zero_point: Any) -> list[Expr]:
        ends = []
        for value, dtype in ((scale, np.float32), (zero_point, np.int32)):
            given = tensors.get(getattr(value, "name", ""), value)
            if not isinstance(given, (int, float, np.ndarray)):
                raise ModelError(
                    f"{node.name}: its scale is computed for each input; PT2E's static "
                    "quantization works"
                )
            flat = np.asarray(given, dtype)
            ends.append(constant(flat.reshape(()) if flat.size == 1 else flat))
        return ends

    def quantize_per_tensor(node: Any, importer: Any) -> Expr:
        x, scale, zero_point, low, high, dtype = node.args[:6]
        ends, kind = scales(node, scale, zero_point), _dtype(node, dtype)
        real, info = importer.env[x], np.iinfo(kind)
        # an input's integers come from the caller
        if (low, high) != (info.min, info.max) and x.op != "placeholder":
            step, zero = (float(constant_value(end).item()) for end in ends)
            bounds = ((n - zero) * step for n in (low, high))
            real = importer.block_builder.emit(relax.op.clip(real, *bounds))
        call = relax.op.quantize(real, *ends, out_dtype=kind)
        return importer.block_builder.emit(call, name_hint=_layer_name(x))

    def dequantize_per_tensor(node: Any, importer: Any) -> Expr:
        x, scale, zero_point, _low, _high, dtype = node.args[:6]
        _dtype(node, dtype, wide=True)
        call = relax.op.dequantize(importer.env[x], *scales(node, scale, zero_point))
        return importer.block_builder.emit(call)

    def dequantize_per_channel(node: Any, importer: Any) -> Expr:
        x, scale, zero_point, axis, _low, _high, dtype = node.args[:7]
        _dtype(node, dtype, wide=True)
        ends = scales(node, scale, zero_point)
        return importer.block_builder.emit(relax.op.dequantize(importer.env[x], *ends, axis=axis))

    return {
        "quantize_per_tensor": quantize_per_tensor,
        "dequantize_per_tensor": dequantize_per_tensor,
        "dequantize_per_channel": dequantize_per_channel,
    }


def _adaptive_avg_pool2d(node: Any, importer: Any) -> Expr:
    """A mean, or windows that do not overlap; TVM's own operator has no quantized form here."""
    x = importer.env[node.args[0]]
    height, width = shape_of(x)[-2:]
    asked = node.args[1] if isinstance(node.args[1], (list, tuple)) else [node.args[1]] * 2
    rows, columns = (own if n is None else n for n, own in zip(asked, (height, width), strict=True))
    if height % rows or width % columns:
        raise ModelError(
            f"{node.name}: windows of {height}x{width} to {rows}x{columns} differ in size; whole "
            "multiples work"
        )
    if (rows, columns) == (1, 1):
        return importer.block_builder.emit(relax.op.mean(x, [-2, -1], keepdims=True))
    size = (height // rows, width // columns)
    return importer.block_builder.emit(relax.op.nn.avg_pool2d(x, size, strides=size))


def _dtype(node: Any, dtype: Any, wide: bool = False) -> str:
    known = {**_DTYPES, _WIDE: "int32"} if wide else _DTYPES
    if str(dtype) not in known:
        raise ModelError(f"{node.name}: {dtype} is not supported; {', '.join(_DTYPES)} work")
    return known[str(dtype)]


def _layer_name(node: Any) -> str:
    """The node whose result a quantize ends: what an activation is part of, if anything. PyTorch
    numbers all but the first of a kind."""
    while _kind(node) in _ACTIVATIONS and not _kind(node.args[0]).startswith("dequantize"):
        node = node.args[0]
    numbered = re.fullmatch(r".*_\d+", node.name)
    return c_identifier(node.name if numbered else f"{node.name}_0", "layer")


def _kind(node: Any) -> str:
    """An operator without its form: "relu" of aten.relu.default."""
    return str(getattr(node.target, "__name__", node.target)).split(".")[0]
