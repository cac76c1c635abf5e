"""`vq-cortexm serve`, and the verbs that measure with its servers."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import SECONDS, Run, fail, json_of
from fake_tools import recorded, write_tool
from farm_servers import tracker_here, until
from port_board import board_at_a_port, firmware_here, job_asked

import vq_cortexm
from vq_cortexm.errors import NoDeviceError
from vq_cortexm.farm.client import Farm
from vq_cortexm.farm.messages import write_job
from vq_cortexm.farm.server import PROTOCOL
from vq_cortexm.farm.tracker import Address, Tracker
from vq_cortexm.farm.wire import Message, receive, send
from vq_cortexm.farm.work_folder import PREFIX
from vq_cortexm.frontend import load
from vq_cortexm.micro.job import Job
from vq_cortexm.reference import run_reference
from vq_cortexm.samples import random_samples
from vq_cortexm.tune.session import compiler_id

BOARD = "mps2-an386"


@contextmanager
def serving(
    tracker: Address, temporary: Path, jobs: int = 1, board: str = BOARD, port: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of servers; killed where it does not end before."""
    options = ["--tracker", str(tracker), "--board", board, "--jobs", str(jobs), *port]
    with subprocess.Popen(
        [sys.executable, "-m", "vq_cortexm", "serve", *options],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        try:
            until(lambda: servers(tracker, board) == jobs)
            yield process
        finally:
            process.kill()
    until(lambda: servers(tracker, board) == 0)


def servers(tracker: Address, board: str) -> int:
    with Tracker(tracker) as link:
        return len(link.servers(f"vq-cortexm/{board}"))


def ask(tracker: Address, board: str, job: Job) -> Message:
    """What a server says to a job."""
    with Tracker(tracker) as link:
        offer = link.request(f"vq-cortexm/{board}", SECONDS)
    hello = {"protocol": PROTOCOL, "identity": compiler_id(), "board": board, "word": offer.word}
    with socket.create_connection((offer.address.host, offer.address.port)) as connection:
        send(connection, hello, SECONDS)
        assert receive(connection, SECONDS) == {"ready": True}
        send(connection, {"id": "1", "job": write_job(job)}, SECONDS)
        answer: Message = {"busy": True}
        while "busy" in answer:
            answer = receive(connection, SECONDS)
    return answer


def test_what_is_measured_elsewhere_is_what_is_measured_here(
    model: Path, tmp_path: Path, here: Run
) -> None:
    own, others = tmp_path / "own.jsonl", tmp_path / "others.jsonl"
    how = ["--trials", "10", "--jobs", "2"]
    found = json_of("tune", model, "--db", own, *how, run=here)
    with tracker_here() as tracker, serving(tracker, tmp_path, jobs=2) as process:
        where = ["--tracker", str(tracker)]
        again = json_of("tune", model, "--db", others, *how, *where, run=here)
        assert others.read_text() == own.read_text()
        assert again["layers"] == found["layers"]
        assert len(list(tmp_path.glob(f"{PREFIX}*"))) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        assert process.stderr is not None
        assert process.stderr.read().decode().count("\n") == 1
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_what_a_killed_server_left_goes_with_the_next(tmp_path: Path) -> None:
    with tracker_here() as tracker:
        with serving(tracker, tmp_path):
            (left,) = tmp_path.glob(f"{PREFIX}*")
        assert left.is_dir()
        with serving(tracker, tmp_path) as process:
            assert not left.exists()
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_hardware_at_a_port_is_flashed_and_run_for_others(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board, tool = "nucleo-l4r5zi", tmp_path / "bin" / "openocd"
    compiled = vq_cortexm.build(load(model), "vq-cortexm/cortex-m4", name="tiny_net")
    samples = random_samples(compiled.program.inputs, 2, seed=3)
    job = job_asked(compiled, samples, board)
    tool.parent.mkdir()
    write_tool(tool)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    with board_at_a_port(tmp_path) as hardware, tracker_here() as tracker:
        hardware.start(firmware_here(job, tmp_path / "firmware"))
        port = ["--port", str(hardware.port), "--flash-tool", "openocd", "--serial-number", "066D"]
        with serving(tracker, tmp_path, board=board, port=port) as process:
            answers = [ask(tracker, board, job) for _ in range(2)]
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
    wanted = [[array.tobytes() for array in run_reference(compiled.module, s)] for s in samples]
    for answer in answers:
        given = [base64.b64decode(output) for output in answer["run"]["outputs"]]
        assert given == [b"".join(arrays) for arrays in wanted]
        assert answer["run"]["sizes"]["text"] > 0
    calls = recorded(tool)
    assert len(calls) == 2
    assert all("adapter serial 066D" in call for call in calls)
    assert not list(tmp_path.glob(f"{PREFIX}*"))


def test_no_tracker_no_server_and_wrong_words_are_one_line_each(
    model: Path, tmp_path: Path, here: Run
) -> None:
    db = tmp_path / "db.jsonl"
    tune = ["tune", model, "--db", db]
    with tracker_here() as tracker:
        nobody = Address("127.0.0.1", tracker.port)
    line = fail(4, *tune, "--tracker", str(nobody), run=here)
    assert f"no tracker at {nobody}: Connection refused" in line
    assert line == fail(4, "serve", "--tracker", str(nobody), "--board", BOARD, run=here)
    assert "HOST:PORT works" in fail(2, *tune, "--tracker", "9190", run=here)
    assert "needs --tracker" in fail(2, *tune, "--key", "k", run=here)
    host = ["--tracker", str(nobody), "--board", "host"]
    assert "is this computer" in fail(2, *tune, *host, run=here)
    assert "is not emulated" in fail(2, "serve", *host, run=here)
    hardware = ["serve", "--tracker", str(nobody), "--board", "nucleo-l4r5zi"]
    assert "is hardware: --port says where" in fail(2, *hardware, run=here)
    port = ["--port", tmp_path / "tty"]
    assert "does one job at a time" in fail(2, *hardware, *port, "--jobs", "2", run=here)
    slow = [*hardware, *port, "--baud", "9600"]
    assert "works with 29297 to 4000000 bits" in fail(2, *slow, run=here)
    emulated = ["serve", "--tracker", str(nobody), "--board", BOARD]
    assert "without --port its emulation serves" in fail(2, *emulated, *port, run=here)
    assert "are of a board at a --port" in fail(2, *emulated, "--baud", "9600", run=here)
    assert not db.exists()


def test_a_farm_that_is_lost_is_one_line(
    model: Path, tmp_path: Path, here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise NoDeviceError("no server for 120 s")

    monkeypatch.setattr(Farm, "run", lost)
    db = tmp_path / "db.jsonl"
    with tracker_here() as tracker:
        line = fail(4, "tune", model, "--db", db, "--tracker", str(tracker), run=here)
    assert line.endswith(f"no server for 120 s; another run goes on with what {db} has")
