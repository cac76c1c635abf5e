"""Emulated boards over their serial port: results, costs, and QEMU's own end."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from linked_models import link, tiny

from vq_cortexm.errors import UsageError
from vq_cortexm.micro.qemu_transport import QemuTransport
from vq_cortexm.micro.session import Session, create_local_aot_executor
from vq_cortexm.micro.transport import TransportClosedError
from vq_cortexm.samples import random_samples
from vq_cortexm.target import BOARDS, board_by_name

EMULATED = [name for name, board in BOARDS.items() if board.emulation == "qemu"]
PLAYED = ("netduinoplus2", "microbit")
SECONDS = 60.0


@pytest.mark.parametrize(
    "board",
    [name if name in PLAYED else pytest.param(name, marks=pytest.mark.slow) for name in EMULATED],
)
def test_the_same_bits_over_the_uart(board: str):
    """And the same cost as without the link, where there is one inference of one sample."""
    model = tiny(board)
    samples = random_samples(model.program.inputs, 5, seed=6)
    wanted = model.run(samples, board)
    with Session(link(model, board), model=model) as session:
        executor = create_local_aot_executor(session)
        for sample, outputs in zip(samples, wanted.outputs, strict=True):
            executor.set_input(0, sample[0])
            executor.run()
            np.testing.assert_array_equal(executor.get_output(0).numpy(), outputs[0])
        layers = executor.profile()
        times = executor.time_evaluator("run", session.device, number=3, repeat=2)()
        assert str(session.device) == board
        most_cycles = session.device.model.most_cycles
    assert [layer.name for layer in layers] == [layer.name for layer in wanted.layers]
    clock = board_by_name(board).clock_hz
    assert clock is not None
    if board_by_name(board).core.models_cycles:
        assert times.source == f"modelled cycles at {clock / 1e6:g} MHz"
        assert [layer.cycles for layer in layers] == [layer.cycles for layer in wanted.layers]
    else:
        assert times.source == (f"instructions in the emulator, not cycles, at {clock / 1e6:g} MHz")
        assert all(layer.cycles is None for layer in layers)
        assert sum(layer.instructions or 0 for layer in layers) > 0
    cost = wanted.cycles if wanted.cycles is not None else wanted.instructions
    assert cost is not None
    # what the harness does around the model is not the same code
    assert times.mean * clock == pytest.approx(cost, rel=0.02)
    assert cost < most_cycles
    assert len(set(times.results)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("board", ["netduinoplus2", "mps2-an386"])
def test_a_thousand_inferences(board: str):
    model = tiny(board)
    samples = random_samples(model.program.inputs, 1000, seed=8)
    wanted = model.run(samples, check=True)
    assert wanted.bit_exact
    with Session(link(model, board, counts=False), model=model) as session:
        executor = create_local_aot_executor(session)
        for sample, outputs in zip(samples, wanted.outputs, strict=True):
            executor.set_input(0, sample[0])
            executor.run()
            np.testing.assert_array_equal(executor.get_output(0).numpy(), outputs[0])
        assert session.device.restarts == 0


def test_costs_survive_a_restart_of_the_emulator():
    model = tiny("mps2-an386")
    transport = link(model, "mps2-an386")
    with Session(transport, model=model) as session:
        executor = create_local_aot_executor(session)
        executor.set_input(0, random_samples(model.program.inputs, 1, seed=1)[0][0])
        time = executor.time_evaluator("run", number=2)
        before = time().mean
        os.kill(transport.process_id, signal.SIGKILL)
        assert time().mean == before
        assert session.device.restarts == 1


def test_several_at_once():
    model = tiny("mps2-an386")
    first = link(model, "mps2-an386", counts=False)
    assert isinstance(first, QemuTransport)
    others = [QemuTransport(first._elf, board_by_name("mps2-an386")) for _ in range(2)]
    sample, other = random_samples(model.program.inputs, 2, seed=9)
    wanted = [outputs[0] for outputs in model.run([sample, other]).outputs]
    with (
        Session(others[0], model=model) as one,
        Session(others[1], model=model) as two,
    ):
        executors = [create_local_aot_executor(session) for session in (one, two)]
        for executor, given in zip(executors, (sample, other), strict=True):
            executor.set_input(0, given[0])
            executor.run()
        for executor, output in zip(executors, wanted, strict=True):
            np.testing.assert_array_equal(executor.get_output(0).numpy(), output)


def test_nothing_is_left_behind():
    transport = link(tiny("mps2-an386"), "mps2-an386")
    assert isinstance(transport, QemuTransport)
    with transport:
        process_id, folder = transport.process_id, Path(transport._folder.name)
        assert transport.take_records() == ()
    assert not Path(f"/proc/{process_id}").exists()
    assert not folder.exists()
    assert transport.take_records() is None


def test_the_end_of_qemu_is_noticed(tmp_path: Path):
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(b"")
    with (
        QemuTransport(elf, replace(board_by_name("mps2-an386"), machine="none-such")) as transport,
        pytest.raises(TransportClosedError, match=r"^mps2-an386 in QEMU ended with status 1: qemu"),
    ):
        transport.read(1, SECONDS)


def test_no_firmware_and_no_emulation(tmp_path: Path):
    elf = tmp_path / "firmware.elf"
    with pytest.raises(UsageError, match=f"{elf}: no such firmware"):
        QemuTransport(elf, board_by_name("mps2-an386")).open()
    with pytest.raises(UsageError, match="board 'host' is not one that QEMU emulates"):
        QemuTransport(elf, board_by_name("host"))
