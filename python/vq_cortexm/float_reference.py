"""The host's result of `vq.float_call`: its loops as C, compiled for this computer."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codegen.c_printer import print_function
from .codegen.float_functions import HEADER
from .codegen.lower import lower_function
from .compat import Expr, load_module
from .micro.toolchain import find_tool
from .op.float_call import FloatCallAttrs
from .op.registry import attributes
from .resources import resource_dir

_FLAGS = ("-std=c11", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-w")


def run_float_call(call: Expr, inputs: list[NDArray[Any]]) -> NDArray[Any]:
    """The result of a `vq.float_call` on arrays; ToolError where there is no C compiler."""
    attrs: FloatCallAttrs = attributes(call)
    function, scratch_bytes = _compiled(attrs.function)
    y = np.zeros(attrs.shape, np.float32)
    kept = [np.ascontiguousarray(x) for x in inputs]
    kept += [y, *(np.zeros(size, np.uint8) for size in scratch_bytes)]
    function(*(ctypes.c_void_p(array.ctypes.data) for array in kept))
    return y


@lru_cache(maxsize=64)
def _compiled(text: str) -> tuple[Any, tuple[int, ...]]:
    """The C function of a PrimFunc's JSON and the bytes of its scratch buffers."""
    lowered = lower_function(load_module(text))
    with tempfile.TemporaryDirectory(prefix="vq-") as folder:
        source, library = Path(folder) / "float.c", Path(folder) / "float.so"
        body = print_function(lowered.function, "vq_float_call", frozenset())
        source.write_text(f'#include <stdbool.h>\n#include "{HEADER}"\n\n{body}', "utf-8")
        include = resource_dir("runtime") / "include"
        command = [str(find_tool("cc")), *_FLAGS, f"-I{include}", str(source), "-o", str(library)]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        function = ctypes.CDLL(str(library))["vq_float_call"]
    function.restype = None
    return function, tuple(buffer.size_bytes for buffer in lowered.scratch)
