"""Models behind a link, built once: on this computer and in the emulator."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import two_nets
from fake_model import APP, IO, write_model
from vq_models import TINY_MODELS

from vq_cortexm.bcnet import Policy, compose
from vq_cortexm.build import build_folded
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.micro.emulated_link import emulated_link
from vq_cortexm.micro.fingerprint import fingerprint_of_folder
from vq_cortexm.micro.firmware import build_firmware, build_host_server
from vq_cortexm.micro.model_info import LayerInfo, ModelInfo, TensorInfo
from vq_cortexm.micro.process_transport import ProcessTransport
from vq_cortexm.micro.qemu_transport import QemuTransport
from vq_cortexm.target import board_by_name

_FOLDER = tempfile.TemporaryDirectory(prefix="vq-linked-")


@functools.cache
def tiny(board: str = "host", name: str = "tiny_classifier") -> CompiledModel:
    """One of TINY_MODELS for a board's core."""
    target = "vq-cortexm" if board == "host" else f"vq-cortexm/{board}"
    return build_folded(TINY_MODELS[name](), target, name=name)


@functools.cache
def composed() -> CompiledModel:
    """Two nets as one."""
    policy = Policy(thresholds=(two_nets.quantiles(Policy(), two_nets.samples(12))[2],))
    return build_folded(compose(two_nets.fast(), two_nets.accurate(), policy), name="pair")


@functools.cache
def link(model: CompiledModel, board: str = "host", counts: bool = True) -> ProcessTransport:
    """The way to a model; the same object each time, which one test after the other opens."""
    folder = Path(_FOLDER.name) / f"{model.name}-{board}"
    transport = emulated_link(model, board_by_name(board), folder, counts=counts)
    assert isinstance(transport, ProcessTransport)
    return transport


@functools.cache
def _fake_sources() -> Path:
    return write_model(Path(_FOLDER.name) / "fake")


def fake_info() -> ModelInfo:
    """What a host knows of the model of tests/c/fake_model."""
    inputs, outputs = (
        tuple(TensorInfo(t.name, (t.size_bytes,), "int8", t.size_bytes) for t in tensors)
        for tensors in (IO.inputs, IO.outputs)
    )
    layers = tuple(LayerInfo(name, "fake", 15, f"fake_{name}") for name in ("scale", "shift"))
    return ModelInfo("fake", fingerprint_of_folder(_fake_sources()), inputs, outputs, layers, (), 9)


@functools.cache
def fake_link(board: str = "host") -> ProcessTransport:
    """The way to the model of tests/c/fake_model."""
    build = Path(_FOLDER.name) / f"fake-{board}"
    if board == "host":
        return ProcessTransport([str(build_host_server(_fake_sources(), build, APP))], name="host")
    part = board_by_name(board)
    elf = build_firmware(_fake_sources(), part, build, APP, harness="rpc").elf
    return QemuTransport(elf, part)
