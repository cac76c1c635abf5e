"""Lowered TIR → C11 text.

TVM's own C code generator emits neither `const` nor `restrict`, puts accumulators into arrays and
folds float additions; this printer covers just the TIR that kernels use, as tables of rules, and
refuses the rest by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from tvm import tirx

from ..c_names import KEYWORDS
from ..compat import Analyzer, Expr, PrimFunc, is_buffer_var
from .float_functions import FLOAT_FUNCTIONS, float_literal
from .lower import is_register

_C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "float32": "float",
    "bool": "bool",
}
_SHORT = {"int32": "s32", "int64": "s64", "float32": "f32"}
_INFIX = {
    "Add": "+",
    "Sub": "-",
    "Mul": "*",
    "Div": "/",
    "Mod": "%",
    "EQ": "==",
    "NE": "!=",
    "LT": "<",
    "LE": "<=",
    "GT": ">",
    "GE": ">=",
    "And": "&&",
    "Or": "||",
    "RShift": ">>",
    "LShift": "<<",
    "BitwiseAnd": "&",
    "BitwiseOr": "|",
    "BitwiseXor": "^",
}
_INFIX_CALLS = {
    "tirx.shift_right": ">>",
    "tirx.shift_left": "<<",
    "tirx.bitwise_and": "&",
    "tirx.bitwise_or": "|",
    "tirx.bitwise_xor": "^",
}
_EXTERNS = ("tirx.call_extern", "tirx.call_pure_extern")
_INDENT = "    "
_COLUMNS = 100


def c_type(dtype: str) -> str:
    """The C name of a TIR element type."""
    return _C_TYPES[dtype]


def print_function(
    function: PrimFunc,
    symbol: str,
    may_alias: frozenset[int],
    symbols: Mapping[str, str] | None = None,
) -> str:
    """C definition of a lowered PrimFunc.

    Parameters that are never written are `const`; all are `restrict` but those numbered in
    `may_alias`, which the memory planner may give the same storage. `symbols` are the final names
    of external functions, where they differ from those in the code.
    """
    return _Printer(function, may_alias, symbols or {}).definition(symbol)


def print_prototype(function: PrimFunc, symbol: str, may_alias: frozenset[int]) -> str:
    """Its declaration, for a header."""
    return "\n".join(_Printer(function, may_alias, {}).signature(symbol)) + ";"


class _Printer:
    """Names of variables and the indentation while one function is printed."""

    def __init__(
        self, function: PrimFunc, may_alias: frozenset[int], symbols: Mapping[str, str]
    ) -> None:
        self.function = function
        self.symbols = symbols
        self.may_alias = may_alias
        self.names: dict[Any, str] = {}
        self.taken: set[str] = set(KEYWORDS)
        self.analyzer = Analyzer()
        self.written = set(_written_buffers(function.body))

    def definition(self, symbol: str) -> str:
        lines = [*self.signature(symbol), "{"]
        body = self._aliases_first(self.function.body)
        lines += [_INDENT + line for line in self._statements(body)]
        return "\n".join([*lines, "}", ""])

    def signature(self, symbol: str) -> list[str]:
        """`void symbol(...)`, broken into lines that fit."""
        parameters = [self._parameter(i, p) for i, p in enumerate(self.function.params)]
        lines = [f"void {symbol}("]
        for position, parameter in enumerate(parameters):
            last = position == len(parameters) - 1
            piece = parameter + (")" if last else ",")
            if len(lines[-1]) + len(piece) + 1 > _COLUMNS:
                lines.append(_INDENT)
            elif position:
                lines[-1] += " "
            lines[-1] += piece
        return lines

    def _parameter(self, position: int, buffer: Any) -> str:
        if not is_buffer_var(buffer):
            raise ValueError(f"parameter {buffer} is not a tensor")
        name = self._name(buffer)
        const = "" if self._is_written(buffer) else "const "
        restrict = "" if position in self.may_alias else "restrict "
        return f"{const}{c_type(str(buffer.dtype))} *{restrict}{name}"

    def _is_written(self, buffer: Any) -> bool:
        aliases = {buffer, *(a for a, root in self._roots().items() if root.same_as(buffer))}
        return any(alias in self.written for alias in aliases)

    def _roots(self) -> dict[Any, Any]:
        """Flattened views → the parameter they view."""
        roots = {}
        for stmt in _sequence(self.function.body):
            if isinstance(stmt, tirx.DeclBuffer):
                data = stmt.data
                roots[stmt.buffer] = data.args[0] if hasattr(data, "args") else data
        return roots

    def _aliases_first(self, body: Any) -> list[Any]:
        for view, root in self._roots().items():
            self.names[view] = self.names[root]
        return [s for s in _sequence(body) if not isinstance(s, tirx.DeclBuffer)]

    def _name(self, var: Any) -> str:
        if var not in self.names:
            base = "".join(c if c.isalnum() or c == "_" else "_" for c in str(var.name)) or "v"
            name, count = base, 1
            while name in self.taken:
                name, count = f"{base}_{count}", count + 1
            self.taken.add(name)
            self.names[var] = name
        return self.names[var]

    # -------------------------------------------------------------- statements

    def _statements(self, statements: list[Any]) -> Iterator[str]:
        pending = list(statements)
        while pending:
            stmt = pending.pop(0)
            if isinstance(stmt, tirx.SeqStmt):
                pending = [*stmt.seq, *pending]
            elif isinstance(stmt, tirx.AllocBuffer):
                yield from self._declare_register(stmt.buffer, pending)
            else:
                yield from self._statement(stmt)

    def _declare_register(self, buffer: Any, following: list[Any]) -> Iterator[str]:
        """`int32_t acc = start;`, with the store that follows as its initial value."""
        if not is_register(buffer):
            raise ValueError(f"buffer {buffer.name} was not hoisted out of its function")
        declaration = f"{c_type(str(buffer.dtype))} {self._name(buffer)}"
        first = following[0] if following else None
        if isinstance(first, tirx.SeqStmt):
            following[:1] = list(first.seq)
            first = following[0]
        if isinstance(first, tirx.BufferStore) and first.buffer.same_as(buffer):
            following.pop(0)
            declaration += f" = {_bare(self._expr(first.value))}"
        yield declaration + ";"

    def _statement(self, stmt: Any) -> Iterator[str]:
        kind = type(stmt).__name__
        if kind == "BufferStore":
            yield f"{self._element(stmt.buffer, stmt.indices)} = {_bare(self._expr(stmt.value))};"
        elif kind == "Bind":
            value = _bare(self._expr(stmt.value))
            yield f"const {c_type(str(stmt.var.ty.dtype))} {self._name(stmt.var)} = {value};"
        elif kind == "For":
            start = _bare(self._expr(stmt.min))
            stop = self._expr(self.analyzer.simplify(stmt.min + stmt.extent))
            var = self._name(stmt.loop_var)
            yield f"for (int32_t {var} = {start}; {var} < {stop}; ++{var}) {{"
            yield from self._block(stmt.body)
            yield "}"
            self._release(stmt.loop_var)
        elif kind == "IfThenElse":
            yield f"if ({_bare(self._expr(stmt.condition))}) {{"
            yield from self._block(stmt.then_case)
            if stmt.else_case is not None:
                yield "} else {"
                yield from self._block(stmt.else_case)
            yield "}"
        elif kind == "Evaluate":
            if not isinstance(stmt.value, tirx.IntImm):
                yield f"{self._expr(stmt.value)};"
        else:
            raise ValueError(f"no C for the TIR statement {kind}")

    def _block(self, body: Any) -> Iterator[str]:
        before = dict(self.names)
        for line in self._statements([body]):
            yield _INDENT + line
        for var in [v for v in self.names if v not in before]:
            self._release(var)

    def _release(self, var: Any) -> None:
        """A name is free again when its block ends."""
        name = self.names.pop(var, None)
        if name is not None:
            self.taken.discard(name)

    def _element(self, buffer: Any, indices: Any) -> str:
        if is_register(buffer):
            return self._name(buffer)
        if len(indices) != 1:
            raise ValueError(f"buffer {buffer.name} is not flat")
        return f"{self._name(buffer)}[{_bare(self._expr(self.analyzer.simplify(indices[0])))}]"

    # -------------------------------------------------------------- expressions

    def _expr(self, expr: Expr) -> str:
        kind = type(expr).__name__
        if kind == "Sub" and isinstance(expr.b, tirx.IntImm) and int(expr.b.value) <= 0:
            return self._expr(expr.a + tirx.IntImm(str(expr.b.ty.dtype), -int(expr.b.value)))
        if kind == "Add" and isinstance(expr.b, tirx.IntImm) and int(expr.b.value) < 0:
            return f"({self._expr(expr.a)} - {-int(expr.b.value)})"
        if kind in _INFIX:
            return f"({self._expr(expr.a)} {_INFIX[kind]} {self._expr(expr.b)})"
        rule = _EXPRESSIONS.get(kind)
        if rule is None:
            raise ValueError(f"no C for the TIR expression {kind}: {expr}")
        return rule(self, expr)


def _print_int(_printer: _Printer, expr: Expr) -> str:
    value, dtype = int(expr.value), str(expr.ty.dtype)
    if dtype == "int64":
        return f"INT64_C({value})" if value >= 0 else f"(-INT64_C({-value}))"
    if dtype == "bool":
        return "true" if value else "false"
    if value == -(2**31):
        return "INT32_MIN"
    return str(value) if value >= 0 else f"({value})"


def _print_float(_printer: _Printer, expr: Expr) -> str:
    value = float(np.float32(expr.value))
    text = repr(value)
    if not math.isfinite(value):
        return float_literal(value)
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _print_cast(printer: _Printer, expr: Expr) -> str:
    return f"({c_type(str(expr.ty.dtype))}){printer._expr(expr.value)}"


def _print_min_max(printer: _Printer, expr: Expr) -> str:
    name = type(expr).__name__.lower()
    suffix = _SHORT[str(expr.ty.dtype)]
    a, b = _bare(printer._expr(expr.a)), _bare(printer._expr(expr.b))
    return f"vq_{name}_{suffix}({a}, {b})"


def _print_select(printer: _Printer, expr: Expr) -> str:
    parts = (expr.condition, expr.true_value, expr.false_value)
    condition, yes, no = (printer._expr(part) for part in parts)
    return f"({condition} ? {yes} : {no})"


def _print_call(printer: _Printer, expr: Expr) -> str:
    name = str(expr.op.name)
    if name in _INFIX_CALLS:
        a, b = (printer._expr(arg) for arg in expr.args)
        return f"({a} {_INFIX_CALLS[name]} {b})"
    if name in ("tirx.if_then_else", "prim.if_then_else"):
        condition, yes, no = (printer._expr(arg) for arg in expr.args)
        return f"({condition} ? {yes} : {no})"
    if name == "tirx.address_of":
        load = expr.args[0]
        return f"&{printer._element(load.source, load.indices)}"
    external = str(expr.args[0].value) if name in _EXTERNS else name
    if external in FLOAT_FUNCTIONS:
        values = expr.args[1:] if name in _EXTERNS else expr.args
        return f"{FLOAT_FUNCTIONS[external]}({', '.join(_bare(printer._expr(v)) for v in values)})"
    if name in _EXTERNS and external.startswith("vq_"):
        arguments = ", ".join(_bare(printer._expr(arg)) for arg in expr.args[1:])
        return f"{printer.symbols.get(external, external)}({arguments})"
    raise ValueError(f"no C for the TIR intrinsic {expr}")


_EXPRESSIONS: dict[str, Callable[[_Printer, Expr], str]] = {
    "Var": lambda printer, expr: printer._name(expr),
    "IntImm": _print_int,
    "FloatImm": _print_float,
    "TensorLoad": lambda printer, expr: printer._element(expr.source, expr.indices),
    "Cast": _print_cast,
    "Min": _print_min_max,
    "Max": _print_min_max,
    "Select": _print_select,
    "Not": lambda printer, expr: f"!{printer._expr(expr.a)}",
    "Call": _print_call,
}


def _op_name(expr: Expr) -> str:
    """The operator of a call, "" of anything else."""
    return str(getattr(getattr(expr, "op", None), "name", ""))


def _bare(text: str) -> str:
    """`text` without one pair of parentheses around the whole."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1]


def _sequence(body: Any) -> list[Any]:
    return list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]


def _written_buffers(stmt: Any) -> Iterator[Any]:
    if isinstance(stmt, tirx.BufferStore):
        yield stmt.buffer
    if isinstance(stmt, tirx.Evaluate) and _op_name(stmt.value) == "tirx.call_extern":
        # an extern statement writes through its first pointer
        yield stmt.value.args[1].args[0].source
    for child in [
        *getattr(stmt, "seq", []),
        *(getattr(stmt, name, None) for name in ("body", "then_case", "else_case")),
    ]:
        if child is not None:
            yield from _written_buffers(child)
