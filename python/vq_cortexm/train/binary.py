"""Layers whose weights and inputs are -1 and +1, and the sign that makes such inputs.

A block is `BinaryConv2d`, a batch norm, perhaps a max pool, and `Sign`. Layers add up whole
numbers; the batch norm behind them, which the importer folds with the sign into a threshold for
each channel, takes up every scale, so the weights have none. All of it is exported to QONNX as
BipolarQuant nodes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_INITIAL_REACH = 0.1
"""Of latent weights: far enough from 0 that a step does not turn all of them around."""
_BIPOLAR_QUANT = "qonnx.custom_op.general::BipolarQuant"


class _Bipolar(torch.autograd.Function):  # type: ignore[misc]
    """+1 where x >= 0, else -1; `is_smooth` chooses the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, is_smooth: bool) -> Tensor:
        """-1 and +1 in x's type."""
        ctx.save_for_backward(x)
        ctx.is_smooth = is_smooth
        return (x >= 0).to(x.dtype).mul_(2).sub_(1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Of clip(x, -1, 1); smooth: of a curve of two parabolas, as steep at 0 as 2 x."""
        (x,) = ctx.saved_tensors
        if ctx.is_smooth:
            return x.abs().clamp_(max=1).sub_(1).mul_(-2).mul_(gradient), None
        return gradient * (x.abs() <= 1), None

    @staticmethod
    def symbolic(g: Any, x: Any, is_smooth: bool) -> Any:
        """QONNX's quantizer to one bit, of scale 1."""
        scale = g.op("Constant", value_t=torch.tensor(1.0))
        return g.op(_BIPOLAR_QUANT, x, scale).setType(x.type())


class Sign(nn.Module):  # type: ignore[misc]
    """+1 where x >= 0, else -1, of any float tensor.

    Gradients pass where |x| < 1, the more the nearer to 0 (Liu et al., Bi-Real Net, 2018).
    """

    def forward(self, x: Tensor) -> Tensor:
        """-1 and +1, in the shape and type of x."""
        return _Bipolar.apply(x, True)


class BinaryConv2d(nn.Module):  # type: ignore[misc]
    """A convolution of inputs (N, inputs, H, W) in {-1, +1} with weights in {-1, +1}, no bias.

    Its weights are the signs of latent numbers, which training moves. Around the image the inputs
    are -1, for two values have no room for a zero.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.weight = _latent(outputs, inputs, size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Whole numbers (N, outputs, H', W') from -K to K, for K = inputs * size**2."""
        if self.padding:
            x = F.pad(x, [self.padding] * 4, value=-1.0)
        return F.conv2d(x, signs(self.weight), stride=self.stride)


class BinaryLinear(nn.Module):  # type: ignore[misc]
    """A dense layer of inputs (N, inputs) in {-1, +1} with weights in {-1, +1}, no bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = _latent(outputs, inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Whole numbers (N, outputs) from -inputs to inputs."""
        return F.linear(x, signs(self.weight))


def signs(weight: Tensor) -> Tensor:
    """What a layer computes with: +1 where a latent weight is >= 0, else -1."""
    return _Bipolar.apply(weight, False)


def _latent(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(-_INITIAL_REACH, _INITIAL_REACH))
