"""vq-cortexm: quantized CNNs to Cortex-M firmware, an Apache TVM backend."""

from __future__ import annotations

# first: it imports TVM
from . import _import_tvm  # noqa: F401  # isort: skip

from . import bcnet, frontend, micro, transform, tune
from ._version import __version__
from .build import build
from .compat import register_target_tags
from .compiled_model import CompiledModel
from .export import export_int8
from .run_result import RunResult
from .tags import target_tags
from .target import BOARDS

register_target_tags(target_tags())

__all__ = [
    "BOARDS",
    "CompiledModel",
    "RunResult",
    "__version__",
    "bcnet",
    "build",
    "export_int8",
    "frontend",
    "micro",
    "transform",
    "tune",
]
