"""The records between the `vq.*` operators and their kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ..compat import PrimFunc
from ..nary.encoding import Realisation
from .access_order import AccessOrder
from .knobs import Knobs
from .micro_kernel import MicroKernel

ALIGNMENT = 4
"""Of every tensor, in bytes; kernels load words from tensors."""


@dataclass(frozen=True)
class TensorSpec:
    """Shape and element type of a tensor."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Layer:
    """One `vq.*` call: what a kernel is generated from.

    `inputs` are the tensors that are computed, `constants` the operator's constant arguments in
    their order, `attrs` its attribute record (`op.<name>.<Name>Attrs`). With `overlap` a kernel
    may spend scratch and copies on letting its output take its input's place. `realisation` is how
    weights are stored, where a kernel has it: `nary.encoding` says which there are. `compact`
    layers have short loops rather than straight code. `knobs` say how its kernel is made where
    there are several ways.
    """

    op: str
    attrs: Any
    inputs: tuple[TensorSpec, ...]
    constants: tuple[NDArray[Any], ...]
    output: TensorSpec
    overlap: bool = False
    realisation: Realisation = "plain"
    compact: bool = False
    knobs: Knobs = field(default_factory=Knobs)


@dataclass(frozen=True)
class StoredWeights:
    """How a kernel's weights are stored: their bytes, without biases and scales; `decoded_words` of
    four weights are decoded in a run, each as often as it is."""

    realisation: Realisation = "plain"
    size_bytes: int = 0
    decoded_words: int = 0


@dataclass(frozen=True)
class Kernel:
    """The PrimFunc of a layer and the constants it is called with.

    The function's parameters are the layer's inputs, then `constants`, then the output. The output
    may overlap the inputs whose numbers are in `inplace`, as far as their access orders allow; a
    number without an order says that both may have the same first byte. `micro` are the routines
    it calls. The constants whose numbers are in `settable` may be set at run time.
    """

    function: PrimFunc
    constants: tuple[NDArray[Any], ...]
    inplace: tuple[int, ...] | Mapping[int, AccessOrder] = ()
    micro: tuple[MicroKernel, ...] = ()
    weights: StoredWeights = StoredWeights()
    settable: tuple[int, ...] = ()

    @property
    def access_orders(self) -> dict[int, AccessOrder | None]:
        """By input; None where only the same first byte is allowed."""
        return (
            dict(self.inplace) if isinstance(self.inplace, Mapping) else dict.fromkeys(self.inplace)
        )
