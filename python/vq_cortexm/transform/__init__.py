"""Relax passes from QDQ to integer kernels, one per file; usable alone in a `Sequential`."""

from .cancel_transposes import CancelTransposes
from .fold_qdq import FoldQDQ
from .lower_to_tir import LowerToTIR
from .pipeline import fold_pipeline, lower_pipeline
from .remove_constant_channels import RemoveConstantChannels

__all__ = [
    "CancelTransposes",
    "FoldQDQ",
    "LowerToTIR",
    "RemoveConstantChannels",
    "fold_pipeline",
    "lower_pipeline",
]
