"""Nets that fit each other are composed, others refused with what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_layer import one_layer_module
from two_nets import BOTH, INPUT, LOGITS, accurate, classifier, fast, samples
from vq_models import ModelBuilder

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.build import build
from vq_cortexm.compat import load_module, save_module
from vq_cortexm.errors import ModelError, UsageError
from vq_cortexm.op.requantize import RequantizeAttrs
from vq_cortexm.reference import reference_answer, run_reference
from vq_cortexm.transform import VirtualQuantize, VirtualQuantizeConfig
from vq_cortexm.transform.composed import policy_of, with_thresholds


def two_inputs() -> Any:
    builder = ModelBuilder((1, 6, 6, 3), 1)
    module = builder.build(lambda m, x: m.conv2d(x, 3, 3, "conv"))
    described = {"inputs": [INPUT, INPUT], "outputs": [LOGITS[0]]}
    module["main"] = module["main"].with_attrs({"vq.quantization": described})
    return module


def without_scale() -> Any:
    module = fast()
    described = {"inputs": [INPUT], "outputs": [{}]}
    module["main"] = module["main"].with_attrs({"vq.quantization": described})
    return module


def of_int16() -> Any:
    """A net whose logits are int16."""
    attrs = RequantizeAttrs(0.1, 0, 0.001, 0, -32768, 32767, y_dtype="int16")
    module = one_layer_module("requantize", (1, 5), "int8", [], attrs)
    described = {"inputs": [INPUT], "outputs": [{"scale": 0.001, "zero_point": 0}]}
    module["main"] = module["main"].with_attrs({"vq.quantization": described})
    return module


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        ((classifier(4, 1, x={"scale": 0.03, "zero_point": -3}), accurate()), "scale 0.03, zero"),
        ((classifier(4, 1, x={"scale": 0.02, "zero_point": 4}), accurate()), "zero point 4"),
        ((fast(classes=4), accurate()), r"fast \(1, 4\), accurate \(1, 5\)"),
        ((fast(), accurate(rounding="float")), "fast single, accurate float; compile both"),
        ((compose(fast(), accurate()), accurate()), "the fast net is two nets itself"),
        ((fast(), two_inputs()), "the accurate net has 2 inputs"),
        ((without_scale(), accurate()), "the fast net's output has no scale"),
        ((of_int16(), of_int16()), "the fast net's output is int16"),
    ],
    ids=["scale", "zero_point", "classes", "rounding", "composed", "inputs", "logits", "int16"],
)
def test_nets_that_do_not_fit(nets: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        compose(*nets)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Policy(thresholds=(1, 2)), "2 thresholds; 1 or 5"),
        (Policy(fast_factor=-1.0), "fast_factor -1.0"),
        (Policy(output=(0.0, 0)), "y_scale 0.0 must be positive"),
        (Policy(output=(1e-30, 0), **BOTH), "times the output's"),
        (Policy("doubt"), "'doubt' is unknown"),  # type: ignore[arg-type]
    ],
)
def test_policies_that_do_not_fit(policy: Policy, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compose(fast(), accurate(), policy)


@pytest.mark.parametrize(
    ("policy", "output"),
    [
        (Policy(), None),
        (Policy(output=(0.1, 3)), (0.1, 3)),
        (Policy(fast_factor=1.0), None),
    ],
)
def test_output_clips_nothing_unless_asked(policy: Policy, output: Any) -> None:
    attrs = policy_of(compose(fast(), accurate(), policy))
    assert attrs is not None
    if output is not None:
        assert (attrs.y_scale, attrs.y_zero_point) == output
        return
    ends = [scale * (q - zero) for q in (-128, 127) for scale, zero in map(pair, LOGITS)]
    both = [ends[0] + ends[1], ends[2] + ends[3]] if policy.fast_factor else []
    low, high = (attrs.y_scale * (q - attrs.y_zero_point) for q in (-128, 127))
    slack = attrs.y_scale / 2 + 1e-6
    assert low <= min(ends + both) + slack
    assert high >= max(ends + both) - slack


def pair(logits: dict[str, Any]) -> tuple[float, int]:
    return logits["scale"], logits["zero_point"]


def test_one_scale_for_both_passes_either_nets_logits_on() -> None:
    other = classifier(12, 2, LOGITS[0])
    (sample,) = samples(1)
    module = compose(fast(), other)
    for threshold, path, net in ((-(1 << 31), "fast", fast()), ((1 << 31) - 1, "accurate", other)):
        (y,), taken = reference_answer(with_thresholds(module, (threshold,)), sample)
        assert taken == path
        assert np.array_equal(y, run_reference(net, sample)[0])


def test_composed_module_survives_its_file() -> None:
    module = compose(fast(), accurate(), Policy("entropy", (-900,), **BOTH))
    again = load_module(save_module(module))
    assert policy_of(again) == policy_of(module)
    (sample,) = samples(1)
    assert np.array_equal(run_reference(again, sample), run_reference(module, sample))


def test_each_net_has_levels_of_its_own() -> None:
    config = VirtualQuantizeConfig(levels=3, realisation="radix")
    compiled = build(compose(VirtualQuantize(config)(fast()), accurate()), name="both")
    levels = {layer["name"]: layer["levels"] for layer in compiled.report["layers"]}
    assert levels["fast_second"] == 3
    assert levels["accurate_second"] > 16
    stored = {layer["name"]: layer["realisation"] for layer in compiled.report["layers"]}
    assert (stored["fast_second"], stored["accurate_second"]) == ("radix", "plain")
    described = compiled.metadata["bc_net"]["virtual_quantization"]
    assert described["accurate"] is None
    assert described["fast"]["levels"] == 3
    assert "fast weights of 3 levels" in compiled.sources["both.h"]


@pytest.mark.parametrize("options", [{"rounding": "double"}, {"bits": 4}])
def test_what_was_decided_net_by_net_stays(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="compose"):
        build(compose(fast(), accurate()), **options)
