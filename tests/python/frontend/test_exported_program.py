"""Programs that PyTorch exported after PT2E quantization: PyTorch's outputs, refusals of a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pt2e_nets import Dense, Moves, Residual, in_integers, quantized
from torch import Tensor, nn
from torchao.quantization.pt2e import MinMaxObserver
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)

import vq_cortexm
from vq_cortexm.errors import ModelError, UsageError
from vq_cortexm.frontend import from_exported_program
from vq_cortexm.samples import random_samples

SAMPLES = 12
IMAGE = (1, 3, 8, 8)


@pytest.mark.parametrize(
    ("net", "shape"), [(Residual(), IMAGE), (Moves(), IMAGE), (Dense(), (1, 12))]
)
def test_outputs_are_pytorchs_within_one_step(net: nn.Module, shape: tuple[int, ...]) -> None:
    """PyTorch averages in float32: half way between two integers it may round the other way. So
    nets with average pools are within a step, others equal."""
    program = quantized(net, shape)
    compiled = vq_cortexm.build(from_exported_program(program), rounding="float")
    samples = random_samples(compiled.program.inputs, SAMPLES, 1)
    result = compiled.run(samples, check=True)
    assert result.bit_exact
    answer = in_integers(program, compiled.metadata)
    want = np.stack([answer(*sample) for sample in samples])
    got = np.stack([outputs[0].astype(np.int64) for outputs in result.outputs])
    assert len(np.unique(got)) > 4
    assert np.abs(want - got).max() <= 1
    if isinstance(net, Dense):
        assert np.array_equal(want, got)


def test_layers_are_named_as_the_nodes_and_no_layout_costs_a_layer() -> None:
    compiled = vq_cortexm.build(from_exported_program(quantized(Residual(), IMAGE)))
    assert [(step.layer, step.op) for step in compiled.program.steps][1:] == [
        ("conv2d_0", "conv2d"),
        ("conv2d_1", "depthwise_conv2d"),
        ("conv2d_2", "conv2d"),
        ("add_0", "add"),
        ("max_pool2d_0", "max_pool2d"),
        ("adaptive_avg_pool2d_0", "avg_pool2d"),
        ("linear_0", "dense"),
    ]
    # the image comes as PyTorch has it, channels first
    assert compiled.program.steps[0].op == "transpose"


class OneSpec(Quantizer):  # type: ignore[misc]
    """Inputs and outputs of linear layers, weights per tensor."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        ends = {"dtype": torch.int8, "quant_min": -127, "quant_max": 127}
        observer = {"observer_or_fake_quant_ctr": MinMaxObserver}
        self.values = QuantizationSpec(**values, qscheme=torch.per_tensor_affine, **observer)
        self.weights = QuantizationSpec(**ends, qscheme=torch.per_tensor_symmetric, **observer)

    def annotate(self, model: Any) -> Any:
        for node in model.graph.nodes:
            if node.op == "call_function":
                x, w = node.args[:2]
                taken = {x: self.values, w: self.weights}
                node.meta["quantization_annotation"] = QuantizationAnnotation(
                    taken, self.values, _annotated=True
                )
        return model

    def validate(self, model: Any) -> None:
        """Nothing to check."""


def test_fewer_levels_of_activations_and_weights_of_one_scale() -> None:
    """Unsigned values of 4 bits in uint8: what is outside is clipped."""
    spec = OneSpec(dtype=torch.uint8, quant_min=0, quant_max=15)
    program = quantized(nn.Linear(12, 9), (1, 12), spec)
    compiled = vq_cortexm.build(from_exported_program(program), rounding="float")
    x = np.random.default_rng(1).integers(0, 16, (1, 12), np.uint8)
    (outputs,) = compiled.run([[x]], check=True).outputs
    want = in_integers(program, compiled.metadata)(x)
    assert np.array_equal(outputs[0], want)
    assert outputs[0].max() <= 15


class Unsupported(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


def refused(program: Any) -> str:
    with pytest.raises((ModelError, UsageError)) as caught:
        vq_cortexm.build(from_exported_program(program))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusals(capfd: pytest.CaptureFixture[str]) -> None:
    x = torch.randn(1, 12)
    net = nn.Linear(12, 4).eval()
    assert "torch.export.export(module, inputs) works" in refused(net)
    assert "quantize it" in refused(torch.export.export(net, (x,)))
    assert "bessel_j0" in refused(torch.export.export(Unsupported(), (x,)))
    pool = nn.AdaptiveAvgPool2d(3)
    image = torch.randn(1, 2, 8, 8)
    assert "adaptive_avg_pool2d: windows of 8x8 to 3x3" in refused(
        torch.export.export(pool, (image,))
    )
    half = OneSpec(dtype=torch.int32, quant_min=-1000, quant_max=1000)
    assert "torch.int32 is not supported; torch.int8" in refused(quantized(net, (1, 12), half))
    batch = {0: torch.export.Dim("batch", min=1, max=8)}
    many = torch.export.export(net, (torch.randn(2, 12),), dynamic_shapes=(batch,))
    assert "export the module without dynamic_shapes" in refused(many)
    # TVM's builders are not heard of
    assert capfd.readouterr().err == ""
