"""FoldQDQ: a Relax QDQ graph becomes `vq.*` operators on integers.

Every `quantize` is the end of a layer: from it the pass walks back over the activation, the float
operator and the `dequantize` of its inputs, and replaces the whole by one integer operator with
the scales as attributes. Float operators that no `quantize` ends are refused. Quantize and
dequantize at the model's borders are dropped: the folded model takes and returns integers, and
says their scales in the function attribute `vq.quantization`.
"""

from __future__ import annotations

import re
from typing import Any

import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant_value,
    dtype_of,
    is_constant,
    kept_attrs,
    main_function,
    op_name,
    shape_of,
    tensor_type,
)
from ..errors import ModelError, first_line
from ..op.rounding import Rounding
from .qdq_context import LayerContext, QuantParams, activation_range, read_quant_params
from .qdq_moves import INTEGER_RULES
from .qdq_products import PRODUCT_RULES
from .qdq_rules import QDQ_RULES

_ACTIVATIONS = {"relax.nn.relu", "relax.clip", "relax.nn.relu6"}


@tvm.transform.module_pass(opt_level=0, name="vq.FoldQDQ")
class FoldQDQ:
    """Pass: QDQ → `vq.*`, with every operator's rounding set to `rounding`.

    Raises ModelError (naming the layer) for an operator without integer meaning.
    """

    def __init__(self, rounding: Rounding = "single") -> None:
        self.rounding = rounding

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The folded module; only `main` is rewritten."""
        try:
            folded = _Folder(module["main"], self.rounding).run()
        except ValueError as error:  # an operator's own check of its attributes and shapes
            raise ModelError(first_line(error)) from error
        result = tvm.IRModule(dict(module.functions.items()))
        result["main"] = folded
        return result


class _Folder:
    """One walk over `main`; `integers` maps original integer variables to folded ones."""

    def __init__(self, function: Expr, rounding: Rounding) -> None:
        self.function = function
        self.rounding = rounding
        self.builder = relax.BlockBuilder()
        self.bound: dict[Expr, Expr] = {}
        self.integers: dict[Expr, Expr] = {}
        self.params: dict[Expr, QuantParams] = {}
        self.layer_count = 0

    def run(self) -> Expr:
        function = self.function
        bindings = [b for block in function.body.blocks for b in block.bindings]
        self.bound = {binding.var: binding.value for binding in bindings}
        parameters = [self._parameter(p, bindings) for p in function.params]
        with main_function(self.builder, parameters) as finish:
            for binding in bindings:
                self._fold_binding(binding.var, binding.value)
            outputs = [self._output(e) for e in self._result_fields(function.body.body)]
            tensors = [tensor for tensor, _ in outputs]
            finish(tensors[0] if len(tensors) == 1 else relax.Tuple(tensors))
        folded = self.builder.get()["main"].with_attrs(kept_attrs(function))
        inputs = [self._describe(self.params.get(p)) for p in function.params]
        described = {"inputs": inputs, "outputs": [self._describe(q) for _, q in outputs]}
        return folded.with_attrs({"vq.quantization": described, "vq.rounding": self.rounding})

    # ------------------------------------------------------------------ what the rules use

    def resolve(self, expr: Expr) -> Expr:
        """The call that computed a variable, through plain re-bindings."""
        while expr in self.bound:
            expr = self.bound[expr]
        return expr

    def dequantized(self, expr: Expr, context: LayerContext) -> tuple[Expr, QuantParams]:
        """The folded integer tensor (or constant) behind a float input and its parameters."""
        call = self.resolve(expr)
        if op_name(call) != "relax.dequantize":
            what = op_name(call).removeprefix("relax.") or "an input that"
            raise ModelError(
                f"layer {context.name}: {what} stays float before it; put a quantize/dequantize "
                "pair there"
            )
        params = read_quant_params(call, context.name)
        return self.integer(call.args[0]), params

    def integer(self, expr: Expr) -> Expr:
        """The folded counterpart of an integer variable or constant."""
        if expr in self.integers:
            return self.integers[expr]
        call = self.resolve(expr)
        if is_constant(call):
            return call
        if call in self.integers:
            return self.integers[call]
        raise ModelError(f"{op_name(call) or expr} has no integer form")

    def emit(self, call: Expr, name: str = "") -> Expr:
        """Binds `call`; named after its layer where `name` is given."""
        return self.builder.emit(call, name_hint=name)

    # ------------------------------------------------------------------ the walk

    def _parameter(self, parameter: Expr, bindings: list[Any]) -> Expr:
        if dtype_of(parameter) != "float32":
            self.integers[parameter] = parameter
            for binding in bindings:
                call = binding.value
                if op_name(call) == "relax.dequantize" and self._moved_from(call, parameter):
                    self.params[parameter] = read_quant_params(call, str(parameter))
            return parameter
        users = [b for b in bindings if any(a.same_as(parameter) for a in _arguments(b.value))]
        if not users or any(op_name(b.value) != "relax.quantize" for b in users):
            raise ModelError(f"input {parameter.name!r} is float and not quantized first")
        params = read_quant_params(users[0].value, parameter.name)
        for user in users:
            if read_quant_params(user.value, parameter.name) != params:
                raise ModelError(f"input {parameter.name!r} is quantized in two ways")
        folded = relax.Var(parameter.name, tensor_type(shape_of(parameter), params.dtype))
        for user in users:
            self.integers[user.var] = folded
        self.params[parameter] = params
        return folded

    def _moved_from(self, dequantize: Expr, parameter: Expr) -> bool:
        """Whether what is dequantized is the parameter, through operators that only move it."""
        source = dequantize.args[0]
        while op_name(self.resolve(source)) in INTEGER_RULES:
            source = self.resolve(source).args[0]
        return bool(self.resolve(source).same_as(parameter))

    def _fold_binding(self, var: Expr, value: Expr) -> None:
        name = op_name(value)
        if var in self.integers:
            return
        if name == "relax.quantize":
            self.integers[var] = self._fold_layer(var, value)
        elif name in INTEGER_RULES and dtype_of(var) in ("int8", "uint8"):
            folded = INTEGER_RULES[name](self, value)
            self.integers[var] = self.emit(folded, var.name)

    def _fold_layer(self, var: Expr, quantize: Expr) -> Expr:
        label = self._label(var, quantize)
        y = read_quant_params(quantize, label)
        source = self.resolve(quantize.args[0])
        low, high = float("-inf"), float("inf")
        while op_name(source) in _ACTIVATIONS:
            low, high = _intersect(source, low, high)
            source = self.resolve(source.args[0])
        y_min, y_max = activation_range(y, low, high, self.rounding)
        context = LayerContext(label, y, y_min, y_max, self.rounding)
        if is_constant(source):
            raise ModelError(f"layer {label}: quantizes a constant; fold it in the model")
        name = op_name(source)
        if name not in QDQ_RULES:
            raise ModelError(
                f"layer {label}: {name.removeprefix('relax.') or source} is not supported; "
                f"supported: {', '.join(sorted(n.removeprefix('relax.') for n in QDQ_RULES))}"
            )
        return QDQ_RULES[name](self, source, context)

    def _label(self, var: Expr, quantize: Expr) -> str:
        """The layer's name: the binding's own, or operator and number where it is TVM's `lv7`."""
        given = str(var.name)
        if not re.fullmatch(r"[lg]v\d*", given):
            return given
        source = self.resolve(quantize.args[0])
        while op_name(source) in _ACTIVATIONS or (
            op_name(source) == "relax.add"
            and op_name(self.resolve(source.args[0])) in PRODUCT_RULES
        ):
            source = self.resolve(source.args[0])
        self.layer_count += 1
        return f"{op_name(source).rpartition('.')[2]}_{self.layer_count - 1}"

    def _result_fields(self, result: Expr) -> list[Expr]:
        result = self.resolve(result)
        return list(result.fields) if isinstance(result, relax.Tuple) else [result]

    def _output(self, expr: Expr) -> tuple[Expr, QuantParams | None]:
        call = self.resolve(expr)
        if expr in self.integers:
            return self.integers[expr], self._params_of(expr)
        if op_name(call) == "relax.dequantize":
            return self.integer(call.args[0]), read_quant_params(call, "the output")
        for var, value in self.bound.items():
            if value.same_as(call) and var in self.integers:
                return self.integers[var], self._params_of(var)
        what = op_name(call).removeprefix("relax.") or "float"
        raise ModelError(f"the model's output is computed by {what} in float; quantize it")

    def _params_of(self, var: Expr) -> QuantParams | None:
        call = self.resolve(var)
        if op_name(call) == "relax.quantize":
            return read_quant_params(call, "the output")
        if op_name(call) in INTEGER_RULES:
            return self._params_of(call.args[0])
        return self.params.get(var)

    @staticmethod
    def _describe(params: QuantParams | None) -> dict[str, Any]:
        if params is None:
            return {}
        return {"scale": float(params.scale), "zero_point": params.zero_point}


def _arguments(value: Expr) -> list[Expr]:
    return list(value.args) if isinstance(value, relax.Call) else []


def _intersect(call: Expr, low: float, high: float) -> tuple[float, float]:
    if op_name(call) == "relax.clip":
        bounds = [_number(a) for a in call.args[1:3]]
    else:
        bounds = [0.0, 6.0 if op_name(call) == "relax.nn.relu6" else float("inf")]
    return max(low, bounds[0]), min(high, bounds[1])


def _number(expr: Expr) -> float:
    if is_constant(expr):
        return float(constant_value(expr))
    return float(expr.value.value if hasattr(expr.value, "value") else expr.value)
