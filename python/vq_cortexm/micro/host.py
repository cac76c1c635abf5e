"""The same generated C on this computer: a shared library, called in this process."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import RunError, UsageError
from .app import IoTensor, ModelIo
from .cmake import cmake_build
from .toolchain import find_tool

_SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
_FAST = "-march=native"
"""The library runs where it is built. Results are the same: sums of floats are not contracted."""
_ALIGNMENT = 16
"""Of the buffers a caller brings, in bytes."""


def build_host_library(
    model_dir: Path, build_dir: Path, *, sanitize: bool = False, poison: bool = False
) -> Path:
    """Builds the generated model in `model_dir` into a shared library of this computer.

    With `sanitize` it is under the address and undefined-behaviour sanitizers, and loads only in
    a process started with `sanitizer_environment()`. With `poison` it is a debug build that checks
    every layer's use of memory. BuildError: it does not compile.
    """
    definitions = {
        "BUILD_SHARED_LIBS": "ON",
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_C_COMPILER": str(find_tool("cc")),
        "CMAKE_C_FLAGS": _SANITIZERS if sanitize else _FAST,
        "VQ_POISON": "ON" if poison else "OFF",
    }
    build_dir = build_dir.resolve()
    cmake_build(model_dir.resolve(), build_dir, definitions)
    return build_dir / "libvq_model.so"


def sanitizer_environment() -> dict[str, str]:
    """Variables for a process that loads a library under sanitizers: their run time comes first.

    The C++ library follows it, or its exceptions, which TVM uses, would be intercepted before they
    are known. Python itself frees little at its end, so leaks are not looked for.
    """
    preloaded = " ".join(_library_path(name) for name in ("libasan.so", "libstdc++.so.6"))
    return {"LD_PRELOAD": preloaded, "ASAN_OPTIONS": "detect_leaks=0"}


def _library_path(name: str) -> str:
    completed = subprocess.run(
        [find_tool("cc"), f"-print-file-name={name}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return completed.stdout.strip()


class HostModel:
    """A model of `build_host_library`; its state is the library's, so one thread at a time."""

    def __init__(self, library: Path, io: ModelIo) -> None:
        self._io = io
        loaded = ctypes.CDLL(str(library))
        self._run = loaded[f"tvmgen_{io.model}_run"]
        self._run.restype = ctypes.c_int32
        self._path = loaded[f"tvmgen_{io.model}_path"] if io.thresholds else None
        self._set = loaded[f"tvmgen_{io.model}_set_threshold"] if io.thresholds else None
        # the memory of the header's structs, which hold nothing but pointers
        inputs = (ctypes.c_void_p * len(io.inputs))()
        outputs = (ctypes.c_void_p * len(io.outputs))()
        if io.caller_io:
            self._buffers = [_allocate(tensor) for tensor in (*io.inputs, *io.outputs)]
            for i, buffer in enumerate(self._buffers[: len(io.inputs)]):
                inputs[i] = _aligned(buffer)
            for i, buffer in enumerate(self._buffers[len(io.inputs) :]):
                outputs[i] = _aligned(buffer)
        else:
            loaded[f"tvmgen_{io.model}_map_io"](ctypes.byref(inputs), ctypes.byref(outputs))
        self._arguments = (ctypes.byref(inputs), ctypes.byref(outputs))
        self._inputs = list(zip(inputs, (tensor.size_bytes for tensor in io.inputs), strict=True))
        self._outputs = list(
            zip(outputs, (tensor.size_bytes for tensor in io.outputs), strict=True)
        )

    def set_thresholds(self, thresholds: Sequence[int]) -> None:
        """Of a model with two paths, as many as it has."""
        for index, threshold in enumerate(thresholds):
            assert self._set is not None
            status = self._set(ctypes.c_uint32(index), ctypes.c_int32(threshold))
            assert status == 0, f"{self._io.model} has no threshold {index}"

    def run(self, samples: Sequence[bytes]) -> tuple[bytes, ...]:
        """One inference for each sample, the bytes of all inputs; returns those of all outputs
        and, of a model with two paths, of the path's number.

        UsageError: a sample of a wrong size; RunError: the model's run reports an error.
        """
        return tuple([self._infer(sample) for sample in samples])

    def _infer(self, sample: bytes) -> bytes:
        if len(sample) != self._io.input_bytes:
            raise UsageError(f"a sample of {len(sample)} bytes, not {self._io.input_bytes}")
        first = 0
        for address, size in self._inputs:
            ctypes.memmove(address, sample[first : first + size], size)
            first += size
        status = self._run(*self._arguments)
        if status != 0:
            raise RunError(f"host: {self._io.model} returned {status}", status)
        outputs = b"".join([ctypes.string_at(address, size) for address, size in self._outputs])
        return outputs if self._path is None else outputs + bytes([self._path()])


def _allocate(tensor: IoTensor) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(tensor.size_bytes + _ALIGNMENT - 1)


def _aligned(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return -(-ctypes.addressof(buffer) // _ALIGNMENT) * _ALIGNMENT
