"""A tuning task: layers that are measured together, and all that their kernels can be.

Mostly it is one layer. Layers that follow each other make one task where what one does matters to
the next: they share an arena.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..kernels import realise
from ..kernels.knobs import Knobs, Schedule, every_schedule
from ..kernels.layer import Kernel, Layer, TensorSpec
from ..nary.encoding import Realisation
from ..op.binary_conv2d import BinaryConv2dAttrs
from ..op.bits import pack
from ..op.registry import OPS
from ..target import Core
from .image import Made
from .measure import Exam

REALISATION = "realisation"
"""The knob that says how weights are stored."""
_SAMPLES = 2
_INSTRUCTIONS_PER_ELEMENT = 64
"""Far more than any kernel takes for a product or an element; what takes more hangs."""
_INSTRUCTIONS = 2_000_000
"""Of start-up and harness, about, and more."""


@dataclass(frozen=True, eq=False)
class Task:
    """Layers, each but the first with the one before as its only input. Their weights may be stored
    as `others` say instead, one tuple for each layer: a schedule has a knob `realisation` then."""

    layers: tuple[Layer, ...]
    core: Core
    others: tuple[tuple[Realisation, ...], ...] = ()

    @cached_property
    def exam(self) -> Exam:
        """What candidates must give for two samples, extremes among them."""
        chance = np.random.default_rng(1)
        samples = [self._sample(chance, index) for index in range(_SAMPLES)]
        outputs = [self._reference(sample).tobytes() for sample in samples]
        work = sum(_work(layer) for layer in self.layers)
        return Exam(
            tuple(b"".join(x.tobytes() for x in sample) for sample in samples),
            tuple(outputs),
            _INSTRUCTIONS + _INSTRUCTIONS_PER_ELEMENT * work,
        )

    def make(self, schedules: Sequence[Schedule]) -> Made:
        """The kernels with one schedule a layer; UsageError: a schedule is not possible."""
        kernels = [self._kernel(i, Knobs(schedule)) for i, schedule in enumerate(schedules)]
        first, last = self.layers[0], self.layers[-1]
        between = tuple(layer.output for layer in self.layers[:-1])
        return Made(first.inputs, tuple(kernels), last.output, between)

    def schedules(self, layer: int = 0) -> Iterator[Schedule]:
        """All schedules of one layer, the kernel's own first."""
        return every_schedule(lambda knobs: self._kernel(layer, knobs))

    def _kernel(self, index: int, knobs: Knobs) -> Kernel:
        layer = self.layers[index]
        if self.others and self.others[index]:
            stored = knobs.choose(REALISATION, layer.realisation, self.others[index])
            layer = with_realisation(layer, str(stored))
        return realise(replace(layer, knobs=knobs), self.core)

    def _sample(self, chance: np.random.Generator, index: int) -> list[NDArray[Any]]:
        first = self.layers[0]
        if isinstance(first.attrs, BinaryConv2dAttrs):
            # words have bits of channels alone
            shape = (*first.inputs[0].shape[:-1], first.attrs.channels)
            return [pack(chance.integers(0, 2, shape))]
        return [_values(chance, spec, index) for spec in first.inputs]

    def _reference(self, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
        for layer in self.layers:
            y = OPS[layer.op].reference(*inputs, *layer.constants, layer.attrs)
            inputs = [np.asarray(y)]
        return np.asarray(inputs[0])


def with_realisation(layer: Layer, name: str) -> Layer:
    """The layer with its weights stored otherwise."""
    return replace(layer, realisation=cast(Realisation, name))


def layer_key(layer: Layer, core: Core) -> str:
    """What layers of equal schedules have in common, as one line of JSON: all but the weights'
    values and the scales, whose kinds count."""
    return json.dumps(describe(layer, core), sort_keys=True)


def describe(layer: Layer, core: Core) -> dict[str, Any]:
    """The facts of `layer_key`."""
    attrs = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(layer.attrs).items()
        if not isinstance(value, float) and not name.endswith(("_scale", "_zero_point"))
    }
    return {
        "op": layer.op.removeprefix("vq."),
        "core": core.name,
        "inputs": [[*spec.shape, spec.dtype] for spec in layer.inputs],
        "output": [*layer.output.shape, layer.output.dtype],
        "constants": [list(c.shape) for c in layer.constants if c.ndim > 1],
        "attrs": attrs,
        "realisation": layer.realisation,
    }


def digest(key: str) -> str:
    """A short name of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _work(layer: Layer) -> int:
    """Products, or elements of layers without."""
    shapes = [spec.shape for spec in layer.inputs] + [c.shape for c in layer.constants]
    macs = int(OPS[layer.op].macs(*shapes, layer.attrs))
    return macs + sum(math.prod(spec.shape) for spec in (*layer.inputs, layer.output))


def _values(chance: np.random.Generator, spec: TensorSpec, index: int) -> NDArray[Any]:
    """Random values; in the first sample many are extreme."""
    info = np.iinfo(np.dtype(spec.dtype))
    x = chance.integers(info.min, info.max, spec.shape, endpoint=True, dtype=np.int64)
    if index == 0:
        ends = chance.choice([info.min, info.max], spec.shape)
        x = np.where(chance.random(spec.shape) < 0.5, ends, x)
    return x.astype(spec.dtype)
