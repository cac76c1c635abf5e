"""Model files, and programs that PyTorch exported, → Relax QDQ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..compat import IRModule
from ..errors import ModelError
from .exported_program import from_exported_program
from .onnx import from_onnx
from .relay_json import from_relay_json
from .tflite import from_tflite

_READERS: dict[str, Callable[[Path], IRModule]] = {
    ".tflite": from_tflite,
    ".onnx": from_onnx,
    ".json": from_relay_json,
}


def load(path: str | Path) -> IRModule:
    """The Relax QDQ module of a model file, by its ending; ModelError if it cannot be read."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    if path.suffix not in _READERS:
        raise ModelError(f"{path}: unknown ending {path.suffix!r}; known: {', '.join(_READERS)}")
    return _READERS[path.suffix](path)


__all__ = ["from_exported_program", "from_onnx", "from_relay_json", "from_tflite", "load"]
