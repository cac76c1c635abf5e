"""Two small classifiers of one input, for tests of models that are composed of both."""

from __future__ import annotations

from typing import Any

import numpy as np
from vq_models import ModelBuilder

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.compat import IRModule
from vq_cortexm.op import escalate
from vq_cortexm.reference import run_reference
from vq_cortexm.transform.composed import policy_of

CLASSES = 5
INPUT = {"scale": 0.02, "zero_point": -3}
LOGITS = ({"scale": 0.05, "zero_point": 3}, {"scale": 0.04, "zero_point": -5})
BOTH = {"fast_factor": 0.5, "accurate_factor": 1.0}


def classifier(
    channels: int,
    seed: int,
    logits: dict[str, Any] | None = None,
    *,
    x: dict[str, Any] | None = None,
    classes: int = CLASSES,
    rounding: str = "single",
) -> IRModule:
    """Two convolutions and a dense layer on (1, 6, 6, 3); logits (1, classes)."""
    builder = ModelBuilder((1, 6, 6, 3), seed, rounding)

    def make(net: ModelBuilder, x: Any) -> Any:
        y = net.conv2d(x, channels, 3, "first", strides=(2, 2))
        y = net.conv2d(y, channels, 3, "second", pad=1)
        return net.dense(net.flatten(y, "flat"), classes, "logits")

    module = builder.build(make)
    described = {"inputs": [INPUT if x is None else x], "outputs": [logits or LOGITS[0]]}
    module["main"] = module["main"].with_attrs({"vq.quantization": described})
    return module


def fast(**options: Any) -> IRModule:
    return classifier(4, 1, LOGITS[0], **options)


def accurate(**options: Any) -> IRModule:
    return classifier(12, 2, LOGITS[1], **options)


def samples(count: int) -> list[list[Any]]:
    module = compose(fast(), accurate())
    shape = module["main"].params[0].ty.shape
    rng = np.random.default_rng(3)
    size = tuple(int(n) for n in shape)
    return [[rng.integers(-128, 128, size).astype(np.int8)] for _ in range(count)]


def quantiles(policy: Policy, drawn: list[list[Any]]) -> tuple[int, ...]:
    """Thresholds below which none, some, half and all of the fast net's confidences are."""
    attrs = policy_of(compose(fast(), accurate(), policy))
    assert attrs is not None
    logits = np.concatenate([run_reference(fast(), sample)[0] for sample in drawn])
    sure = np.sort(escalate.confidence(logits, attrs.test))
    return int(sure[0]), int(sure[len(sure) // 4]), int(sure[len(sure) // 2]), int(sure[-1]) + 1
