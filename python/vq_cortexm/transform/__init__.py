"""Relax passes from QDQ to integer kernels, one per file; usable alone in a `Sequential`."""

from .cancel_transposes import CancelTransposes
from .fold_qdq import FoldQDQ
from .lower_to_tir import LowerToTIR
from .pipeline import fold_pipeline, lower_pipeline

__all__ = ["CancelTransposes", "FoldQDQ", "LowerToTIR", "fold_pipeline", "lower_pipeline"]
