"""Jobs on a board at a port, which is reset, and left out while it does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import SHAPE, one_convolution
from port_board import PortBoard as FakeBoard
from port_board import board_at_a_port, firmware_here, job_asked

import vq_cortexm
from vq_cortexm.compiled_model import CompiledModel
from vq_cortexm.errors import DeviceError, NoDeviceError, RunError, ToolError, UsageError
from vq_cortexm.farm.board import PortBoard, job_model
from vq_cortexm.farm.messages import read_job, write_job
from vq_cortexm.frontend import from_tflite
from vq_cortexm.micro import link_runner
from vq_cortexm.micro.job import Job
from vq_cortexm.micro.link_runner import LinkOptions
from vq_cortexm.micro.model_info import model_info
from vq_cortexm.micro.serial_transport import SerialTransport
from vq_cortexm.micro.transport import TransportTimeouts
from vq_cortexm.target import BOARDS

BOARD = BOARDS["nucleo-l4r5zi"]
SAMPLES = [np.full(SHAPE, value, np.int8) for value in (-3, 5)]


@pytest.fixture(scope="module")
def compiled() -> CompiledModel:
    return vq_cortexm.build(from_tflite(one_convolution()), "vq-cortexm/cortex-m4", name="net")


@pytest.fixture(scope="module")
def job(compiled: CompiledModel) -> Job:
    return job_asked(compiled, SAMPLES, BOARD.name)


@pytest.fixture(scope="module")
def firmware(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware_here(job, tmp_path_factory.mktemp("firmware"))


@pytest.fixture
def fake(firmware: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeBoard]:
    with board_at_a_port(tmp_path) as board:
        board.firmware = firmware
        monkeypatch.setattr(link_runner, "flash", board.flash)
        yield board


@pytest.fixture
def board(fake: FakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PortBoard:
    monkeypatch.setattr("vq_cortexm.farm.board.choose_flash_tool", lambda _tool: "pyocd")
    return PortBoard(BOARD, LinkOptions(str(fake.port)), tmp_path)


def changed(job: Job, end: str) -> Job:
    """With another end of the model's run."""
    name = "net_run.c"
    head, found, tail = job.sources[name].rpartition("    return 0;\n")
    assert found
    return replace(job, sources={**job.sources, name: f"{head}    {end}\n{tail}"})


def test_a_job_is_flashed_and_run(
    board: PortBoard, fake: FakeBoard, compiled: CompiledModel
) -> None:
    result = compiled.run(SAMPLES, BOARD, check=True, elsewhere=board.run)
    assert result.bit_exact is True
    assert result.flash["total"] > 0
    assert fake.flashed == 1
    board.check()
    assert fake.flashed == 1


def test_a_board_that_is_lost_once_is_reset_and_does_the_job(
    board: PortBoard, fake: FakeBoard, compiled: CompiledModel
) -> None:
    fake.fails = 1
    assert compiled.run(SAMPLES, BOARD, check=True, elsewhere=board.run).bit_exact is True
    assert fake.flashed == 2


def test_a_lost_board_is_left_out_until_it_answers(
    board: PortBoard, fake: FakeBoard, job: Job
) -> None:
    fake.fails = 4
    with pytest.raises(NoDeviceError, match="no such serial port"):
        board.run(job)
    assert fake.flashed == 3
    with pytest.raises(DeviceError, match="no such serial port"):
        board.check()
    board.check()
    assert fake.flashed == 5
    assert len(board.run(job).outputs) == len(SAMPLES)


def test_a_job_that_stops_the_board_is_not_the_boards_fault(
    board: PortBoard, fake: FakeBoard, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # long for a hello, which comes, and short for a run, which does not
    times = TransportTimeouts(0.5, 60.0, 0.5)
    monkeypatch.setattr(SerialTransport, "timeouts", lambda _self: times)
    bad = replace(changed(job, "__builtin_trap();"), instruction_limit=1)
    fake.firmware = firmware_here(bad, tmp_path / "bad")
    said = set()
    for _ in range(2):
        with pytest.raises(DeviceError, match="stops it in each of 2 runs") as caught:
            board.run(bad)
        said.add(str(caught.value))
        assert type(caught.value) is DeviceError
    assert len(said) == 1
    assert fake.flashed == 6
    board.check()
    assert fake.flashed == 6


def test_another_firmware_than_was_flashed_is_the_boards_trouble(
    board: PortBoard, fake: FakeBoard, job: Job
) -> None:
    # as where the probe is one board's, and the port another's
    with pytest.raises(NoDeviceError, match="has another firmware"):
        board.run(changed(job, "return 0 * 7;"))


def test_a_model_that_returns_an_error_is_run_once(
    board: PortBoard, fake: FakeBoard, job: Job, tmp_path: Path
) -> None:
    bad = changed(job, "return 7;")
    fake.firmware = firmware_here(bad, tmp_path / "bad")
    with pytest.raises(RunError) as caught:
        board.run(bad)
    assert caught.value.returned == 7
    assert fake.flashed == 1


def test_a_job_whose_time_is_over_ends_between_samples(
    board: PortBoard, fake: FakeBoard, job: Job, tmp_path: Path
) -> None:
    fake.flash(_any_elf(tmp_path))
    transport = SerialTransport(str(fake.port))
    late = replace(job, timeout_seconds=-1.0)
    with pytest.raises(DeviceError, match=r"nucleo: 0 of 2 inferences ended within -1 s"):
        link_runner.drive(late, job_model(job, BOARD), transport, None, "nucleo")


def _any_elf(folder: Path) -> Path:
    path = folder / "any.elf"
    path.write_bytes(b"\x7fELF")
    return path


def test_what_a_job_says_of_its_model_is_what_the_model_says(
    job: Job, compiled: CompiledModel
) -> None:
    known, told = model_info(compiled.metadata), job_model(job, BOARD)
    assert (told.name, told.fingerprint) == (known.name, known.fingerprint)
    for ours, theirs in ((told.inputs, known.inputs), (told.outputs, known.outputs)):
        assert [(t.name, t.size_bytes) for t in ours] == [(t.name, t.size_bytes) for t in theirs]
    assert BOARD.clock_hz
    assert told.most_cycles == job.timeout_seconds * BOARD.clock_hz
    assert job_model(replace(job, instruction_limit=1000), BOARD).most_cycles == 2000
    # a firmware that is built elsewhere counts the same layers
    assert job.app.io.layers == len(known.layers) > 0
    assert read_job(json.loads(json.dumps(write_job(job)))) == job


def test_poison_is_refused(board: PortBoard, job: Job) -> None:
    with pytest.raises(UsageError, match="run it in the emulator"):
        board.run(replace(job, poison=True))


def test_what_cannot_be_served(
    fake: FakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = LinkOptions(str(fake.port))
    for name in ("mps2-an386", "netduinoplus2", "host"):
        with pytest.raises(UsageError, match="is not hardware with a debug probe"):
            PortBoard(BOARDS[name], options, tmp_path)
    with pytest.raises(UsageError, match="baud 9600: the UART of nucleo-l4r5zi works with"):
        PortBoard(BOARD, replace(options, baud=9600), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="neither pyocd nor openocd found"):
        PortBoard(BOARD, options, tmp_path)
    with pytest.raises(ToolError, match="openocd not found on PATH"):
        PortBoard(BOARD, replace(options, flash_tool="openocd"), tmp_path)
    (tmp_path / "openocd").touch(mode=0o755)
    fake.unplug()
    with pytest.raises(DeviceError, match="no such serial port"):
        PortBoard(BOARD, options, tmp_path)
