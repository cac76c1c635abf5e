"""TIR → C: qualifiers, hoisted scratch, named values, and what is refused."""

from __future__ import annotations

import re

import pytest

from vq_cortexm.codegen.c_printer import print_function, print_prototype
from vq_cortexm.codegen.lower import ScratchBuffer, lower_function
from vq_cortexm.kernels.tir import (
    FunctionBuilder,
    Scalar,
    T,
    bind,
    choose,
    copy,
    int32,
    loop,
    round_f32,
    scratch,
    store,
    widen,
)


def sum_rows() -> FunctionBuilder:
    """y[r] = sum(x[r, :]) through scratch; reads `bias` too."""
    with FunctionBuilder("sum_rows") as builder:
        x = builder.parameter("x", (4, 8), "int8")
        bias = builder.parameter("bias", (4,), "int32")
        y = builder.parameter("y", (4,), "int8")
        line = scratch("line", (8,), "int16")
        with loop("r", 4) as r:
            with loop("i", 8) as i:
                store(line, [i], widen(x[r, i]) - (-3))
            acc = Scalar("acc", bias[r])
            with loop("i", 8) as i:
                acc.add(widen(line[i]))
            store(y, [r], acc.get())
    return builder


def printed(builder: FunctionBuilder, may_alias: frozenset[int] = frozenset()) -> str:
    return print_function(lower_function(builder.function).function, "f", may_alias)


def test_scratch_becomes_the_last_parameter() -> None:
    lowered = lower_function(sum_rows().function)
    assert lowered.scratch == (ScratchBuffer("line", "int16", 16),)
    text = printed(sum_rows())
    assert "int16_t *restrict line)" in text
    body = text.split("{", 1)[1]
    assert not re.search(r"\w+_t \w+\[", body), "an array on the stack"


def test_what_is_only_read_is_const_and_nothing_aliases_unless_it_may() -> None:
    text = printed(sum_rows())
    assert "const int8_t *restrict x" in text
    assert "const int32_t *restrict bias" in text
    assert "int8_t *restrict y" in text and "const int8_t *restrict y" not in text
    aliasing = printed(sum_rows(), frozenset({0, 2}))
    assert "const int8_t *x" in aliasing and "int8_t *y" in aliasing


def test_accumulators_are_plain_variables_with_their_first_value() -> None:
    text = printed(sum_rows())
    assert "int32_t acc = bias[r];" in text
    assert "acc = acc + (int32_t)line[i];" in text


def test_subtraction_of_a_negative_number_reads_as_addition() -> None:
    assert "(int32_t)x[(r * 8) + i] + 3)" in printed(sum_rows())


def test_prototype_is_the_definition_s_signature() -> None:
    lowered = lower_function(sum_rows().function).function
    prototype = print_prototype(lowered, "f", frozenset())
    assert print_function(lowered, "f", frozenset()).startswith(prototype[:-1])
    assert prototype.endswith(");")


def test_branches_names_and_externs() -> None:
    with FunctionBuilder("branch") as builder:
        y = builder.parameter("y", (4,), "int32")
        with loop("i", 4) as i:
            double = bind("double", i * 2)
            with choose(i < 2) as (then, otherwise):
                with then:
                    store(y, [i], double)
                with otherwise:
                    store(y, [i], round_f32(widen(double, "float32") * T.float32(0.1)))
    text = printed(builder)
    assert "const int32_t double = i * 2;" not in text, "a keyword of C as a name"
    assert "} else {" in text
    assert "vq_round_f32(" in text and "0.10000000149011612f" in text


def test_extremes_are_legal_c() -> None:
    with FunctionBuilder("extremes") as builder:
        y = builder.parameter("y", (2,), "int32")
        store(y, [0], int32(-(2**31)))
        store(y, [1], int32(-5))
    text = printed(builder)
    assert "y[0] = INT32_MIN;" in text
    assert "y[1] = -5;" in text


def test_floats_are_not_simplified() -> None:
    with FunctionBuilder("floats") as builder:
        x = builder.parameter("x", (1,), "float32")
        y = builder.parameter("y", (1,), "float32")
        store(y, [0], (x[0] + T.float32(12582912.0)) - T.float32(12582912.0))
    assert "(x[0] + 12582912.0f) - 12582912.0f" in printed(builder)


def test_an_intrinsic_without_c_is_refused_by_name() -> None:
    with FunctionBuilder("sine") as builder:
        x = builder.parameter("x", (1,), "float32")
        y = builder.parameter("y", (1,), "float32")
        store(y, [0], T.sin(x[0]))
    with pytest.raises(ValueError, match="no C for"):
        printed(builder)


def test_functions_of_real_numbers_are_the_runtimes_own() -> None:
    with FunctionBuilder("exponential") as builder:
        x = builder.parameter("x", (1,), "float32")
        y = builder.parameter("y", (1,), "float32")
        store(y, [0], T.if_then_else(x[0] > T.float32(1), T.exp(x[0]), T.fabs(x[0])))
    assert "x[0] > 1.0f) ? vq_exp_f32(x[0]) : vq_fabs_f32(x[0])" in printed(builder)


def test_a_copy_writes_to_its_target_and_only_there() -> None:
    with FunctionBuilder("copies") as builder:
        x = builder.parameter("x", (4, 8), "int8")
        y = builder.parameter("y", (4, 8), "int8")
        with loop("r", 4) as r:
            copy(y, (r, 0), x, (3 - r, 0), 8)
    text = printed(builder)
    assert "const int8_t *restrict x" in text
    assert "int8_t *restrict y" in text and "const int8_t *restrict y" not in text
    assert "vq_copy(&y[r * 8], &x[24 - (r * 8)], 8);" in text
