"""What both nets of a composed model answer to labelled samples, by their compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from numpy.typing import NDArray

from ..build import build_folded
from ..compat import IRModule, dtype_of, shape_of
from ..errors import UsageError
from ..files import read_arrays
from ..op import requantize
from ..op.bc_net import PATHS, BcNetAttrs, combine
from ..op.escalate import confidence
from ..op.rounding import Int64Array
from ..transform.composed import policy_of

BoolArray = NDArray[np.bool_]
_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True, eq=False)
class Answers:
    """Logits (N, classes) of both nets, 8-bit integers, the labels (N,) and the policy."""

    fast: NDArray[Any]
    accurate: NDArray[Any]
    labels: NDArray[Any]
    attrs: BcNetAttrs

    @cached_property
    def confidence(self) -> Int64Array:
        """Of the fast net, (N,)."""
        return confidence(self.fast, self.attrs.test)

    @cached_property
    def fast_class(self) -> Int64Array:
        """What the fast net answers by its own logits, (N,): the class whose threshold counts."""
        return np.asarray(self.fast.argmax(axis=1), np.int64)

    @cached_property
    def fast_alone_right(self) -> BoolArray:
        """Whether the fast net by itself is right, (N,)."""
        return np.asarray(self.fast_class == self.labels)

    @cached_property
    def accurate_alone_right(self) -> BoolArray:
        """Whether the accurate net by itself is right, (N,)."""
        return np.asarray(self.accurate.argmax(axis=1) == self.labels)

    @cached_property
    def fast_right(self) -> BoolArray:
        """Whether the answer of the fast path is right, (N,); in the output's steps, where they are
        coarser, the largest logits may be equal, and the first of them is the answer."""
        answered = requantize.reference(self.fast, self.attrs.alone)
        return np.asarray(answered.argmax(axis=1) == self.labels)

    @cached_property
    def accurate_right(self) -> BoolArray:
        """Whether the answer of the accurate path, of both nets, is right, (N,)."""
        return np.asarray(combine(self.fast, self.accurate, self.attrs).argmax(1) == self.labels)

    def escalated(self, thresholds: Sequence[int]) -> BoolArray:
        """Which samples take the accurate path, (N,), with one threshold or one for every class."""
        each = np.array(thresholds, np.int64)
        return np.asarray(self.confidence < (each[self.fast_class] if each.size > 1 else each))

    def right(self, thresholds: Sequence[int]) -> BoolArray:
        """Whether the answer with these thresholds is right, (N,)."""
        return np.where(self.escalated(thresholds), self.accurate_right, self.fast_right)


def collect(module: IRModule, x: NDArray[Any], labels: NDArray[Any]) -> Answers:
    """Runs both nets of a composed module on x (N, ...), on this computer; bits are the device's.

    x holds integers as the model takes them, a sample without the batch.
    """
    attrs = policy_of(module)
    if attrs is None:
        raise UsageError("one net alone; `vq-cortexm bcnet compose` makes one model of two")
    fast, accurate = (logits_of(single(module, name), x) for name in PATHS)
    return Answers(fast, accurate, labels, attrs)


def single(module: IRModule, name: str) -> IRModule:
    """One net of a composed module, by itself."""
    return tvm.IRModule({"main": module[name].with_attr("global_symbol", "main")})


def logits_of(module: IRModule, x: NDArray[Any]) -> NDArray[Any]:
    """What a folded module of one net gives for all samples, (N, classes)."""
    compiled = build_folded(module, name="net")
    samples = [[sample[np.newaxis]] for sample in x]
    run = compiled.run(samples, "host", timeout_seconds=_TIMEOUT_SECONDS)
    return np.concatenate([outputs[0] for outputs in run.outputs])


def read_labelled(path: Path, module: IRModule) -> tuple[NDArray[Any], NDArray[Any]]:
    """`x` (N, ...) of a `.npz` file in the integers that a module takes, and `y` (N,).

    Real numbers are quantized with the input's scale. Raises UsageError for what does not fit.
    """
    x, y = read_arrays(path)
    main = module["main"]
    shape, dtype = shape_of(main.params[0]), dtype_of(main.params[0])
    if x.shape[1:] != shape[1:] or not len(x):
        wanted = ", ".join(map(str, shape[1:]))
        raise UsageError(f"{path}: x of shape {x.shape}; (N, {wanted}) works")
    if y is None:
        raise UsageError(f"{path}: no array `y` of one class number for each sample")
    if x.dtype.kind == "f":
        (params,) = main.attrs["vq.quantization"]["inputs"]
        if "scale" not in params:
            raise UsageError(
                f"{path}: x is {x.dtype}; the model's input has no scale: {dtype} works"
            )
        if not np.isfinite(x).all():
            raise UsageError(f"{path}: x holds numbers that are not finite")
        info = np.iinfo(dtype)
        steps = np.rint(x / float(params["scale"])) + int(params["zero_point"])
        x = np.clip(steps, info.min, info.max).astype(dtype)
    if str(x.dtype) != dtype:
        raise UsageError(f"{path}: x is {x.dtype}; {dtype}, or real numbers as float32, work")
    return x, y
