"""All readers of files that come from elsewhere: good files, the damage, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from vq_cortexm.aot.program import Tensor
from vq_cortexm.build import build
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import DeviceError
from vq_cortexm.files import read_arrays
from vq_cortexm.frontend import load
from vq_cortexm.micro.model_library_format import (
    ModelLibrary,
    read_model_library_format,
)
from vq_cortexm.micro.recording import ReplayTransport
from vq_cortexm.quantize.binary import BinaryNet, read_binary
from vq_cortexm.quantize.session import read_model
from vq_cortexm.report.folder import read_build
from vq_cortexm.report.page import render_page
from vq_cortexm.samples import load_samples
from vq_cortexm.session import load_folder

from . import seeds
from .archive_mutations import mutate_library, mutate_npy, mutate_npz
from .mutations import Mutate, mutate_bytes, mutate_json, mutate_lines, mutate_words
from .onnx_mutations import mutate_onnx


@dataclass(frozen=True)
class Reader:
    """`read` gets a folder with the files of `seed`, one of them damaged by one of `mutations`."""

    seed: Callable[[Random], seeds.Files]
    mutations: tuple[Mutate, ...]
    read: Callable[[Path], object]

    def draw(self, name: str) -> seeds.Files:
        """The files of a case, which follow from its name."""
        random = Random(name)
        files = self.seed(random)
        chosen = random.choice(sorted(files))
        mutate = random.choice(self.mutations)
        return {**files, chosen: mutate(random, files[chosen])}


def _compile(folder: Path) -> CompiledModel:
    (path,) = folder.iterdir()
    return build(load(path))


def _read_float(folder: Path) -> object:
    (path,) = folder.iterdir()
    return read_model(path)


def _read_binary(folder: Path) -> BinaryNet:
    (path,) = folder.iterdir()
    return read_binary(path.read_bytes(), path.name)


def _replay(folder: Path) -> None:
    """Opens the recording and takes what the device said."""
    transport = ReplayTransport(folder / "link.txt")
    try:
        while True:
            transport.open()
            transport.write(bytes.fromhex("0002010184"), 1.0)
            transport.read(3, 1.0)
    except DeviceError:
        return  # as soon as the recording went on otherwise


def _report(folder: Path) -> str:
    return render_page(read_build(folder))


def _library(folder: Path) -> ModelLibrary:
    return read_model_library_format(folder / "model.tar")


def _samples(folder: Path) -> object:
    return load_samples(folder / "x.npy", [_INPUT])


def _data(folder: Path) -> object:
    """As `run` and as `quantize`, `fit` and `bcnet` read it."""
    load_samples(folder / "x.npz", [_INPUT])
    return read_arrays(folder / "x.npz")


_INPUT = Tensor("x", (1, 12), "int8", "x")
_ONNX = (mutate_onnx, mutate_onnx, mutate_onnx, mutate_bytes)
_JSON = (mutate_json, mutate_json, mutate_json, mutate_bytes)
READERS = {
    "tflite": Reader(seeds.tflite, (mutate_words, mutate_words, mutate_bytes), _compile),
    "onnx-qdq": Reader(seeds.onnx_qdq, _ONNX, _compile),
    "onnx-qoperator": Reader(seeds.onnx_qoperator, _ONNX, _compile),
    "qonnx": Reader(seeds.qonnx, _ONNX, _compile),
    "relay": Reader(seeds.relay, _JSON, _compile),
    "float-onnx": Reader(seeds.float_onnx, _ONNX, _read_float),
    "binary-onnx": Reader(seeds.binary_onnx, _ONNX, _read_binary),
    "float-tflite": Reader(seeds.float_tflite, (mutate_words, mutate_bytes), _read_float),
    "library": Reader(seeds.library, (mutate_library, mutate_library, mutate_bytes), _library),
    "folder": Reader(seeds.folder, _JSON, load_folder),
    "npy": Reader(seeds.samples, (mutate_npy, mutate_bytes), _samples),
    "npz": Reader(seeds.data, (mutate_npz, mutate_npz, mutate_bytes), _data),
    "report": Reader(seeds.report, _JSON, _report),
    "recording": Reader(seeds.recording, (mutate_lines, mutate_bytes), _replay),
}
