"""What the firmware and the host need to know of a generated model, and its glue `vq_app.c`."""

from __future__ import annotations

from dataclasses import dataclass

from ..codegen.templates import template

APP_SOURCE = "vq_app.c"


@dataclass(frozen=True)
class IoTensor:
    """An input or output: its member in the header's structs, and its size in bytes."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class ModelIo:
    """The interface of a generated model, in the order of its header's structs.

    `model` is the C identifier in `<model>.h` and `tvmgen_<model>_run`. With `caller_io` there is
    no `tvmgen_<model>_map_io`: the caller brings the buffers. A model with two paths has as many
    `thresholds`, any other none. `layers` are the steps of a run, those of both paths.
    """

    model: str
    inputs: tuple[IoTensor, ...]
    outputs: tuple[IoTensor, ...]
    caller_io: bool = False
    thresholds: int = 0
    layers: int = 0

    @property
    def input_bytes(self) -> int:
        """Bytes of one sample: all inputs, in order, without gaps."""
        return sum(tensor.size_bytes for tensor in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Bytes of one result: all outputs, in order, without gaps."""
        return sum(tensor.size_bytes for tensor in self.outputs)

    @property
    def result_bytes(self) -> int:
        """Bytes of what a run gives for a sample: all outputs and, of two paths, the one taken."""
        return self.output_bytes + bool(self.thresholds)


@dataclass(frozen=True)
class AppSpec:
    """A model's interface and the sample that its firmware runs when started by itself."""

    io: ModelIo
    sample: bytes


def render_app(app: AppSpec, fingerprint: bytes) -> str:
    """The text of `vq_app.c`; ValueError if the sample does not have the inputs' size.

    `fingerprint` is the model's (`fingerprint_of_folder`).
    """
    if len(app.sample) != app.io.input_bytes:
        raise ValueError(
            f"the sample of {app.io.model} has {len(app.sample)} bytes, "
            f"its inputs {app.io.input_bytes}"
        )
    return template("app.c.j2").render(
        model=app.io.model,
        inputs=app.io.inputs,
        outputs=app.io.outputs,
        caller_io=app.io.caller_io,
        thresholds=app.io.thresholds,
        layers=app.io.layers,
        sample=app.sample,
        fingerprint=fingerprint,
    )
