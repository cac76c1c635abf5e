"""From a float model's file to a quantized ONNX model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from ..errors import ModelError, UsageError
from ..transform.vq_config import VirtualQuantizeConfig
from .binary import SAMPLES as BINARY_SAMPLES
from .binary import is_binary, quantize_binary, read_binary
from .calibration_data import read_data
from .export_onnx import to_onnx
from .graph import FloatArray, FloatGraph, LayerSummary
from .quantize_graph import QuantizedGraph, Watch, quantize_graph
from .read_folded import is_quantized, read_folded
from .read_onnx import read_onnx
from .read_tflite import read_tflite

SAMPLES = 1024
"""Of the data that are used, by default."""
METADATA_KEY = "vq.quantize"
_READERS = {".onnx": read_onnx, ".tflite": read_tflite}


@dataclass(frozen=True)
class QuantizeOptions:
    """Levels of the layers; inputs are (x - mean) * scale, of the first `samples`."""

    config: VirtualQuantizeConfig = field(default_factory=VirtualQuantizeConfig)
    scale: tuple[float, ...] = (1.0,)
    mean: tuple[float, ...] = (0.0,)
    samples: int = SAMPLES


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """The ONNX QDQ model and what to tell of it.

    The shares of right answers are those on the calibration data, of the float network and of the
    quantized one; None where the data have no classes.
    """

    proto: ModelProto
    layers: tuple[LayerSummary, ...]
    samples: int
    float_accuracy: float | None
    accuracy: float | None


def quantize_file(
    model: Path, data: Path, options: QuantizeOptions, watch: Watch = lambda name: None
) -> QuantizedModel:
    """Quantizes a float or int8 file, ONNX or TFLite, on the `x` of a `.npz` file.

    Of a binary net the float rest gets 8 bits, as QONNX. ModelError or UsageError if either file
    cannot be used.
    """
    source = _read_file(model)
    if model.suffix == ".onnx" and is_binary(source):
        return _quantize_binary(model.name, source, data, options, watch)
    graph = _network(model, source)
    given = read_data(data, graph, options.scale, options.mean, options.samples)
    quantized = quantize_graph(graph, given.x, given.scale, options.config, watch)
    origin = Origin(model.name, hashlib.sha256(source).hexdigest(), len(given.x))
    return QuantizedModel(
        export_onnx(quantized, origin, options.config),
        summarize_layers(quantized),
        len(given.x),
        _accuracy(quantized.float_outputs[0], given.y),
        _accuracy(quantized.outputs[0], given.y),
    )


def _quantize_binary(
    name: str, source: bytes, data: Path, options: QuantizeOptions, watch: Watch
) -> QuantizedModel:
    if not options.config.asks_nothing:
        raise UsageError(
            f"{name}: a binary net, whose other layers get 8 bits; for fewer of them build what is "
            "written with --bits, --levels or --vq"
        )
    net = read_binary(source, name)
    samples = min(options.samples, BINARY_SAMPLES)
    given = read_data(data, net.graph, options.scale, options.mean, samples)
    made = quantize_binary(net, given.x, given.scale, watch)
    layers = {layer.name: layer.levels for layer in made.layers}
    origin = Origin(name, hashlib.sha256(source).hexdigest(), len(given.x))
    described = {**asdict(origin), "layers": layers}
    helper.set_model_props(made.proto, {METADATA_KEY: json.dumps(described)})
    return QuantizedModel(
        made.proto,
        made.layers,
        len(given.x),
        _accuracy(made.float_output, given.y),
        _accuracy(made.output, given.y),
    )


@dataclass(frozen=True)
class Origin:
    """What a model was made from: the file's name and SHA-256, and how many samples."""

    model: str
    sha256: str
    samples: int


def export_onnx(
    quantized: QuantizedGraph, origin: Origin, config: VirtualQuantizeConfig
) -> ModelProto:
    """The ONNX model, with what it was made from in its metadata."""
    layers = {layer.name: layer.levels for layer in summarize_layers(quantized)}
    described = {**asdict(origin), "weights": config.to_json(), "layers": layers}
    return to_onnx(quantized, {METADATA_KEY: json.dumps(described)})


def read_model(path: Path) -> tuple[bytes, FloatGraph]:
    """A model file's bytes and its network; ModelError or UsageError if it cannot be used."""
    source = _read_file(path)
    if path.suffix == ".onnx" and is_binary(source):
        raise ModelError(f"{path.name}: a binary net; other float and 8-bit models work")
    return source, _network(path, source)


def _read_file(path: Path) -> bytes:
    if path.suffix not in _READERS:
        raise UsageError(f"{path}: unknown ending {path.suffix!r}; known: {', '.join(_READERS)}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from None


def _network(path: Path, source: bytes) -> FloatGraph:
    is_folded = path.suffix == ".onnx" and is_quantized(source)
    read = read_folded if is_folded else _READERS[path.suffix]
    return read(source, path.name)


def summarize_layers(quantized: QuantizedGraph) -> tuple[LayerSummary, ...]:
    """The layers with weights, in order."""
    weights = {name: layer.weight for name, layer in quantized.layers.items()}
    return tuple(
        LayerSummary(n.name, n.op, weights[n.name].size, len(np.unique(weights[n.name])))
        for n in quantized.graph.products
    )


def _accuracy(output: FloatArray, y: NDArray[Any] | None) -> float | None:
    if y is None or output.ndim != 2:
        return None
    return float((output.argmax(axis=1) == y).mean())
