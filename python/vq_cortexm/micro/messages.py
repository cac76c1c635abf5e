"""What the frames of docs/protocol.md carry: requests, answers and their numbers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from ..errors import DeviceError

VERSION = 1
SMALLEST_PAYLOAD = 32
"""What every device must take, in bytes: the largest answer of fixed size, and a little data."""
ANSWER = 128
"""Added to a request's kind."""


class Kind(IntEnum):
    """What is asked."""

    HELLO = 1
    LOAD = 2
    RUN = 3
    READ = 4
    LAYERS = 5
    COUNTERS = 6
    THRESHOLD = 7
    RESET = 8


class Status(IntEnum):
    """Of an answer."""

    DONE = 0
    UNKNOWN = 1
    MALFORMED = 2
    NO_SESSION = 3
    RANGE = 4
    VERSION = 5
    NO_RESULT = 6


class CycleCounter(IntEnum):
    """What a device counts cycles with."""

    NONE = 0
    DWT = 1
    SYSTICK = 2


HELLO, LOAD, RUN = struct.Struct("<H"), struct.Struct("<HHI"), struct.Struct("<I")
READ, LAYERS, THRESHOLD = struct.Struct("<HHI"), struct.Struct("<H"), struct.Struct("<HHi")

_HELLO = struct.Struct("<HHIHHHBBII8s")
_STACK_OVERFLOW = 1 << 20

_RUN, _COUNTERS, _VALUE = struct.Struct("<iiQ"), struct.Struct("<6I"), struct.Struct("<i")
RUN_ANSWER_BYTES, COUNTERS_BYTES = _RUN.size, _COUNTERS.size


@dataclass(frozen=True)
class Hello:
    """What a device tells of itself and its model."""

    version: int
    payload_bytes: int
    """The largest payload of a request or answer."""
    clock_hz: int
    counter: CycleCounter
    layers: int
    thresholds: int
    fault_status: int
    """CFSR of the fault that the device restarted from, 0 for none, ..."""
    fault_address: int
    """... and where the instruction was."""
    fingerprint: bytes
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    board: str
    model: str

    @property
    def fault(self) -> str:
        """The fault in words; "" for none."""
        if self.fault_status == 0:
            return ""
        if self.fault_status == _STACK_OVERFLOW:
            return "an overflow of the stack"
        return f"a fault at {self.fault_address:#010x}, CFSR {self.fault_status:#010x}"


@dataclass(frozen=True)
class RunAnswer:
    """The model's own status, 0 if all is well; its path; cycles of all inferences, 0 where they
    are not counted."""

    status: int
    path: int
    cycles: int


@dataclass(frozen=True)
class Counters:
    """What a device counts since it started; frames are of the host."""

    frames_taken: int
    frames_dropped: int
    repeats: int
    receiver_errors: int
    stack_peak_bytes: int
    stack_bytes: int
    """Reserved; a peak as large is an overflow."""


def parse_hello(payload: bytes) -> Hello:
    """The answer to hello; DeviceError where it is none."""
    try:
        version, largest, clock, counter, layers, thresholds, inputs, outputs, *rest = (
            _HELLO.unpack_from(payload)
        )
        sizes = struct.unpack_from(f"<{inputs + outputs}I", payload, _HELLO.size)
        texts = payload[_HELLO.size + 4 * len(sizes) :].decode("utf-8").split("\0")
        board, model, end = texts
        known = CycleCounter(counter)
    except (struct.error, ValueError):
        raise DeviceError("the answer to hello is malformed; build and flash it again") from None
    if end or largest < SMALLEST_PAYLOAD:
        raise DeviceError("the answer to hello is malformed; build and flash it again")
    status, address, fingerprint = rest
    return Hello(
        version,
        largest,
        clock,
        known,
        layers,
        thresholds,
        status,
        address,
        fingerprint,
        sizes[:inputs],
        sizes[inputs:],
        board,
        model,
    )


def parse_run(payload: bytes) -> RunAnswer:
    """The answer to run; DeviceError where it is none."""
    return RunAnswer(*_unpack(_RUN, payload, Kind.RUN))


def parse_counters(payload: bytes) -> Counters:
    """The answer to counters; DeviceError where it is none."""
    return Counters(*_unpack(_COUNTERS, payload, Kind.COUNTERS))


def parse_threshold(payload: bytes) -> int:
    """The answer to threshold; DeviceError where it is none."""
    (value,) = _unpack(_VALUE, payload, Kind.THRESHOLD)
    return int(value)


def parse_layers(payload: bytes) -> tuple[int, ...]:
    """The answer to layers; DeviceError where it is none."""
    if len(payload) % 4:
        raise _malformed(Kind.LAYERS)
    return struct.unpack(f"<{len(payload) // 4}I", payload)


def _unpack(layout: struct.Struct, payload: bytes, kind: Kind) -> tuple[int, ...]:
    if len(payload) != layout.size:
        raise _malformed(kind)
    return layout.unpack(payload)


def _malformed(kind: Kind) -> DeviceError:
    return DeviceError(f"the answer to {kind.name.lower()} has a wrong length")
