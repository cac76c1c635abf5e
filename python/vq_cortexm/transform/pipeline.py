"""The order in which a build runs the passes."""

from __future__ import annotations

from typing import Any

import tvm

from ..op.rounding import Rounding
from .cancel_transposes import CancelTransposes
from .fold_qdq import FoldQDQ
from .lower_to_tir import LowerToTIR
from .remove_constant_channels import RemoveConstantChannels


def fold_pipeline(rounding: Rounding = "single") -> Any:
    """QDQ form → `vq.*` form without what no input changes, as one `Sequential`."""
    passes = [FoldQDQ(rounding), CancelTransposes(), RemoveConstantChannels()]
    return tvm.ir.transform.Sequential(passes, name="vq.fold")


def lower_pipeline(overlap: bool = False) -> Any:
    """`vq.*` form → `call_tir` form; see `LowerToTIR` for `overlap`."""
    return tvm.ir.transform.Sequential([LowerToTIR(overlap)], name="vq.lower")
