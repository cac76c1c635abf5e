"""One layer fitted to its float output, from inputs that layers before it have changed."""

from __future__ import annotations

import numpy as np
import pytest

from vq_cortexm.quantize.activation_scales import (
    fitted_scale,
    quantized,
    scale_of_range,
)
from vq_cortexm.quantize.evaluate import product
from vq_cortexm.quantize.graph import Node, Window
from vq_cortexm.quantize.layer_fit import QuantizedLayer, fit_layer, measure
from vq_cortexm.quantize.rounding import nearest_rows, uniform_levels
from vq_cortexm.transform.vq_config import LayerLevels

X_SCALE = 20 / 255


def _layer(groups: int, seed: int = 1) -> Node:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((8, 3, 3, 4 // groups)).astype(np.float32)
    bias = rng.standard_normal(8).astype(np.float32)
    window = Window((3, 3), (1, 1), (1, 1, 1, 1))
    return Node("layer", "conv", ("x",), "y", weight, bias, window, groups)


def _inputs(seed: int = 2) -> np.ndarray:
    """Neighbours are alike, as in images, and the mean is not zero."""
    rough = np.random.default_rng(seed).standard_normal((60, 4, 10, 10)).astype(np.float32)
    return rough[:, :, 1:, 1:] + rough[:, :, :-1, :-1] + rough[:, ::-1, 1:, :-1] + 1


def _dense(x: np.ndarray) -> tuple[Node, np.ndarray]:
    weight = np.random.default_rng(3).standard_normal((6, 81)).astype(np.float32)
    return Node("layer", "dense", ("x",), "y", weight), x[:, 0].reshape(-1, 81)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_moments_are_those_of_all_positions(groups: int) -> None:
    node, x = _layer(groups), _inputs()
    y = product(node, x, node.weight, node.bias)
    moments = measure(node, x, y)
    # the least squares solution of what the layer itself gives is the layer
    weights = node.weight.reshape(groups, 8 // groups, -1)
    for g in range(groups):
        np.testing.assert_allclose(
            moments.yx.reshape(weights.shape)[g], weights[g] @ moments.xx[g], atol=2e-3
        )
    np.testing.assert_allclose(moments.y_mean, y.mean(axis=(0, 2, 3)), rtol=1e-4)
    seen = np.einsum("gok,gk->go", weights, moments.x_mean).reshape(-1) + node.bias
    np.testing.assert_allclose(moments.y_mean, seen, atol=1e-3)


def _error(node: Node, layer: QuantizedLayer, x: np.ndarray, y: np.ndarray) -> float:
    return float(np.square(product(node, x, layer.real_weight, layer.bias) - y).mean())


def _rounded(node: Node, levels: int) -> QuantizedLayer:
    """Each weight by itself, the float bias."""
    rows = nearest_rows(
        node.weight.reshape(len(node.weight), -1).astype(np.float64), uniform_levels(levels)
    )
    bias = np.zeros(len(node.weight), np.float32) if node.bias is None else node.bias
    return QuantizedLayer(
        rows.values.reshape(node.weight.shape), rows.scale.astype(np.float32), bias
    )


@pytest.mark.parametrize("codebook", [False, True])
@pytest.mark.parametrize("levels", [3, 6, 16])
@pytest.mark.parametrize("kind", [1, 4, "dense"])
def test_fit_is_nearer_to_the_float_output_than_rounding(
    kind: int | str, levels: int, codebook: bool
) -> None:
    x = _inputs()
    node = _layer(kind) if isinstance(kind, int) else _dense(x)[0]
    x = x if isinstance(kind, int) else _dense(x)[1]
    y = product(node, x, node.weight, node.bias)
    disturbed = quantized(x, scale_of_range(-9, 11))
    layer = fit_layer(node, measure(node, disturbed, y), LayerLevels(levels, codebook), X_SCALE)
    assert len(np.unique(layer.weight)) <= levels
    assert _error(node, layer, disturbed, y) < 0.8 * _error(
        node, _rounded(node, levels), disturbed, y
    )


def test_the_mean_of_every_channel_is_right_to_half_a_step_of_its_bias() -> None:
    node, x = _layer(1), _inputs()
    y = product(node, x, node.weight, node.bias)
    shifted = (x * np.float32(0.9) + np.float32(0.2)).astype(np.float32)
    layer = fit_layer(node, measure(node, shifted, y), LayerLevels(4), X_SCALE)
    got = product(node, shifted, layer.real_weight, layer.bias)
    steps = X_SCALE * layer.w_scale
    assert (np.abs((got - y).mean(axis=(0, 2, 3))) < 0.5 * steps + 2e-3).all()
    np.testing.assert_allclose(np.rint(layer.bias / steps) * steps, layer.bias, rtol=1e-6)


def test_layer_makes_up_for_what_its_input_lost() -> None:
    """A channel that comes at half its size is read with twice the weights."""
    node, x = _layer(1), _inputs()
    y = product(node, x, node.weight, node.bias)
    halved = x.copy()
    halved[:, 2] *= 0.5
    layer = fit_layer(node, measure(node, halved, y), LayerLevels(256), X_SCALE)
    ratio = layer.real_weight[..., 2] / node.weight[..., 2]
    assert np.median(ratio) == pytest.approx(2.0, abs=0.2)


def _nearly_constant(kind: str, seed: int) -> np.ndarray:
    """(N, 4, 9, 9): few samples, equal ones, or a mean that is large beside what differs."""
    rng = np.random.default_rng(seed)
    if kind == "far off":
        return (1000 + rng.uniform(-4, 4, (256, 4, 9, 9))).astype(np.float32)
    one = rng.standard_normal((1, 4, 9, 9)).astype(np.float32)
    return one if kind == "one" else np.repeat(one, 200, axis=0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["one", "equal", "far off"])
@pytest.mark.parametrize("layer", [1, 4, "dense"])
def test_samples_that_hardly_differ_are_no_obstacle(layer: int | str, kind: str, seed: int) -> None:
    x = _nearly_constant(kind, seed)
    node = _layer(layer, seed) if isinstance(layer, int) else _dense(x)[0]
    x = x if isinstance(layer, int) else _dense(x)[1]
    y = product(node, x, node.weight, node.bias)
    fitted = fit_layer(node, measure(node, x, y), LayerLevels(256), float(np.abs(x).max()) / 127)
    # a constant output is the bias alone, which is rounded too
    assert _error(node, fitted, x, y) < 2e-3 * y.var() + 1e-6 * np.square(y).mean()


@pytest.mark.parametrize(
    ("low", "high", "zero_point"), [(0, 255, -128), (-128, 127, 0), (3, 5, -128), (-4, -2, 127)]
)
def test_scale_covers_the_range_and_zero(low: float, high: float, zero_point: int) -> None:
    scale = scale_of_range(low, high)
    assert scale.zero_point == zero_point
    ends = np.array([low, 0.0, high])
    assert np.abs(quantized(ends, scale) - ends).max() <= scale.scale
    assert quantized(np.zeros(1), scale)[0] == 0


def test_constant_activations_have_a_scale() -> None:
    assert fitted_scale(np.zeros((4, 3), np.float32)).scale > 0


@pytest.mark.parametrize("shape", [(50, 32, 32, 64), (50, 24, 24, 60), (100, 90, 90), (400_000, 3)])
def test_scale_sees_every_column_of_a_map(shape: tuple[int, ...]) -> None:
    """A column that uses the whole range is not cut in half for the sake of the others."""
    rng = np.random.default_rng(0)
    quiet = rng.uniform(0, 0.4, shape).astype(np.float32)
    loud = rng.uniform(0, 100, shape[:-1]).astype(np.float32)
    for column in {0, 1, shape[-1] // 2 + 1, shape[-1] - 1}:
        values = quiet.copy()
        values[..., column] = loud
        # where it is not seen, half of the range is kept
        full = scale_of_range(0.0, float(values.max()))
        assert fitted_scale(values).scale > 0.9 * full.scale


def test_outliers_are_clipped_where_that_has_less_error() -> None:
    values = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
    full = scale_of_range(float(values.min()), float(values.max()))
    values[0] = 6.0
    outlier = scale_of_range(float(values.min()), 6.0)
    found = fitted_scale(values)
    assert found.scale < outlier.scale
    errors = [np.square(quantized(values, s) - values).mean() for s in (found, outlier, full)]
    assert errors[0] < errors[1]
