"""Layers of drawn shapes and attributes: under poison the compiled C equals the reference."""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np
import pytest
from tvm import relax

from vq_cortexm.build import build_folded
from vq_cortexm.compat import constant, constant_value, tensor_type
from vq_cortexm.kernels import realise
from vq_cortexm.nary.encoding import possible_realisations
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.concat import ConcatAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.conv2d_transpose import Conv2dTransposeAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.pad import PadAttrs
from vq_cortexm.op.registry import make_call
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.op.resize2d import COORDINATES, Resize2dAttrs
from vq_cortexm.op.slice import SliceAttrs
from vq_cortexm.op.softmax import SoftmaxAttrs
from vq_cortexm.op.transpose import TransposeAttrs
from vq_cortexm.samples import random_samples
from vq_cortexm.tags import core_of_target
from vq_cortexm.transform.lower_to_tir import layer_of
from vq_cortexm.transform.rewriting import bindings_of
from vq_cortexm.transform.vq_config import VirtualQuantizeConfig

ROUNDINGS = ("single", "double", "float")


def draw_int(rng: np.random.Generator, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def draw_output(rng: np.random.Generator) -> dict[str, Any]:
    dtype = "uint8" if rng.random() < 0.3 else "int8"
    info = np.iinfo(dtype)
    low, high = sorted(draw_int(rng, info.min, info.max) for _ in range(2))
    clamped = rng.random() < 0.3
    return {
        "y_scale": float(np.float32(rng.uniform(0.01, 0.3))),
        "y_zero_point": draw_int(rng, info.min, info.max),
        "y_min": low if clamped else int(info.min),
        "y_max": high if clamped else int(info.max),
        "y_dtype": dtype,
        "rounding": str(rng.choice(ROUNDINGS)),
    }


def draw_input(rng: np.random.Generator, dtype: str) -> dict[str, Any]:
    info = np.iinfo(dtype)
    return {
        "x_scale": float(np.float32(rng.uniform(0.005, 0.2))),
        "x_zero_point": draw_int(rng, info.min, info.max),
    }


def draw_window(rng: np.random.Generator) -> tuple[tuple[int, int], dict[str, Any]]:
    kernel = (draw_int(rng, 1, 4), draw_int(rng, 1, 4))
    padding = tuple(draw_int(rng, 0, k - 1) for k in (*kernel, *kernel))
    return kernel, {
        "strides": (draw_int(rng, 1, 3), draw_int(rng, 1, 3)),
        "padding": padding,
    }


def draw_weights(rng: np.random.Generator, shape: tuple[int, ...], channels: int) -> list[Any]:
    fan_in = int(np.prod(shape)) // channels
    scale = rng.uniform(0.2, 1.0, channels) / (20 * np.sqrt(fan_in))
    scale = scale[:1].repeat(channels) if rng.random() < 0.3 else scale
    return [
        constant(rng.integers(-127, 128, shape).astype(np.int8)),
        constant(rng.integers(-3000, 3000, channels).astype(np.int32)),
        constant(scale.astype(np.float32)),
    ]


def draw_shape(rng: np.random.Generator, channels: int) -> tuple[int, int, int, int]:
    return (draw_int(rng, 1, 2), draw_int(rng, 4, 11), draw_int(rng, 4, 11), channels)


def conv2d(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    groups, depth, per_group = (draw_int(rng, 1, n) for n in (2, 9, 7))
    kernel, window = draw_window(rng)
    attrs = Conv2dAttrs(
        **window,
        dilation=(draw_int(rng, 1, 2), draw_int(rng, 1, 2)) if max(kernel) < 3 else (1, 1),
        groups=groups,
        **draw_input(rng, dtype),
        **draw_output(rng),
    )
    weights = draw_weights(rng, (groups * per_group, *kernel, depth), groups * per_group)
    return draw_shape(rng, groups * depth), weights, attrs


def depthwise_conv2d(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    channels, multiplier = draw_int(rng, 1, 6), draw_int(rng, 1, 2)
    kernel, window = draw_window(rng)
    shape = draw_shape(rng, channels)
    if rng.random() < 0.4:  # more than a plane that is copied whole
        shape = (1, 21, 17, channels)
    attrs = DepthwiseConv2dAttrs(
        **window, dilation=(1, 1), **draw_input(rng, dtype), **draw_output(rng)
    )
    outputs = channels * multiplier
    weights = draw_weights(rng, (outputs, *kernel), outputs)
    weights[0] = constant(rng.integers(-127, 128, (*kernel, outputs)).astype(np.int8))
    return shape, weights, attrs


def dense(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    depth, outputs = draw_int(rng, 1, 70), draw_int(rng, 1, 17)
    attrs = DenseAttrs(**draw_input(rng, dtype), **draw_output(rng))
    shape = (draw_int(rng, 1, 3), depth)
    return shape, draw_weights(rng, (outputs, depth), outputs), attrs


def avg_pool2d(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    kernel, window = draw_window(rng)
    given, output = draw_input(rng, dtype), draw_output(rng)
    if rng.random() < 0.5:
        output |= {
            "y_scale": given["x_scale"],
            "y_zero_point": given["x_zero_point"],
            "y_dtype": dtype,
            "y_min": int(np.iinfo(dtype).min),
            "y_max": int(np.iinfo(dtype).max),
        }
    attrs = AvgPool2dAttrs(kernel, **window, **given, **output, mean=bool(rng.random() < 0.3))
    return draw_shape(rng, draw_int(rng, 1, 6)), [], attrs


def max_pool2d(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    kernel, window = draw_window(rng)
    given = draw_input(rng, dtype)
    info = np.iinfo(dtype)
    attrs = MaxPool2dAttrs(
        kernel,
        **window,
        **given,
        y_scale=given["x_scale"],
        y_zero_point=given["x_zero_point"],
        y_min=int(info.min),
        y_max=draw_int(rng, 0, info.max),
        y_dtype=dtype,
        dilation=(draw_int(rng, 1, 2), draw_int(rng, 1, 2)) if max(kernel) < 3 else (1, 1),
    )
    return draw_shape(rng, draw_int(rng, 1, 6)), [], attrs


def requantize(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    return draw_shape(rng, 3), [], RequantizeAttrs(**draw_input(rng, dtype), **draw_output(rng))


def softmax(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    info = np.iinfo(dtype)
    attrs = SoftmaxAttrs(
        beta=1.0,
        **draw_input(rng, dtype),
        y_scale=1 / 256,
        y_zero_point=int(info.min),
        y_min=int(info.min),
        y_max=int(info.max),
        rounding=str(rng.choice(ROUNDINGS)),
        y_dtype=dtype,
    )
    return (draw_int(rng, 1, 3), draw_int(rng, 1, 40)), [], attrs


def transpose(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    del dtype
    axes = tuple(int(a) for a in rng.permutation(4))
    return draw_shape(rng, draw_int(rng, 1, 5)), [], TransposeAttrs(axes)


def add(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    given = [draw_input(rng, dtype) for _ in range(2)]
    attrs = AddAttrs(
        given[0]["x_scale"],
        given[0]["x_zero_point"],
        given[1]["x_scale"],
        given[1]["x_zero_point"],
        **draw_output(rng),
    )
    return draw_shape(rng, 5), [], attrs


def concat(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    del dtype
    return draw_shape(rng, draw_int(rng, 1, 5)), [], ConcatAttrs(draw_int(rng, 0, 3))


def pad(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    info = np.iinfo(dtype)
    mode = str(rng.choice(["constant", "edge", "reflect", "symmetric"]))
    shape = draw_shape(rng, draw_int(rng, 1, 5))
    widths = tuple(draw_int(rng, 0, min(3, n - 1)) for n in shape for _ in range(2))
    return shape, [], PadAttrs(widths, draw_int(rng, info.min, info.max), mode)


def slice_(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    del dtype
    shape = draw_shape(rng, draw_int(rng, 1, 5))
    spans = []
    for n in shape:
        size, stride = draw_int(rng, 1, n), int(rng.choice([1, 1, 2, 3]))
        size = n if rng.random() < 0.4 else -(-size // stride)
        stride = 1 if size == n else stride
        first = draw_int(rng, 0, n - 1 - (size - 1) * stride)
        backwards = rng.random() < 0.2
        last = first + (size - 1) * stride
        spans.append((last, -stride, size) if backwards else (first, stride, size))
    return shape, [], SliceAttrs(*zip(*spans, strict=True))


def resize2d(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    del dtype
    attrs = Resize2dAttrs(
        (draw_int(rng, 1, 17), draw_int(rng, 1, 17)),
        str(rng.choice(["linear", "nearest"])),
        str(rng.choice(COORDINATES)),
        rounding=str(rng.choice(ROUNDINGS)),
    )
    return draw_shape(rng, draw_int(rng, 1, 5)), [], attrs


def conv2d_transpose(rng: np.random.Generator, dtype: str) -> tuple[Any, list[Any], Any]:
    groups, depth, per_group = (draw_int(rng, 1, n) for n in (2, 9, 7))
    kernel, window = draw_window(rng)
    attrs = Conv2dTransposeAttrs(
        **window,
        output_padding=(draw_int(rng, 0, 2), draw_int(rng, 0, 2)),
        groups=groups,
        **draw_input(rng, dtype),
        **draw_output(rng),
    )
    weights = draw_weights(rng, (groups * per_group, *kernel, depth), groups * per_group)
    return draw_shape(rng, groups * depth), weights, attrs


LAYERS = {
    f.__name__.rstrip("_"): f
    for f in (
        conv2d,
        depthwise_conv2d,
        dense,
        avg_pool2d,
        max_pool2d,
        requantize,
        softmax,
        transpose,
        add,
        concat,
        pad,
        slice_,
        resize2d,
        conv2d_transpose,
    )
}


def with_few_levels(rng: np.random.Generator, weights: list[Any]) -> list[Any]:
    """Uniform levels around zero, or drawn ones; steps make up for small ones."""
    levels = int(rng.choice([2, 3, 4, 5, 7, 9, 16, 21, 32, 50, 100, 128]))
    values = np.arange(levels) - levels // 2
    if rng.random() < 0.3:
        values = rng.choice(np.arange(-128, 128), levels, replace=False)
    weight, bias, scale = (constant_value(one) for one in weights)
    few = rng.choice(values, weight.shape).astype(np.int8)
    wider = scale * (70 / max(1, np.abs(values).mean()))
    return [constant(few), constant(bias // 50), constant(wider.astype(np.float32))]


def one_layer_module(name: str, seed: int, few_levels: bool = False) -> Any:
    """A module of a single drawn layer; `add` and `concat` take two inputs."""
    rng = np.random.default_rng([seed, *name.encode()])
    dtype = "uint8" if rng.random() < 0.3 else "int8"
    shape, weights, attrs = LAYERS[name](rng, dtype)
    weights = with_few_levels(rng, weights) if few_levels else weights
    builder = relax.BlockBuilder()
    count = 2 if name in ("add", "concat") else 1
    inputs = [relax.Var(f"x{i}", tensor_type(shape, dtype)) for i in range(count)]
    with builder.function("main", inputs):
        with builder.dataflow():
            call = make_call(f"vq.{name}", [*inputs, *weights], attrs)
            output = builder.emit_output(builder.emit(call, name_hint="layer"))
        builder.emit_func_output(output)
    module = builder.get()
    described = {"inputs": [{}] * count, "outputs": [{}]}
    rounding = getattr(attrs, "rounding", "single")
    module["main"] = module["main"].with_attrs(
        {"vq.rounding": rounding, "vq.quantization": described}
    )
    return module


def check(name: str, seed: int, board: str, target: str = "vq-cortexm") -> None:
    # in the arena outputs overlap inputs where they can, between the caller's buffers they cannot
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    compiled = build_folded(one_layer_module(name, seed), target, io=io, name="layer")
    samples = random_samples(compiled.program.inputs, 4, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"{name}, seed {seed}, {board}"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", LAYERS)
def test_layer_on_the_host(name: str, seed: int) -> None:
    check(name, seed, "host")


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385", "microbit"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_the_emulator(name: str, board: str) -> None:
    check(name, 100, board, f"vq-cortexm/{board}")


@pytest.mark.parametrize("seed", [220, 229, 236])
def test_depthwise_output_that_would_run_ahead_of_its_input(seed: int) -> None:
    check("depthwise_conv2d", seed, "host")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 250))
@pytest.mark.parametrize("name", LAYERS)
def test_many_layers(name: str, seed: int) -> None:
    check(name, seed, "mps2-an386" if seed % 4 == 0 else "host")


def check_stored(name: str, seed: int, board: str, target: str = "vq-cortexm") -> None:
    """One of the ways in which the core's kernel can store the weights."""
    module = one_layer_module(name, seed, few_levels=True)
    _, call = bindings_of(module["main"])[0]
    weight = constant_value(call.args[1])
    core = core_of_target(target)
    stored = [
        way
        for way in possible_realisations(weight)
        if realise(layer_of(call, realisation=way), core).weights.realisation == way
    ]
    way = stored[seed % len(stored)] if stored else "plain"
    asked = VirtualQuantizeConfig(realisation=way).to_json()
    module["main"] = module["main"].with_attr("vq.virtual_quantization", json.dumps(asked))
    objective: Any = ("balanced", "size")[seed // 2 % 2]
    compiled = build_folded(module, target, objective=objective, name="layer")
    (step,) = compiled.program.steps
    assert step.realisation == way
    samples = random_samples(compiled.program.inputs, 4, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"{name}, seed {seed}, {way}, {board}"


WITH_WEIGHTS = ("conv2d", "depthwise_conv2d", "dense")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_of_few_levels_on_the_host(name: str, seed: int) -> None:
    check_stored(name, seed, "host")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385", "microbit"])
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_of_few_levels_in_the_emulator(name: str, board: str, seed: int) -> None:
    check_stored(name, 100 + seed, board, f"vq-cortexm/{board}")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 250))
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_many_weights_of_few_levels(name: str, seed: int) -> None:
    board = ("mps2-an386", "host", "mps2-an385", "host")[seed % 4]
    check_stored(name, seed, board, "vq-cortexm" if board == "host" else f"vq-cortexm/{board}")
