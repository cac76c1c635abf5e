"""A device that fails, faults, or is killed: right results or one clear error."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fake_model import Command, expected, sample
from linked_models import fake_info, fake_link

from vq_cortexm.errors import DeviceError, RunError, UsageError
from vq_cortexm.micro.client import Client
from vq_cortexm.micro.device import Device, SessionTerminatedError, check_firmware
from vq_cortexm.micro.process_transport import ProcessTransport
from vq_cortexm.micro.transport import Line, TransportTimeouts

SHORT = TransportTimeouts(0.25, 30.0, 1.0)


@contextmanager
def device(
    transport: ProcessTransport, timeouts: TransportTimeouts | None = None
) -> Iterator[Device]:
    with transport:
        times = timeouts or transport.timeouts()
        client = Client(transport, times)
        client.start()
        info = fake_info()
        check_firmware(client.hello, info)
        yield Device(transport, times, client, info)


def set_sample(on: Device, data: bytes) -> None:
    on.set_input(0, data[:15])
    on.set_input(1, data[15:])


def kill(transport: ProcessTransport) -> None:
    os.kill(transport.process_id, signal.SIGKILL)


def test_what_is_not_changed_is_not_loaded_again():
    with device(fake_link()) as on:
        for seed in (1, 1, 1):
            set_sample(on, sample(seed))
            on.run()
            assert on.output(0) == expected(sample(seed))
        requests = on._client.counts.requests
        set_sample(on, sample(2)[:15] + sample(1)[15:])
        on.run()
        # one load and the run
        assert on._client.counts.requests == requests + 2


def test_a_run_of_many_inferences_reloads_the_inputs():
    """The fake model overwrites its inputs, as real ones may."""
    with device(fake_link()) as on:
        set_sample(on, sample(3))
        cost = on.run(100)
        assert (cost.inferences, cost.cycles, cost.records) == (100, None, None)
        assert on.output(0) == expected(sample(3))


def test_inferences_that_take_long_are_asked_for_bit_by_bit():
    with device(fake_link()) as on:
        # slow enough for 30 inferences in a minute
        on._line = Line(cycles_per_second=on.model.most_cycles / 2)
        set_sample(on, sample(3))
        requests = on._client.counts.requests
        assert on.run(100).inferences == 100
        # two loads and four runs
        assert on._client.counts.requests == requests + 6


def test_killed_between_run_and_output():
    transport = fake_link()
    with device(transport) as on:
        for seed in range(1, 6):
            set_sample(on, sample(seed))
            on.run()
            kill(transport)
            # the result is of the inputs that ran, whatever was set since
            set_sample(on, sample(99))
            assert on.output(0) == expected(sample(seed))
        assert on.restarts == 5


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_killed_at_any_request(board: str, monkeypatch: pytest.MonkeyPatch):
    """The process is killed before the first, second, ... write of an inference."""
    transport = fake_link(board)
    write = ProcessTransport.write
    with device(transport) as on:
        for count in range(5):
            left = [count]

            def killing(self: ProcessTransport, data: bytes, seconds: float, left=left) -> None:
                if left[0] == 0:
                    kill(self)
                left[0] -= 1
                write(self, data, seconds)

            monkeypatch.setattr(ProcessTransport, "write", killing)
            set_sample(on, sample(count + 7))
            on.run()
            assert on.output(0) == expected(sample(count + 7))
            monkeypatch.undo()
        # two loads, a run and a read; the fifth is a repeat, if there is one
        assert on.restarts in (4, 5)


def test_reset():
    with device(fake_link("mps2-an386")) as on:
        for seed in range(40):
            set_sample(on, sample(seed))
            on.run()
        frames = on.counters().frames_taken
        assert frames >= 120
        on.reset()
        # what the device counts begins anew
        assert on.counters().frames_taken < 100
        assert on.output(0) == expected(sample(39))
        assert on.restarts == 0


def test_an_error_of_the_model():
    with device(fake_link()) as on:
        set_sample(on, sample(1, Command.ERROR))
        with pytest.raises(RunError, match="host: fake returned") as error:
            on.run()
        assert error.value.returned != 0
        set_sample(on, sample(2))
        on.run()
        assert on.output(0) == expected(sample(2))


def test_a_fault_each_time():
    with device(fake_link("mps2-an386")) as on:
        set_sample(on, sample(1, Command.FAULT))
        with pytest.raises(SessionTerminatedError) as error:
            on.run()
        assert str(error.value).startswith(
            "mps2-an386: started anew 3 times in one action, the last time after a fault at 0x0000"
        )
        # the device is there, and so is the session
        set_sample(on, sample(5))
        on.run()
        assert on.output(0) == expected(sample(5))


def test_an_overflow_of_the_stack():
    with device(fake_link("mps2-an386")) as on:
        set_sample(on, sample(1, Command.STACK_OVERFLOW))
        with pytest.raises(SessionTerminatedError, match="after an overflow of the stack"):
            on.run()


def test_a_process_that_crashes_each_time():
    with device(fake_link()) as on:
        set_sample(on, sample(1, Command.FAULT))
        with pytest.raises(SessionTerminatedError, match="host: started anew 3 times"):
            on.run()


def test_a_run_that_never_ends():
    with device(fake_link(), SHORT) as on:
        set_sample(on, sample(1, Command.ENDLESS))
        with pytest.raises(SessionTerminatedError, match="host: no answer to run in time"):
            on.run()


def test_a_device_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch):
    transport = fake_link()
    times = TransportTimeouts(0.05, 0.2, 5.0)
    with device(transport) as on:
        on._timeouts = times

        def gone(self: ProcessTransport) -> None:
            raise DeviceError("/dev/ttyACM0: no such serial port")

        monkeypatch.setattr(ProcessTransport, "open", gone)
        kill(transport)
        set_sample(on, sample(1))
        with pytest.raises(SessionTerminatedError, match="host: lost: /dev/ttyACM0: no such"):
            on.run()


def test_a_device_that_comes_back_later(monkeypatch: pytest.MonkeyPatch):
    transport = fake_link()
    open_now, calls = ProcessTransport.open, []

    def open_at_third(self: ProcessTransport) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise DeviceError("/dev/ttyACM0: no such serial port")
        open_now(self)

    with device(transport, TransportTimeouts(0.05, 30.0, 5.0)) as on:
        monkeypatch.setattr(ProcessTransport, "open", open_at_third)
        kill(transport)
        set_sample(on, sample(6))
        on.run()
        assert on.output(0) == expected(sample(6))
        assert len(calls) == 3


def test_too_early():
    with device(fake_link()) as on:
        with pytest.raises(UsageError, match="fake has not run yet"):
            on.output(0)
        on.set_input(0, bytes(15))
        with pytest.raises(UsageError, match="input 'command' was not set"):
            on.run()
