"""TFLite's operators on single elements: a model of one operator equals TFLite's interpreters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tflite_builder import TfliteBuilder, run_litert, run_tflm

from vq_cortexm.compat import op_name
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_tflite
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import fold_pipeline
from vq_cortexm.transform.rewriting import bindings_of

RUN = {"double": run_tflm, "float": run_litert}
EVERY = np.arange(-128, 128).astype(np.int8).reshape(1, 16, 16)
SEEDS = range(6)

# Operator → its options, the output's scale and zero point where the operator has its own, and the
# interpreters that have it.
UNARY: dict[str, tuple[dict[str, Any], tuple[float, int] | None, str]] = {
    "ABS": ({}, None, "double float"),
    "ELU": ({}, None, "double float"),
    "EXP": ({}, None, "float"),
    "GELU": ({}, None, "float"),
    "HARD_SWISH": ({}, None, "double float"),
    "LEAKY_RELU": ({"Alpha": 0.1}, None, "double float"),
    "LOG": ({}, None, "float"),
    "LOGISTIC": ({}, (1 / 256, -128), "double float"),
    "SQRT": ({}, None, "float"),
    "TANH": ({}, (1 / 128, 0), "double float"),
}


def draw_scale(rng: np.random.Generator, seed: int) -> float:
    """Powers of two by turns: their quotients are halves now and then."""
    if seed % 3 == 0:
        return float(2.0 ** rng.integers(-6, -2))
    return float(np.float32(np.exp(rng.uniform(-5, -1.5))))


def draw_zero_point(rng: np.random.Generator) -> int:
    return int(rng.integers(-128, 128))


def fold(model: bytes, rounding: Any) -> Any:
    return fold_pipeline(rounding)(from_tflite(model))


def operators(module: Any) -> list[str]:
    return [op_name(value) for _, value in bindings_of(module["main"]) if op_name(value)]


def check(model: bytes, rounding: str, *inputs: Any) -> list[str]:
    """The folded model equals the interpreter; its operators."""
    module = fold(model, rounding)
    got = run_reference(module, list(inputs))[0]
    np.testing.assert_array_equal(got, RUN[rounding](model, *inputs))
    return operators(module)


@pytest.mark.parametrize(
    ("operator", "rounding"), [(name, r) for name, one in UNARY.items() for r in one[2].split()]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_one_tensor(operator: str, rounding: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *operator.encode()])
    options, own, _ = UNARY[operator]
    builder = TfliteBuilder()
    # neither logarithm nor root is there below zero, and tensors without that occur
    above = operator in ("LOG", "SQRT") or seed == 1
    zero_point = -128 if above else draw_zero_point(rng)
    x = builder.tensor(EVERY.shape, draw_scale(rng, seed), zero_point)
    y = builder.tensor(EVERY.shape, *(own or (draw_scale(rng, seed), draw_zero_point(rng))))
    builder.add(operator, [x], [y], **options)
    assert check(builder.build([x], [y]), rounding, EVERY) == ["vq.lookup"]


@pytest.mark.parametrize("operator", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("rounding", RUN)
@pytest.mark.parametrize(
    "shapes", [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((1, 3, 1), (2, 1, 4))]
)
@pytest.mark.parametrize("seed", SEEDS)
def test_two_tensors(operator: str, rounding: str, shapes: Any, seed: int) -> None:
    rng = np.random.default_rng([seed, *operator.encode()])
    builder = TfliteBuilder()
    a, b = (builder.tensor(shape, draw_scale(rng, seed), draw_zero_point(rng)) for shape in shapes)
    y = builder.tensor((2, 3, 4), draw_scale(rng, seed), draw_zero_point(rng))
    activation = ("NONE", "RELU", "RELU6")[seed % 3]
    builder.add(operator, [a, b], [y], FusedActivationFunction=activation)
    inputs = [rng.integers(-128, 128, shape).astype(np.int8) for shape in shapes]
    check(builder.build([a, b], [y]), rounding, *inputs)


@pytest.mark.parametrize("operator", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("rounding", RUN)
@pytest.mark.parametrize("shape", [(16,), (1, 16, 1), (1,)])
@pytest.mark.parametrize("first", [False, True])
def test_a_tensor_and_a_constant(operator: str, rounding: str, shape: Any, first: bool) -> None:
    rng = np.random.default_rng([*shape, *operator.encode()])
    builder = TfliteBuilder()
    x = builder.tensor(EVERY.shape, 0.05, 3)
    value = rng.integers(-128, 128, shape).astype(np.int8)
    c = builder.constant(value, 0.03)
    y = builder.tensor(EVERY.shape, 0.04, -9)
    builder.add(operator, [c, x] if first else [x, c], [y])
    found = check(builder.build([x], [y]), rounding, EVERY)
    expected = "vq.lookup" if shape == (1,) else {"MUL": "vq.mul"}.get(operator, "vq.add")
    assert [name for name in found if name != "vq.reshape"] == [expected]


@pytest.mark.parametrize("operator", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("rounding", RUN)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_tensor_and_itself_are_a_table(operator: str, rounding: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *operator.encode()])
    builder = TfliteBuilder()
    x = builder.tensor(EVERY.shape, draw_scale(rng, seed), draw_zero_point(rng))
    y = builder.tensor(EVERY.shape, draw_scale(rng, seed), draw_zero_point(rng))
    builder.add(operator, [x, x], [y])
    assert check(builder.build([x], [y]), rounding, EVERY) == ["vq.lookup"]


@pytest.mark.parametrize("operator", ["MAXIMUM", "MINIMUM"])
@pytest.mark.parametrize("rounding", RUN)
def test_extremum(operator: str, rounding: str) -> None:
    rng = np.random.default_rng(0)
    builder = TfliteBuilder()
    a, b, y = (builder.tensor(EVERY.shape, 0.05, 3) for _ in range(3))
    builder.add(operator, [a, b], [y])
    other = rng.permutation(EVERY.reshape(-1)).reshape(EVERY.shape)
    assert check(builder.build([a, b], [y]), rounding, EVERY, other) == ["vq.extremum"]


@pytest.mark.parametrize("slopes", [(1, 1, 16), (1, 1, 1)])
@pytest.mark.parametrize("rounding", RUN)
@pytest.mark.parametrize("seed", SEEDS)
def test_prelu(rounding: str, slopes: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    builder = TfliteBuilder()
    shape = (1, *EVERY.shape)
    x = builder.tensor(shape, draw_scale(rng, seed), draw_zero_point(rng))
    slope = builder.constant(
        rng.integers(-128, 128, slopes).astype(np.int8), 0.01, zero_point=draw_zero_point(rng)
    )
    y = builder.tensor(shape, draw_scale(rng, seed), draw_zero_point(rng))
    builder.add("PRELU", [x, slope], [y])
    expected = "vq.prelu" if slopes[-1] > 1 else "vq.lookup"
    assert check(builder.build([x], [y]), rounding, EVERY.reshape(shape)) == [expected]


@pytest.mark.parametrize(
    ("operator", "low", "high"), [("RELU_N1_TO_1", -1, 1), ("RELU_0_TO_1", 0, 1)]
)
def test_clips_alone_are_requantized(operator: str, low: float, high: float) -> None:
    builder = TfliteBuilder()
    x, y = (builder.tensor(EVERY.shape, 0.05, 3) for _ in range(2))
    builder.add(operator, [x], [y])
    model = builder.build([x], [y])
    assert check(model, "float", EVERY) == ["vq.requantize"]
    (got,) = run_reference(fold(model, "single"), [EVERY])
    np.testing.assert_array_equal(got, np.clip(EVERY, low / 0.05 + 3, high / 0.05 + 3))


@pytest.mark.parametrize(
    ("rounding", "dtype"), [("double", "int8"), ("float", "int8"), ("float", "uint8")]
)
@pytest.mark.parametrize("operator", ["QUANTIZE", "RELU"])
@pytest.mark.parametrize("seed", range(20))
def test_rescaling(operator: str, rounding: str, dtype: str, seed: int) -> None:
    """To any other scale of one type."""
    rng = np.random.default_rng([seed, *operator.encode()])
    offset = 0 if dtype == "int8" else 128
    builder = TfliteBuilder()
    x, y = (
        builder.tensor(EVERY.shape, draw_scale(rng, seed), draw_zero_point(rng) + offset, dtype)
        for _ in range(2)
    )
    builder.add(operator, [x], [y])
    every = (EVERY.astype(int) + offset).astype(dtype)
    check(builder.build([x], [y]), rounding, every)


def test_negation_is_of_the_real_numbers() -> None:
    """LiteRT negates the integers, whatever their zero point."""
    builder = TfliteBuilder()
    x, y = builder.tensor(EVERY.shape, 0.05, 3), builder.tensor(EVERY.shape, 0.05, -4)
    builder.add("NEG", [x], [y])
    (got,) = run_reference(fold(builder.build([x], [y]), "double"), [EVERY])
    np.testing.assert_array_equal(got, np.clip(-(EVERY.astype(int) - 3) - 4, -128, 127))


def test_slopes_that_are_not_of_channels_are_refused() -> None:
    builder = TfliteBuilder()
    x = builder.tensor((1, 4, 4, 2), 0.05, 3)
    slope = builder.constant(np.ones((4, 1, 1), np.int8), 0.01)
    y = builder.tensor((1, 4, 4, 2), 0.05, 3)
    builder.add("PRELU", [x, slope], [y])
    with pytest.raises(ModelError, match=r"PRELU \(operator 0\): slopes of shape \(4, 1, 1\)"):
        from_tflite(builder.build([x], [y]))


@pytest.mark.parametrize("rounding", RUN)
def test_swish_of_two_operators_is_one_table(rounding: str) -> None:
    builder = TfliteBuilder()
    x = builder.tensor(EVERY.shape, 0.05, 3)
    gate = builder.tensor(EVERY.shape, 1 / 256, -128)
    y = builder.tensor(EVERY.shape, 0.03, -100)
    builder.add("LOGISTIC", [x], [gate])
    builder.add("MUL", [x, gate], [y])
    assert check(builder.build([x], [y]), rounding, EVERY) == ["vq.lookup"]
