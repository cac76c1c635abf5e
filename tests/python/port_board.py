"""A serial port with a board behind it: its firmware runs as a process of this computer."""

from __future__ import annotations

import os
import pty
import subprocess
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vq_cortexm.compiled_model import CompiledModel, Sample
from vq_cortexm.errors import NoDeviceError
from vq_cortexm.micro.firmware import build_host_server
from vq_cortexm.micro.job import Job
from vq_cortexm.micro.runner import DeviceRun


class PortBoard:
    """`port` is a link to the serial port, which goes when it is unplugged. `flash` takes the place
    of `micro.flash.flash`: what runs then is `firmware`, whatever was to be flashed."""

    def __init__(self, folder: Path) -> None:
        self.port = folder / "tty"
        self.firmware: Path | None = None
        self.flashed = 0
        self.fails = 0
        """Times that it does not come back after it was flashed."""
        self._ours, self._theirs = pty.openpty()
        tty.setraw(self._theirs)
        self._process: subprocess.Popen[bytes] | None = None
        self.plug()

    def plug(self) -> None:
        self.port.symlink_to(os.ttyname(self._theirs))

    def unplug(self) -> None:
        self.port.unlink(missing_ok=True)

    def flash(self, elf: Path, *_board: Any, **_how: Any) -> None:
        assert elf.read_bytes().startswith(b"\x7fELF")
        self.flashed += 1
        self.unplug()
        if self.fails:
            self.fails -= 1
            return
        self.plug()
        assert self.firmware
        self.start(self.firmware)

    def start(self, firmware: Path) -> None:
        self._end()
        self._process = subprocess.Popen([firmware], stdin=self._ours, stdout=self._ours)

    def close(self) -> None:
        self._end()
        self.unplug()
        os.close(self._ours)
        os.close(self._theirs)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def board_at_a_port(folder: Path) -> Iterator[PortBoard]:
    board = PortBoard(folder)
    try:
        yield board
    finally:
        board.close()


def job_asked(compiled: CompiledModel, samples: Sequence[Sample], board: str) -> Job:
    """What a model's run asks of a board."""
    jobs = list[Job]()

    def keep(job: Job) -> DeviceRun:
        jobs.append(job)
        raise NoDeviceError("only asked")

    with suppress(NoDeviceError):
        compiled.run(samples, board, elsewhere=keep)
    return jobs[0]


def firmware_here(job: Job, folder: Path) -> Path:
    """A job's firmware for this computer, built in `folder`."""
    model = folder / "model"
    model.mkdir(parents=True)
    for name, text in job.sources.items():
        (model / name).write_text(text)
    return build_host_server(model, folder / "build", job.app)
