"""How sure a classifier is, in integers: by definition, and for entropy near the real number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vq_cortexm.op.escalate import EscalateAttrs, confidence, escalates, reference

MARGIN, MAXIMUM = EscalateAttrs("margin", 0.1), EscalateAttrs("maximum", 0.1)


def drawn(classes: int, count: int = 400) -> Any:
    """All kinds: spread, close together, equal, and one that stands out by all that int8 has."""
    rng = np.random.default_rng(classes)
    spread = rng.integers(-128, 128, (count, classes))
    rows = np.concatenate([spread, spread // 16, np.full((1, classes), 7), -128 + 0 * spread[:1]])
    rows[-1, 0] = 127
    return rows.astype(np.int8)


def test_margin_and_maximum() -> None:
    x = np.array([[5, -128, 127], [7, 7, 3], [-128, -128, -128]], np.int8)
    assert confidence(x, MARGIN).tolist() == [122, 0, 0]
    assert confidence(x, MAXIMUM).tolist() == [127, 7, -128]
    wide = np.array([[255, 0]], np.uint8)
    assert confidence(wide, MARGIN).tolist() == [255]
    assert confidence(wide, MAXIMUM).tolist() == [255]


@pytest.mark.parametrize("classes", [2, 10, 256])
@pytest.mark.parametrize("scale", [1e-3, 0.03, 0.16, 1.0, 100.0])
def test_entropy_is_near_the_real_one(classes: int, scale: float) -> None:
    x = drawn(classes)
    logits = x.astype(np.float64) * float(np.float32(scale))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    bits = -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=1)
    got = -confidence(x, EscalateAttrs("entropy", scale))
    assert np.abs(got - 1024 * bits).max() < 4
    assert got.min() >= 0


@pytest.mark.parametrize("kind", ["margin", "maximum", "entropy"])
def test_below_the_threshold_escalates(kind: str) -> None:
    attrs, x = EscalateAttrs(kind, 0.1), drawn(10)
    sure = confidence(x, attrs)
    middle = int(np.median(sure))
    for threshold in (middle, middle + 1):
        limits = np.array([threshold], np.int32)
        assert np.array_equal(escalates(x, limits, attrs), sure < threshold)
    for limit, all_of_them in ((np.iinfo(np.int32).max, True), (np.iinfo(np.int32).min, False)):
        assert (escalates(x, np.array([limit], np.int32), attrs) == all_of_them).all()


def test_threshold_is_that_of_the_first_largest_class() -> None:
    limits = np.array([10, 200, 0], np.int32)
    x = np.array([[[50, 40, 0]], [[50, 50, 0]], [[40, 50, 0]], [[0, 0, 1]]], np.int8)
    assert [bool(reference(row, limits, MARGIN)) for row in x] == [False, True, True, False]


@pytest.mark.parametrize(
    ("shape", "thresholds", "kind", "message"),
    [
        ((2, 5), 1, "margin", r"\(2, 5\) must be \(1, classes\)"),
        ((1, 1), 1, "margin", "two or more"),
        ((1, 5), 4, "margin", "4 thresholds; 1 or 5"),
        ((1, 300), 1, "entropy", "up to 256 work"),
        ((1, 5), 1, "doubt", "'doubt' is unknown; known: margin, maximum, entropy"),
    ],
)
def test_what_does_not_fit_is_refused(
    shape: tuple[int, ...], thresholds: int, kind: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        reference(
            np.zeros(shape, np.int8), np.zeros(thresholds, np.int32), EscalateAttrs(kind, 0.1)
        )
