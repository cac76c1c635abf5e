"""What other runtimes compute of each tensor of a model file, each in its own default set-up."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import onnx
from numpy.typing import NDArray

from ..compat import quiet
from ..errors import ModelError, ToolError, UsageError, first_line
from ..files import load_arrays
from ..frontend.qonnx import MOVES
from ..frontend.qonnx_graph import is_custom, is_qonnx, with_domains
from ..frontend.tflite_file import TfliteGraph, read_graph
from ..samples import Sample
from .own import OwnModel, file_inputs

Runtime = Literal["litert", "tflm", "onnxruntime", "qonnx"]
Tensors = Mapping[str, NDArray[Any]]
"""Arrays by the names of the file's tensors."""
PACKAGES: dict[Runtime, str] = {
    "litert": "ai-edge-litert",
    "tflm": "tflite-micro",
    "onnxruntime": "onnxruntime",
    "qonnx": "qonnx",
}
ROUNDINGS: dict[Runtime, str] = {
    "litert": "float",
    "tflm": "double",
    "onnxruntime": "float",
    "qonnx": "float",
}
"""The rounding that equals each."""
_OF_KIND: dict[str, tuple[Runtime, ...]] = {
    ".tflite": ("litert", "tflm"),
    ".onnx": ("onnxruntime",),
    "QONNX": ("qonnx",),
}
_LARGEST_ARENA_BYTES = 1 << 30


def choose_runtime(model: Path, asked: str | None) -> Runtime:
    """The runtime for a file: the one that is asked for, or the first for its kind."""
    kind = model.suffix
    if kind == ".onnx" and is_qonnx(onnx.load_model(model, load_external_data=False)):
        kind = "QONNX"
    known = _OF_KIND.get(kind, ())
    if not known:
        raise UsageError(
            f"{model}: no runtime for it is known; --reference FILE.npz with its tensors works"
        )
    if asked is None:
        return known[0]
    if asked not in get_args(Runtime):
        raise UsageError(
            f"--reference {asked}: {', '.join(get_args(Runtime))} or a file .npz works"
        )
    if asked not in known:
        raise UsageError(f"--reference {asked}: for {kind} files {', '.join(known)} works")
    return next(runtime for runtime in known if runtime == asked)


def computed_tensors(path: Path) -> list[str]:
    """What a file's operators compute of its inputs: the names of their outputs, but for real
    numbers that are those of integers (DequantizeLinear)."""
    if path.suffix == ".tflite":
        graph = read_graph(path.read_bytes(), path.name)
        names = graph.tensor_names
        return [names[i] for operator in graph.operators for i in operator.outputs if i >= 0]
    if path.suffix == ".onnx":
        found = onnx.load_model(path, load_external_data=False).graph
        constants, kept = {tensor.name for tensor in found.initializer} | {""}, []
        for node in found.node:
            if constants.issuperset(node.input):
                constants.update(node.output)
            elif node.op_type != "DequantizeLinear":
                kept += [name for name in node.output if name]
        return kept
    return []


def run_runtime(
    runtime: Runtime, path: Path, model: OwnModel, samples: Sequence[Sample]
) -> list[Tensors]:
    """The tensors of the file for every sample. ToolError where the package is missing, ModelError
    where it refuses the file."""
    data = path.read_bytes()
    try:
        with quiet():
            return _RUNTIMES[runtime](data, model, samples)
    except (ModelError, ToolError):
        raise
    except Exception as error:  # each runtime raises types of its own
        raise ModelError(f"{path}: {runtime} refuses it: {first_line(error)}") from error


def _litert(data: bytes, model: OwnModel, samples: Sequence[Sample]) -> list[Tensors]:
    interpreter = _imported("litert", "ai_edge_litert.interpreter").Interpreter(
        model_content=data, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    graph, inputs = read_graph(data, "the file"), interpreter.get_input_details()
    results: list[Tensors] = []
    for sample in samples:
        dtypes = [np.dtype(x["dtype"]).name for x in inputs]
        for x, value in zip(inputs, file_inputs(model, sample, dtypes), strict=True):
            interpreter.set_tensor(x["index"], value)
        interpreter.invoke()
        results.append(_computed(graph, lambda i: np.array(interpreter.get_tensor(i))))
    return results


def _tflm(data: bytes, model: OwnModel, samples: Sequence[Sample]) -> list[Tensors]:
    runtime = _imported("tflm", "tflite_micro.python.tflite_micro.runtime")
    graph = read_graph(data, "the file")
    # every tensor is kept; persistent data of the kernels beside them
    kept = sum(int(np.prod(t.shape, dtype=np.int64)) * 8 for t in graph.tensors if t.data is None)
    arena_bytes = kept + 16 * len(data) + (1 << 20)
    if arena_bytes > _LARGEST_ARENA_BYTES:
        raise ModelError("TensorFlow Lite Micro would need more than 1 GiB for it")
    interpreter = runtime.Interpreter.from_bytes(
        data,
        arena_size=arena_bytes,
        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
    )
    dtypes = [graph.tensors[i].dtype for i in graph.inputs]
    results: list[Tensors] = []
    for sample in samples:
        for index, value in enumerate(file_inputs(model, sample, dtypes)):
            interpreter.set_input(value, index)
        interpreter.invoke()
        results.append(_computed(graph, lambda i: interpreter.GetTensor(i, 0)["tensor_data"]))
    return results


def _computed(graph: TfliteGraph, get: Callable[[int], NDArray[Any]]) -> Tensors:
    """What the file's operators gave."""
    names = graph.tensor_names
    return {names[i]: get(i) for operator in graph.operators for i in operator.outputs if i >= 0}


def _onnx_runtime(data: bytes, model: OwnModel, samples: Sequence[Sample]) -> list[Tensors]:
    ort = _imported("onnxruntime", "onnxruntime")
    proto = onnx.load_model_from_string(data)
    # integers alone: that a real tensor is looked at would keep layers from becoming integer ones
    wanted = {layer.tensor for layer in model.layers if layer.tensor}
    own = {value.name for value in proto.graph.output}
    made = [name for node in proto.graph.node for name in node.output if name in wanted - own]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # 16-bit sums of products would saturate on processors without VNNI
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs, names = session.get_inputs(), [y.name for y in session.get_outputs()]
    dtypes = [_ONNX_TYPES.get(x.type, x.type) for x in inputs]
    results: list[Tensors] = []
    for sample in samples:
        given = file_inputs(model, sample, dtypes)
        fed = {x.name: value for x, value in zip(inputs, given, strict=True)}
        results.append(dict(zip(names, session.run(None, fed), strict=True)))
    return results


def _qonnx(data: bytes, model: OwnModel, samples: Sequence[Sample]) -> list[Tensors]:
    executor = _imported("qonnx", "qonnx.core.onnx_exec")
    wrapper = _imported("qonnx", "qonnx.core.modelwrapper").ModelWrapper
    shapes = _imported("qonnx", "qonnx.transformation.infer_shapes").InferShapes
    proto = wrapper(with_domains(onnx.load_model_from_string(data))).transform(shapes())
    # what is on a grid: that of a quantizer, or of what only moves its values
    quantized: set[str] = set()
    for node in proto.graph.node:
        names = node.input if node.op_type == "Concat" else node.input[:1]
        if is_custom(node) or (node.op_type in MOVES and quantized.issuperset(names)):
            quantized.update(node.output)
    constants = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value.name for value in proto.graph.input if value.name not in constants]
    results: list[Tensors] = []
    for sample in samples:
        given = file_inputs(model, sample, ["float32"] * len(inputs))
        made = executor.execute_onnx(proto, dict(zip(inputs, given, strict=True)), True)
        results.append({name: made[name] for name in quantized})
    return results


_ONNX_TYPES = {
    "tensor(float)": "float32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
}
_RUNTIMES: dict[Runtime, Callable[[bytes, OwnModel, Sequence[Sample]], list[Tensors]]] = {
    "litert": _litert,
    "tflm": _tflm,
    "onnxruntime": _onnx_runtime,
    "qonnx": _qonnx,
}


def _imported(runtime: Runtime, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        package = PACKAGES[runtime]
        raise ToolError(
            f"--reference {runtime} needs the package {package}; pip install {package} works"
        ) from None


def read_tensors(path: Path, samples: int) -> list[Tensors]:
    """The arrays of a `.npz`, each of one sample, or of several with one more axis in front or in
    place of a batch of 1. UsageError for anything else."""
    try:
        arrays = load_arrays(path)
    except UsageError as error:
        raise UsageError(f"--reference {error}") from None
    if not isinstance(arrays, dict):
        raise UsageError(f"--reference {path}: one array without a name; save them in a .npz file")
    if samples == 1:
        return [arrays]
    wrong = [name for name, a in arrays.items() if a.ndim == 0 or len(a) != samples]
    if wrong:
        raise UsageError(f"--reference {path}: {wrong[0]!r} is not of {samples} samples")
    return [{name: a[i] for name, a in arrays.items()} for i in range(samples)]


__all__ = [
    "ROUNDINGS",
    "Runtime",
    "Tensors",
    "choose_runtime",
    "computed_tensors",
    "read_tensors",
    "run_runtime",
]
