"""The whole operator: which net answers, and what both answer together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vq_cortexm.op.bc_net import BcNetAttrs, answer, combine

ATTRS = BcNetAttrs("margin", (10,), 0.5, 2.0, 0.1, 3, 0.2, -5, 0.25, 7)
X = np.zeros((1, 4), np.int8)


def net(*logits: int) -> Any:
    return lambda x: np.array([logits], np.int8)


def never(_x: Any) -> Any:
    raise AssertionError("was asked")


def test_a_sure_fast_net_answers_alone() -> None:
    y, path = answer(X, net(100, 90, -128), never, ATTRS)
    assert path == "fast"
    # (q - 3) * 0.1 / 0.25 + 7, halves upwards
    assert y.tolist() == [[46, 42, -45]]


def test_an_unsure_fast_net_asks_and_both_answer() -> None:
    y, path = answer(X, net(100, 91, -128), net(-5, 5, 20), ATTRS)
    assert path == "accurate"
    real = 0.5 * 0.1 * np.array([97, 88, -131]) + 2.0 * 0.2 * np.array([0, 10, 25])
    assert np.abs(y - (real / 0.25 + 7)).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("rounding", ["single", "double", "float"])
def test_without_a_factor_the_accurate_net_answers_alone(rounding: str) -> None:
    same = replace(
        ATTRS,
        fast_factor=0.0,
        accurate_factor=1.0,
        y_scale=0.2,
        y_zero_point=-5,
        rounding=rounding,
    )
    logits = np.arange(-128, 128, dtype=np.int16).astype(np.int8)[None]
    assert np.array_equal(combine(logits[:, ::-1], logits, same), logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fast_factor": -0.5}, "fast_factor -0.5 must be 0 or positive"),
        ({"accurate_factor": 0.0}, "accurate_factor 0.0 must be positive"),
        ({"thresholds": ()}, "no thresholds"),
        ({"thresholds": (1 << 31,)}, "2147483648 is beyond 32 bits"),
        ({"y_zero_point": 128}, r"y_zero_point 128 must be in \[-128, 127\]"),
    ],
)
def test_bad_attributes_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ATTRS, **change)
