"""Small helpers around TVM's IR builder, so that kernels read like the loops they are.

Everything a kernel needs and nothing more: typed function parameters, named loops, scalar
accumulators in registers, named values, and integer arithmetic that stays int32 unless it says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

from ..compat import Expr, PrimFunc

Buffer = Any
COPY = "vq_copy"
"""The extern that writes to its first argument."""


class FunctionBuilder:
    """Builds one PrimFunc; parameters come in the order of their declaration."""

    def __init__(self, name: str) -> None:
        self._builder = IRBuilder()
        self._name = name
        self.function: PrimFunc = None

    def __enter__(self) -> FunctionBuilder:
        self._builder.__enter__()
        self._frame = T.prim_func(s_tir=True)
        self._frame.__enter__()
        T.func_name(self._name)
        return self

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._frame.__exit__(kind, value, trace)
        self._builder.__exit__(kind, value, trace)
        if kind is None:
            self.function = self._builder.get()

    def parameter(self, name: str, shape: Sequence[int], dtype: str) -> Buffer:
        """A tensor parameter of `shape`."""
        return T.arg(name, T.buffer(tuple(shape), dtype))


def scratch(name: str, shape: Sequence[int], dtype: str) -> Buffer:
    """Scratch memory of the function; code generation moves it to the arena."""
    return IRBuilder.name(name, T.alloc_buffer(tuple(shape), dtype, scope="global"))


class Scalar:
    """A mutable number in a register (a one-element local buffer of TIR)."""

    def __init__(self, name: str, initial: Expr, dtype: str = "int32") -> None:
        self._buffer = IRBuilder.name(name, T.alloc_buffer((1,), dtype, scope="local"))
        self.set(initial)

    def get(self) -> Expr:
        """Its value here."""
        return self._buffer[0]

    def set(self, value: Expr) -> None:
        """Assigns `value`."""
        T.buffer_store(self._buffer, value, [0])

    def add(self, value: Expr) -> None:
        """Adds `value`."""
        self.set(self.get() + value)

    def add_product(self, a: Expr, b: Expr) -> None:
        """Adds the product of an int32 and of what is widened to it; the product fits int32."""
        product = a * widen(b)
        dtype = str(self._buffer.dtype)
        self.add(product if dtype == "int32" else widen(product, dtype))


@contextmanager
def loop(name: str, start: Expr | int, stop: Expr | int | None = None) -> Iterator[Expr]:
    """`for name in range(start, stop)`, or range(start) with one bound. A loop of one iteration
    whose bounds are plain integers costs nothing: its variable is a constant."""
    if stop is None:
        start, stop = 0, start
    if isinstance(start, int) and isinstance(stop, int) and stop - start == 1:
        yield tirx.IntImm("int32", start)
        return
    with T.serial(start, stop) as variable:
        yield IRBuilder.name(name, variable)


def bind(name: str, value: Expr) -> Expr:
    """A named constant of the rest of the block; a plain integer stays itself."""
    if isinstance(value, (int, tirx.IntImm)):
        return value
    return IRBuilder.name(name, T.Bind(value))


def store(buffer: Buffer, indices: Sequence[Expr | int], value: Expr) -> None:
    """buffer[indices] = value, cast to the buffer's type."""
    T.buffer_store(buffer, T.cast(value, str(buffer.dtype)), list(indices))


def copy(
    to: Buffer,
    first: Sequence[Expr | int],
    source: Buffer,
    start: Sequence[Expr | int],
    size: Expr | int,
) -> None:
    """`size` neighbouring elements to another place that they do not overlap, of the same type."""
    target, origin = (T.address_of(b[tuple(i)]) for b, i in ((to, first), (source, start)))
    size_bytes = size * np.dtype(str(to.dtype)).itemsize
    T.evaluate(T.call_extern("void", COPY, target, origin, size_bytes))


def at(buffer: Buffer, *indices: Expr | int) -> Expr:
    """The address of an element."""
    return T.address_of(buffer[indices])


def call(symbol: str, *arguments: Expr | int) -> None:
    """Calls a routine, which writes through its first argument only."""
    T.evaluate(T.call_extern("void", symbol, *arguments))


def as_expr(value: Expr | int) -> Expr:
    """A plain integer as an int32 constant."""
    return int32(value) if isinstance(value, int) else value


@contextmanager
def when(condition: Expr) -> Iterator[None]:
    """`if (condition) { ... }`."""
    with T.If(condition), T.Then():
        yield


@contextmanager
def choose(condition: Expr) -> Iterator[tuple[Any, Any]]:
    """`if (condition) {first} else {second}`: yields the two branches' contexts."""
    with T.If(condition):
        yield T.Then(), T.Else()


def bit(condition: Expr, place: Expr) -> Expr:
    """int32 with bit `place` (0 to 31) set where the condition holds; shifted without a sign, as C
    has no meaning for a shift into it."""
    return T.cast(T.cast(condition, "uint32") << T.cast(place, "uint32"), "int32")


def widen(value: Expr, dtype: str = "int32") -> Expr:
    """`value` as a wider type."""
    return T.cast(value, dtype)


def high_product(a: Expr, b: Expr) -> Expr:
    """The upper 32 bits of the 64-bit product of two int32: one SMULL (or SMMUL)."""
    return T.call_pure_extern("int32", "vq_high_product_s32", a, b)


def doubling_high_product(a: Expr, b: Expr) -> Expr:
    """gemmlowp's saturating rounding doubling high multiply of int32, never of -2^31 twice."""
    return T.call_pure_extern("int32", "vq_doubling_high_product_s32", a, b)


def divide_by_power(value: Expr, exponent: Expr) -> Expr:
    """value / 2^exponent to nearest, halves away from zero; exponent in [0, 30]."""
    return T.call_pure_extern("int32", "vq_divide_by_power_s32", value, exponent)


def leading_zeros(value: Expr) -> Expr:
    """How many zero bits precede the highest one of an int32 that is not zero."""
    return T.call_pure_extern("int32", "vq_leading_zeros_s32", value)


def clamp(value: Expr, low: int, high: int, dtype: str = "int32") -> Expr:
    """min(max(value, low), high); a bound that `dtype`'s own range implies stays."""
    if dtype == "float32":
        return T.max(T.min(value, T.float32(high)), T.float32(low))
    return T.max(T.min(value, tirx.IntImm(dtype, high)), tirx.IntImm(dtype, low))


def round_f32(value: Expr) -> Expr:
    """float32 → int32, to nearest, ties to even; |value| < 2^22. `vq_round_f32` of the runtime:
    an extern, because TVM would simplify the addition that does it."""
    return T.call_pure_extern("int32", "vq_round_f32", value)


def int64(value: int) -> Expr:
    """An int64 constant."""
    return tirx.IntImm("int64", value)


def int32(value: int) -> Expr:
    """An int32 constant."""
    return tirx.IntImm("int32", value)


__all__ = [
    "Buffer",
    "FunctionBuilder",
    "Scalar",
    "T",
    "as_expr",
    "at",
    "bind",
    "call",
    "choose",
    "clamp",
    "copy",
    "divide_by_power",
    "doubling_high_product",
    "high_product",
    "int32",
    "int64",
    "leading_zeros",
    "loop",
    "round_f32",
    "scratch",
    "store",
    "when",
    "widen",
]
