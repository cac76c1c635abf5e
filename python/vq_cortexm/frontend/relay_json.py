"""Modules that a Relay-era TVM saved with `tvm.ir.save_json` → Relax, in `vq.*` form.

Relay's integer operators have a meaning of their own, which is not always TFLite's: each becomes
the `vq.*` operator that equals it bit for bit, whatever rounding a build asks for. What Relay
computes in floats becomes QDQ form, which the fold treats as in any model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm import relax

from ..c_names import unique_identifiers
from ..compat import IRModule, main_function, tensor_type
from ..errors import ModelError, first_line
from .relay_elementwise import ELEMENTWISE
from .relay_floats import BORDERS, FLOATS, is_float
from .relay_graph import RelayCall, RelayExpr, RelayItem, RelayTuple, RelayVar, read_relay
from .relay_moves import MOVES, POOLS
from .relay_products import PRODUCTS
from .relay_values import Converter, Layer, Scale, Tensor, Value, Wide, where

_INTEGERS = {**BORDERS, **ELEMENTWISE, **MOVES, **POOLS, **PRODUCTS}
_FLOATS = {**FLOATS, **BORDERS, **MOVES}


def from_relay_json(
    model: str | Path, params: Mapping[str, Any] | None = None, name: str = "Relay module"
) -> IRModule:
    """Relax module (one function, `main`) of a Relay module's JSON: its text, or a Path to it.

    `params` (numpy arrays, or anything that has `numpy()`) are bound to the parameters of their
    names; a text is called `name` in messages. Raises ModelError for a file that cannot be read or
    an operator that is not supported, naming it.
    """
    if isinstance(model, Path):
        try:
            return from_relay_json(model.read_text(encoding="utf-8"), params, model.name)
        except OSError as error:
            raise ModelError(f"{model.name}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ModelError(f"{model.name}: not JSON of a Relay module") from None
    try:
        converter = Converter(read_relay(model))
        return _convert(converter, {k: _array(v) for k, v in (params or {}).items()})
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from None
    except Exception as error:  # TVM's shape rules and our operators refuse what a file asks for
        raise ModelError(f"{name}: damaged or not supported: {first_line(error)}") from error


def _array(value: Any) -> NDArray[Any]:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _convert(converter: Converter, params: dict[str, NDArray[Any]]) -> IRModule:
    function = converter.function
    free = [p for p in function.params if p.name not in params]
    for parameter in function.params:
        if parameter.name in params:
            converter.bound[parameter] = _bound(parameter, params[parameter.name])
    variables = []
    for parameter, name in zip(free, unique_identifiers([p.name for p in free]), strict=True):
        variable = relax.Var(name, tensor_type(parameter.shape, parameter.dtype))
        converter.values[parameter] = Tensor(variable)
        converter.roots[variable] = variable
        variables.append(variable)
    with main_function(converter.builder, variables) as finish:
        for expr in function.expressions:
            if converter.known(expr) is None and not isinstance(expr, RelayVar):
                converter.values[expr] = _value(converter, expr)
        results = _results(converter, function.expressions[-1])
        exprs = [result.expr for result in results]
        finish(exprs[0] if len(exprs) == 1 else relax.Tuple(exprs))
    inputs = [_described(converter.inputs.get(v)) for v in variables]
    described = {"inputs": inputs, "outputs": [_described(r.scale) for r in results]}
    attrs: dict[str, Any] = {"vq.quantization": described}
    if len(function.output_names) == len(results):
        attrs["vq.output_names"] = unique_identifiers(list(function.output_names))
    module = converter.builder.get()
    module["main"] = module["main"].with_attrs(attrs)
    return module


def _bound(parameter: RelayVar, value: NDArray[Any]) -> NDArray[Any]:
    if value.shape != parameter.shape or value.dtype.name != parameter.dtype:
        raise ModelError(
            f"parameter {parameter.name!r} is {parameter.dtype}{parameter.shape}, its value "
            f"{value.dtype.name}{value.shape}"
        )
    return value


def _value(converter: Converter, expr: RelayExpr) -> Value:
    """What an expression becomes, whose parts have become something."""
    if isinstance(expr, RelayCall):
        value = _called(converter, expr)
    elif isinstance(expr, RelayTuple):
        known = [converter.known(field) for field in expr.fields]
        if expr.fields and all(array is not None for array in known):
            return ()  # scales of a concatenation, which reads them itself
        value = tuple(converter.values[field] for field in expr.fields)
    elif isinstance(expr, RelayItem):
        value = _item(converter.values[expr.source], expr.index)
    else:
        raise ModelError("its body is a constant")
    return _shared(value, converter.uses[expr] > 1)


def _called(converter: Converter, call: RelayCall) -> Value:
    # the operators of quantized tensors have their scales behind the tensors
    operands = call.args[: 1 if call.op.startswith("qnn.") else 2]
    floats = any(is_float(converter.values[a]) for a in operands if a in converter.values)
    table = _FLOATS if floats else _INTEGERS
    if call.op not in table:
        kind = "floats" if floats else "integers"
        raise ModelError(
            f"{where(call)} of {kind} is not supported; supported: {', '.join(sorted(table))}"
        )
    try:
        return table[call.op](converter, call)
    except ModelError as error:
        said = str(error)
        raise ModelError(said if said.startswith(call.op) else f"{where(call)}: {said}") from None
    except Exception as error:  # operators' own checks, and TVM's
        raise ModelError(f"{where(call)}: {first_line(error)}") from error


def _item(source: Value, index: int) -> Value:
    if not isinstance(source, tuple) or index >= len(source):
        raise ModelError(f"field {index} of what has none")
    return source[index]


def _shared(value: Value, shared: bool) -> Value:
    layer = value.source if isinstance(value, Wide) else value
    if isinstance(layer, Layer):
        layer.shared |= shared
    return value


def _results(converter: Converter, body: RelayExpr) -> list[Tensor]:
    value = converter.values.get(body)
    results = []
    for each in value if isinstance(value, tuple) else (value,):
        if not isinstance(each, (Tensor, Layer)):
            raise ModelError(
                "an output is int32 or a constant; a tensor of int8 or uint8 works, so put a "
                "qnn.requantize before it"
            )
        results.append(converter.complete(each) if isinstance(each, Layer) else each)
    return results


def _described(scale: Scale | None) -> dict[str, Any]:
    return {} if scale is None else scale.described
