"""What a model's own format computes: TensorFlow Lite Micro, LiteRT, ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import onnxruntime
from numpy.typing import NDArray
from tflite_builder import litert_outputs, tflm_outputs

from .models import Drawn

Arrays = Sequence[NDArray[Any]]


def runtime_of(drawn: Drawn) -> tuple[str, Callable[[bytes, Sequence[Arrays]], list[Arrays]]]:
    """The runtime that a model must equal: its name, and how it runs samples."""
    if drawn.form == "onnx":
        return "ONNX Runtime", _onnx_runtime
    if drawn.rounding == "double":
        return "TensorFlow Lite Micro", _tflm
    return "LiteRT", _litert


def _tflm(model: bytes, samples: Sequence[Arrays]) -> list[Arrays]:
    return [tflm_outputs(model, *sample) for sample in samples]


def _litert(model: bytes, samples: Sequence[Arrays]) -> list[Arrays]:
    return [litert_outputs(model, *sample) for sample in samples]


def _onnx_runtime(model: bytes, samples: Sequence[Arrays]) -> list[Arrays]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # 16-bit sums of products would saturate on processors without VNNI
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    return [list(session.run(None, dict(zip(names, s, strict=True)))) for s in samples]
