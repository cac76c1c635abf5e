"""Which layer's generated code differs from the reference: the model is cut behind layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relax

from ..build import build_folded
from ..compat import Expr, IRModule, dtype_of, kept_attrs, main_function, op_name
from ..op.quantization import ACTIVATION_DTYPES
from ..reference import run_reference
from ..samples import Sample
from ..target import Board
from ..transform.copy_outputs import CopyOutputs
from ..transform.rewriting import bindings_of


def first_wrong_layer(
    folded: IRModule, target: str, board: Board, samples: Sequence[Sample], timeout_seconds: float
) -> str | None:
    """The name of the first layer of a folded module whose bytes on `board` are not the
    reference's, None if each is right when it is the last. Takes the logarithm of the number of
    layers in builds: what is behind a wrong layer is taken to be wrong too."""
    bindings = bindings_of(folded["main"])
    ends = [i for i, (var, value) in enumerate(bindings) if _is_layer(var, value)]

    def is_wrong(end: int) -> bool:
        cut = _cut(folded, bindings[: end + 1])
        compiled = build_folded(cut, target, name="cut")
        result = compiled.run(samples, board, timeout_seconds=timeout_seconds)
        want = [run_reference(compiled.module, sample) for sample in samples]
        pairs = zip(result.outputs, want, strict=True)
        return any(not np.array_equal(got[0], own[0]) for got, own in pairs)

    low, high = 0, len(ends)
    while low < high:
        middle = (low + high) // 2
        if is_wrong(ends[middle]):
            high = middle
        else:
            low = middle + 1
    return None if low == len(ends) else str(bindings[ends[low]][0].name)


def _is_layer(var: Expr, value: Expr) -> bool:
    """Whether a binding can be an output: bytes of its own, of a type of activations."""
    is_view = op_name(value) in ("", "vq.reshape")
    return not is_view and dtype_of(var) in (*ACTIVATION_DTYPES, "float32")


def _cut(folded: IRModule, bindings: Sequence[tuple[Expr, Expr]]) -> IRModule:
    """The module whose only output is what the last binding gives."""
    function = folded["main"]
    builder = relax.BlockBuilder()
    with main_function(builder, function.params) as finish:
        for var, value in bindings:
            builder.emit_normalized(relax.VarBinding(var, value))
        finish(bindings[-1][0])
    attrs = kept_attrs(function)
    attrs["vq.output_names"] = ["cut"]
    described = attrs["vq.quantization"]
    attrs["vq.quantization"] = {"inputs": described["inputs"], "outputs": [{}]}
    result = tvm.IRModule({"main": builder.get()["main"].with_attrs(attrs)})
    passes = [relax.transform.DeadCodeElimination(), CopyOutputs()]
    return tvm.ir.transform.Sequential(passes, name="vq.cut")(result)
