"""What our front ends change of TVM's own importers, whose names move from release to release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from .c_names import c_identifier
from .compat import Expr, IRModule, constant_value, dtype_of, is_constant, quiet, shape_of


def forget(error: BaseException) -> None:
    """Lets go of what an importer's error holds, its builder, which complains when it goes."""
    with quiet():
        chain: BaseException | None = error
        while chain is not None:
            chain.__traceback__, chain = None, chain.__context__


@contextmanager
def onnx_as_operators() -> Iterator[dict[str, Expr]]:
    """Inside, TVM imports ONNX's Pad as `relax.nn.pad`, Tile as `relax.tile` and Clip between
    constants as `relax.clip`, else all as loop nests; Max, Min and Sum of tensors one after the
    other, else stacked; constant indices keep their signs; and what a
    QuantizeLinear gives is a variable, named as its node. Yields what is made of each tensor of
    the file, filled when the import is done."""
    tensors: dict[str, Expr] = {}
    tile, from_end = (
        onnx_frontend.Tile.__dict__["_impl_v13"],
        onnx_frontend._normalize_negative_indices,
    )
    pad, clip = onnx_frontend.Pad.__dict__["_lower_pad"], onnx_frontend.Clip.__dict__["_impl_v13"]
    several = onnx_frontend.MultiInputBase.__dict__["_impl_v1"]
    importer = onnx_frontend.ONNXGraphImporter
    convert, construct = importer._convert_operator, importer._construct_nodes

    def lower_pad(cls: Any, builder: Any, inputs: Any, attr: Any, params: Any, modes: Any) -> Expr:
        mode = {b"edge": "replicate"}.get(given := attr.get("mode", b"constant"), given.decode())
        if mode == "wrap":
            return pad.__func__(cls, builder, inputs, attr, params, modes)
        before, after, value = cls._parse_pads_and_axes(inputs, params)
        widths = [int(n) for pair in zip(before, after, strict=True) for n in pair]
        return relax.op.nn.pad(inputs[0], widths, mode, value)

    def lower_several(cls: Any, builder: Any, inputs: Any, attr: Any, params: Any) -> Expr:
        if cls.binary_op is None or all(map(is_constant, inputs)):
            return several.__func__(cls, builder, inputs, attr, params)
        return cls._impl_dynamic(builder, inputs)

    def lower_tile(cls: Any, builder: Any, inputs: Any, attr: Any, params: Any) -> Expr:
        repeats = onnx_frontend.get_constant(inputs[1], params)
        if not is_constant(repeats):
            return tile.__func__(cls, builder, inputs, attr, params)
        return relax.op.tile(inputs[0], constant_value(repeats).tolist())

    def as_they_are(builder: Any, indices: Any, extent: Any) -> Expr:
        return indices if is_constant(indices) else from_end(builder, indices, extent)

    def lower_clip(cls: Any, builder: Any, inputs: Any, attr: Any, params: Any) -> Expr:
        given = [onnx_frontend.get_constant(x, params) for x in (inputs[1], inputs[2])]
        if dtype_of(inputs[0]) != "float32" or any(x and not is_constant(x) for x in given):
            return clip.__func__(cls, builder, inputs, attr, params)
        ends = zip(given, (-np.inf, np.inf), strict=True)
        low, high = (constant_value(x) if x else end for x, end in ends)
        return relax.op.clip(inputs[0], float(low), float(high))

    def convert_operator(self: Any, op: str, inputs: Any, attr: Any, opset: int) -> Expr:
        _check_form(op, inputs, attr)
        result, name = convert(self, op, inputs, attr, opset), attr["tvm_custom"]["name"]
        if op != "QuantizeLinear":
            return result
        is_named = name and isinstance(name, str)  # bytes if damaged
        return self.bb.emit(result, name_hint=c_identifier(name, "layer") if is_named else "")

    def construct_nodes(self: Any, graph: Any) -> None:
        construct(self, graph)
        tensors.update(self._nodes)

    importer._convert_operator, importer._construct_nodes = convert_operator, construct_nodes
    onnx_frontend.Pad._lower_pad = classmethod(lower_pad)
    onnx_frontend.Clip._impl_v13 = classmethod(lower_clip)
    onnx_frontend.Tile._impl_v13 = classmethod(lower_tile)
    onnx_frontend.MultiInputBase._impl_v1 = classmethod(lower_several)
    onnx_frontend._normalize_negative_indices = as_they_are
    try:
        yield tensors
    finally:
        onnx_frontend.Pad._lower_pad, onnx_frontend.Clip._impl_v13 = pad, clip
        onnx_frontend.Tile._impl_v13 = tile
        onnx_frontend.MultiInputBase._impl_v1 = several
        onnx_frontend._normalize_negative_indices = from_end
        importer._convert_operator, importer._construct_nodes = convert, construct


def import_exported_program(program: Any, converters: dict[str, Any]) -> IRModule:
    """TVM's Relax module of a `torch.export.ExportedProgram`, with its operators as they are;
    `converters` has those that TVM does not know, by name, as functions of (node, importer)."""
    from tvm.relax.frontend.torch import from_exported_program  # needs torch

    return from_exported_program(
        program,
        unwrap_unit_return_tuple=True,
        custom_convert_map=converters,
        run_ep_decomposition=False,
    )


def _check_form(op: str, inputs: Any, attr: Any) -> None:
    """Raises ValueError for forms of ONNX's operators that TVM takes as others."""
    if op == "ConvTranspose" and "output_shape" in attr:
        raise ValueError("ConvTranspose with output_shape; pads and output_padding work")
    if op == "Resize" and len(inputs) > 2 and inputs[2] is not None and is_constant(inputs[2]):
        scales, shape = constant_value(inputs[2]), shape_of(inputs[0])
        if scales.size and np.any(np.abs(scales * shape - np.rint(scales * shape)) > 1e-3):
            raise ValueError(
                f"Resize of {list(shape)} by {scales.tolist()}, which gives no whole numbers; "
                "sizes work"
            )
