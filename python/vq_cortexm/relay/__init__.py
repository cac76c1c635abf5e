"""Relay's names on today's TVM: `import vq_cortexm.relay`, then `tvm.relay.build(...)`.

Publishes itself as `tvm.relay` where TVM has none; a real `tvm.relay` is never replaced.

    mod, params = tvm.relay.frontend.from_tflite("model.tflite")
    lib = tvm.relay.build(mod, target="vq-cortexm", params=params)
    result = lib.run([array], board="mps2-an386")
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import tvm

from .. import frontend as _frontend
from .. import transform
from ..build import build as _build
from ..compat import IRModule
from .library import FunctionInfo, RelayLibrary, SourceLibrary
from .options import Executor, Runtime, check_name
from .pass_context import accept_old_names

_OPTIONS = tuple(
    name
    for name, parameter in inspect.signature(_build).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "name"
)


def build(
    mod: IRModule | tuple[IRModule, Mapping[str, Any]] | str,
    target: Any = "vq-cortexm",
    params: Mapping[str, Any] | None = None,
    mod_name: str = "default",
    *,
    executor: Executor | str = "aot",
    runtime: Runtime | str = "crt",
    **options: Any,
) -> RelayLibrary:
    """`vq_cortexm.build` with Relay's argument order; `mod_name` is the model's C name.

    `mod` is a module, an importer's pair of module and parameters, or the JSON text of a Relay
    module, whose `params` may be weights. `executor` and `runtime` are what the library is: ahead
    of time, with a C interface. `options` are those of `vq_cortexm.build`. Raises UsageError for an
    option that is unknown or not to be had.
    """
    for name in options:
        check_name("option of build", name, ("executor", "runtime", *_OPTIONS))
    if isinstance(executor, str):
        Executor(executor)
    if isinstance(runtime, str):
        Runtime(runtime)
    if isinstance(mod, tuple):
        mod, bound = mod
        params = {**bound, **(params or {})}
    if isinstance(mod, str):
        mod, params = load_json(mod, params), None
    built = _build(mod, target, params, name=mod_name, **options)
    return RelayLibrary(built.options, built.module, built.program, built.plan, built.sources)


def load_json(text: str, params: Mapping[str, Any] | None = None) -> IRModule:
    """The module that a Relay-era TVM saved with `tvm.ir.save_json`, with Relay's own integer
    meaning. `params` are bound to the parameters of their names: weights must be, unless they are
    constants. Raises ModelError for a text that is damaged, or an operator that is not supported.
    """
    return _frontend.from_relay_json(text, params)


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
backend = ModuleType("tvm.relay.backend", "How a library runs.")
backend.__dict__.update(Executor=Executor, Runtime=Runtime)


def publish() -> bool:
    """Makes this module `tvm.relay`, and the names of pass options from Relay's time known; False
    where TVM has a Relay of its own."""
    if getattr(tvm, "relay", None) not in (None, sys.modules[__name__]):
        return False
    module = sys.modules[__name__]
    tvm.relay = module
    sys.modules.setdefault("tvm.relay", module)
    sys.modules.setdefault("tvm.relay.backend", backend)
    sys.modules.setdefault("tvm.relay.frontend", frontend)
    sys.modules.setdefault("tvm.relay.transform", transform)
    accept_old_names()
    return True


publish()

__all__ = [
    "Executor",
    "FunctionInfo",
    "RelayLibrary",
    "Runtime",
    "SourceLibrary",
    "backend",
    "build",
    "frontend",
    "load_json",
    "publish",
    "transform",
]
