"""Running images: values, streams of samples, and every way in which a run fails."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from fake_model import APP, IO, Command, expected, sample

from vq_cortexm.errors import DeviceError, UsageError
from vq_cortexm.micro.app import AppSpec
from vq_cortexm.micro.emulator import run_firmware, run_standalone
from vq_cortexm.micro.firmware import Firmware, build_firmware
from vq_cortexm.target import BOARDS

OUTPUT_BYTES = IO.output_bytes


def run_one(firmware: Firmware, data: bytes, timeout_seconds: float = 20) -> int:
    """Runs one sample; returns the peak of the stack in bytes."""
    run = run_firmware(
        firmware.elf, firmware.board, [data], OUTPUT_BYTES, timeout_seconds=timeout_seconds
    )
    assert run.outputs == (expected(data),)
    return run.stack_peak_bytes


def test_started_alone_runs_the_embedded_sample(firmware: Firmware) -> None:
    assert run_standalone(firmware.elf, firmware.board) == (expected(APP.sample),)


def test_a_stream_of_samples(firmware: Firmware) -> None:
    samples = [sample(seed) for seed in range(50)]
    run = run_firmware(firmware.elf, firmware.board, samples, OUTPUT_BYTES)
    assert run.outputs == tuple(expected(data) for data in samples)
    assert run.stdout == f"inferences 50\nstack_peak {run.stack_peak_bytes}\n"


def test_no_samples(firmware: Firmware) -> None:
    assert run_firmware(firmware.elf, firmware.board, [], OUTPUT_BYTES).outputs == ()


def test_buffers_of_the_caller(model_dir: Path, tmp_path: Path) -> None:
    io = type(IO)(IO.model, IO.inputs, IO.outputs, caller_io=True)
    board = BOARDS["mps2-an386"]
    firmware = build_firmware(model_dir, board, tmp_path, AppSpec(io, APP.sample))
    assert run_standalone(firmware.elf, board) == (expected(APP.sample),)
    run_one(firmware, sample(2))
    # nobody maps the fake model's arena now
    assert firmware.sizes.arena == 0


def test_the_stack_peak_follows_the_stack(firmware: Firmware) -> None:
    usual = run_one(firmware, sample(3))
    assert 32 <= usual < 512
    large = run_one(firmware, sample(3, Command.LARGE_FRAME))
    assert 1000 <= large <= 1000 + usual


def test_stack_overflow(firmware: Firmware) -> None:
    with pytest.raises(DeviceError, match="stack overflow"):
        run_one(firmware, sample(3, Command.STACK_OVERFLOW))


def test_recursion_is_stopped_at_the_end_of_the_stack(firmware: Firmware) -> None:
    """Where the core can watch; else at the end of all RAM, with whatever is said then."""
    guarded = firmware.board.core.name != "cortex-m0"
    said = r"stack overflow \(after 1 inferences\)" if guarded else firmware.board.name
    with pytest.raises(DeviceError, match=said):
        samples = [sample(3), sample(4, Command.RECURSION)]
        run_firmware(firmware.elf, firmware.board, samples, OUTPUT_BYTES)


def test_a_fault_says_where(firmware: Firmware) -> None:
    cfsr = "00000000" if firmware.board.core.name == "cortex-m0" else "00010000"
    place = rf"fault pc=0x[0-9a-f]{{8}} lr=0x[0-9a-f]{{8}} cfsr=0x{cfsr}"
    with pytest.raises(DeviceError, match=rf"^{firmware.board.name}: {place}") as caught:
        run_one(firmware, sample(4, Command.FAULT))
    pc = int(str(caught.value).split("pc=")[1][:10], 16)
    run = next(s for s in firmware.sizes.symbols if s.name == "tvmgen_fake_run")
    assert run.address <= pc < run.address + run.size_bytes


def test_an_error_of_the_model(firmware: Firmware) -> None:
    samples = [sample(5), sample(6), sample(7, Command.ERROR)]
    with pytest.raises(DeviceError, match=r"run returned 7 \(after 2 inferences\)"):
        run_firmware(firmware.elf, firmware.board, samples, OUTPUT_BYTES)


def test_a_time_out(firmware: Firmware) -> None:
    start = time.monotonic()
    with pytest.raises(DeviceError, match=r"firmware\.elf did not end within 1\.5 s \(after 0 inf"):
        run_one(firmware, sample(8, Command.ENDLESS), timeout_seconds=1.5)
    assert time.monotonic() - start < 10


def test_a_time_out_alone(model_dir: Path, tmp_path: Path) -> None:
    board = BOARDS["mps2-an385"]
    app = AppSpec(IO, sample(1, Command.ENDLESS))
    firmware = build_firmware(model_dir, board, tmp_path, app)
    with pytest.raises(DeviceError, match=r"did not end within 1 s$"):
        run_standalone(firmware.elf, board, timeout_seconds=1)


@pytest.mark.parametrize("missing", [1, 2, 16])
def test_a_short_file(firmware: Firmware, missing: int) -> None:
    with pytest.raises(DeviceError, match=r"file ends inside a sample: inputs\.bin \(after 1 inf"):
        run_firmware(firmware.elf, firmware.board, [sample(9), sample(10)[:-missing]], OUTPUT_BYTES)


def test_a_wrong_size_of_outputs(firmware: Firmware) -> None:
    with pytest.raises(DeviceError, match="1 inferences with 15 bytes of output, expected 1 with"):
        run_firmware(firmware.elf, firmware.board, [sample(11)], OUTPUT_BYTES + 1)


def test_not_a_firmware(tmp_path: Path) -> None:
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(b"not an image")
    with pytest.raises(DeviceError):
        run_standalone(elf, BOARDS["mps2-an386"], timeout_seconds=20)


def test_the_host_is_not_emulated(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'host' is not one that QEMU emulates"):
        run_standalone(tmp_path / "x.elf", BOARDS["host"])


def test_an_emulator_ends_with_who_started_it(model_dir: Path, tmp_path: Path) -> None:
    app = AppSpec(IO, sample(1, Command.ENDLESS))
    firmware = build_firmware(model_dir, BOARDS["mps2-an385"], tmp_path, app)
    program = (
        "import sys; from pathlib import Path; from vq_cortexm.target import BOARDS; "
        "from vq_cortexm.micro.emulator import run_standalone; "
        "run_standalone(Path(sys.argv[1]), BOARDS['mps2-an385'])"
    )
    with subprocess.Popen([sys.executable, "-c", program, firmware.elf]) as process:
        emulators = list[psutil.Process]()
        until = time.monotonic() + 60
        while not emulators and time.monotonic() < until:
            time.sleep(0.05)
            children = psutil.Process(process.pid).children()
            emulators = [child for child in children if "qemu" in child.name()]
        process.kill()
    assert len(emulators) == 1
    _, alive = psutil.wait_procs(emulators, timeout=20)
    for emulator in alive:
        emulator.kill()
    assert alive == []


def test_no_files_are_left(
    firmware: Firmware, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a temporary folder, odd"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    run_one(firmware, sample(12))
    with pytest.raises(DeviceError):
        run_one(firmware, sample(12, Command.FAULT))
    assert list(folder.iterdir()) == []
