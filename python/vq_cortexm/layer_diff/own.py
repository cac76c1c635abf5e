"""What every layer of a model gives here, by the exact NumPy reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..aot.program import Tensor
from ..compat import Expr, IRModule, dtype_of, is_constant, kept_attrs, op_name, shape_of
from ..errors import ModelError, first_line
from ..op.rounding import Rounding
from ..reference import Outputs, binding_values
from ..samples import Sample
from ..transform.fold_float import Floats, folder_of
from ..transform.qdq_context import REALS, TENSORS, QuantParams, read_quant_params

_LAYOUT = ("vq.transpose", "vq.reshape")
"""What the fold puts behind an operator, so that its tensor has the file's layout."""


@dataclass(frozen=True)
class OwnLayer:
    """A layer as the file has it: `name` and `op` as in the tables of `profile`, `tensor` the name
    of its output in the file ("" where there is none), which has the file's layout; `params` say
    what its integers mean, where that is known."""

    name: str
    op: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    params: QuantParams | None
    var: Expr


@dataclass(frozen=True)
class OwnModel:
    """All layers of a model in order, before any of them is merged with another."""

    function: Expr
    inputs: tuple[Tensor, ...]
    quantization: tuple[QuantParams | None, ...]
    """What the inputs mean."""
    layers: tuple[OwnLayer, ...]

    def run(self, sample: Sample) -> tuple[list[NDArray[Any]], Outputs]:
        """What each layer gives for a sample, and the outputs."""
        values = binding_values(self.function, sample)
        result = values[self.function.body.body]
        outputs = result if isinstance(result, tuple) else (result,)
        return [np.asarray(values[layer.var]) for layer in self.layers], outputs


def own_model(module: IRModule, rounding: Rounding, floats: Floats) -> OwnModel:
    """The layers of an imported module. ModelError as a build has it."""
    folder = folder_of(module, rounding, floats)
    try:
        function = folder.run()
    except ValueError as error:
        raise ModelError(first_line(error)) from error
    calls = {b.var: b.value for block in function.body.blocks for b in block.bindings}
    attrs = kept_attrs(module["main"])
    tensors, reals = attrs.get(TENSORS, {}), attrs.get(REALS, {})
    layers: dict[Expr, OwnLayer] = {}
    parameters, named = set(function.params), set()
    for var, value in folder.bound.items():
        folded = folder.integers.get(var)
        if folded is None or is_constant(folded) or folded in parameters:
            continue
        tensor = str(tensors.get(var.name, ""))
        params = read_quant_params(value, var.name) if op_name(value) == "relax.quantize" else None
        if var.name in reals:
            tensor, scale, zero_point = reals[var.name]
            params = QuantParams(float(scale), int(zero_point), dtype_of(folded))
        if folded in layers:
            # a quantizer that was brought forward: here it is in the file
            if var.name in reals:
                layers[folded] = replace(layers[folded], tensor=str(tensor), params=params)
            continue
        maker = _maker(folded, calls)
        # a reshape of the file itself is behind a layer that has been met
        maker, name = (folded, var.name) if maker in named else (maker, maker.name)
        named.add(maker)
        layers[folded] = OwnLayer(
            str(name),
            op_name(calls[maker]).removeprefix("vq."),
            str(tensor),
            shape_of(folded),
            dtype_of(folded),
            params,
            folded,
        )
    inputs = tuple(Tensor(p.name, shape_of(p), dtype_of(p), p.name) for p in function.params)
    known = tuple(folder.params.get(p) for p in folder.function.params)
    return OwnModel(function, inputs, known, tuple(layers.values()))


def _maker(var: Expr, calls: dict[Expr, Expr]) -> Expr:
    """The variable of the operator behind changes of layout that the fold added; its own, where
    they are all there is."""
    maker = var
    while maker in calls:
        call = calls[maker]
        if op_name(call) and op_name(call) not in _LAYOUT:
            return maker
        maker = call.args[0] if op_name(call) else call
    return var


def file_inputs(
    model: OwnModel, sample: Sequence[NDArray[Any]], dtypes: Sequence[str]
) -> list[NDArray[Any]]:
    """A sample as the file takes it: real numbers where its input is float32 and ours is not.
    Quantized again they are the same integers."""
    given = []
    for x, tensor, params, dtype in zip(
        sample, model.inputs, model.quantization, dtypes, strict=True
    ):
        if dtype == tensor.dtype:
            given.append(x)
        elif dtype == "float32" and params is not None:
            centred = x.astype(np.int64) - params.zero_point
            given.append(centred.astype(np.float32) * np.float32(params.scale))
        else:
            raise ModelError(f"input {tensor.name!r}: the file takes {dtype}, the build {x.dtype}")
    return given


__all__ = ["OwnLayer", "OwnModel", "file_inputs", "own_model"]
