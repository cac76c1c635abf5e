"""Depthwise convolutions from rows in scratch: the twins on the host and the assembly in the
emulator equal the NumPy reference, for drawn shapes, several layers a module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tvm import relax

from vq_cortexm.build import build_folded
from vq_cortexm.compat import constant, tensor_type
from vq_cortexm.kernels.dsp import depthwise_layout
from vq_cortexm.kernels.dsp.depthwise_conv2d import depthwise_conv2d, pack
from vq_cortexm.kernels.dsp.depthwise_layout import choose_layout
from vq_cortexm.kernels.dsp.finish import Finish
from vq_cortexm.kernels.layer import Layer, TensorSpec
from vq_cortexm.op.depthwise_conv2d import DepthwiseConv2dAttrs, output_shape
from vq_cortexm.op.registry import make_call
from vq_cortexm.samples import random_samples

Drawn = tuple[tuple[int, ...], str, list[Any], DepthwiseConv2dAttrs]


def draw_attrs(rng: np.random.Generator, kernel: tuple[int, int], dtype: str) -> Any:
    """With any padding a kernel can see, and clamps now and then."""
    y_dtype = str(rng.choice(["int8", "uint8"]))
    y_info, x_info = np.iinfo(y_dtype), np.iinfo(dtype)
    clamped = rng.random() < 0.25
    return DepthwiseConv2dAttrs(
        strides=tuple(int(s) for s in rng.choice([1, 1, 2, 2, 3], 2)),
        padding=tuple(int(rng.integers(0, k)) for k in (*kernel, *kernel)),
        dilation=(int(rng.choice([1, 1, 1, 2])) if kernel[0] != 3 else 1, 1),
        x_scale=float(np.float32(rng.uniform(0.01, 0.1))),
        x_zero_point=int(rng.integers(x_info.min, x_info.max + 1)),
        y_scale=float(np.float32(rng.uniform(0.05, 0.3))),
        y_zero_point=int(rng.integers(y_info.min, y_info.max + 1)),
        y_min=y_info.min + 30 if clamped else y_info.min,
        y_max=y_info.max - 30 if clamped else y_info.max,
        rounding=str(rng.choice(["single", "single", "double", "float"])),
        y_dtype=y_dtype,
    )


def draw_constants(rng: np.random.Generator, shape: tuple[int, ...]) -> list[Any]:
    weight = rng.integers(-128, 128, shape).astype(np.int8)
    bias = rng.integers(-3000, 3000, shape[2]).astype(np.int32)
    scale = rng.uniform(0.2, 1.0, shape[2]) / (20 * np.sqrt(shape[0] * shape[1]))
    return [weight, bias, scale.astype(np.float32)]


def draw(rng: np.random.Generator) -> Drawn:
    """Half of them 3x3, of 1 to 11 channels."""
    square = rng.random() < 0.5
    kernel = (3, 3) if square else tuple(int(k) for k in rng.integers(1, 8, 2))
    dtype = str(rng.choice(["int8", "uint8"]))
    attrs = draw_attrs(rng, kernel, dtype)
    height, width = (int(n) for n in rng.integers(1, 14, 2) + 7)
    channels, multiplier = int(rng.integers(1, 12)), int(rng.choice([1, 1, 1, 2]))
    batch = int(rng.choice([1, 1, 1, 2]))
    constants = draw_constants(rng, (*kernel, channels * multiplier))
    return (batch, height, width, channels), dtype, constants, attrs


def module_of(layers: Sequence[Drawn]) -> Any:
    """A module of independent layers, each with an input and an output of its own."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{i}", tensor_type(d[0], d[1])) for i, d in enumerate(layers)]
    with builder.function("main", inputs):
        with builder.dataflow():
            outputs = []
            for x, (_, _, constants, attrs) in zip(inputs, layers, strict=True):
                call = make_call("vq.depthwise_conv2d", [x, *map(constant, constants)], attrs)
                outputs.append(builder.emit(call, name_hint="layer"))
            output = builder.emit_output(relax.Tuple(outputs))
        builder.emit_func_output(output)
    result = builder.get()
    described = {"inputs": [{}] * len(layers), "outputs": [{}] * len(layers)}
    result["main"] = result["main"].with_attrs(
        {"vq.rounding": "single", "vq.quantization": described}
    )
    return result


def check(seed: int, board: str, layers: int, poison: bool = False) -> None:
    rng = np.random.default_rng(seed)
    drawn = [draw(rng) for _ in range(layers)]
    compiled = build_folded(module_of(drawn), name="layers")
    called = [{k.family for k in kernels} for kernels in compiled.program.micro_kernels.values()]
    assert all("depthwise_gather" in families for families in called)
    samples = random_samples(compiled.program.inputs, 2, seed)
    result = compiled.run(samples, board, check=True, poison=poison)
    assert result.bit_exact, f"seed {seed}, {board}"


def layer_of(shape: tuple[int, ...], kernel: tuple[int, int] = (3, 3), **changes: Any) -> Layer:
    """A layer whose outputs are as large as its input where the stride is 1."""
    rng = np.random.default_rng(1)
    half = tuple(k // 2 for k in kernel)
    attrs = replace(
        draw_attrs(rng, kernel, "int8"),
        **{"strides": (1, 1), "padding": (*half, *half), "dilation": (1, 1), **changes},
        rounding="single",
    )
    constants = draw_constants(rng, (*kernel, shape[3]))
    output = output_shape(shape, constants[0].shape, attrs)
    tensors = (TensorSpec(shape, "int8"), TensorSpec(output, attrs.y_dtype))
    return Layer("vq.depthwise_conv2d", attrs, tensors[:1], tuple(constants), tensors[1])


@pytest.mark.parametrize("seed", range(3))
def test_on_the_host(seed: int) -> None:
    check(seed, "host", layers=5)


@pytest.mark.parametrize("seed", range(10, 13))
def test_in_the_emulator(seed: int) -> None:
    check(seed, "mps2-an386", layers=5)


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_under_poison(board: str) -> None:
    check(20, board, layers=4, poison=True)


@pytest.mark.parametrize(("seed", "board"), [(31, "host"), (33, "mps2-an386")])
def test_in_strips(seed: int, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise_layout, "_PLANE_BYTES", 300)
    monkeypatch.setattr(depthwise_layout, "_GROUP_BYTES", 300)
    check(seed, board, layers=5)


@pytest.mark.parametrize(("stride", "board"), [(1, "host"), (1, "mps2-an386"), (2, "mps2-an386")])
def test_strips_in_place(stride: int, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An odd number of rows, of which strips have even numbers."""
    monkeypatch.setattr(depthwise_layout, "_PLANE_BYTES", 300)
    monkeypatch.setattr(depthwise_layout, "_GROUP_BYTES", 300)
    shape = (1, 13 * stride, 12 * stride, 6)
    layer = layer_of(shape, strides=(stride, stride))
    compiled = build_folded(module_of([(shape, "int8", list(layer.constants), layer.attrs)]))
    layout = choose_layout(layer)
    assert layout is not None and layout.strips > 1
    assert compiled.plan.arena_bytes == int(np.prod(shape)) + 2 * layout.elements
    samples = random_samples(compiled.program.inputs, 2, 1)
    assert compiled.run(samples, board, check=True, poison=True).bit_exact


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_many(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 4 < 2:
        monkeypatch.setattr(depthwise_layout, "_PLANE_BYTES", 300)
        monkeypatch.setattr(depthwise_layout, "_GROUP_BYTES", 300)
    check(seed, "mps2-an386" if seed % 2 else "host", layers=4, poison=seed % 8 < 2)


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_far_places(board: str) -> None:
    """Rows that the loads of depthwise_3x3 do not reach; outputs 4 KB apart and more."""
    kernels = {(1, 5, 700, 3): (3, 3), (1, 3, 90, 60): (3, 3), (1, 9, 2, 2100): (3, 1)}
    layers = [layer_of(shape, kernel) for shape, kernel in kernels.items()]
    module = module_of([(x.inputs[0].shape, "int8", list(x.constants), x.attrs) for x in layers])
    compiled = build_folded(module, name="layers")
    samples = random_samples(compiled.program.inputs, 1, 1)
    assert compiled.run(samples, board, check=True).bit_exact


@pytest.mark.parametrize(
    ("shape", "kernel", "changes", "family"),
    [
        ((1, 25, 5, 64), (3, 3), {}, "depthwise_3x3"),
        ((1, 48, 48, 16), (3, 3), {"strides": (2, 2)}, "depthwise_3x3"),
        ((1, 3, 3, 31), (3, 3), {}, "depthwise_3x3"),
        ((1, 9, 9, 2), (3, 3), {"strides": (3, 3)}, "depthwise_any"),
        ((1, 9, 9, 2), (3, 3), {"dilation": (2, 1)}, "depthwise_any"),
        ((1, 15, 1, 8), (15, 1), {"padding": (0, 0, 0, 0)}, "depthwise_any"),
        ((2, 9, 9, 2), (7, 4), {}, "depthwise_any"),
    ],
)
def test_routines(
    shape: tuple[int, ...], kernel: tuple[int, int], changes: dict[str, Any], family: str
) -> None:
    realised = depthwise_conv2d(layer_of(shape, kernel, **changes))
    assert realised is not None
    families = {routine.family for routine in realised.micro}
    assert families - {"depthwise_fill"} == {family, "depthwise_gather"}
    assert ("depthwise_fill" in families) == any(changes.get("padding", kernel))
    assert set(realised.inplace) == ({0} if shape[0] == 1 else set())


@pytest.mark.parametrize(
    ("kernel", "changes"),
    [((3, 3), {"dilation": (2, 2)}), ((3, 3), {"strides": (4, 4)}), ((65, 1), {})],
)
def test_what_the_routines_do_not_take(kernel: tuple[int, int], changes: dict[str, Any]) -> None:
    assert depthwise_conv2d(layer_of((1, 70, 9, 3), kernel, **changes)) is None


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((1, 48, 48, 8), 1), ((1, 48, 48, 16), 2), ((1, 25, 5, 64), 1), ((1, 112, 112, 32), 1)],
)
def test_scratch_is_bounded(shape: tuple[int, ...], strides: int) -> None:
    layout = choose_layout(layer_of(shape, strides=(strides, strides)))
    assert layout is not None
    assert 2 * layout.elements <= min(5120, max(1024, int(np.prod(shape)) // 5))


def test_a_plane_lies_along_its_longer_side() -> None:
    tall, wide = (choose_layout(layer_of((1, *size, 64))) for size in ((25, 5), (5, 25)))
    assert tall is not None and wide is not None
    assert tall.image.transposed and not wide.image.transposed
    assert tall.image.out_size == wide.image.out_size == (5, 25)


def words_of(
    weight: NDArray[np.int8], bias: int, own: int, **changes: Any
) -> list[tuple[int, ...]]:
    """The stream of a layer of one channel as rows of bytes, after the bias and multiplier."""
    kernel = weight.shape
    layout = choose_layout(layer_of((1, 9, 9, 1), kernel, **changes))
    assert layout is not None
    ending = Finish(np.array([[own]], np.int32), 0, {})
    rows = pack(weight[np.newaxis], np.array([bias], np.int32), ending, layout)
    (packed,) = rows.constants
    assert packed.dtype == np.int32 and packed[0, :2].tolist() == [bias, own]
    return [tuple(word) for word in packed[0, 2:].reshape(-1, 1).view(np.int8).tolist()]


def test_stream_of_3x3() -> None:
    weight = np.arange(-4, 5, dtype=np.int8).reshape(3, 3)
    assert words_of(weight, bias=70000, own=-3) == [(-4, -3, -3, -2), (-1, 0, 0, 1), (2, 3, 3, 4)]
    assert words_of(weight, bias=1, own=2, strides=(2, 2)) == [
        (-4, -1, -3, 0),
        (2, -2, 3, 1),
        (4, 0, 0, 0),
    ]


def test_stream_of_other_kernels() -> None:
    three, four = (np.arange(1, n + 1, dtype=np.int8)[np.newaxis] for n in (3, 4))
    assert words_of(three, bias=0, own=0) == [(1, 0, 2, 1), (3, 2, 0, 3)]
    assert words_of(four, bias=0, own=0) == [(1, 0, 2, 1), (3, 2, 4, 3), (0, 4, 0, 0)]
    assert words_of(three, bias=0, own=0, strides=(2, 2)) == [(1, 3, 2, 0)]
