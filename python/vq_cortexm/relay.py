"""Relay's names on today's TVM: `import vq_cortexm.relay`, then `tvm.relay.build(...)`.

Publishes itself as `tvm.relay` where TVM has none; a real `tvm.relay` is never replaced.

    mod, params = tvm.relay.frontend.from_tflite("model.tflite")
    lib = tvm.relay.build(mod, target="vq-cortexm", params=params)
    result = lib.run([array], board="mps2-an386")
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import tvm

from . import frontend as _frontend
from . import transform
from .build import build as _build
from .compat import IRModule
from .compiled_model import CompiledModel


def build(
    mod: IRModule | tuple[IRModule, Mapping[str, Any]],
    target: Any = "vq-cortexm",
    params: Mapping[str, Any] | None = None,
    mod_name: str = "default",
    **options: Any,
) -> CompiledModel:
    """`vq_cortexm.build` with Relay's argument order; `mod_name` is the model's C name."""
    if isinstance(mod, tuple):
        mod, bound = mod
        params = {**bound, **(params or {})}
    return _build(mod, target, params, name=mod_name, **options)


def _from_tflite(
    model: str | Path | bytes | Any, shape_dict: Any = None, dtype_dict: Any = None
) -> tuple[IRModule, dict[str, Any]]:
    """Module and parameters (none: they are constants of the module) of a TFLite model.

    The shapes and types that Relay asked for are in the file; the arguments are accepted.
    """
    return _frontend.from_tflite(model), {}


def _from_onnx(
    model: str | Path | bytes | Any, shape: Any = None, dtype: Any = "float32"
) -> tuple[IRModule, dict[str, Any]]:
    """Module and parameters (none: they are constants of the module) of an ONNX model, QDQ or
    QONNX."""
    return _frontend.from_onnx(model), {}


frontend = ModuleType("tvm.relay.frontend", "Importers that return (module, parameters).")
frontend.__dict__.update(from_tflite=_from_tflite, from_onnx=_from_onnx, from_qonnx=_from_onnx)


def publish() -> bool:
    """Makes this module `tvm.relay`; False where TVM has a Relay of its own."""
    if getattr(tvm, "relay", None) not in (None, sys.modules[__name__]):
        return False
    module = sys.modules[__name__]
    tvm.relay = module
    sys.modules.setdefault("tvm.relay", module)
    sys.modules.setdefault("tvm.relay.frontend", frontend)
    sys.modules.setdefault("tvm.relay.transform", transform)
    return True


publish()

__all__ = ["build", "frontend", "publish", "transform"]
