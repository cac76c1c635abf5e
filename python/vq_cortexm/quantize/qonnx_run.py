"""QONNX graphs on real numbers, by ONNX's reference evaluator and QONNX's quantizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from ..frontend.qonnx_graph import DOMAINS
from ..frontend.qonnx_values import Quantizer
from .graph import FloatArray


class BipolarQuant(OpRun):  # type: ignore[misc]
    """scale where x >= 0, else -scale."""

    op_domain = DOMAINS[0]

    def _run(self, x: Any, scale: Any) -> tuple[Any]:
        return (np.where(x >= 0, scale, -scale).astype(np.float32),)


class Quant(OpRun):  # type: ignore[misc]
    """The nearest number of the grid, within its bits."""

    op_domain = DOMAINS[0]

    def _run(
        self,
        x: Any,
        scale: Any,
        zero_point: Any,
        bits: Any,
        signed: int = 1,
        narrow: int = 0,
        rounding_mode: str = "ROUND",
    ) -> tuple[Any]:
        how = (bool(signed), bool(narrow), rounding_mode)
        return (Quantizer(scale, zero_point, int(bits), *how).constant(x).value,)


def run_qonnx(
    proto: Any,
    x: FloatArray,
    names: Sequence[str],
    watch: Callable[[str], None] = lambda name: None,
) -> list[FloatArray]:
    """The tensors `names`, (N, ...) each, of a model of batch 1 with one input, for x (N, ...)."""
    session = ReferenceEvaluator(proto, new_ops=[BipolarQuant, Quant])
    (name, *_) = session.input_names
    samples = []
    for index, sample in enumerate(x, 1):
        samples.append(session.run(list(names), {name: sample[np.newaxis]}))
        watch(f"sample {index} of {len(x)}")
    return [np.concatenate(values).astype(np.float32) for values in zip(*samples, strict=True)]
