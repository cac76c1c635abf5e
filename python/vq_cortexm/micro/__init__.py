"""Firmware and devices, with microTVM's names: `import vq_cortexm`, then `tvm.micro`.

Publishes itself as `tvm.micro` where TVM has none; a real `tvm.micro` is never replaced.

    template = tvm.micro.get_microtvm_template_projects("qemu")
    project = tvm.micro.generate_project(template, lib, "out/project", {"board": "mps2-an386"})
    project.build()
    project.flash()
    with tvm.micro.Session(project.transport()) as session:
        executor = tvm.micro.create_local_aot_executor(session)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tvm

from ..resources import resource_dir
from . import model_library_format, project, project_api, session, transport
from .project import (
    ExportsModelLibrary,
    GeneratedProject,
    NotATemplateProjectError,
    TemplateProject,
    TemplateProjectError,
    generate_project,
    generate_project_from_mlf,
    get_microtvm_template_projects,
)
from .session import Session, SessionTerminatedError, create_local_aot_executor
from .transport import Transport, TransportTimeouts

_ONE_EXECUTOR = "models are compiled ahead of time: create_local_aot_executor has profile() too"
_TUNING = "vq_cortexm.tune measures candidates, many in one image (docs/tuning.md)"
_GONE = {
    "create_local_graph_executor": _ONE_EXECUTOR,
    "create_local_debug_executor": _ONE_EXECUTOR,
    "AutoTvmModuleLoader": _TUNING,
    "autotvm_build_func": _TUNING,
}


def export_model_library_format(mod: ExportsModelLibrary, file_name: str | Path) -> Path:
    """Writes a compiled model as a tar of the Model Library Format."""
    return mod.export_model_library_format(file_name)


def get_standalone_crt_dir() -> str:
    """The folder of what runs on a device."""
    return str(resource_dir("runtime"))


def __getattr__(name: str) -> Any:
    """What microTVM had and this has not says what to take in its place."""
    instead = f"; {_GONE[name]}" if name in _GONE else ""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{instead}")


def publish() -> bool:
    """Makes this package `tvm.micro`; False where TVM has one of its own."""
    package = sys.modules[__name__]
    if getattr(tvm, "micro", None) not in (None, package):
        return False
    tvm.micro = package
    modules = [model_library_format, project, project_api, session, transport]
    modules += [project_api.client, project_api.server]
    for module in (package, *modules):
        name = module.__name__.replace(__name__, "tvm.micro", 1)
        sys.modules.setdefault(name, module)
    return True


publish()

__all__ = [
    "GeneratedProject",
    "NotATemplateProjectError",
    "Session",
    "SessionTerminatedError",
    "TemplateProject",
    "TemplateProjectError",
    "Transport",
    "TransportTimeouts",
    "create_local_aot_executor",
    "export_model_library_format",
    "generate_project",
    "generate_project_from_mlf",
    "get_microtvm_template_projects",
    "get_standalone_crt_dir",
    "project",
    "project_api",
    "publish",
    "session",
    "transport",
]
