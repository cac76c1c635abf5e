"""Cycles of single binary layers on the Cortex-M4 model, by both popcount structures.

    python benchmarks/binary_cycles.py

Weights, thresholds and inputs are drawn; cycles do not depend on them. Every output is compared
with the reference.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
from tvm import relax

from document import table
from vq_cortexm.build import build_folded
from vq_cortexm.compat import constant, main_function, tensor_type
from vq_cortexm.op.binary_conv2d import BinaryConv2dAttrs
from vq_cortexm.op.bits import pack, words
from vq_cortexm.op.registry import make_call

BOARD = "mps2-an386"
KERNEL = import_module("vq_cortexm.kernels.binary_conv2d")


@dataclass(frozen=True)
class Shape:
    """A square window of `size` on a square map of `plane`, padded to keep it."""

    plane: int
    channels: int
    outputs: int
    size: int
    to_signs: bool = True

    def __str__(self) -> str:
        what = (
            "dense" if self.plane == 1 else f"{self.size}×{self.size} on {self.plane}×{self.plane}"
        )
        return f"{what}, {self.channels} → {self.outputs}{'' if self.to_signs else ', to 8 bits'}"


SHAPES = (
    *(Shape(8, c, o, 3) for c, o in ((32, 32), (64, 64), (64, 128), (128, 128))),
    *(Shape(8, c, o, 1) for c, o in ((32, 32), (64, 64), (128, 128))),
    *(Shape(1, c, o, 1) for c, o in ((512, 64), (1024, 10))),
    Shape(8, 64, 20, 3),
    Shape(8, 64, 64, 3, to_signs=False),
    Shape(4, 128, 128, 3, to_signs=False),
)


def module(shape: Shape) -> Any:
    """One layer."""
    rng = np.random.default_rng(0)
    inputs = shape.size**2 * shape.channels
    border = (shape.size // 2,) * 4
    w = pack(rng.integers(0, 2, (shape.outputs, shape.size, shape.size, shape.channels)))
    constants = [w, rng.integers(-9, 9, shape.outputs).astype(np.int32)]
    grid: dict[str, Any] = {}
    if not shape.to_signs:
        grid = {"y_scale": 0.05 * inputs**0.5, "y_min": 0, "y_max": 127}
        constants.append(rng.uniform(0.5, 1.5, shape.outputs).astype(np.float32))
    dtype = "int32" if shape.to_signs else "int8"
    attrs = BinaryConv2dAttrs(shape.channels, (1, 1), border, -1, dtype, **grid)
    builder = relax.BlockBuilder()
    plane = (1, shape.plane, shape.plane, words(shape.channels))
    x = relax.Var("x", tensor_type(plane, "int32"))
    with main_function(builder, [x]) as finish:
        call = make_call("vq.binary_conv2d", [x, *map(constant, constants)], attrs)
        finish(builder.emit(call, name_hint="layer"))
    made = builder.get()
    described = {"inputs": [{}], "outputs": [{}]}
    made["main"] = made["main"].with_attrs({"vq.rounding": "single", "vq.quantization": described})
    return made


def cycles_per_mac(shape: Shape, vertical: bool) -> float:
    """Of the layer by one of the structures."""
    rng = np.random.default_rng(1)
    x = pack(rng.integers(0, 2, (1, shape.plane, shape.plane, shape.channels)))
    with patch.object(KERNEL, "prefers_vertical", lambda _: vertical):
        compiled = build_folded(module(shape), name="layer")
    run = compiled.run([[x]], BOARD, check=True)
    if not run.bit_exact or run.cycles is None:
        sys.exit(f"{shape}: the output differs from the reference")
    return run.cycles / int(compiled.report["macs"])


def rows() -> list[list[str]]:
    """Of the table: the structure that a build takes is marked."""
    result = []
    for shape in SHAPES:
        both = [cycles_per_mac(shape, vertical) for vertical in (True, False)]
        compiled = build_folded(module(shape), name="layer")
        routines = {k.family for each in compiled.program.micro_kernels.values() for k in each}
        taken = 0 if "binary_vertical" in routines else 1
        cells = [f"**{c:.3f}**" if i == taken else f"{c:.3f}" for i, c in enumerate(both)]
        result.append([str(shape), f"{compiled.report['macs']:,}", *cells])
    return result


HEADER = ["layer", "MACs", "vertical counters", "carry-save trees"]

if __name__ == "__main__":
    print(table(HEADER, rows()))
