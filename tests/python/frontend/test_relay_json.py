"""Modules that Relay-era TVM saved: each operator against Relay's own integer meaning in NumPy."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from relay_builder import RelayBuilder

import vq_cortexm
from vq_cortexm.compat import op_name
from vq_cortexm.errors import ModelError
from vq_cortexm.frontend import from_relay_json, load
from vq_cortexm.reference import run_reference
from vq_cortexm.transform import fold_pipeline
from vq_cortexm.transform.rewriting import bindings_of

Array = NDArray[Any]
IN, MID, OUT = (0.04, 3), (0.05, -7), (0.09, 5)


def multiplied(acc: Array, scale: float, rounding: str = "UPWARD") -> Array:
    """Relay's FixedPointMultiply: 31 bits of significand, one rounding of a 64-bit product."""
    significand, exponent = math.frexp(scale)
    factor, shift = round(significand * 2**31), 31 - exponent
    product = [int(n) * factor for n in acc.reshape(-1)]
    half = 1 << (shift - 1)
    less = [1 if rounding == "TONEAREST" and n < 0 else 0 for n in product]
    done = [(n + half - m) >> shift for n, m in zip(product, less, strict=True)]
    return np.array(done, np.int64).reshape(acc.shape)


def requantized(acc: Array, given: Any, wanted: Any, rounding: str = "UPWARD") -> Array:
    """`qnn.requantize` to int32, without saturation; the scale is float32, as the file has it."""
    ratio = float(np.float32(given[0])) / float(np.float32(wanted[0]))
    centred = acc.astype(np.int64) - given[1]
    scaled = centred if given[0] == wanted[0] else multiplied(centred, ratio, rounding)
    return scaled + wanted[1]


def saturated(values: Array, dtype: str = "int8") -> Array:
    info = np.iinfo(dtype)
    return np.clip(values, info.min, info.max).astype(dtype)


def convolved(x: Array, weight: Array, zero_point: int, stride: int = 1, pad: int = 0) -> Array:
    """Sums (N, OH, OW, O) of x (N, H, W, C) and weights (O, KH, KW, C)."""
    centred = np.pad(x.astype(np.int64) - zero_point, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    _, kh, kw, _ = weight.shape
    windows = sliding_window_view(centred, (kh, kw), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nijchw,ohwc->nijo", windows, weight.astype(np.int64))


def drawn(seed: int, shape: tuple[int, ...], dtype: str = "int8") -> Array:
    info = np.iinfo(dtype)
    found = np.random.default_rng(seed).integers(info.min, info.max + 1, shape)
    return found.astype(dtype)


def check(net: RelayBuilder, body: int, inputs: list[Array], wanted: Array, **options: Any) -> Any:
    """The module's result in NumPy; returns it folded."""
    folded = fold_pipeline()(from_relay_json(net.build(body), **options))
    np.testing.assert_array_equal(run_reference(folded, inputs)[0], wanted)
    return folded


def layers(folded: Any) -> list[str]:
    found = [op_name(value) for _, value in bindings_of(folded["main"])]
    return [name for name in found if name]


KERNELS = ["OHWI", "HWIO", "OIHW", "HWOI"]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_convolution_bias_requantize_and_clip_are_one_layer(layout: str, kernel: str) -> None:
    rng = np.random.default_rng(1)
    x, weight = drawn(2, (1, 6, 5, 3), "uint8"), drawn(3, (4, 3, 3, 3))
    bias = rng.integers(-999, 999, 4).astype(np.int32)
    scale = rng.uniform(2e-4, 4e-4, 4).astype(np.float32)
    net = RelayBuilder()
    order = (0, 3, 1, 2) if layout == "NCHW" else (0, 1, 2, 3)
    axis = layout.index("C")
    data = net.var("data", x.transpose(order).shape, "uint8")
    stored = weight.transpose(["OHWI".index(a) for a in kernel])
    options = {"strides": (2, 2), "padding": (1, 1, 1, 1)}
    y = net.conv2d(data, stored, (130, 0), data_layout=layout, kernel_layout=kernel, **options)
    y = net.call("nn.bias_add", [y, net.constant(bias)], axis=axis)
    y = net.requantize(y, (scale, 0), MID, axis=axis)
    y = net.call("clip", [y], a_min=-7, a_max=90)
    sums = convolved(x, weight, 130, 2, 1) + bias
    per_channel = [requantized(sums[..., i], (scale[i], 0), MID) for i in range(4)]
    wanted = np.clip(saturated(np.stack(per_channel, axis=-1)), -7, 90)
    folded = check(net, y, [x.transpose(order)], wanted.transpose(order))
    assert [op for op in layers(folded) if op != "vq.transpose"] == ["vq.conv2d"]


@pytest.mark.parametrize(
    ("kernel", "shape"), [("HWOI", (3, 3, 4, 2)), ("OIHW", (8, 1, 3, 3)), ("HWIO", (3, 3, 1, 8))]
)
def test_depthwise_convolution_of_any_multiplier(kernel: str, shape: tuple[int, ...]) -> None:
    x, weight = drawn(4, (1, 5, 5, 4)), drawn(5, shape)
    net = RelayBuilder()
    data = net.var("data", x.shape)
    y = net.conv2d(
        data, weight, (3, 0), groups=4, data_layout="NHWC", kernel_layout=kernel, channels=8
    )
    y = net.requantize(y, (1e-3, 0), MID, axis=3)
    taps = weight.transpose([kernel.index(a) for a in "HWOI"]).reshape(3, 3, 8)
    sums = [convolved(x[..., [o // 2]], taps[None, :, :, [o]], 3) for o in range(8)]
    wanted = saturated(requantized(np.concatenate(sums, axis=-1), (1e-3, 0), MID))
    assert layers(check(net, y, [x], wanted)) == ["vq.depthwise_conv2d"]


def test_grouped_convolution() -> None:
    x, weight = drawn(6, (1, 4, 4, 6)), drawn(7, (4, 3, 2, 2))
    net = RelayBuilder()
    data = net.var("data", (1, 6, 4, 4))
    y = net.requantize(net.conv2d(data, weight, (3, 0), groups=2), (1e-3, 0), MID, axis=1)
    moved = weight.transpose(0, 2, 3, 1)
    sums = [convolved(x[..., 3 * g : 3 * g + 3], moved[2 * g : 2 * g + 2], 3) for g in (0, 1)]
    wanted = saturated(requantized(np.concatenate(sums, axis=-1), (1e-3, 0), MID))
    check(net, y, [x.transpose(0, 3, 1, 2)], wanted.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("op", ["nn", "qnn"])
def test_dense_with_zero_points_of_weights_and_sums(op: str) -> None:
    x, weight = drawn(8, (1, 20)), drawn(9, (7, 20))
    bias = np.arange(-300, 400, 100, dtype=np.int32)
    net = RelayBuilder()
    data = net.var("data", x.shape)
    if op == "qnn":
        y = net.dense(data, (weight.astype(np.int64) + 128).astype(np.uint8), (IN[1], 128))
        centred = x.astype(np.int64) - IN[1]
    else:
        y = net.call("nn.dense", [data, net.constant(weight)], out_dtype="int32")
        centred = x.astype(np.int64)
    y = net.call("add", [y, net.constant(bias)])
    y = net.requantize(y, (2e-4, 40), MID)
    sums = centred @ weight.astype(np.int64).T + bias
    check(net, y, [x], saturated(requantized(sums, (2e-4, 40), MID)))


def test_relu_of_the_sums_is_a_clamp() -> None:
    x, weight = drawn(10, (1, 12)), drawn(11, (5, 12))
    net = RelayBuilder()
    y = net.dense(net.var("data", x.shape), weight, (IN[1], 0))
    y = net.requantize(net.call("nn.relu", [y]), (5e-4, 0), MID)
    sums = np.maximum((x.astype(np.int64) - IN[1]) @ weight.astype(np.int64).T, 0)
    wanted = saturated(requantized(sums, (5e-4, 0), MID))
    assert layers(check(net, y, [x], wanted)) == ["vq.dense"]


@pytest.mark.parametrize("scale", [0.03125, 0.0078125, 0.0123])
def test_rounding_to_nearest_takes_halves_away_from_zero(scale: float) -> None:
    """Powers of two have such halves."""
    x, weight = np.arange(-128, 128).astype(np.int8)[:, None], np.array([[1], [3]], np.int8)
    net = RelayBuilder()
    y = net.dense(net.var("data", x.shape), weight, (0, 0))
    y = net.requantize(y, (scale, 0), (0.0625, 2), rounding="TONEAREST")
    sums = x.astype(np.int64) @ weight.astype(np.int64).T
    wanted = saturated(requantized(sums, (scale, 0), (0.0625, 2), "TONEAREST"))
    upward = saturated(requantized(sums, (scale, 0), (0.0625, 2)))
    assert np.array_equal(wanted, upward) == (scale == 0.0123)
    check(net, y, [x], wanted)


def test_rounding_to_nearest_that_no_scale_gives_is_refused() -> None:
    """Sums so large that the next scale would move others than halves."""
    x, weight = np.arange(-128, 128).astype(np.int8)[:, None], np.array([[1]], np.int8)
    net = RelayBuilder()
    y = net.call(
        "nn.bias_add",
        [
            net.dense(net.var("data", x.shape), weight, (0, 0)),
            net.constant(np.array([1 << 30], np.int32)),
        ],
        axis=-1,
    )
    y = net.requantize(y, (2.0**-24, 0), (1.0, 2), rounding="TONEAREST")
    with pytest.raises(ModelError, match="rounding TONEAREST has exact halves; UPWARD works"):
        from_relay_json(net.build(y))


@pytest.mark.parametrize("op", ["qnn.add", "qnn.subtract", "qnn.mul"])
@pytest.mark.parametrize("seed", range(4))
def test_binary_operators(op: str, seed: int) -> None:
    """All pairs of 8-bit numbers: add and subtract round each operand by itself."""
    a, b = np.meshgrid(*[np.arange(-128, 128).astype(np.int8)] * 2)
    rng = np.random.default_rng(seed)
    drawn_scales = zip(rng.uniform(0.01, 0.1, 3), rng.integers(-90, 90, 3), strict=True)
    sa, sb, sy = ((float(np.float32(s)), int(z)) for s, z in drawn_scales)
    if seed == 3:
        sb, sy = sa, sa
    net = RelayBuilder()
    left, right = net.var("a", a.shape), net.var("b", b.shape)
    y = net.call(op, [left, right, *net.scales(sa, sb, sy)], lhs_axis=-1, rhs_axis=-1)
    if op == "qnn.mul":
        product = float(np.float32(sa[0]) * np.float32(sb[0]))
        centred = (a.astype(np.int64) - sa[1]) * (b.astype(np.int64) - sb[1])
        wanted = requantized(centred, (product, 0), sy)
    elif op == "qnn.add":
        wanted = requantized(a, sa, sy) + requantized(b, sb, sy) - sy[1]
    else:
        wanted = requantized(a, sa, sy) - requantized(b, sb, sy) + sy[1]
    folded = check(net, y, [a, b], saturated(wanted))
    described = folded["main"].attrs["vq.quantization"]
    assert [float(i["scale"]) for i in described["inputs"]] == [sa[0], sb[0]]
    assert float(described["outputs"][0]["scale"]) == sy[0]


@pytest.mark.parametrize("op", ["qnn.add", "qnn.subtract", "qnn.mul"])
@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (6, 1), (6,), (1, 4, 6, 6)])
@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_operand_of_fewer_axes_beside_a_convolution_of_channels_first(
    op: str, shape: tuple[int, ...], computed: bool, first: bool
) -> None:
    x, weight, other = drawn(30, (1, 3, 6, 6)), drawn(31, (4, 1, 1, 3)), drawn(32, shape)
    net = RelayBuilder()
    inputs = [x, other] if computed else [x]
    y = net.conv2d(
        net.var("data", x.shape), weight, (3, 0), data_layout="NCHW", kernel_layout="OHWI"
    )
    y = net.requantize(y, (2e-3, 0), MID, axis=1)
    z = net.var("other", shape) if computed else net.constant(other)
    sums = convolved(x.transpose(0, 2, 3, 1), weight, 3).transpose(0, 3, 1, 2)
    a, b = saturated(requantized(sums, (2e-3, 0), MID)), other
    scales = [MID, IN]
    if first:
        y, z, a, b = z, y, b, a
        scales.reverse()
    y = net.call(op, [y, z, *net.scales(*scales, OUT)])
    if op == "qnn.mul":
        product = float(np.float32(MID[0]) * np.float32(IN[0]))
        centred = (a.astype(np.int64) - scales[0][1]) * (b.astype(np.int64) - scales[1][1])
        wanted = requantized(centred, (product, 0), OUT)
    else:
        sign = -1 if op == "qnn.subtract" else 1
        wanted = requantized(a, scales[0], OUT)
        wanted = wanted + sign * (requantized(b, scales[1], OUT) - OUT[1])
    check(net, y, inputs, saturated(wanted))
    vq_cortexm.build(from_relay_json(net.build(y)), "vq-cortexm/cortex-m4", name="net")


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_integer_mean_is_cut_towards_zero(layout: str) -> None:
    x = drawn(13, (1, 5, 7, 6))
    order = (0, 3, 1, 2) if layout == "NCHW" else (0, 1, 2, 3)
    net = RelayBuilder()
    y = net.call("cast", [net.var("data", x.transpose(order).shape)], dtype="int32")
    y = net.call(
        "nn.avg_pool2d",
        [y],
        pool_size=(3, 3),
        strides=(2, 2),
        padding=(0, 1, 0, 1),
        dilation=(1, 1),
        layout=layout,
        out_layout="",
        ceil_mode=0,
        count_include_pad=0,
    )
    y = net.call("cast", [y], dtype="int8")
    padded = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (1, 1), (0, 0)))
    ones = np.pad(np.ones((5, 7)), ((0, 0), (1, 1)))
    wanted = np.zeros((1, 2, 4, 6), np.int64)
    for i in range(2):
        for j in range(4):
            rows, columns = slice(2 * i, 2 * i + 3), slice(2 * j, 2 * j + 3)
            total = padded[:, rows, columns].sum(axis=(1, 2))
            wanted[:, i, j] = np.trunc(total / ones[rows, columns].sum())
    check(net, y, [x.transpose(order)], wanted.astype(np.int8).transpose(order))


@pytest.mark.parametrize("op", ["mean", "nn.global_avg_pool2d"])
def test_mean_over_all_is_rescaled_from_int32(op: str) -> None:
    x = drawn(14, (1, 4, 3, 5))
    net = RelayBuilder()
    y = net.call("cast", [net.var("data", x.shape)], dtype="int32")
    if op == "mean":
        y = net.call("mean", [y], axis=(1, 2), keepdims=1, exclude=0)
    else:
        y = net.call(op, [y], layout="NHWC", out_layout="")
    y = net.requantize(y, IN, OUT)
    mean = np.trunc(x.astype(np.int64).sum(axis=(1, 2), keepdims=True) / 12).astype(np.int64)
    check(net, y, [x], saturated(requantized(mean, IN, OUT)))


@pytest.mark.parametrize("ceil", [0, 1])
def test_max_pool_of_both_layouts(ceil: int) -> None:
    x = drawn(15, (1, 3, 6, 7))
    net = RelayBuilder()
    y = net.call(
        "nn.max_pool2d",
        [net.var("data", x.shape)],
        pool_size=(2, 2),
        strides=(2, 2),
        padding=(0, 0),
        dilation=(1, 1),
        layout="NCHW",
        out_layout="",
        ceil_mode=ceil,
    )
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (0, ceil)), constant_values=-128)
    wide = padded[..., : 2 * (padded.shape[3] // 2)]
    wanted = wide.reshape(1, 3, 3, 2, -1, 2).max(axis=(3, 5))
    check(net, y, [x], wanted)


def test_concatenation_rescales_what_differs() -> None:
    a, b = drawn(16, (1, 3, 4)), drawn(17, (1, 2, 4))
    net = RelayBuilder()
    parts = net.tuple([net.var("a", a.shape), net.var("b", b.shape)])
    scales = net.tuple([net.constant(s, "float32") for s in (IN[0], OUT[0])])
    zeros = net.tuple([net.constant(z, "int32") for z in (IN[1], OUT[1])])
    y = net.call("qnn.concatenate", [parts, scales, zeros, *net.scales(OUT)], axis=1)
    wanted = np.concatenate([saturated(requantized(a, IN, OUT)), b], axis=1)
    check(net, y, [a, b], wanted)


def test_leaky_relu_keeps_what_is_not_below_the_zero_point() -> None:
    x = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    net = RelayBuilder()
    y = net.call("qnn.leaky_relu", [net.var("data", x.shape), *net.scales(IN, OUT)], alpha=0.3)
    offset = int(multiplied(np.array([OUT[1]]), 0.7)[0])
    below = multiplied(requantized(x, IN, OUT), 0.3) + offset
    check(net, y, [x], saturated(np.where(x < IN[1], below, x)))


def test_moves_and_slices() -> None:
    x = drawn(18, (1, 4, 6, 2))
    net = RelayBuilder()
    y = net.call("transpose", [net.var("data", x.shape)], axes=(0, 3, 1, 2))
    y = net.call("layout_transform", [y], src_layout="NCHW", dst_layout="NHWC")
    y = net.call(
        "strided_slice",
        [y],
        begin=(0, 1),
        end=(1, 4),
        axes=(0, 1),
        strides=(1, 2),
        slice_mode="end",
    )
    y = net.item(net.call("split", [y], indices_or_sections=(2, 5), axis=2), 1)
    y = net.call(
        "nn.pad",
        [y, net.constant(7.0, "float32")],
        pad_mode="constant",
        pad_width=((0, 0), (0, 0), (1, 0), (0, 0)),
    )
    y = net.call("reshape", [y], newshape=(0, -1), allowzero=0)
    y = net.call("expand_dims", [y], axis=1, num_newaxis=1)
    y = net.call("nn.batch_flatten", [net.call("squeeze", [y], axis=(1,))])
    moved = np.pad(x[:, 1:4:2, 2:5], ((0, 0), (0, 0), (1, 0), (0, 0)), constant_values=7)
    check(net, y, [x], moved.reshape(1, -1))


def test_clip_of_a_tensor_that_others_use_stays_its_own() -> None:
    x, weight = drawn(19, (1, 8)), drawn(20, (8, 8))
    net = RelayBuilder()
    y = net.requantize(net.dense(net.var("data", x.shape), weight, (0, 0)), (5e-4, 0), IN)
    clipped = net.call("clip", [y], a_min=0, a_max=50)
    end = net.call("qnn.add", [y, clipped, *net.scales(IN, IN, IN)])
    sums = saturated(requantized(x.astype(np.int64) @ weight.astype(np.int64).T, (5e-4, 0), IN))
    total = sums.astype(np.int64) + np.clip(sums, 0, 50) - IN[1]
    check(net, end, [x], saturated(total))


def test_float_softmax_between_dequantize_and_quantize() -> None:
    x = drawn(21, (1, 12))
    net = RelayBuilder()
    y = net.call("qnn.dequantize", [net.var("data", x.shape), *net.scales(IN)], axis=-1)
    y = net.call("nn.softmax", [y], axis=-1)
    y = net.call("qnn.quantize", [y, *net.scales((1 / 256, -128))], axis=-1, out_dtype="int8")
    compiled = vq_cortexm.build(from_relay_json(net.build(y)))
    real = np.exp((x.astype(np.float64) - IN[1]) * IN[0])
    wanted = saturated(np.rint(real / real.sum() * 256) - 128).astype(int)
    assert np.abs(run_reference(compiled.module, [x])[0].astype(int) - wanted).max() <= 1


def test_parameters_are_bound_by_name_and_their_type_is_checked() -> None:
    x, weight = drawn(22, (1, 6)), drawn(23, (3, 6))
    net = RelayBuilder()
    data, w = net.var("data", x.shape), net.var("w", weight.shape)
    zero, one = net.constant(0, "int32"), net.constant(1.0, "float32")
    y = net.call("qnn.dense", [data, w, zero, zero, one, one], out_dtype="int32")
    y = net.requantize(y, (1e-3, 0), MID)
    sums = x.astype(np.int64) @ weight.astype(np.int64).T
    wanted = saturated(requantized(sums, (1e-3, 0), MID))
    check(net, y, [x], wanted, params={"w": weight})
    with pytest.raises(ModelError, match="bind parameters by params"):
        from_relay_json(net.build(y))
    with pytest.raises(ModelError, match=r"'w' is int8\(3, 6\)"):
        from_relay_json(net.build(y), {"w": weight.T})


def test_several_outputs_and_a_file(tmp_path: Path) -> None:
    x = drawn(24, (1, 6))
    net = RelayBuilder()
    data = net.var("data", x.shape)
    ends = [net.requantize(data, IN, OUT), net.call("clip", [data], a_min=-4, a_max=4)]
    path = tmp_path / "two.json"
    path.write_text(net.build(net.tuple(ends)))
    compiled = vq_cortexm.build(load(path))
    first, second = run_reference(compiled.module, [x])
    np.testing.assert_array_equal(first, saturated(requantized(x, IN, OUT)))
    np.testing.assert_array_equal(second, np.clip(x, -4, 4))


def test_compiled_c_equals_relays_meaning() -> None:
    """A net with each kernel that Relay's meaning adds: separate roundings, truncated means."""
    x, weight = drawn(25, (1, 6, 6, 4)), drawn(26, (4, 1, 1, 4))
    net = RelayBuilder()
    data = net.var("data", x.shape)
    y = net.conv2d(data, weight, (3, 0), data_layout="NHWC", kernel_layout="OHWI")
    y = net.requantize(y, (2e-3, 0), MID, axis=3)
    y = net.call("qnn.add", [data, y, *net.scales(IN, MID, OUT)])
    y = net.call("cast", [y], dtype="int32")
    pool = {"pool_size": (3, 3), "strides": (3, 3), "padding": (0, 0), "dilation": (1, 1)}
    y = net.call("nn.avg_pool2d", [y], layout="NHWC", ceil_mode=0, count_include_pad=0, **pool)
    y = net.call("cast", [y], dtype="int8")
    compiled = vq_cortexm.build(from_relay_json(net.build(y)), "vq-cortexm/cortex-m4", name="net")
    sums = saturated(requantized(convolved(x, weight, 3), (2e-3, 0), MID))
    total = saturated(requantized(x, IN, OUT) + requantized(sums, MID, OUT) - OUT[1])
    mean = total.astype(np.int64).reshape(1, 2, 3, 2, 3, 4).sum(axis=(2, 4)) / 9
    for board in ("host", "mps2-an386"):
        result = compiled.run([x], board, check=True)
        np.testing.assert_array_equal(result.outputs[0][0], np.trunc(mean))
