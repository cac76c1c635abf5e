"""What a host needs to know of a model to drive it on a device: parts of its `metadata.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..aot.program import FLOAT_LAYER
from ..errors import UsageError
from .fingerprint import fingerprint_of_files

# more than any core takes: for integers by plain loops, for floats by the compiler's arithmetic
_CYCLES_PER_MAC, _CYCLES_PER_FLOAT_MAC = 50, 500
_CYCLES_PER_BYTE, _CYCLES_TO_START = 200, 1_000_000


@dataclass(frozen=True)
class TensorInfo:
    """An input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int

    def to_bytes(self, value: Any) -> bytes:
        """The bytes of an array of this shape and type (numpy's, TVM's or nested lists of them);
        UsageError for any other."""
        array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
        if array.shape != self.shape or str(array.dtype) != self.dtype:
            raise UsageError(
                f"{self.name!r} is {array.dtype}{array.shape}, "
                f"the model takes {self.dtype}{self.shape}"
            )
        return array.tobytes()

    def from_bytes(self, data: bytes) -> NDArray[Any]:
        """The array that has these bytes."""
        return np.frombuffer(data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class LayerInfo:
    """A layer; `symbol` is its C function, which several layers may share."""

    name: str
    op: str
    macs: int
    symbol: str


@dataclass(frozen=True)
class ModelInfo:
    """A model, as `model_info` reads it."""

    name: str
    fingerprint: bytes
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[LayerInfo, ...]
    thresholds: tuple[int, ...]
    """Of two nets, those that it was built with; else none."""
    buffer_bytes: int
    """Of all tensors of a run, each counted once."""

    @property
    def most_cycles(self) -> int:
        """More than one inference takes on any core."""
        macs = sum(
            layer.macs * (_CYCLES_PER_FLOAT_MAC if layer.op == FLOAT_LAYER else _CYCLES_PER_MAC)
            for layer in self.layers
        )
        return macs + _CYCLES_PER_BYTE * self.buffer_bytes + _CYCLES_TO_START


def model_info(metadata: Mapping[str, Any]) -> ModelInfo:
    """Of what `metadata.json` says; UsageError if it is not one of a generated model."""
    try:
        name, symbols = metadata["model"], dict[str, str]()
        for layer in metadata["layers"]:
            # as in aot.library.function_symbols: the first layer that uses a function names it
            symbols.setdefault(layer["function"], f"tvmgen_{name}_{layer['name']}")
        return ModelInfo(
            name,
            fingerprint_of_files(metadata["files"]),
            _tensors(metadata["inputs"]),
            _tensors(metadata["outputs"]),
            tuple(
                LayerInfo(layer["name"], layer["op"], layer["macs"], symbols[layer["function"]])
                for layer in metadata["layers"]
            ),
            tuple(metadata.get("bc_net", {}).get("thresholds", ())),
            sum(storage["size_bytes"] for storage in metadata["memory"]["plan"]),
        )
    except (KeyError, TypeError, AttributeError):
        raise UsageError(
            "this is no description of a generated model; metadata.json of a folder that "
            "`vq-cortexm compile` made works"
        ) from None


def _tensors(described: Sequence[Mapping[str, Any]]) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(t["name"], tuple(t["shape"]), t["dtype"], t["size_bytes"]) for t in described
    )
