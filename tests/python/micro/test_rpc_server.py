"""The device's side of the link, as a process of this computer: every request, every refusal."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
from pathlib import Path

import pytest
from fake_model import APP, IO, Command, expected, sample
from rpc_link import (
    LARGEST_PAYLOAD,
    SESSION,
    Answer,
    Kind,
    Link,
    Status,
    parse_hello,
    parts,
)

from vq_cortexm.errors import UsageError
from vq_cortexm.micro.app import AppSpec
from vq_cortexm.micro.cmake import BuildError
from vq_cortexm.micro.fingerprint import fingerprint_of_folder
from vq_cortexm.micro.firmware import build_firmware, build_host_server
from vq_cortexm.target import BOARDS

DONE = Answer(Status.DONE)


# --- hello -----------------------------------------------------------------------------------


def test_hello(link: Link, model_dir: Path) -> None:
    hello = link.hello()
    assert (hello.version, hello.largest_payload) == (1, LARGEST_PAYLOAD)
    assert (hello.clock_hz, hello.cycles_source) == (0, 0)
    assert (hello.layers, hello.thresholds) == (2, 2)
    assert (hello.input_bytes, hello.output_bytes) == ((15, 2), (15,))
    assert (hello.board, hello.model) == ("host", "fake")
    assert (hello.fault_status, hello.fault_address) == (0, 0)
    assert hello.fingerprint == fingerprint_of_folder(model_dir)


def test_another_model_has_another_fingerprint(model_dir: Path, tmp_path: Path) -> None:
    for path in model_dir.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert fingerprint_of_folder(tmp_path) == fingerprint_of_folder(model_dir)
    # neither the glue nor what is no source counts
    (tmp_path / "vq_app.c").write_text("int x;\n")
    (tmp_path / "metadata.json").write_text("{}\n")
    assert fingerprint_of_folder(tmp_path) == fingerprint_of_folder(model_dir)
    with (tmp_path / "fake_weights.c").open("a") as file:
        file.write("\n")
    assert fingerprint_of_folder(tmp_path) != fingerprint_of_folder(model_dir)


def test_another_version_of_the_protocol(link: Link) -> None:
    answer = link.ask(Kind.HELLO, struct.pack("<H", 2))
    assert answer == Answer(Status.OTHER_VERSION, struct.pack("<H", 1))
    assert link.ask(Kind.COUNTERS).status == Status.NO_SESSION
    # what a later version may add to its hello
    assert link.ask(Kind.HELLO, struct.pack("<HH", 1, 7)).status == Status.DONE


def test_nothing_but_hello_without_a_session(link: Link) -> None:
    kinds = [kind for kind in range(128) if kind != Kind.HELLO]
    for kind in kinds:
        assert link.ask(kind, bytes(8)) == Answer(Status.NO_SESSION)
    link.hello()
    for kind in kinds:
        assert link.ask(kind, bytes(8), session=SESSION + 1) == Answer(Status.NO_SESSION)


def test_another_session_forgets_the_run_alone(session: Link) -> None:
    data = sample(1)
    session.load(*parts(data))
    assert session.run() == (0, 0, 0)
    session.hello()
    assert session.read(0, 15) == Answer(Status.DONE, expected(data))
    link = session
    payload = link.ask(Kind.HELLO, struct.pack("<H", 1), session=7).payload
    assert parse_hello(payload).model == "fake"
    read = struct.pack("<HHI", 0, 15, 0)
    assert link.ask(Kind.READ, read, session=7) == Answer(Status.NO_RESULT)
    assert link.ask(Kind.RUN, struct.pack("<I", 1), session=7).status == Status.DONE
    assert link.ask(Kind.READ, read, session=7) == Answer(Status.DONE, expected(data))


# --- load, run, read -------------------------------------------------------------------------


def test_values(session: Link) -> None:
    for seed in range(100):
        data = sample(seed)
        session.load(*parts(data))
        assert session.run(1 + seed % 3) == (0, 0, 0)
        assert session.read(0, 15) == Answer(Status.DONE, expected(data))


def test_parts_of_inputs_and_outputs(session: Link) -> None:
    data = sample(4)
    session.load(bytes(15), data[15:])
    for offset, size in ((0, 4), (4, 0), (4, 10), (14, 1), (15, 0)):
        payload = struct.pack("<HHI", 0, 0, offset) + data[offset : offset + size]
        assert session.ask(Kind.LOAD, payload) == DONE
    session.run()
    read = [session.read(0, size, offset).payload for offset, size in ((0, 7), (7, 8), (15, 0))]
    assert b"".join(read) == expected(data)


def test_inputs_are_zeros_at_first(session: Link) -> None:
    session.run()
    assert session.read(0, 15).payload == expected(bytes(17))


@pytest.mark.parametrize(
    ("index", "offset", "size"),
    [(2, 0, 0), (0, 0, 16), (0, 15, 1), (0, 16, 0), (0, 2**32 - 1, 2), (65535, 0, 0)],
)
def test_outside_an_input_or_output(session: Link, index: int, offset: int, size: int) -> None:
    session.run()
    payload = struct.pack("<HHI", index, 0, offset) + bytes(size)
    assert session.ask(Kind.LOAD, payload) == Answer(Status.OUT_OF_RANGE)
    # there is but one output
    for output in {index, max(index, 1)} if index else {0}:
        assert session.read(output, size, offset) == Answer(Status.OUT_OF_RANGE)


def test_no_result_before_a_run(session: Link) -> None:
    assert session.read(0, 15) == Answer(Status.NO_RESULT)
    assert session.ask(Kind.LAYERS, struct.pack("<H", 0)) == Answer(Status.NO_RESULT)


def test_a_run_that_fails(session: Link) -> None:
    session.load(*parts(sample(1)))
    session.run()
    session.load(*parts(sample(1, Command.ERROR)))
    assert session.run(1000) == (7, 0, 0)
    assert session.read(0, 15) == Answer(Status.NO_RESULT)
    session.load(*parts(sample(2)))
    session.run()
    assert session.read(0, 15).payload == expected(sample(2))


def test_no_inference(session: Link) -> None:
    assert session.ask(Kind.RUN, struct.pack("<I", 0)) == Answer(Status.OUT_OF_RANGE)


# --- the others ------------------------------------------------------------------------------


def test_layers(session: Link) -> None:
    session.run()
    assert session.layers() == (0, 0)
    assert session.layers(1) == (0,)
    assert session.layers(2) == ()
    assert session.ask(Kind.LAYERS, struct.pack("<H", 3)) == Answer(Status.OUT_OF_RANGE)


def threshold(link: Link, index: int, is_set: int = 0, value: int = 0) -> Answer:
    return link.ask(Kind.THRESHOLD, struct.pack("<HHi", index, is_set, value))


def test_thresholds_and_the_path(session: Link) -> None:
    def answer(value: int) -> Answer:
        return Answer(Status.DONE, struct.pack("<i", value))

    assert threshold(session, 0, value=99) == answer(-3)
    assert threshold(session, 1) == answer(70000)
    assert session.run() == (0, 0, 0)
    assert threshold(session, 0, 1, 2**31 - 1) == answer(2**31 - 1)
    assert threshold(session, 1, 1, -(2**31)) == answer(-(2**31))
    assert session.run() == (0, 1, 0)
    assert threshold(session, 0) == answer(2**31 - 1)
    for bad in ((2, 0), (65535, 1), (0, 2)):
        assert threshold(session, *bad) == Answer(Status.OUT_OF_RANGE)


def test_reset(session: Link) -> None:
    session.load(*parts(sample(1)))
    threshold(session, 0, 1, 5)
    session.run()
    assert session.ask(Kind.RESET) == DONE
    # a repeat of it
    answer = session.ask(Kind.RESET, sequence=session.sequence)
    assert answer == Answer(Status.NO_SESSION)
    assert session.hello().fault_status == 0
    assert threshold(session, 0).payload == struct.pack("<i", -3)
    assert session.read(0, 15) == Answer(Status.NO_RESULT)
    session.run()
    assert session.read(0, 15).payload == expected(bytes(17))


@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (Kind.HELLO, (0, 1)),
        (Kind.LOAD, (0, 7)),
        (Kind.RUN, (0, 3, 5)),
        (Kind.READ, (0, 7, 9)),
        (Kind.LAYERS, (0, 1, 3)),
        (Kind.COUNTERS, (1,)),
        (Kind.THRESHOLD, (0, 7, 9)),
        (Kind.RESET, (1, LARGEST_PAYLOAD)),
    ],
)
def test_payloads_of_a_wrong_size(session: Link, kind: Kind, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        assert session.ask(kind, bytes(size)) == Answer(Status.MALFORMED)


def test_a_request_with_a_status(session: Link) -> None:
    assert session.ask(Kind.COUNTERS, status=1) == Answer(Status.MALFORMED)


def test_unknown_requests(session: Link) -> None:
    for kind in (0, *range(9, 128)):
        assert session.ask(kind) == Answer(Status.UNKNOWN_REQUEST)


# --- builds ----------------------------------------------------------------------------------


def test_it_ends_with_its_input(host_server: Path) -> None:
    completed = subprocess.run([host_server], input=b"\5\1", capture_output=True, check=True)
    assert completed.stdout == b""


def test_more_tensors_than_a_hello_takes(model_dir: Path, tmp_path: Path) -> None:
    io = dataclasses.replace(IO, outputs=IO.outputs * 250)
    with pytest.raises(BuildError, match="fake has too many inputs and outputs for the link"):
        build_host_server(model_dir, tmp_path, AppSpec(io, APP.sample))


def test_no_firmware_for_the_host(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'host' takes no firmware"):
        build_firmware(model_dir, BOARDS["host"], tmp_path, APP, harness="rpc")
