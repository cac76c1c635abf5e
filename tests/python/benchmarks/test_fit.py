"""docs/fit.md from what `fit` found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from fit import GOALS, Result, render
from vq_cortexm.fit import Fit, FitOptions
from vq_cortexm.fit.model import Figures, FittedModel
from vq_cortexm.fit.problem import Candidate, Plan
from vq_cortexm.fit.session import Pair
from vq_cortexm.quantize.session import Origin
from vq_cortexm.report.layers import LayerReport

LAYER = LayerReport("conv_0", "conv2d", 5000, 7000, 6000, 900, "radix", 700, 5)


def _model(strategy: Any, levels: int, accuracy: float, weight_bytes: int) -> FittedModel:
    figures = Figures(accuracy, 0.99, weight_bytes, 2 * weight_bytes, 3000, 1_234_567)
    plan = Plan((Candidate("conv_0", levels, "radix"),), "size")
    return FittedModel(strategy, plan, {}, cast(Any, None), figures, (LAYER,))


@pytest.fixture
def result() -> Result:
    eight_bit = _model("8-bit", 256, 0.9, 22_000)
    chosen = Pair(_model("n-ary", 5, 0.89, 11_000), _model("pruned", 256, 0.7, 10_900))
    origin = Origin("net.tflite", "0", 300)
    nothing = cast(Any, None)
    fit = Fit(origin, FitOptions(), 1000, eight_bit, chosen, (chosen,), nothing, nothing)
    return Result(GOALS[1], fit, 240.0, 1000, 0.9, 0.895, 0.7)


def test_tables_and_commands(result: Result) -> None:
    text = render([result])
    line = (
        "| keyword spotting (DS-CNN, Speech Commands) | 11,000 | 11,500 | 0.50 | 1.0 | 4.0 | yes |"
    )
    assert line in text
    assert "8 bits 90.00%, the chosen model 89.50%, with fewer channels 70.00%" in text
    assert (
        "| chosen: fewer levels | 89.00% | 99.00% | 11,000 | 22,000 | 3,000 | 1,234,567 |" in text
    )
    assert "| 1: fewer channels | 70.00% |" in text
    assert "| conv_0 | 5 | radix | 700 | 900 | 7,000 |" in text
    assert "--objective size" in text
    assert "plots/fit_kws.svg" in text


@pytest.mark.parametrize(
    "missed", [{"chosen": 0.88}, {"seconds": 901.0}, {"fit": "too large"}], ids=str
)
def test_missed_lines_are_said(result: Result, missed: dict[str, Any]) -> None:
    if "fit" in missed:
        large = Pair(_model("n-ary", 5, 0.89, 11_501), None)
        missed = {"fit": replace(result.fit, chosen=large), "pruned": None}
    other = replace(result, **missed)
    assert result.holds
    assert not other.holds
    assert "| NO |" in render([other])
