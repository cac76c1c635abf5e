"""The records between the `vq.*` operators and their kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ..compat import PrimFunc


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
    may spend scratch and copies on letting its output take its input's place.
    """

    op: str
    attrs: Any
    inputs: tuple[TensorSpec, ...]
    constants: tuple[NDArray[Any], ...]
    output: TensorSpec
    overlap: bool = False


@dataclass(frozen=True)
class Kernel:
    """The semantic PrimFunc of a layer and the constants it is called with.

    The function's parameters are the layer's inputs, then `constants`, then the output. Input
    number i may share its first byte with the output if i is in `inplace`: the function reads
    each element for the last time before it writes over it.
    """

    function: PrimFunc
    constants: tuple[NDArray[Any], ...]
    inplace: tuple[int, ...] = ()
