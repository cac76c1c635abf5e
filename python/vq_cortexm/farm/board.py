"""A board at a serial port, as a measuring server uses it.

job ──► build ──► flash ──► run ──► result
                    ▲        │ no answer: once more, for flashing resets the board
                    └────────┤
                             ▼ again: is it the job, or the board?
                  flash ──► hello ──► an answer: the job's error
                    ▲        │ none
                    └────────┘ the board is lost, and `check` says so until it answers
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError, NoDeviceError, RunError, UsageError
from ..micro.fingerprint import fingerprint_of_files
from ..micro.flash import choose_flash_tool
from ..micro.job import Job, job_folder
from ..micro.link_runner import (
    LinkOptions,
    build_for_port,
    check_link_can,
    drive,
    flash_for_port,
)
from ..micro.model_info import ModelInfo, TensorInfo
from ..micro.runner import DeviceRun
from ..micro.serial_transport import SerialTransport
from ..micro.session import Session
from ..micro.transport import check_baud
from ..target import Board

_RUNS = 2
"""Of a job, until it is asked whose fault it is."""
_CYCLES_PER_INSTRUCTION = 4
"""More than there are on average, with wait states."""


@dataclass(frozen=True)
class JobModel(ModelInfo):
    """A job's model, which takes `limit_cycles` an inference at most."""

    limit_cycles: int = 0

    @property
    def most_cycles(self) -> int:
        """As the job says."""
        return self.limit_cycles


class PortBoard:
    """The board at a port; `folder` keeps the firmware that it was given last.

    UsageError: the board has no debug probe, cannot do the link's rate, or is one of those that are
    emulated, whose figures are others; ToolError: no program to flash it; DeviceError: no such
    port, or it is in use.
    """

    def __init__(self, board: Board, options: LinkOptions, folder: Path) -> None:
        if board.emulation != "none" or board.probe is None:
            raise UsageError(
                f"board {board.name!r} is not hardware with a debug probe: without --port "
                "its emulation serves; `vq-cortexm boards` names others"
            )
        check_baud(board, options.baud)
        choose_flash_tool(options.flash_tool)
        with SerialTransport(options.port, baud=options.baud):
            pass
        self._board, self._options = board, options
        self._elf = folder / "firmware.elf"
        self._lost: ModelInfo | None = None

    def run(self, job: Job) -> DeviceRun:
        """Runs a job. NoDeviceError: the board has stopped answering, and does not answer after
        resets either; DeviceError: it does, so it is the job that stops it."""
        check_link_can(job)
        model = job_model(job, self._board)
        with job_folder(job) as folder:
            firmware = build_for_port(job, self._board, folder, self._options)
            shutil.copyfile(firmware.elf, self._elf)
        last: DeviceError | None = None
        for _ in range(_RUNS):
            try:
                transport = flash_for_port(self._elf, self._board, self._options)
                return drive(job, model, transport, firmware.sizes, self._board.name)
            except RunError:
                raise
            except DeviceError as error:
                last = error
        self._lost = model
        try:
            self.check()
        except DeviceError as error:
            raise NoDeviceError(str(error)) from last
        # without what differs from run to run: equal errors are the job's
        raise DeviceError(
            f"{self._board.name}: {model.name} stops it in each of {_RUNS} runs, "
            "and it answers again after a reset"
        ) from last

    def check(self) -> None:
        """DeviceError: the board is lost, and does not answer after a reset."""
        if self._lost is None:
            return
        transport = flash_for_port(self._elf, self._board, self._options)
        with Session(transport, f"{self._board.name} at {self._options.port}", model=self._lost):
            self._lost = None


def job_model(job: Job, board: Board) -> JobModel:
    """What a session needs to know of a job's model."""
    io = job.app.io
    inputs, outputs = (
        tuple(TensorInfo(t.name, (t.size_bytes,), "uint8", t.size_bytes) for t in tensors)
        for tensors in (io.inputs, io.outputs)
    )
    digests = {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in job.sources.items()
    }
    return JobModel(
        io.model,
        fingerprint_of_files(digests),
        inputs,
        outputs,
        (),
        (),
        0,
        _limit_cycles(job, board),
    )


def _limit_cycles(job: Job, board: Board) -> int:
    """Of one inference: by the job's instructions, and by its time."""
    in_time = int(job.timeout_seconds * (board.clock_hz or 0))
    if job.instruction_limit is None:
        return in_time
    return min(in_time, _CYCLES_PER_INSTRUCTION * job.instruction_limit // len(job.samples))
