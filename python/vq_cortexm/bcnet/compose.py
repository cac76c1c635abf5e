"""`compose`: two classifiers and a policy become one model, the operator `vq.bc_net`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compat import Expr, IRModule, dtype_of, shape_of
from ..errors import ModelError, UsageError, naming
from ..op import requantize
from ..op.bc_net import ALWAYS_ESCALATE, PATHS, BcNetAttrs, combine, output_shape
from ..op.escalate import Confidence
from ..op.quantization import dtype_range
from ..op.rounding import Rounding
from ..transform.composed import composed, policy_of
from ..transform.pipeline import fold_pipeline

_TOLERANCE = 1e-6
"""Of scales, which are float32."""


@dataclass(frozen=True)
class Policy:
    """When the accurate net is asked, and how both answers become one.

    The fast net answers alone where its `confidence` (see `op.escalate`) is at least the
    threshold: one int32 for all classes, or one for each; by default the accurate net is always
    asked. Else the answer is fast_factor * fast logits + accurate_factor * accurate logits, by
    default the accurate ones alone. `output` is (scale, zero point) of the answer; by default the
    coarser net's, or what else both paths fit in without clipping. Of logits with a finer scale
    than the answer's some become equal: nets that have one scale lose nothing.
    """

    confidence: Confidence = "margin"
    thresholds: tuple[int, ...] = (ALWAYS_ESCALATE,)
    fast_factor: float = 0.0
    accurate_factor: float = 1.0
    output: tuple[float, int] | None = None


@dataclass(frozen=True)
class _Quantized:
    """A net's input or output: real = scale * (q - zero_point)."""

    shape: tuple[int, ...]
    dtype: str
    scale: float | None
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        """The real numbers at both ends."""
        assert self.scale is not None
        low, high = dtype_range(self.dtype)
        return self.scale * (low - self.zero_point), self.scale * (high - self.zero_point)

    def __str__(self) -> str:
        where = "no scale"
        if self.scale is not None:
            where = f"scale {self.scale:.9g}, zero point {self.zero_point}"
        return f"{self.dtype}{self.shape}, {where}"


def compose(
    fast: IRModule,
    accurate: IRModule,
    policy: Policy = Policy(),
    *,
    rounding: Rounding = "single",
) -> IRModule:
    """The module of both nets, for `build` and `build_folded`.

    Each net is a module in QDQ form, as `frontend.load` gives it and folded here with `rounding`,
    or one that is folded (`transform.fold_pipeline`, `CompiledModel.module`), with rounding and
    levels of its own. Both must take the same input, to the scale, and give logits (1, classes) of
    the same classes, with a scale. Raises ModelError for nets that do not fit each other,
    UsageError for a policy that does not fit them.
    """
    functions = (_folded("fast", fast, rounding), _folded("accurate", accurate, rounding))
    inputs = [_border(name, f, "inputs") for name, f in zip(PATHS, functions, strict=True)]
    if inputs[0] != inputs[1]:
        raise ModelError(
            f"the nets take different inputs: fast {inputs[0]}; accurate {inputs[1]}; "
            "quantize both with one scale"
        )
    logits = [_border(name, f, "outputs") for name, f in zip(PATHS, functions, strict=True)]
    if logits[0].shape != logits[1].shape:
        raise ModelError(
            f"the nets give different outputs: fast {logits[0].shape}, accurate {logits[1].shape}; "
            "both need one for every class, in the same order"
        )
    roundings = [str(function.attrs["vq.rounding"]) for function in functions]
    if roundings[0] != roundings[1]:
        raise ModelError(
            f"the nets round differently: fast {roundings[0]}, accurate {roundings[1]}; "
            "compile both with one rounding"
        )
    try:
        attrs = _attributes(logits[0], logits[1], policy, roundings[0])
    except ValueError as error:
        raise UsageError(str(error)) from None
    return composed(*functions, attrs)


def _folded(name: str, net: IRModule, rounding: Rounding) -> Expr:
    """The net's function `main` of `vq.*` operators."""
    if policy_of(net) is not None:
        raise ModelError(f"the {name} net is two nets itself; compose takes single ones")
    if "vq.rounding" not in (net["main"].attrs or {}):
        with naming(f"the {name} net"):
            net = fold_pipeline(rounding)(net)
    return net["main"]


def _border(name: str, function: Expr, kind: str) -> _Quantized:
    """The one input or output of a net; only an input may be without a scale."""
    described = function.attrs["vq.quantization"][kind]
    if len(described) != 1:
        raise ModelError(f"the {name} net has {len(described)} {kind}; compose takes nets with one")
    tensor = function.params[0] if kind == "inputs" else function.body.body
    params = described[0]
    if kind == "outputs" and not params:
        raise ModelError(f"the {name} net's output has no scale; quantize the model's output")
    if kind == "outputs" and dtype_of(tensor) == "int16":
        raise ModelError(f"the {name} net's output is int16; compose takes logits of 8 bits")
    scale = float(params["scale"]) if params else None
    zero_point = int(params["zero_point"]) if params else 0
    return _Quantized(shape_of(tensor), dtype_of(tensor), scale, zero_point)


def _attributes(
    fast: _Quantized, accurate: _Quantized, policy: Policy, rounding: str
) -> BcNetAttrs:
    """The operator's attributes, tried once; ValueError where something does not fit."""
    assert fast.scale is not None and accurate.scale is not None
    scale, zero_point = policy.output or _default_output(fast, accurate, policy)
    attrs = BcNetAttrs(
        policy.confidence,
        policy.thresholds,
        float(policy.fast_factor),
        float(policy.accurate_factor),
        fast.scale,
        fast.zero_point,
        accurate.scale,
        accurate.zero_point,
        scale,
        zero_point,
        rounding,
        accurate.dtype,
    )
    output_shape((), fast.shape, accurate.shape, attrs)
    zeros = [np.zeros(net.shape, net.dtype) for net in (fast, accurate)]
    combine(zeros[0], zeros[1], attrs)
    requantize.reference(zeros[0], attrs.alone)
    return attrs


def _default_output(fast: _Quantized, accurate: _Quantized, policy: Policy) -> tuple[float, int]:
    """A net's own scale and zero point where nothing is clipped with them."""
    factors = (policy.fast_factor, policy.accurate_factor)
    both = [
        factors[0] * f + factors[1] * a for f, a in zip(fast.range, accurate.range, strict=True)
    ]
    low, high = min(fast.range[0], both[0]), max(fast.range[1], both[1])
    slack = _TOLERANCE * (high - low)
    for net in (accurate, fast):
        covers = net.range[0] <= low + slack and net.range[1] >= high - slack
        if covers and net.dtype == accurate.dtype and net.scale is not None:
            return net.scale, net.zero_point
    lowest, highest = dtype_range(accurate.dtype)
    scale = float(np.float32((high - low) / (highest - lowest)))
    return scale, int(np.clip(round(lowest - low / scale), lowest, highest))
