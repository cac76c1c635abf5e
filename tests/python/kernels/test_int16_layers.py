"""Drawn layers of int16 activations: under poison the compiled C equals the reference."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from one_layer import one_layer_module, routines

from vq_cortexm.aot.program import Program
from vq_cortexm.build import build_folded
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.avg_pool2d import AvgPool2dAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs
from vq_cortexm.op.max_pool2d import MaxPool2dAttrs
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.op.s_curve import SCurveAttrs
from vq_cortexm.op.softmax import SoftmaxAttrs
from vq_cortexm.samples import random_samples

Drawn = tuple[tuple[int, ...], list[Any], Any]
Rng = np.random.Generator


def number(rng: Rng, low: int, high: int) -> int:
    return int(rng.integers(low, high + 1))


def pair(rng: Rng, low: int, high: int) -> tuple[int, int]:
    return number(rng, low, high), number(rng, low, high)


def scale(rng: Rng) -> float:
    return float(np.float32(rng.uniform(1e-4, 1e-3)))


def output(rng: Rng, *roundings: str) -> dict[str, Any]:
    """Of int16 or, for some, of int8; now and then clamped."""
    dtype = "int8" if rng.random() < 0.2 else "int16"
    info = np.iinfo(dtype)
    clamped = rng.random() < 0.4
    return {
        "y_scale": scale(rng) * (1 if dtype == "int16" else 256),
        "y_zero_point": 0,
        "y_min": number(rng, info.min, -1) if clamped else int(info.min),
        "y_max": number(rng, 1, info.max) if clamped else int(info.max),
        "y_dtype": dtype,
        "rounding": str(rng.choice(roundings)),
    }


def product(rng: Rng, shape: tuple[int, ...], axis: int, rounding: str) -> list[Any]:
    """Weights, biases, scales; some layers have sums that could leave 32 bits."""
    channels = shape[axis]
    large = rounding != "double" and rng.random() < 0.3
    bias = rng.integers(-(10**6), 10**6, channels) * (5000 if large else 1)
    w_scale = rng.uniform(0.2, 1.0, channels) / (70 * (np.prod(shape) / channels) ** 0.5)
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    bias_dtype = np.int32 if rounding == "double" else np.int64
    return [weights, bias.astype(bias_dtype), w_scale.astype(np.float32)]


def window(rng: Rng, kernel: tuple[int, int]) -> dict[str, Any]:
    padding = tuple(number(rng, 0, k - 1) for k in (*kernel, *kernel))
    return {"strides": pair(rng, 1, 2), "padding": padding}


def conv2d(rng: Rng) -> Drawn:
    kernel, groups = pair(rng, 1, 4), number(rng, 1, 2)
    depth, per_group = number(rng, 1, 12), number(rng, 1, 6)
    given = {"x_scale": scale(rng), "x_zero_point": 0, **output(rng, "single", "double", "reduced")}
    attrs = Conv2dAttrs(**window(rng, kernel), dilation=(1, 1), groups=groups, **given)
    weights = product(rng, (groups * per_group, *kernel, depth), 0, attrs.rounding)
    return (1, *pair(rng, 4, 11), groups * depth), weights, attrs


def depthwise_conv2d(rng: Rng) -> Drawn:
    kernel, channels, multiplier = pair(rng, 1, 5), number(rng, 1, 6), number(rng, 1, 2)
    given = {"x_scale": scale(rng), "x_zero_point": 0, **output(rng, "single", "double", "reduced")}
    attrs = DepthwiseConv2dAttrs(**window(rng, kernel), dilation=(1, 1), **given)
    weights = product(rng, (*kernel, channels * multiplier), 2, attrs.rounding)
    extent = (21, 17) if rng.random() < 0.4 else pair(rng, 5, 11)
    return (1, *extent, channels), weights, attrs


def dense(rng: Rng) -> Drawn:
    depth, outputs = number(rng, 1, 70), number(rng, 1, 17)
    given = {"x_scale": scale(rng), "x_zero_point": 0, **output(rng, "single", "double", "reduced")}
    attrs = DenseAttrs(**given)
    return (number(rng, 1, 3), depth), product(rng, (outputs, depth), 0, attrs.rounding), attrs


def avg_pool2d(rng: Rng) -> Drawn:
    kernel = pair(rng, 1, 4)
    given = {"x_scale": scale(rng), "x_zero_point": 0, **output(rng, "single", "double")}
    if rng.random() < 0.5:
        whole = {"y_min": -32768, "y_max": 32767, "y_dtype": "int16"}
        given |= {"y_scale": given["x_scale"], **whole}
    attrs = AvgPool2dAttrs(kernel, **window(rng, kernel), **given, mean=bool(rng.random() < 0.3))
    return (1, *pair(rng, 4, 9), number(rng, 1, 5)), [], attrs


def max_pool2d(rng: Rng) -> Drawn:
    kernel, x_scale = pair(rng, 1, 4), scale(rng)
    attrs = MaxPool2dAttrs(
        kernel, **window(rng, kernel), x_scale=x_scale, x_zero_point=0, y_scale=x_scale,
        y_zero_point=0, y_min=-9000, y_max=32767, y_dtype="int16",
    )  # fmt: skip
    return (1, *pair(rng, 4, 9), number(rng, 1, 5)), [], attrs


def requantize(rng: Rng) -> Drawn:
    return (2, 60), [], RequantizeAttrs(scale(rng), 0, **output(rng, "single", "double"))


def add(rng: Rng) -> Drawn:
    whole = {"y_min": -32768, "y_max": 20000, "y_dtype": "int16"}
    rounding = str(rng.choice(["single", "double"]))
    scales = scale(rng), 0, scale(rng), 0, scale(rng), 0
    return (2, 60), [], AddAttrs(*scales, **whole, rounding=rounding)


def softmax(rng: Rng) -> Drawn:
    rounding = str(rng.choice(["single", "double", "float"]))
    whole = {"y_min": -32768, "y_max": 32767, "y_dtype": "int16"}
    attrs = SoftmaxAttrs(1.0, scale(rng), 0, 2.0**-15, 0, rounding=rounding, **whole)
    return (number(rng, 1, 3), number(rng, 1, 40)), [], attrs


def s_curve(rng: Rng) -> Drawn:
    return (3, 70), [], SCurveAttrs("tanh" if rng.random() < 0.5 else "sigmoid", scale(rng))


LAYERS = {
    f.__name__: f
    for f in (
        conv2d,
        depthwise_conv2d,
        dense,
        avg_pool2d,
        max_pool2d,
        requantize,
        add,
        softmax,
        s_curve,
    )
}


MICROBIT_BYTES = 10_000
"""For tensors, of its 16 KB; a larger layer goes to a larger part without DSP instructions."""


def tensor_bytes(program: Program) -> int:
    """Of inputs and outputs; a debug build has outputs twice."""
    tensors = *program.inputs, *program.outputs, *program.outputs
    return sum(tensor.size_bytes for tensor in tensors)


def check(name: str, seed: int, board: str) -> Any:
    """A drawn layer, now between the caller's buffers, now in the arena, where its output
    overlaps its input if it can."""
    rng = np.random.default_rng([seed, *name.encode()])
    shape, weights, attrs = LAYERS[name](rng)
    module = one_layer_module(name, shape, "int16", weights, attrs, 2 if name == "add" else 1)
    io: Literal["arena", "caller"] = "caller" if seed % 3 == 0 else "arena"
    target = "vq-cortexm" if board == "host" else f"vq-cortexm/{board}"
    compiled = build_folded(module, target, io=io, name="layer")
    if board == "microbit" and tensor_bytes(compiled.program) > MICROBIT_BYTES:
        return check(name, seed, "mps2-an385")
    samples = random_samples(compiled.program.inputs, 3, seed)
    result = compiled.run(samples, board, check=True, poison=True)
    assert result.bit_exact, f"{name}, seed {seed}, {board}"
    return compiled


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", LAYERS)
def test_layer_on_the_host(name: str, seed: int) -> None:
    check(name, seed, "host")


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an385", "microbit"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_in_the_emulator(name: str, board: str) -> None:
    check(name, 100, board)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 230))
@pytest.mark.parametrize("name", LAYERS)
def test_many_layers(name: str, seed: int) -> None:
    check(name, seed, ("host", "mps2-an386", "host", "microbit")[seed % 4])


def convolution(rng: Rng, dtype: str, kernel: tuple[int, int], depth: int) -> Drawn:
    """Sums within 32 bits."""
    info = np.iinfo(dtype)
    attrs = Conv2dAttrs(
        **window(rng, kernel),
        dilation=(1, 1),
        groups=1,
        x_scale=5e-4,
        x_zero_point=0,
        y_scale=7e-4 if dtype == "int16" else 0.18,
        y_zero_point=0,
        y_min=int(rng.integers(info.min, 1)),
        y_max=info.max,
        rounding=str(rng.choice(["single", "double", "reduced"])),
        y_dtype=dtype,
    )
    shape = (number(rng, 1, 13), *kernel, depth)
    weights = rng.integers(-90, 91, shape).astype(np.int8)
    w_scale = rng.uniform(0.2, 1.0, shape[0]) / (70 * (np.prod(shape) / shape[0]) ** 0.5)
    bias = rng.integers(-(10**5), 10**5, shape[0])
    return (1, 9, 8, depth), [weights, bias, w_scale.astype(np.float32)], attrs


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
@pytest.mark.parametrize(
    ("kernel", "depth", "dtype"),
    [
        ((1, 1), 8, "int16"),
        ((1, 1), 7, "int16"),
        ((3, 3), 8, "int16"),
        ((3, 2), 3, "int16"),
        ((3, 3), 5, "int8"),
    ],
)
def test_convolutions_on_cores_with_dsp_call_the_generated_routine(
    kernel: tuple[int, int], depth: int, dtype: str, board: str
) -> None:
    rng = np.random.default_rng([*kernel, depth])
    shape, weights, attrs = convolution(rng, dtype, kernel, depth)
    module = one_layer_module("conv2d", shape, "int16", weights, attrs)
    compiled = build_folded(module, name="layer")
    assert "conv_rows" in routines(compiled)
    samples = random_samples(compiled.program.inputs, 3, 1)
    assert compiled.run(samples, board, check=True, poison=True).bit_exact
