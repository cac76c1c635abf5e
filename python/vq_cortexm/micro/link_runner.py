"""Runs a job over the link: a firmware with the RPC server, driven sample by sample."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError, UsageError
from ..target import Board
from .cycle_model import InferenceRecord, LayerRecord
from .device import Device, RunCost
from .emulated_link import link_to_sources
from .firmware import Firmware, FirmwareSizes, build_firmware
from .flash import FlashTool, flash
from .job import MODEL_FOLDER, Job, job_folder
from .model_info import ModelInfo
from .recording import RecordingTransport
from .runner import DeviceRun
from .serial_transport import SerialTransport
from .session import Session
from .transport import DEFAULT_BAUD, Transport, check_baud


@dataclass(frozen=True)
class LinkOptions:
    """How a board is reached: real hardware at the serial port `port`, `baud` bits per second, or
    its emulation. With `flash_first` the firmware is written through the debug probe before, by
    `flash_tool`, with the probe `serial_number`. `record` is a file for all that goes over the
    link."""

    port: str = ""
    flash_first: bool = True
    flash_tool: FlashTool | None = None
    serial_number: str = ""
    record: Path | None = None
    baud: int = DEFAULT_BAUD


def run_over_link(job: Job, board: Board, model: ModelInfo, options: LinkOptions) -> DeviceRun:
    """Builds the job's firmware for `board`, brings it there and runs all samples.

    UsageError: what only semihosting can do, or no port; DeviceError: the board is not there, does
    not answer or holds another firmware.
    """
    check_link_can(job)
    if board.emulation == "none" and not options.port:
        raise UsageError(f"board {board.name!r} is hardware: --port says where, as /dev/ttyACM0")
    if board.emulation == "host" and options.port:
        raise UsageError("this computer is not behind a --port; --link runs it over pipes")
    check_baud(board, options.baud)
    with job_folder(job) as folder:
        transport, sizes = _prepare(job, board, folder, options)
        if options.record is not None:
            transport = RecordingTransport(transport, options.record)
        return drive(job, model, transport, sizes, board.name)


def check_link_can(job: Job) -> None:
    """UsageError for a job that only semihosting can do."""
    if job.poison:
        raise UsageError("a poisoned build is not driven over a link; run it in the emulator")


def build_for_port(job: Job, board: Board, folder: Path, options: LinkOptions) -> Firmware:
    """The firmware of a job, whose `folder` this is, for real hardware."""
    model, build = folder / MODEL_FOLDER, folder / "build"
    return build_firmware(
        model, board, build, job.app, harness="rpc", profile=True, baud=options.baud
    )


def flash_for_port(elf: Path, board: Board, options: LinkOptions) -> SerialTransport:
    """Brings a firmware onto real hardware, unless it is there already; the way to it."""
    if options.flash_first:
        flash(elf, board, tool=options.flash_tool, serial_number=options.serial_number)
    return SerialTransport(options.port, baud=options.baud)


def drive(
    job: Job, model: ModelInfo, transport: Transport, sizes: FirmwareSizes | None, name: str
) -> DeviceRun:
    """Runs a job's samples on the device behind `transport`, which holds its firmware; `name` is
    what errors call it. DeviceError: it does not answer, or the job's time is over."""
    until = time.monotonic() + job.timeout_seconds
    results: list[tuple[bytes, RunCost, InferenceRecord | None]] = []
    with Session(transport, name, model=model) as session:
        device = session.device
        if job.thresholds:
            device.thresholds = job.thresholds
        for sample in job.samples:
            if time.monotonic() > until:
                raise DeviceError(
                    f"{name}: {len(results)} of {len(job.samples)} inferences ended within "
                    f"{job.timeout_seconds:g} s"
                )
            results.append(_infer(device, job, sample))
        counters = device.counters()
    outputs, costs, records = zip(*results, strict=True)
    return DeviceRun(
        outputs,
        tuple(cost.path for cost in costs) if job.app.io.thresholds else (),
        tuple(record for record in records if record is not None),
        sizes,
        counters.stack_peak_bytes,
    )


def _prepare(
    job: Job, board: Board, folder: Path, options: LinkOptions
) -> tuple[Transport, FirmwareSizes | None]:
    """The firmware, built and on its way, and the transport to it."""
    if options.port:
        firmware = build_for_port(job, board, folder, options)
        return flash_for_port(firmware.elf, board, options), firmware.sizes
    model, build = folder / MODEL_FOLDER, folder / "build"
    return link_to_sources(model, board, build, job.app, job.layer_functions, job.timing)


def _infer(
    device: Device, job: Job, sample: bytes
) -> tuple[bytes, RunCost, InferenceRecord | None]:
    """The outputs of one sample, and what it took."""
    first = 0
    for index, tensor in enumerate(job.app.io.inputs):
        device.set_input(index, sample[first : first + tensor.size_bytes])
        first += tensor.size_bytes
    cost = device.run()
    record = _record(device, job, cost)
    outputs = b"".join(device.output(index) for index in range(len(job.app.io.outputs)))
    return outputs, cost, record


def _record(device: Device, job: Job, cost: RunCost) -> InferenceRecord | None:
    """What the emulator modelled, or what the device counted; None where nobody counts."""
    if cost.records:
        return cost.records[-1]
    if cost.cycles is None:
        return None
    # those that were skipped are the last ones, and took nothing
    ran = zip(job.layer_functions, device.layer_cycles(), strict=True)
    layers = tuple(LayerRecord(name, None, cycles) for name, cycles in ran if cycles)
    return InferenceRecord(None, cost.cycles, layers, ())
