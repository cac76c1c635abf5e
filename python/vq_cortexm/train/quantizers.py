"""Brevitas' quantizers as the compiler wants them: steps that are learned, and any levels.

A step is a power of two of a parameter: it stays positive, and one learning rate fits all. Its
gradient is that of LSQ (Esser et al. 2020): rounding passes gradients on, a clipped value's go to
the step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from brevitas import nn as qnn
from brevitas.inject.enum import RestrictValueType, ScalingImplType
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn

from ..errors import UsageError
from ..quantize.rounding import nearest_rows, uniform_levels
from ..transform.vq_config import LayerLevels

_ACTIVATION_SHARE = 0.9999
"""Of an activation's values: how many the first step reaches."""
_SMALLEST_REACH = 1e-6
_FEWEST_LEVELS = 3
_HALF = 0.5001
"""Of a step: how far rounding moves a number, and float32's error of that."""


class _FakeQuantize(torch.autograd.Function):  # type: ignore[misc]
    """Rounds to multiples of a step, and clips; with few passes over the memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
        """step * clip(round(x / step), lowest, highest); the step is one, or one a channel."""
        y = (x / step).round_().clamp_(lowest, highest).mul_(step)
        ctx.save_for_backward(x, step, y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """To x where it is not clipped. To the step y / step where it is, else (y - x) / step."""
        x, step, y = ctx.saved_tensors
        inside = (x - y).abs_() <= step * _HALF
        to_x = gradient * inside
        to_step = (gradient * y).addcmul_(to_x, x, value=-1).sum_to_size(step.shape) / step
        return to_x, to_step, None, None


class Levels(nn.Module):  # type: ignore[misc]
    """In place of Brevitas' IntQuant, whose levels are all that the bits hold."""

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__()
        self.lowest, self.highest = lowest, highest
        self.input_view_impl = nn.Identity()

    def forward(self, scale: Tensor, zero_point: Tensor, bit_width: Tensor, x: Tensor) -> Tensor:
        """x on the grid of `scale`; its zero point is 0."""
        return _FakeQuantize.apply(x, scale, self.lowest, self.highest)


def weight_quantizer(weight: Tensor, levels: int) -> Any:
    """For weights (O, ...) of `levels` (3 to 256) levels, with a step for each output channel; the
    first steps have the least squared error. Levels are those of `uniform_levels`: -128, which
    would keep two weights from sharing a halfword, is none."""
    bits = (levels - 1).bit_length()
    table = uniform_levels(levels)
    is_narrow = levels == 2**bits - 1
    rows = weight.detach().cpu().reshape(len(weight), -1).double().numpy()
    steps = nearest_rows(rows, table).scale
    reach = torch.from_numpy((steps * (2 ** (bits - 1) - is_narrow)).astype(np.float32))
    return Int8WeightPerChannelFloat.let(
        bit_width=bits,
        narrow_range=is_narrow,
        int_quant=Levels,
        lowest=int(table[0]),
        highest=int(table[-1]),
        scaling_impl_type=ScalingImplType.PARAMETER,
        restrict_scaling_type=RestrictValueType.LOG_FP,
        scaling_init=reach.reshape(-1, *[1] * (weight.ndim - 1)),
    )


def activation_quantizer(values: Tensor, scale: float | None = None) -> Any:
    """To 8 bits, unsigned where `values`, what the tensor holds on some data, are not negative.

    The step is learned, but for a given `scale`.
    """
    signed = bool((values < 0).any())
    base = Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat
    lowest, highest = (-128, 127) if signed else (0, 255)
    bounded = base.let(int_quant=Levels, lowest=lowest, highest=highest)
    if scale is not None:
        return bounded.let(
            scaling_impl_type=ScalingImplType.CONST, scaling_init=scale * max(-lowest, highest)
        )
    return bounded.let(
        scaling_impl_type=ScalingImplType.PARAMETER,
        restrict_scaling_type=RestrictValueType.LOG_FP,
        scaling_init=_reach(values),
    )


def quantized_layer(name: str, layer: nn.Conv2d | nn.Linear, chosen: LayerLevels) -> nn.Module:
    """The convolution or dense layer with its weights behind a quantizer."""
    if chosen.levels < _FEWEST_LEVELS or chosen.codebook:
        kind = " in a codebook" if chosen.codebook else ""
        raise UsageError(
            f"{name}: {chosen.levels} levels{kind}; {_FEWEST_LEVELS} to 256 uniform ones can be "
            "trained"
        )
    options = {
        "bias": layer.bias is not None,
        "weight_quant": weight_quantizer(layer.weight, chosen.levels),
        "device": layer.weight.device,
    }
    if isinstance(layer, nn.Linear):
        made = qnn.QuantLinear(layer.in_features, layer.out_features, **options)
    else:
        geometry = ("stride", "padding", "dilation", "groups", "padding_mode")
        options |= {name: getattr(layer, name) for name in geometry}
        made = qnn.QuantConv2d(layer.in_channels, layer.out_channels, layer.kernel_size, **options)
    made.load_state_dict(layer.state_dict(), strict=False)
    return made


def _reach(values: Tensor) -> float:
    magnitudes = values.abs().flatten()
    last = max(1, round(_ACTIVATION_SHARE * len(magnitudes)))
    return max(float(magnitudes.kthvalue(last).values), _SMALLEST_REACH)
