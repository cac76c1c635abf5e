"""The order in which a build runs the passes."""

from __future__ import annotations

from typing import Any

import tvm

from ..op.rounding import Rounding
from ..target import Core
from .cancel_transposes import CancelTransposes
from .copy_outputs import CopyOutputs
from .fold_float import Floats, FoldWithFloat
from .fold_qdq import FoldQDQ
from .fuse_pad import FusePad
from .fuse_signs import FuseSigns
from .fuse_tables import FuseTables
from .lower_bc_net import LowerBCNet
from .lower_to_tir import DEFAULT_OBJECTIVE, LowerToTIR, Objective
from .pack_binary import PackBinary
from .remove_constant_channels import RemoveConstantChannels
from .select_realisation import MeasuredCycles, SelectRealisation
from .select_schedule import Alternatives, SelectSchedule, own_schedule
from .virtual_quantize import VirtualQuantize
from .vq_config import VirtualQuantizeConfig

INTEGERS = Floats()
"""Nothing of a model stays in float32."""


def layer_pipeline(
    rounding: Rounding = "single",
    quantization: VirtualQuantizeConfig | None = None,
    floats: Floats = INTEGERS,
) -> Any:
    """QDQ form → `vq.*` form, one operator for each layer of the model; weights have the levels
    that `quantization` asks for, and `floats` stay in float32."""
    fold = FoldQDQ(rounding) if floats == INTEGERS else FoldWithFloat(rounding, floats)
    passes = [fold, *([VirtualQuantize(quantization)] if quantization else [])]
    return tvm.ir.transform.Sequential(passes, name="vq.layers")


def fold_pipeline(
    rounding: Rounding = "single",
    quantization: VirtualQuantizeConfig | None = None,
    floats: Floats = INTEGERS,
) -> Any:
    """`layer_pipeline` and then without what no input changes, as one `Sequential`."""
    layers = layer_pipeline(rounding, quantization, floats)
    simplify = [CancelTransposes(), FusePad(), RemoveConstantChannels(), PackBinary(), FuseTables()]
    passes = [layers, *simplify, CopyOutputs()]
    return tvm.ir.transform.Sequential(passes, name="vq.fold")


def select_pipeline(
    core: Core,
    objective: Objective = DEFAULT_OBJECTIVE,
    alternatives: Alternatives = own_schedule,
    measured: MeasuredCycles = lambda _layer: None,
) -> Any:
    """`vq.*` form → the same, with how each layer's weights are stored for `core`, and how its
    kernel is made."""
    passes = [
        FuseSigns(core),
        SelectRealisation(core, objective, measured),
        SelectSchedule(core, objective, alternatives),
    ]
    return tvm.ir.transform.Sequential(passes, name="vq.select")


def lower_pipeline(core: Core, overlap: bool = False) -> Any:
    """`vq.*` form → `call_tir` form for `core`; see `LowerToTIR` for `overlap`."""
    passes = [LowerBCNet(), LowerToTIR(core, overlap)]
    return tvm.ir.transform.Sequential(passes, name="vq.lower")
