"""A lowered module as a straight-line program: steps, tensors and the storage behind them.

A branch is a range of steps that may be skipped. What they write is either theirs alone or was
written before, so lifetimes are those of the straight line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..codegen.lower import LoweredFunction
from ..kernels.access_order import AccessOrder
from ..kernels.micro_kernel import MicroKernel

FLOAT_LAYER = "float_call"
"""The operator of steps that are computed in float32."""
Role = Literal["input", "output", "intermediate", "scratch", "state"]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the program; views (reshapes) share the `storage` of what they view. That of a
    concatenation is its first part's, followed by `parts`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    storage: str
    parts: tuple[str, ...] = ()

    @property
    def storages(self) -> tuple[str, ...]:
        """All that it takes, next to each other."""
        return (self.storage, *self.parts)

    @property
    def size_bytes(self) -> int:
        """Bytes of its elements."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Constant:
    """A read-only array of the weights file, with the name of its layer and purpose."""

    name: str
    value: NDArray[Any]


@dataclass(frozen=True)
class Argument:
    """What a step passes: a tensor's storage or a constant, by name."""

    name: str
    is_constant: bool


@dataclass(frozen=True)
class Step:
    """One call of a generated function; `function` is its key in the module.

    `inputs` are the storages that it reads, a concatenation's parts each by itself.
    The output may overlap the tensors in `inplace` as far as their access orders allow; None stands
    for the same first byte and nothing else. `arguments` are in the order of the function's
    parameters, scratch last.
    """

    layer: str
    op: str
    function: str
    arguments: tuple[Argument, ...]
    inputs: tuple[str, ...]
    output: str
    scratch: tuple[str, ...]
    inplace: Mapping[str, AccessOrder | None]
    macs: int
    realisation: str = "plain"
    weight_bytes: int = 0


@dataclass(frozen=True)
class Storage:
    """Memory that the planner places: live from step `first` to step `last`, both included. A
    state outlives the inference and has a place of its own."""

    name: str
    role: Role
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Branch:
    """Steps [first, end), which run where the byte of the state `condition` is not 0.

    Step `first` - 1 has written it: `vq.escalate`, whose thresholds, int32, are the state of their
    name, and whose test is `confidence`.
    """

    condition: str
    first: int
    end: int
    thresholds: Constant
    confidence: str


@dataclass(frozen=True)
class Program:
    """Everything the planner and the emitter need."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    output_names: tuple[str, ...]
    steps: tuple[Step, ...]
    storages: tuple[Storage, ...]
    constants: tuple[Constant, ...]
    functions: Mapping[str, LoweredFunction]
    quantization: Mapping[str, Any]
    micro_kernels: Mapping[str, tuple[MicroKernel, ...]]
    """The generated routines that each function calls."""
    removed: Mapping[str, Any]
    """Channels that were proved constant, by layer, with the MACs before and after."""
    adjacent: tuple[tuple[str, ...], ...] = ()
    """Storages that must follow each other without gaps: the parts of concatenations."""
    branch: Branch | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, of all its steps."""
        return sum(step.macs for step in self.steps)
