"""A model on a device: what it should hold, and bringing it there again after a restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import DeviceError, RunError, UsageError
from .client import Client, NoAnswerError, NoSessionError
from .cycle_model import InferenceRecord
from .messages import Counters, CycleCounter, Hello
from .model_info import ModelInfo
from .transport import Line, Transport, TransportClosedError, TransportTimeouts

_MOST_RESTARTS = 3
"""In one action, until it is given up."""
_LONGEST_REQUEST_SECONDS = 60.0
"""Inferences that may take longer together are asked for with several requests."""

_Result = TypeVar("_Result")


class SessionTerminatedError(DeviceError):
    """The device is lost, or the session is over."""


@dataclass(frozen=True)
class RunCost:
    """What `inferences` in a row took.

    `cycles` are the device's own count of all of them, None where it has none; `records` an
    emulator's, one an inference, None where nobody counts; `seconds` what the host saw.
    """

    inferences: int
    path: int
    cycles: int | None
    records: tuple[InferenceRecord, ...] | None
    seconds: float


@dataclass(frozen=True)
class _Job:
    """What a run is of; equal jobs give equal outputs."""

    inputs: tuple[bytes, ...]
    thresholds: tuple[int, ...]


@dataclass
class _Held:
    """What the device holds; nothing after it has started anew."""

    inputs: dict[int, bytes] = field(default_factory=dict)
    thresholds: dict[int, int] = field(default_factory=dict)
    result: _Job | None = None
    """Whose outputs there are."""


class Device:
    """The device of a session, with its model.

    Inputs and thresholds are kept here and loaded when a run needs them: so a device that starts
    anew, or is replaced by another with the same firmware, goes on where it was. Each method raises
    SessionTerminatedError when it has started anew too often, or cannot be reached again.
    """

    def __init__(
        self, transport: Transport, timeouts: TransportTimeouts, client: Client, model: ModelInfo
    ) -> None:
        self.model = model
        self.restarts = 0
        """How often the device has started anew in this session."""
        self._transport = transport
        self._timeouts = timeouts
        self._line: Line = transport.line()
        self._client = client
        self._held = _Held()
        self._inputs: list[bytes | None] = [None] * len(model.inputs)
        self._thresholds = model.thresholds
        self._job: _Job | None = None
        self._seconds_per_inference = 0.0

    def __str__(self) -> str:
        return self.hello.board

    @property
    def hello(self) -> Hello:
        """What the device told of itself when it was asked last."""
        return self._client.hello

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Those of the next run."""
        return self._thresholds

    @thresholds.setter
    def thresholds(self, values: Sequence[int]) -> None:
        self._thresholds = tuple(values)

    def set_input(self, index: int, data: bytes) -> None:
        """The bytes of an input, for the next runs."""
        self._inputs[index] = data

    def input(self, index: int) -> bytes | None:
        """What was set, None if nothing was."""
        return self._inputs[index]

    def run(self, inferences: int = 1) -> RunCost:
        """Runs the model on the inputs that were set, each time on the same.

        UsageError: an input was not set; RunError: the model's run reports an error.
        """
        inputs = [data for data in self._inputs if data is not None]
        if len(inputs) < len(self._inputs):
            unset = self.model.inputs[self._inputs.index(None)].name
            raise UsageError(f"input {unset!r} was not set")
        self._job = _Job(tuple(inputs), self._thresholds)
        self._held.result = None
        return self._recovering(lambda: self._run(inferences))

    def output(self, index: int) -> bytes:
        """The bytes of an output of the last run; UsageError if there was none."""
        size = self.model.outputs[index].size_bytes

        def read() -> bytes:
            self._run_again_if_lost()
            return self._client.read(index, size)

        return self._recovering(read)

    def layer_cycles(self) -> tuple[int, ...]:
        """The device's own count for each layer in the last run, 0 for one that was skipped or is
        not counted; UsageError if there was no run."""

        def read() -> tuple[int, ...]:
            self._run_again_if_lost()
            return self._client.layers()

        return self._recovering(read)

    def counters(self) -> Counters:
        """The device's counters since it started."""
        return self._recovering(self._client.counters)

    def reset(self) -> None:
        """Starts the device anew. Inputs and thresholds stay as they were set."""
        self._recovering(self._client.reset)
        self._held = _Held()
        self._recovering(self._say_hello)

    def _run(self, inferences: int) -> RunCost:
        assert self._job is not None
        self._load(self._job)
        self._transport.take_records()
        rate = self._line.cycles_per_second or self.hello.clock_hz or 1_000_000
        limit = self.model.most_cycles / rate
        at_once = max(1, int(_LONGEST_REQUEST_SECONDS / limit))
        cycles, path, left = 0, 0, inferences
        start = time.monotonic()
        while left > 0:
            count = min(left, at_once)
            expected = count * self._seconds_per_inference
            answer = self._client.run(count, expected, count * limit)
            if answer.status != 0:
                raise RunError(f"{self}: {self.model.name} returned {answer.status}", answer.status)
            left, path, cycles = left - count, answer.path, cycles + answer.cycles
        seconds = time.monotonic() - start
        self._seconds_per_inference = seconds / inferences
        self._held.result = self._job
        records = self._transport.take_records()
        return RunCost(
            inferences,
            path,
            None if self.hello.counter == CycleCounter.NONE else cycles,
            None if records is None else tuple(records[-inferences:]),
            seconds,
        )

    def _run_again_if_lost(self) -> None:
        if self._job is None:
            raise UsageError(f"{self.model.name} has not run yet")
        if self._held.result is not self._job:
            self._run(1)

    def _load(self, job: _Job) -> None:
        for index, data in enumerate(job.inputs):
            if self._held.inputs.get(index) != data:
                self._held.inputs.pop(index, None)
                self._client.load(index, data)
                self._held.inputs[index] = data
        for index, value in enumerate(job.thresholds):
            if self._held.thresholds.get(index) != value:
                self._client.set_threshold(index, value)
                self._held.thresholds[index] = value

    def _recovering(self, action: Callable[[], _Result]) -> _Result:
        """The result of `action`, which is begun again whenever the device has started anew."""
        for _ in range(_MOST_RESTARTS):
            try:
                return action()
            except NoSessionError:
                self._start_again(reopen=False)
            except TransportClosedError:
                self._start_again(reopen=True)
            except NoAnswerError as error:
                raise SessionTerminatedError(f"{self}: {error}") from None
        fault = self.hello.fault
        raise SessionTerminatedError(
            f"{self}: started anew {_MOST_RESTARTS} times in one action"
            + (f", the last time after {fault}" if fault else "")
        )

    def _start_again(self, reopen: bool) -> None:
        self.restarts += 1
        self._held = _Held()
        try:
            if reopen:
                self._reopen()
            self._say_hello()
        except (NoAnswerError, TransportClosedError) as error:
            raise SessionTerminatedError(f"{self}: lost: {error}") from None

    def _reopen(self) -> None:
        """Opens the transport again, as soon as a port is back."""
        self._transport.close()
        until = time.monotonic() + self._timeouts.session_start_timeout_sec
        while True:
            try:
                return self._transport.open()
            except DeviceError as error:
                if time.monotonic() > until:
                    raise SessionTerminatedError(f"{self}: lost: {error}") from None
            time.sleep(self._timeouts.session_start_retry_timeout_sec)

    def _say_hello(self) -> None:
        self._client.start()
        check_firmware(self.hello, self.model)


def check_firmware(hello: Hello, model: ModelInfo) -> None:
    """DeviceError if what said hello is not the firmware of `model`."""
    sizes = (
        tuple(tensor.size_bytes for tensor in model.inputs),
        tuple(tensor.size_bytes for tensor in model.outputs),
    )
    if hello.fingerprint != model.fingerprint or sizes != (hello.input_bytes, hello.output_bytes):
        raise DeviceError(
            f"{hello.board} has another firmware: model {hello.model!r} "
            f"({hello.fingerprint.hex()}), not {model.name!r} ({model.fingerprint.hex()}); "
            "flash this one"
        )
