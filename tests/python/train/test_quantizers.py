"""Steps and their gradients."""

from __future__ import annotations

import pytest
import torch
from brevitas import nn as qnn
from torch import nn

from vq_cortexm.train.quantizers import activation_quantizer, quantized_layer
from vq_cortexm.transform.vq_config import LayerLevels


@pytest.mark.parametrize("levels", [3, 4, 5, 7, 8, 11, 16, 100, 255, 256])
def test_weights_hold_their_levels(levels: int) -> None:
    torch.manual_seed(levels)
    layer = nn.Conv2d(40, 3, 5)
    quantized = quantized_layer("layer", layer, LayerLevels(levels))
    weight = quantized.quant_weight()
    steps = (weight.value / weight.scale).round()
    assert -(levels // 2) <= steps.min() and steps.max() <= levels - 1 - levels // 2
    assert steps.unique().numel() > 0.7 * levels
    assert weight.scale.shape == (3, 1, 1, 1)
    torch.testing.assert_close(weight.value, steps * weight.scale)
    error = (weight.value - layer.weight).square().mean() / layer.weight.square().mean()
    assert error < 3 / levels**2


def test_gradients_are_those_of_learned_steps() -> None:
    """To x where nothing is clipped; to the step round(x / s) - x / s, or the outermost level."""
    identity = qnn.QuantIdentity(act_quant=activation_quantizer(torch.tensor([-1.0, 1.0])))
    parameter = identity.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value
    step = float(identity.act_quant.scale().detach())
    x = (torch.tensor([0.3, -4.6, 127.4, 300.0, -900.0]) * step).requires_grad_()
    y = identity(x)
    torch.testing.assert_close(y.detach() / step, torch.tensor([0.0, -5.0, 127.0, 127.0, -128.0]))
    y.backward(torch.tensor([1.0, 10.0, 100.0, 1e3, 1e4]))
    torch.testing.assert_close(x.grad, torch.tensor([1.0, 10.0, 100.0, 0.0, 0.0]))
    to_step = -0.3 - 0.4 * 10 - 0.4 * 100 + 127 * 1e3 - 128 * 1e4
    # the parameter is the step's binary logarithm
    assert float(parameter.grad) == pytest.approx(to_step * step * 0.693147, rel=1e-3)


@pytest.mark.parametrize(("low", "highest"), [(-1.0, 127), (0.0, 255)])
def test_activations_that_are_never_negative_have_no_sign(low: float, highest: int) -> None:
    values = torch.linspace(low, 1, 1001)
    identity = qnn.QuantIdentity(act_quant=activation_quantizer(values))
    step = float(identity.act_quant.scale().detach())
    assert float(identity(torch.tensor(9.0)).detach()) == pytest.approx(highest * step)
    assert highest * step == pytest.approx(1, rel=0.01)


def test_given_scale_is_not_learned() -> None:
    identity = qnn.QuantIdentity(act_quant=activation_quantizer(torch.tensor([-5.0, 1.0]), 0.3))
    assert not list(identity.parameters())
    assert float(identity.act_quant.scale()) == pytest.approx(0.3, rel=1e-7)
