"""Modules of a single `vq.*` layer, for tests of kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from vq_cortexm.compat import constant, tensor_type
from vq_cortexm.op.registry import make_call


def one_layer_module(
    op: str,
    shape: tuple[int, ...],
    dtype: str,
    constants: Sequence[Any],
    attrs: Any,
    inputs: int = 1,
    others: Sequence[tuple[int, ...]] = (),
) -> Any:
    """A module of one layer `vq.<op>` called "layer", of `inputs` tensors of one shape, and then
    of `others` of theirs."""
    builder = relax.BlockBuilder()
    shapes = [*[shape] * inputs, *others]
    variables = [relax.Var(f"x{i}", tensor_type(each, dtype)) for i, each in enumerate(shapes)]
    with builder.function("main", variables):
        with builder.dataflow():
            arguments = [*variables, *map(constant, constants)]
            call = make_call(f"vq.{op}", arguments, attrs)
            output = builder.emit_output(builder.emit(call, name_hint="layer"))
        builder.emit_func_output(output)
    module = builder.get()
    rounding = getattr(attrs, "rounding", "single")
    described = {"inputs": [{}] * len(shapes), "outputs": [{}]}
    module["main"] = module["main"].with_attrs(
        {"vq.rounding": rounding, "vq.quantization": described}
    )
    return module


def routines(compiled: Any) -> list[str]:
    """The families of the generated routines that a compiled model calls."""
    kernels = compiled.program.micro_kernels.values()
    return sorted({kernel.family for each in kernels for kernel in each})
