"""Compiled TFLite models beside the interpreters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_builder import litert_outputs, tflm_outputs

import vq_cortexm
from vq_cortexm.frontend.tflite import from_tflite

BackEnd = tuple[Any, Callable[..., list[NDArray[Any]]]]
TFLM: BackEnd = ("double", tflm_outputs)
LITERT: BackEnd = ("float", litert_outputs)


def check_against(
    model: bytes,
    back_end: BackEnd,
    *shapes: tuple[int, ...],
    dtype: str = "int8",
    board: str = "host",
) -> Any:
    """The compiled model, whose outputs for drawn inputs of `shapes` are the interpreter's."""
    rounding, interpret = back_end
    target = "vq-cortexm" if board == "host" else f"vq-cortexm/{board}"
    compiled = vq_cortexm.build(from_tflite(model), target, rounding=rounding)
    rng, info = np.random.default_rng(0), np.iinfo(dtype)
    sample = [rng.integers(info.min, info.max + 1, shape).astype(dtype) for shape in shapes]
    result = compiled.run([sample], board, check=True, poison=True)
    assert result.bit_exact
    expected = interpret(model, *sample)
    for i, (output, wanted) in enumerate(zip(result.outputs[0], expected, strict=True)):
        np.testing.assert_array_equal(np.array(output), wanted, f"output {i}")
    return compiled
