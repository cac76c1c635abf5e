"""Builds of quantized networks, and what their reports say."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..aot.library import micro_symbol
from ..build import build
from ..compiled_model import CompiledModel
from ..errors import UsageError
from ..frontend import from_onnx
from ..op.rounding import Rounding
from ..quantize.export_onnx import to_onnx
from ..quantize.graph import FloatArray
from ..quantize.quantize_graph import QuantizedGraph
from ..run_result import RunResult
from ..samples import random_samples
from ..target import DEFAULT_TARGET, Board
from ..transform.lower_to_tir import DEFAULT_OBJECTIVE, Objective
from ..transform.vq_config import VirtualQuantizeConfig
from .problem import Plan


@dataclass(frozen=True)
class Bench:
    """What models are built for, and where they are measured."""

    board: Board
    rounding: Rounding = "single"

    def build(
        self,
        quantized: QuantizedGraph,
        objective: Objective = DEFAULT_OBJECTIVE,
        vq: VirtualQuantizeConfig | None = None,
    ) -> CompiledModel:
        """Its ONNX file, compiled for the board's core; `vq` may say how weights are stored."""
        module = from_onnx(to_onnx(quantized, {}))
        target = f"{DEFAULT_TARGET}/{self.board.core.name}"
        return build(module, target, rounding=self.rounding, objective=objective, vq=vq)

    def build_planned(self, quantized: QuantizedGraph, plan: Plan) -> tuple[CompiledModel, Plan]:
        """The build of a plan, and what it has become: where the weights do not suit a realisation
        (they were fitted together since it was planned), the objective chooses all of them."""
        try:
            return self.build(quantized, plan.objective, plan.config), plan
        except UsageError:
            compiled = self.build(quantized, plan.objective)
            return compiled, plan_of(compiled, plan)

    def profile(self, compiled: CompiledModel) -> RunResult:
        """One inference on the board."""
        return compiled.run(random_samples(compiled.program.inputs, 1, seed=1), self.board)


def plan_of(compiled: CompiledModel, asked: Plan) -> Plan:
    """The plan with the realisations that a build has."""
    stored = {layer["name"]: layer["realisation"] for layer in compiled.report["layers"]}
    layers = tuple(c._replace(realisation=stored[c.layer]) for c in asked.layers)
    return replace(asked, layers=layers)


def run_on_host(compiled: CompiledModel, x: FloatArray) -> FloatArray:
    """The first output, as real numbers (N, ...), for real inputs (N, ...)."""
    (given,), (result, *_) = compiled.metadata["inputs"], compiled.metadata["outputs"]
    integers = np.clip(np.rint(x / given["scale"]) + given["zero_point"], -128, 127)
    run = compiled.run(list(integers.astype(np.int8)[:, np.newaxis]), "host")
    first = np.concatenate([outputs[0] for outputs in run.outputs])
    centred = first.astype(np.float32) - np.float32(result["zero_point"])
    return np.asarray(centred * np.float32(result["scale"]), np.float32)


def routine_symbols(compiled: CompiledModel) -> dict[str, frozenset[str]]:
    """The generated routines that each layer calls."""
    return {
        step.layer: frozenset(
            micro_symbol(kernel, compiled.name)
            for kernel in compiled.program.micro_kernels[step.function]
        )
        for step in compiled.program.steps
    }


def ram_bytes(compiled: CompiledModel, run: RunResult) -> dict[str, int]:
    """RAM while each layer runs: static data and the bytes of the arena that are live."""
    result = {}
    for index, step in enumerate(compiled.program.steps):
        live = [p for p in compiled.plan.placements if p.storage.first <= index <= p.storage.last]
        taken = {byte for place in live for byte in range(place.offset, place.end)}
        result[step.layer] = run.ram["data"] + len(taken)
    return result
