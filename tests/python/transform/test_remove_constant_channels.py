"""RemoveConstantChannels never changes a bit, removes what it can, and its ranges are sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from channel_nets import (
    ALWAYS_CLAMPED,
    RELU,
    ROUNDINGS,
    SCALE,
    ZERO_POINT,
    Net,
    each_rounding,
    net,
    removed,
    samples,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

from vq_cortexm.compat import constant, constant_value, is_constant, op_name, shape_of
from vq_cortexm.op import conv2d, dense, depthwise_conv2d
from vq_cortexm.op.add import AddAttrs
from vq_cortexm.op.conv2d import Conv2dAttrs
from vq_cortexm.op.dense import DenseAttrs
from vq_cortexm.op.extremum import ExtremumAttrs
from vq_cortexm.op.lookup import LookupAttrs
from vq_cortexm.op.mul import MulAttrs
from vq_cortexm.op.pad import PadAttrs
from vq_cortexm.op.prelu import PreluAttrs
from vq_cortexm.op.registry import evaluate
from vq_cortexm.op.reshape import ReshapeAttrs
from vq_cortexm.op.resize2d import Resize2dAttrs
from vq_cortexm.op.slice import SliceAttrs
from vq_cortexm.op.softmax import SoftmaxAttrs
from vq_cortexm.op.transpose import TransposeAttrs
from vq_cortexm.transform.channel_ranges import channel_ranges
from vq_cortexm.transform.remove_constant_channels import RemoveConstantChannels
from vq_cortexm.transform.rewriting import bindings_of


def assert_ranges_sound(module: Any) -> None:
    main = module["main"]
    ranges = channel_ranges(main)
    for x in samples(module):
        values = {main.params[0]: x}
        for var, call in bindings_of(main):
            if op_name(call):
                args = [constant_value(a) if is_constant(a) else values[a] for a in call.args]
                values[var] = evaluate(call, args)
        for var, value in values.items():
            assert np.all(value >= ranges[var].low), var
            assert np.all(value <= ranges[var].high), var


# ------------------------------------------------------------------ what is removed


@each_rounding
def test_zero_weights_fold_into_an_unpadded_convolution(rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        return m.conv(m.conv(x, 6, "a", kernel=3, dead={1: 0, 4: 4000}), 4, "b", kernel=3)

    assert removed(net(make, rounding)) == {"a": (2, 6)}


@each_rounding
def test_a_channel_that_the_clamp_always_holds_goes(rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        w, b, scales = m.constants((5, 1, 1, 3), 0, {})
        biases = constant_value(b).copy()
        biases[3] = ALWAYS_CLAMPED
        attrs = Conv2dAttrs(groups=1, **m.window(0, ZERO_POINT))
        y = m.emit("vq.conv2d", [x, w, constant(biases), scales], attrs, "a")
        return m.conv(y, 4, "b", kernel=3, pad=1)

    assert removed(net(make, rounding)) == {"a": (1, 5)}


@each_rounding
def test_padding_keeps_a_constant_that_is_not_the_zero_point(rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        return m.conv(m.conv(x, 6, "a", dead={1: 0, 4: 4000}), 4, "b", kernel=3, pad=1)

    assert removed(net(make, rounding)) == {"a": (1, 6)}


def test_padding_does_not_keep_a_channel_that_nobody_weighs() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.conv(x, 6, "a", dead={4: 4000})
        attrs = Conv2dAttrs(groups=1, **m.window(1, -128))
        w, b, scales = m.constants((4, 3, 3, 6), 0, {})
        weight = constant_value(w).copy()
        weight[..., (2, 4)] = 0
        return m.emit("vq.conv2d", [y, constant(weight), b, scales], attrs, "b")

    assert removed(net(make)) == {"a": (2, 6)}


@each_rounding
def test_what_feeds_only_removed_channels_goes_too(rounding: str) -> None:
    """Pointwise and depthwise layers in turn: a dead end takes the whole column of channels."""

    def make(m: Net, x: Any) -> Any:
        y = m.depthwise_conv(m.conv(x, 6, "a", dead={0: 3000}), "b", pad=1, dead={5: 100}, **RELU)
        y = m.depthwise_conv(m.conv(y, 8, "c", dead={3: 0, 7: 900}), "d", dead={6: 5})
        return m.conv(y, 3, "e")

    lost = removed(net(make, rounding))
    # Channel 0 of "a" meets a padded border with a value that is not the zero point: it stays.
    assert lost == {"a": (1, 6), "b": (1, 6), "c": (3, 8), "d": (3, 8)}


def test_depthwise_multiplier_keeps_channels_in_whole_groups() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.conv(x, 3, "a")
        return m.conv(m.depthwise_conv(y, "b", multiplier=2, dead={0: 7, 2: 1, 3: 9}), 4, "c")

    assert removed(net(make)) == {"a": (1, 3), "b": (2, 6)}


@each_rounding
def test_flatten_and_dense(rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.pool(m.conv(x, 5, "a", dead={2: 3000}), "p")
        y = m.emit("vq.reshape", [y], ReshapeAttrs((1, -1)), "flat")
        return m.full(m.full(y, 7, "d", dead={0: 10, 6: -3000}), 4, "e")

    module = net(make, rounding)
    after = RemoveConstantChannels()(module)
    assert removed(module) == {"a": (1, 5), "p": (1, 5), "d": (2, 7)}
    shapes = {str(v.name): shape_of(v) for v, _ in bindings_of(after["main"])}
    assert shapes["flat"] == (1, 6 * 5 * 4)


def test_a_residual_sum_loses_what_both_sides_can() -> None:
    def make(m: Net, x: Any) -> Any:
        first = m.conv(x, 6, "a", dead={1: 0, 2: 500, 3: 0})
        second = m.conv(first, 6, "b", dead={1: 40, 2: 0, 4: 60})
        return m.conv(m.sum(first, second, "s"), 3, "c")

    assert removed(net(make)) == {"a": (2, 6), "b": (2, 6), "s": (2, 6)}


def test_a_residual_keeps_what_another_user_needs() -> None:
    """Channel 1 of the sum is constant, but only through a clamp: a padded user needs summands."""

    def make(m: Net, x: Any) -> Any:
        first = m.conv(x, 4, "a", dead={1: 2000})
        second = m.conv(first, 4, "b", kernel=3, pad=1, dead={1: 500})
        return m.conv(m.sum(first, second, "s"), 3, "c")

    assert removed(net(make)) == {}


def test_graph_outputs_keep_all_channels() -> None:
    def make(m: Net, x: Any) -> Any:
        first = m.conv(x, 4, "a", dead={1: 0})
        return relax.Tuple([first, m.conv(first, 3, "b", dead={0: 9})])

    module = net(make)
    assert removed(module) == {}


def test_a_layer_of_constants_keeps_one_channel() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.conv(x, 4, "a", dead=dict.fromkeys(range(4), 3000))
        return m.conv(m.depthwise_conv(y, "b"), 3, "c")

    assert removed(net(make)) == {"a": (3, 4), "b": (3, 4)}


@pytest.mark.parametrize("kind", ["avg", "max"])
@each_rounding
def test_constants_pass_through_padded_pools(kind: str, rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.rescale(m.conv(x, 4, "a", dead={2: 1500}), "r")
        return m.conv(m.pool(y, "p", kind, pad=1), 3, "b")

    assert removed(net(make, rounding)) == {"a": (1, 4), "r": (1, 4), "p": (1, 4)}


def test_a_window_of_padding_alone_is_no_constant() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.conv(x, 4, "a", dead={2: 1500})
        return m.conv(m.pool(y, "p", "max", pad=2), 3, "b")

    module = net(make)
    assert_ranges_sound(module)
    assert removed(module) == {}


def test_a_border_of_another_value_is_no_constant() -> None:
    def make(m: Net, x: Any) -> Any:
        return m.conv(m.border(m.conv(x, 4, "a", dead={2: 1500}), "pad"), 3, "b")

    assert removed(net(make)) == {}


def test_grouped_convolutions_and_transposes_keep_their_channels() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.conv(m.conv(x, 4, "a", dead={0: 0}), 6, "g", groups=2, dead={1: 0})
        turned = m.emit("vq.transpose", [m.conv(y, 4, "b")], TransposeAttrs((0, 1, 3, 2)), "t")
        return m.conv(turned, 2, "c")

    module = net(make)
    assert_ranges_sound(module)
    assert removed(module) == {}


@each_rounding
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_constants_pass_through_resizes(method: str, rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        attrs = Resize2dAttrs((9, 7), method, "half_pixel", rounding=rounding)
        y = m.emit("vq.resize2d", [m.conv(x, 4, "a", dead={2: 1500})], attrs, "r")
        return m.conv(y, 3, "b")

    module = net(make, rounding)
    assert_ranges_sound(module)
    assert removed(module) == {"a": (1, 4), "r": (1, 4)}


def test_slices_and_mirrored_borders_keep_their_channels() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.conv(x, 4, "a", dead={2: 1500})
        shape = shape_of(y)
        part = SliceAttrs((0, 1, 0, 1), (1, 1, 1, 1), (shape[0], shape[1] - 1, shape[2], 3))
        cut = m.emit("vq.slice", [y], part, "cut")
        border = PadAttrs((0, 0, 1, 1, 1, 1, 0, 0), 0, "reflect")
        return m.conv(m.emit("vq.pad", [cut], border, "border"), 3, "b")

    module = net(make)
    assert_ranges_sound(module)
    assert removed(module) == {}


@each_rounding
def test_a_live_model_stays_as_it_is(rounding: str) -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.depthwise_conv(m.conv(x, 6, "a"), "b", pad=1)
        return add_head(m, m.pool(m.sum(y, m.conv(y, 6, "c"), "s"), "p"), dead={})

    assert removed(net(make, rounding)) == {}


def test_a_second_run_finds_nothing() -> None:
    def make(m: Net, x: Any) -> Any:
        y = m.depthwise_conv(m.conv(x, 6, "a", dead={1: 0, 4: 4000}), "b", dead={2: 0})
        return m.conv(y, 4, "c", kernel=2)

    once = RemoveConstantChannels()(net(make))
    assert removed(once) == {}


# ------------------------------------------------------------------ the edges of 32 bits


def test_a_bias_that_would_leave_int32_keeps_the_channels() -> None:
    """Two contributions that cancel: each alone would overflow the bias."""

    def make(m: Net, x: Any) -> Any:
        y = m.conv(x, 3, "a", dead={0: 3000, 1: 3000})
        w, b, scales = m.constants((2, 1, 1, 3), 0, {})
        weight, bias = constant_value(w).copy(), constant_value(b).copy()
        weight[0, 0, 0], bias[0] = (100, -100, 0), np.iinfo(np.int32).max
        attrs = Conv2dAttrs(groups=1, **m.window(0, -128))
        return m.emit("vq.conv2d", [y, constant(weight), constant(bias), scales], attrs, "b")

    assert removed(net(make)) == {}


def test_a_left_shift_that_wraps_gives_the_whole_clamp() -> None:
    """With `double` a scale of 64 first shifts left by 7: from 2**24 the sign flips."""

    def make(m: Net, x: Any) -> Any:
        w, _, _ = m.constants((2, 1, 1, 3), 0, {})
        bias = np.array([1 << 24, 100], np.int32)
        scales = np.full(2, 64, np.float32)
        attrs = Conv2dAttrs(groups=1, **m.window(0, -128))
        y = m.emit("vq.conv2d", [x, w, constant(bias), constant(scales)], attrs, "a")
        return m.conv(y, 2, "b")

    module = net(make, "double")
    assert_ranges_sound(module)
    assert removed(module) == {}


@pytest.mark.parametrize("op", [conv2d, dense, depthwise_conv2d], ids=lambda op: op.__name__)
@each_rounding
def test_a_requantization_depends_on_its_own_scale_alone(op: Any, rounding: str) -> None:
    """What lets a channel's neighbours go: constants of some channels are some of the constants."""
    attrs = DenseAttrs(**{**Net((1, 1), 0).around(), "x_scale": 0.0372, "rounding": rounding})
    scales = np.array([0.00123, 0.0017, 0.00123, 0.0301], np.float32)
    kept = [0, 2]
    every, some = op.constants(scales, attrs), op.constants(scales[kept], attrs)
    for name in ("scale",) if rounding == "float" else ("multiplier", "shift"):
        np.testing.assert_array_equal(getattr(every, name)[kept], getattr(some, name))


# ------------------------------------------------------------------ random nets


LAYERS = (
    "difference",
    "gate",
    "larger",
    "prelu",
    "scaled",
    "table",
    "conv1",
    "conv3",
    "conv3_pad",
    "grouped",
    "depthwise",
    "depthwise_pad",
    "spread",
    "residual",
    "avg",
    "max",
    "avg_pad",
    "max_pad",
    "rescale",
    "border",
    "transpose",
)
DEAD_BIASES = (0, 0, 3000, -2500, ALWAYS_CLAMPED)


def dead_channels(m: Net, channels: int) -> dict[int, int]:
    chosen = m.rng.random(channels) < 0.5
    return {int(c): int(m.rng.choice(DEAD_BIASES)) for c in np.flatnonzero(chosen)}


def add_elementwise(m: Net, x: Any, kind: str, label: str) -> Any:
    """With another tensor of dead channels, or with constants of each channel."""
    here = shape_of(x)[3]
    if kind == "table":
        entries = m.rng.integers(-128, 128, 256).astype(np.int8)
        return m.emit("vq.lookup", [x, constant(entries)], LookupAttrs(), label)
    if kind in ("scaled", "prelu"):
        other = constant(m.rng.integers(-128, 128, (1, 1, 1, here)).astype(np.int8))
    else:
        other = m.conv(x, here, f"{label}_conv", dead=dead_channels(m, here))
    if kind == "larger":
        attrs: Any = ExtremumAttrs("maximum", -128, 127)
        return m.emit("vq.extremum", [x, other], attrs, label)
    inputs = (0.8 * SCALE, ZERO_POINT, SCALE, -7)
    if kind == "difference":
        attrs = AddAttrs(*inputs, **m.ends(), negated=str(m.rng.choice(["a", "b"])))
        return m.emit("vq.add", [x, other], attrs, label)
    name, record = ("prelu", PreluAttrs) if kind == "prelu" else ("mul", MulAttrs)
    return m.emit(f"vq.{name}", [x, other], record(*inputs, **m.ends()), label)


def add_layer(m: Net, x: Any, kind: str, label: str) -> Any:
    channels = int(m.rng.integers(2, 7))
    y_min = int(m.rng.choice([-128, ZERO_POINT]))
    here, dead = shape_of(x)[3], dead_channels(m, channels)
    options = {"dead": dead, "y_min": y_min}
    if kind.startswith("conv"):
        kernel, pad = int(kind[4]), int(kind.endswith("pad"))
        return m.conv(x, channels, label, kernel=kernel, pad=pad, **options)
    if kind == "grouped":
        return m.conv(x, 2 * here, label, groups=here, dead=dead_channels(m, here), y_min=y_min)
    if kind.startswith("depthwise") or kind == "spread":
        multiplier = 2 if kind == "spread" else 1
        options["dead"] = dead_channels(m, here * multiplier)
        pad = int(kind.endswith("pad"))
        return m.depthwise_conv(x, label, kernel=2 + pad, pad=pad, multiplier=multiplier, **options)
    if kind == "residual":
        return m.sum(x, m.conv(x, here, f"{label}_conv", dead=dead_channels(m, here)), label)
    if kind in ("difference", "gate", "larger", "scaled", "prelu", "table"):
        return add_elementwise(m, x, kind, label)
    if kind == "border":
        return m.border(x, label, int(m.rng.choice([ZERO_POINT, 3])))
    if kind == "transpose":
        return m.emit("vq.transpose", [x], TransposeAttrs((0, 2, 1, 3)), label)
    if kind == "rescale":
        return m.rescale(x, label)
    return m.pool(x, label, kind[:3], int(kind.endswith("pad")))


def add_head(m: Net, x: Any, dead: dict[int, int]) -> Any:
    flat = m.emit("vq.reshape", [x], ReshapeAttrs((1, int(np.prod(shape_of(x))))), "flat")
    logits = m.full(m.full(flat, 5, "hidden", dead), 4, "logits")
    attrs = SoftmaxAttrs(
        beta=1.0,
        x_scale=SCALE,
        x_zero_point=ZERO_POINT,
        y_scale=1 / 256,
        y_zero_point=-128,
        y_min=-128,
        y_max=127,
        rounding=m.rounding,
    )
    return m.emit("vq.softmax", [logits], attrs, "softmax")


def random_net(kinds: list[str], rounding: str, seed: int) -> Any:
    """A first convolution, the given layers, and a classifier or a convolution as the end."""

    def make(m: Net, x: Any) -> Any:
        x = m.conv(x, 4, "first", kernel=2, dead=dead_channels(m, 4))
        for index, kind in enumerate(kinds):
            x = add_layer(m, x, kind, f"layer{index}")
        return add_head(m, x, dead_channels(m, 5)) if seed % 2 else m.conv(x, 3, "last", kernel=2)

    return net(make, rounding, (1, 10, 10, 3), seed)


nets = st.builds(
    random_net,
    st.lists(st.sampled_from(LAYERS), min_size=3, max_size=3),
    st.sampled_from(ROUNDINGS),
    st.integers(0, 1 << 20),
)


@settings(max_examples=120, deadline=None)
@given(nets)
def test_random_nets_stay_bit_identical(module: Any) -> None:
    removed(module)


def test_a_product_loses_what_both_factors_can() -> None:
    """Its constant goes with the channel."""

    def make(m: Net, x: Any) -> Any:
        a = m.conv(x, 4, "a", dead={0: ALWAYS_CLAMPED, 1: ALWAYS_CLAMPED})
        return m.conv(add_elementwise(m, a, "scaled", "scaled"), 3, "b")

    assert removed(net(make)) == {"a": (2, 4), "scaled": (2, 4)}


@settings(max_examples=60, deadline=None)
@given(nets)
def test_observed_values_lie_in_their_ranges(module: Any) -> None:
    assert_ranges_sound(module)


def test_channel_goes_where_all_that_are_joined_agree() -> None:
    def make(m: Net, x: Any) -> Any:
        low = ALWAYS_CLAMPED
        a = m.conv(x, 4, "a", dead={0: low, 1: low, 2: low})
        b = m.conv(x, 4, "b", dead={0: low, 1: low, 3: low})
        return m.conv(m.join(1, a, b), 3, "c")

    module = net(make)
    assert removed(module) == {"a": (2, 4), "b": (2, 4), "join": (2, 4)}
    assert_ranges_sound(module)


def test_joined_channels_keep_their_ranges() -> None:
    def make(m: Net, x: Any) -> Any:
        return m.join(3, m.conv(x, 4, "a", dead={0: 7000}), m.conv(x, 2, "b", dead={1: 300}))

    module = net(make)
    assert removed(module) == {}
    assert_ranges_sound(module)
    (joined,) = [v for v, call in bindings_of(module["main"]) if op_name(call) == "vq.concat"]
    ranges = channel_ranges(module["main"])[joined]
    assert list(ranges.constant) == [True, False, False, False, False, True]
