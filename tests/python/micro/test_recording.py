"""A session that was recorded is played back without its device."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from linked_models import link, tiny

from vq_cortexm.errors import DeviceError, UsageError
from vq_cortexm.micro.faulty_link import FaultyLink
from vq_cortexm.micro.process_transport import ProcessTransport
from vq_cortexm.micro.recording import RecordingTransport, ReplayTransport
from vq_cortexm.micro.session import Session, SessionTerminatedError, create_local_aot_executor
from vq_cortexm.micro.transport import Transport, TransportClosedError
from vq_cortexm.samples import random_samples

SECONDS = 30.0


def drive(transport: Transport, seed: int = 4) -> list[np.ndarray]:
    """Three inferences and a reset."""
    model, outputs = tiny(), []
    with Session(transport, model=model) as session:
        executor = create_local_aot_executor(session)
        for sample in random_samples(model.program.inputs, 3, seed):
            executor.set_input(0, sample[0])
            executor.run()
            outputs.append(executor.get_output(0).numpy())
            executor.reset()
    return outputs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "link.txt"


@pytest.mark.parametrize("rate", [0.0, 0.005])
def test_what_was_recorded_is_played_back(file: Path, rate: float):
    """On a bad line, too: what was repeated is repeated."""
    faulty = FaultyLink(link(tiny()), rate=rate, seed=2)
    recorded = drive(RecordingTransport(faulty, file))
    np.testing.assert_array_equal(drive(ReplayTransport(file)), recorded)
    assert sum(faulty.injected.values()) > 0 or rate == 0


def test_a_device_that_was_killed_is_played_back(file: Path, monkeypatch: pytest.MonkeyPatch):
    transport = link(tiny())
    run, killed = ProcessTransport.write, []

    def kill_once(self: ProcessTransport, data: bytes, seconds: float) -> None:
        # a load or the run; hello has no time-out to speak of
        if len(killed) < 5:
            killed.append(self.process_id)
            if len(killed) == 3:
                os.kill(self.process_id, signal.SIGKILL)
        run(self, data, seconds)

    monkeypatch.setattr(ProcessTransport, "write", kill_once)
    recorded = drive(RecordingTransport(transport, file))
    assert len(re.findall(" open$", file.read_text(), re.MULTILINE)) == 2
    assert " closed host ended with status -9\n" in file.read_text()
    np.testing.assert_array_equal(drive(ReplayTransport(file)), recorded)


def test_text(file: Path):
    drive(RecordingTransport(link(tiny()), file))
    title, session, line, timeouts, first, *events = file.read_text().splitlines()
    assert title == "vq-cortexm link 1"
    assert re.fullmatch(r"session \d+", session)
    assert line == "line 10000000.0 0.05 10000000.0"
    assert timeouts == "timeouts 0.25 30.0 30.0"
    assert re.fullmatch(r"0\.\d{6} open", first)
    # hello: nothing but its kind, no status, the session, sequence number 1 and the version
    number = int(session.split()[1])
    assert all(re.fullmatch(r"\d+\.\d{6} [<>] ([0-9a-f]{2})+", event) for event in events)
    assert events[0].split()[1] == ">"
    assert number % 256 == 0 or f"{number % 256:02x}" in events[0]


def test_a_caller_that_does_otherwise(file: Path):
    drive(RecordingTransport(link(tiny()), file))
    with pytest.raises(DeviceError, match=rf"^{file}, line \d+: the recorded session went on"):
        drive(ReplayTransport(file), seed=5)


def test_a_recording_that_ends_early(file: Path):
    drive(RecordingTransport(link(tiny()), file))
    lines = file.read_text().splitlines()
    file.write_text("\n".join(lines[:5]) + "\n")
    with pytest.raises(SessionTerminatedError, match="the recording ends here"):
        drive(ReplayTransport(file))


def test_reads_of_a_recording_come_in_any_size(file: Path):
    head = "vq-cortexm link 1\nsession 1\nline 1 1 none\ntimeouts 1 1 1\n"
    file.write_text(head + "0.0 open\n0.1 > 00\n0.2 < 010203\n0.3 closed it went\n")
    with ReplayTransport(file) as replay:
        assert replay.first_session == 1
        assert replay.line().cycles_per_second is None
        replay.write(b"\0", SECONDS)
        assert replay.read(2, SECONDS) == b"\1\2"
        assert replay.read(2, SECONDS) == b"\3"
        with pytest.raises(TransportClosedError, match="it went"):
            replay.read(2, SECONDS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vq-cortexm link 2\nsession 1\nline 1 1 none\ntimeouts 1 1 1\n",
        "vq-cortexm link 1\nsession x\nline 1 1 none\ntimeouts 1 1 1\n",
        "vq-cortexm link 1\nsession 1\nline 1 1\ntimeouts 1 1 1\n",
        "vq-cortexm link 1\nsession 1\nline 1 1 none\ntimeouts 1 1 1 1\n",
        "vq-cortexm link 1\nsession 1\nline 1 1 none\ntimeouts 1 1 1\n0.0 ? 00\n",
        "vq-cortexm link 1\nsession 1\nline 1 1 none\ntimeouts 1 1 1\n0.0 < 0\n",
        "vq-cortexm link 1\nsession 1\nline 1 1 none\ntimeouts 1 1 1\nopen\n",
        "\udcff",
    ],
)
def test_no_recording(file: Path, text: str):
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match="not a recording of a link"):
        ReplayTransport(file)


def test_files_that_cannot_be_opened(tmp_path: Path):
    with pytest.raises(UsageError, match="No such file"):
        ReplayTransport(tmp_path / "none.txt")
    recording = RecordingTransport(link(tiny()), tmp_path / "none" / "link.txt")
    with pytest.raises(UsageError, match="No such file"):
        recording.open()
    with pytest.raises(TransportClosedError, match="the transport is not open"):
        recording.write(b"1", SECONDS)
