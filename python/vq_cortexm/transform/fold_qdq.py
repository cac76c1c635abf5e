"""FoldQDQ: a Relax QDQ graph becomes `vq.*` operators on integers.

Every `quantize` is the end of a layer: from it the pass walks back over the activation, the float
operator and the `dequantize` of its inputs, and replaces the whole by one integer operator with
the scales as attributes. Float operators that no `quantize` ends are refused. Quantize and
dequantize at the model's borders are dropped: the folded model takes and returns integers, and
says their scales in the function attribute `vq.quantization`. Operators that are `vq.*` already,
as a module from Relay has them, stay as they are, and so do scales that only that attribute has.
"""

from __future__ import annotations

import re
from typing import Any

import tvm
from tvm import relax

from ..compat import (
    Expr,
    IRModule,
    constant,
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
from ..op.quantization import ACTIVATION_DTYPES, quantize_bound
from ..op.registry import evaluate
from ..op.rounding import Rounding
from .check_sizes import check_sizes
from .qdq_borders import describe, params_of_integers, params_of_output, quantization_of
from .qdq_context import (
    ACTIVATIONS,
    FLOAT_HINT,
    REALS,
    SOURCE,
    TENSORS,
    LayerContext,
    QuantParams,
    activation_range,
    intersect,
    read_quant_params,
)
from .qdq_int16 import with_int16_rounding
from .qdq_litert import rescaled_as_litert
from .qdq_moves import MOVES, fill_of, rescaled
from .qdq_products import PRODUCT_RULES
from .qdq_rules import QDQ_RULES
from .split_slices import without_splits


@tvm.transform.module_pass(opt_level=0, name="vq.FoldQDQ")
class FoldQDQ:
    """Pass: QDQ → `vq.*`, with every operator's rounding set to `rounding`.

    Raises ModelError (naming the layer) for an operator without integer meaning.
    """

    def __init__(self, rounding: Rounding = "single") -> None:
        self.rounding = rounding

    def transform_module(self, module: IRModule, _context: Any) -> IRModule:
        """The folded module; only `main` is rewritten."""
        return fold_by(QdqFolder(module["main"], self.rounding), module)


def fold_by(folder: QdqFolder, module: IRModule) -> IRModule:
    """The module with `main` folded."""
    try:
        folded = folder.run()
    except ValueError as error:  # an operator's own check of its attributes and shapes
        raise ModelError(first_line(error)) from error
    result = tvm.IRModule(dict(module.functions.items()))
    result["main"] = folded
    return result


class QdqFolder:
    """One walk over `main`; `integers` maps original integer variables to folded ones."""

    def __init__(self, function: Expr, rounding: Rounding) -> None:
        self.function = function
        self.rounding = rounding
        self.is_tflite = str((function.attrs or {}).get(SOURCE, "")) == "tflite"
        self.builder = relax.BlockBuilder()
        self.bound: dict[Expr, Expr] = {}
        self.integers: dict[Expr, Expr] = {}
        self.params: dict[Expr, QuantParams] = {}
        self.moved: dict[Expr, tuple[Expr, QuantParams]] = {}
        self.layer_count = 0

    def run(self) -> Expr:
        """The folded function."""
        function = self.function
        check_sizes(function)
        bindings = without_splits(function, self.builder)
        self.bound = dict(bindings)
        parameters = [self.parameter(p, bindings) for p in function.params]
        with main_function(self.builder, parameters) as finish:
            for var, value in bindings:
                self._fold_binding(var, value)
            outputs = [self.output(e) for e in self._result_fields(function.body.body)]
            tensors = [tensor for tensor, _ in outputs]
            finish(tensors[0] if len(tensors) == 1 else relax.Tuple(tensors))
        names = (TENSORS, REALS)
        attrs = {k: v for k, v in kept_attrs(function).items() if k not in names}
        folded = self.builder.get()["main"].with_attrs(attrs)
        inputs = [describe(self.params.get(p)) for p in function.params]
        described = {"inputs": inputs, "outputs": [describe(q) for _, q in outputs]}
        for side, given in kept_attrs(function).get("vq.quantization", {}).items():
            ends = zip(described[side], given, strict=True)
            described[side] = [found or dict(said) for found, said in ends]
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
        if op_name(call) in MOVES:
            if call not in self.moved:
                x, params = self.dequantized(call.args[0], context)
                self.moved[call] = self._move(call, x, params, context), params
            return self.moved[call]
        if op_name(call) != "relax.dequantize":
            what = op_name(call).removeprefix("relax.") or "an input that"
            raise ModelError(
                f"layer {context.name}: {what} stays float before it; put a quantize/dequantize "
                "pair there, or --allow-float computes it in float32"
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
        """Binds `call`; named after its layer where `name` is given. What only constants make is a
        constant."""
        call = with_int16_rounding(call, name)
        if all(map(is_constant, call.args)):
            return constant(evaluate(call, [constant_value(arg) for arg in call.args]))
        return self.builder.emit(call, name_hint=name)

    # ------------------------------------------------------------------ the walk

    def parameter(self, parameter: Expr, bindings: list[tuple[Expr, Expr]]) -> Expr:
        """The folded function's parameter: integers, where the model quantizes a float one."""
        if dtype_of(parameter) != "float32":
            self.integers[parameter] = parameter
            params = params_of_integers(self, parameter, bindings)
            if params is not None:
                self.params[parameter] = params
            return parameter
        params, integers = quantization_of(parameter, bindings)
        folded = relax.Var(parameter.name, tensor_type(shape_of(parameter), params.dtype))
        for var in integers:
            self.integers[var] = folded
        self.params[parameter] = params
        return folded

    def _fold_binding(self, var: Expr, value: Expr) -> None:
        name = op_name(value)
        if var in self.integers:
            return
        if name == "relax.quantize":
            self.integers[var] = self.fold_layer(var, value)
        elif name in MOVES and dtype_of(var) in ACTIVATION_DTYPES:
            fill = fill_of(dtype_of(var), str(var.name))
            folded = MOVES[name](self, value, self.integer(value.args[0]), fill)
            self.integers[var] = self.emit(folded, var.name)
        elif name.startswith("vq."):
            args = [self.integer(arg) for arg in value.args]
            self.integers[var] = self.emit(relax.Call(value.op, args, value.attrs), var.name)

    def fold_layer(self, var: Expr, quantize: Expr) -> Expr:
        """The integers of the layer that a quantize ends."""
        label = self._label(var, quantize)
        y = read_quant_params(quantize, label)
        source = self.resolve(quantize.args[0])
        low, high = float("-inf"), float("inf")
        # with the bounds of the activations behind each
        moves: list[tuple[Expr, float, float]] = []
        while op_name(source) in ACTIVATIONS or op_name(source) in MOVES:
            if op_name(source) in MOVES:
                moves.insert(0, (source, low, high))
            else:
                low, high = intersect(source, low, high)
            source = self.resolve(source.args[0])
        y_min, y_max = activation_range(y, low, high, self.rounding)
        context = LayerContext(label, y, y_min, y_max, self.rounding)
        if is_constant(source):
            raise ModelError(f"layer {label}: quantizes a constant; fold it in the model")
        name = op_name(source)
        if name not in QDQ_RULES:
            raise ModelError(
                f"layer {label}: {name.removeprefix('relax.') or source} is not supported "
                f"(docs/operators.md lists what is); {FLOAT_HINT}"
            )
        if name == "relax.dequantize" and all(
            op_name(move) != "relax.nn.pad" for move, *_ in moves
        ):
            # a slice is rescaled, not what it is taken from
            x, params = self.integer(source.args[0]), read_quant_params(source, label)
            for move, *_ in moves:
                x = self._move(move, x, params, context)
            if self.is_tflite and self.rounding == "float":
                clips = (low, high) != (float("-inf"), float("inf"))
                return rescaled_as_litert(self, x, params, context, clips)
            return rescaled(self, x, params, context)
        x = QDQ_RULES[name](self, source, context)
        for move, *bounds in moves:
            x = self._move(move, x, y, context, *bounds)
        return x

    def _move(
        self,
        call: Expr,
        x: Expr,
        params: QuantParams,
        context: LayerContext,
        low: float = float("-inf"),
        high: float = float("inf"),
    ) -> Expr:
        """What a float operator that moves values makes of integers; numbers that it adds are
        clamped to real bounds."""

        def fill(real: float) -> int:
            given = (params.scale, params.zero_point, params.dtype, context.rounding)
            return quantize_bound(min(max(real, low), high), *given)

        name = f"{context.name}_{op_name(call).rpartition('.')[2]}"
        return self.emit(MOVES[op_name(call)](self, call, x, fill), name)

    def _label(self, var: Expr, quantize: Expr) -> str:
        """The layer's name: the binding's own, or operator and number where it is TVM's `lv7`."""
        given = str(var.name)
        if not re.fullmatch(r"[lg]v\d*", given):
            return given
        source = self.resolve(quantize.args[0])
        while op_name(source) in ACTIVATIONS or (
            op_name(source) == "relax.add"
            and op_name(self.resolve(source.args[0])) in PRODUCT_RULES
        ):
            source = self.resolve(source.args[0])
        self.layer_count += 1
        return f"{op_name(source).rpartition('.')[2]}_{self.layer_count - 1}"

    def _result_fields(self, result: Expr) -> list[Expr]:
        result = self.resolve(result)
        return list(result.fields) if isinstance(result, relax.Tuple) else [result]

    def output(self, expr: Expr) -> tuple[Expr, QuantParams | None]:
        """An output's integers, and what they mean where that is known."""
        call = self.resolve(expr)
        if expr in self.integers:
            return self.integers[expr], params_of_output(self, expr, self.params)
        if op_name(call) == "relax.dequantize":
            return self.integer(call.args[0]), read_quant_params(call, "the output")
        for var, value in self.bound.items():
            if value.same_as(call) and var in self.integers:
                return self.integers[var], params_of_output(self, var, self.params)
        what = op_name(call).removeprefix("relax.") or "float"
        raise ModelError(f"the model's output is computed by {what} in float; {FLOAT_HINT}")
