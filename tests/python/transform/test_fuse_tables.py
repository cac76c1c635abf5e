"""FuseTables: layers that make a table of one tensor, and those that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from vq_cortexm.compat import constant, op_name, tensor_type
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.lookup import LookupAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.mul import MulAttrs
from vq_cortexm.op.registry import make_call
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import FuseTables
from vq_cortexm.transform.rewriting import bindings_of

SHAPE = (1, 16, 16, 2)
Emit = Callable[..., Any]


def module(make: Callable[[Emit, Any, Any], Any]) -> Any:
    """Of two inputs; `make(emit, x, z)` emits layers and returns the outputs."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(name, tensor_type(SHAPE, "int8")) for name in "xz"]

    def emit(name: str, attrs: Any, *args: Any) -> Any:
        return builder.emit(make_call(f"vq.{name}", list(args), attrs), name_hint=name)

    with builder.function("main", inputs):
        with builder.dataflow():
            output = builder.emit_output(make(emit, *inputs))
        builder.emit_func_output(output)
    return builder.get()


def lookup(emit: Emit, x: Any, seed: int = 0, dtype: str = "int8") -> Any:
    entries = np.random.default_rng(seed).integers(0, 256, 256).astype(np.uint8).view(dtype)
    return emit("lookup", LookupAttrs(dtype), x, constant(entries))


MUL = MulAttrs(0.05, 3, 0.004, -128, 0.05, -20, -128, 127)
ADD = AddAttrs(0.05, 3, 0.05, 3, 0.08, 3, -128, 127)
RESCALE = RequantizeAttrs(0.05, 3, 0.03, -5, -100, 127)


def check(make: Callable[[Emit, Any, Any], Any]) -> list[str]:
    """The pass changes no value; the operators that stay."""
    before = module(make)
    after = FuseTables()(before)
    rng = np.random.default_rng(1)
    samples = [rng.integers(-128, 128, SHAPE).astype(np.int8) for _ in range(2)]
    for got, want in zip(
        run_reference(after, samples), run_reference(before, samples), strict=True
    ):
        np.testing.assert_array_equal(got, want)
    return [op_name(value) for _, value in bindings_of(after["main"]) if op_name(value)]


def test_a_gate_of_the_tensor_itself() -> None:
    assert check(lambda emit, x, _: emit("mul", MUL, x, lookup(emit, x))) == ["vq.lookup"]


def test_rescalings_around_tables_and_types_between_them() -> None:
    def make(emit: Emit, x: Any, _: Any) -> Any:
        y = lookup(emit, emit("requantize", RESCALE, x), 1, "uint8")
        return emit("add", ADD, lookup(emit, y, 2), constant(np.array([[7]], np.int8)))

    assert check(make) == ["vq.lookup"]


def test_a_table_that_others_read_stays() -> None:
    def make(emit: Emit, x: Any, _: Any) -> Any:
        y = lookup(emit, x)
        window = ((2, 2), (2, 2), (0, 0, 0, 0), 0.05, 3, 0.05, 3, -128, 127)
        return relax.Tuple([emit("max_pool2d", MaxPool2dAttrs(*window), y), emit("mul", MUL, x, y)])

    assert check(make) == ["vq.lookup", "vq.max_pool2d", "vq.lookup"]


def test_two_tensors_and_constants_of_channels_are_no_table() -> None:
    gate = constant(np.array([[[[3, -5]]]], np.int8))
    assert check(lambda emit, x, z: emit("mul", MUL, x, lookup(emit, z))) == ["vq.lookup", "vq.mul"]
    assert check(lambda emit, x, _: emit("mul", MUL, lookup(emit, x), gate)) == [
        "vq.lookup",
        "vq.mul",
    ]


def test_without_a_table_nothing_becomes_one() -> None:
    def make(emit: Emit, x: Any, _: Any) -> Any:
        return emit("add", ADD, x, emit("requantize", RESCALE, x))

    assert check(make) == ["vq.requantize", "vq.add"]
