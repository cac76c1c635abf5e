"""The link by itself, for tests of the device's side: frames, requests, and devices to talk to."""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from cobs import cobs

from vq_cortexm.target import Board

SESSION = 0x1234
DEADLINE_SECONDS = 60.0
"""For an answer; what is expected comes at once."""

LARGEST_PAYLOAD = 1024
"""Of the host."""


class Kind(IntEnum):
    HELLO = 1
    LOAD = 2
    RUN = 3
    READ = 4
    LAYERS = 5
    COUNTERS = 6
    THRESHOLD = 7
    RESET = 8


class Status(IntEnum):
    DONE = 0
    UNKNOWN_REQUEST = 1
    MALFORMED = 2
    NO_SESSION = 3
    OUT_OF_RANGE = 4
    OTHER_VERSION = 5
    NO_RESULT = 6


@dataclass(frozen=True)
class Answer:
    status: Status
    payload: bytes = b""


@dataclass(frozen=True)
class Hello:
    version: int
    largest_payload: int
    clock_hz: int
    cycles_source: int
    layers: int
    thresholds: int
    fault_status: int
    fault_address: int
    fingerprint: bytes
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    board: str
    model: str


@dataclass(frozen=True)
class Counters:
    taken: int
    dropped: int
    repeats: int
    receiver_errors: int
    stack_peak_bytes: int
    stack_bytes: int


def body(kind: int, payload: bytes, session: int, sequence: int, status: int = 0) -> bytes:
    """A frame before its CRC and stuffing."""
    return struct.pack("<BBHH", kind, status, session, sequence) + payload


def stuffed(frame: bytes) -> bytes:
    """A frame as it is on the line."""
    return b"\0" + cobs.encode(frame + struct.pack("<I", zlib.crc32(frame))) + b"\0"


def parts(data: bytes) -> tuple[bytes, bytes]:
    """The inputs of a sample of the fake model."""
    return data[:15], data[15:]


@dataclass
class Link:
    """A device over `send` and `receive`; the latter gives what comes within some seconds, or b""
    where nothing does."""

    send: Callable[[bytes], None]
    receive: Callable[[float], bytes]
    sequence: int = 0
    _line: bytes = field(default=b"", repr=False)

    def frame(self, seconds: float) -> bytes | None:
        """The next frame without its CRC, or None."""
        deadline = time.monotonic() + seconds
        while True:
            first, zero, rest = self._line.partition(b"\0")
            if zero:
                self._line = rest
                if first:
                    whole = cobs.decode(first)
                    assert zlib.crc32(whole[:-4]) == struct.unpack("<I", whole[-4:])[0]
                    return whole[:-4]
                continue
            said = self.receive(max(0.0, deadline - time.monotonic()))
            if not said and time.monotonic() >= deadline:
                return None
            self._line += said

    def ask(
        self,
        kind: int,
        payload: bytes = b"",
        *,
        session: int = SESSION,
        sequence: int | None = None,
        again_after_seconds: float = DEADLINE_SECONDS,
        status: int = 0,
    ) -> Answer:
        """The answer to a request, which is repeated until it comes."""
        self.sequence = (self.sequence + 1) % 65536 if sequence is None else sequence
        number = self.sequence
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            self.send(stuffed(body(kind, payload, session, number, status)))
            while (frame := self.frame(again_after_seconds)) is not None:
                found = struct.unpack("<BBHH", frame[:6])
                if found[0] == kind + 128 and found[2:] == (session, number):
                    return Answer(Status(found[1]), frame[6:])
        raise AssertionError(f"no answer to request {kind}")

    def hello(self, session: int = SESSION, again_after_seconds: float = 1.0) -> Hello:
        answer = self.ask(
            Kind.HELLO,
            struct.pack("<H", 1),
            session=session,
            again_after_seconds=again_after_seconds,
        )
        assert answer.status == Status.DONE
        return parse_hello(answer.payload)

    def load(self, *inputs: bytes) -> None:
        for index, data in enumerate(inputs):
            payload = struct.pack("<HHI", index, 0, 0) + data
            assert self.ask(Kind.LOAD, payload) == Answer(Status.DONE)

    def run(self, inferences: int = 1) -> tuple[int, int, int]:
        """The model's status, the path, cycles."""
        answer = self.ask(Kind.RUN, struct.pack("<I", inferences))
        assert answer.status == Status.DONE
        status, path, cycles = struct.unpack("<iiQ", answer.payload)
        return status, path, cycles

    def read(self, output: int, size: int, offset: int = 0) -> Answer:
        return self.ask(Kind.READ, struct.pack("<HHI", output, size, offset))

    def counters(self) -> Counters:
        return Counters(*struct.unpack("<6I", self.ask(Kind.COUNTERS).payload))

    def layers(self, first: int = 0) -> tuple[int, ...]:
        payload = self.ask(Kind.LAYERS, struct.pack("<H", first)).payload
        return struct.unpack(f"<{len(payload) // 4}I", payload)


def parse_hello(payload: bytes) -> Hello:
    fixed = struct.unpack_from("<HHIHHHBBII8s", payload)
    (*start, input_count, output_count, status, address, fingerprint) = fixed
    sizes = struct.unpack_from(f"<{input_count + output_count}I", payload, 32)
    board, model, rest = payload[32 + 4 * len(sizes) :].split(b"\0")
    assert rest == b""
    return Hello(
        *start,
        status,
        address,
        fingerprint,
        sizes[:input_count],
        sizes[input_count:],
        board.decode(),
        model.decode(),
    )


@contextmanager
def process_link(program: Path) -> Iterator[Link]:
    """A device that is a process."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to_device, from_device = process.stdin, process.stdout.fileno()

        def send(data: bytes) -> None:
            to_device.write(data)
            to_device.flush()

        def receive(seconds: float) -> bytes:
            ready, _, _ = select.select([from_device], [], [], seconds)
            return os.read(from_device, 65536) if ready else b""

        yield Link(send, receive)
        to_device.close()
        assert process.wait(DEADLINE_SECONDS) == 0


@contextmanager
def emulator_link(elf: Path, board: Board, *options: str) -> Iterator[Link]:
    """A device in QEMU, over its first UART."""
    ours, theirs = socket.socketpair()
    command = ["qemu-system-arm", "-M", board.machine, "-nographic", "-monitor", "none"]
    command += ["-chardev", f"socket,id=link,fd={theirs.fileno()}", "-serial", "chardev:link"]
    process = subprocess.Popen(
        [*command, *options, "-kernel", str(elf)],
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()

    def receive(seconds: float) -> bytes:
        ready, _, _ = select.select([ours], [], [], seconds)
        return ours.recv(65536) if ready else b""

    try:
        yield Link(ours.sendall, receive)
    finally:
        process.kill()
        process.wait()
        ours.close()
