"""Where things are drawn."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vq_cortexm.report.charts import Axis, Line, Spot, axis_of, scatter
from vq_cortexm.report.folder import read_build
from vq_cortexm.report.plan_chart import plan_chart
from vq_cortexm.report.trade_offs import shown_points, sweep_chart

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_axes_hold_their_values_and_have_some_ticks(values: list[float]) -> None:
    axis = axis_of(values)
    assert all(0 <= axis.at(value) <= 100 for value in values)
    ticks = axis.ticks(str)
    assert 2 <= len(ticks) <= 7
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)
    assert all(0 <= tick.at <= 100 for tick in ticks)


def test_ticks_are_round() -> None:
    labels = [tick.label for tick in Axis(0, 40480).ticks(lambda n: f"{n:g}")]
    assert labels == ["0", "10000", "20000", "30000", "40000"]
    falling = Axis(0, 100).ticks(str, falling=True)
    assert [tick.at for tick in falling] == [100, 80, 60, 40, 20, 0]


def test_long_curves_keep_what_is_seen() -> None:
    line = Line(1, "all", [(n / 1e5, n / 1e5) for n in range(100_000)])
    chart = scatter("id", "title", ("x", "y"), [line], [Spot(0.5, 0.5, 1, "dot", "middle")])
    (curve,) = chart.curves
    assert 1000 < len(curve.points.split()) < 2100
    (spot,) = chart.spots
    assert 40 < spot.x < 60 and 40 < spot.y < 60


def test_buffers_lie_where_the_plan_says(reported: Path) -> None:
    build = read_build(reported)
    chart = plan_chart(build)
    assert chart and build.report
    steps, arena = len(build.report["layers"]) + 1, build.report["arena_bytes"]
    for buffer in chart.buffers:
        placed = buffer.placed
        assert abs(buffer.x - 100 * placed["first_step"] / steps) < 0.02
        span = placed["last_step"] - placed["first_step"] + 1
        assert abs(buffer.width - 100 * span / steps) < 0.02
        bottom = 100 - buffer.y - buffer.height
        assert abs(bottom - 100 * placed["offset"] / arena) < 0.02
        assert abs(buffer.height - 100 * placed["size_bytes"] / arena) < 0.02


def test_thresholds_are_spread_over_what_escalates(reported: Path) -> None:
    evaluation = read_build(reported).evaluation
    assert evaluation
    points = shown_points(evaluation)
    assert len(points) == 41
    assert points[0][0] == 0 and points[-1][0] == len(evaluation["points"]) - 1
    chart = sweep_chart(evaluation)
    assert "threshold 0: 70.00% accuracy" in chart.spots[0].label
    assert chart.spots[-1].shape == "ring"
